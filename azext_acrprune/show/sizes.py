"""Bytes, shares of a whole, ages and digests as people read them."""

from __future__ import annotations

import re
from typing import Any

from ..model import BOUNDS, TICKS_PER_SECOND, UPPER_BOUND
from ..spelling import visible

_DIGEST = re.compile(r'(sha256[:-][0-9a-f]{12})[0-9a-f]{52}')
_UNITS = ('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')
_NAMED = 10
_BAR_WIDTH = 20
_BLOCKS = ' ▏▎▍▌▋▊▉█'
_PERIODS = ((86_400, 'd'), (3_600, 'h'), (60, 'm'))


def human_size(size: int) -> str:
    """`1.4 GiB`; binary units, since registries are billed by the GiB."""
    value = float(size)
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            return f'{value:.0f} {unit}' if unit == 'B' else f'{value:.1f} {unit}'
        value /= 1024
    raise AssertionError('the last unit always fits')


def freed_size(size: int, impact: str) -> str:
    """A size as far as it is known: `1.4 GiB`, or `at most`, `at least` or `about` so much; at most 0 is 0."""
    return human_size(size) if impact == UPPER_BOUND and not size else f'{BOUNDS[impact]}{human_size(size)}'


def human_age(updated_at: int | None, now: int) -> str:
    """An age such as `42d`, `7h` or `3m`. `?` without a readable time. Instants are ticks."""
    if updated_at is None:
        return '?'
    seconds = max(0, now - updated_at) // TICKS_PER_SECOND
    for period, unit in _PERIODS:
        if seconds >= period:
            return f'{seconds // period}{unit}'
    return f'{seconds}s'


def short_digest(text: str) -> str:
    """The text with each digest, or tag made of one, cut to its first 12 hex digits, as docker does."""
    return _DIGEST.sub(r'\1', text)


def blob_digest(layer: dict[str, Any]) -> str:
    """The digest of a config or layer, made visible: a manifest may have any text in its place."""
    return visible(short_digest(layer['digest']))


def used_by(layer: dict[str, Any]) -> str:
    """`used by team-a/api:v3 and 41 others`: the images that keep a layer."""
    others = layer['imagesKept'] - 1
    more = f' and {others:,} {"other" if others == 1 else "others"}' if others else ''
    return f'used by {short_digest(layer["users"][0])}{more}'


def not_read_line(names: list[str]) -> str:
    """A sentence that names what was not read: `not_read` of a document is not empty."""
    more = f', and {len(names) - _NAMED:,} more' if len(names) > _NAMED else ''
    shown = ', '.join(visible(short_digest(name)) for name in names[:_NAMED])
    return f'Not read, so that the numbers are bounds and not exact: {shown}{more}.'


def count(number: int, noun: str) -> str:
    """`1 manifest`, `2 manifests`."""
    plural = f'{noun[:-1]}ies' if noun.endswith('y') else f'{noun}es' if noun.endswith('sh') else f'{noun}s'
    return f'{number} {noun if number == 1 else plural}'


def percent(part: int, whole: int) -> str:
    """A share as `12.3 %`. A share above zero is never shown as zero."""
    value = 100 * part / whole if whole else 0
    return f'{value:.1f} %' if value >= 0.1 or not part else 'under 0.1 %'


def share_bar(part: int, whole: int, encoding: Any) -> str:
    """A bar, 20 columns long for the whole. A share above zero always has a bar.

    It is drawn in eighths of a column if the encoding has characters for these, else in whole columns.
    """
    steps = len(_BLOCKS) - 1 if _can_say(_BLOCKS, encoding) else 1
    length = (
        min(_BAR_WIDTH * steps, max(part > 0, (2 * _BAR_WIDTH * steps * part + whole) // (2 * whole))) if whole else 0
    )
    if steps == 1:
        return '=' * length
    return _BLOCKS[-1] * (length // steps) + _BLOCKS[length % steps].strip()


def _can_say(text: str, encoding: Any) -> bool:
    try:
        text.encode(encoding or 'ascii')
        return True
    except (LookupError, UnicodeError):
        return False
