"""A table for `-o table`, laid out for where it goes. Pure.

At a terminal a table is as wide as that: the columns that matter most are there, long texts in them are cut, and what
is left out is said. Elsewhere, in a pipe or a file, nothing is cut, as with az's own tables. In both, the largest rows
are shown, and a line says how many there are besides.
"""

from __future__ import annotations

import shlex
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .wrapping import wrapped

Row = dict[str, Any]

TABLE_ROWS = 50
BELOW = 'BELOW'
"""Not a column: what is shown below a row, as a command to paste or as sentences, or a list of lines as they are."""

_GAP = 2
_PADDING = 2
"""So much wider than its heading is a column at least, in a table of tabulate's."""
_INDENT = '    '
_ELLIPSIS = '…'
_NAMES = ('REPOSITORY', 'IMAGE', 'REGISTRY', 'BASE_IMAGE')
"""Columns whose texts are cut in the middle: both ends of a name tell something."""
_TEXTS = ('TAG', 'TAGS', 'REASON', 'BECAUSE', 'WITH', 'WHY', 'RULE', 'USED_BY', 'PINNED_BY', 'PATTERN')
_SENTENCES = ('MESSAGE', 'PROBLEM', 'WHAT', 'ENDED_UTC', 'COMMAND', 'WHO')
"""Other columns that may be cut, at the end. Sizes, times and digests are whole, or they are not shown."""
_SHORT_SUM = 20
"""What is longer in a row with a sum makes no column wider."""
_LEAST = 10
"""How narrow a column becomes that is cut; names have three tenths of the terminal."""


class Table(list[Row]):
    """The rows of a table, those with the most bytes first, and below them `sums`, which are always shown.

    `columns` are headings by importance; others come after them in the order in which they stand. A column that is
    `below` goes below its row where it does not fit.
    """

    def __init__(
        self, rows: Iterable[Row], sums: Iterable[Row] = (), columns: Sequence[str] = (), below: Collection[str] = ()
    ) -> None:
        self.sums = list(sums)
        super().__init__((*rows, *self.sums))
        self.columns = columns
        self.below = below


