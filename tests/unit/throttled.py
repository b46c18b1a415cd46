"""A throttled server and the threads that ask it, on a virtual clock."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from azext_acrprune.registry.protocol.pacing import Answer, Calls, Pacer

CPU_SECONDS = 0.001
LATE_SECONDS = 0.003


class Bucket:
    """Grants `rate` calls a second and saves up to `burst` of them; says how many are left when `telling`."""

    def __init__(
        self, rate: float, burst: float | None = None, retry_after: float | None = None, telling: bool = False
    ) -> None:
        self.rate = rate
        self._burst = self._level = rate if burst is None else burst
        self._retry_after, self._telling = retry_after, telling
        self._filled: float | None = None

    def answer(self, now: float) -> Answer:
        if self._filled is not None:
            self._level = min(self._burst, self._level + (now - self._filled) * self.rate)
        self._filled = now
        if self._level < 1:
            return Answer(429, self._retry_after)
        self._level -= 1
        return Answer(200, None, self._level if self._telling else None)


class Periods:
    """As the service is documented since June 2026: a bucket that refills all the time, and once it is empty a period.

    Until that period ends all is refused, with the seconds that are left of it. `burst` is how many calls it saves up,
    a minute's if nothing is said. Where it `locks` not, the bucket grants what it has before the period ends.
    """

    def __init__(self, rate: float, burst: float | None = None, seconds: float = 60, locks: bool = True) -> None:
        self.rate = rate
        self._bucket = Bucket(rate, seconds * rate if burst is None else burst)
        self._seconds, self._locks, self._ends = seconds, locks, 0.0

    def answer(self, now: float) -> Answer:
        if self._locks and now < self._ends:
            return Answer(429, math.ceil(self._ends - now))
        answer = self._bucket.answer(now)
        if answer.status != 429:
            return answer
        if now >= self._ends:
            self._ends = now + self._seconds
        return Answer(429, math.ceil(self._ends - now))


class Windows:
    """Grants a number of calls in each window of some seconds, and none beyond it."""

    def __init__(self, rate: float, seconds: float = 1.0, retry_after: float | None = None) -> None:
        self.rate = rate
        self._most, self._seconds, self._retry_after = rate * seconds, seconds, retry_after
        self._window, self._used = -1, 0

    def answer(self, now: float) -> Answer:
        if int(now / self._seconds) != self._window:
            self._window, self._used = int(now / self._seconds), 0
        if self._used + 1 > self._most:
            return Answer(429, self._retry_after)
        self._used += 1
        return Answer(200)


class Unthrottled:
    """Grants everything."""

    def answer(self, _: float) -> Answer:
        return Answer(200)


class Lying:
    """Grants everything, and says that of 8 calls in each second fewer and fewer are left."""

    def __init__(self) -> None:
        self._second, self._used = -1, 0

    def answer(self, now: float) -> Answer:
        self._second, self._used = int(now), self._used + 1 if int(now) == self._second else 1
        return Answer(202, None, max(0.0, 8.0 - self._used))


@dataclass
class Run:
    """What came of a simulation. Refusals are `needless` of calls that were sent after the first one was known."""

    seconds: float
    sent: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    needless: int = 0

    @property
    def rate(self) -> float:
        return len(self.accepted) / self.seconds

    @property
    def share_needless(self) -> float:
        return self.needless / max(1, len(self.sent))

    @property
    def share_refused(self) -> float:
        return len(self.refused) / max(1, len(self.sent))


def simulate(
    pacer: Pacer,
    server,
    seconds: float,
    calls: Calls = Calls.READS,
    threads: int = 32,
    latency: float = 0.05,
    start: float = 0.0,
    seed: int = 0,
) -> Run:
    """`threads` that always want to call, one after the other through a gate, as in the real client."""
    chance, order, run = random.Random(seed), count(), Run(seconds)
    events: list[tuple[float, int, Callable[[float], None]]] = []
    idle, told = [threads], [math.inf]

    def at(time: float, event: Callable[[float], None]) -> None:
        heapq.heappush(events, (time, next(order), event))

    def ask(now: float) -> None:
        wait = pacer.wait(calls, now)
        if wait > 0:
            at(now + wait + chance.uniform(0, LATE_SECONDS), ask)
            return
        idle[0] -= 1
        run.sent.append(now)
        at(now + latency * chance.uniform(0.2, 0.8), lambda arrived: arrive(now, arrived))
        if idle[0]:
            at(now + CPU_SECONDS, ask)

    def arrive(sent: float, now: float) -> None:
        answer = server.answer(now)
        run.needless += answer.status == 429 and sent > told[0]
        (run.refused if answer.status == 429 else run.accepted).append(now)
        at(now + latency * chance.uniform(0.2, 0.8), lambda received: receive(answer, sent, received))

    def receive(answer: Answer, sent: float, now: float) -> None:
        pacer.answered(calls, answer, sent, now)
        if answer.status == 429:
            told[0] = min(told[0], now)
        elif sent > told[0]:
            told[0] = math.inf
        idle[0] += 1
        if idle[0] == 1:
            at(now + CPU_SECONDS, ask)

    at(start, ask)
    while events[0][0] < start + seconds:
        time, _, event = heapq.heappop(events)
        event(time)
    return run
