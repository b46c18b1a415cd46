"""A company's registries in one night: how long each takes by the pacer and the documented limits, and what that costs.

How many calls a night takes is that of `night.py`. The pacer alone is asked how long these take, which is quick enough
for the largest registry.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist

from azext_acrprune.inventory.cache import MAX_CACHE_BYTES
from azext_acrprune.registry.protocol.pacing import A_MINUTE, Calls, Pacer
from tests.bench.planning import fill
from tests.unit.throttled import Periods, simulate

from .night import Night
from .service import LATENCY_SECONDS

SPREAD = 1.5
"""Of the logarithm of the sizes: the largest of a thousand registries has 45 times as many manifests as the mean."""
PREMIUM_SHARE = 0.2
"""The largest registries are Premium, the others Standard."""

START_SECONDS = 90
"""Assumed: for the service to start a task, pull the image of az, sign in and add the extension."""
PROCESSORS = 2
TASK_PRICE, STORAGE_PRICE = 0.0001, 0.02
"""Assumed, in USD: of a processor for a second, and of a GiB in a storage account for a month."""

MANAGER_READS = 9
"""Of the Resource Manager by one run: seven of the command, as the local one counts them, and two of its sign-in."""
MANAGER_BURST, MANAGER_A_SECOND = 250, 25
STORAGE_A_SECOND = 20_000
"""Documented: reads of one identity in a subscription and region; requests to one storage account."""
JOURNAL_APPENDS_A_SECOND = round(1 / LATENCY_SECONDS)
"""Of one run at most: each appends to its journal where the last one ended."""

_MINUTES = 15
_COPRIME = 617


class Pace:
    """How long so many calls of one kind take: simulated for a quarter of an hour, and steady from then on."""

    def __init__(self, sku: str, calls: Calls) -> None:
        self.sku, self.calls = sku, calls
        self.a_minute = A_MINUTE[sku.lower()][calls]
        self._end = 60 * _MINUTES
        server = Periods(self.a_minute / 60)
        self._accepted = simulate(Pacer(sku), server, self._end, calls, latency=LATENCY_SECONDS).accepted

    @property
    def rate(self) -> float:
        """Calls a second, without the burst."""
        return (len(self._accepted) - self.a_minute) / self._end

    def seconds(self, calls: int) -> float:
        if calls <= len(self._accepted):
            return self._accepted[calls - 1] if calls else 0.0
        return self._end + (calls - len(self._accepted)) / self.rate


@cache
def pace_of(sku: str, calls: str) -> Pace:
    return Pace(sku, Calls(calls))


@dataclass(frozen=True)
class Run:
    """What the run of one schedule takes, without its start."""

    manifests: int
    deleted: int
    read_seconds: float
    delete_seconds: float

    @property
    def seconds(self) -> float:
        return self.read_seconds + self.delete_seconds


@dataclass(frozen=True)
class Fleet:
    """The runs of one night."""

    runs: Sequence[Run]

    @property
    def deleted(self) -> int:
        return sum(run.deleted for run in self.runs)

    @property
    def longest(self) -> float:
        return max(run.seconds for run in self.runs)

    @property
    def task_minutes(self) -> float:
        return sum(START_SECONDS + run.seconds for run in self.runs) / 60

    def over(self, seconds: float) -> int:
        """How many runs take longer than that."""
        return sum(run.seconds > seconds for run in self.runs)

    def deleting_at_once(self, within: float) -> int:
        """How many runs delete at the same moment, at most, where they start evenly within so many seconds."""
        changes: list[tuple[float, int]] = []
        for number, run in enumerate(self.runs):
            begin = within * number / len(self.runs) + run.read_seconds
            changes += [(begin, 1), (begin + run.delete_seconds, -1)]
        most = now = 0
        for _, change in sorted(changes):
            now += change
            most = max(most, now)
        return most


def sizes(registries: int, manifests: int) -> list[int]:
    """How many manifests each registry has: few have many, by a lognormal distribution, smallest first."""
    raw = [math.exp(SPREAD * NormalDist().inv_cdf((number + 0.5) / registries)) for number in range(registries)]
    return [round(manifests * each / sum(raw)) for each in raw]


def fleet(manifests: Sequence[int], night: Night, measured: int) -> Fleet:
    """Each registry has a night like this one, of a registry with so many manifests, in proportion to its size.

    What the cache cannot hold is read as a whole. Whose turn comes first has nothing to do with its size.
    """
    runs = [
        _run('Premium' if place >= len(manifests) * (1 - PREMIUM_SHARE) else 'Standard', number, night, measured)
        for place, number in enumerate(manifests)
    ]
    return Fleet([runs[place * _COPRIME % len(runs)] for place in range(len(runs))])


def _run(sku: str, manifests: int, night: Night, measured: int) -> Run:
    reads, deleted = (math.ceil(manifests * number / measured) for number in (night.reads, night.deleted))
    if manifests > in_the_cache():
        reads = max(reads, manifests)
    seconds = pace_of(sku, 'reads').seconds(reads), pace_of(sku, 'deletes').seconds(deleted)
    return Run(manifests, deleted, *seconds)


def in_the_cache() -> float:
    """How many manifests the cache of a registry can hold."""
    return MAX_CACHE_BYTES / bytes_in_the_cache()


@cache
def bytes_in_the_cache(manifests: int = 5_000) -> float:
    """Of one manifest, an image of ten layers."""
    with tempfile.TemporaryDirectory() as folder:
        fill(f'{folder}/cache.sqlite', manifests)
        return sum(path.stat().st_size for path in Path(folder).iterdir()) / manifests
