"""Nothing goes unless somebody looked at it, or said that nobody needs to."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import NoTTYError, ValidationError
from knack.log import get_logger

from ..prune_error import PruneError
from .command import Command
from .options import LimitOptions
from .questions import answer_to, ask

if TYPE_CHECKING:
    from ..decide.decision import Decision
    from ..model import Document
    from ..show.preview import Left

logger = get_logger(__name__)

_ASK = 'Delete them? {} (? lists them all)'
_FOR_EVER = 'Deleted image data cannot be recovered.'
_ARCHIVED = 'They are archived first, and can be restored from there.'
_SOFT_DELETED = 'They can be restored for {} days.'
_ASK_UNTAG = 'Remove these tags?{} (? lists them all)'
_AT_ONCE = ' The registry deletes {} of the images that lose their last tag at once: there is no way back.'
_IN_DAYS = ' The registry deletes {} of the images that lose their last tag in {} days.'
_PERHAPS = ' The registry may delete {} of the images that lose their last tag, perhaps at once.'
_ASK_RETIRE = 'Retire them? Pulls of them fail then. (? lists them all)'
_CONFIRMATION_WORD = 'unlock'
_QUESTION_LINES = 2
_LABEL_COLUMNS = len('WARNING: ')
"""What az puts before a message where it has no colours."""


def refuse_without_consent(cmd: Command, yes: bool) -> None:
    if not is_confirmed(cmd, yes) and not (sys.stdin and sys.stdin.isatty()):
        raise NoTTYError(
            'Nobody can be asked before deleting: there is no terminal.',
            recommendation='Use --yes to delete without a question, or --dry-run to see the plan.',
        )


def is_confirmed(cmd: Command, yes: bool) -> bool:
    return yes or cmd.cli_ctx.config.getboolean('core', 'disable_confirm_prompt', fallback=False)


def hold_consent(cmd: Command, document: Document, yes: bool, archived: bool = False, left: Left | None = None) -> None:
    """Show what would happen, and return when that was agreed to; `left` is that of a plan that was made before.

    Raises CLIError where somebody declines, and ValidationError where locks were not confirmed.
    """
    from ..exit_reasons import changes_nothing
    from ..show.preview import full_list, has_locked

    if is_confirmed(cmd, yes) or changes_nothing(document):
        logger.warning(_preview(document, _LABEL_COLUMNS, left=left))
        return
    print(_preview(document, lines_after=_QUESTION_LINES, left=left), file=sys.stderr)
    ask(_question(document, archived), full_list(document), 'deleted')
    if has_locked(document) and answer_to(f"Type '{_CONFIRMATION_WORD}' to take off the locks: ") != _CONFIRMATION_WORD:
        raise ValidationError(
            'What is locked was not confirmed, and nothing was deleted.',
            recommendation=f"Type '{_CONFIRMATION_WORD}' when asked, or leave out --include-locked.",
        )


def say_plan(cmd: Command, document: Document, left: Left | None = None) -> None:
    """The same below the answer of a command that only shows the plan, so that it stays on the screen."""
    cmd.cli_ctx.output.say_below(_preview(document, _LABEL_COLUMNS, left=left))


def _preview(document: Document, columns_before: int = 0, lines_after: int = 0, left: Left | None = None) -> str:
    """The preview, so that it and so many lines after it fit the terminal; elsewhere lines are as long as they are."""
    from ..show.preview import Screen, preview_lines

    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
    return '\n'.join(preview_lines(document, Screen(width, columns_before, lines_after), left))


def _question(document: Document, archived: bool) -> str:
    later = _after_untagging(document, archived)
    if not document['delete']:
        only_retires = document.get('retire') and not document['untag']
        return _ASK_RETIRE if only_retires else _ASK_UNTAG.format(later)
    days = document['summary']['softDeleteRetentionDays']
    if archived:
        return _ASK.format(_ARCHIVED)
    return _ASK.format((_SOFT_DELETED.format(days) if days else _FOR_EVER) + later)


def _after_untagging(document: Document, archived: bool) -> str:
    """What the registry itself does after the tags are gone, as a sentence for the question."""
    summary, later = document['summary'], len(document.get('deleteLater', ()))
    if not later:
        return ''
    if archived:
        return f' {_ARCHIVED}'
    if not summary['retentionKnown']:
        return _PERHAPS.format(later)
    days = summary['retentionDays']
    return _IN_DAYS.format(later, days) if days else _AT_ONCE.format(later)


def hold_to_limits(decision: Decision, options: LimitOptions | None, confirmed: bool) -> None:
    """Raise when more would go than is allowed, by the options, by the policy, or without anybody looking at it.

    Commands without these options have no limits.
    """
    from ..decide.decision import first_excess
    from ..policy.file import limits_of
    from ..policy.rules import PERCENT_WITHOUT_A_QUESTION, Limits

    if options is None:
        return
    of_policy = limits_of(decision.given.get('file', {}))
    percent = options.max_percent if options.max_percent is not None else of_policy.percent
    if percent is None and confirmed:
        percent = PERCENT_WITHOUT_A_QUESTION
    excess = first_excess(decision, Limits(options.max_deletions, of_policy.manifests, percent))
    if excess:
        raise PruneError(
            f'Nothing was deleted, because {excess}.',
            'Look at the plan, and allow more with --max-percent or --max-deletions.',
        )
