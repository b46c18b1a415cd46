"""Text from elsewhere in Markdown, where nothing in it is markup and no pipeline obeys it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..spelling import escaped

_MARKUP = frozenset('\\|`<>*_[]~$&#')


def code(text: str) -> str:
    """Text between backticks, where nothing but these and a bar is markup."""
    return escaped(text).replace('`', "'").replace('|', '\\|')


def cell(text: str) -> str:
    """Text in one line, for a table or a list: nothing in it is markup, nor what a terminal or a pipeline obeys."""
    return ''.join(f'\\{each}' if each in _MARKUP else each for each in escaped(text))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The lines of a table, with an empty line after it; none at all without rows."""
    lines = [f'| {" | ".join(cell(str(each)) for each in row)} |' for row in rows]
    if lines:
        yield f'| {" | ".join(heads)} |'
        yield '|---' * len(heads) + '|'
        yield from lines
        yield ''
