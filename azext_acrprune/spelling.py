"""Text that comes from elsewhere, made safe for a terminal, a log, a pipeline and a document in UTF-8.

A registry, a file or a service may send any characters. Some of them move the cursor, change the direction of the text
that follows, break a line, or cannot be seen, and so make one name look like another. And pipelines obey what is
printed: Azure Pipelines and TeamCity a line with `##vso[`, `##[` or `##teamcity[`, GitHub Actions one with
`::set-output` and the like. All code of ours makes such text safe here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_LONGEST_NAME = 120
_LONGEST_TEXT = 300

# Characters that have no shape of their own, although Python calls them printable: those of Unicode's property
# Default_Ignorable_Code_Point that are marks or letters. The others are no printable characters for Python either.
_UNSEEN = re.compile('[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]')
_COMMAND = re.compile('#(?=#)|:(?=:)')
"""The first of two signs with which a command to a pipeline begins; `###` has two of them."""
_BEYOND_ASCII = re.compile('[^\x00-\x7e]+')
_ENCODER = json.JSONEncoder(indent=2)
_COMPACT = json.JSONEncoder(separators=(',', ':'))

Sign = Callable[[str], str]
"""What is written in place of a character."""


def printable(text: str, longest: int | None = _LONGEST_TEXT) -> str:
    """The text with a question mark for each character that cannot be printed; cut after `longest` characters."""
    kept = text if longest is None else text[:longest]
    shown = kept if kept.isprintable() else ''.join(each if each.isprintable() else '?' for each in kept)
    return shown if len(kept) == len(text) else f'{shown}...'


def escaped(text: str) -> str:
    """The text in one line, with `\\u{…}` for what is not seen, and for the first sign of a command to a pipeline.

    Two texts that differ are shown differently, unless one of them has such an escape itself.
    """
    if not text.isprintable():
        text = ''.join(each if each.isprintable() else _in_braces(each) for each in text)
    if not text.isascii():
        text = _UNSEEN.sub(lambda found: _in_braces(found[0]), text)
    return _broken(text, _in_braces)


def escaped_lines(text: str) -> str:
    """The text with each of its lines escaped."""
    return '\n'.join(map(escaped, text.split('\n')))


def visible(text: str) -> str:
    """The text escaped, in at most 120 characters: what is longer loses its middle."""
    shown = escaped(text)
    if len(shown) <= _LONGEST_NAME:
        return shown
    half = _LONGEST_NAME // 2
    return f'{shown[:half]}…{shown[1 - half :]}'


def escaped_everywhere(value: Any) -> Any:
    """JSON-ready data with every text and key in it escaped."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, dict):
        return type(value)((escaped_everywhere(key), escaped_everywhere(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return [escaped_everywhere(each) for each in value]
    return value


def is_obeyed(text: str) -> bool:
    """Whether a terminal or a pipeline may do more with a text than to show it."""
    return not text.isprintable() or bool(_COMMAND.search(text)) or not text.isascii() and bool(_UNSEEN.search(text))


def escaped_json(text: str) -> str:
    """A text of JSON that says the same, and has an escape in place of what is obeyed or not seen.

    Outside its strings JSON has neither two such signs in a row nor a character beyond ASCII, so that its structure
    is of no account.
    """
    return _in_quotes(text, _in_json)


def escaped_yaml(text: str) -> str:
    """A text of YAML that says the same, as `escaped_json`, if all texts in it that `is_obeyed` have double quotes."""
    return _in_quotes(text, _in_yaml)


def json_chunks(document: Any) -> Iterator[str]:
    """A document as indented JSON for a file, in pieces, in ASCII, and with nothing in it that is obeyed."""
    return (_in_quotes(chunk, _in_json) for chunk in _ENCODER.iterencode(document))


def json_line(document: Any) -> str:
    """A document as JSON in one line, in ASCII, and with nothing in it that is obeyed."""
    return _in_quotes(_COMPACT.encode(document), _in_json)


def one_line(text: str, longest: int | None = None) -> str:
    """The words of a message in one line of at most `longest` characters; what cannot be printed ends a word."""
    return ' '.join(''.join(each if each.isprintable() else ' ' for each in text).split())[:longest]


def _broken(text: str, sign: Sign) -> str:
    """The text without two signs in a row that begin a command."""
    if '##' in text or '::' in text:  # hardly ever, and a million names are looked at
        return _COMMAND.sub(lambda found: sign(found[0]), text)
    return text


def _in_quotes(text: str, sign: Sign) -> str:
    if not text.isascii() or '\x7f' in text:
        text = _BEYOND_ASCII.sub(lambda found: _seen(found[0], sign), text)
    return _broken(text, sign)


def _seen(text: str, sign: Sign) -> str:
    """A text beyond ASCII with a sign for each character that is not seen."""
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    return ''.join(each if each.isprintable() and not _UNSEEN.match(each) else sign(each) for each in text)


def _in_braces(character: str) -> str:
    return f'\\u{{{ord(character):x}}}'


def _in_json(character: str) -> str:
    units = character.encode('utf-16-be', 'surrogatepass')
    return ''.join(f'\\u{units[place : place + 2].hex()}' for place in range(0, len(units), 2))


def _in_yaml(character: str) -> str:
    number = ord(character)
    return f'\\u{number:04x}' if number < 0x10000 else f'\\U{number:08x}'
