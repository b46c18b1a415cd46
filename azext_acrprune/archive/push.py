"""Push what was chosen from an archive. A second run finds what the first one pushed, and goes on from there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from ..decide.impact import Node
from ..model import Failed, Skipped
from ..registry.client import Registry
from ..registry.protocol.refusals import Kind, RegistryError
from ..reporter import Reporter
from ..workers import Task, run_tasks
from .blob_files import blob_file
from .pure.choose import TAG_EXISTS, Image, Restoration
from .pure.layout import Record
from .stored import manifest_bytes, verified
from .target import ArchiveError, NotKept, Target
from .write import TRANSFERS

_FATAL = (Kind.UNAUTHENTICATED, Kind.UNREACHABLE, Kind.BUSY)
_MOUNTS = 2
_UPLOADS = 5


@dataclass
class Restored:
    """What became of a restoration: manifests, (repository, tag, digest), bytes, and what was left or failed."""

    manifests: list[Node] = field(default_factory=list)
    tags: list[tuple[str, str, str]] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    uploaded: int = 0
    mounted: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


async def push(
    registry: Registry, target: Target, chosen: Restoration, concurrency: int, reporter: Reporter
) -> Restored:
    """Push manifests, then tags, then locks; what could not be pushed takes with it what needs it.

    Raises RegistryError when the registry cannot be used any more, ArchiveError when the archive cannot.
    """
    blobs = {digest for wave in chosen.waves for image in wave for digest, _ in image.blobs}
    run = _Push(registry, target, chosen, reporter, frozenset(await asyncio.to_thread(target.held, blobs)))
    reporter.transfer_planned(sum(size for wave in chosen.waves for image in wave for _, size in image.blobs))
    for wave in chosen.waves:
        await run_tasks([partial(run.image, image) for image in wave], min(concurrency, TRANSFERS))
    await run_tasks([partial(run.tag, record) for record in chosen.tags], concurrency)
    await run_tasks([partial(run.lock, record) for record in chosen.locks], concurrency)
    done = run.pushed
    done.manifests.sort()
    done.tags.sort()
    done.locked.sort()
    done.skipped.sort(key=lambda each: (each.repository, each.digest, each.tag or ''))
    done.failed.sort(key=lambda each: (each.repository, each.digest, each.tag or ''))
    return done


class _Push:
    """One run. `pushed` is what became of it so far."""

    def __init__(
        self, registry: Registry, target: Target, chosen: Restoration, reporter: Reporter, there: frozenset[str]
    ) -> None:
        self.pushed = Restored()
        self._registry = registry
        self._target = target
        self._chosen = chosen
        self._reporter = reporter
        self._missing: set[Node] = set()
        self._unset: set[tuple[str, str | None]] = set()
        self._there = there
        self._blobs: dict[str, asyncio.Lock] = {}
        self._placed: dict[str, list[str]] = {}

    async def image(self, image: Image) -> Iterable[Task]:
        """Push one manifest with its blobs."""
        node = image.node

        async def work() -> None:
            lost = sorted(digest for digest in image.needs if (image.repository, digest) in self._missing)
            if lost:
                raise RegistryError(Kind.NOT_FOUND, f'what it needs could not be restored: {lost[0]}')
            for digest, size in image.blobs:
                async with self._once(digest):
                    await self._blob(image.repository, digest, size)
            await self._put(image)
            self.pushed.manifests.append(node)

        if not await self._attempt(node, None, work):
            self._missing.add(node)
        return []

    async def _put(self, image: Image) -> None:
        """Push a manifest. A registry with soft delete refuses what it keeps as deleted, and restores that instead."""
        data = await self._manifest(image.digest)
        try:
            await self._registry.put_manifest(*image.node, data, image.media_type)
        except RegistryError as error:
            if error.kind in _FATAL or not await self._is_soft_deleted(image):
                raise
            if image.digest in {each.digest for each in self._chosen.skipped if each.reason == TAG_EXISTS}:
                raise RegistryError(
                    Kind.UNAVAILABLE, 'it is soft-deleted, and to restore it might move a tag that is on another now'
                ) from error
            tags = [record.tag for record in self._chosen.tags if (record.repository, record.digest) == image.node]
            try:
                await self._registry.restore_deleted(*image.node, next(iter(tags), None))
            except RegistryError as again:
                if again.kind is not Kind.NOT_FOUND:
                    raise
                await self._registry.manifest_properties(*image.node)  # it was done, and the answer was lost

    async def _is_soft_deleted(self, image: Image) -> bool:
        try:
            return image.digest in await self._registry.deleted_manifests(image.repository)
        except RegistryError:  # it may not be asked, or soft delete is off: the refusal of the push says more
            return False

    async def tag(self, record: Record) -> Iterable[Task]:
        """Set a tag, unless it is on another manifest by now."""
        repository, tag = record.repository, str(record.tag)

        async def work() -> None:
            if (repository, record.digest) in self._missing:
                raise RegistryError(Kind.NOT_FOUND, 'its manifest could not be restored')
            now = await self._registry.tag_digest(repository, tag)
            if now not in (None, record.digest) and (repository, tag) not in self._chosen.moves:
                self._unset.add((repository, tag))
                self.pushed.skipped.append(Skipped(repository, record.digest, TAG_EXISTS, f'it is on {now} now', tag))
            elif now != record.digest:
                data = await self._manifest(record.digest)
                await self._registry.put_manifest(repository, tag, data, record.media_type)
                self.pushed.tags.append((repository, tag, record.digest))

        if not await self._attempt((repository, record.digest), tag, work):
            self._unset.add((repository, tag))
        return []

    async def lock(self, record: Record) -> Iterable[Task]:
        """Set the locks of a manifest or a tag that is there now."""
        node = (record.repository, record.digest)
        if node in self._missing or (record.repository, record.tag) in self._unset:
            return []

        async def work() -> None:
            await self._registry.lock(record.repository, record.tag or record.digest, record.locks)
            self.pushed.locked.append(record.name)

        await self._attempt(node, record.tag, work)
        return []

    async def _manifest(self, digest: str) -> bytes:
        """Verified: under a tag the registry would take any bytes."""
        return verified(digest, await asyncio.to_thread(manifest_bytes, self._target, digest))

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
        """Upload a blob; from its start again, some times, when an answer was lost in the middle."""
        async with blob_file(self._target, digest) as file:
            for left in reversed(range(_UPLOADS)):
                file.seek(0)
                try:
                    await self._registry.upload_blob(repository, digest, file)
                    return
                except RegistryError as error:
                    if not left or error.kind not in (Kind.UNAVAILABLE, Kind.UNREACHABLE):
                        raise
                if await self._registry.has_blob(repository, digest):  # only the last answer was lost
                    return

    async def _mounted(self, repository: str, digest: str) -> bool:
        """A mount that is refused is no failure: the blob can be uploaded."""
        holders = (*self._placed.get(digest, ())[:1], *self._chosen.holders.get(digest, ()))
        sources = [each for each in dict.fromkeys(holders) if each != repository]
        for source in sources[:_MOUNTS]:
            try:
                if await self._registry.mount_blob(repository, digest, source):
                    return True
            except RegistryError as error:
                if error.kind in _FATAL:
                    raise
        return False

    async def _attempt(self, node: Node, tag: str | None, work: Callable[[], Awaitable[None]]) -> bool:
        try:
            await work()
            return True
        except (ArchiveError, NotKept) as error:
            self.pushed.failed.append(Failed(*node, str(error), tag))
        except RegistryError as error:
            if error.kind in _FATAL:
                raise
            self.pushed.failed.append(Failed(*node, str(error), tag))
        return False
