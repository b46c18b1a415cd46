"""Exit with 1 after a command that has answered, because something was not done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from knack.log import get_logger

from .command import Command

if TYPE_CHECKING:
    from ..model import Document

logger = get_logger(__name__)

_FAILED = 1
_LISTED = 10
_ALARMS, _ENDS = 'acrprune_alarms', 'acrprune_ends'
"""Under which names the texts of `alarm`, and the codes to exit with, are kept for the end of the command."""
NOT_ALL_READ = 'Not all of the registry could be read: the warnings say what.'
NOT_ALL_BACK = 'Not all comes back: "failed" says what, and why.'
_UNDONE = 'Not all was done: the answer and the warnings say what was left.'


def say_unread(document: Document) -> None:
    """Say what could not be read, as far as that fits a screen, for a command without a preview."""
    from ..model import UNREAD_REPOSITORY

    unread = [warning for warning in document['warnings'] if warning['code'] == UNREAD_REPOSITORY]
    for warning in unread[:_LISTED]:
        logger.warning('%s: %s', warning['repository'], warning['message'])
    if len(unread) > _LISTED:
        logger.warning('%s more could not be read: see "warnings" in the document.', f'{len(unread) - _LISTED:,}')


def exit_by(cmd: Command, reason: str, why: str = _UNDONE, in_detail: bool = False) -> int:
    """Let az answer as ever, and exit after it with the code that the `exitReason` of the answer means; gives it.

    Where that is a failure, the last line is an error that says why.
    """
    from ..exit_reasons import code_of

    code = code_of(reason, in_detail)
    if code:
        _after_the_answer(cmd, code, why if code == _FAILED else '')
    return code


def alarm(cmd: Command, text: str) -> None:
    """Have a text in the error with which the command ends, after `exit_with_failure`: there is one error in all."""
    cmd.cli_ctx.data.setdefault(_ALARMS, []).append(text)


def exit_with_failure(cmd: Command, failure: object, why: str = _UNDONE) -> None:
    """Let az answer as ever, and exit with 1 after it when something was not done: the last line is an error."""
    if failure:
        _after_the_answer(cmd, _FAILED, why)


def _after_the_answer(cmd: Command, code: int, why: str = '') -> None:
    """Exit with a code after the answer. Of several, the first failure holds, or else the first one."""
    from knack.events import EVENT_CLI_SUCCESSFUL_EXECUTE

    ends: list[tuple[int, str]] = cmd.cli_ctx.data.setdefault(_ENDS, [])
    ends.append((code, why))

    def end(*_: object, **__: object) -> None:
        code, why = min(ends, key=lambda each: each[0] != _FAILED)
        if why:
            logger.error(' '.join((*cmd.cli_ctx.data.get(_ALARMS, ()), why)))
        sys.exit(code)

    if len(ends) == 1:
        cmd.cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, end)
