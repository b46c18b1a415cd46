"""Reading a registry, with the warnings that every command gives about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from knack.log import get_logger

from .retiring import known_again
from .session import Session
from .settling import with_owed_locks

if TYPE_CHECKING:
    from ..model import Inventory, Retention
    from ..policy.rules import Selection

logger = get_logger(__name__)

_CLOCK_AHEAD = 'The clock of this machine is %.0f seconds ahead of that of the registry, whose time is taken for ages.'


def retention_of(session: Session) -> Retention | None:
    """The retention policy of the registry; one with days that are not known where nobody could be asked."""
    from ..model import Retention

    facts = session.facts
    return None if facts.known and facts.retention_days is None else Retention(facts.retention_days)


def scan(
    session: Session,
    selection: Selection,
    tags: bool = False,
    labels: bool = False,
    anew: bool = False,
    only: tuple[str, ...] | None = None,
    everywhere: bool = False,
    orphans: bool = False,
) -> Inventory:
    """Read the registry as the options of the session say; the other arguments are those of `Extent`.

    What an earlier run left unlocked counts as locked. Raises JournalError, RegistryError and UnknownRepository.
    """
    from ..inventory.scan import OUT_OF_TIME, Extent, scan

    options = session.options
    bound = options.scan.impact == 'bound'
    cached = session.facts.cache_rules or ()
    extent = Extent(
        selection, bound, tags, labels, session.concurrency, options.scan.order, anew, cached, only, everywhere, orphans
    )
    inventory = session.run(
        scan(session.registry, session.host, extent, session.reporter, session.cache, session.limit.is_over)
    )
    for warning in inventory.warnings:
        if warning.code == OUT_OF_TIME:
            logger.warning('%s', warning.message)
    if session.registry.clock_ahead:
        logger.warning(_CLOCK_AHEAD, session.registry.clock_ahead)
    return with_owed_locks(session, _with_stored_bytes(session, known_again(session, inventory)))


def _with_stored_bytes(session: Session, inventory: Inventory) -> Inventory:
    """The inventory with what Azure says is stored: nothing else can tell that the catalog hides a repository.

    Azure is only asked by who is signed in, and where all that is listed was read.
    """
    if not (inventory.complete and inventory.whole):
        return inventory
    stored = session.account.used_bytes if session.facts.known else None
    return replace(inventory, stored=stored, proven=stored is not None)
