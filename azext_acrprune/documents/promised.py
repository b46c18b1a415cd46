"""What a run promised to free, beside what Azure says since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model import EXACT, Account
from .cost import LATE, SOFT_DELETED

PUSHES = 'pushes'
REPLICAS = 'replicas'
BOUND = 'bound'
DELETED_LATER = 'retention'
DELETIONS = 'deletions'
"""What the difference between a promise and Azure's number may be, beside what `cost` names: what was pushed or
brought back since, replicas that have not followed yet, a promise that was no exact number, what the registry deleted
by itself, and what others deleted."""


def since_fields(run: Mapping[str, Any] | None, account: Account, until: str | None = None) -> dict[str, Any] | None:
    """A run that deleted something, and by how much Azure's number went down since; None where it is not known.

    `run` has `run`, `at`, `summary` and the `usedBytes` of Azure before it. `account` is as Azure says now, or as it
    said when the next run began: `until` is the time of that. `restBytes` is what Azure has not counted of the promise;
    below 0, Azure's number went down by more.
    """
    if run is None or account.used_bytes is None or run.get('usedBytes') is None or not run['summary']:
        return None
    summary = run['summary']
    if summary.get('freedBytes') is None:
        return None
    less = run['usedBytes'] - account.used_bytes
    rest = summary['freedBytes'] - less
    return {
        'run': run['run'],
        'at': run['at'],
        'until': until,
        'freedBytes': summary['freedBytes'],
        'impact': summary['impact'],
        'usedBytesBefore': run['usedBytes'],
        'usedBytesNow': account.used_bytes,
        'lessBytes': less,
        'restBytes': rest,
        'restMayBe': list(_may_be(summary, account, rest)),
    }


def _may_be(summary: Mapping[str, Any], account: Account, rest: int) -> Iterator[str]:
    if rest == 0:
        return
    if rest < 0:
        yield from [DELETED_LATER] if summary.get('freedLaterBytes') else ()
        yield DELETIONS
        return
    if summary.get('softDeleteRetentionDays') is not None:
        yield SOFT_DELETED
    yield LATE
    yield PUSHES
    if account.regions != 1:
        yield REPLICAS
    if summary['impact'] != EXACT:
        yield BOUND
