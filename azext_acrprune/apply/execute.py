"""Delete what a decision dooms and remove the tags that it takes, and nothing else; many repositories side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from ..decide.decision import Decision
from ..model import Outcome
from ..registry.changes import Changes
from ..registry.reads import Reads
from ..reporter import Reporter
from ..workers import first_interrupt, run_tasks
from .repository import RepositoryRun, Stop, Work


async def execute(
    registry: Reads,
    door: Changes,
    decision: Decision,
    concurrency: int,
    reporter: Reporter,
    clock: Callable[[], float],
    is_over: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Delete every doomed manifest of the decision, and remove every tag, that is still as the plan saw it.

    A failure does not stop the others. The first Ctrl-C stops cleanly, and so does the time when it `is_over`: what
    falls with something that was deleted is deleted too, and the outcome says what became of all and how much is left.
    """
    work = [Work.of(decision, repository) for repository in decision.inventory.repositories]
    work = [each for each in work if each.doomed or each.untag]
    reporter.deletes_planned(sum(len(each.doomed) + len(each.untag) for each in work))
    stop, places = Stop(is_over), asyncio.Semaphore(concurrency)
    runs = [RepositoryRun(registry, door, each, places, stop, reporter, clock) for each in work]
    with first_interrupt(stop.interrupt):
        await run_tasks([partial(_prune, run) for run in runs], concurrency)
    left = sum(run.left for run in runs)
    return Outcome(
        deleted=tuple(sorted((run.name, digest) for run in runs for digest in run.deleted)),
        untagged=tuple(sorted((run.name, tag) for run in runs for tag in run.untagged)),
        skipped=tuple(skipped for run in runs for skipped in run.all_skipped()),
        failed=tuple(failed for run in runs for failed in run.all_failed()),
        interrupted=stop.interrupted,
        out_of_time=left > 0 and (is_over() or not stop.interrupted),
        left=left,
    )


async def _prune(run: RepositoryRun) -> tuple[()]:
    await run.prune()
    return ()
