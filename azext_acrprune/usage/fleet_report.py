"""A report on several registries: their reports as one document, in which each name begins with its registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from itertools import accumulate, chain
from typing import Any

from ..documents.several import cost_of_all, kind_of_sum
from ..model import LOWER_BOUND
from .fields import WARNINGS_LISTED
from .report_document import (
    IMAGES_DRAWN,
    IMAGES_LISTED,
    LAYERS_LISTED,
    REPOSITORIES_DRAWN,
    REPOSITORIES_LISTED,
    SCHEMA_VERSION,
    other_repositories,
)
from .stakes import STATES

Report = Mapping[str, Any]
Row = dict[str, Any]

REGISTRIES_DRAWN = 40
_UNREAD = 'unreadRegistry'


def fleet_report(reports: Sequence[Report], failed: Mapping[str, str], created_at: str) -> Row:
    """The reports of several registries as one, with a row for each in `registries`; those that `failed` have an error.

    It has what the report on one registry has. In `treemap` each registry is a frame with its repositories as `groups`.
    What was not read of all is missing in every sum, so that these are lower bounds then.
    """
    bounds = [LOWER_BOUND] if failed else []
    repositories = _by_size(_named(reports, 'repositories'))
    warnings = [*map(_unread, failed.items()), *_named(reports, 'warnings')]
    return {
        'schemaVersion': SCHEMA_VERSION,
        'registry': f'{len(reports) + len(failed):,} registries',
        'createdAt': created_at,
        'impact': kind_of_sum(report['impact'] for report in reports),
        'heldImpact': kind_of_sum([*bounds, *(report['heldImpact'] for report in reports)]),
        'notRead': [*failed, *(f'{report["registry"]}/{name}' for report, name in _each(reports, 'notRead'))],
        'plan': _plan(reports),
        'summary': _added(report['summary'] for report in reports),
        'account': _added(_only_sizes(report['account']) for report in reports),
        'cost': cost_of_all([report['cost'] for report in reports]),
        'registries': [*_rows(reports), *({'registry': name, 'error': error} for name, error in failed.items())],
        'states': list(_states(reports)),
        'treemap': _treemap(reports),
        'growth': _growth(reports),
        'unneededAges': _ages(reports),
        'repositories': repositories[:REPOSITORIES_LISTED],
        'otherRepositories': other_repositories(
            [*repositories[REPOSITORIES_LISTED:], *filter(None, (report['otherRepositories'] for report in reports))]
        ),
        'images': _by_size(_named(reports, 'images'))[:IMAGES_LISTED],
        'layers': _layers(reports),
        'warnings': warnings[:WARNINGS_LISTED],
        'otherWarnings': sum(each['otherWarnings'] for each in reports) + len(warnings[WARNINGS_LISTED:]),
    }


def _each(reports: Iterable[Report], key: str) -> Iterator[tuple[Report, Any]]:
    return ((report, row) for report in reports for row in report[key])


def _named(reports: Iterable[Report], key: str) -> Iterator[Row]:
    """The rows of all registries, with the whole names of their repositories."""
    for report, row in _each(reports, key):
        name = row['repository']
        yield {**row, 'repository': report['registry'] if name is None else f'{report["registry"]}/{name}'}


def _unread(failure: tuple[str, str]) -> Row:
    return {'code': _UNREAD, 'repository': failure[0], 'digest': None, 'message': failure[1]}


def _by_size(rows: Iterable[Row], key: str = 'attributedBytes') -> list[Row]:
    return sorted(rows, key=lambda row: -int(row[key]))


def _added(rows: Iterable[Mapping[str, Any]], same: Sequence[str] = ()) -> Row:
    """The sums of numbers that may be unknown in some, and what is the `same` in all."""
    found: Row = {}
    for row in rows:
        for key, value in row.items():
            if key in same or value is None:
                found.setdefault(key, value)
            else:
                found[key] = (found.get(key) or 0) + value
    return found


def _only_sizes(account: Mapping[str, Any]) -> Row:
    """The bytes of an account: all else of it is of one registry."""
    return {key: value for key, value in account.items() if key.endswith('Bytes')}


def _plan(reports: Iterable[Report]) -> Row | None:
    plans = [report['plan'] for report in reports if report['plan']]
    if not plans:
        return None
    first = min(plans, key=lambda plan: str(plan['createdAt']))
    return {**first, 'softDeleteRetentionDays': max(plan['softDeleteRetentionDays'] or 0 for plan in plans) or None}


def _rows(reports: Iterable[Report]) -> list[Row]:
    """A row for each registry, those with the most bytes first."""
    rows = [
        {
            'registry': report['registry'],
            'error': None,
            'registryBytes': report['summary']['registryBytes'],
            'unneededBytes': report['summary']['unneededBytes'],
            'freedBytes': report['summary']['freedBytes'],
            'manifests': report['summary']['manifests'],
            'usedBytes': report['account']['usedBytes'],
            'cost': report['cost'],
        }
        for report in reports
    ]
    return _by_size(rows, 'registryBytes')


def _states(reports: Iterable[Report]) -> Iterator[Row]:
    found: dict[str, list[Row]] = {}
    for _, row in _each(reports, 'states'):
        found.setdefault(row['state'], []).append(row)
    for state in (state for state in STATES if state in found):
        reasons: dict[str, list[Row]] = {}
        for reason in chain.from_iterable(row['reasons'] for row in found[state]):
            reasons.setdefault(reason['reason'], []).append(reason)
        whole = _added({'bytes': row['bytes'], 'images': row['images']} for row in found[state])
        added = [_added(rows, ('reason',)) for rows in reasons.values()]
        yield {'state': state, **whole, 'reasons': sorted(added, key=lambda row: (-row['bytes'], row['reason']))}


def _growth(reports: Iterable[Report]) -> list[Row]:
    """The months of all; two that are not of the same month began on either side of its end."""
    new: dict[str | None, int] = {}
    for _, row in _each(reports, 'growth'):
        new[row['month']] = new.get(row['month'], 0) + row['attributedBytes']
    months = sorted(new, key=lambda month: month or '')
    totals = accumulate(new[month] for month in months)
    return [
        {'month': month, 'attributedBytes': new[month], 'cumulativeBytes': total}
        for month, total in zip(months, totals)
    ]


def _ages(reports: Iterable[Report]) -> list[Row]:
    return [_added(rows, ('age', 'fromDays')) for rows in zip(*(report['unneededAges'] for report in reports))]


def _layers(reports: Iterable[Report]) -> list[Row]:
    rows = (
        {**row, 'users': [f'{report["registry"]}/{user}' for user in row['users']]}
        for report, row in _each(reports, 'layers')
    )
    return _by_size(rows, 'size')[:LAYERS_LISTED]


def _treemap(reports: Sequence[Report]) -> list[Row]:
    """A frame for each of the largest registries, with as many repositories and images as one report draws.

    The others are one frame with the `registry` None.
    """
    largest = sorted(reports, key=lambda report: -int(report['summary']['registryBytes']))
    drawn, others = largest[:REGISTRIES_DRAWN], largest[REGISTRIES_DRAWN:]
    groups = [(report, row) for report, row in _each(drawn, 'treemap') if row['repository'] is not None]
    single = {_of(*each) for each in nlargest(2 * REPOSITORIES_DRAWN, groups, key=lambda each: each[1]['bytes'])}
    cells = [
        (report, row, cell)
        for report, row in groups
        if _of(report, row) in single
        for cell in row['cells']
        if cell['digest'] is not None
    ]
    named = {_of(*each) for each in nlargest(IMAGES_DRAWN, cells, key=lambda each: each[2]['bytes'])}
    frames = [
        {'registry': report['registry'], 'registries': 1, 'groups': list(_groups(report, single, named))}
        for report in drawn
    ]
    if others:
        rest = [row for _, row in _each(others, 'treemap')]
        groups_of_rest = [_rest(None, rest, sum(row['repositories'] for row in rest))]
        frames.append({'registry': None, 'registries': len(others), 'groups': groups_of_rest})
    return [{**frame, 'bytes': sum(group['bytes'] for group in frame['groups'])} for frame in frames]


def _of(report: Report, row: Row, cell: Row | None = None) -> tuple[str | None, ...]:
    """What a repository in a report is known by, or an image in it: what goes of one and what stays are two cells."""
    return report['registry'], row['repository'], *((cell['digest'], cell['state']) if cell else ())


def _groups(report: Report, single: set[tuple[str | None, ...]], named: set[tuple[str | None, ...]]) -> Iterator[Row]:
    """The repositories of one registry: those that are drawn by themselves, and one for all others."""
    rest = []
    for row in report['treemap']:
        if _of(report, row) not in single:
            rest.append(row)
            continue
        name = f'{report["registry"]}/{row["repository"]}'
        kept = [{**cell, 'repository': name} for cell in row['cells'] if _of(report, row, cell) in named]
        left = [cell for cell in row['cells'] if _of(report, row, cell) not in named]
        cells = sorted([*kept, *_sums(name, left)], key=lambda cell: STATES.index(cell['state']))
        yield {**row, 'cells': cells}
    if rest:
        yield _rest(None, rest, sum(row['repositories'] for row in rest))


def _rest(repository: str | None, rows: Sequence[Row], number: int) -> Row:
    """Several repositories as one group, with a cell for each state."""
    cells = list(_sums(repository, list(chain.from_iterable(row['cells'] for row in rows))))
    return {
        'repository': repository,
        'repositories': number,
        'bytes': sum(row['bytes'] for row in rows),
        'cells': sorted(cells, key=lambda cell: STATES.index(cell['state'])),
    }


def _sums(repository: str | None, cells: Sequence[Row]) -> Iterator[Row]:
    """A cell for each state, in place of many."""
    for state in dict.fromkeys(cell['state'] for cell in cells):
        of_state = [cell for cell in cells if cell['state'] == state]
        size, images = sum(cell['bytes'] for cell in of_state), sum(cell['images'] for cell in of_state)
        yield {'repository': repository, 'digest': None, 'state': state, 'bytes': size, 'images': images}
