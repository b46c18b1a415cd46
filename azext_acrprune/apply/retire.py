"""Retire what a decision retires, so that pulls of it fail, and let be pulled again what is wanted; reversible.

Each repository is listed again right before, and what changed since the decision is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..decide.decision import Decision
from ..decide.drift import check_drift
from ..decide.graph import build_graph, walk
from ..decide.impact import Node
from ..decide.reasons import LOCKED, RETIRED
from ..decide.retirement import Retirements, is_ours
from ..decide.verdicts import Verdict
from ..inventory.rescan import Before, rescan
from ..model import Failed, Repository, Skipped
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..workers import Task, run_tasks
from .journal import Journal

AT_A_TIME = 200
"""Manifests that are retired on the word of one listing."""
_FATAL = (Kind.UNREACHABLE, Kind.UNAUTHENTICATED, Kind.STOPPED)


@dataclass
class RetireOutcome:
    """What became of it. `retired` and `unretired` are (repository, digest), `left` was not taken back, or not yet.

    It is `out_of_time` when something was not begun because the time was over.
    """

    retired: list[tuple[str, str]] = field(default_factory=list)
    unretired: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    left: int = 0
    out_of_time: bool = False


async def retire(
    registry: Reads,
    door: Changes,
    journal: Journal,
    decision: Decision,
    concurrency: int,
    outcome: RetireOutcome,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Let be pulled again what is wanted, then retire. A failure does not stop the others.

    `outcome` is filled in as it goes on. Raises RegistryError when the registry cannot be reached any more, or somebody
    stopped the run. Once the time `is_over` nothing more is begun.
    """
    run = _Run(registry, door, journal, decision, outcome, is_over)
    await run_tasks([partial(run.take_back, name, digest) for name, digest in decision.returning], concurrency)
    await run_tasks(
        [partial(run.retire, each) for each in decision.inventory.repositories if decision.retiring_in(each.name)],
        concurrency,
    )


async def take_back(
    registry: Reads,
    door: Changes,
    records: Retirements,
    chosen: Sequence[Node],
    concurrency: int,
    outcome: RetireOutcome,
) -> None:
    """Let be pulled again what this program retired. What somebody else changed since is skipped.

    `outcome` is filled in as it goes on. Raises RegistryError when the registry cannot be reached any more, or somebody
    stopped the run.
    """
    outcome.left = len(chosen)

    async def take(name: str, digest: str) -> Iterable[Task]:
        async with _Failures(outcome, name, digest):
            now = await registry.manifest_properties(name, digest)
            if is_ours(records[name][digest], now.locks):
                await door.set_read_enabled(name, digest, True)
                outcome.unretired.append((name, digest))
            elif not now.locks.read_enabled:
                because = 'it is hidden from pulls, and not as this program left it'
                outcome.skipped.append(Skipped(name, digest, LOCKED, because))
        outcome.left -= 1
        return []

    await run_tasks([partial(take, *node) for node in chosen], concurrency)


class _Run:
    """One run. `outcome` is what became of it so far."""

    def __init__(
        self,
        registry: Reads,
        door: Changes,
        journal: Journal,
        decision: Decision,
        outcome: RetireOutcome,
        is_over: Callable[[], bool],
    ) -> None:
        self.outcome = outcome
        self._registry = registry
        self._door = door
        self._journal = journal
        self._decision = decision
        self._is_over = is_over

    async def take_back(self, name: str, digest: str) -> Iterable[Task]:
        """Look again first: what somebody else changed meanwhile is not ours."""
        if self._ends():
            return []
        async with _Failures(self.outcome, name, digest):
            now = (await self._registry.manifest_properties(name, digest)).locks
            seen = self._seen(name).manifests.get(digest)
            if seen is None or now.read_enabled or now.flags != seen.locks.flags:
                self._skip(name, {digest: Verdict(True, LOCKED, 'its locks changed since the plan')})
            else:
                await self._door.set_read_enabled(name, digest, True)
                self.outcome.unretired.append((name, digest))
        return []

    async def retire(self, seen: Repository) -> Iterable[Task]:
        """Retire what is still as the decision saw it, a few at a time."""
        todo = self._decision.retiring_in(seen.name)
        while todo and not self._ends():
            part, todo = todo[:AT_A_TIME], todo[AT_A_TIME:]
            async with _Failures(self.outcome, seen.name, *part):
                for digest in await self._unchanged(seen, part):
                    async with _Failures(self.outcome, seen.name, digest):
                        await self._retire(seen.name, digest)
        return []

    def _ends(self) -> bool:
        """Whether nothing more is begun, asked where something is left to do."""
        self.outcome.out_of_time = self.outcome.out_of_time or self._is_over()
        return self.outcome.out_of_time

    async def _retire(self, name: str, digest: str) -> None:
        await self._door.set_read_enabled(name, digest, False)
        self.outcome.retired.append((name, digest))
        try:
            after = await self._registry.manifest_properties(name, digest, promised=True)
        except RegistryError as error:
            self.outcome.retired.remove((name, digest))
            why = f'pulls of it fail from now on, but as nobody knows when it was retired, it will not go: {error}'
            raise RegistryError(error.kind, why, error.status) from error
        await asyncio.to_thread(
            partial(
                self._journal.write,
                'retired',
                repository=name,
                digest=digest,
                lastUpdateTime=after.last_update_time,
                locks=list(after.locks.switched_off),
            )
        )

    async def _unchanged(self, seen: Repository, part: list[str]) -> list[str]:
        """Those that are as they were, whose locks and tags nobody changed, and that nothing new needs."""
        fresh = await rescan(self._registry, Before(seen))
        drift = check_drift(self._together(seen), seen, fresh, pins=self._decision.pins)
        self._skip(seen.name, {digest: drift.skipped[digest] for digest in part if digest in drift.skipped})
        hidden = {
            digest: Verdict(True, LOCKED, 'manifest readEnabled=false')
            for digest in part
            if digest in drift.valid and fresh and not fresh.manifests[digest].locks.read_enabled
        }
        self._skip(seen.name, hidden)
        return [digest for digest in part if digest in drift.valid and digest not in hidden]

    def _together(self, seen: Repository) -> set[str]:
        """What is retired and what was, with all that falls with it later: none of that keeps it."""
        retired = [
            digest for digest, verdict in self._decision.verdicts[seen.name].items() if verdict.reason == RETIRED
        ]
        graph = build_graph(seen)

        def falls(digest: str) -> Iterator[str]:
            return (other for other, _ in graph.consequences(digest))

        return set(walk([*retired, *self._decision.retiring_in(seen.name)], falls))

    def _seen(self, name: str) -> Repository:
        return next(each for each in self._decision.inventory.repositories if each.name == name)

    def _skip(self, name: str, verdicts: Mapping[str, Verdict]) -> None:
        for digest, verdict in sorted(verdicts.items()):
            self.outcome.skipped.append(Skipped(name, digest, verdict.reason, verdict.because))


class _Failures:
    """Notes a failure for each manifest; one of the registry itself, or of the whole journal, and a stop is raised."""

    def __init__(self, outcome: RetireOutcome, name: str, *digests: str) -> None:
        self._outcome, self._name, self._digests = outcome, name, digests

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, RegistryError) or error.kind in _FATAL:
            return False
        if error.kind is not Kind.NOT_FOUND:  # what is gone needs nothing any more
            self._outcome.failed.extend(Failed(self._name, digest, str(error)) for digest in self._digests)
        return True
