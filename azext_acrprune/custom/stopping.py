"""What a user is told when a run is stopped: by Ctrl-C, SIGTERM or SIGHUP, which all mean the same."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from azure.cli.core.azclierror import ManualInterrupt
from knack.log import get_logger

if TYPE_CHECKING:
    from ..model import Outcome
    from ..workers import Stops
    from .session import Session

logger = get_logger(__name__)


def stops_from_now_on(session: Session) -> Stops:
    """The stops of a run that changes something: none but the third takes its answer away, the second hurries it."""
    from ..workers import Stops

    stops = Stops()
    session.answering.enter_context(stops.mean(lambda: None, partial(_answer_soon, session)))
    return stops


def _answer_soon(session: Session) -> None:
    """Wait for a storage account as long as for locks that are set again, and for what is written down after that."""
    from ..apply.execute import GIVING_UP_SECONDS

    session.limit.give_up_in(GIVING_UP_SECONDS + _WRITING_DOWN_SECONDS)


@contextmanager
def nothing_was(done: str) -> Iterator[None]:
    """A stop within it is an error that says so: `deleted`, for example."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise ManualInterrupt(
            f'Interrupted. Nothing was {done}.', recommendation='Run the same command again to begin anew.'
        ) from error


_LOCKED_AGAIN = 'Locks that were taken off are set again, now or by the next run.'
_WRITING_DOWN_SECONDS = 0.8
"""So that an answer is there within five seconds."""


def stop_requests(session: Session, given_up: bool, then: str = _LOCKED_AGAIN) -> None:
    """Drop what waits for its turn, at the first stop, and say how many requests are under way.

    At a second one say `then`, and let no storage account take longer than the locks, which are set again.
    """
    session.halt.set()
    count = session.halt.under_way
    requests = f'{count} request{"" if count == 1 else "s"}'
    if given_up:
        _answer_soon(session)
        logger.warning('Giving up on %s. %s', requests, then)
    else:
        verb, them = ('is', 'it') if count == 1 else ('are', 'them')
        logger.warning('Stopping: %s under way %s finished. Ctrl-C again gives up on %s.', requests, verb, them)


def run_until_stopped(session: Session, stops: Stops, work: Coroutine[Any, Any, object]) -> bool:
    """Do what changes a registry and can be done again; gives whether it was stopped.

    The first stop finishes what is under way and drops the rest, the second gives up, the third ends the process.
    """
    from ..apply.execute import GIVING_UP_SECONDS
    from ..registry.protocol.refusals import Kind, RegistryError
    from ..workers import until_given_up

    stopping = partial(stop_requests, session, then='What is done of it is found by the next run.')
    try:
        return session.run(until_given_up(work, stops, stopping, GIVING_UP_SECONDS))
    except RegistryError as error:
        if error.kind is Kind.STOPPED:
            return True
        raise


def told_left(what: str, became: str, done: int, left: int) -> str:
    """The error of a run that was stopped, with how much it did and left."""
    return (
        f'Interrupted: of {done + left} {what} {done} {became}, {left} are left. The same command goes on from there.'
    )


def told_interrupted(outcome: Outcome) -> str:
    """The error of a run that was stopped, with what it did and what it left."""
    gone = len(outcome.deleted) + len(outcome.untagged)
    apart = [
        f'{len(those)} {what}' for those, what in ((outcome.skipped, 'skipped'), (outcome.failed, 'failed')) if those
    ]
    every = gone + len(outcome.skipped) + len(outcome.failed) + outcome.left
    became = ', '.join([f'{gone} are gone', *apart, f'{outcome.left} are left'])
    return f'Interrupted: of {every} manifests and tags in the preview {became}. The same command goes on from there.'
