"""What a command did in several registries, as one document: an entry for each, and sums over those that answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ..model import APPROXIMATE, EXACT
from .cost import DAYS_PER_MONTH

_SUMS = (
    *('repositories', 'manifests', 'manifestsToDelete', 'tagsToDelete', 'manifestsDeleted', 'tagsDeleted'),
    *('registryBytes', 'unneededBytes', 'freedBytes', 'findings', 'broken'),
)
_MONEY = ('perMonth', 'savedPerMonth')


def fleet_document(entries: Sequence[Mapping[str, Any]], not_begun: int, reason: str) -> dict[str, Any]:
    """The document of several registries. Each entry has `registry`, and its `result` or its `error` with an `advice`.

    So many were `not_begun`, and have an error that says why; they are none that failed.

    The `impact` is what the sum of freed bytes is, and `cost` the sum of what is known of it, where a price was given.
    """
    results = [entry['result'] for entry in entries if entry['result']]
    summary: dict[str, Any] = {
        'registries': len(entries),
        'failed': sum(entry['error'] is not None for entry in entries) - not_begun,
        'notBegun': not_begun,
        'impact': kind_of_sum(_impact_of(result) for result in results),
        **dict(_sums([result['summary'] for result in results])),
    }
    cost = cost_of_all([result.get('cost') or {} for result in results])
    if cost:
        summary['cost'] = cost
    return {'summary': summary, 'registries': list(entries), 'exitReason': reason}


def _sums(summaries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
    for name in _SUMS:
        known = [each[name] for each in summaries if each.get(name) is not None]
        if known:
            yield name, sum(known)


def _impact_of(result: Mapping[str, Any]) -> str:
    return str(result.get('impact') or result['summary'].get('impact') or EXACT)


def kind_of_sum(kinds: Iterable[str]) -> str:
    """What a sum of numbers is: exact where all are, and too large or too small where none is the other way."""
    inexact = {*kinds} - {EXACT}
    return EXACT if not inexact else inexact.pop() if len(inexact) == 1 else APPROXIMATE


def cost_of_all(each: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The sum of costs, as far as they are known; None where nobody gave a price."""
    costs = [cost for cost in each if cost.get('pricePerGiBDay') is not None]
    if not costs:
        return None
    found: dict[str, Any] = {'currency': costs[0]['currency'], 'daysPerMonth': DAYS_PER_MONTH}
    for name in _MONEY:
        known = [Decimal(cost[name]) for cost in costs if cost.get(name) is not None]
        found[name] = str(sum(known, Decimal(0))) if known else None
    return {**found, 'costsUnknown': sum(cost['perMonth'] is None for cost in costs)}
