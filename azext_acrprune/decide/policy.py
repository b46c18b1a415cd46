"""What the user asked for, as data, and the small languages in which they ask."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Pattern, Tuple

DEFAULT_AGO = '1d'

_DURATION = re.compile(r'(?=.)(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+)s)?\Z')
_SECONDS = {'d': 86_400, 'h': 3_600, 'm': 60, 's': 1}


@dataclass(frozen=True)
class UntaggedPolicy:
    """Which untagged manifests may go.

    `ago` is as given (`1d`), `ago_seconds` what it means. `repositories` are glob patterns; none means all.
    `keep` is how many of the newest untagged images stay in each repository.
    """

    ago: str = DEFAULT_AGO
    ago_seconds: int = _SECONDS['d']
    keep: int = 0
    repositories: Tuple[str, ...] = ()


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


def repository_pattern(glob: str) -> Pattern[str]:
    """A glob over repository names: `*` and `?` stay inside one namespace, `**` crosses them.

    `team-a/**` is everything below `team-a/`; `**/web` is `web` in any namespace and at the top.
    """
    pieces = {'**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]'}
    parts = re.split(r'(\*\*/|\*\*|\*|\?)', glob)
    return re.compile(''.join(pieces.get(part, re.escape(part)) for part in parts) + r'\Z')


def is_literal(glob: str) -> bool:
    """Whether a pattern can only ever match the repository of that very name."""
    return not set(glob) & set('*?')
