"""How many calls the service allows, as it is documented since June 2026: by kind of call, identity and region.

Token buckets that refill all the time and save up a minute's calls, so that a burst passes. Once one is empty, all is
refused until a period of a minute ends, with the seconds that are left of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

PERIOD_SECONDS = 60
_SMALL = {'reads': 5_000, 'writes': 1_000, 'deletes': 500, 'referrers': 250, 'tokens': 10_000}
_PREMIUM = {'reads': 10_000, 'writes': 2_000, 'deletes': 2_000, 'referrers': 1_000, 'tokens': 20_000}
BY_IDENTITY = {'Basic': _SMALL, 'Standard': _SMALL, 'Premium': _PREMIUM}
"""Calls a minute of one identity; a registry as a whole has twice as many. Token calls are those of the registry."""

_KINDS = {'GET': 'reads', 'HEAD': 'reads', 'OPTIONS': 'reads', 'DELETE': 'deletes'}


class Limits:
    """The limits of one registry with a SKU; `clock` gives seconds."""

    def __init__(self, sku: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_minute = BY_IDENTITY[sku]
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}

    def take(self, identity: str, endpoint: str, method: str, path: str) -> int | None:
        """Count a call; gives the seconds of `Retry-After` where it is refused."""
        now = self._clock()
        buckets = list(self._of(identity, endpoint, method, path))
        waits = [seconds for bucket in buckets if (seconds := bucket.refuses(now))]
        if waits:
            return max(waits)
        for bucket in buckets:
            bucket.take()
        return None

    def _of(self, identity: str, endpoint: str, method: str, path: str) -> Iterator[_Bucket]:
        if path.startswith('/oauth2/'):
            yield self._bucket('tokens', '', endpoint, self._a_minute['tokens'])
            return
        kinds = [_KINDS.get(method, 'writes'), *(['referrers'] if '/referrers/' in path else [])]
        for kind in kinds:
            yield self._bucket(kind, f'identity {identity}', endpoint, self._a_minute[kind])
            yield self._bucket(kind, 'all', endpoint, 2 * self._a_minute[kind])

    def _bucket(self, kind: str, whose: str, endpoint: str, a_minute: int) -> _Bucket:
        key = kind, whose, endpoint
        if key not in self._buckets:
            self._buckets[key] = _Bucket(a_minute, self._clock())
        return self._buckets[key]


class _Bucket:
    def __init__(self, a_minute: int, now: float) -> None:
        self._a_minute = self._level = float(a_minute)
        self._filled, self._ends = now, -math.inf

    def refuses(self, now: float) -> int:
        """The seconds that are left of the period in which all is refused; 0 where a call may be made."""
        if now < self._ends:
            return math.ceil(self._ends - now)
        self._level = min(self._a_minute, self._level + (now - self._filled) * self._a_minute / PERIOD_SECONDS)
        self._filled = now
        if self._level >= 1:
            return 0
        self._ends = now + PERIOD_SECONDS
        return PERIOD_SECONDS

    def take(self) -> None:
        self._level -= 1
