"""Reading a registry, with the warnings that every command gives about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knack.log import get_logger

from .retiring import known_again
from .session import Session

if TYPE_CHECKING:
    from ..decide.named import Unsettled
    from ..model import Inventory, Manifest, Retention
    from ..policy.rules import Selection, Settling

logger = get_logger(__name__)

_CLOCK_AHEAD = 'The clock of this machine is %.0f seconds ahead of that of the registry, whose time is taken for ages.'


_SEVERAL = (
    'The registry is in several regions (%s), and what one of them shows may be old. Nothing younger than a day goes. '
    '--single-region leaves the other regions out of account.'
)


def settling_of(session: Session, say: bool = True) -> Settling | None:
    """The age that everything has to have, where other replicas may know more than the one that answers.

    Where there is such an age that is a warning, unless nobody is to `say` it.
    """
    from ..policy.rules import Settling

    regions = session.facts.regions
    if session.options.scan.single_region or regions is not None and len(regions) < 2:
        return None
    names = ', '.join(regions) if regions else 'which ones could not be told'
    if say:
        logger.warning(_SEVERAL, names)
    return Settling(86_400, f'younger than a day, and the registry is in several regions ({names})')


def unsettled_of(session: Session, say: bool = True) -> Unsettled:
    """Why a manifest is too young to go, where the registry is in several regions."""
    from ..decide.claims import is_settling

    settling = settling_of(session, say)

    def why(manifest: Manifest) -> str | None:
        return settling.text if settling and is_settling(manifest, settling, session.now) else None

    return why


def retention_of(session: Session) -> Retention | None:
    """The retention policy of the registry; one with days that are not known where nobody could be asked."""
    from ..model import Retention

    facts = session.facts
    return None if facts.known and facts.retention_days is None else Retention(facts.retention_days)


def scan(
    session: Session, selection: Selection, tags: bool = False, labels: bool = False, anew: bool = False
) -> Inventory:
    """Read the registry as the options of the session say; the other arguments are those of `Extent`.

    Raises RegistryError and UnknownRepository.
    """
    from ..inventory.scan import OUT_OF_TIME, Extent, scan

    options = session.options
    bound = options.scan.impact == 'bound'
    extent = Extent(selection, bound, tags, labels, session.concurrency, options.scan.order, anew)
    inventory = session.run(
        scan(session.registry, session.host, extent, session.reporter, session.cache, session.limit.is_over)
    )
    for warning in inventory.warnings:
        if warning.code == OUT_OF_TIME:
            logger.warning(warning.message)
    if session.registry.clock_ahead:
        logger.warning(_CLOCK_AHEAD, session.registry.clock_ahead)
    return known_again(session, inventory)
