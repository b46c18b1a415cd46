"""Exit with 1 after a command that has answered, because something was not done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from knack.log import get_logger

from .command import Command

if TYPE_CHECKING:
    from ..model import Document

logger = get_logger(__name__)


def says_unread(document: Document) -> bool:
    """Whether the plan is not of the whole registry because something could not be read; says what."""
    from ..model import UNREAD_REPOSITORY

    unread = [warning for warning in document['warnings'] if warning['code'] == UNREAD_REPOSITORY]
    for warning in unread:
        logger.warning('%s: %s', warning['repository'], warning['message'])
    return bool(unread)


def exit_with_failure(cmd: Command, failure: object) -> None:
    """Let az answer as ever, and exit with 1 after it when something was not done."""
    if failure:
        from knack.events import EVENT_CLI_SUCCESSFUL_EXECUTE

        cmd.cli_ctx.register_event(EVENT_CLI_SUCCESSFUL_EXECUTE, _exit_with_1)


def _exit_with_1(*_: object, **__: object) -> None:
    sys.exit(1)
