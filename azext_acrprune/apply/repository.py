"""What is done in one repository.

Right before deleting it is listed, and again when that listing is ten seconds old, so that what changed meanwhile is
left alone. At most five deletes run at a time in it: more leave ghosts (dotnet/docker-tools 1503).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from ..decide.drift import Drift, TagDrift, check_drift, check_tags, needed
from ..decide.graph import build_graph, deletion_batches, deletion_waves, spread
from ..decide.reasons import LOCKED
from ..decide.retention import check_last_tags, too_early
from ..decide.verdicts import Verdict, locks_of
from ..inventory.rescan import Before, rescan
from ..model import UNLOCKED, Content, Locks, Notice, OwedLock, Repository, Unreadable
from ..registry.permit import LISTING_SECONDS, Late, Permit
from ..registry.protocol.refusals import Kind, RegistryError
from ..workers import run_tasks
from .look_back import look_back
from .tally import Tally
from .work import Surroundings, Work

DELETES_PER_REPOSITORY = 5
DELETES_BEGUN_TOGETHER = 5
"""Most images of one part. Few, because a part that was begun is finished when a run is stopped."""

PARTS_AT_A_TIME = 2
"""So many parts share the deletes of a repository, for an index has to be gone before its images are deleted."""

FRESH_SECONDS = 5
"""A listing after which something had to be read for longer is made once more."""

LOOKS = 3
"""How often a repository is listed where that takes too long to delete anything by it."""

FINISHING_LOOKS = 2
HOPELESS_SECONDS = 180
"""For so long a repository in which nothing can be done is tried, as the pacer tries what is refused."""

REST_STEP_SECONDS = 0.25
"""How often it is looked whether the run was stopped while the registry wants to be left alone."""

_GIVEN_UP = 'it was given up after it was sent, and whether it was done is not known'

UNANSWERED_SECONDS = 60
"""For so long a deletion is sent again of which nobody knows whether it was done."""

_UNANSWERED = 'the registry did not answer it, and whether it was done is not known'


@dataclass(frozen=True)
class _Lock:
    """Locks on a manifest, or on a tag of it."""

    digest: str
    tag: str
    locks: Locks


@dataclass(frozen=True)
class _Look:
    """A repository as a listing shows it, and until when deletions may leave by it."""

    permit: Permit
    there: Repository


class RepositoryRun:
    """Each digest and each tag of the work ends up in the `tally`, or untouched when the run was stopped."""

    def __init__(self, around: Surroundings, work: Work) -> None:
        self.name = work.seen.name
        self.tally = Tally(work.seen, work.doomed, work.untag, around.reporter)
        self.listing_age: float | None = None
        self.unverified: Notice | None = None
        self.in_doubt = self.more_may_be_gone = False
        self._registry = around.registry
        self._door = around.door
        self._around = around
        self._work = work
        self._stop = around.stop
        self._clock = around.clock
        self._refused: str | None = None
        self._places = asyncio.Semaphore(DELETES_PER_REPOSITORY)
        self._late: set[str] = set()  # by the last look
        self._was_late = False
        self._put_off: set[str] = set()  # they are tried again after the others
        self._rest_seconds = 0.0
        self._sent = False
        self._unanswered: dict[str, float] = {}
        self._read: dict[str, Content | Unreadable] = {}

    async def prune(self) -> None:
        """Do the work, as far as nothing forbids it, and look afterwards whether it was done.

        Where that cannot be seen, or is not waited for, what may be gone has failed; once the time is over, it is left.
        """
        is_listed = False
        try:
            await self._work_off()
            self.tally.fail(self._unanswered.keys() & self.tally.left, _UNANSWERED)
            if self._sent:
                self.unverified = await look_back(self._around, self._work.seen, self.tally, self._unanswered.keys())
            is_listed = self.unverified is None
        finally:
            if self._sent and not is_listed:
                self.in_doubt = True
                self.tally.fail(self._unanswered.keys() & self.tally.left, _UNANSWERED)
                self.more_may_be_gone = self.tally.doubt(fails=not self._stop.is_out_of_time())

    async def _work_off(self) -> None:
        doomed, untag = set(self._work.doomed), set(self._work.untag)
        hopeless_at = self._clock() + HOPELESS_SECONDS
        while (doomed or untag) and not self._stop.is_set():
            todo, waiting_since = len(doomed) + len(untag), self._clock()
            async with self._around.turn if self._was_late else nullcontext():
                hopeless_at += self._clock() - waiting_since  # others may take minutes
                look = await self._look(doomed, untag)
                if look is None:
                    return
                untag, doomed = await self._work_by(look, doomed, untag)
            if self._refused:
                self.tally.fail(doomed | untag, self._refused)
                return
            if len(doomed) + len(untag) < todo:
                hopeless_at = self._clock() + HOPELESS_SECONDS
            elif self._clock() >= hopeless_at:
                self.tally.fail(doomed | untag, str(Late()))
                return
            await self._rest()
        if not self._stop.interrupted:
            await self._finish(doomed)

    async def _look(self, doomed: set[str], untag: set[str]) -> _Look | None:
        """List the repository, and read what is new in it; None where nothing can be done by that.

        Where something had to be read for long, it is listed once more, which is quick then.
        """
        for _ in range(LOOKS):
            permit, known = Permit(self._clock), len(self._read)
            try:
                before = self._before(self._going(doomed, untag))
                there = await rescan(self._registry, before)
            except Exception as error:  # pylint: disable=broad-except  # the other repositories have an outcome too
                if not self._was_dropped(error):
                    self.tally.fail(doomed | untag, str(error))
                return None
            self._remember(there)
            if permit.age < FRESH_SECONDS or len(self._read) == known and permit.left > 0:
                return _Look(permit, there or Repository(self.name, {}))
        self.tally.fail(doomed | untag, _too_slow(permit.age))
        return None

    def _before(self, going: Iterable[str]) -> Before:
        deleted, untagged = frozenset(self.tally.deleted), frozenset(self.tally.untagged)
        return Before(self._work.seen, frozenset(going), self._read, self._around.cache, deleted, untagged)

    def _going(self, doomed: set[str], untag: set[str]) -> set[str]:
        """What may be deleted, by the registry itself too: where that takes what loses its last tag."""
        by_itself = set() if self._work.later is None else {self._work.untag[tag] for tag in untag}
        return doomed | by_itself

    def _remember(self, there: Repository | None) -> None:
        """Keep what was read: a manifest never changes, and one that could not be read stays so for this run."""
        seen = self._work.seen.manifests
        for digest, manifest in there.manifests.items() if there else ():
            content = manifest.content
            if isinstance(content, (Content, Unreadable)) and (digest not in seen or seen[digest].content != content):
                self._read[digest] = content

    async def _work_by(self, look: _Look, doomed: set[str], untag: set[str]) -> tuple[set[str], set[str]]:
        """Remove tags, then delete, while the listing allows it; gives the tags and digests that are left to do."""
        tags, drift = self._settle(doomed, untag, look.there)

        def halted() -> bool:
            return self._stop.is_set() or self._is_barred(look.permit)

        due = tags.valid - self._too_early(tags, drift, look.there)
        left = set(tags.valid) - await self._send(sorted(due), lambda tag: self._untag(tag, look), halted)
        todo = set(drift.valid)
        batches = list(deletion_batches(drift.graph, drift.valid, DELETES_BEGUN_TOGETHER))
        batches.sort(key=lambda batch: not self._put_off.isdisjoint(batch))

        async def delete(batch: Iterable[str]) -> tuple[()]:
            if not halted():
                await self._delete_in_waves(todo.intersection(batch), todo, drift, look, halted)
            return ()

        await run_tasks([partial(delete, batch) for batch in batches], PARTS_AT_A_TIME)
        self._note_age(look.permit)
        return left, todo

    async def _finish(self, todo: set[str]) -> None:
        """Delete what hangs on something that was deleted, and on nothing else, although the time is over.

        The next run would not know these attachments by their subject any more, and would take the platform images for
        images of their own.
        """
        graph = build_graph(self._work.seen)
        for _ in range(FINISHING_LOOKS):
            begun = todo.intersection(spread(sorted(self.tally.deleted), graph.consequences))
            look = await self._look(begun, set()) if begun and not self._refused else None
            if look is None:
                return
            begun -= set(needed(build_graph(look.there), begun, set(look.there.manifests) - begun))
            _, drift = self._settle(begun, set(), look.there)
            left = set(drift.valid)
            await self._delete_in_waves(set(left), left, drift, look, partial(self._is_barred, look.permit))
            self._note_age(look.permit)
            todo = left

    async def _rest(self) -> None:
        """Leave the registry alone for as long as it wants, unless the run is stopped."""
        seconds, self._rest_seconds = self._rest_seconds, 0.0
        while seconds > 0 and not self._stop.is_set():
            await self._around.pause(min(seconds, REST_STEP_SECONDS))
            seconds -= REST_STEP_SECONDS

    def _note_age(self, permit: Permit) -> None:
        if permit.oldest is not None:
            self.listing_age = max(permit.oldest, self.listing_age or 0.0)

    def _settle(self, doomed: set[str], untag: set[str], there: Repository) -> tuple[TagDrift, Drift]:
        """Take what changed since the plan, or is gone, off the work."""
        self._late.clear()
        planned = {tag: self._work.untag[tag] for tag in untag}
        tags = check_tags(planned, self._work.seen, there, self._work.include_locked, self._work.pins)
        include_locked, pins, superseded = self._work.include_locked, self._work.pins, self._work.superseded
        drift = check_drift(doomed, self._work.seen, there, include_locked, pins, superseded)
        tags = self._without_last_tags(tags, drift.valid, there)
        self.tally.skip(tags.skipped)
        self.tally.skip(drift.skipped)
        self.tally.not_there({*tags.gone, *drift.gone}, self._unanswered.keys())
        return tags, drift

    def _without_last_tags(self, drift: TagDrift, going: frozenset[str], there: Repository) -> TagDrift:
        """The tags without those whose images the registry would delete with them, which have to stay."""
        work = self._work
        if work.later is None or not drift.valid:
            return drift
        planned = {tag: work.untag[tag] for tag in drift.valid}
        staying = check_last_tags(planned, work.later, going, there, work.pins, work.include_locked)
        return TagDrift(drift.valid - staying.keys(), {**drift.skipped, **staying}, drift.gone)

    def _too_early(self, tags: TagDrift, drift: Drift, there: Repository) -> set[str]:
        """The tags without which the registry might delete an image before the index that goes with it."""
        if self._work.later is None:
            return set()
        return too_early({tag: self._work.untag[tag] for tag in tags.valid}, drift.valid, there, drift.graph)

    async def _delete_in_waves(
        self, digests: set[str], todo: set[str], drift: Drift, look: _Look, halted: Callable[[], bool]
    ) -> None:
        """Delete, and take off what there is to do whatever is done, or is needed by what could not be deleted."""
        for wave in deletion_waves(drift.graph, digests):
            due = [digest for digest in wave if digest in todo]
            sent = await self._send(due, lambda digest: self._delete(digest, look), halted)
            todo -= sent
            spared = needed(drift.graph, todo, sent - self.tally.deleted - self.tally.gone.keys())
            self.tally.skip(spared)
            todo -= set(spared)
            if len(sent) < len(due):
                break  # what was not sent is still there, and needs what the next wave would delete

    def _is_barred(self, permit: Permit) -> bool:
        """Whether nothing may be sent by this listing any more."""
        return bool(self._refused) or permit.left <= 0

    async def _send(
        self, keys: Sequence[str], call: Callable[[str], Awaitable[None]], halted: Callable[[], bool]
    ) -> set[str]:
        """Make the calls, a few at a time, until it is halted; gives those that were made, whatever came of them.

        A throttled registry makes calls queue for their turn. One whose listing is too old when its turn comes is not
        sent, nor has it failed: it is looked at again.
        """
        sent: set[str] = set()
        left = iter(keys)

        async def send() -> tuple[()]:
            for key in left:
                async with self._places:
                    if halted():
                        break
                    sent.add(key)
                    await call(key)
            return ()

        at_a_time = max(1, min(DELETES_PER_REPOSITORY, len(keys)))
        await run_tasks([send] * at_a_time, at_a_time)
        self._was_late = self._was_late or bool(self._late)
        return sent - self._late

    async def _delete(self, digest: str, look: _Look) -> None:
        locks = self._locks(digest, look.there)
        call = self._told(digest, partial(self._door.delete_manifest, self.name, digest, look.permit))
        await self._unlocked(digest, locks, call, look.permit)

    async def _untag(self, tag: str, look: _Look) -> None:
        digest = self._work.untag[tag]
        locks = [lock for lock in self._locks(digest, look.there) if lock.tag == tag]
        call = self._told(tag, partial(self._door.delete_tag, self.name, tag, digest, look.permit))
        await self._unlocked(tag, locks, call, look.permit)

    def _told(self, key: str, call: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """The same call, which is told as a failure when it is given up."""

        async def told() -> None:
            try:
                await call()
            except asyncio.CancelledError:
                self._sent = True
                self.tally.fail([key], _GIVEN_UP)
                raise

        return told

    def _locks(self, digest: str, fresh: Repository) -> list[_Lock]:
        """What has to be unlocked for a manifest to go: nothing, unless locked content was asked for."""
        if not self._work.include_locked:
            return []
        return [
            _Lock(digest, what.partition(' ')[2], locks) for what, locks in locks_of(fresh, fresh.manifests[digest])
        ]

    async def _unlocked(
        self, key: str, locks: list[_Lock], call: Callable[[], Awaitable[None]], permit: Permit
    ) -> None:
        """Make a call with the locks taken off, and note what came of it.

        When it fails, or is given up, they are set again.
        """
        error: RegistryError | None = None
        opened: list[_Lock] = []
        try:
            for lock in locks:
                opened.append(lock)
                error = await self._take_off(lock, permit)
                if error:
                    break
            error = error or await self._try(call)
        except asyncio.CancelledError:
            await self._lock_again(opened)
            raise
        if error and error.kind is not Kind.NOT_FOUND:
            try:
                still_open = await self._lock_again(opened)
            except asyncio.CancelledError:
                self._record(key, error)
                raise
            if still_open:
                error = RegistryError(Kind.UNAVAILABLE, f'{error}; and its lock could not be set again: {still_open}')
        self._record(key, error)

    async def _lock_again(self, opened: list[_Lock]) -> RegistryError | None:
        """Set locks that were taken off; gives the first error, but for what is gone.

        A cancellation does not end it, unless the run was abandoned, and is raised when all are set.
        """
        setting = asyncio.ensure_future(self._set_again(opened))
        cancelled = False
        while not setting.done():
            try:
                await asyncio.wait([setting])
            except asyncio.CancelledError:
                cancelled = True
                if self._stop.abandoned:
                    setting.cancel()
        if cancelled:
            raise asyncio.CancelledError
        return setting.result()

    async def _set_again(self, opened: list[_Lock]) -> RegistryError | None:
        errors = [await self._try(partial(self._set, lock, lock.locks)) for lock in opened]
        return next((error for error in errors if error and error.kind is not Kind.NOT_FOUND), None)

    async def _take_off(self, lock: _Lock, permit: Permit) -> RegistryError | None:
        """Unlock; a tag that is gone says nothing about its manifest, which has changed then."""
        owed = OwedLock(self.name, lock.digest, lock.tag or None, lock.locks)
        error = await self._try(partial(self._set, lock, UNLOCKED, permit, owed))
        if error and error.kind is Kind.NOT_FOUND and lock.tag and lock.tag not in self._work.untag:
            return RegistryError(Kind.LOCKED, f'the locked tag {lock.tag} is no longer there')
        return error

    async def _set(self, lock: _Lock, locks: Locks, permit: Permit | None = None, owed: OwedLock | None = None) -> None:
        if lock.tag:
            await self._door.set_tag_locks(self.name, lock.tag, locks, permit, owed)
        else:
            await self._door.set_manifest_locks(self.name, lock.digest, locks, permit, owed)

    def _record(self, key: str, error: RegistryError | None) -> None:
        self._sent = True
        if error is None:
            self.tally.done(key)
        elif error.kind is Kind.NOT_FOUND:
            self.tally.not_found(key, key in self._unanswered)
        elif isinstance(error, Late):
            self._delay(key, error)
        elif self._was_dropped(error):
            self._late.add(key)
        elif error.kind is Kind.LOCKED:
            self.tally.skip({key: Verdict(True, LOCKED, str(error))})
        else:
            self.tally.fail([key], str(error), error.kind is Kind.MOVED)
            if error.kind in (Kind.FORBIDDEN, Kind.UNAUTHENTICATED):
                self._refused = str(error)

    def _delay(self, key: str, error: Late) -> None:
        """Look at it again; one whose requests have had no answer for too long has failed."""
        self._rest_seconds = max(self._rest_seconds, error.seconds)
        if error.tried:
            self._put_off.add(key)
        now = self._clock()
        if error.unanswered and now + error.seconds - self._unanswered.setdefault(key, now) >= UNANSWERED_SECONDS:
            self.tally.fail([key], _UNANSWERED)
        else:
            self._late.add(key)

    def _was_dropped(self, error: Exception) -> bool:
        """Whether the time limit ended a call, or a stop: then nothing more is begun, in no repository."""
        kind = error.kind if isinstance(error, RegistryError) else None
        if kind is Kind.OUT_OF_TIME:
            self._stop.run_out()
        return kind in (Kind.OUT_OF_TIME, Kind.STOPPED)

    @staticmethod
    async def _try(call: Callable[[], Awaitable[None]]) -> RegistryError | None:
        try:
            await call()
            return None
        except Exception as error:  # pylint: disable=broad-except  # the outcome has to name every manifest
            return _error_of(error)


def _error_of(error: Exception) -> RegistryError:
    return (
        error
        if isinstance(error, RegistryError)
        else RegistryError(Kind.UNAVAILABLE, f'{type(error).__name__}: {error}')
    )


def _too_slow(age: float) -> str:
    return (
        f'its listing took {age:.0f} s, and nothing is deleted by a listing that was begun more than '
        f'{LISTING_SECONDS} s ago. Run it nearer to the registry, or when that is less busy'
    )
