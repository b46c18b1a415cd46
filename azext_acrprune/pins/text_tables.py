"""Tables in plain text: of docker, crictl, ctr, kubectl and az, CSV files with a header, and tables of Markdown."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

_COLUMNS = frozenset(
    [
        'repository',
        'tag',
        'tags',
        'digest',
        'image',
        'images',
        'registry',
        'version',
        'ref',
        'name',
        'imagetag',
        'imagename',
        'container',
        'reference',
        'server',
        'repositories',
        'imagerepository',
        'imagedigest',
    ]
)
_STRONG = frozenset(['repository', 'tag', 'digest', 'image', 'images', 'ref', 'imagetag', 'reference', 'tags'])
_WORD = re.compile(r'\S+(?: \S+)*')
_DIGEST = re.compile(r'(?:sha256:)?[0-9a-f]{64}\Z')
_HOST = re.compile(r'\.\w+/')
_RULE = re.compile(r'[\s|:=+-]+\Z')
_DELIMITERS = (',', ';', '\t', '|')
_MOST_LINES_BEFORE = 40
_MOST_TABLES = 100
_RENAMED = {'images': 'image', 'ref': 'image', 'tags': 'tag', 'repositories': 'repository', 'reference': 'image'}


@dataclass(frozen=True)
class Rows:
    """(number of the line, {column: text}) of each row; `first` is the line of the header, `end` comes after all."""

    first: int
    end: int
    entries: tuple[tuple[int, dict[str, str]], ...]


def tables_of(lines: Sequence[str]) -> list[Rows]:
    """All tables in a text; what is between them is short."""
    found: list[Rows] = []
    while len(found) < _MOST_TABLES:
        table = _next_table(lines, found[-1].end if found else 0)
        if table is None:
            break
        found.append(table)
    return found


def _next_table(lines: Sequence[str], start: int) -> Rows | None:
    for number, line in enumerate(lines[start : start + _MOST_LINES_BEFORE], start):
        for delimiter in (*_DELIMITERS, ''):
            header = _columns(line, delimiter) if delimiter in line else []
            names = [_name(column) for column, _ in header]
            if len(names) > 1 and any(name in _STRONG for name in names) and _is_header(line, names):
                return _rows(lines, number, delimiter, header)
    return None


def _is_header(line: str, names: Sequence[str]) -> bool:
    """A header names columns, and no image."""
    known = sum(name in _COLUMNS for name in names)
    return not _HOST.search(line) and '=' not in line and (known > 1 or line.strip().isupper() or '|' in line)


def _rows(lines: Sequence[str], number: int, delimiter: str, header: Sequence[tuple[str, int]]) -> Rows:
    entries = []
    end = number + 1
    for at in range(number + 1, len(lines)):
        line = lines[at]
        end = at
        if not line.strip() or delimiter == '|' and '|' not in line:
            break
        end = at + 1
        if not _RULE.match(line):
            row = _row(line, delimiter, header)
            if row:
                entries.append((at, row))
    return Rows(number, end, tuple(entries))


def _row(line: str, delimiter: str, header: Sequence[tuple[str, int]]) -> dict[str, str]:
    cells = _columns(line, delimiter)
    if len(cells) != len(header) and not delimiter:
        cells = _by_place(line, header)
    found: dict[str, str] = {}
    untagged = False
    for (name, _), (text, _) in zip(header, cells, strict=False):
        text, key = text.strip('`" '), _name(name)
        key = _RENAMED.get(key, key)
        untagged = untagged or key == 'tag' and text.startswith('<none')
        if text and text != '-' and not text.startswith('<none'):
            found[key] = text
    if untagged and 'digest' not in found and 'image' in found:  # it is no image `latest`
        found['repository'], found['tag'] = found.pop('image'), '<none>'
    return _plausible(found)


def _plausible(row: dict[str, str]) -> dict[str, str]:
    """A row without a digest that was cut off for the eye, and none at all of another registry."""
    if 'tag' in row and 'digest' in row and not _DIGEST.match(row['digest']):
        del row['digest']
    if 'repository' in row and '/' not in row['repository'] and 'registry' not in row:
        del row['repository']
    return row


def _columns(line: str, delimiter: str) -> list[tuple[str, int]]:
    """(text, where it begins) of each cell."""
    if delimiter == '|':
        return [(cell.strip(), 0) for cell in line.strip().strip('|').split('|')]
    if delimiter:
        try:
            return [(cell.strip(), 0) for cell in next(csv.reader([line], delimiter=delimiter), [])]
        except csv.Error:
            return []
    return [(match.group(), match.start()) for match in _WORD.finditer(line)]


def _by_place(line: str, header: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The cells of a row in which some are empty, or only one blank apart: each belongs to the column it begins in."""
    starts = [start for _, start in header]
    cells = ['' for _ in header]
    for match in re.finditer(r'\S+', line):
        column = max((number for number, start in enumerate(starts) if start <= match.start()), default=0)
        cells[column] = f'{cells[column]} {match.group()}'.strip()
    return [(cell, 0) for cell in cells]


def _name(column: str) -> str:
    return re.sub('[^a-z0-9]', '', column.lower())
