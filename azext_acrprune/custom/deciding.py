"""What may be deleted by rules, and the document that says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .journaling import came_back, untagged_by_us
from .keeping_locked import with_lock_marks
from .options import SelectOptions
from .pinning import as_listed, load_pins
from .pulling import PullFacts, load_pull_facts, load_pulls, wish_of, with_pull_facts, with_pulls
from .regions import for_replicas, settling_of, with_doubts, with_log
from .retiring import with_retired
from .scanning import retention_of, scan
from .session import Session

if TYPE_CHECKING:
    from ..decide.decision import Decision
    from ..documents.cost import Price
    from ..model import Document, Inventory, Skipped
    from ..policy.rules import Policy


@dataclass(frozen=True)
class Decided:
    """A decision, and the registry as it was read for it.

    `plan` is the document of the plan that is carried out, None when no plan is. `held` is what the plan, or the user,
    names and what stays all the same.
    """

    decision: Decision
    seen: Inventory
    plan: Document | None = None
    held: tuple[Skipped, ...] = ()


def decide_by_rules(session: Session, policy: Policy, options: SelectOptions, everywhere: bool = False) -> Decision:
    """Read what is in use and the registry, and judge every manifest of it.

    With `everywhere`, all repositories and tags are read, also those that the policy takes nothing of. Raises
    the errors of `load_pins`, `load_pulls` and `scan`.
    """
    from ..decide.decision import decide
    from ..decide.retention import with_retention
    from ..decide.returned import with_old_times
    from ..policy.rules import ORPHANS

    pins = session.ask(lambda: load_pins(session.cmd, options.pins, session.host, policy.sources))
    wish = wish_of(options.pulls, policy.pulled)
    policy = replace(policy, pins=pins, pulled=wish)
    pulls = session.ask(lambda: load_pulls(session.cmd, wish, session.host, session.now)) if wish else None
    log = _pull_facts(session, policy, options) if _asks_for_pulls(policy, options) else None
    tags, orphans = policy.takes_tags or everywhere, ORPHANS in policy.include
    labels = policy.asks_for_labels
    inventory = scan(session, policy.selection, tags, labels, everywhere=everywhere, orphans=orphans)
    policy = replace(policy, pins=as_listed(pins, inventory))
    if wish and pulls:
        policy, inventory = with_pulls(pulls, wish, policy, inventory, session.now)
    if log:
        policy = with_pull_facts(log, policy, inventory)
    policy, inventory = with_memory(session, policy, inventory, log)
    workspace = options.pulls.workspace or (wish.workspace if wish else None) or (log.workspace if log else None)
    inventory = with_log(session, inventory, workspace)
    inventory, returned = with_old_times(inventory, came_back(session.cmd, session.host))
    policy = replace(policy, facts=replace(policy.facts, came_back=returned))
    settling = settling_of(session)
    decision = decide(inventory, for_replicas(session, policy, settling, workspace), session.now)
    decision = with_doubts(session, decision, settling, workspace)
    return with_retention(decision, retention_of(session))


def with_memory(
    session: Session, policy: Policy, inventory: Inventory, log: PullFacts | None = None
) -> tuple[Policy, Inventory]:
    """The policy and the inventory with what this machine remembers of what it did: untagging, locking, retiring."""
    if policy.asks_for_untagging:
        untagged = untagged_by_us(session.cmd, session.host, policy.untagging_since(session.now))
        policy = replace(policy, facts=replace(policy.facts, untagged=untagged))
    return with_retired(session, with_lock_marks(session, policy), inventory, log)


def _asks_for_pulls(policy: Policy, options: SelectOptions) -> bool:
    """Pulls keep what is retired, too, where a log is named that tells of them."""
    return policy.asks_for_pulls or policy.retires and bool(policy.pull_log or options.pulls.workspace)


def _pull_facts(session: Session, policy: Policy, options: SelectOptions) -> PullFacts:
    from ..policy.rules import PullLog

    log = policy.pull_log or PullLog()
    return session.ask(lambda: load_pull_facts(session.cmd, log, session.host, session.now, options.pulls.workspace))


def document_of(
    session: Session,
    decision: Decision,
    price: Price | None = None,
    show_kept: bool = False,
    group_by: str | None = None,
) -> Document:
    """The plan that a decision is."""
    from ..documents.plan import plan_document

    return plan_document(
        decision,
        session.began,
        show_kept,
        session.facts.soft_delete_days,
        group_by,
        price,
        session.account if price else None,
    )
