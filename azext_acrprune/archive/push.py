"""Push what was chosen from an archive. A second run finds what the first one pushed, and goes on from there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from ..decide.impact import Node
from ..model import Failed, Locks, Skipped
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..reporter import Reporter
from ..workers import Task, run_tasks
from .afterwards import Note, unheard
from .blob_files import blob_file
from .pure.choose import TAG_EXISTS, Image, Restoration
from .pure.layout import Record
from .pure.past import Past
from .stored import manifest_bytes, verified
from .tags_now import TagsNow
from .target import ArchiveError, NotKept, Target
from .write import TRANSFERS

_FATAL = (Kind.UNAUTHENTICATED, Kind.UNREACHABLE, Kind.BUSY)
"""Errors that are not those of one image; STOPPED ends a run at once."""
_FATAL_IN_A_ROW = 5
"""After so many of them, with nothing done in between, the registry cannot be used any more."""
_ATTEMPTS = 3
_AGAIN = (Kind.UNREACHABLE, Kind.UNAVAILABLE)
_MOUNTS = 2


@dataclass
class Restored:
    """What became of a restoration: manifests, (repository, tag, digest), bytes, and what was left or failed.

    `moved` are those of the tags that were on another manifest, (repository, tag, digest that it was on). `past` has
    the times that things had which came back, in this run or in one that was killed. `left` manifests, tags and locks
    are not back because somebody `interrupted` the run.
    """

    manifests: list[Node] = field(default_factory=list)
    tags: list[tuple[str, str, str]] = field(default_factory=list)
    moved: list[tuple[str, str, str]] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    uploaded: int = 0
    mounted: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)
    interrupted: bool = False
    left: int = 0

    def unfinished(self) -> list[Past]:
        """What came back, and lacks something that failed: a lock of it, or the flags of its repository."""
        failed = {(each.repository, each.digest or None, each.tag) for each in self.failed}
        return [each for each in self.past if each.key in failed or (each.repository, None, None) in failed]

    def add(self, other: Restored) -> None:
        """Take up what became of another part of the same work."""
        self.manifests += other.manifests
        self.tags += other.tags
        self.moved += other.moved
        self.locked += other.locked
        self.uploaded += other.uploaded
        self.mounted += other.mounted
        self.skipped += other.skipped
        self.failed += other.failed
        self.past += other.past
        self.interrupted = self.interrupted or other.interrupted
        self.left += other.left


async def push(
    registry: Reads,
    door: Changes,
    target: Target,
    chosen: Restoration,
    concurrency: int,
    reporter: Reporter,
    note: Note = unheard,
    veiled: Container[Node] = (),
    pushed: Restored | None = None,
) -> Restored:
    """Push manifests, then tags, then locks; what could not be pushed takes with it what needs it.

    A failure does not stop the others. When the registry cannot be used any more, all that is left has failed. What
    nobody could read is locked against reading before it has a tag. `note` is told what comes back and what a moved tag
    was on, before that is done. `veiled` are manifests that an earlier run may have left unreadable. `pushed` is filled
    in as it goes on. What a stop dropped is in none of its lists.
    Raises ArchiveError when the archive cannot be used any more.
    """
    blobs = {digest for wave in chosen.waves for image in wave for digest, _ in image.blobs}
    there = frozenset(await asyncio.to_thread(target.held, blobs))
    run = _Push(registry, door, target, chosen, reporter, there, note, veiled, pushed or Restored())
    for each in chosen.past:
        note('was', **each.fields)
    run.pushed.past.extend(chosen.past)
    reporter.transfer_planned(sum(size for wave in chosen.waves for image in wave for _, size in image.blobs))
    for wave in chosen.waves:
        await run_tasks([partial(run.image, image) for image in wave], min(concurrency, TRANSFERS))
    await run.lock_repositories()
    await run_tasks([partial(run.tag, record) for record in chosen.tags], concurrency)
    await run.unveil()
    run.note_what_came()
    await run_tasks([partial(run.lock, record) for record in chosen.locks], concurrency)
    done = run.pushed
    done.manifests.sort()
    done.tags.sort()
    done.locked.sort()
    done.skipped.sort(key=lambda each: (each.repository, each.digest, each.tag or ''))
    done.failed.sort(key=lambda each: (each.repository, each.digest, each.tag or ''))
    return done


def _nodes(chosen: Restoration) -> Iterator[Node]:
    """The manifests that a restoration pushes, tags or locks."""
    yield from (image.node for wave in chosen.waves for image in wave)
    yield from ((record.repository, record.digest) for record in (*chosen.tags, *chosen.locks))


class _Push:
    """One run. `pushed` is what became of it so far."""

    def __init__(
        self,
        registry: Reads,
        door: Changes,
        target: Target,
        chosen: Restoration,
        reporter: Reporter,
        there: frozenset[str],
        note: Note,
        veiled: Container[Node],
        pushed: Restored,
    ) -> None:
        self.pushed = pushed
        self._registry = registry
        self._tags_now = TagsNow(registry)
        self._door = door
        self._target = target
        self._chosen = chosen
        self._reporter = reporter
        self._missing: set[Node] = set()
        self._tagged: set[tuple[str, str, str]] = set()
        self._unset: set[tuple[str, str | None]] = set()
        self._came: set[tuple[str, str | None, str]] = set()
        self._there = there
        self._note = note
        self._veiled = {node for node in _nodes(chosen) if node in veiled}
        self._veiling = asyncio.Lock()
        self._blobs: dict[str, asyncio.Lock] = {}
        self._placed: dict[str, list[str]] = {}
        self._fatal_in_a_row = 0
        self._is_stopped = False

    async def image(self, image: Image) -> Iterable[Task]:
        """Push one manifest with its blobs."""
        node, blobs = image.node, list(image.blobs)

        async def work() -> None:
            lost = sorted(digest for digest in image.needs if (image.repository, digest) in self._missing)
            if lost:
                raise RegistryError(Kind.NOT_FOUND, f'what it needs could not be restored: {lost[0]}')
            while blobs:
                async with self._once(blobs[0][0]):
                    await self._blob(image.repository, *blobs[0])
                blobs.pop(0)
            await self._put(image)
            await self._hide(image.repository, image.digest, image.locks)
            self.pushed.manifests.append(node)

        if not await self._attempt(node, None, work):
            self._missing.add(node)
        return []

    async def _put(self, image: Image) -> None:
        """Push a manifest. A registry with soft delete refuses what it keeps as deleted, and restores that instead."""
        if image.soft_deleted:
            await self._restore_deleted(image)
            return
        data = await self._manifest(image.digest)
        try:
            await self._door.put_manifest(*image.node, data, image.media_type)
        except RegistryError as error:
            if error.kind in _FATAL or not await self._is_soft_deleted(image):
                raise
            await self._restore_deleted(image)

    async def _restore_deleted(self, image: Image) -> None:
        record = await self._tag_of_restored(image)
        tag = str(record.tag) if record else None
        try:
            await self._door.restore_deleted(*image.node, tag)
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            await self._registry.manifest_properties(*image.node)  # it was done, and the answer was lost
        await self._tags_now.came(*image.node, tag)
        if record and tag:
            await self._hide(image.repository, tag, record.locks)
            self._count_tag(image.repository, tag, image.digest)

    async def _tag_of_restored(self, image: Image) -> Record | None:
        """The tag under which something soft-deleted comes back: one that takes nothing from others, or may do so.

        None where it has none. Raises RegistryError where the service would move a tag, by itself too.
        """
        records = [record for record in self._chosen.tags if (record.repository, record.digest) == image.node]
        records.sort(key=lambda record: not record.locks.read_enabled)  # the service sets one: one that all may read
        moved: list[tuple[Record, str]] = []
        for record in records:
            now = await self._tags_now.on(record.repository, str(record.tag))
            if now in (None, image.digest):
                return record
            if (record.repository, str(record.tag)) in self._chosen.moves:
                moved.append((record, str(now)))
        if moved:
            self._note_move(*moved[0])
            return moved[0][0]
        if records or await self._tags_now.taken_by_itself(*image.node):
            raise RegistryError(
                Kind.REFUSED, 'it is soft-deleted, and to restore it would move a tag that is on another now'
            )
        return None

    async def _is_soft_deleted(self, image: Image) -> bool:
        try:
            return image.digest in await self._registry.deleted_manifests(image.repository)
        except RegistryError:  # it may not be asked, or soft delete is off: the refusal of the push says more
            return False

    async def tag(self, record: Record) -> Iterable[Task]:
        """Set a tag, unless it is on another manifest by now."""
        repository, tag = record.repository, str(record.tag)
        tries = 0

        async def work() -> None:
            nonlocal tries
            if (repository, record.digest) in self._missing:
                raise RegistryError(Kind.NOT_FOUND, 'its manifest could not be restored')
            now = await self._tags_now.on(repository, tag)
            if now not in (None, record.digest) and (repository, tag) not in self._chosen.moves:
                self._unset.add((repository, tag))
                self.pushed.skipped.append(Skipped(repository, record.digest, TAG_EXISTS, f'it is on {now} now', tag))
            elif now != record.digest or tries:  # a try that failed may have set it, and not hidden it
                tries += 1
                await self._set_tag(record, now)
                self._count_tag(repository, tag, record.digest)

        if not await self._attempt((repository, record.digest), tag, work):
            self._unset.add((repository, tag))
        return []

    async def _set_tag(self, record: Record, now: str | None) -> None:
        """Set a tag; one that nobody may read at no time lets anybody read a manifest that was not there before."""
        repository, tag = record.repository, str(record.tag)
        data = await self._tagged_bytes(record)
        if now not in (None, record.digest):
            self._note_move(record, str(now))
        if not record.locks.read_enabled:
            await self._veil(record)
        await self._door.put_manifest(repository, tag, data, record.media_type)
        await self._hide(repository, tag, record.locks)

    def _count_tag(self, repository: str, tag: str, digest: str) -> None:
        """Count a tag that was set, once: it may be tried again, or set again after the service had moved it."""
        if (repository, tag, digest) not in self._tagged:
            self._tagged.add((repository, tag, digest))
            self.pushed.tags.append((repository, tag, digest))

    def _note_move(self, record: Record, now: str) -> None:
        """Write down, once, what a tag is on that is about to be moved, so that it can be moved back."""
        move = (record.repository, str(record.tag), now)
        if move not in self.pushed.moved:
            self._note('moves', repository=record.repository, tag=str(record.tag), digest=now, to=record.digest)
            self.pushed.moved.append(move)

    async def _veil(self, record: Record) -> None:
        """Switch reading off on a manifest that this run pushed, until its tags are set and locked."""
        node = record.repository, record.digest
        async with self._veiling:
            if node not in self.pushed.manifests:
                return
            if (await self._registry.manifest_properties(*node)).locks.read_enabled:  # also after a try that failed
                if node not in self._veiled:
                    self._note('veils', repository=node[0], digest=node[1])
                    self._veiled.add(node)
                await self._door.lock(*node, Locks(read_enabled=False))

    async def unveil(self) -> None:
        """Switch reading on again, where only a tag was to be unreadable, in this run or in one that was killed."""
        for node in sorted(self._veiled):
            name, digest = node
            if await self._attempt(node, None, partial(self._door.set_read_enabled, name, digest, True)):
                self._note('unveils', repository=name, digest=digest)

    async def _hide(self, repository: str, reference: str, locks: Locks) -> None:
        """Switch off at once what lets others read or list something: all other locks come last."""
        hidden = Locks(read_enabled=locks.read_enabled, list_enabled=locks.list_enabled)
        if hidden.switched_off:
            await self._door.lock(repository, reference, hidden)

    async def lock_repositories(self) -> None:
        """Set the flags of repositories that came back whole, before anything in them has a tag."""
        for name, locks in sorted(self._chosen.repository_locks.items()):
            try:
                await self._door.lock_repository(name, locks)
                self.pushed.locked.append(name)
            except RegistryError as error:
                if error.kind is Kind.STOPPED:
                    return
                self.pushed.failed.append(Failed(name, '', f'the repository could not be locked: {error}'))

    async def lock(self, record: Record) -> Iterable[Task]:
        """Set the locks of a manifest or a tag that is there now. One that has them is left alone."""
        node = (record.repository, record.digest)
        if node in self._missing or (record.repository, record.tag) in self._unset:
            return []
        was_sent = False

        async def work() -> None:
            nonlocal was_sent
            if not was_sent and await self._is_locked(record):
                return
            was_sent = True
            await self._door.lock(record.repository, record.tag or record.digest, record.locks)
            self.pushed.locked.append(record.name)

        await self._attempt(node, record.tag, work)
        return []

    def note_what_came(self) -> None:
        """Know what came in this run: of anything else the locks are looked up before they are set."""
        self._came.update((name, None, digest) for name, digest in self.pushed.manifests)
        self._came.update((name, tag, digest) for name, tag, digest in self.pushed.tags)

    async def _is_locked(self, record: Record) -> bool:
        """Whether what was there before has the locks that it had."""
        name, tag, digest = record.repository, record.tag, record.digest
        if (name, tag, digest) in self._came:
            return False
        read = self._registry.tag_properties(name, tag) if tag else self._registry.manifest_properties(name, digest)
        return set(record.locks.switched_off) <= set((await read).locks.switched_off)

    async def _manifest(self, digest: str) -> bytes:
        """Verified: under a tag the registry would take any bytes."""
        return verified(digest, await asyncio.to_thread(manifest_bytes, self._target, digest))

    async def _tagged_bytes(self, record: Record) -> bytes:
        """From the archive; where that is damaged, what the registry brought back by itself."""
        try:
            return await self._manifest(record.digest)
        except (ArchiveError, NotKept):
            data = await self._registry.manifest(record.repository, record.digest)
            return verified(record.digest, data)

    def _once(self, digest: str) -> asyncio.Lock:
        """Images share layers: the second one finds it in its repository, or mounts it from another one."""
        return self._blobs.setdefault(digest, asyncio.Lock())

    async def _blob(self, repository: str, digest: str, size: int) -> None:
        if not await self._registry.has_blob(repository, digest):
            if await self._mounted(repository, digest):
                self.pushed.mounted += size
            elif digest in self._there:
                await self._upload(repository, digest)
                self.pushed.uploaded += size
            else:
                raise RegistryError(Kind.NOT_FOUND, f'its blob {digest} is neither in the archive nor in the registry')
        self._placed.setdefault(digest, []).append(repository)
        self._reporter.transferred(size)

    async def _upload(self, repository: str, digest: str) -> None:
        async with blob_file(self._target, digest) as file:
            try:
                await self._door.upload_blob(repository, digest, file)
            except RegistryError as error:
                why = f'its blob {digest} could not be uploaded: {error}'
                raise RegistryError(error.kind, why, error.status) from error

    async def _mounted(self, repository: str, digest: str) -> bool:
        """A mount that is refused is no failure: the blob can be uploaded."""
        holders = (*self._placed.get(digest, ())[:1], *self._chosen.holders.get(digest, ()))
        sources = [each for each in dict.fromkeys(holders) if each != repository]
        for source in sources[:_MOUNTS]:
            try:
                if await self._door.mount_blob(repository, digest, source):
                    return True
            except RegistryError as error:
                if error.kind in _FATAL:
                    raise
        return False

    async def _attempt(self, node: Node, tag: str | None, work: Callable[[], Awaitable[None]]) -> bool:
        """Do it; again, some times, when the registry could not be reached, for each step of it may be done twice."""
        error: Exception | None = None
        for _ in range(_ATTEMPTS):
            if self._is_stopped:
                return False
            if self._fatal_in_a_row >= _FATAL_IN_A_ROW:
                error = error or RegistryError(Kind.UNREACHABLE, 'the registry cannot be used any more')
                break
            try:
                await work()
                self._fatal_in_a_row = 0
                return True
            except (ArchiveError, NotKept) as failure:
                error = failure
                break
            except RegistryError as failure:
                error = failure
                self._fatal_in_a_row += failure.kind in _FATAL
                self._is_stopped = self._is_stopped or failure.kind is Kind.STOPPED
                if failure.kind not in _AGAIN:
                    break
        if not self._is_stopped:
            self.pushed.failed.append(Failed(*node, str(error), tag))
        return False
