"""Tables of the commands about policies."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any


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
