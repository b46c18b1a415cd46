"""Shares of a whole, as numbers and as bars."""

from __future__ import annotations

from typing import Any

_WIDTH = 20
_BLOCKS = ' ▏▎▍▌▋▊▉█'


def percent(part: int, whole: int) -> str:
    """`12.3 %`; what is there is never 0."""
    value = 100 * part / whole if whole else 0
    return f'{value:.1f} %' if value >= 0.1 or not part else 'under 0.1 %'


def share_bar(part: int, whole: int, encoding: Any) -> str:
    """A bar of 20 columns for the whole, in eighths of a column where an encoding has these, else in whole ones.

    What is there is never without a bar.
    """
    steps = len(_BLOCKS) - 1 if _can_say(_BLOCKS, encoding) else 1
    length = min(_WIDTH * steps, max(part > 0, (2 * _WIDTH * steps * part + whole) // (2 * whole))) if whole else 0
    if steps == 1:
        return '#' * length
    return _BLOCKS[-1] * (length // steps) + _BLOCKS[length % steps].strip()


def _can_say(text: str, encoding: Any) -> bool:
    try:
        text.encode(encoding or 'ascii')
        return True
    except (LookupError, UnicodeError):
        return False
