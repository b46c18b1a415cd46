"""Documents -> rows for `-o table`: human sizes and ages, short digests."""
from __future__ import annotations

from collections import OrderedDict
from typing import Any, Dict, List

from ..model import parse_ticks
from .sizes import freed_size, human_age, human_size, short_digest

Row = Dict[str, Any]


def plan_rows(plan: Dict[str, Any]) -> List[Row]:
    """A row for each manifest that goes (and stays, with --show-kept), and the total."""
    if 'summary' not in plan or 'delete' not in plan:
        return [plan]
    now = parse_ticks(plan['createdAt']) or 0
    rows = [_plan_row('delete', entry, human_age(parse_ticks(entry['lastUpdateTime']), now),
                      freed_size(entry['uniqueBytes'], plan['impact'])) for entry in plan['delete']]
    rows += [_plan_row('keep', entry, '', '') for entry in plan.get('kept', [])]
    summary = plan['summary']
    rows.append(OrderedDict(
        ACTION='total', REPOSITORY=f"{summary['manifestsToDelete']} of {summary['manifests']} manifests",
        DIGEST='', TAGS=summary['tagsToDelete'] or '', AGE='', FREES=freed_size(summary['freedBytes'], plan['impact']),
        REASON=f"{human_size(summary['sharedBytes'])} shared and staying", BECAUSE=''))
    return rows


def result_rows(result: Dict[str, Any]) -> List[Row]:
    """A row for each manifest that was deleted, skipped or failed, and the total; a dry run answers with a plan."""
    if 'delete' in result or 'summary' not in result:
        return plan_rows(result)
    rows = [_result_row('deleted', entry, entry['reason'], entry['because']) for entry in result['deleted']]
    rows += [_result_row('skipped', entry, entry['reason'], entry['because']) for entry in result['skipped']]
    rows += [_result_row('failed', entry, entry['error'], '') for entry in result['failed']]
    summary = result['summary']
    total = f"{summary['manifestsDeleted']} deleted, {summary['skipped']} skipped, {summary['failed']} failed"
    days = summary['softDeleteRetentionDays']
    later = f' in {days} days, by soft delete' if days else ''
    rows.append(OrderedDict(RESULT='total', REPOSITORY=total, DIGEST='',
                            REASON=f"{freed_size(summary['freedBytes'], summary['impact'])} freed{later}", BECAUSE=''))
    return rows


def cache_rows(cache: Dict[str, Any]) -> List[Row]:
    """One row for the cache of one registry."""
    if 'readable' not in cache:
        return [cache]
    manifests = '' if cache['manifests'] is None else cache['manifests']
    return [OrderedDict(REGISTRY=cache['registry'], MANIFESTS=manifests, SIZE=human_size(cache['bytes']),
                        READABLE='yes' if cache['readable'] else 'no', PATH=cache['path'])]


def _plan_row(action: str, entry: Dict[str, Any], age: str, frees: str) -> Row:
    return OrderedDict(
        ACTION=action, REPOSITORY=entry['repository'], DIGEST=short_digest(entry['digest']),
        TAGS=', '.join(map(short_digest, entry['tags'])), AGE=age, FREES=frees, REASON=entry['reason'],
        BECAUSE=short_digest(entry['because']))


def _result_row(result: str, entry: Dict[str, Any], reason: str, because: str) -> Row:
    return OrderedDict(RESULT=result, REPOSITORY=entry['repository'], DIGEST=short_digest(entry['digest']),
                       REASON=reason, BECAUSE=short_digest(because))
