"""Ages and durations, in the language of `acr purge`, with longer units too."""

from __future__ import annotations

import re
from fractions import Fraction

from ..model import TICKS_PER_SECOND, parse_ticks

DEFAULT_AGO = '1d'

_NUMBER = r'(\d+\.?\d*|\.\d+)'
_UNIT = '(ms|us|\u00b5s|\u03bcs|ns|h|m|s)'
_DURATION = re.compile(rf'(?=.)(?:(?P<days>\d+)d)?(?P<rest>(?:{_NUMBER}{_UNIT})*)\Z', re.ASCII)
_PART = re.compile(_NUMBER + _UNIT, re.ASCII)
_DATE = re.compile(r'\d{4}-\d\d-', re.ASCII)
SECONDS_PER_DAY = 86_400
_LONG = re.compile(r'(?:(?P<y>\d+)y)?(?:(?P<mo>\d+)mo)?(?:(?P<w>\d+)w)?(?P<rest>.*)\Z', re.ASCII | re.DOTALL)
_DAYS = {'y': 365, 'mo': 30, 'w': 7}
_NANOSECONDS = {
    'h': 3_600 * 10**9,
    'm': 60 * 10**9,
    's': 10**9,
    'ms': 10**6,
    'us': 1_000,
    '\u00b5s': 1_000,
    '\u03bcs': 1_000,
    'ns': 1,
}


def parse_ago(text: str) -> int:
    """Whole seconds, rounded up, of a duration like `30d`, `2d3h6m`, `1h15m`, `1.5h` or `0`.

    Days come first, then the units of Go, as `acr purge` has it. Numbers have no upper end here: `10000000000000d`
    is older than everything, it never overflows into "everything" (Azure/acr-cli#560). Raises ValueError on anything
    else.
    """
    if text == '0':
        return 0
    match = _DURATION.match(text)
    if not match:
        raise ValueError(f"'{text}' is not a duration like 30d, 2d3h6m, 1h15m, 10m or 0")
    rest = sum(Fraction(number) * _NANOSECONDS[unit] for number, unit in _PART.findall(match['rest']))
    return int(match['days'] or 0) * SECONDS_PER_DAY + -(-rest // 10**9)


def is_date(text: str) -> bool:
    """Whether a text begins as a date does, and so is no duration."""
    return bool(_DATE.match(text))


def parse_age_or_date(text: str, now: float) -> int:
    """Whole seconds: of a duration as `parse_age` has it, or since a date, `2026-08-01` in UTC or a time with its zone.

    `now` is in seconds since 1970. Raises ValueError on anything else, and for a date that has not come yet.
    """
    if is_date(text):
        return _seconds_since(text, now)
    try:
        return parse_age(text)
    except ValueError as error:
        raise ValueError(f'{error}, nor a date like 2026-08-01') from None


def _seconds_since(text: str, now: float) -> int:
    ticks = parse_ticks(f'{text}T00:00:00Z' if len(text) == len('2026-08-01') else text)
    if ticks is None:
        raise ValueError(f"'{text}' is not a date like 2026-08-01, or a time like 2026-08-01T06:00:00Z")
    seconds = now - ticks / TICKS_PER_SECOND
    if seconds < 0:
        raise ValueError(f"'{text}' has not come yet")
    return int(seconds)


def parse_age(text: str) -> int:
    """Whole seconds of a duration as `parse_ago` has it, with years, months and weeks before the days.

    `1y2mo`, `2w`, `6mo`. A year has 365 days, a month 30. `m` stays a minute, as in Go. Raises ValueError.
    """
    match = _LONG.match(text)
    if match is None or not text:
        raise ValueError(_not_an_age(text))
    days = sum(int(match[unit] or 0) * days for unit, days in _DAYS.items())
    if not match['rest']:
        return days * SECONDS_PER_DAY
    try:
        return days * SECONDS_PER_DAY + parse_ago(match['rest'])
    except ValueError:
        raise ValueError(_not_an_age(text)) from None


def _not_an_age(text: str) -> str:
    return f"'{text}' is not a duration like 30d, 2w, 6mo, 1y, 2d3h6m or 0"
