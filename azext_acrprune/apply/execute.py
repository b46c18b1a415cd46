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
from ..workers import Stops, run_tasks
from .repository import DELETES_PER_REPOSITORY, RepositoryRun
from .work import Stop, Surroundings, Work

_BUSY = 2
"""Of the calls that may be in flight, so many times as many are planned for.

Those of a repository wait while it is listed, and images wait for the index that names them. More would save little
time, and make the window between listing and deletion wider: `python -m tests.bench.window` measures it.
"""

GIVING_UP_SECONDS = 4
"""After a second stop locks are set again for so long at most, so that the answer is there within five seconds."""


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
    stops: Stops | None = None,
    stopping: Callable[[bool], None] = lambda given_up: None,
) -> Outcome:
    """Delete every doomed manifest of the decision, and remove every tag, that is still as the plan saw it.

    A failure does not stop the others. When the time `is_over`, what falls with something that was deleted is deleted
    too. At the first of the `stops` what is under way is finished, at the second one it is given up; `stopping` hears
    of each, with whether it is the second. The outcome says what became of all and how much is left.
    """
    work = [Work.of(decision, repository) for repository in decision.inventory.repositories]
    work = [each for each in work if each.doomed or each.untag]
    reporter.deletes_planned(sum(len(each.doomed) + len(each.untag) for each in work))
    stop = Stop(is_over)
    around = Surroundings(registry, door, cache, asyncio.Lock(), stop, reporter, clock, pause)
    runs = [RepositoryRun(around, each) for each in work]
    pruning = asyncio.ensure_future(run_tasks([partial(_prune, run) for run in runs], _at_a_time(work, concurrency)))
    with (stops or Stops()).mean(*_acts(stop, stopping, pruning)):
        try:
            await pruning
        except asyncio.CancelledError:
            if not stop.given_up:
                raise
    left = sum(len(run.tally.left) for run in runs)
    ages = [run.listing_age for run in runs if run.listing_age is not None]
    unverified = tuple(run.unverified for run in runs if run.unverified)
    return Outcome(
        deleted=tuple(sorted((run.name, digest) for run in runs for digest in run.tally.deleted)),
        untagged=tuple(sorted((run.name, tag) for run in runs for tag in run.tally.untagged)),
        skipped=tuple(skipped for run in runs for skipped in run.tally.all_skipped()),
        failed=tuple(failed for run in runs for failed in run.tally.all_failed()),
        interrupted=stop.interrupted,
        out_of_time=left > 0 and (is_over() or not stop.interrupted) or bool(unverified) and is_over(),
        left=left,
        gone=tuple(gone for run in runs for gone in run.tally.all_gone()),
        listing_age=max(ages, default=None),
        unverified=unverified,
        in_doubt=frozenset(run.name for run in runs if run.in_doubt),
        more_may_be_gone=any(run.more_may_be_gone for run in runs),
    )


def _at_a_time(work: Sequence[Work], concurrency: int) -> int:
    """How many repositories are deleted in side by side: enough to keep all calls busy while some are being listed.

    With more, each would take longer, and its deletions would leave longer after its listing.
    """
    calls = sum(min(DELETES_PER_REPOSITORY, len(each.doomed) + len(each.untag)) for each in work)
    return min(concurrency, math.ceil(_BUSY * concurrency * len(work) / calls)) if calls else 1


def _acts(
    stop: Stop, stopping: Callable[[bool], None], pruning: asyncio.Future[None]
) -> tuple[Callable[[], object], Callable[[], object]]:
    """What the first and the second stop do, called between any two steps."""
    loop = asyncio.get_running_loop()

    def finish() -> None:
        stop.interrupted = True
        stopping(False)

    def abandon() -> None:
        stop.abandoned = True
        pruning.cancel()

    def give_up() -> None:
        stop.given_up = True
        stopping(True)
        pruning.cancel()
        loop.call_later(GIVING_UP_SECONDS, abandon)

    return partial(loop.call_soon_threadsafe, finish), partial(loop.call_soon_threadsafe, give_up)


async def _prune(run: RepositoryRun) -> tuple[()]:
    await run.prune()
    return ()
