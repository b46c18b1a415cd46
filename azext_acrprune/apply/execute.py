"""Delete what a decision dooms, and nothing else.

Right before deleting in a repository it is listed again, and again after each minute of deleting, so that what
changed meanwhile is left alone. At most five deletes run at a time in one repository: more leave ghosts
(dotnet/docker-tools 1503).
"""
from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Callable, Dict, Iterable, List, Optional, Set

from ..decide.decision import Decision
from ..decide.drift import Drift, check_drift, needed
from ..decide.graph import deletion_waves
from ..decide.safety import LOCKED, Verdict
from ..inventory.scan import rescan
from ..model import Failed, Outcome, Repository, Skipped
from ..registry.client import Registry
from ..registry.errors import Kind, RegistryError
from ..reporter import Reporter

DELETES_PER_REPOSITORY = 5
RECHECK_SECONDS = 60
PROGRESS_SECONDS = 10
"""However long a listing took, this long may be deleted on the strength of it."""

_SECONDS_BETWEEN_SIGNALS = 1


def execute(registry: Registry, decision: Decision, concurrency: int, reporter: Reporter,
            clock: Callable[[], float]) -> Outcome:
    """Delete every doomed manifest of the decision that is still as the plan saw it.

    A failure does not stop the others. Ctrl-C stops cleanly: requests in flight finish, and the outcome says what
    was deleted.
    """
    repositories = [repository for repository in decision.inventory.repositories
                    if decision.doomed_in(repository.name)]
    reporter.deletes_planned(len(decision.doomed))
    stop = threading.Event()
    with ThreadPoolExecutor(concurrency) as requests, ThreadPoolExecutor(concurrency) as side_by_side:
        runs = [_Run(registry, repository, requests, stop, reporter, clock) for repository in repositories]
        _wait_for([side_by_side.submit(run.prune, decision.doomed_in(run.name)) for run in runs], stop)
    return Outcome(
        deleted=tuple(sorted((run.name, digest) for run in runs for digest in run.deleted)),
        skipped=tuple(Skipped(run.name, digest, verdict.reason, verdict.because)
                      for run in runs for digest, verdict in sorted(run.skipped.items())),
        failed=tuple(Failed(run.name, digest, error)
                     for run in runs for digest, error in sorted(run.failed.items())),
        interrupted=stop.is_set())


def _wait_for(futures: List[Future], stop: threading.Event) -> None:
    """Wait until every repository is done. The first Ctrl-C asks them to stop, the second one gives up on them."""
    while True:
        try:
            while wait(futures, timeout=_SECONDS_BETWEEN_SIGNALS).not_done:
                pass  # on Windows, Ctrl-C is only seen between two waits
            for future in futures:
                future.result()
            return
        except KeyboardInterrupt:
            if stop.is_set():
                raise
            stop.set()


class _Run:
    """The deletes of one repository."""

    def __init__(self, registry: Registry, seen: Repository, requests: ThreadPoolExecutor, stop: threading.Event,
                 reporter: Reporter, clock: Callable[[], float]) -> None:
        self.name = seen.name
        self.deleted: Set[str] = set()
        self.skipped: Dict[str, Verdict] = {}
        self.failed: Dict[str, str] = {}
        self._registry = registry
        self._seen = seen
        self._requests = requests
        self._stop = stop
        self._reporter = reporter
        self._clock = clock
        self._refused: Optional[str] = None
        self._late: Set[str] = set()

    def prune(self, planned: Set[str]) -> None:
        """Delete `planned`; each of them ends up deleted, skipped or failed, or untouched after an interruption."""
        todo = set(planned)
        while todo and not self._stop.is_set():
            listed_at = self._clock()
            try:
                fresh = self._requests.submit(rescan, self._registry, self._seen, todo).result()
            except Exception as error:  # pylint: disable=broad-except  # the other repositories have an outcome too
                self._fail(todo, str(error))
                return
            drift = check_drift(todo, self._seen, fresh)
            self._settle(drift)
            todo = self._delete_until(max(listed_at + RECHECK_SECONDS, self._clock() + PROGRESS_SECONDS), drift)
            if self._refused:
                self._fail(todo, self._refused)
                return

    def _settle(self, drift: Drift) -> None:
        self._skip(drift.skipped)
        self._count(self.deleted.update, drift.gone)

    def _delete_until(self, deadline: float, drift: Drift) -> Set[str]:
        """Delete wave by wave until it is time to look again; gives what is left to do."""
        todo = set(drift.valid)
        for wave in deletion_waves(drift.graph, drift.valid):
            due = [digest for digest in wave if digest in todo]
            sent = self._delete_wave(due, deadline)
            todo -= sent
            spared = needed(drift.graph, todo, sent - self.deleted)
            self._skip(spared)
            todo -= set(spared)
            if self._stop.is_set() or self._refused or len(sent) < len(due) or self._clock() >= deadline:
                break  # what was not sent is still there, and needs what the next wave would delete
        return todo

    def _delete_wave(self, wave: Iterable[str], deadline: float) -> Set[str]:
        """Delete what can be sent in time; gives that, whatever came of it.

        A throttled registry makes deletes queue, for a thread and then for their turn. The queues are short, for
        there are five deletes of a repository in them at most, and they go in turn. One that would wait for more
        than a minute in either is not sent, nor has it failed: it is looked at again.
        """
        sent: Set[str] = set()
        flying: Set[Future] = set()
        self._late.clear()
        for digest in wave:
            now = self._clock()
            if self._stop.is_set() or self._refused or now >= deadline:
                break
            if len(flying) >= DELETES_PER_REPOSITORY:
                flying = wait(flying, return_when=FIRST_COMPLETED).not_done
            flying.add(self._requests.submit(self._delete, digest, now + RECHECK_SECONDS))
            sent.add(digest)
        wait(flying)
        return sent - self._late

    def _delete(self, digest: str, latest: float) -> None:
        if self._clock() >= latest:
            self._late.add(digest)
            return
        error = self._try_delete(digest)
        if error is None or error.kind is Kind.NOT_FOUND:
            self._count(self.deleted.update, [digest])
        elif error.kind is Kind.LATE:
            self._late.add(digest)
        elif error.kind is Kind.LOCKED:
            self._skip({digest: Verdict(True, LOCKED, str(error))})
        else:
            self._fail([digest], str(error))
            if error.kind in (Kind.FORBIDDEN, Kind.UNAUTHENTICATED):
                self._refused = str(error)

    def _try_delete(self, digest: str) -> Optional[RegistryError]:
        try:
            self._registry.delete_manifest(self.name, digest)
            return None
        except RegistryError as error:
            return error
        except Exception as error:  # pylint: disable=broad-except  # the outcome has to name every manifest
            return RegistryError(Kind.UNAVAILABLE, f'{type(error).__name__}: {error}')

    def _skip(self, verdicts: Dict[str, Verdict]) -> None:
        self._count(self.skipped.update, verdicts)

    def _fail(self, digests: Iterable[str], error: str) -> None:
        self._count(self.failed.update, {digest: error for digest in digests})

    def _count(self, record: Callable, digests: Iterable) -> None:
        """Record what became of some digests, and report each of them as done."""
        record(digests)
        for _ in digests:
            self._reporter.deleted()
