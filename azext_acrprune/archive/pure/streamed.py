"""JSON read in pieces, so that a large index takes little memory; and what of a damaged one can be saved. Pure."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

MAX_VALUE_CHARACTERS = 2**26
"""More than any descriptor has: what is larger would take all memory."""

_SPACE = ' \t\n\r'
_DECODER = json.JSONDecoder()
_PIECE = 2**20
_NEXT_LINE = ',\n'
"""What is between the entries of an index that this program wrote."""


class _Text:
    """Text that arrives in pieces. Raises ValueError where it is not JSON in UTF-8."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._pieces = codecs.iterdecode(chunks, 'utf-8')
        self._text = ''
        self._at = 0

    def next_character(self) -> str:
        """The next character that is no space, not taken; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text) or not self._read_on(_PIECE):
                return self._text[self._at : self._at + 1]

    def take(self, *expected: str) -> str:
        """Take one of these characters. Raises ValueError for another one."""
        found = self.next_character()
        if found not in expected or not found:
            raise ValueError(f'{" or ".join(expected)} is missing')
        self._at += 1
        return found

    def skip(self, expected: str) -> bool:
        """Whether exactly this comes next; then it is taken."""
        if not self._text.startswith(expected, self._at):
            return False
        self._at += len(expected)
        return True

    def value(self) -> Any:
        """The next value, whole. What is cut by the end of a piece is read again with twice as much behind it."""
        self.next_character()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                if end < len(self._text) or not self._read_on(_PIECE):  # else a number may go on
                    self._at = min(end, len(self._text))
                    return value
            except ValueError:
                if len(self._text) - self._at > MAX_VALUE_CHARACTERS:
                    raise
                if not self._read_on(len(self._text) - self._at):
                    raise

    def _read_on(self, at_least: int) -> bool:
        """Have more of the text, if there is more."""
        pieces, length = [self._text[self._at :]], 0
        for piece in self._pieces:
            pieces.append(piece)
            length += len(piece)
            if length >= at_least:
                break
        self._text, self._at = ''.join(pieces), 0
        return length > 0


def items_of(chunks: Iterable[bytes], name: str) -> Iterator[tuple[str, Any]]:
    """(key, value) of a JSON object as they come; the items of the list `name` come one by one, each with that name.

    Raises ValueError, also when `name` is missing or is no list; and RecursionError.
    """
    text = _Text(chunks)
    found = False
    text.take('{')
    if text.next_character() != '}':
        while True:
            key = text.value()
            text.take(':')
            if key == name:
                found = True
                yield from ((name, item) for item in _list(text))
            else:
                yield str(key), text.value()
            if text.take(',', '}') == '}':
                break
    if text.next_character() or not found:
        raise ValueError(f'it has no {name}' if not found else 'something follows its end')


def _list(text: _Text) -> Iterator[Any]:
    text.take('[')
    if text.next_character() == ']':
        text.take(']')
        return
    while True:
        yield text.value()
        if not text.skip(_NEXT_LINE) and text.take(',', ']') == ']':
            return


def salvaged(data: bytes, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects with all these keys that are whole somewhere in damaged text."""
    text, wanted, at = data.decode('utf-8', 'replace'), frozenset(keys), 0
    begin = re.compile(r'\{\s*"')
    while match := begin.search(text, at):
        at = match.start() + 1
        try:
            value, end = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        if wanted <= set(value):
            yield value
            at = end
