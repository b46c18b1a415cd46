"""Delete what a decision dooms and remove the tags that it takes, and nothing else; many repositories side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from ..decide.decision import Decision
from ..model import Outcome
from ..registry.client import Registry
from ..registry.flight import Flight
from ..reporter import Reporter
from .repository import RepositoryRun, Work

_SECONDS_BETWEEN_SIGNALS = 1


def execute(
    registry: Registry,
    decision: Decision,
    concurrency: int,
    reporter: Reporter,
    clock: Callable[[], float],
    is_over: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Delete every doomed manifest of the decision, and remove every tag, that is still as the plan saw it.

    A failure does not stop the others. Ctrl-C stops cleanly, and so does the time when it `is_over`: what falls with
    something that was deleted is deleted too, and the outcome says what became of all and how much is left.
    """
    work = [Work.of(decision, repository) for repository in decision.inventory.repositories]
    work = [each for each in work if each.doomed or each.untag]
    reporter.deletes_planned(sum(len(each.doomed) + len(each.untag) for each in work))
    stop = _Stop(is_over)
    with Flight(concurrency) as flight, ThreadPoolExecutor(concurrency) as side_by_side:
        runs = [RepositoryRun(registry, each, flight, stop, reporter, clock) for each in work]
        interrupted = _wait_for([side_by_side.submit(run.prune) for run in runs], stop, registry.give_up)
    left = sum(run.left for run in runs)
    return Outcome(
        deleted=tuple(sorted((run.name, digest) for run in runs for digest in run.deleted)),
        untagged=tuple(sorted((run.name, tag) for run in runs for tag in run.untagged)),
        skipped=tuple(skipped for run in runs for skipped in run.all_skipped()),
        failed=tuple(failed for run in runs for failed in run.all_failed()),
        interrupted=interrupted,
        out_of_time=left > 0 and (is_over() or not interrupted),
        left=left,
    )


class _Stop(threading.Event):
    """Set by Ctrl-C, and by the end of the time."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        super().__init__()
        self._is_over = is_over

    def is_set(self) -> bool:
        return super().is_set() or self._is_over()


def _wait_for(futures: list[Future], stop: threading.Event, give_up: Callable[[], None]) -> bool:
    """Wait until every repository is done; gives whether Ctrl-C came.

    The first Ctrl-C asks them to stop, the second one gives up on them.
    """
    interrupted = False
    while True:
        try:
            while wait(futures, timeout=_SECONDS_BETWEEN_SIGNALS).not_done:
                pass  # on Windows, Ctrl-C is only seen between two waits
            for future in futures:
                future.result()
            return interrupted
        except KeyboardInterrupt:
            if interrupted:
                give_up()
                raise
            interrupted = True
            stop.set()
