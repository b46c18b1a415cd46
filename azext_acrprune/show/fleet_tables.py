"""What a command did in several registries, as rows for `-o table`: a row for each, and the total."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ..exit_reasons import CODES
from ..model import EXACT
from .money import in_currency
from .sizes import freed_size
from .table import Row, Table

_COUNTS = {
    'MANIFESTS': ('manifestsDeleted', 'manifestsToDelete', 'manifests'),
    'TAGS': ('tagsDeleted', 'tagsToDelete'),
    'FINDINGS': ('findings',),
    'BROKEN': ('broken',),
}
"""The numbers by column, each the first of these that the sums over all registries have."""
_SIZES = {'STORED': 'registryBytes', 'UNNEEDED': 'unneededBytes', 'FREES': 'freedBytes'}
_MONEY = {'COST_A_MONTH': 'perMonth', 'SAVES_A_MONTH': 'savedPerMonth'}
_COLUMNS = ('REGISTRY', 'FREES', 'RESULT', 'BROKEN', 'STORED')


def registry_rows(answers: dict[str, Any]) -> Table:
    """A row for each registry that a command went through, those first that need a look, and the total."""
    sums = answers['summary']
    entries = sorted(answers['registries'], key=lambda each: not (each['error'] or CODES[_end_of(each)]))
    rows = [_row(each['registry'], sums, each['result'] or {}, _end_of(each)) for each in entries]
    left_out = f', {sums["notBegun"]} not begun' if sums['notBegun'] else ''
    total = _row('total', sums, {'summary': sums, **sums}, f'{sums["failed"]} failed{left_out}')
    return Table(rows, [total], _COLUMNS, ('RESULT',))


def _end_of(entry: Mapping[str, Any]) -> str:
    return ' '.join(str(entry['error'] or entry['result']['exitReason']).split('\n'))


def _row(name: str, sums: Mapping[str, Any], answer: Mapping[str, Any], end: str) -> Row:
    """One row, with a column for what there is a sum of."""
    summary, cost = answer.get('summary') or {}, answer.get('cost') or {}
    impact = answer.get('impact') or summary.get('impact') or EXACT
    row: Row = OrderedDict(REGISTRY=name)
    for column, keys in _COUNTS.items():
        key = next((key for key in keys if key in sums), None)
        if key:
            row[column] = summary.get(key, '')
    for column, key in _SIZES.items():
        if key in sums:
            kind = impact if key == 'freedBytes' else answer.get('heldImpact', EXACT)
            row[column] = '' if summary.get(key) is None else freed_size(summary[key], kind)
    for column, key in _MONEY.items():
        if sums.get('cost', {}).get(key) is not None:
            row[column] = '' if cost.get(key) is None else in_currency(cost, key)
    row['RESULT'] = end
    return row
