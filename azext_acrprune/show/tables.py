"""Documents -> rows for `-o table`: human sizes and ages, short digests."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ..model import parse_ticks
from .fleet_tables import registry_rows
from .money import saving_line
from .sizes import blob_digest, count, freed_size, human_age, human_size, short_digest, used_by
from .table import BELOW, Row, Table

_PLAN = ('REPOSITORY', 'DIGEST', 'FREES', 'ACTION', 'REASON', 'TAGS', 'AGE', 'BECAUSE')
_GROUPS = ('DELETE', 'SHARE', 'FREES_ALONE', 'TAGS', 'KEEP', 'MANIFESTS')
_RESULT = ('REPOSITORY', 'DIGEST', 'TAG', 'RESULT', 'REASON', 'BECAUSE')
_CHECK = ('REPOSITORY', 'DIGEST', 'SEVERITY', 'CODE', 'TAG')
_RESTORE = ('REPOSITORY', 'DIGEST', 'RESULT', 'TAGS', 'REASON')


def plan_rows(plan: dict[str, Any]) -> Table:
    """A row for each manifest that goes, for each that stays with --show-kept, for each shared layer, and the total."""
    if 'registries' in plan:
        return registry_rows(plan)
    if 'summary' not in plan or 'delete' not in plan:
        return Table([plan])
    if 'groups' in plan:
        return group_rows(plan)
    now = parse_ticks(plan['createdAt']) or 0
    rows = [
        _plan_row(
            'delete',
            entry,
            human_age(parse_ticks(entry['lastUpdateTime']), now),
            freed_size(entry['uniqueBytes'], entry.get('impact', plan['impact'])),
        )
        for entry in sorted(plan['delete'], key=lambda entry: -int(entry['uniqueBytes']))
    ]
    rows += [_untag_row(entry, human_age(parse_ticks(entry['lastUpdateTime']), now)) for entry in plan['untag']]
    rows += [_plan_row('later', entry, '', '') for entry in plan.get('deleteLater', ())]
    rows += [_plan_row(kind, entry, '', '') for kind in ('retire', 'unretire') for entry in plan.get(kind, ())]
    rows += [_plan_row('keep', entry, '', '') for entry in plan.get('kept', [])]
    rows += [_shared_row(layer) for layer in plan.get('sharedLayers', ())]
    summary = plan['summary']
    total = OrderedDict(
        ACTION='total',
        REPOSITORY=f'{summary["manifestsToDelete"]} of {summary["manifests"]} manifests',
        DIGEST='',
        TAGS=str(summary['tagsToDelete'] or ''),
        AGE='',
        FREES=freed_size(summary['freedBytes'], plan['impact']),
        REASON=f'{freed_size(summary["sharedBytes"], summary["heldImpact"])} shared and staying',
        BECAUSE=saving_line(plan['cost'], plan['impact']) if 'cost' in plan else '',
    )
    return Table(rows, [total], _PLAN)


def group_rows(plan: dict[str, Any]) -> Table:
    """A row for each group of a plan, and the total. Shares add up; the bytes that groups free alone do not."""
    title, summary = plan['groupBy'].upper(), plan['summary']
    rows = [
        _group_row(title, row['group'] or '(none)', row, row['freedBytes'], row['attributedFreedBytes'], row['impact'])
        for row in sorted(plan['groups'], key=lambda row: -int(row['attributedFreedBytes']))
    ]
    total = _group_row(title, 'total', summary, summary['freedBytes'], summary['freedBytes'], plan['impact'])
    return Table(rows, [total], (title, *_GROUPS))


def _group_row(title: str, name: str, row: dict[str, Any], alone: int, share: int, impact: str) -> Row:
    return OrderedDict(
        [
            (title, short_digest(name)),
            ('MANIFESTS', row['manifests']),
            ('DELETE', row['manifestsToDelete']),
            ('TAGS', row['tagsToDelete']),
            ('KEEP', row['manifestsKept']),
            ('FREES_ALONE', freed_size(alone, impact)),
            ('SHARE', freed_size(share, impact)),
        ]
    )


_GONE = {
    'before': 'it was not there any more',
    'unanswered': 'no answer came, and it is gone',
    'withSubject': 'the registry deletes it with its subject',
}
"""How what is gone without a deletion of ours is told, by its reason."""


def result_rows(result: dict[str, Any]) -> Table:
    """A row for each manifest that was deleted, skipped or failed, and the total. A dry run has the rows of a plan."""
    if 'delete' in result or 'registries' in result or 'summary' not in result:
        return plan_rows(result)
    rows = [_result_row('deleted', entry, entry['reason'], entry['because']) for entry in result['deleted']]
    rows += [_result_row('untagged', entry, entry['reason'], entry['because']) for entry in result['untagged']]
    rows += [_result_row('later', entry, entry['reason'], entry['because']) for entry in result.get('deletedLater', ())]
    for kind in ('retired', 'unretired'):
        rows += [_result_row(kind, entry, entry['reason'], entry['because']) for entry in result.get(kind, ())]
    rows += [_result_row('gone before', entry, _GONE[entry['reason']], '') for entry in result['goneBefore']]
    rows += [_result_row('skipped', entry, entry['reason'], entry['because']) for entry in result['skipped']]
    rows += [_result_row('failed', entry, entry['error'], '') for entry in result['failed']]
    broken, sums = _validation_rows(result['validation']) if result.get('validation') else ([], [])
    summary = result['summary']
    gone = f'{len(result["goneBefore"])} gone before, ' if result['goneBefore'] else ''
    total = (
        f'{summary["manifestsDeleted"]} deleted, {len(result["untagged"])} untagged, {gone}'
        f'{summary["skipped"]} skipped, {summary["failed"]} failed'
    )
    days = summary['softDeleteRetentionDays']
    later = f' in {days} days, by soft delete' if days else ''
    if summary.get('freedLaterBytes'):
        size = freed_size(summary['freedLaterBytes'], summary['freedLaterImpact'])
        later += f', and {size} later by the retention policy' + ('' if summary['retentionKnown'] else ', if it is on')
    sums.append(
        OrderedDict(
            RESULT='total',
            REPOSITORY=total,
            DIGEST='',
            TAG='',
            REASON=f'{freed_size(summary["freedBytes"], summary["impact"])} freed{later}',
            BECAUSE='',
        )
    )
    return Table([*rows, *broken], sums, _RESULT)


def _validation_rows(validation: dict[str, Any]) -> tuple[list[Row], list[Row]]:
    """A row for each thing that is broken since the run, and a row with their number."""
    rows = [
        _result_row('broken', entry, entry['code'], entry['message'])
        for entry in validation['new']
        if entry['severity'] == 'broken'
    ]
    number = OrderedDict(
        RESULT='validated',
        REPOSITORY=count(len(validation['repositories']), 'repository'),
        DIGEST='',
        TAG='',
        REASON=f'{validation["newBroken"]} of {validation["broken"]} broken are new',
        BECAUSE='',
    )
    return rows, [number]


def check_rows(check: dict[str, Any]) -> Table:
    """A row for each finding, with what mends it below, and the total."""
    if 'registries' in check:
        return registry_rows(check)
    if 'findings' not in check:
        return Table([check])
    rows: list[Row] = [
        OrderedDict(
            SEVERITY=entry['severity'],
            CODE=entry['code'],
            REPOSITORY=entry['repository'],
            DIGEST=short_digest(entry['digest']),
            TAG=short_digest(entry['tag'] or ''),
            MESSAGE=short_digest(entry['message']),
            **{BELOW: entry['mend']['command'] or entry['mend']['advice']},
        )
        for entry in check['findings']
    ]
    summary = check['summary']
    total = OrderedDict(
        SEVERITY='total',
        CODE=f'{summary["broken"]} broken',
        REPOSITORY=count(summary['repositories'], 'repository'),
        DIGEST=count(summary['manifests'], 'manifest'),
        TAG='',
        MESSAGE=count(summary['findings'], 'finding'),
    )
    return Table(rows, [total], _CHECK, ('MESSAGE',))


def restore_rows(result: dict[str, Any]) -> Table:
    """A row for each manifest and tag that was, or would be, restored, and the total."""
    if 'tags' not in result:
        return Table([result])
    word = 'restore' if 'restore' in result else 'restored'
    rows = [_restore_row(word, entry, ', '.join(map(short_digest, entry['tags']))) for entry in result[word]]
    rows += [_restore_row('tag', entry, short_digest(entry['tag'])) for entry in result['tags']]
    rows += [
        _restore_row(
            kind,
            entry,
            short_digest(entry.get('tag', '')),
            short_digest(entry.get('error') or f'{entry["reason"]}: {entry["because"]}'),
        )
        for kind in ('skipped', 'failed')
        for entry in result[kind]
    ]
    summary = result['summary']
    total = OrderedDict(
        RESULT='total',
        REPOSITORY=f'{len(result[word])} {word}',
        DIGEST='',
        TAGS='',
        REASON=f'{summary["skipped"]} skipped, {summary["failed"]} failed',
    )
    return Table(rows, [total], _RESTORE)


def _restore_row(result: str, entry: dict[str, Any], tags: str, reason: str = '') -> Row:
    return OrderedDict(
        RESULT=result, REPOSITORY=entry['repository'], DIGEST=short_digest(entry['digest']), TAGS=tags, REASON=reason
    )


def cache_rows(cache: dict[str, Any]) -> Table:
    """One row for the cache of one registry."""
    if 'readable' not in cache:
        return Table([cache])
    manifests = '' if cache['manifests'] is None else cache['manifests']
    return Table(
        [
            OrderedDict(
                REGISTRY=cache['registry'],
                MANIFESTS=manifests,
                SIZE=human_size(cache['fileBytes']),
                READABLE='yes' if cache['readable'] else 'no',
                PATH=cache['file'],
            )
        ],
        below=('PATH',),
    )


def pin_rows(document: dict[str, Any]) -> Table:
    """A row for each pinned image and who pins it."""
    if 'pins' not in document:
        return Table([document])
    rows = (
        OrderedDict(
            REPOSITORY=entry['repository'],
            TAG=entry['tag'] or '',
            DIGEST=short_digest(entry['digest']) if entry['digest'] else '',
            STATUS=entry['status'],
            PINNED_BY=', '.join(entry['pinnedBy']),
        )
        for entry in document['pins']
    )
    return Table(rows, columns=('REPOSITORY', 'DIGEST', 'STATUS', 'TAG', 'PINNED_BY'))


def lock_rows(document: dict[str, Any]) -> Table:
    """A row for each manifest that is, or would be, locked or unlocked, and for what could not be done."""
    rows: list[Row] = []
    for action in ('lock', 'unlock', 'locked', 'unlocked', 'alreadyLocked', 'missing', 'failed'):
        for entry in document.get(action, ()) if 'summary' in document else ():
            because = entry.get('because') or entry.get('error') or ', '.join(entry.get('pinnedBy', ()))
            rows.append(
                OrderedDict(
                    RESULT=action,
                    REPOSITORY=entry['repository'],
                    TAG=entry.get('tag') or '',
                    DIGEST=short_digest(entry['digest']) if entry['digest'] else '',
                    BECAUSE=because,
                )
            )
    return Table(rows, columns=('REPOSITORY', 'DIGEST', 'RESULT', 'TAG', 'BECAUSE'))


def _plan_row(action: str, entry: dict[str, Any], age: str, frees: str) -> Row:
    return OrderedDict(
        ACTION=action,
        REPOSITORY=entry['repository'],
        DIGEST=short_digest(entry['digest']),
        TAGS=', '.join(map(short_digest, entry['tags'])),
        AGE=age,
        FREES=frees,
        REASON=entry['reason'],
        BECAUSE=short_digest(entry['because']),
    )


def _shared_row(layer: dict[str, Any]) -> Row:
    return OrderedDict(
        ACTION='shared',
        REPOSITORY='',
        DIGEST=blob_digest(layer),
        TAGS='',
        AGE='',
        FREES=human_size(0),
        REASON=f'{human_size(layer["size"])} stay',
        BECAUSE=used_by(layer),
    )


def _untag_row(entry: dict[str, Any], age: str) -> Row:
    return OrderedDict(
        ACTION='untag',
        REPOSITORY=entry['repository'],
        DIGEST=short_digest(entry['digest']),
        TAGS=entry['tag'],
        AGE=age,
        FREES=human_size(0),
        REASON=entry['reason'],
        BECAUSE=short_digest(entry['because']),
    )


def _result_row(result: str, entry: dict[str, Any], reason: str, because: str) -> Row:
    return OrderedDict(
        RESULT=result,
        REPOSITORY=entry['repository'],
        DIGEST=short_digest(entry['digest']),
        TAG=short_digest(entry.get('tag') or ', '.join(entry.get('tags', ()))),
        REASON=reason,
        BECAUSE=short_digest(because),
    )


def explain_rows(explanation: dict[str, Any]) -> Table:
    """A row for the decision, and one for each blob of the image."""
    if 'explanation' not in explanation:
        return Table([explanation])
    rows: list[Row] = [
        OrderedDict(
            ITEM=explanation['decision'],
            DIGEST=short_digest(explanation['digest']),
            SIZE=freed_size(explanation['uniqueBytes'], explanation['impact']),
            FREED='',
            USERS='',
            WITH=short_digest(f'{explanation["reason"]}: {explanation["because"]}'),
        )
    ]
    rows += [
        OrderedDict(
            ITEM='blob',
            DIGEST=blob_digest(layer),
            SIZE=human_size(layer['size']),
            FREED='yes' if layer['freed'] else 'no',
            USERS=str(layer['sharedWith'] + 1),
            WITH=short_digest(', '.join(layer['otherUsers'][:2])),
        )
        for layer in sorted(explanation['layers'], key=lambda layer: -int(layer['size']))
    ]
    return Table(rows, columns=('ITEM', 'DIGEST', 'SIZE', 'FREED', 'USERS', 'WITH'))


def report_rows(report: dict[str, Any]) -> Table:
    """A row for each repository, and the total. The shares of the repositories add up to it."""
    if 'registries' in report:
        return registry_rows(report)
    if 'otherRepositories' not in report:
        return Table([report])
    summary = report['summary']
    held = report['heldImpact']
    rows = [
        _report_row(
            row['repository'],
            row,
            freed_size(row['attributedBytes'], row['impact']),
            row.get('attributedFreedBytes'),
            row.get('freedImpact', report['impact']),
        )
        for row in report['repositories']
    ]
    others = report['otherRepositories']
    if others:
        rows.append(
            _report_row(
                f'{count(others["repositories"], "smaller repository")}',
                others,
                freed_size(others['attributedBytes'], held),
                others.get('attributedFreedBytes'),
                report['impact'],
            )
        )
    total = _report_row(
        'total', summary, freed_size(summary['registryBytes'], held), summary['freedBytes'], report['impact']
    )
    return Table(rows, [total], ('REPOSITORY', 'SHARE', 'FREED', 'MANIFESTS', 'UNTAGGED'))


def _report_row(name: str, row: dict[str, Any], share: str, freed: int | None, impact: str) -> Row:
    return OrderedDict(
        REPOSITORY=name,
        MANIFESTS=row['manifests'],
        UNTAGGED=row['manifestsUntagged'],
        SHARE=share,
        FREED='' if freed is None else freed_size(freed, impact),
    )