@dataclass(frozen=True)
class Layout:
    """What is printed: the rows, lines to put below some of them, by their number, and notes on what is left out."""

    rows: list[Row]
    below: dict[int, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def with_lines_below(self, text: str) -> str:
        """The text of the table, as az makes it, with the lines that go below rows."""
        if not self.below:
            return text
        heading, rule, *lines = text.split('\n')
        found = [heading, rule]
        for number, line in enumerate(lines):
            found += [line, *self.below.get(number, ())]
        return '\n'.join(found)


def laid_out(table: Table, top: int = TABLE_ROWS, width: int | None = None) -> Layout:
    """The table with `top` rows, all where that is 0, for a terminal that is so wide, or for none."""
    number = len(table) - len(table.sums)
    rows = table[:top] if top and number > top else table[:number]
    left = number - len(rows)
    notes = [f'{left:,} more {"row" if left == 1 else "rows"}: --top 0 shows all.'] if left else []
    shown = [*rows, *table.sums]
    if width is None:
        below = {at: list(_below(row, None)) for at, row in enumerate(shown) if row.get(BELOW)}
        return Layout([_without_below(row) for row in shown], below, notes)
    return _in_columns(table, rows, shown, width, notes)


def _in_columns(table: Table, rows: Sequence[Row], shown: Sequence[Row], width: int, notes: list[str]) -> Layout:
    widths = _widths(table, rows, shown, width)
    missing = [name for name in _headings(shown) if name not in widths and name not in table.below]
    if missing:
        notes.append(
            f'Not shown in {width} columns: {", ".join(missing)}. A wider terminal, a pipe or -o json has all.'
        )
    fitted: list[Row] = []
    below = {}
    for at, row in enumerate(shown):
        cut, lines = _fitted(row, widths, table.below, at >= len(rows), width)
        fitted.append(cut)
        if lines:
            below[at] = lines
    return Layout(fitted, below, notes)


def _headings(rows: Sequence[Row]) -> list[str]:
    return [name for name in dict.fromkeys(name for row in rows for name in row) if name != BELOW]


def _without_below(row: Row) -> Row:
    return OrderedDict((name, cell) for name, cell in row.items() if name != BELOW)


def _widths(table: Table, rows: Sequence[Row], shown: Sequence[Row], width: int) -> dict[str, int]:
    """The width of each column that is shown: the least that each needs, by importance, and then what is left."""
    names = _headings(shown)
    longest = {name: max(len(name) + _PADDING, *(len(_text(row, name)) for row in shown)) for name in names}
    if sum(longest.values()) + _GAP * (len(names) - 1) <= width:
        return longest
    needed = {
        name: max(
            len(name) + _PADDING,
            *(len(_text(row, name)) for row in rows),
            *(size for row in table.sums if (size := len(_text(row, name))) <= _SHORT_SUM),
        )
        for name in names
    }
    ranked = sorted(names, key=lambda name: table.columns.index(name) if name in table.columns else len(names))
    chosen: dict[str, int] = {}
    left = width + _GAP
    for name in ranked:
        least = needed[name] if name in table.below else min(needed[name], _least_of(name, needed[name], width))
        if least + _GAP <= left or not chosen:
            chosen[name] = min(least, width)
            left -= chosen[name] + _GAP
    for name in ranked:
        if name in chosen and left > 0:
            more = min(left, needed[name] - chosen[name])
            chosen[name] += more
            left -= more
    return {name: chosen[name] for name in names if name in chosen}


def _least_of(name: str, needed: int, width: int) -> int:
    if name not in (*_NAMES, *_TEXTS, *_SENTENCES):
        return needed
    return max(len(name) + _PADDING, width * 3 // 10 if name in _NAMES else _LEAST)


def _text(row: Row, name: str) -> str:
    return str(row.get(name, ''))


def _fitted(
    row: Row, widths: Mapping[str, int], below: Collection[str], is_sum: bool, width: int
) -> tuple[Row, list[str]]:
    """(the row, the lines below it). A sum that does not fit is told below its row."""
    whole = all(len(_text(row, name)) <= widths[name] for name in widths)
    if is_sum and not whole:
        first = next(iter(row))
        kept = first if len(_text(row, first)) <= widths.get(first, 0) else ''
        told = ', '.join(text for name in _headings([row]) if name != kept and (text := _text(row, name)).strip())
        return OrderedDict((name, row[name] if name == kept else '') for name in widths), _sentences(told, width)
    lines = [line for name in below if name not in widths for line in _sentences(_text(row, name), width)]
    lines += _below(row, width)
    return OrderedDict((name, _cut(name, row, widths[name])) for name in widths), lines


def _cut(name: str, row: Row, width: int) -> Any:
    """The cell as it is where it fits, for az puts numbers to the right."""
    text = _text(row, name)
    if len(text) <= width:
        return row.get(name, '')
    if name not in _NAMES:
        return text[: width - 1] + _ELLIPSIS
    head = (width - 1) // 2
    return text[:head] + _ELLIPSIS + text[len(text) - (width - 1 - head) :]


def _below(row: Row, width: int | None) -> Iterator[str]:
    text = row.get(BELOW)
    if not text:
        return
    if isinstance(text, list):
        yield from text
    elif width is None:
        yield _INDENT + str(text)
    elif str(text).startswith('az '):
        yield from (_INDENT + line for line in command_lines(str(text), width - len(_INDENT)))
    else:
        yield from _sentences(str(text), width)


def _sentences(text: str, width: int) -> list[str]:
    return wrapped(text, width, _INDENT, _INDENT)


def command_lines(command: str, width: int) -> list[str]:
    """A command in lines that can be pasted as they are: all but the last end with a backslash.

    An option stays with its value. A word that is too long for a line is not broken, for it would be another one.
    """
    parts: list[str] = []
    for word in map(shlex.quote, shlex.split(command)):
        if parts and (word.startswith('-') or not parts[-1].startswith('-') or ' ' in parts[-1]) and len(parts[-1]) > 3:
            parts.append(word)
        else:
            parts[-1:] = [f'{parts[-1]} {word}' if parts else word]
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) <= width - 2:
            lines[-1] += f' {part}'
        else:
            lines.append(part)
    return [*(f'{line} \\' for line in lines[:-1]), lines[-1]]
