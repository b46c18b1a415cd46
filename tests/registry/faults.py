"""What makes a registry slow, busy or broken, all of it adjustable while it runs."""

from __future__ import annotations

import asyncio
import random
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from .limits import Limits

_BUCKETS = {'GET': 'reads', 'HEAD': 'reads', 'DELETE': 'writes', 'PATCH': 'writes', 'PUT': 'writes', 'POST': 'writes'}


@dataclass
class Fault:
    """Breaks requests whose `METHOD path` matches `pattern`, with a probability, or the next `times` of them.

    The first `after` of them are let through.

    Done, and answered in a way that cannot be understood: `garbage` (200 with other bytes), `truncated`, `cut` (the
    connection ends in the middle of the body), `torn` (so it does, without the end of TLS), `noise` (bytes that are no
    TLS come there), `short` (more comes than the length says), `nonsense` (the length is no number), `twice` (another
    answer follows that nobody asked for), `endless` (the body has no end), `drip` (a byte of it each `seconds`), `lost`
    (no answer), `slow`, or `echo` (the headers say back what came with the request).

    Nothing is done: a status (405, 429, 500, 503…), `reset`, `handshake` (so is the next connection, before it is
    there), `refused` (400, and the error says back what came), or `proxy` (something on the way answers with `status`
    and `body`, by default with a page for people).
    """

    pattern: str
    kind: object
    probability: float = 1.0
    times: int | None = None
    retry_after: int | None = None
    seconds: float = 0.2
    status: int = 200
    after: int = 0
    body: bytes = b'<!DOCTYPE html>\n<html><title>Sign in to this network</title></html>'

    def hits(self, text: str, chance: random.Random) -> bool:
        if self.times == 0 or not re.search(self.pattern, text) or chance.random() >= self.probability:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Throttle:
    """A token bucket: `rate` calls a second, up to `burst` at once."""

    rate: float
    burst: float
    retry_after: int | None = None
    level: float = field(init=False)
    filled: float = field(init=False)

    def __post_init__(self) -> None:
        self.level = self.burst
        self.filled = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.filled) * self.rate)
        self.filled = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class Hold:
    """Keeps requests whose `METHOD path` matches from being answered: all but the first `after`, until it lets them go.

    So a test waits for what it wants to see, however fast the machine is. What is `done` is carried out before it is
    held, all else after it.
    """

    def __init__(self, pattern: str, after: int = 0, done: bool = False) -> None:
        self.done = done
        self._pattern = re.compile(pattern)
        self._let_through = after
        self._held: list[asyncio.Future] = []
        self._over = False
        self._changed = threading.Condition()

    async def passes(self, text: str) -> bool:
        """Return when the request may go on; gives whether it may. On the server's thread."""
        with self._changed:
            if self._over or not self._pattern.search(text):
                return True
            if self._let_through:
                self._let_through -= 1
                return True
            held = asyncio.get_running_loop().create_future()
            self._held.append(held)
            self._changed.notify_all()
        return await held

    def wait(self, process: Any = None, requests: int = 1) -> bool:
        """Wait until requests are held; gives False where the process that was to send them has ended instead."""
        with self._changed:
            while len(self._held) < requests and (process is None or process.poll() is None):
                self._changed.wait(0.1)
            return len(self._held) >= requests

    def let_go(self, drop: bool = False) -> None:
        """Hold nothing from now on; what is held goes on, or is dropped, which whoever sent it sees as a reset."""
        with self._changed:
            self._over = True
            for held in self._held:
                held.get_loop().call_soon_threadsafe(held.set_result, not drop)
            self._held.clear()


class Faults:
    """Latency, throttling by kind of call (`reads`, `writes`, `tokens`), and faults; counters of what was answered.

    `limits` are those of the service itself. `clock` is by how many seconds the `Date` of answers is ahead. `injected`
    counts the requests that were broken. So many of the next `handshakes` of TLS are refused.
    """

    def __init__(self, seed: int = 0) -> None:
        self.latency = 0.0
        self.clock = 0.0
        self.throttles: dict[str, Throttle] = {}
        self.limits: Limits | None = None
        self.rules: list[Fault] = []
        self.holds: list[Hold] = []
        self.injected = 0
        self.handshakes = 0.0
        self.deletes_in_flight: Counter = Counter()
        self.most_deletes_in_flight: Counter = Counter()
        self.most_in_flight = self._in_flight = 0
        self._delete_second = (0, 0)
        self._chance = random.Random(seed)

    def clear(self) -> None:
        self.latency = 0.0
        self.throttles.clear()
        self.limits = None
        self.rules.clear()
        self.injected = 0
        self.handshakes = 0.0
        for hold in self.holds:
            hold.let_go(drop=True)
        self.holds.clear()

    def break_any(self, rate: float, kinds: Sequence[object], seed: int) -> None:
        """Break that part of all requests, each of them in one of these ways by chance."""
        self._chance = random.Random(seed)
        for left in range(len(kinds), 0, -1):  # the first rule that hits is the only one
            share = rate / len(kinds)
            self.rules.append(Fault('.', kinds[left - 1], share / (1 - share * (len(kinds) - left)), seconds=0))

    def hold(self, pattern: str, after: int = 0, done: bool = False) -> Hold:
        """Begin to hold requests: see Hold."""
        self.holds.append(Hold(pattern, after, done))
        return self.holds[-1]

    async def pass_holds(self, method: str, path: str, done: bool) -> bool:
        """Wait until no hold keeps this request; gives False where one drops it."""
        for hold in [each for each in self.holds if each.done is done]:
            if not await hold.passes(f'{method} {path}'):
                return False
        return True

    def date(self) -> dict[str, str]:
        """The header of answers, where the clock is not right."""
        return {'Date': formatdate(time.time() + self.clock, usegmt=True)} if self.clock else {}

    def fault_for(self, method: str, path: str) -> Fault | None:
        found = next((rule for rule in self.rules if rule.hits(f'{method} {path}', self._chance)), None)
        self.injected += found is not None
        return found

    def refuse_handshake(self) -> int | None:
        """The alert of TLS with which a client is sent away; None where it is let in."""
        if self.handshakes < 1:
            return None
        self.handshakes -= 1
        return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE

    def throttle_for(self, method: str, path: str) -> Throttle | None:
        """The bucket that is empty for this call, None when it may go on."""
        kind = 'tokens' if path.startswith('/oauth2/') else _BUCKETS.get(method, 'reads')
        throttle = self.throttles.get(kind)
        return throttle if throttle and not throttle.take() else None

    @contextmanager
    def call_in_flight(self) -> Iterator[None]:
        """Tests look at the most of them at a time."""
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1

    @contextmanager
    def delete_in_flight(self, repository: str) -> Iterator[None]:
        """Many deletes at once in one repository leave ghosts (dotnet/docker-tools#1503): tests look at the most."""
        self.deletes_in_flight[repository] += 1
        most = self.most_deletes_in_flight
        most[repository] = max(most[repository], self.deletes_in_flight[repository])
        try:
            yield
        finally:
            self.deletes_in_flight[repository] -= 1

    def deletes_left(self, rate: float) -> float:
        """What a delete is told: 8.000000 and then 7.000000 for two in one second (recorded in April 2024)."""
        bucket, now = self.throttles.get('writes'), int(time.monotonic())
        second, used = self._delete_second
        used = used if second == now else 0
        self._delete_second = (now, used + 1)
        return bucket.level if bucket else max(0.0, rate - used)
