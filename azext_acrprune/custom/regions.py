"""A registry in several regions: what one of them shows may be old, so that nothing younger than a day goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from knack.log import get_logger

from ..model import TICKS_PER_SECOND
from .session import Session

if TYPE_CHECKING:
    from ..decide.decision import Decision
    from ..decide.named import Unsettled
    from ..model import Inventory, Manifest, Skipped, Tag
    from ..policy.rules import Policy, Settling

logger = get_logger(__name__)

_SETTLING_SECONDS = 86_400
_DAY = timedelta(days=1)
_BY_ENDPOINTS, _BY_LOG, _BY_ONE, _BY_OPTION = 'regionalEndpoints', 'log', 'oneRegion', 'singleRegion'
"""How a plan says that the regions were looked at."""

_SEVERAL = (
    'The registry is in several regions (%s), and what one of them shows may be old. Nothing younger than a day goes. '
    '--single-region leaves the other regions out of account.'
)
_UNKNOWN = (
    'Whether the registry is in several regions is not known, and another one may know of a push, a tag or a lock that '
    'this one does not show yet. So these stay, being younger than a day: %s manifests and tags. Sign in with az login '
    'as somebody who may read the registry, or give --single-region if it is in one region.'
)


def is_alone(session: Session) -> bool:
    """Whether the registry has one region, or is to be taken for such a one."""
    regions = session.facts.regions
    return session.options.scan.single_region or regions is not None and len(regions) < 2


def settling_of(session: Session, say: bool = True) -> Settling | None:
    """The age that everything has to have, where other replicas may know more than the one that answers.

    Where there is such an age that is a warning, unless nobody is to `say` it.
    """
    from ..policy.rules import Settling

    if is_alone(session):
        return None
    regions = session.facts.regions
    if regions is None:
        return Settling(
            _SETTLING_SECONDS, 'younger than a day, and whether the registry is in several regions is not known'
        )
    names = ', '.join(regions)
    if say:
        logger.warning(_SEVERAL, names)
    return Settling(_SETTLING_SECONDS, f'younger than a day, and the registry is in several regions ({names})')


def settling_of_named(session: Session, say: bool = True) -> Settling | None:
    """The same for what the user names, one by one or by a plan. It goes where nobody knows of several regions."""
    return None if session.facts.regions is None else settling_of(session, say)


def unsettled_of(session: Session, settling: Settling | None) -> Unsettled:
    """Why a manifest or tag is too young to go, where the registry may be in several regions."""
    from ..decide.claims import is_settling

    def why(thing: Manifest | Tag) -> str | None:
        return settling.text if settling and is_settling(thing, settling, session.now) else None

    return why


def with_log(session: Session, inventory: Inventory, workspace: str | None) -> Inventory:
    """The inventory with all that was changed in any region within a day as new, as a log of them tells.

    Where every region was asked itself, or there is one alone, no log is needed. Raises AskError and BadLog.
    """
    if not workspace or is_alone(session) or session.asks_each_region:
        return inventory
    from ..decide.replicas import with_changes
    from .azure import registry_log

    now = datetime.fromtimestamp(session.now // TICKS_PER_SECOND, timezone.utc)

    def ask() -> Inventory:
        with registry_log(session.cmd, workspace, session.host) as log:
            return with_changes(inventory, log.changes(now - _DAY, now + _DAY))

    return session.ask(ask)


def for_replicas(session: Session, policy: Policy, settling: Settling | None, workspace: str | None) -> Policy:
    """The policy for a registry that may be in several regions; where it is, the plan says which."""
    regions = session.facts.regions
    if not regions or len(regions) < 2:
        return replace(policy, settling=settling)
    return replace(policy, settling=settling, given={**policy.given, **_given(session, settling, workspace)})


def with_doubts(session: Session, decision: Decision, settling: Settling | None, workspace: str | None) -> Decision:
    """The decision, which says so where something stays only because nobody knows how many regions there are."""
    if settling is None or session.facts.regions is not None or not say_held(session, decision, settling):
        return decision
    return replace(decision, given={**decision.given, **_given(session, settling, workspace)})


def say_held(session: Session, decision: Decision, settling: Settling | None) -> tuple[Skipped, ...]:
    """What stays only because the registry may be in several regions; says so where that is not known."""
    from ..decide.held import held_by

    held = tuple(held_by(decision, settling.text)) if settling else ()
    if held and session.facts.regions is None:
        logger.warning(_UNKNOWN, f'{len(held):,}')
    return held


def _given(session: Session, settling: Settling | None, workspace: str | None) -> dict[str, object]:
    """What the plan says of the regions, and how those were looked at."""
    regions = session.facts.regions
    known: dict[str, object] = {'regions': list(regions) if regions else None}
    if settling is None:
        return {**known, 'regionsBy': _BY_OPTION}
    by_log = _BY_LOG if workspace else _BY_ONE
    by = _BY_ENDPOINTS if session.asks_each_region else by_log
    return {**known, 'regionsBy': by, 'youngest': '1d'}
