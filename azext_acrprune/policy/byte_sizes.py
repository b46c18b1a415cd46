"""Sizes in a policy file."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_UNITS = {'': 1, 'B': 1, 'KiB': 2**10, 'MiB': 2**20, 'GiB': 2**30, 'TiB': 2**40}
_SIZE = re.compile(r'(\d+(?:\.\d+)?) ?(|B|KiB|MiB|GiB|TiB)\Z', re.ASCII)


def parse_size(value: Any) -> int:
    """Bytes of `5`, `5 MiB` or `1.5GiB`. Raises ValueError."""
    match = _SIZE.match(str(value))
    if not match:
        raise ValueError(f"'{value}' is not a size; expected bytes, or a number with KiB, MiB, GiB or TiB")
    return int(Fraction(match[1]) * _UNITS[match[2]])
