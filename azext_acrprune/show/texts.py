"""Texts of a registry as they can be shown anywhere."""

from __future__ import annotations

_LONGEST = 120


def visible(text: str) -> str:
    """The text, not too long and each character of it visible: those that turn the direction of what follows, move a
    cursor or break lines make a name look like another."""
    shown = ''.join(each if each.isprintable() else f'\\u{{{ord(each):x}}}' for each in text)
    return shown if len(shown) <= _LONGEST else f'{shown[: _LONGEST // 2]}…{shown[1 - _LONGEST // 2 :]}'
