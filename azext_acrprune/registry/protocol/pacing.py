"""How fast calls may be sent, learned from their answers: a budget for each kind of call; all times are passed in.

The service sends no rate with reads and perhaps no `Retry-After` with 429. But when it refuses a call its allowance
is used up, so that what it accepted between two such moments says what it allows. Nothing is held back before the
first refusal. After it calls are spread evenly, first at the rate that the SKU is documented to allow, then at the
measured one: a little below it, slowly back to it, and then beyond it, to find out when more is allowed.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple


class Calls(Enum):
    """The kinds of calls that the service counts apart."""

    READS = 'reads'
    WRITES = 'writes'
    DELETES = 'deletes'
    TOKENS = 'tokens'


class Answer(NamedTuple):
    """What an answer says about rates: its status, `Retry-After` in seconds, and how many calls are left."""

    status: int
    retry_after: float | None = None
    remaining: float | None = None


_SMALL = {Calls.READS: 5_000, Calls.WRITES: 1_000, Calls.DELETES: 500, Calls.TOKENS: 10_000}
_PREMIUM = {Calls.READS: 10_000, Calls.WRITES: 2_000, Calls.DELETES: 2_000, Calls.TOKENS: 10_000}
A_MINUTE = {'basic': _SMALL, 'standard': _SMALL, 'premium': _PREMIUM}
"""Calls a minute that one identity may make in one region, by SKU, as documented since June 2026. A registry as a whole
may have twice as many."""

_SLOWEST = 0.5
_DIP = 0.06
_GROWTH_OF_A_GUESS = 0.3
_RECOVERY_CALLS = 150
_RECOVERY_PAUSES = 30
_LONGEST_RECOVERY_SECONDS = 60
_LONGEST_RECOVERY_FROM_A_PAUSE_SECONDS = 300
_CATCH_UP_SECONDS = 0.02

_FIRST_PAUSE_CALLS = 8
_SHORTEST_PAUSE_SECONDS = 0.05
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 16
_LONGEST_RETRY_AFTER_SECONDS = 60
_PROBE_SECONDS = 1
_HOPELESS_SECONDS = 180

_AHEAD = 1.5
_LOOK_AGAIN_SECONDS = 0.005


def finite_number(text: str | None) -> float | None:
    """The number in a header; None for what is none, is negative, or has no end."""
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


class Pacer:
    """When which call may be sent. Whoever shares it between threads holds a lock around each method.

    `max_rate`, in calls a minute, caps all calls but those for tokens together from the first one on. The limits of the
    SKU are only where learning starts: others share them, and support can raise them.
    """

    def __init__(self, sku: str | None = None, max_rate: float | None = None) -> None:
        a_minute = A_MINUTE.get(sku.lower() if sku else '', _SMALL)
        self._budgets: dict[Calls, _Budget] = {calls: _Budget(a_minute[calls] / 60) for calls in Calls}
        self._interval = 60 / max_rate if max_rate else 0.0
        self._free_at = -math.inf

    def wait(self, calls: Calls, now: float) -> float:
        """How many seconds to wait before asking again; 0 when a call may be sent, which then counts as sent."""
        budget, capped = self._budgets[calls], calls is not Calls.TOKENS
        seconds = max(budget.wait(now), self._free_at - now if capped else 0.0)
        if seconds > 0:
            return seconds
        budget.sent(now)
        if capped:  # counted from when it was sent, not from when it might have been, so that no minute has more
            self._free_at = now + self._interval
        return 0.0

    def answered(self, calls: Calls, answer: Answer, sent_at: float, now: float) -> None:
        """Learn from the answer to a call."""
        self._budgets[calls].answered(answer, sent_at, now)

    def lost(self, calls: Calls) -> None:
        """Forget a call that will have no answer."""
        self._budgets[calls].lost()

    def rate(self, calls: Calls) -> float | None:
        """How many calls a second are sent at most; None while none was refused."""
        return self._budgets[calls].pace.rate

    def hopeless(self, calls: Calls, now: float) -> bool:
        """Whether every call of this kind has been refused for minutes."""
        return self._budgets[calls].backoff.hopeless(now)


class _Budget:
    """One kind of call: its pace, its pauses, and what is in flight."""

    def __init__(self, guess: float) -> None:
        self.pace = _Pace(guess)
        self.backoff = _Backoff()
        self._left = _CallsLeft(guess)
        self._in_flight = 0

    def wait(self, now: float) -> float:
        return max(self.backoff.wait(now), self.pace.wait(now), 0.0 if self._may_fly() else _LOOK_AGAIN_SECONDS)

    def sent(self, now: float) -> None:
        self._in_flight += 1
        self.backoff.sent(now)
        self.pace.sent(now)

    def lost(self) -> None:
        self._in_flight -= 1

    def answered(self, answer: Answer, sent_at: float, now: float) -> None:
        self._in_flight -= 1
        if answer.status == 429:
            self._refused(answer.retry_after, sent_at, now)
        else:
            self._accepted(answer.remaining, sent_at, now)

    def _may_fly(self) -> bool:
        """Before the rate is known, few calls are sent ahead: all that are in flight at the first refusal are refused.

        The more were accepted, the more: 7 after 16 calls, 32 after 430, so that the first refusals are a small part
        of the calls before them. No more than the service says are left, but always one.
        """
        if self.pace.is_known or not self._left.believed:
            return True
        ahead = min(_AHEAD * math.sqrt(self.pace.accepted), self._left.number - 1)
        return self._in_flight <= max(0, ahead)

    def _accepted(self, remaining: float | None, sent_at: float, now: float) -> None:
        self.pace.accepted += 1
        self.backoff.accepted(sent_at)
        if remaining is None:
            return
        ran_out = self._left.told(remaining, now)
        self.pace.expect(remaining)
        # Once in a while, for near its end the number goes up and down with every call.
        if ran_out and self.pace.is_known and self.pace.settled and sent_at >= self.pace.used_up_at:
            self.pace.used_up(now)

    def _refused(self, retry_after: float | None, sent_at: float, now: float) -> None:
        if sent_at < max(self.pace.used_up_at, self.backoff.until):
            return  # sent before the others slowed down: nothing new
        rate = self.pace.rate
        if not self.backoff.refusing:
            self.pace.used_up(now)
        self.backoff.refused(retry_after, rate, now)
        self.pace.mind_pause(self.backoff.until - now)


class _CallsLeft:
    """How many calls the service says are left, and whether that means anything.

    One that says that none is left, and goes on accepting twice as many as it ever could have, does not count.
    """

    def __init__(self, guess: float) -> None:
        self.number = math.inf
        self.believed = True
        self._rate = guess
        self._empty_since = 0.0
        self._accepted = 0

    def told(self, number: float, now: float) -> bool:
        """Take what an answer says; whether none is left any more."""
        ran_out = number < 1 <= self.number
        self.number = number
        self._rate = max(self._rate, number)
        if ran_out:
            self._empty_since, self._accepted = now, 0
        elif number < 1:
            self._accepted += 1
            self.believed = self._accepted <= 2 + 2 * self._rate * (now - self._empty_since) and self.believed
        return ran_out


class _Pace:
    """The rate at which calls are sent, and when the next one is due."""

    def __init__(self, guess: float) -> None:
        self.accepted = 0
        self.used_up_at = -math.inf
        self._limit = guess
        self._refusals_seen = 0
        self._recovery = 0.0
        self._grown = 0.0
        self._pause = 0.0
        self._due = -math.inf

    @property
    def rate(self) -> float | None:
        """Calls a second; None before the allowance was used up for the first time.

        It grows with the seconds during which calls were held back: fast from a guess; from a measured limit as in
        TCP CUBIC, slowly near the limit and ever faster beyond it.
        """
        if not self.is_known:
            return None
        if self._refusals_seen == 1:
            return self._limit * math.exp(_GROWTH_OF_A_GUESS * self._grown / max(1, self._pause))
        return self._limit * (1 + _DIP * (self._grown / self._recovery - 1) ** 3)

    @property
    def is_known(self) -> bool:
        """Whether there is a rate: the allowance was used up before."""
        return self._refusals_seen > 0

    @property
    def settled(self) -> bool:
        """Whether the rate is half-way back to its limit, or has none."""
        return self._grown >= self._recovery / 2

    def wait(self, now: float) -> float:
        return self._due - now

    def sent(self, now: float) -> None:
        rate = self.rate
        if rate is None:
            return
        # What threads lose by waking up late is made up for. Where calls come slower than they might, the rate is
        # not what limits them, and must not grow into something that was never tried.
        if now - self._due <= _CATCH_UP_SECONDS:
            self._grown += 1 / rate
        self._due = max(self._due, now - _CATCH_UP_SECONDS) + 1 / rate

    def expect(self, remaining: float) -> None:
        """A service that counts by the second says before the first call what it allows: 8 or 32, as recorded."""
        if not self.is_known:
            self._limit = max(self._limit, min(remaining, _PREMIUM[Calls.DELETES] / 60))

    def used_up(self, now: float) -> None:
        """At this moment nothing is left of the allowance: measure it, and begin anew a little below.

        What was accepted since the last time is less than what was allowed where part of that went by unused, and
        the rate now is more than what is allowed; the truth is between them.
        """
        rate = self.rate
        if rate is not None:
            measured = self.accepted / max(now - self.used_up_at, 0.001)
            self._limit = max(_SLOWEST, min(rate, (measured + rate) / 2))
        self._refusals_seen += 1
        self._recovery = min(_LONGEST_RECOVERY_SECONDS, _RECOVERY_CALLS / self._limit)
        self._grown = 0.0
        self.accepted = 0
        self.used_up_at = now
        self._due = now + 1 / self._limit

    def mind_pause(self, seconds: float) -> None:
        """Where a refusal costs a long pause, come near the limit less often, and grow from a guess more slowly."""
        self._pause = seconds
        self._recovery = max(self._recovery, min(_LONGEST_RECOVERY_FROM_A_PAUSE_SECONDS, _RECOVERY_PAUSES * seconds))


class _Backoff:
    """The pause after a refusal, one for all threads; then one call at a time, until one is accepted."""

    def __init__(self) -> None:
        self.until = -math.inf
        self._pause = 0.0
        self._refused_since: float | None = None
        self._next_probe = -math.inf

    @property
    def refusing(self) -> bool:
        """Whether nothing was accepted since the last refusal."""
        return self._refused_since is not None

    def wait(self, now: float) -> float:
        if now < self.until:
            return self.until - now
        return _LOOK_AGAIN_SECONDS if self.refusing and now < self._next_probe else 0.0

    def sent(self, now: float) -> None:
        self._next_probe = now + _PROBE_SECONDS

    def accepted(self, sent_at: float) -> None:
        if sent_at >= self.until:
            self._refused_since = None

    def refused(self, retry_after: float | None, rate: float | None, now: float) -> None:
        """Pause as long as the service says, otherwise for a moment, and twice as long each time it refuses again."""
        if self._refused_since is None:
            self._refused_since = now
            self._pause = _FIRST_PAUSE_SECONDS
            if rate:
                self._pause = max(_SHORTEST_PAUSE_SECONDS, min(_FIRST_PAUSE_SECONDS, _FIRST_PAUSE_CALLS / rate))
        else:
            self._pause = min(_LONGEST_PAUSE_SECONDS, 2 * self._pause)
        self.until = now + max(self._pause, min(retry_after or 0, _LONGEST_RETRY_AFTER_SECONDS))
        self._next_probe = self.until

    def hopeless(self, now: float) -> bool:
        return self._refused_since is not None and now - self._refused_since > _HOPELESS_SECONDS
