"""From options to the last pulls. A log that cannot be asked, or does not reach back far enough, stops the command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from azure.cli.core.azclierror import RequiredArgumentMissingError

from ..model import TICKS_PER_SECOND

Options = Mapping[str, Any]


def wish_of(options: Options, of_policy: Any) -> Any | None:
    """What the options and the policy want of last pulls; options come first. None when they want nothing."""
    from ..pins.pulls import Wish
    from ..policy.ages import parse_ago

    text, workspace = options.get('pulled_within'), options.get('workspace')
    if text is None and of_policy is None:
        return None
    wish = of_policy if text is None else Wish(str(text), parse_ago(text), of_policy.workspace if of_policy else None)
    workspace = str(workspace) if workspace else wish.workspace
    if not workspace:
        raise RequiredArgumentMissingError(
            'Nothing says which Log Analytics workspace has the pulls.',
            recommendation='Give --workspace, the name or the id of the workspace that the registry sends its logs to.',
        )
    return Wish(wish.text, wish.seconds, workspace)


def load_pulls(cmd, wish: Any, host: str, now: int) -> Any:
    """The last pulls that a workspace knows of, after it has shown that it knows enough.

    Raises AskError, BadLog, and LogTooShort.
    """
    from ..pins.pulls import check_coverage, covered_since, last_pulls
    from .azure import registry_log

    with registry_log(cmd, wish.workspace, host) as log:
        since = check_coverage(covered_since(log.spans(), now), wish.seconds, now)
        start, end = _moment(since), _moment(now)
        pulls = log.pulls(start, end)
        by_tag_alone = any(not pull.digest for pull in pulls)
        return last_pulls(since, pulls, log.pushes(start, end) if by_tag_alone else ())


def log_of(cmd, workspace: str, host: str, now: int) -> Any:
    """All that a workspace knows of pulls, however little that is. Raises AskError and BadLog."""
    from ..pins.pulls import covered_since, last_pulls
    from ..usage.usage_rows import Log
    from .azure import registry_log

    with registry_log(cmd, str(workspace), host) as log:
        spans = log.spans()
        start, end = _moment(min((first for first, _ in spans), default=now)), _moment(now)
        pulls = log.pulls(start, end)
        pushes = log.pushes(start, end) if any(not pull.digest for pull in pulls) else ()
    return Log(str(workspace), last_pulls(now, pulls, pushes), covered_since(spans, now))


def with_pulls(pulls: Any, policy: Any, inventory: Any, now: int) -> tuple[Any, Any]:
    """The policy with a pin for all that was pulled, and the inventory with the last pulls."""
    from ..pins.pulls import day_of, pins_of

    wish = policy.pulled
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
