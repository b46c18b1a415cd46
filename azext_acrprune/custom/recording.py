"""What tells what a run did: a summary for people and metrics for Prometheus, in whatever way the run ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import AzCLIError, ManualInterrupt, ResourceNotFoundError
from knack.log import get_logger

from ..spelling import one_line
from .command import Command
from .failures import exit_with_failure
from .journaling import read_journal
from .options import RecordOptions, RegistryOptions, SignInOptions
from .session import Session
from .states import name_of_state
from .user_files import append_text, beside, refuse_unwritable, replace_text

if TYPE_CHECKING:
    from ..model import Document
    from ..show.ended_run import EndedRun

logger = get_logger(__name__)


@dataclass
class RunRecord:
    """What is known of a run until now. A command fills it in as it goes on.

    `exit_code` is that of a run which no error ends.
    """

    session: Session | None = None
    plan: Document | None = None
    result: Document | None = None
    plan_file: str | None = None
    archive: str | None = None
    undo: Document | None = None
    exit_code: int = 0


@contextmanager
def recorded(cmd: Command, sign_in: SignInOptions, options: RecordOptions) -> Iterator[RunRecord]:
    """What the command fills in is written to where it was asked for, after its end, also that by an error.

    A file that cannot be written is an error before anything is done, and afterwards a warning and exit code 1: the
    answer must not be lost then.
    """
    if options.summary_file:
        refuse_unwritable(options.summary_file)
    if options.metrics_file:
        refuse_unwritable(beside(options.metrics_file))
    record, began = RunRecord(), time.monotonic()
    try:
        yield record
    except BaseException as error:
        _write(cmd, sign_in, options, _ended(cmd, sign_in, record, began, error))
        raise
    _write(cmd, sign_in, options, _ended(cmd, sign_in, record, began))


def _ended(
    cmd: Command, sign_in: SignInOptions, record: RunRecord, began: float, error: BaseException | None = None
) -> EndedRun:
    from ..show.ended_run import EndedRun

    calls = record.session.calls if record.session else None
    recommendations = getattr(error, 'recommendations', None) or ()
    return EndedRun(
        command=f'az {cmd.name}',
        registry=sign_in.registry_name,
        target=tuple(sign_in.target),
        plan=record.plan,
        result=record.result,
        error='' if error is None else one_line(str(error)) or 'the run was interrupted.',
        advice=one_line(' '.join(map(str, recommendations))),
        plan_file=record.plan_file,
        archive=record.archive,
        undo=record.undo,
        ended_at=time.time(),
        seconds=time.monotonic() - began,
        calls=calls.sent if calls else 0,
        refused=calls.refused if calls else 0,
        interrupted=_is_interrupted(record, error),
        exit_code=record.exit_code if error is None else _exit_code(error),
    )


def undo_of_run(cmd: Command, result: Document, options: RegistryOptions) -> Document | None:
    """How what was deleted is brought back, as the journal of the run tells."""
    from ..apply.journal import JournalError
    from ..archive.pure.run_story import undo_of

    with suppress(JournalError):  # then the summary does not say it
        lines, state = read_journal(cmd, result['run']), name_of_state(cmd, options.state)
        return undo_of(result['run'], lines, list(options.sign_in.target), state)
    return None


def _is_interrupted(record: RunRecord, error: BaseException | None) -> bool:
    if isinstance(error, (KeyboardInterrupt, ManualInterrupt)):
        return True
    return bool(record.result and record.result['summary']['interrupted'])


def _exit_code(error: BaseException) -> int:
    """The exit code that az has for an error: 3 where something was not found, else 1."""
    return 3 if isinstance(error, ResourceNotFoundError) else 1


def _write(cmd: Command, sign_in: SignInOptions, options: RecordOptions, run: EndedRun) -> None:
    from ..show.run_metrics import metrics_text
    from ..show.run_summary import summary_markdown
    from .report_artifacts import publish_report

    if options.summary_file and not _is_written(cmd, append_text, summary_markdown(run), options.summary_file):
        run = _not_written(run)
    if options.report_tag:
        publish = partial(publish_report, cmd, sign_in)
        if not _is_written(cmd, publish, summary_markdown(run), options.report_tag):
            run = _not_written(run)
    if options.metrics_file and not _is_written(cmd, replace_text, metrics_text(run), options.metrics_file):
        _not_written(run)


def _not_written(run: EndedRun) -> EndedRun:
    """The run as one that failed, also in its answer, if nothing worse happened."""
    from ..exit_reasons import NOT_WRITTEN, code_of

    if run.result and not code_of(run.result['exitReason']):
        run.result['exitReason'] = NOT_WRITTEN
    return replace(run, exit_code=run.exit_code if run.error else 1)


def _is_written(cmd: Command, write: Callable[[str, str], None], text: str, place: str) -> bool:
    """Write a text to where it belongs; where that fails, or is stopped, say so and keep the answer of the run."""
    from ..workers import stops_are_ctrl_c

    try:
        with stops_are_ctrl_c():
            write(text, place)
        return True
    except (KeyboardInterrupt, ManualInterrupt):
        logger.warning('Interrupted: %s was not written.', place)
    except AzCLIError as error:
        logger.warning('%s', error)
    exit_with_failure(cmd, True, 'What the run did could not be written: the warning says why.')
    return False
