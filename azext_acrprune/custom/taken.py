"""What a run took: by its journal on this machine, or by the copy of that in an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

from .._errors import typed_errors
from .command import Command
from .journaling import index_of, read_journal

if TYPE_CHECKING:
    from ..archive.pure.lost import Lost
    from ..archive.target import Target
    from ..model import Document

_CUT_OFF = (
    'The archive has no journal of the run to its end: it was killed, or could not write it. All that it archived '
    'counts as gone by it.'
)


@dataclass(frozen=True)
class TakenRun:
    """A run with the lines of its journal, what it `lost` each with when it began in ticks, and what is said of that.

    `is_known_here` says whether the journal is on this machine.
    """

    run: str
    lines: list[Document]
    lost: list[tuple[Lost, int | None]]
    told: tuple[str, ...] = ()
    is_known_here: bool = True


def taken_by(cmd: Command, host: str, run: str | None, target: Target | None = None) -> TakenRun:
    """The run that is named, or the last one that deleted something from this registry.

    With a `target`, of the runs whose journals are in that archive; what this machine knows of one counts more. Raises
    JournalError, also for a run that did nothing which can be undone, and ArchiveError.
    """
    from ..archive.pure.lost import lost_at

    if target is not None and not (run and _is_known(cmd, run)):
        return _taken_as_archived(cmd, host, run, target)
    name, lines = lines_of(cmd, host, run)
    return TakenRun(name, lines, lost_at(lines))


def lines_of(cmd: Command, host: str, run: str | None) -> tuple[str, list[Document]]:
    """(run, its lines), by the journals of this machine. Raises JournalError."""
    from ..apply.journal import NoSuchRun

    found = [summary for summary in index_of(cmd).summaries() if run in (None, summary['run'])]
    if run and not found:
        raise NoSuchRun(
            f"There is no journal of a run '{run}' on this machine",
            "'az acr prune history list' shows which there are. The archive that the run wrote has its journal too: "
            'name it with --archive.',
        )
    here = [summary for summary in found if summary['registry'] == host]
    if run and not here:
        raise NoSuchRun(f"The run '{run}' was not on the registry '{host}'")
    undoable = [summary for summary in here if summary['deletes'] or run and summary['moves']]
    if not undoable:
        raise NoSuchRun(
            f"The run '{run}' deleted nothing" if run else f"No journal tells of anything deleted from '{host}'"
        )
    name = str(undoable[-1]['run'])
    return name, read_journal(cmd, name)


def lines_since(cmd: Command, host: str, since: int | None) -> Iterator[list[Document]]:
    """The lines of each run that deleted something from this registry since then, in ticks, the last run first."""
    from ..model import parse_ticks

    with typed_errors():
        for summary in reversed(index_of(cmd).summaries()):
            at = parse_ticks(summary['at'])
            if summary['registry'] == host and summary['deletes'] and (not since or at is None or at >= since):
                yield read_journal(cmd, summary['run'])


def _is_known(cmd: Command, run: str) -> bool:
    return any(summary['run'] == run for summary in index_of(cmd).summaries())


def _taken_as_archived(cmd: Command, host: str, run: str | None, target: Target) -> TakenRun:
    from ..apply.journal import NoSuchRun
    from ..archive.catalog import catalog_of

    catalog_of(target)  # one that is not there tells nothing either
    names = [name for name in target.journals() if run in (None, name)]
    for name in reversed(names):
        taken = _archived_run(target, name, host)
        if taken and taken.lost:
            here = _is_known(cmd, name)
            return taken_by(cmd, host, name) if here else taken
    advice = f"'az acr prune archive show --archive {quote(target.name)}' says which runs wrote to it."
    if run and not names:
        raise NoSuchRun(f"Neither this machine nor the archive '{target.name}' has a journal of a run '{run}'", advice)
    told = f"the run '{run}' took" if run else 'a run took'
    raise NoSuchRun(f"The archive '{target.name}' tells of nothing that {told} from '{host}'", advice)


def _archived_run(target: Target, run: str, host: str) -> TakenRun | None:
    """A run by the copy of its journal; None for one on another registry."""
    from ..apply.journal import lines_in
    from ..archive.pure.lost import lost_at, lost_of_records
    from ..archive.pure.run_story import ends_of
    from ..archive.stored import journal_bytes, records_of_run
    from ..model import parse_ticks

    lines = [line for line in lines_in(journal_bytes(target, run)) if _is_believable(line)]
    start, end = ends_of(lines)
    if start.get('registry') != host:
        return None
    if end:
        return TakenRun(run, lines, lost_at(lines), is_known_here=False)
    records = [record for record in records_of_run(target, run) if record.registry == host]
    at = parse_ticks(start.get('at'))
    return TakenRun(run, lines, [(lost, at) for lost in lost_of_records(records)], (_CUT_OFF,), is_known_here=False)


def _is_believable(line: Mapping[str, Any]) -> bool:
    """Whether a line names nothing that no registry has: whoever may write to an archive may have written it."""
    from ..registry.protocol.listings import is_digest, is_repository, is_tag

    tags = [entry['tag'] for entry in line.get('tags', ())]
    tags += [line['tag']] if line.get('tag') is not None else []
    digests = [line[key] for key in ('digest', 'subject') if line.get(key) is not None]
    names = [line['repository']] if line.get('repository') is not None else []
    return all(map(is_tag, tags)) and all(map(is_digest, digests)) and all(map(is_repository, names))
