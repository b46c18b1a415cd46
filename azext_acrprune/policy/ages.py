"""Ages and durations, in the language of `acr purge`."""
from __future__ import annotations

import re

DEFAULT_AGO = '1d'

_DURATION = re.compile(r'(?=.)(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?\Z')
_SECONDS = {'d': 86_400, 'h': 3_600, 'm': 60, 's': 1}


def parse_ago(text: str) -> int:
    """Seconds of a duration like `30d`, `2d3h6m`, `1h15m`, `10m` or `0`; days first, as `acr purge` has it.

    Whole numbers have no upper end here: `10000000000000d` is older than everything, it never overflows into
    "everything" (Azure/acr-cli#560). Raises ValueError on anything else.
    """
    if text == '0':
        return 0
    match = _DURATION.match(text)
    if not match:
        raise ValueError(f"'{text}' is not a duration like 30d, 2d3h6m, 1h15m, 10m or 0")
    return sum(int(number) * _SECONDS[unit] for unit, number in match.groupdict().items() if number)
