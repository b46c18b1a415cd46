"""Questions at a terminal. They go to standard error, so that standard output holds the document alone."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout, suppress

from ..spelling import escaped_lines
from .stopping import nothing_was

_YES = ('y', 'yes')


def ask(question: str, everything: str = '', undone: str = 'changed') -> None:
    """Ask whoever is at the terminal, and return when the answer is yes; `?` shows `everything` first.

    Raises CLIError for any other answer, as az does where somebody declines. A stop meanwhile says that nothing was
    done, in the word `undone`.
    """
    from knack.util import CLIError

    with nothing_was(undone):
        while (said := answer_to(f'{question} (y/N): ').strip().lower()) == '?':
            _show(everything)
    if said not in _YES:
        raise CLIError('Operation cancelled.')


def answer_to(question: str) -> str:
    """What is typed at the terminal; nothing at the end of the input."""
    from knack.prompting import prompt

    with redirect_stdout(sys.stderr), suppress(EOFError):
        return prompt(escaped_lines(question))
    return ''


def _show(text: str) -> None:
    """In the pager of whoever is at the terminal; where standard output is a file, on standard error."""
    text = escaped_lines(text)
    if sys.stdout.isatty():
        from pydoc import pager

        pager(text)
    else:
        print(text, file=sys.stderr)
