"""Delete what a decision dooms and remove the tags that it takes, and nothing else; many repositories side by side."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from ..decide.decision import Decision
from ..inventory.cache import Cache, NoCache
from ..model import Outcome
from ..registry.changes import Changes
from ..registry.reads import Reads
from ..reporter import Reporter
from ..workers import first_interrupt, run_tasks
from .repository import DELETES_PER_REPOSITORY, RepositoryRun
from .work import Stop, Surroundings, Work

_BUSY = 1.5
"""Of the calls that may be in flight, as many are planned for: those of a repository wait while it is listed."""


async def execute(
    registry: Reads,
    door: Changes,
    decision: Decision,
    concurrency: int,
    reporter: Reporter,
    clock: Callable[[], float],
    is_over: Callable[[], bool] = lambda: False,
    cache: Cache = NoCache(),
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Outcome:
    """Delete every doomed manifest of the decision, and remove every tag, that is still as the plan saw it.

    A failure does not stop the others. The first Ctrl-C stops cleanly, and so does the time when it `is_over`: what
    falls with something that was deleted is deleted too, and the outcome says what became of all and how much is left.
    """
    work = [Work.of(decision, repository) for repository in decision.inventory.repositories]
    work = [each for each in work if each.doomed or each.untag]
    reporter.deletes_planned(sum(len(each.doomed) + len(each.untag) for each in work))
    stop, places, turn = Stop(is_over), asyncio.Semaphore(concurrency), asyncio.Lock()
    around = Surroundings(registry, door, cache, places, turn, stop, reporter, clock, pause)
    runs = [RepositoryRun(around, each) for each in work]
    with first_interrupt(stop.interrupt):
        await run_tasks([partial(_prune, run) for run in runs], _at_a_time(work, concurrency))
    left = sum(len(run.tally.left) for run in runs)
    ages = [run.listing_age for run in runs if run.listing_age is not None]
    return Outcome(
        deleted=tuple(sorted((run.name, digest) for run in runs for digest in run.tally.deleted)),
        untagged=tuple(sorted((run.name, tag) for run in runs for tag in run.tally.untagged)),
        skipped=tuple(skipped for run in runs for skipped in run.tally.all_skipped()),
        failed=tuple(failed for run in runs for failed in run.tally.all_failed()),
        interrupted=stop.interrupted,
        out_of_time=left > 0 and (is_over() or not stop.interrupted),
        left=left,
        gone=tuple(gone for run in runs for gone in run.tally.all_gone()),
        listing_age=max(ages, default=None),
        unverified=tuple(run.unverified for run in runs if run.unverified),
    )


def _at_a_time(work: Sequence[Work], concurrency: int) -> int:
    """How many repositories are deleted in side by side: enough to keep all calls busy while some are being listed.

    With more, each would take longer, and its deletions would leave longer after its listing.
    """
    calls = sum(min(DELETES_PER_REPOSITORY, len(each.doomed) + len(each.untag)) for each in work)
    return min(concurrency, math.ceil(_BUSY * concurrency * len(work) / calls)) if calls else 1


async def _prune(run: RepositoryRun) -> tuple[()]:
    await run.prune()
    return ()
