"""Patterns over names."""
from __future__ import annotations

import re
from typing import Pattern


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
