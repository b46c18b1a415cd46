"""The journal of a run that deletes or locks, and what earlier ones say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import typed_errors
from ..prune_error import Kind, PruneError
from ..redaction import redacted
from .command import Command
from .states import kept_folder, state_in_use

if TYPE_CHECKING:
    from ..apply.journal import Journal
    from ..apply.journal_index import JournalIndex
    from ..decide.retirement import Retirements
    from ..model import CameBack, Document
    from ..policy.facts import Thing

KEPT = '400d'
"""How long a journal is kept: longer than the registry keeps anything, and than a year of audits."""
FOR_EVER = 'forever'
_LONGEST_SECONDS = 10**10


@contextmanager
def journal_of(cmd: Command, username: str | None, registry: str, **said: object) -> Iterator[Journal]:
    """The journal of this run, which says how it ended. It can be written, or nothing is changed.

    `username` is the one that was given to sign in. `said` is what its first line says beside who does what in which
    registry: `given` are the options that say what to do, where no policy does.
    """
    from ..apply.journal import Journal, JournalError
    from .azure import who
    from .circumstances import circumstances

    header = {'who': who(cmd, username), 'command': f'az {cmd.name}', 'registry': registry, **circumstances(), **said}
    with typed_errors():
        remove_old_journals(cmd)
        state = state_in_use(cmd)
        journal = Journal(folder_of(cmd), header, state.begin_journal if state else None)
    try:
        yield journal
    except BaseException as error:
        with suppress(JournalError):  # the error itself is what has to be told
            journal.write('end', error=redacted(str(error)) or type(error).__name__)
        raise
    finally:
        journal.close()
        index_of(cmd).add(journal.run)


def untagged_by_us(cmd: Command, host: str, since: int | None) -> dict[str, dict[str, int]]:
    """When this program last took a tag off each manifest, {repository: {digest: ticks}}, as the journals tell.

    What is longer ago than `since` may be left out.
    """
    from ..apply.journal import JournalError, tags_taken_off
    from ..model import parse_ticks

    found: dict[str, dict[str, int]] = {}
    with suppress(JournalError):  # what cannot be read is not known, and what is not known keeps
        for summary in index_of(cmd).summaries():
            ended = parse_ticks(summary.get('endedAt'))
            too_old = since is not None and ended is not None and ended < since
            if summary['registry'] == host and summary['untags'] and not too_old:
                for repository, digest, at in tags_taken_off(read_journal(cmd, summary['run'])):
                    known = found.setdefault(repository, {})
                    known[digest] = max(at, known.get(digest, at))
    return found


def retired_by_us(cmd: Command, host: str) -> Retirements:
    """What this program retired in a registry, and let be pulled again, as the journals tell."""
    from ..apply.journal import JournalError
    from ..apply.retired import retirements_in

    with suppress(JournalError):  # what cannot be read is not known to be ours, and stays as it is
        here = [str(summary['run']) for summary in index_of(cmd).summaries() if summary['registry'] == host]
        return retirements_in(read_journal(cmd, run) for run in here)
    return {}


def last_run(cmd: Command, host: str) -> Document | None:
    """The last run that deleted something from a registry: `run`, `at`, its `summary`, and `usedBytes` of Azure before.

    None where no journal tells of one, or none can be read.
    """
    from ..apply.journal import JournalError
    from ..archive.pure.run_story import ends_of

    with suppress(JournalError):
        for known in reversed(index_of(cmd).summaries()):
            if known['registry'] == host and known['deletes']:
                start, end = ends_of(read_journal(cmd, str(known['run'])))
                summary = end.get('summary') or {}
                if summary.get('manifestsDeleted') or summary.get('freedLaterBytes'):
                    used = start.get('usedBytes')
                    return {'run': known['run'], 'at': start['at'], 'summary': summary, 'usedBytes': used}
    return None


def came_back(cmd: Command, host: str) -> dict[Thing, CameBack]:
    """What was brought back to a registry, with the times that it had before, as the journals tell."""
    from ..apply.journal import JournalError
    from ..archive.pure.past import came_back_in

    found: dict[Thing, CameBack] = {}
    with suppress(JournalError):  # what cannot be read is not known: then things have the time of today
        for summary in index_of(cmd).summaries():
            if summary['registry'] == host and summary['restores']:
                found.update(came_back_in(read_journal(cmd, summary['run'])))
    return found


def folder_of(cmd: Command) -> Path:
    """Where the journals are."""
    from ..apply.journal import journal_folder

    return journal_folder(kept_folder(cmd))


def index_of(cmd: Command) -> JournalIndex:
    """The index of the journals."""
    from ..apply.journal_index import JournalIndex, Outline
    from ..archive.pure.lost import images_taken
    from ..archive.pure.run_story import summary_of

    def outline(run: str, lines: list[Document]) -> Outline:
        return Outline(summary_of(run, lines), tuple(images_taken(lines)))

    state = state_in_use(cmd)
    return JournalIndex(folder_of(cmd), outline, state.fetch) if state else JournalIndex(folder_of(cmd), outline)


def read_journal(cmd: Command, run: str) -> list[Document]:
    """The lines of the journal of a run. Raises JournalError, and StateError."""
    from ..apply.journal import read_run

    state = state_in_use(cmd)
    if state:
        state.fetch(run)
    return read_run(folder_of(cmd), run)


def kept_seconds(cmd: Command) -> int | None:
    """How long journals are kept, by the setting `acrprune.journal_keep`; None for ever. Raises PruneError."""
    from ..policy.ages import parse_age

    text = cmd.cli_ctx.config.get('acrprune', 'journal_keep', fallback=KEPT)
    if text == FOR_EVER:
        return None
    try:
        return parse_age(text)
    except ValueError as error:
        raise PruneError(
            f"The setting acrprune.journal_keep says '{text}', which is no time.",
            f"Set it with 'az config set acrprune.journal_keep={KEPT}', or to {FOR_EVER}.",
            Kind.INVALID,
        ) from error


def remove_old_journals(cmd: Command) -> None:
    """Remove the journals of runs that began longer ago than journals are kept."""
    from ..apply.journal import remove_before

    seconds = kept_seconds(cmd)
    if seconds is not None:
        gone = remove_before(
            folder_of(cmd), datetime.now(timezone.utc) - timedelta(seconds=min(seconds, _LONGEST_SECONDS))
        )
        state = state_in_use(cmd)
        if gone and state:
            state.remove_journals(gone)
        if gone:
            index_of(cmd).forget(gone)
