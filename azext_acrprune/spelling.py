"""Text that comes from elsewhere, made safe for a terminal, a log and a document in UTF-8.

A registry, a file or a service may send any characters. Some of them move the cursor, change the direction of the text
that follows, or break a line, and so make one name look like another. All code of ours cleans such text here.
"""

from __future__ import annotations

_LONGEST_NAME = 120
_LONGEST_TEXT = 300


def printable(text: str, longest: int | None = _LONGEST_TEXT) -> str:
    """The text with a question mark for each character that cannot be printed; cut after `longest` characters."""
    kept = text if longest is None else text[:longest]
    shown = kept if kept.isprintable() else ''.join(each if each.isprintable() else '?' for each in kept)
    return shown if len(kept) == len(text) else f'{shown}...'


def visible(text: str) -> str:
    """The text in at most 120 characters, with `\\u{…}` for each character that cannot be printed.

    Two names that differ are shown differently, unless they are longer than that and differ in the middle alone.
    """
    shown = ''.join(each if each.isprintable() else f'\\u{{{ord(each):x}}}' for each in text)
    if len(shown) <= _LONGEST_NAME:
        return shown
    half = _LONGEST_NAME // 2
    return f'{shown[:half]}…{shown[1 - half :]}'


def one_line(text: str, longest: int | None = None) -> str:
    """The words of a message in one line of at most `longest` characters; what cannot be printed ends a word."""
    return ' '.join(''.join(each if each.isprintable() else ' ' for each in text).split())[:longest]
