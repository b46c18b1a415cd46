"""Tables of the commands about policies."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .sizes import short_digest


def policy_test_rows(document: dict[str, Any]) -> list[OrderedDict[str, Any]]:
    """A row for each test, and one for each surprise below it."""
    rows: list[OrderedDict[str, Any]] = []
    for test in document['tests']:
        outcome = 'passed' if test['passed'] else 'FAILED'
        rows.append(OrderedDict(TEST=test['name'], OUTCOME=outcome, IMAGE='', EXPECTED='', FOUND='', WHY=''))
        for failure in test['failures']:
            chain = '; '.join(failure['chain'])
            row = OrderedDict(TEST='', OUTCOME='', IMAGE=failure['image'], EXPECTED=failure['expected'])
            row.update(FOUND=failure['found'], WHY=chain)
            rows.append(row)
    return rows


def policy_diff_rows(document: dict[str, Any]) -> list[OrderedDict[str, Any]]:
    """A row for each image or tag of which two policies think otherwise."""
    return [
        OrderedDict(
            NOW='goes' if key == 'goes' else 'stays',
            REPOSITORY=row['repository'],
            DIGEST=short_digest(row['digest']),
            TAGS=', '.join(row['tags']),
            RULE=row['new' if key == 'goes' else 'old']['rule'] or '',
            WHY=row['new']['because'],
        )
        for key in ('goes', 'stays')
        for row in document[key]
    ]
