"""From options to the last pulls. A log that cannot be asked, or does not reach back far enough, stops the command."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import RequiredArgumentMissingError

from ..model import TICKS_PER_SECOND
from .command import Command
from .options import PullOptions

if TYPE_CHECKING:
    from ..decide.impact import Node
    from ..model import Inventory
    from ..pins.pulls import Pulls, WhoPulled, Wish
    from ..policy.rules import Policy, PullLog
    from ..usage.usage_rows import Log


@dataclass(frozen=True)
class PullFacts:
    """The last pulls that a workspace knows; `since` is the instant from which on its log has no hole, if any."""

    workspace: str
    since: int | None
    pulls: Pulls


def wish_of(options: PullOptions, of_policy: Wish | None) -> Wish | None:
    """What the options and the policy want of last pulls; options come first. None when they want nothing."""
    from ..pins.pulls import Wish
    from ..policy.ages import parse_age_or_date

    text, wish = options.pulled_within, of_policy
    if text is not None:
        wish = Wish(text, parse_age_or_date(text, time.time()), of_policy.workspace if of_policy else None)
    if wish is None:
        return None
    workspace = options.workspace or wish.workspace
    if not workspace:
        raise RequiredArgumentMissingError(
            'Nothing says which Log Analytics workspace has the pulls.',
            recommendation='Give --workspace, the name or the id of the workspace that the registry sends its logs to.',
        )
    return Wish(wish.text, wish.seconds, workspace)


def load_pulls(cmd: Command, wish: Wish, host: str, now: int) -> Pulls:
    """The last pulls that a workspace knows of, after it has shown that it knows enough.

    Raises AskError, BadLog, and LogTooShort.
    """
    from ..pins.pulls import check_coverage, covered_since, last_pulls
    from .azure import registry_log

    with registry_log(cmd, str(wish.workspace), host) as log:  # `wish_of` gave it one
        since = check_coverage(covered_since(log.spans(), now), wish.seconds, now)
        start, end = _moment(since), _moment(now)
        pulls = log.pulls(start, end)
        by_tag_alone = any(not pull.digest for pull in pulls)
        return last_pulls(since, pulls, log.pushes(start, end) if by_tag_alone else ())


def load_pull_facts(cmd: Command, log: PullLog, host: str, now: int, workspace: str | None) -> PullFacts:
    """The last pulls that the log of a policy knows, however little that is. Raises AskError and BadLog."""
    from ..pins.pulls import covered_since, last_pulls
    from .azure import registry_log

    named = workspace or log.workspace
    if not named:
        raise RequiredArgumentMissingError(
            'Rules of the policy ask for pulls, and nothing says which Log Analytics workspace has them.',
            recommendation="Give --workspace, or write 'facts: {pulls: {workspace: NAME}}' into the policy.",
        )
    with registry_log(cmd, named, host) as events:
        spans = events.spans()
        since = covered_since(spans, now)
        start, end = _moment(min((first for first, _ in spans), default=now)), _moment(now)
        pulls = events.pulls(start, end, log.identities, log.user_agents)
        pushes = events.pushes(start, end) if any(not pull.digest for pull in pulls) else ()
    return PullFacts(named, since, last_pulls(now if since is None else since, pulls, pushes))


def pullers(
    cmd: Command, log: PullLog, workspace: str, host: str, now: int, inventory: Inventory, since: Mapping[Node, int]
) -> WhoPulled:
    """Who pulled each of these since an instant, or tried to. Raises AskError and BadLog."""
    from ..pins.pulls import who_pulled
    from .azure import registry_log

    with registry_log(cmd, workspace, host) as events:
        rows = events.pullers(_moment(min(since.values())), _moment(now), log.identities, log.user_agents)
    return who_pulled(rows, inventory, since)


def with_pull_facts(facts: PullFacts, policy: Policy, inventory: Inventory) -> Policy:
    """The policy with what the log knows of each manifest."""
    from ..pins.pulls import day_of, last_uses

    known = replace(policy.facts, pulled=last_uses(facts.pulls, inventory), pulls_since=facts.since, has_log=True)
    given = {'workspace': facts.workspace, 'logsSince': None if facts.since is None else day_of(facts.since)}
    return replace(policy, facts=known, given={**policy.given, 'pulls': given})


def log_of(cmd: Command, workspace: str, host: str, now: int) -> Log:
    """All that a workspace knows of pulls, however little that is. Raises AskError and BadLog."""
    from ..pins.pulls import covered_since, last_pulls
    from ..usage.usage_rows import Log
    from .azure import registry_log

    with registry_log(cmd, workspace, host) as log:
        spans = log.spans()
        start, end = _moment(min((first for first, _ in spans), default=now)), _moment(now)
        pulls = log.pulls(start, end)
        pushes = log.pushes(start, end) if any(not pull.digest for pull in pulls) else ()
    return Log(workspace, last_pulls(now, pulls, pushes), covered_since(spans, now))


def with_pulls(pulls: Pulls, wish: Wish, policy: Policy, inventory: Inventory, now: int) -> tuple[Policy, Inventory]:
    """The policy with a pin for all that was pulled, and the inventory with the last pulls."""
    from ..pins.pulls import day_of, pins_of

    pins = pins_of(pulls, inventory, now - wish.seconds * TICKS_PER_SECOND)
    given = {'within': wish.text, 'workspace': wish.workspace, 'logsSince': day_of(pulls.since)}
    return (
        replace(
            policy,
            pins=replace(policy.pins, pins=(*policy.pins.pins, *pins)),
            given={**policy.given, 'lastPulled': given},
        ),
        replace(inventory, pulled=pulls.digests),
    )


def _moment(ticks: int) -> datetime:
    return datetime.fromtimestamp(ticks // TICKS_PER_SECOND, timezone.utc)
