"""Locks that earlier runs on this machine left off: named by every command that looks, set again before a deletion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from knack.log import get_logger

from .failures import alarm
from .journaling import folder_of, journal_of
from .session import Session
from .states import settled_keeper

if TYPE_CHECKING:
    from ..apply.journal import Journal
    from ..model import Inventory, OwedLock

logger = get_logger(__name__)

_MOST_WARNINGS = 5
_FOUND = {
    'unlocked': '%s was left unlocked by the run %s, and is locked again.',
    'locked': '%s was left unlocked by the run %s, and somebody has locked it since.',
    'moved': '%s was left unlocked by the run %s. It is on another manifest now, and stays unlocked.',
    'gone': '%s was left unlocked by the run %s, and is gone.',
}


def with_owed_locks(session: Session, inventory: Inventory) -> Inventory:
    """The inventory with what earlier runs left unlocked counted as locked; warns of it."""
    from ..apply.journal import read_run
    from ..apply.unsettled import settling
    from ..decide.owed import counted_as_locked, told

    with settling(_folder(session), session.host, read_run, settled_keeper(session.cmd)) as owed:
        counted = counted_as_locked(inventory, owed)
    for each in counted.owed[:_MOST_WARNINGS]:
        logger.warning('%s Or lock it with: %s', told(each), _command(session, each))
    if len(counted.owed) > _MOST_WARNINGS:
        left = len(counted.owed) - _MOST_WARNINGS
        logger.warning("%d more were left unlocked: 'az acr prune check -r %s' names them all.", left, session.target)
    return counted


def settle(session: Session) -> bool:
    """Lock again what earlier runs left unlocked; gives whether all that is owed is settled. The journal says it."""
    from ..apply.journal import read_run
    from ..apply.unsettled import settling

    with settling(_folder(session), session.host, read_run, settled_keeper(session.cmd)) as owed:
        if not owed:
            return True
        runs = sorted({each.run for each in owed})
        with journal_of(session.cmd, session.options.sign_in.username, session.host, settles=runs) as journal:
            settled = [_settled(session, journal, each) for each in owed]
            journal.write('end', summary={'settled': settled.count(True), 'failed': settled.count(False)})
    return all(settled)


def _settled(session: Session, journal: Journal, owed: OwedLock) -> bool:
    from ..apply.journal import JournaledRegistry, journal_path
    from ..apply.unsettled import lock_again, write_settled
    from ..registry.protocol.refusals import RegistryError

    door = JournaledRegistry(session.door, journal, {})
    try:
        found = session.run(lock_again(session.registry, door, owed))
        write_settled(journal_path(_folder(session), owed.run), owed, found, journal.run)
    except (RegistryError, OSError) as error:
        told = f'{owed.name} was left unlocked by the run {owed.run} and could not be locked again: {error}'
        logger.warning(told)  # what is asked now may be declined
        alarm(session.cmd, f'{told}.')
        return False
    logger.warning(_FOUND[found], owed.name, owed.run)
    return True


def _command(session: Session, owed: OwedLock) -> str:
    from ..documents.mends import lock_command

    flags: Sequence[str] = owed.locks.flags
    return lock_command(session.options.sign_in.target, owed.name, flags)


def _folder(session: Session) -> Path:
    return folder_of(session.cmd)
