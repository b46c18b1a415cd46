"""What is done in one repository.

Right before deleting it is listed again, and again after each minute of deleting, so that what changed meanwhile is
left alone. At most five deletes run at a time in it: more leave ghosts (dotnet/docker-tools 1503).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ..decide.decision import Decision
from ..decide.drift import Drift, TagDrift, check_drift, check_tags, needed
from ..decide.graph import build_graph, deletion_batches, deletion_waves, spread
from ..decide.reasons import LOCKED
from ..decide.retention import check_last_tags
from ..decide.verdicts import Verdict, locks_of
from ..inventory.rescan import rescan
from ..model import UNLOCKED, Failed, Locks, Repository, Skipped
from ..pins.pinned import Pins
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..reporter import Reporter
from ..workers import run_tasks

DELETES_PER_REPOSITORY = 5
DELETES_BEGUN_TOGETHER = 5
"""Most images of one part. Few, because a part that was begun is finished when a run is stopped."""
RECHECK_SECONDS = 60
PROGRESS_SECONDS = 10
"""For at least this long, deletions may be based on one listing, however long that took."""


class Stop:
    """Whether nothing more is begun: after Ctrl-C, or when the time is over."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self.interrupted = False
        self._is_over = is_over
        self._ran_out = False

    def interrupt(self) -> None:
        self.interrupted = True

    def run_out(self) -> None:
        self._ran_out = True

    def is_set(self) -> bool:
        return self.interrupted or self._ran_out or self._is_over()


@dataclass(frozen=True)
class Work:
    """What is to be done in one repository: digests to delete, and {tag: digest} to remove.

    `later` are the digests that the registry itself deletes when their last tag is removed, and None where it deletes
    nothing by itself.
    """

    seen: Repository
    doomed: frozenset[str]
    untag: Mapping[str, str]
    include_locked: bool
    pins: Pins
    later: frozenset[str] | None = None
    superseded: frozenset[str] = frozenset()

    @classmethod
    def of(cls, decision: Decision, repository: Repository) -> Work:
        return cls(
            repository,
            frozenset(decision.doomed_in(repository.name)),
            {tag: digest for tag, digest, _ in decision.untagged_in(repository)},
            decision.include_locked,
            decision.pins,
            decision.later_in(repository.name) if decision.retention else None,
            decision.superseded_in(repository.name),
        )


@dataclass(frozen=True)
class _Lock:
    """Locks on a manifest, or on a tag of it."""

    digest: str
    tag: str
    locks: Locks


