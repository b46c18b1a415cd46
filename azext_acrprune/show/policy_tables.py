"""Tables of the commands about policies, and the difference of two policies as Markdown, for a pull request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from .markdown import cell, code
from .sizes import freed_size, short_digest
from .table import Row, Table

_MOST_ROWS = 100


def policy_explain_rows(document: dict[str, Any]) -> Table:
    """A row for each sentence, in the order in which they hold."""
    rows = (OrderedDict(STEP=step, MEANS=told) for step, told in enumerate(document['sentences'], 1))
    return Table(rows, below=('MEANS',))


def policy_test_rows(document: dict[str, Any]) -> Table:
    """A row for each test, and one for each surprise below it; those that failed are the first, and the sum is last."""
    rows: list[Row] = []
    for test in sorted(document['tests'], key=lambda test: bool(test['passed'])):
        outcome = 'passed' if test['passed'] else 'FAILED'
        rows.append(OrderedDict(TEST=test['name'], OUTCOME=outcome, IMAGE='', EXPECTED='', FOUND='', WHY=''))
        for failure in test['failures']:
            chain = '; '.join(failure['chain'])
            row = OrderedDict(TEST='', OUTCOME='', IMAGE=failure['image'], EXPECTED=failure['expected'])
            row.update(FOUND=failure['decided'], WHY=chain)
            rows.append(row)
    summary = document['summary']
    outcome = f'{summary["passed"]} passed, {summary["failed"]} failed'
    return Table(rows, [OrderedDict(TEST='total', OUTCOME=outcome, IMAGE='', EXPECTED='', FOUND='', WHY='')])


def policy_diff_rows(document: dict[str, Any]) -> Table:
    """A row for each image or tag of which two policies think otherwise."""
    rows = (
        OrderedDict(
            NOW=key,
            REPOSITORY=row['repository'],
            DIGEST=short_digest(row['digest']),
            TAGS=', '.join(row['tags']),
            RULE=row['old' if key == 'stays' else 'new']['rule'] or '',
            WHY=row['new']['because'],
        )
        for key in ('goes', 'retires', 'stays')
        for row in document[key]
    )
    return Table(rows, columns=('NOW', 'REPOSITORY', 'DIGEST', 'RULE', 'TAGS', 'WHY'))


def diff_markdown(document: dict[str, Any]) -> str:
    """A page with the bytes, what goes and what stays otherwise, and by which rules."""
    summary = document['summary']
    freed = {name: freed_size(summary[f'{name}FreedBytes'], summary[f'{name}Impact']) for name in ('old', 'new')}
    difference = summary['moreFreedBytes']
    lines = [
        f'### What changes in `{code(document["registry"])}`',
        '',
        f'The plan frees {freed["new"]} in place of {freed["old"]}: '
        f'{freed_size(abs(difference), summary["moreImpact"])} {"more" if difference >= 0 else "less"}.',
        '',
        *(f'- Weaker than before: {cell(each)}' for each in document['weaker']),
        *([''] if document['weaker'] else []),
        *_table('Goes now', document['goes'], 'new'),
        *(_table('Cannot be pulled now', document['retires'], 'new') if document['retires'] else ()),
        *_table('Stays now', document['stays'], 'old'),
    ]
    return '\n'.join(lines)


def _table(title: str, rows: list[dict[str, Any]], taker: str) -> Iterator[str]:
    yield f'#### {title}: {len(rows)}'
    yield ''
    if not rows:
        return
    yield f'| image | tags | rule of the {taker} policy | why, now |'
    yield '|---|---|---|---|'
    for row in rows[:_MOST_ROWS]:
        image = f'{row["repository"]}@{short_digest(row["digest"])}'
        tags, rule, why = ', '.join(row['tags']), row[taker]['rule'] or '', row['new']['because']
        yield f'| `{code(image)}` | {cell(tags)} | {cell(rule)} | {cell(why)} |'
    if len(rows) > _MOST_ROWS:
        yield f'| and {len(rows) - _MOST_ROWS} more | | | |'
    yield ''
