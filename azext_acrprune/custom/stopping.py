"""What a user is told when a run is stopped: by Ctrl-C, SIGTERM or SIGHUP, which all mean the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import ManualInterrupt
from knack.log import get_logger

if TYPE_CHECKING:
    from ..model import Outcome
    from ..registry.halting import Halt

logger = get_logger(__name__)


@contextmanager
def nothing_was(done: str) -> Iterator[None]:
    """A stop within it is an error that says so: `deleted`, for example."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise ManualInterrupt(
            f'Interrupted. Nothing was {done}.', recommendation='Run the same command again to begin anew.'
        ) from error


def stop_requests(halt: Halt, given_up: bool) -> None:
    """Drop what waits for its turn, at the first stop, and say how many requests are under way."""
    halt.set()
    count = halt.under_way
    requests = f'{count} request{"" if count == 1 else "s"}'
    if given_up:
        logger.warning('Giving up on %s. Locks that were taken off are set again.', requests)
    else:
        verb, them = ('is', 'it') if count == 1 else ('are', 'them')
        logger.warning('Stopping: %s under way %s finished. Ctrl-C again gives up on %s.', requests, verb, them)


def told_interrupted(outcome: Outcome) -> str:
    """The error of a run that was stopped, with what it did and what it left."""
    gone = len(outcome.deleted) + len(outcome.untagged)
    apart = [
        f'{len(those)} {what}' for those, what in ((outcome.skipped, 'skipped'), (outcome.failed, 'failed')) if those
    ]
    every = gone + len(outcome.skipped) + len(outcome.failed) + outcome.left
    became = ', '.join([f'{gone} are gone', *apart, f'{outcome.left} are left'])
    return f'Interrupted: of {every} manifests and tags in the preview {became}. The same command goes on from there.'
