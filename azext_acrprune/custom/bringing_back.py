"""What `restore` and `undo` share: what an earlier run had begun, the question, and the journal of what comes back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azure.cli.core.azclierror import NoTTYError
from knack.log import get_logger

from ..prune_error import PruneError
from .archiving import lasting_name
from .command import Command
from .consent import is_confirmed
from .failures import exit_with_failure
from .holding import hold_back
from .journaling import index_of, journal_of, read_journal
from .options import HoldOptions, RestoreOptions
from .questions import ask
from .session import Session
from .stopping import run_until_stopped, stops_from_now_on, told_left

if TYPE_CHECKING:
    from ..archive.afterwards import Note
    from ..archive.pure.past import Begun
    from ..archive.push import Restored
    from ..decide.asked import Asked
    from ..decide.impact import Node
    from ..model import Document
    from ..registry.changes import Changes
    from ..workers import Stops

logger = get_logger(__name__)

Work = Callable[['Changes', 'Note', 'Restored'], Coroutine[Any, Any, 'Restored']]
"""What brings things back: it is given the door for its changes, what it writes notes with, and what it fills in."""


def begun_before(session: Session, nodes: Container[Node]) -> Begun:
    """What of these manifests earlier runs had begun to bring back, and did not end, and nobody has touched since.

    Raises RegistryError.
    """
    from ..apply.journal import JournalError
    from ..archive.afterwards import untouched
    from ..archive.pure.past import Begun

    begun = Begun()
    with suppress(JournalError):  # what cannot be read is not known: then things have the time of today
        for summary in index_of(session.cmd).summaries():
            if summary['registry'] == session.host and summary['restores']:
                begun.hear(read_journal(session.cmd, summary['run']))
    return session.run(untouched(session.registry, begun, nodes, session.concurrency))


def bring_back(
    session: Session, works: Sequence[Work], holding: HoldOptions, expects: Restored, **said: object
) -> tuple[str, Restored]:
    """Do the work, lock what came back if that was asked for, and write all of it down.

    Gives the run, and what became of everything. `expects` is what comes back if nothing goes wrong.
    """
    from ..apply.journal import JournaledRegistry, JournalError
    from ..archive.afterwards import note_times
    from ..archive.push import Restored

    stops, restored = stops_from_now_on(session), Restored()
    with journal_of(session.cmd, session.options.sign_in.username, session.host, **said) as journal:
        door: Changes = JournaledRegistry(session.door, journal, {})
        for work in works:
            if not restored.interrupted:
                part = Restored()
                part.interrupted = _done(session, stops, work(door, journal.note, part))
                restored.add(part)
        if restored.interrupted:
            _count_left(session.cmd, restored, expects)
        elif holding.lock:
            hold_back(session, stops, door, restored, holding)
        if not restored.interrupted:
            with suppress(JournalError):
                run_until_stopped(session, stops, note_times(session.registry, restored.past, journal.note))
                for each in restored.unfinished():  # another run goes on with them
                    journal.note('was', **each.fields)
        with suppress(JournalError):  # what came back is told in any case
            journal.write('end', summary=_sums(restored))
        return journal.run, restored


def _count_left(cmd: Command, restored: Restored, expects: Restored) -> None:
    """Say how much of what was expected is not back, because somebody stopped the run."""
    done, every = (len(each.manifests) + len(each.tags) + len(each.locked) for each in (restored, expects))
    restored.left = max(0, every - done - len(restored.failed))
    exit_with_failure(cmd, True, told_left('manifests, tags and locks', 'are back', done, restored.left))


def _done(session: Session, stops: Stops, work: Coroutine[Any, Any, Restored]) -> bool:
    """Do one part; gives whether it was stopped. Raises PruneError when the registry cannot be used any more."""
    from ..registry.protocol.refusals import RegistryError

    try:
        return run_until_stopped(session, stops, work)
    except RegistryError as error:
        raise PruneError(
            f"Not all could be brought back to the registry '{session.host}': {error}.",
            f'What came back stays. Run the same command again, and it goes on from there. {error.advice}',
            error.kind,
        ) from error


def with_sentence(session: Session, document: Document) -> Document:
    """The answer to a dry run, or what was done, with a sentence on it below."""
    from ..show.sizes import count

    done, summary = 'restored' in document, document['summary']
    word = 'Restored' if done else 'ToRestore'
    manifests, tags = count(summary[f'manifests{word}'], 'manifest'), count(summary[f'tags{word}'], 'tag')
    lost = f'{summary["failed"]} {"did not" if done else "cannot"} come back'
    left = f'{summary["skipped"]} left as before, {lost}'
    said = f'{manifests} and {tags} {"came" if done else "would come"} back to {session.host}; {left}.'
    session.cmd.cli_ctx.output.say_below(said)
    return document


def together(parts: Sequence[Restored]) -> Restored:
    """What became of several works, as if they were one."""
    from ..archive.push import Restored

    one = Restored()
    for part in parts:
        one.add(part)
    return one


def given_to_restore(options: RestoreOptions, holding: HoldOptions) -> Document:
    """The options of `restore`, for its journal, as they are called but for their dashes."""
    return {
        'archive': options.archive and lasting_name(options.archive),
        'softDeleted': options.soft_deleted,
        'all': options.everything,
        'image': [image.text for image in options.images],
        'repository': list(options.repository),
        'since': options.since,
        'journal': options.journal,
        'fromRegistry': options.from_registry,
        'overwrite': options.overwrite,
        **held_by(holding),
    }


def held_by(holding: HoldOptions) -> Document:
    """The same of the options that hold what comes back."""
    return {'lock': holding.lock and not holding.lock_until, 'lockUntil': holding.lock_until}


def _sums(restored: Restored) -> Document:
    return {
        'manifestsRestored': len(restored.manifests),
        'tagsRestored': len(restored.tags),
        'locksSet': len(restored.locked),
        'skipped': len(restored.skipped),
        'failed': len(restored.failed),
        'interrupted': restored.interrupted,
        'left': restored.left,
    }


def conditions_of(session: Session, options: RestoreOptions) -> Asked:
    """What is asked for, by names, patterns and time."""
    from ..decide.asked import Asked, since_of
    from ..policy.patterns import repository_glob

    since = since_of(options.since, session.now) if options.since else None
    return Asked(options.images, tuple(map(repository_glob, options.repository)), since)


def hold_to_answer(cmd: Command, yes: bool, lines: Sequence[str], question: str) -> None:
    """Say what is about to be done, ask whoever did not say yes, and return when that was agreed to.

    Raises NoTTYError where nobody can be asked, and CLIError where somebody declines.
    """
    if is_confirmed(cmd, yes):
        for line in lines:
            logger.warning(line)
        return
    if not (sys.stdin and sys.stdin.isatty()):
        for line in lines:
            logger.warning(line)
        raise NoTTYError(
            'Nobody can be asked: there is no terminal.',
            recommendation='Use --yes to do it without a question, or --dry-run to see what would be done.',
        )
    print('\n'.join(lines), file=sys.stderr)
    ask(question)
