"""Sentences in lines of a width, in which the commands can still be pasted."""

from __future__ import annotations

import re
from textwrap import wrap

_COMMAND = re.compile(r"'az [a-z][^']*'")
_MARK = '\0'
"""Stands for a command while the lines are broken; no text that is shown has it."""
_MARKS = re.compile(f'{_MARK}+')
_AROUND = 2
"""What may stand right before and after a command, as a bracket and a full stop."""


def wrapped(text: str, width: int, first: str = '', indent: str = '') -> list[str]:
    """The text in lines; a command in quotes is on one line, which may be too long for it. There is one at least."""
    commands = iter(_COMMAND.findall(text))
    most = width - _AROUND - max(len(first), len(indent))
    marked = _COMMAND.sub(lambda found: _MARK * max(min(len(found[0]), most), 1), text)
    lines = wrap(
        marked, width, initial_indent=first, subsequent_indent=indent, replace_whitespace=False, break_on_hyphens=False
    )
    return [_MARKS.sub(lambda _: next(commands), line) for line in lines] or ['']
