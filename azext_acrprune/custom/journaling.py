"""The journal of a run that deletes or locks, and what earlier ones say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import typed_errors
from .command import Command

if TYPE_CHECKING:
    from ..apply.journal import Journal
    from ..decide.retirement import Retirements
    from ..model import Document


@contextmanager
def journal_of(cmd: Command, username: str | None, registry: str, **said: object) -> Iterator[Journal]:
    """The journal of this run, which says how it ended. It can be written, or nothing is changed.

    `username` is the one that was given to sign in. `said` is what its first line says beside who does what in which
    registry.
    """
    from ..apply.journal import Journal, JournalError, journal_folder
    from .azure import who

    header = {'who': who(cmd, username), 'command': f'az {cmd.name}', 'registry': registry, **said}
    with typed_errors():
        journal = Journal(journal_folder(cmd.cli_ctx.config.config_dir), header)
    try:
        yield journal
    except BaseException as error:
        with suppress(JournalError):  # the error itself is what has to be told
            journal.write('end', error=str(error) or type(error).__name__)
        raise
    finally:
        journal.close()


def untagged_by_us(cmd: Command, host: str) -> dict[str, dict[str, int]]:
    """When this program last took a tag off each manifest, {repository: {digest: ticks}}, as the journals tell."""
    from ..apply.journal import JournalError, journal_folder, read_run, runs, tags_taken_off

    folder = journal_folder(cmd.cli_ctx.config.config_dir)
    found: dict[str, dict[str, int]] = {}
    with suppress(JournalError):  # what cannot be read is not known, and what is not known keeps
        for run in runs(folder):
            lines = read_run(folder, run)
            if lines and lines[0].get('registry') == host:
                for repository, digest, at in tags_taken_off(lines):
                    known = found.setdefault(repository, {})
                    known[digest] = max(at, known.get(digest, at))
    return found


def retired_by_us(cmd: Command, host: str) -> Retirements:
    """What this program retired in a registry, and let be pulled again, as the journals tell."""
    from ..apply.journal import JournalError, journal_folder, read_run, runs
    from ..apply.retired import retirements_in

    folder = journal_folder(cmd.cli_ctx.config.config_dir)
    with suppress(JournalError):  # what cannot be read is not known to be ours, and stays as it is
        journals = (read_run(folder, run) for run in runs(folder))
        return retirements_in(lines for lines in journals if lines and lines[0].get('registry') == host)
    return {}


def last_run(cmd: Command, host: str) -> Document | None:
    """The last run that deleted something from a registry: `run`, `at`, its `summary`, and `usedBytes` of Azure before.

    None where no journal tells of one, or none can be read.
    """
    from ..apply.journal import JournalError, journal_folder, read_run, runs

    folder = journal_folder(cmd.cli_ctx.config.config_dir)
    with suppress(JournalError):
        for run in reversed(runs(folder)):
            start, end = _ends(read_run(folder, run))
            summary = end.get('summary') or {}
            if start.get('registry') == host and summary.get('manifestsDeleted'):
                return {'run': run, 'at': start['at'], 'summary': summary, 'usedBytes': start.get('usedBytes')}
    return None


def list_runs(cmd: Command, registry_name: str | None = None, suffix: str | None = None) -> list[Document]:
    """The runs that deleted or locked something, newest first. Asks nobody."""
    from ..apply.journal import read_run, runs
    from .caching import login_server

    host = login_server(cmd, registry_name, suffix) if registry_name else None
    with typed_errors():
        folder = _folder(cmd)
        found = [_run(run, read_run(folder, run)) for run in reversed(runs(folder))]
    _say_what_azure_said(found)
    return [run for run in found if host in (None, run['registry'])]


def _say_what_azure_said(newest_first: list[Document]) -> None:
    """Give each run as `usedBytesAfter` what Azure said before the next one on the same registry, if it was asked."""
    known: dict[str, int] = {}
    for run in newest_first:
        run['usedBytesAfter'] = known.get(run['registry'])
        if run['usedBytesBefore'] is not None:
            known[run['registry']] = run['usedBytesBefore']


def show_run(cmd: Command, run: str) -> Document:
    """All that one run sent, and what came of it. Asks nobody."""
    from ..apply.journal import read_run

    with typed_errors():
        lines = read_run(_folder(cmd), run)
    return {**_run(run, lines), 'requests': _requests(lines), 'deletedLater': _deleted_later(lines)}


def lines_of(cmd: Command, host: str, run: str | None) -> tuple[str, list[Document]]:
    """(run, its lines): of the run that is named, or of the last one that deleted something from this registry."""
    from ..apply.journal import JournalError, read_run, runs
    from ..archive.pure.lost import is_deletion

    folder = _folder(cmd)
    with typed_errors():
        for name in [run] if run else reversed(runs(folder)):
            lines = read_run(folder, name)
            here = _run(name, lines)['registry'] == host
            if run and not here:
                raise JournalError(f"The run '{run}' was not on the registry '{host}'")
            if here and any(map(is_deletion, lines)):
                return name, lines
            if run:
                raise JournalError(f"The run '{run}' deleted nothing")
        raise JournalError(f"No journal tells of anything deleted from '{host}'")


def _folder(cmd: Command) -> Path:
    from ..apply.journal import journal_folder

    return journal_folder(cmd.cli_ctx.config.config_dir)


def _run(run: str, lines: Sequence[Document]) -> Document:
    """One run: how it began and ended. A run without an end was killed, or is not over."""
    start, end = _ends(lines)
    summary = end.get('summary') or {}
    outcomes = [line for line in lines if line['event'] == 'outcome' and line.get('request') != 'setLocks']
    return {
        'run': run,
        **{key: start.get(key) for key in ('at', 'who', 'command', 'registry', 'planChecksum', 'archive')},
        'endedAt': end.get('at'),
        'error': end.get('error'),
        'freedBytes': summary.get('freedBytes'),
        'usedBytesBefore': start.get('usedBytes'),
        'requests': sum(1 for line in lines if line['event'] == 'request'),
        'done': sum(1 for line in outcomes if line.get('outcome') == 'done'),
        'notDone': sum(1 for line in outcomes if line.get('outcome') != 'done'),
    }


def _ends(lines: Sequence[Document]) -> tuple[Document, Document]:
    """The first line of a journal, and the last one; each is empty where it is missing."""
    start: Document = next((line for line in lines if line['event'] == 'start'), {})
    end: Document = next((line for line in lines if line['event'] == 'end'), {})
    return start, end


def _deleted_later(lines: Sequence[Document]) -> list[Document]:
    """What the registry itself deletes, because the run removed the last tag, each with the tags that it had."""
    return [
        {
            **{name: line.get(name) for name in ('repository', 'digest', 'mediaType')},
            'tags': [entry['tag'] for entry in line.get('tags', ())],
        }
        for line in lines
        if line['event'] == 'later'
    ]


def _requests(lines: Sequence[Document]) -> list[Document]:
    """Each request with its outcome; one without was sent, and nothing is known of it."""
    requests: list[Document] = []
    open_ones: dict[tuple[object, ...], Document] = {}
    for line in lines:
        key = tuple(line.get(name) for name in ('request', 'repository', 'digest', 'tag'))
        if line['event'] == 'request':
            said = {name: value for name, value in line.items() if name not in ('event', 'content')}
            open_ones[key] = {**said, 'outcome': 'unknown'}
            requests.append(open_ones[key])
        elif line['event'] == 'outcome' and key in open_ones:
            open_ones.pop(key).update({name: line[name] for name in ('outcome', 'error') if name in line})
    return requests
