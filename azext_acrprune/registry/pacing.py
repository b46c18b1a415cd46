"""How fast calls may be sent, learned from their answers: a budget for each kind of call; all times are passed in.

The service sends no rate with reads and perhaps no `Retry-After` with 429. What it says without words: whenever it
refuses a call its allowance is used up, so that what it accepted between two such moments is what it allows. Pacing
starts with the first refusal, at what the SKU is documented to allow, and goes on at what was measured: a little below
it, back to it in half a minute, and then beyond it, to find out when more is allowed.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Dict, Optional


class Calls(Enum):
    """The kinds of calls that the service counts apart."""

    READS = 'reads'
    WRITES = 'writes'
    TOKENS = 'tokens'


@dataclass(frozen=True)
class Answer:
    """What an answer says about rates: its status, `Retry-After` in seconds, and how many calls are left."""

    status: int
    retry_after: Optional[float] = None
    remaining: Optional[float] = None

    @property
    def refused(self) -> bool:
        return self.status == 429


_READS_A_MINUTE = {'basic': 1_000, 'standard': 3_000, 'premium': 10_000}
_WRITES_A_MINUTE = {'basic': 100, 'standard': 500, 'premium': 2_000}
_TOKENS_A_MINUTE = 10_000  # recorded as 166.65 remaining calls a second, on every registry
_SLOWEST = 0.5

_DIP = 0.06
_PAUSES_ARE_PART_OF_IT = 0.97
_RECOVERY_SECONDS = 30
_RECOVERY_CALLS = 250
_RECOVERY_PAUSES = 30
_LONGEST_RECOVERY_SECONDS = 300
_GROWTH_OF_A_GUESS = 0.1

_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 16
_LONGEST_RETRY_AFTER = 60
_PROBE_SECONDS = 1
_LOOK_AGAIN_SECONDS = 0.02
_CATCH_UP_SECONDS = 0.05
_HOPELESS_SECONDS = 180


def finite_number(text: Optional[str]) -> Optional[float]:
    """A number of a header; None for what is none, negative, or not finite."""
    try:
        number = float(text or '')
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


class Pacer:
    """When which call may be sent. Not for several threads at once: whoever uses it holds a lock.

    `max_rate`, in calls a minute, caps reads and writes together from the first one on. The limits of the SKU are
    only where learning starts: newer limits are per identity and may be higher.
    """

    def __init__(self, sku: Optional[str] = None, max_rate: Optional[float] = None) -> None:
        name = sku.lower() if sku else ''
        self._budgets: Dict[Calls, Budget] = {
            Calls.READS: Budget(_READS_A_MINUTE.get(name, _READS_A_MINUTE['standard']) / 60),
            Calls.WRITES: Budget(_WRITES_A_MINUTE.get(name, _WRITES_A_MINUTE['standard']) / 60),
            Calls.TOKENS: Budget(_TOKENS_A_MINUTE / 60)}
        self._interval = 60 / max_rate if max_rate else 0.0
        self._free_at = -math.inf

    def wait(self, calls: Calls, now: float) -> float:
        """How many seconds to wait before asking again; 0 when a call may be sent, which then counts as sent."""
        budget, capped = self._budgets[calls], calls is not Calls.TOKENS
        seconds = max(budget.wait(now), self._free_at - now if capped else 0.0)
        if seconds > 0:
            return seconds
        budget.sent(now)
        if capped:  # from when it was really sent, not from when it might have been: the cap holds in every minute
            self._free_at = now + self._interval
        return 0.0

    def answered(self, calls: Calls, answer: Answer, sent_at: float, now: float) -> None:
        """Learn from the answer to a call; to be told of every answer."""
        self._budgets[calls].answered(answer, sent_at, now)

    def lost(self, calls: Calls) -> None:
        """Learn that a call will have no answer."""
        self._budgets[calls].lost()

    def rate(self, calls: Calls) -> Optional[float]:
        """How many calls a second are sent at most, None while nothing was refused."""
        return self._budgets[calls].rate

    def hopeless(self, calls: Calls, now: float) -> bool:
        """Whether calls have been refused for minutes, without one that was not."""
        return self._budgets[calls].hopeless(now)


class Budget:
    """The pace of one kind of call."""

    def __init__(self, guess: float) -> None:
        self._guess = guess
        self._limit: Optional[float] = None
        self._measured = False
        self._recovery = float(_RECOVERY_SECONDS)
        self._grown = 0.0
        self._slot = -math.inf
        self._emptied_at = -math.inf
        self._accepted = 0
        self._pause = 0.0
        self._paused_until = -math.inf
        self._probing = False
        self._probe_until = -math.inf
        self._refused_since: Optional[float] = None
        self._in_flight = 0
        self._remaining: Optional[float] = None
        self._answers = 0

    @property
    def rate(self) -> Optional[float]:
        """Calls a second: from a little below the limit slowly back to it, and then on, ever faster."""
        if self._limit is None:
            return None
        if not self._measured:
            return self._limit * math.exp(_GROWTH_OF_A_GUESS * self._grown)
        return self._limit * (1 + _DIP * (self._grown / self._recovery - 1) ** 3)

    def wait(self, now: float) -> float:
        """How many seconds to wait before asking again."""
        if now < self._paused_until:
            return self._paused_until - now
        if self._probing and now < self._probe_until:
            return _LOOK_AGAIN_SECONDS
        return max(0.0, self._slot - now)

    def sent(self, now: float) -> None:
        """Count a call as sent."""
        self._in_flight += 1
        if self._probing:
            self._probe_until = now + _PROBE_SECONDS
        rate = self.rate
        if rate:
            # Threads wake up late: what that costs is made up for, but not what nobody wanted to send. Where calls
            # come slower than they might, there is nothing to learn, and the rate stays.
            if now - self._slot <= _CATCH_UP_SECONDS:
                self._grown += 1 / rate
            self._slot = max(self._slot, now - _CATCH_UP_SECONDS) + 1 / rate

    def lost(self) -> None:
        """Forget a call that will have no answer."""
        self._in_flight -= 1

    def answered(self, answer: Answer, sent_at: float, now: float) -> None:
        """Learn from an answer."""
        self._in_flight -= 1
        if answer.refused:
            self._refused(answer.retry_after, sent_at, now)
        else:
            self._was_accepted(sent_at)

    def hopeless(self, now: float) -> bool:
        """Whether all calls have been refused for minutes."""
        return self._refused_since is not None and now - self._refused_since > _HOPELESS_SECONDS

    def _was_accepted(self, sent_at: float) -> None:
        self._accepted += 1
        if sent_at >= self._paused_until:
            self._probing = False
            self._pause = 0.0
            self._refused_since = None

    def _refused(self, retry_after: Optional[float], sent_at: float, now: float) -> None:
        if sent_at < self._emptied_at or sent_at < self._paused_until:
            return  # sent before the pace was cut: says nothing new
        if self._refused_since is None:
            self._refused_since = now
            self._cut(now)
        self._pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, 2 * self._pause))
        seconds = max(self._pause, min(retry_after or 0, _LONGEST_RETRY_AFTER))
        self._recovery = min(_LONGEST_RECOVERY_SECONDS, max(self._recovery, _RECOVERY_PAUSES * seconds))
        self._paused_until = now + seconds
        self._probing = True
        self._probe_until = -math.inf

    def _cut(self, now: float) -> None:
        """The allowance is used up at this moment: measure it, and begin anew below it."""
        rate = self.rate
        if rate is None:
            self._limit = self._guess
        else:
            measured = self._accepted / max(now - self._emptied_at, 0.001) / _PAUSES_ARE_PART_OF_IT
            self._limit = max(_SLOWEST, rate / 2, min(measured, rate))
            self._measured = True
        self._recovery = max(_RECOVERY_SECONDS, _RECOVERY_CALLS / self._limit)
        self._grown = 0.0
        self._accepted = 0
        self._emptied_at = now
