"""`az acr prune pins`: what is pinned, and locks on it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import RequiredArgumentMissingError
from knack.log import get_logger

from ..apply.journal import JournalError
from ..spelling import escaped
from .command import Command
from .consent import is_confirmed, refuse_without_consent
from .failures import exit_by, exit_with_failure
from .holding import held_locks, release_held, release_over
from .journaling import journal_of
from .marking import open_marks, say_what_stays
from .options import PinOptions, RegistryOptions, read
from .pinning import load_pins, look, say_nothing_pinned, say_problems
from .questions import ask
from .session import Session, open_session
from .stopping import nothing_was, run_until_stopped, stops_from_now_on, told_left

if TYPE_CHECKING:
    from ..apply.pin_locks import LockOutcome, Marks
    from ..decide.lock_plan import Key, LockPlan, Mark, Standing
    from ..model import Document
    from ..pins.pinned import Pins

logger = get_logger(__name__)

_NOT_LOOKED_UP = 'Not all pins could be looked up: "notRead" says which.'


def list_pins(cmd: Command, **kwargs: object) -> Document:
    """What is pinned, by whom, and what of it is no longer there."""
    from ..decide.lock_plan import pulled_by

    with open_session(cmd, RegistryOptions.of({**kwargs, 'no_cache': True})) as session:
        pins = _pins(session, read(PinOptions, kwargs))
        standings = _look_up(session, (pulled_by(pin.reference) for pin in pins.pins))
    document = _document(session.host, pins, standings)
    summary = document['summary']
    if pins.pins and not document['pins']:
        logger.warning('What was read names only images that may be of another registry; none of them is in this one.')
    if summary['missing']:
        logger.warning(
            '%d of %d pinned images are not in the registry: what uses them fails when it starts again.',
            summary['missing'],
            summary['images'],
        )
    exit_by(cmd, document['exitReason'], _NOT_LOOKED_UP)
    return document


def remember_pins(cmd: Command, **kwargs: object) -> Document:
    """Look at what runs, and write it down for `--ran-within`. Fails where either cannot be done."""
    from ..decide.lock_plan import pulled_by

    options = read(PinOptions, kwargs)
    if not options.pins_from:
        raise RequiredArgumentMissingError(
            'Nothing says what to look at.', recommendation='Name running systems with --pins-from.'
        )
    with open_session(cmd, RegistryOptions.of({**kwargs, 'no_cache': True})) as session:
        pins = session.ask(lambda: look(cmd, options, session.host))
        standings = _look_up(session, (pulled_by(pin.reference) for pin in pins.pins))
    document = _document(session.host, pins, standings)
    exit_by(cmd, document['exitReason'], _NOT_LOOKED_UP)
    return document


def lock(
    cmd: Command,
    yes: bool = False,
    dry_run: bool = False,
    release: bool = False,
    marks: str | None = None,
    machine: str | None = None,
    alone: bool = False,
    **kwargs: object,
) -> Document | None:
    """Lock what is pinned against deletion, and unlock what we locked when no pin wants it any more."""
    from ..decide.lock_plan import is_complete

    if not dry_run:
        refuse_without_consent(cmd, yes)
    options = RegistryOptions.of({**kwargs, 'no_cache': True, 'dry_run': dry_run})
    if release:
        return release_held(cmd, options, yes, dry_run)
    with open_session(cmd, options) as session:
        with nothing_was('locked'):
            known = open_marks(cmd, session.host, marks, machine or platform.node())
            elsewhere = known.elsewhere()
            elsewhere = {} if elsewhere is None and alone else elsewhere
            pin_options = read(PinOptions, kwargs)
            pins = _pins(session, pin_options, (repository for repository, _ in known.all()))
            plan, standings = _plan(session, pins, known.all(), elsewhere)
            document = _document(session.host, pins, standings)
            say_what_stays(plan, elsewhere)
            if dry_run:
                cmd.cli_ctx.output.say_below(_preview(plan, pins))
                answer = _answer(document, plan)
                exit_by(cmd, answer['exitReason'], _NOT_LOOKED_UP)
                return answer
            _hold_consent(cmd, plan, pins, yes)
        given = {**_given(pin_options), 'marks': marks, 'machine': machine, 'alone': alone}
        run, outcome = _carry_out(session, plan, known, is_complete(pins, standings), given)
    answer = {**_answer(document, plan, outcome), 'run': run}
    exit_by(cmd, answer['exitReason'])
    return answer


def _given(options: PinOptions) -> Document:
    """The options that say what is pinned, for the journal."""
    pins, systems = list(options.pins), list(options.pins_from)
    return {'pins': pins, 'pinsFrom': systems, 'ranWithin': options.ran_within, 'alias': list(options.alias)}


def _carry_out(
    session: Session, plan: LockPlan, marks: Marks, complete: bool, given: Document
) -> tuple[str, LockOutcome]:
    """Lock and unlock; the journal says all of it. Gives the run and what became of the plan."""
    from ..apply.journal import JournaledRegistry
    from ..apply.pin_locks import LockOutcome, carry_out

    stops, outcome = stops_from_now_on(session), LockOutcome()
    with journal_of(session.cmd, session.options.sign_in.username, session.host, given=given) as journal:
        door = JournaledRegistry(session.door, journal, {})
        if release_over(session, stops, door, set(plan.wanted)) or run_until_stopped(
            session, stops, carry_out(session.registry, door, plan, marks, complete, session.concurrency, outcome)
        ):
            done = len(outcome.locked) + len(outcome.unlocked)
            outcome.interrupted = True
            outcome.left = len(plan.lock) + len(plan.unlock) - done - len(outcome.failed)
            exit_with_failure(session.cmd, True, told_left('locks', 'are set or taken off', done, outcome.left))
        with suppress(JournalError):  # what was locked is told in any case
            journal.write(
                'end',
                summary={
                    'locked': len(outcome.locked),
                    'unlocked': len(outcome.unlocked),
                    'failed': len(outcome.failed),
                },
            )
        return journal.run, outcome


def _pins(session: Session, options: PinOptions, locked_in: Iterable[str] = ()) -> Pins:
    """What is pinned. `locked_in` are repositories that are there, whatever the registry lists."""
    pins = session.ask(lambda: load_pins(session.cmd, options, session.host))
    if not pins.given:
        raise RequiredArgumentMissingError(
            'Nothing says where the pins are.',
            recommendation='Name files with --pins, running systems with --pins-from, or a time with --ran-within.',
        )
    return _with_joined(session, pins, set(locked_in)) if pins.words else pins


def _with_joined(session: Session, pins: Pins, locked_in: set[str]) -> Pins:
    """The pins, with those that only the registry can tell of. What it does not tell is a problem."""
    from ..inventory.lookups import listed_in_full, listed_names
    from ..pins.in_pieces import may_be_named, with_joined
    from ..pins.pinned import Problem

    names = session.run(listed_names(session.registry))
    named = may_be_named(pins, sorted(locked_in.union(names or ())))
    found = session.run(listed_in_full(session.registry, named, session.concurrency))
    unread = [
        Problem(f"'{name}', which a file names, could not be listed in full; nothing is unlocked then", session.host)
        for name, repository in sorted(found.items())
        if repository is None
    ]
    if names is None:
        unread.append(Problem('its repositories may not be listed, so images in pieces are not known', session.host))
    say_problems(unread)
    joined = with_joined(pins, [repository for repository in found.values() if repository])
    if not unread:
        say_nothing_pinned(joined, session.host)
    return replace(joined, problems=(*joined.problems, *unread))


def _look_up(session: Session, keys: Iterable[Key]) -> Mapping[Key, Standing]:
    """How single tags and manifests stand."""
    from ..inventory.lookups import look_up

    return session.run(look_up(session.registry, keys, session.concurrency))


def _plan(
    session: Session, pins: Pins, marks: Mapping[Key, Mark], elsewhere: Container[Key] | None
) -> tuple[LockPlan, Mapping[Key, Standing]]:
    """The plan, and how everything stands: first the tags and digests, then the manifests behind the tags."""
    from ..decide.lock_plan import FOUND, keys_of, plan_locks

    held = {(each.repository, each.digest) for each in held_locks(session).all()}
    standings = dict(_look_up(session, {*keys_of(pins), *marks}))
    behind = {
        (name, standing.digest)
        for (name, _), standing in standings.items()
        if standing.status == FOUND and standing.digest
    }
    standings.update(_look_up(session, behind - set(standings)))
    return plan_locks(pins, standings, marks, elsewhere, held), standings


def _document(host: str, pins: Pins, standings: Mapping[Key, Standing]) -> Document:
    from ..decide.lock_plan import pins_document
    from ..exit_reasons import DONE, FAILED

    document = pins_document(host, pins, standings)
    return {**document, 'exitReason': FAILED if document['summary']['notRead'] else DONE}


def _answer(document: Document, plan: LockPlan, outcome: LockOutcome | None = None) -> Document:
    """What is, or without an `outcome` would be, locked and unlocked."""
    from ..exit_reasons import DONE, FAILED, INTERRUPTED, NOTHING_TO_DO, WOULD_CHANGE, first_of

    locked, unlocked = ('locked', 'unlocked') if outcome else ('lock', 'unlock')
    to_lock, to_unlock = (outcome.locked, outcome.unlocked) if outcome else (plan.lock, plan.unlock)
    lost = sorted(outcome.failed.items()) if outcome else []
    changes = DONE if outcome else WOULD_CHANGE
    left = {'interrupted': outcome.interrupted, 'left': outcome.left} if outcome else {}
    is_stopped = left.get('interrupted', False)
    failed = lost or document['summary']['notRead']
    found = {INTERRUPTED: is_stopped, FAILED: failed, changes: to_lock or to_unlock}
    return {
        'summary': {
            'registry': document['registry'],
            locked: len(to_lock),
            unlocked: len(to_unlock),
            'leftLocked': len(plan.stays),
            'missing': document['summary']['missing'],
            'notRead': document['summary']['notRead'],
            'failed': len(lost),
            **left,
        },
        locked: [_target(*target) for target in sorted(to_lock)],
        unlocked: _marked(to_unlock),
        'leftLocked': _marked(plan.stays),
        'alreadyLocked': [_target(*target) for target in plan.locked],
        'missing': [entry for entry in document['pins'] if entry['status'] not in ('found', 'notRead')],
        'failed': [{'repository': name, 'digest': digest, 'error': error} for (name, digest), error in lost],
        'skipped': [],
        'warnings': [],
        'interrupted': is_stopped,
        'exitReason': first_of(found) or NOTHING_TO_DO,
    }


def _marked(marks: Iterable[Mark]) -> list[Document]:
    keys = sorted((mark.repository, mark.digest) for mark in marks)
    return [{'repository': repository, 'digest': digest} for repository, digest in keys]


def _target(repository: str, digest: str, who: str) -> dict[str, str]:
    return {'repository': repository, 'digest': digest, 'because': who}


def _hold_consent(cmd: Command, plan: LockPlan, pins: Pins, yes: bool) -> None:
    """Show what would happen, and return when that was agreed to. Raises CLIError where somebody declines."""
    preview = _preview(plan, pins)
    if is_confirmed(cmd, yes) or not (plan.lock or plan.unlock):
        logger.warning(preview)
        return
    print(preview, file=sys.stderr)
    everything = '\n'.join(
        [escaped(f'lock   {name}@{digest}  ({who})') for name, digest, who in plan.lock]
        + [escaped(f'unlock {mark.repository}@{mark.digest}') for mark in plan.unlock]
    )
    ask('Do it? (? lists them all)', everything, 'locked')


def _preview(plan: LockPlan, pins: Pins) -> str:
    from ..show.sizes import count

    locked = f'{len(plan.locked)} {"is" if len(plan.locked) == 1 else "are"} locked already.'
    preview = f'{count(len(plan.lock), "pinned manifest")} will be locked against deletion, {locked}'
    if plan.unlock:
        preview += f' {len(plan.unlock)} that were locked here and that nothing pins any more will be unlocked.'
    if pins.problems:
        preview += ' Nothing is unlocked while some pins could not be read or followed.'
    return preview
