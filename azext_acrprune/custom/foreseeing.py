"""What the last options with rules would do with what comes back: said before it does, so that it can be locked."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from knack.log import get_logger

from ..prune_error import PruneError
from .deciding import with_memory
from .journaling import came_back, index_of, read_journal
from .options import HoldOptions
from .scanning import scan
from .session import Session

if TYPE_CHECKING:
    from ..archive.pure.foreseen import Coming
    from ..decide.decision import Decision
    from ..model import Document
    from ..policy.rules import Policy
    from ..workers import Task

logger = get_logger(__name__)

_MOST_MANIFESTS = 5_000
"""More than these nobody waits for who wants one image back: it takes a minute to read them."""

_AGES = 'What comes back counts with the times that it had, and pushes out nothing that was kept. --lock keeps it.'
_NO_RULES = (
    'No run by rules on this registry is known here. A schedule elsewhere may take what comes back again, a day later. '
    '--lock keeps it.'
)


def foreseen(session: Session, coming: Coming, holding: HoldOptions, known: list[Document] | None = None) -> list[str]:
    """What the last options with rules take of what comes back, in sentences; nothing where it will be locked.

    `known` is the journal of a run that this machine has none of. Pins and pulls are not asked.
    """
    from ..archive.pure.run_story import ends_of, is_by_rules, options_of

    if holding.lock or not (coming.manifests or coming.tags):
        return []
    lines = _last_by_rules(session) or (known if known and is_by_rules(known) else None)
    if not lines:
        return [_NO_RULES]
    given = ends_of(lines)[0]['policy']
    taken = _taken(session, coming, given)
    options = ' '.join(options_of(given))
    if taken is None:
        return [f'The options of the last run by rules may take it again, a day after it came back: {options}.', _AGES]
    return [*_told(taken, options, _has_pins(given)), _AGES]


def _has_pins(given: Document) -> bool:
    file = given.get('file', {})
    protect = file.get('protect', {})
    return any(('pins' in given, 'pins' in file, 'lastPulled' in protect, 'ran' in protect))


def say_foreseen(session: Session, coming: Coming, holding: HoldOptions) -> None:
    """Say in warnings what `foreseen` tells."""
    for line in foreseen(session, coming, holding):
        logger.warning(line)


def _last_by_rules(session: Session) -> list[Document] | None:
    """The journal of the last run on this registry in which rules chose what goes."""
    from ..archive.pure.run_story import is_by_rules

    for summary in reversed(index_of(session.cmd).summaries()):
        if summary['registry'] == session.host and summary['deletes']:
            lines = read_journal(session.cmd, str(summary['run']))
            if is_by_rules(lines):
                return lines
    return None


def _told(taken: tuple[int, int, list[str]], options: str, has_pins: bool) -> list[str]:
    from ..show.sizes import count

    manifests, tags, lines = taken
    if not (manifests or tags):
        return [f'The options of the last run by rules take none of it again, as the registry is now: {options}.']
    what = f'{count(manifests, "manifest")} and {count(tags, "tag")}'
    pins = ' What is in use or pinned stays; that was not looked up for this.' if has_pins else ''
    return [
        f'The options of the last run by rules take {what} of it again, a day after it came back: {options}.{pins}',
        *lines,
    ]


def _taken(session: Session, coming: Coming, given: Document) -> tuple[int, int, list[str]] | None:
    """How many manifests and tags they take, and a line on some; None where that cannot be told beforehand."""
    from ..archive.pure.foreseen import told_taken
    from ..policy.ages import SECONDS_PER_DAY
    from ..policy.given import can_be_foreseen, policy_given
    from ..registry.protocol.refusals import RegistryError

    name = session.options.sign_in.registry_name
    try:
        policy = policy_given(given, name, time.time() + SECONDS_PER_DAY)
        if policy is None or not can_be_foreseen(policy):
            return None
        names = {name for name, *_ in (*coming.manifests, *coming.tags)}
        if session.run(_manifests_in(session, names)) > _MOST_MANIFESTS:
            return None
        return told_taken(_decision(session, coming, names, policy), coming)
    except (PruneError, RegistryError, ValueError, TypeError, AttributeError):  # it is asked for nothing but advice
        return None


def _decision(session: Session, coming: Coming, names: set[str], policy: Policy) -> Decision:
    """What the policy decides a day after all of it came back, in the repositories that it comes back to."""
    from ..archive.pure.foreseen import as_if_back
    from ..decide.decision import decide
    from ..decide.returned import with_old_times
    from ..model import TICKS_PER_SECOND
    from ..policy.ages import SECONDS_PER_DAY
    from ..policy.rules import Selection

    inventory = scan(session, Selection(), tags=True, only=tuple(names))
    policy, inventory = with_memory(session, policy, inventory)
    inventory, returned = with_old_times(inventory, came_back(session.cmd, session.host))
    policy = replace(policy, facts=replace(policy.facts, came_back=returned))
    inventory = replace(as_if_back(inventory, coming, session.now), selected=frozenset(policy.selection.select(names)))
    return decide(inventory, policy, session.now + (SECONDS_PER_DAY + 1) * TICKS_PER_SECOND)


async def _manifests_in(session: Session, names: set[str]) -> int:
    """How many manifests there are in some repositories; none in one that is not there. Raises RegistryError."""
    from ..prune_error import Kind
    from ..registry.protocol.refusals import RegistryError
    from ..workers import run_tasks

    found = []

    async def ask(name: str) -> Iterable[Task]:
        try:
            found.append((await session.registry.repository_facts(name)).manifests or 0)
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
        return []

    await run_tasks([partial(ask, name) for name in sorted(names)], session.concurrency)
    return sum(found)
