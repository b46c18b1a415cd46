"""The file that says which locks `pins lock` set: that of this machine, or one that several machines share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import InvalidArgumentValueError
from knack.log import get_logger

from .command import Command
from .states import kept_folder, marks_keeper, state_in_use

if TYPE_CHECKING:
    from ..apply.pin_locks import Marks
    from ..decide.lock_plan import Key, LockPlan, Mark

logger = get_logger(__name__)

_NOT_KNOWN = (
    'Marks of other machines are not known, so nothing is unlocked. Give --marks with a folder that all machines '
    'share, or --alone where no other machine locks pins on this registry.'
)


def open_marks(cmd: Command, host: str, shared: str | None, machine: str) -> Marks:
    """The marks in the folder that is given, or that `acrprune.marks` names, or in the state, or of this machine.

    Raises InvalidArgumentValueError for a folder that is not there: it may be a volume that is not mounted.
    """
    from ..apply.pin_locks import Marks, marks_path

    folder = shared or shared_folder(cmd)
    if folder and not Path(folder).expanduser().is_dir():
        raise InvalidArgumentValueError(
            f"The folder '{folder}' for marks is not there.", recommendation='Make it, or mount what it is on.'
        )
    if folder:
        return Marks(marks_path('', host, folder), machine)
    shares = state_in_use(cmd) is not None
    return Marks(marks_path(kept_folder(cmd), host), machine if shares else None, marks_keeper(cmd))


def known_marks(cmd: Command, host: str) -> Mapping[Key, Mark] | None:
    """The locks that `pins lock` set, by (repository, digest); None where the file of them cannot be read."""
    from ..apply.pin_locks import Marks, MarksUnreadable, marks_path

    path = marks_path(kept_folder(cmd), host, shared_folder(cmd))
    try:
        return Marks(path).all() if path.exists() else {}
    except MarksUnreadable as error:
        logger.warning('Which locks are ours is not known: %s.', error)
        return None


def shared_folder(cmd: Command) -> str | None:
    """The folder that `az config set acrprune.marks=FOLDER` named."""
    return cmd.cli_ctx.config.get('acrprune', 'marks', fallback='') or None


def say_what_stays(plan: LockPlan, elsewhere: Mapping[Key, str] | None) -> None:
    """Say what stays locked although no pin here wants it, and why."""
    if elsewhere is None:
        logger.warning(_NOT_KNOWN)
    elif plan.stays:
        who = sorted({elsewhere[mark.repository, mark.digest] for mark in plan.stays})
        logger.warning('%d stay locked because pins of other machines want them: %s.', len(plan.stays), ', '.join(who))
