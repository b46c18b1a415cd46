"""Locks that hold what came back: set by `restore --lock` and `undo --lock`, taken off by `pins lock --release`."""

from __future__ import annotations

from collections.abc import Container, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from knack.log import get_logger

from .command import Command
from .consent import is_confirmed
from .failures import exit_by, exit_with_failure
from .journaling import journal_of
from .marking import known_marks
from .options import HoldOptions, RegistryOptions
from .questions import ask
from .session import Session, open_session
from .states import kept_folder, marks_keeper
from .stopping import run_until_stopped, stops_from_now_on, told_left

if TYPE_CHECKING:
    from ..apply.held_locks import Held, HeldLocks, HeldOutcome
    from ..archive.push import Restored
    from ..model import Document
    from ..registry.changes import Changes
    from ..workers import Stops

logger = get_logger(__name__)


def held_locks(session: Session) -> HeldLocks:
    """Which locks hold what came back to the registry of a session."""
    from ..apply.held_locks import HeldLocks

    return HeldLocks(kept_folder(session.cmd), session.host, marks_keeper(session.cmd))


def hold_back(session: Session, stops: Stops, door: Changes, restored: Restored, options: HoldOptions) -> None:
    """Lock what came back, in this run or in one that was killed. What could not be locked is added to what failed."""
    from ..apply.held_locks import Held, HeldOutcome, hold
    from ..decide.asked import ahead_of

    until = ahead_of(options.lock_until, session.now) if options.lock_until else None
    lost = {(each.repository, each.digest) for each in restored.failed}
    nodes = sorted({(each.repository, each.digest) for each in restored.past} - lost)
    wanted = [Held(*node, until) for node in nodes]
    outcome = HeldOutcome()
    ours = known_marks(session.cmd, session.host) or {}
    work = hold(session.registry, door, wanted, held_locks(session), session.concurrency, outcome, ours)
    restored.interrupted = run_until_stopped(session, stops, work)
    restored.locked += [f'{each.repository}@{each.digest}' for each in outcome.done]
    restored.failed += outcome.failed
    if restored.interrupted:
        restored.left = outcome.left
        said = told_left('manifests that came back', 'are locked', len(wanted) - outcome.left, outcome.left)
        exit_with_failure(session.cmd, True, said)
    elif outcome.done:
        how = f'until {options.lock_until}, or ' if until else ''
        logger.warning(
            "%s locked against deletion %suntil 'az acr prune pins lock -r %s --release' unlocks what came back.",
            '1 manifest is' if len(outcome.done) == 1 else f'{len(outcome.done)} manifests are',
            how,
            session.target,
        )


def release_held(cmd: Command, options: RegistryOptions, yes: bool, dry_run: bool) -> Document:
    """Take off the locks that hold what came back, all of them."""
    with open_session(cmd, options) as session:
        every = held_locks(session).all()
        if dry_run:
            return _answer(session.host, every, None)
        if every and not is_confirmed(cmd, yes):
            ask(f'Unlock the {len(every)} manifests that came back?')
        run, released = _release(session, every)
    answer = {**_answer(session.host, released.done, released), 'run': run}
    exit_by(cmd, answer['exitReason'])
    return answer


def release_over(session: Session, stops: Stops, door: Changes, pinned: Container[tuple[str, str]]) -> bool:
    """Take off those of these locks whose date is over, but for what is pinned; gives whether it was stopped."""
    from ..apply.held_locks import HeldOutcome, release

    locks = held_locks(session)
    ended = [held for held in locks.all() if held.until is not None and held.until <= session.now]
    over = [held for held in ended if (held.repository, held.digest) not in pinned]
    if not over:
        return False
    released = HeldOutcome()
    work = release(session.registry, door, over, locks, session.concurrency, released)
    stopped = run_until_stopped(session, stops, work)
    logger.warning(
        'Of the locks that held what came back, %d were over and are taken off; %d could not be.',
        len(released.done),
        len(released.failed),
    )
    _say_kept(released)
    return stopped


def _say_kept(released: HeldOutcome) -> None:
    if released.kept:
        logger.warning(
            'Locked by somebody else since, and left so: %s.',
            ', '.join(f'{each.repository}@{each.digest}' for each in released.kept),
        )


def _release(session: Session, every: Sequence[Held]) -> tuple[str, HeldOutcome]:
    """Unlock; the journal says all of it. Gives the run, and what became of the locks."""
    from ..apply.held_locks import HeldOutcome, release
    from ..apply.journal import JournaledRegistry, JournalError

    stops, released, given = stops_from_now_on(session), HeldOutcome(), {'release': True}
    with journal_of(session.cmd, session.options.sign_in.username, session.host, given=given) as journal:
        door = JournaledRegistry(session.door, journal, {})
        work = release(session.registry, door, every, held_locks(session), session.concurrency, released)
        if run_until_stopped(session, stops, work):
            released.interrupted = True
            exit_with_failure(session.cmd, True, told_left('locks', 'are taken off', len(released.done), released.left))
        _say_kept(released)
        with suppress(JournalError):  # what was unlocked is told in any case
            journal.write('end', summary={'unlocked': len(released.done), 'failed': len(released.failed)})
        return journal.run, released


def _answer(registry: str, held: Sequence[Held], released: HeldOutcome | None) -> Document:
    """What is, or without `released` would be, unlocked."""
    from ..exit_reasons import DONE, FAILED, INTERRUPTED, NOTHING_TO_DO, WOULD_CHANGE, first_of

    word = 'unlocked' if released else 'unlock'
    failed = released.failed if released else []
    left = {'interrupted': released.interrupted, 'left': released.left} if released else {}
    is_stopped = left.get('interrupted', False)
    found = {INTERRUPTED: is_stopped, FAILED: failed, DONE if released else WOULD_CHANGE: held}
    return {
        'summary': {'registry': registry, word: len(held), 'failed': len(failed), **left},
        word: [{'repository': each.repository, 'digest': each.digest} for each in held],
        'failed': [{'repository': each.repository, 'digest': each.digest, 'error': each.error} for each in failed],
        'skipped': [],
        'warnings': [],
        'interrupted': is_stopped,
        'exitReason': first_of(found) or NOTHING_TO_DO,
    }
