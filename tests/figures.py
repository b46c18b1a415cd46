"""What the tests that try random examples did, as one table at the end of a run: docs/safety.md quotes it.

A test counts what it does; a worker of xdist sends its counts with the report of each test.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

COLUMNS = ('examples', 'runs', 'requests', 'faults', 'changes', 'deletes', 'kills')
"""Random examples; runs of the program that deletes; requests that the local registry got in them, faults among its
answers, changes by a second client between them, manifests that were deleted, and runs that were killed."""
_PROPERTY = 'acrprune figures'
_COUNTED: Counter[str] = Counter()


def count(**numbers: int) -> None:
    """Add to the counts of the test that runs now. The names are those of `COLUMNS`."""
    _COUNTED.update(numbers)


def take(statistics: str | None) -> list[tuple[str, dict[str, int]]]:
    """The counts of the test that ended, as properties of its report; `statistics` are those of hypothesis."""
    counted = Counter(_COUNTED)
    _COUNTED.clear()
    if statistics:
        counted['examples'] += sum(map(int, re.findall(r'(\d+) passing', statistics)))
    return [(_PROPERTY, dict(counted))] if counted else []


def table(reports: Iterable[tuple[str, bool, Iterable[tuple[str, Mapping[str, int]]]]]) -> Iterator[str]:
    """Lines for (file, whether it failed, properties) of each report: a row for each file, and the sums."""
    rows: dict[str, Counter[str]] = {}
    for file, failed, properties in reports:
        for name, numbers in properties:
            if name == _PROPERTY:
                rows.setdefault(file, Counter()).update(tests=1, violations=failed, **numbers)
    if not rows:
        return
    columns = ('tests', *COLUMNS, 'violations')
    cells = [['file', *columns]]
    for file, row in [*sorted(rows.items()), ('all', sum(rows.values(), Counter()))]:
        cells.append([file, *(f'{row[column]:,}' for column in columns)])
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        yield '  '.join(
            cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(zip(row, widths))
        )
