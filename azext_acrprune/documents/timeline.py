"""When the bytes of a registry came, and how old its unneeded bytes are."""
from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timezone
from typing import AbstractSet, Any, Dict, Iterator, List, Optional, Tuple

from ..decide.impact import Ledger, Node
from ..model import TICKS_PER_SECOND, Content, Inventory
from .stakes import Stake

MONTHS = 12

_DAY = 86_400 * TICKS_PER_SECOND
_AGES = ((0, '0 to 1 day'), (1, '1 to 7 days'), (7, '7 to 30 days'), (30, '30 to 90 days'), (90, '90 to 180 days'),
         (180, '180 days to 1 year'), (365, 'over 1 year'))
_NO_TIME = 'no readable time'


def growth(inventory: Inventory, ledger: Ledger, now: int) -> List[Dict[str, Any]]:
    """What is there today, by the month in which it first appeared: `bytes` new in it, `totalBytes` until its end.

    Twelve calendar months (UTC) up to `now`; `month` is None for all before them and for what has no readable time.
    What came and went meanwhile cannot be known. A time in the future counts as now.
    """
    months = _months(now)
    starts = [start for start, _ in months]
    new = [0] * (len(months) + 1)
    for size, first in _first_seen(inventory, ledger):
        new[0 if first is None else bisect_right(starts, first)] += size
    rows, total = [], 0
    for month, size in zip([None, *(name for _, name in months)], new):
        total += size
        rows.append({'month': month, 'bytes': size, 'totalBytes': total})
    return rows


def unneeded_ages(stakes: List[Stake], unneeded: AbstractSet[Node], ledger: Ledger, now: int) -> List[Dict[str, Any]]:
    """The bytes attributed to manifests that nothing needs, by the time since their last update.

    `fromDays` is where an age begins and None where there is no readable time; a time in the future is age 0.
    """
    bounds = [days * _DAY for days, _ in _AGES]
    size = [0] * (len(_AGES) + 1)
    manifests: List[set] = [set() for _ in size]
    for stake in stakes:
        node = stake.repository, stake.digest
        if node in unneeded:
            updated = ledger.repositories[stake.repository].manifests[stake.digest].updated_at
            place = len(_AGES) if updated is None else bisect_right(bounds, max(0, now - updated)) - 1
            size[place] += stake.size
            manifests[place].add(node)
    return [{'age': text, 'fromDays': days, 'bytes': size[place], 'manifests': len(manifests[place])}
            for place, (days, text) in enumerate((*_AGES, (None, _NO_TIME)))]


def _months(now: int) -> List[Tuple[int, str]]:
    """(first instant in ticks, name) of the last months, that of `now` included."""
    today = datetime.fromtimestamp(now // TICKS_PER_SECOND, timezone.utc)
    number = today.year * 12 + today.month - 1
    firsts = [datetime(each // 12, each % 12 + 1, 1, tzinfo=timezone.utc)
              for each in range(number - MONTHS + 1, number + 1)]
    return [(int(first.timestamp()) * TICKS_PER_SECOND, f'{first:%Y-%m}') for first in firsts]


def _first_seen(inventory: Inventory, ledger: Ledger) -> Iterator[Tuple[int, Optional[int]]]:
    """(bytes, instant) of every blob and manifest: the earliest creation of what holds it."""
    blobs: Dict[str, Optional[int]] = {}
    manifests: Dict[str, Tuple[int, Optional[int]]] = {}
    for repository in inventory.repositories:
        for digest, manifest in repository.manifests.items():
            if isinstance(manifest.content, Content):
                created = manifest.created_at
                manifests[digest] = (manifest.content.size, _earlier(manifests.get(digest, (0, None))[1], created))
                for blob in manifest.content.blobs:
                    blobs[blob.digest] = _earlier(blobs.get(blob.digest), created)
    yield from manifests.values()
    yield from ((ledger.sizes[digest], first) for digest, first in blobs.items())


def _earlier(one: Optional[int], other: Optional[int]) -> Optional[int]:
    return min((each for each in (one, other) if each is not None), default=None)
