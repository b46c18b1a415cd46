"""When the bytes of a registry were pushed, and how old its unneeded bytes are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import accumulate
from typing import Any

from ..decide.impact import Ledger, Node
from ..model import TICKS_PER_SECOND, Content, Inventory
from .stakes import Stake

MONTHS = 12

_DAY = 86_400 * TICKS_PER_SECOND
_AGES = (
    (0, '0 to 1 day'),
    (1, '1 to 7 days'),
    (7, '7 to 30 days'),
    (30, '30 to 90 days'),
    (90, '90 to 180 days'),
    (180, '180 days to 1 year'),
    (365, 'over 1 year'),
)
_NO_TIME = 'no readable time'


@dataclass(frozen=True)
class Appearances:
    """The month in which each blob and each manifest first appeared: the earliest creation of a manifest that has it.

    `months` has the names of calendar months (UTC). The first one is None, for all before them and for what has no
    readable time. Blobs and manifests have the number of their month. A time in the future counts as the last month.
    """

    months: tuple[str | None, ...]
    blobs: Mapping[str, int]
    manifests: Mapping[str, int]


def appearances(inventory: Inventory, now: int) -> Appearances:
    """In which of the twelve months up to `now`, or before them, the bytes of today appeared. Times are ticks."""
    months = _months(now)
    starts = [start for start, _ in months]
    unknown = len(months) + 1
    blobs: dict[str, int] = {}
    manifests: dict[str, int] = {}
    for repository in inventory.repositories:
        for digest, manifest in repository.manifests.items():
            if isinstance(manifest.content, Content):
                month = unknown if manifest.created_at is None else bisect_right(starts, manifest.created_at)
                manifests[digest] = min(month, manifests.get(digest, unknown))
                for blob in manifest.content.blobs:
                    blobs[blob.digest] = min(month, blobs.get(blob.digest, unknown))
    for found in (blobs, manifests):
        found.update({digest: 0 for digest, month in found.items() if month == unknown})
    return Appearances((None, *(name for _, name in months)), blobs, manifests)


def growth(inventory: Inventory, ledger: Ledger, appeared: Appearances) -> list[dict[str, Any]]:
    """The bytes of today by the month in which they appeared. Bytes that have gone since cannot be known."""
    new = [0] * len(appeared.months)
    for digest, month in appeared.blobs.items():
        new[month] += ledger.sizes[digest]
    sizes = {
        digest: manifest.content.size
        for repository in inventory.repositories
        for digest, manifest in repository.manifests.items()
        if isinstance(manifest.content, Content)
    }
    for digest, size in sizes.items():
        new[appeared.manifests[digest]] += size
    return growth_rows(appeared, new)


def growth_rows(appeared: Appearances, new: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each month: `attributedBytes` that appeared in it, and `cumulativeBytes` up to its end."""
    return [
        {'month': month, 'attributedBytes': size, 'cumulativeBytes': total}
        for month, size, total in zip(appeared.months, new, accumulate(new))
    ]


def unneeded_ages(stakes: list[Stake], unneeded: AbstractSet[Node], ledger: Ledger, now: int) -> list[dict[str, Any]]:
    """The bytes attributed to manifests that nothing needs, by the time since their last update.

    `fromDays` is where an age begins and None where there is no readable time; a time in the future is age 0.
    """
    bounds = [days * _DAY for days, _ in _AGES]
    size = [0] * (len(_AGES) + 1)
    manifests: list[set] = [set() for _ in size]
    for stake in stakes:
        node = stake.repository, stake.digest
        if node in unneeded:
            updated = ledger.repositories[stake.repository].manifests[stake.digest].updated_at
            place = len(_AGES) if updated is None else bisect_right(bounds, max(0, now - updated)) - 1
            size[place] += stake.size
            manifests[place].add(node)
    return [
        {'age': text, 'fromDays': days, 'bytes': size[place], 'manifests': len(manifests[place])}
        for place, (days, text) in enumerate((*_AGES, (None, _NO_TIME)))
    ]


def _months(now: int) -> list[tuple[int, str]]:
    """(first instant in ticks, name) of the last months, that of `now` included."""
    today = datetime.fromtimestamp(now // TICKS_PER_SECOND, timezone.utc)
    number = today.year * 12 + today.month - 1
    firsts = [
        datetime(each // 12, each % 12 + 1, 1, tzinfo=timezone.utc) for each in range(number - MONTHS + 1, number + 1)
    ]
    return [(int(first.timestamp()) * TICKS_PER_SECOND, f'{first:%Y-%m}') for first in firsts]