class RepositoryRun:
    """Each digest and each tag of the work ends up done, skipped or failed, or untouched when it was stopped."""

    def __init__(
        self,
        registry: Reads,
        door: Changes,
        work: Work,
        places: asyncio.Semaphore,
        stop: Stop,
        reporter: Reporter,
        clock: Callable[[], float],
    ) -> None:
        self.name = work.seen.name
        self.deleted: set[str] = set()
        self.untagged: set[str] = set()
        self._skipped: dict[str, Verdict] = {}  # by digest or by tag: a tag has no colon
        self._failed: dict[str, str] = {}
        self._registry = registry
        self._door = door
        self._work = work
        self._places = places
        self._stop = stop
        self._reporter = reporter
        self._clock = clock
        self._refused: str | None = None
        self._late: set[str] = set()

    async def prune(self) -> None:
        doomed, untag = set(self._work.doomed), set(self._work.untag)
        while (doomed or untag) and not self._stop.is_set():
            listed_at = self._clock()
            try:
                async with self._places:
                    fresh = await rescan(self._registry, self._work.seen, self.deleted)
            except Exception as error:  # pylint: disable=broad-except  # the other repositories have an outcome too
                if not self._ran_out_of_time(error):
                    self._fail(doomed | untag, str(error))
                return
            tags, drift = self._settle(doomed, untag, fresh)
            batches = list(deletion_batches(drift.graph, drift.valid, DELETES_BEGUN_TOGETHER))
            deadline = max(listed_at + RECHECK_SECONDS, self._clock() + PROGRESS_SECONDS)
            there = fresh or Repository(self.name, {})
            untag, doomed = await self._work_until(deadline, tags, drift, batches, there)
            if self._refused:
                self._fail(doomed | untag, self._refused)
                return

    @property
    def left(self) -> int:
        """How many digests and tags are untouched."""
        touched = {*self.deleted, *self.untagged, *self._skipped, *self._failed}
        return len({*self._work.doomed, *self._work.untag} - touched)

    def all_skipped(self) -> Iterator[Skipped]:
        for key, verdict in sorted(self._skipped.items()):
            digest, tag = self._named(key)
            yield Skipped(self.name, digest, verdict.reason, verdict.because, tag)

    def all_failed(self) -> Iterator[Failed]:
        for key, error in sorted(self._failed.items()):
            digest, tag = self._named(key)
            yield Failed(self.name, digest, error, tag)

    def _named(self, key: str) -> tuple[str, str | None]:
        """The digest that a key of the work stands for, and the tag where it is one."""
        return (self._work.untag[key], key) if key in self._work.untag else (key, None)

    def _settle(self, doomed: set[str], untag: set[str], fresh: Repository | None) -> tuple[TagDrift, Drift]:
        """Take what changed since the plan, or is gone, off the work."""
        planned = {tag: self._work.untag[tag] for tag in untag}
        tags = check_tags(planned, self._work.seen, fresh, self._work.include_locked, self._work.pins)
        include_locked, pins, superseded = self._work.include_locked, self._work.pins, self._work.superseded
        drift = check_drift(doomed, self._work.seen, fresh, include_locked, pins, superseded)
        tags = self._without_last_tags(tags, drift.valid, fresh)
        self._skip(tags.skipped)
        self._skip(drift.skipped)
        self._count(self.untagged.update, tags.gone)
        self._count(self.deleted.update, drift.gone)
        return tags, drift

    def _without_last_tags(self, drift: TagDrift, going: frozenset[str], fresh: Repository | None) -> TagDrift:
        """The tags without those whose images the registry would delete with them, which have to stay."""
        work = self._work
        if fresh is None or work.later is None or not drift.valid:
            return drift
        planned = {tag: work.untag[tag] for tag in drift.valid}
        staying = check_last_tags(planned, work.later, going, fresh, work.pins, work.include_locked)
        return TagDrift(drift.valid - staying.keys(), {**drift.skipped, **staying}, drift.gone)

    async def _work_until(
        self, deadline: float, tags: TagDrift, drift: Drift, batches: Sequence[Sequence[str]], fresh: Repository
    ) -> tuple[set[str], set[str]]:
        """Remove tags, then delete, until it is time to look again; gives the tags and digests that are left to do."""
        untag = await self._untag_until(deadline, tags, fresh)
        return untag, await self._delete_until(deadline, drift, batches, fresh)

    async def _untag_until(self, deadline: float, drift: TagDrift, fresh: Repository) -> set[str]:
        tags = sorted(drift.valid)
        return set(tags) - await self._send(tags, lambda tag: self._untag(tag, fresh), lambda: self._halted(deadline))

    async def _delete_until(
        self, deadline: float, drift: Drift, batches: Sequence[Sequence[str]], fresh: Repository
    ) -> set[str]:
        """Delete part by part until it is time to look again, or to stop; gives what is left to do."""
        todo = set(drift.valid)
        for batch in batches:
            if self._halted(deadline):
                break
            await self._delete_in_waves(todo.intersection(batch), todo, drift, fresh, lambda: self._halted(deadline))
        if self._stop.is_set():
            latest = max(deadline, self._clock() + PROGRESS_SECONDS)
            await self._delete_in_waves(
                self._begun(todo, drift, fresh),
                todo,
                drift,
                fresh,
                lambda: bool(self._refused) or self._clock() >= latest,
            )
        return todo

    async def _delete_in_waves(
        self, digests: set[str], todo: set[str], drift: Drift, fresh: Repository, halted: Callable[[], bool]
    ) -> None:
        """Delete, and take off what there is to do whatever is done, or is needed by what could not be deleted."""
        for wave in deletion_waves(drift.graph, digests):
            due = [digest for digest in wave if digest in todo]
            sent = await self._send(due, lambda digest: self._delete(digest, fresh), halted)
            todo -= sent
            spared = needed(drift.graph, todo, sent - self.deleted)
            self._skip(spared)
            todo -= set(spared)
            if len(sent) < len(due):
                break  # what was not sent is still there, and needs what the next wave would delete

    def _begun(self, todo: set[str], drift: Drift, fresh: Repository) -> set[str]:
        """What hangs on something that was deleted, and on nothing else.

        It is finished although the run is stopped. The next run would not know these attachments by their subject any
        more, and would take the platform images for images of their own.
        """
        begun = todo.intersection(spread(sorted(self.deleted), build_graph(self._work.seen).consequences))
        there = set(fresh.manifests) - self.deleted
        return begun - set(needed(drift.graph, begun, there - begun))

    def _halted(self, deadline: float) -> bool:
        return self._stop.is_set() or bool(self._refused) or self._clock() >= deadline

    async def _send(
        self, keys: Sequence[str], call: Callable[[str], Awaitable[None]], halted: Callable[[], bool]
    ) -> set[str]:
        """Make the calls, a few at a time, until it is halted; gives those that were made, whatever came of them.

        A throttled registry makes calls queue, for a place in flight and then for their turn. The queues are short, for
        there are five calls of a repository in them at most, and they go in turn. One that would wait for more than a
        minute in either is not sent, nor has it failed: it is looked at again.
        """
        sent: set[str] = set()
        left = iter(keys)
        self._late.clear()

        async def send() -> tuple[()]:
            for key in left:
                latest = self._clock() + RECHECK_SECONDS
                if halted():
                    break
                sent.add(key)
                async with self._places:
                    if self._clock() >= latest:
                        self._late.add(key)
                    else:
                        await call(key)
            return ()

        await run_tasks([send] * min(DELETES_PER_REPOSITORY, len(keys)), DELETES_PER_REPOSITORY)
        return sent - self._late

    async def _delete(self, digest: str, fresh: Repository) -> None:
        locks = self._locks(digest, fresh)
        error = await self._unlocked(locks, partial(self._door.delete_manifest, self.name, digest))
        self._record(digest, self.deleted, error)

    async def _untag(self, tag: str, fresh: Repository) -> None:
        digest = self._work.untag[tag]
        locks = [lock for lock in self._locks(digest, fresh) if lock.tag == tag]
        error = await self._unlocked(locks, partial(self._door.delete_tag, self.name, tag, digest))
        self._record(tag, self.untagged, error)

    def _locks(self, digest: str, fresh: Repository) -> list[_Lock]:
        """What has to be unlocked for a manifest to go: nothing, unless locked content was asked for."""
        if not self._work.include_locked:
            return []
        return [
            _Lock(digest, what.partition(' ')[2], locks) for what, locks in locks_of(fresh, fresh.manifests[digest])
        ]

    async def _unlocked(self, locks: list[_Lock], call: Callable[[], Awaitable[None]]) -> RegistryError | None:
        """Make a call with the locks taken off; when it fails, or is given up, they are set again."""
        error: RegistryError | None = None
        opened: list[_Lock] = []
        try:
            for lock in locks:
                opened.append(lock)
                error = await self._take_off(lock)
                if error:
                    break
            error = error or await self._try(call)
        except asyncio.CancelledError:
            await self._lock_again(opened)
            raise
        if error and error.kind is not Kind.NOT_FOUND:
            still_open = await self._lock_again(opened)
            if still_open:
                error = RegistryError(Kind.UNAVAILABLE, f'{error}; and its lock could not be set again: {still_open}')
        return error

    async def _lock_again(self, opened: list[_Lock]) -> RegistryError | None:
        """Set locks that were taken off; gives the first error, but for what is gone."""
        errors = [await self._try(partial(self._set, lock, lock.locks)) for lock in opened]
        return next((error for error in errors if error and error.kind is not Kind.NOT_FOUND), None)

    async def _take_off(self, lock: _Lock) -> RegistryError | None:
        """Unlock; a tag that is gone says nothing about its manifest, which has changed then."""
        error = await self._try(partial(self._set, lock, UNLOCKED))
        if error and error.kind is Kind.NOT_FOUND and lock.tag and lock.tag not in self._work.untag:
            return RegistryError(Kind.LOCKED, f'the locked tag {lock.tag} is no longer there')
        return error

    async def _set(self, lock: _Lock, locks: Locks) -> None:
        if lock.tag:
            await self._door.set_tag_locks(self.name, lock.tag, locks)
        else:
            await self._door.set_manifest_locks(self.name, lock.digest, locks)

    def _record(self, key: str, done: set[str], error: RegistryError | None) -> None:
        if error is None or error.kind is Kind.NOT_FOUND:
            self._count(done.update, [key])
        elif error.kind is Kind.LATE or self._ran_out_of_time(error):
            self._late.add(key)
        elif error.kind is Kind.LOCKED:
            self._skip({key: Verdict(True, LOCKED, str(error))})
        else:
            self._fail([key], str(error))
            if error.kind in (Kind.FORBIDDEN, Kind.UNAUTHENTICATED):
                self._refused = str(error)

    def _ran_out_of_time(self, error: Exception) -> bool:
        """Whether it is the time limit that ended a call: then nothing more is begun, in no repository."""
        over = isinstance(error, RegistryError) and error.kind is Kind.OUT_OF_TIME
        if over:
            self._stop.run_out()
        return over

    @staticmethod
    async def _try(call: Callable[[], Awaitable[None]]) -> RegistryError | None:
        try:
            await call()
            return None
        except Exception as error:  # pylint: disable=broad-except  # the outcome has to name every manifest
            return _error_of(error)

    def _skip(self, verdicts: Mapping[str, Verdict]) -> None:
        self._count(self._skipped.update, verdicts)

    def _fail(self, keys: Iterable[str], error: str) -> None:
        self._count(self._failed.update, dict.fromkeys(keys, error))

    def _count(self, record: Callable, keys: Iterable) -> None:
        """Record what became of some digests or tags, and report each of them as done."""
        record(keys)
        for _ in keys:
            self._reporter.deleted()


def _error_of(error: Exception) -> RegistryError:
    return (
        error
        if isinstance(error, RegistryError)
        else RegistryError(Kind.UNAVAILABLE, f'{type(error).__name__}: {error}')
    )
