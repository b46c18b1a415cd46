"""Archive what a decision dooms, before anything of it is deleted."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..decide.decision import Decision
from ..decide.impact import Node
from ..decide.manifests import is_digest, read_manifest
from ..decide.schema1 import signed_payload
from ..model import Content, Skipped, Unreadable
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..reporter import Reporter
from ..workers import Task, in_thread, run_tasks
from .catalog import index_to_change, open_catalog
from .patience import NO_PATIENCE, Patience, writing_meanwhile
from .pure.contents import NO_TIME_LEFT, Saved, Wanted, blobs_of, narrowed, records_of, wanted
from .pure.layout import Index, Record, Run, index_pieces, run_bytes
from .stored import manifest_bytes, type_of
from .target import ArchiveError, NotKept, Target

TRANSFERS = 8
"""At a time: layers are large, and more connections are not faster."""

_TRIES = 3
_MARGIN_BYTES = 1024**2
_FATAL = (Kind.UNAUTHENTICATED, Kind.UNREACHABLE, Kind.BUSY)


@dataclass(frozen=True)
class Estimate:
    """Bytes of the blobs that an archive has to hold, and of those that it does not hold yet.

    `troubles` are sentences on what is wrong with the index of the archive.
    """

    size: int
    missing: int
    blobs: int
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Safe:
    """The decision without what could not be archived, what is skipped for it, and the records of what was."""

    decision: Decision
    skipped: tuple[Skipped, ...]
    records: tuple[Record, ...]


def estimate(target: Target, decision: Decision, layers: bool) -> Estimate:
    """What archiving a decision takes. Raises ArchiveError when the target cannot be used or has no room for it."""
    target.check()
    catalog = open_catalog(target)
    sizes = _sizes(decision, wanted(decision), layers)
    there = target.held(sizes)
    missing = {digest: size for digest, size in sizes.items() if there.get(digest) != size}
    needed = sum(target.taken_by(size) for size in missing.values()) + _MARGIN_BYTES
    free = target.free_bytes()
    if missing and free is not None and free < needed:
        raise ArchiveError(
            f"The archive '{target.name}' has not enough room: it needs {needed:,} bytes, and {free:,} are free.",
            'Make room, give another directory, or archive less at a time.',
        )
    troubles = catalog.troubles if catalog else ()
    return Estimate(sum(sizes.values()), sum(missing.values()), len(sizes), troubles)


async def archive(
    registry: Reads,
    target: Target,
    decision: Decision,
    layers: bool,
    archived_at: str,
    concurrency: int,
    reporter: Reporter,
    is_over: Callable[[], bool] = lambda: False,
    run: str = '',
    patience: Patience = NO_PATIENCE,
) -> Safe:
    """Put into the archive what goes, and give what may be deleted then.

    With `layers` the blobs too, else only manifests. What could not be archived, or not before the time `is_over`,
    stays with all that it needs. `run` is the name of this run, which the archive has too.
    Raises ArchiveError or RegistryError when the archive or the registry cannot be used: nothing may be deleted then.
    """
    async with writing_meanwhile(target, patience):
        index = await asyncio.to_thread(index_to_change, target)
        work = _ArchiveRun(registry, target, decision, layers, reporter, is_over)
        reporter.transfer_planned(sum(_sizes(decision, work.wanted, layers).values()))
        await run_tasks(work.tasks(), min(concurrency, TRANSFERS))
        safe, skipped = narrowed(decision, work.failures)
        records = records_of(safe, work.saved, decision.inventory.registry, archived_at)
        if records or index is None:
            index = await asyncio.to_thread(
                _with_run, target, index or Index(), records, run or archived_at, archived_at
            )
            await asyncio.to_thread(target.replace_index, index_pieces(index))
    return Safe(safe, tuple(skipped), tuple(records))


def _with_run(target: Target, index: Index, records: list[Record], run: str, archived_at: str) -> Index:
    """The index with the records of a run, which are a blob of their own too."""
    if not records:
        return index
    data = run_bytes(records, run)
    digest = f'sha256:{hashlib.sha256(data).hexdigest()}'
    target.put(digest, [data], lambda _: None)
    return index.with_records(records).with_run(Run(digest, archived_at, run))


def _sizes(decision: Decision, goes_in: Wanted, layers: bool) -> dict[str, int]:
    """What goes into the archive, by digest, as far as the scan read it."""
    contents = {
        (repository.name, digest): manifest.content
        for repository in decision.inventory.repositories
        for digest, manifest in repository.manifests.items()
    }
    sizes = {
        digest: content.size
        for name, digest in goes_in.manifests
        for content in [contents[name, digest]]
        if isinstance(content, Content)
    }
    return {**sizes, **(blobs_of(decision, goes_in.whole) if layers else {})}


@dataclass
class _ArchiveRun:
    """One run of archiving. `saved` is what is in the archive, `failures` say why not."""

    registry: Reads
    target: Target
    decision: Decision
    layers: bool
    reporter: Reporter
    is_over: Callable[[], bool]
    saved: dict[Node, Saved] = field(default_factory=dict)
    failures: dict[Node, str] = field(default_factory=dict)
    _users: dict[str, set[Node]] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
    _failed_blobs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wanted = wanted(self.decision)
        self._sizes = blobs_of(self.decision, self.wanted.whole)
        self._seen: Mapping[Node, Any] = {
            (repository.name, digest): manifest
            for repository in self.decision.inventory.repositories
            for digest, manifest in repository.manifests.items()
        }

    def tasks(self) -> Iterable[Task]:
        return [partial(self._save, node) for node in sorted(self.wanted.manifests)]

    async def _save(self, node: Node) -> Iterable[Task]:
        """Save one manifest; gives the tasks that save those of its blobs that no other task saves."""
        seen = self._seen[node]
        try:
            self._hurry()
            if isinstance(seen.content, Unreadable):  # what it needs is not known, so it cannot be saved whole
                raise NotKept(f'it could not be read: {seen.content.reason}')
            data = await self._manifest(*node)
        except (RegistryError, NotKept) as error:
            is_gone = isinstance(error, RegistryError) and error.kind is Kind.NOT_FOUND
            if not is_gone or node in self.wanted.belonging:  # else there is nothing to save
                self._failed(node, error)
            return []
        content = read_manifest(node[1], data)
        if isinstance(content, Unreadable):
            self._failed(node, NotKept(content.reason))
            return []
        if isinstance(seen.content, Content):  # it knows which foreign layers the registry has
            content = seen.content
        strange = [blob.digest for blob in (*content.blobs, *content.unmeasured) if not is_digest(blob.digest)]
        if strange:  # it would become the name of a file
            self._failed(node, NotKept('it refers to a layer by something that is no digest'))
            return []
        if content.unmeasured and self.layers and node in self.wanted.whole:
            self._failed(node, NotKept(f'the registry does not say whether it has {content.unmeasured[0].digest}'))
            return []
        self.reporter.transferred(content.size)
        with_blobs = self.layers and node in self.wanted.whole
        size = content.size + (sum(blob.size for blob in content.blobs) if with_blobs else 0)
        self.saved[node] = Saved(type_of(data, seen.media_type), content.size, content.subject or '', size)
        if not with_blobs:
            return []
        return [
            partial(self._save_blob, node[0], blob.digest, self._sizes.get(blob.digest, blob.size))
            for blob in content.blobs
            if self._is_first_user(blob.digest, node)
        ]

    async def _manifest(self, repository: str, digest: str) -> bytes:
        if await asyncio.to_thread(self.target.holds, digest):
            data = await asyncio.to_thread(manifest_bytes, self.target, digest)
            if isinstance(read_manifest(digest, data), Content):  # else somebody else put other bytes there
                return data
        data = await self.registry.manifest(repository, digest)
        if b'"signatures"' in data and signed_payload(data) is not None:
            raise NotKept('it is of Docker schema 1, whose digest is not that of its bytes, so no archive can hold it')
        await asyncio.to_thread(self.target.put, digest, [data], lambda _: None)
        return data

    def _is_first_user(self, blob: str, node: Node) -> bool:
        users = self._users.setdefault(blob, set())
        users.add(node)
        if blob in self._failed_blobs:
            self.failures[node] = self._failed_blobs[blob]
        return len(users) == 1

    async def _save_blob(self, repository: str, digest: str, size: int) -> Iterable[Task]:
        if await asyncio.to_thread(self.target.holds, digest, size):
            self.reporter.transferred(size)
            return []
        try:
            self._hurry()
            await self._fetch(repository, digest, size)
        except (RegistryError, NotKept) as error:
            _raise_if_fatal(error)
            self._failed_blobs[digest] = f'its blob {digest}: {error}'
            for node in self._users[digest]:
                self.failures[node] = self._failed_blobs[digest]
        return []

    async def _fetch(self, repository: str, digest: str, size: int) -> None:
        """The pipeline tries a request again, but not an answer that ends in the middle."""
        for tries_left in reversed(range(_TRIES)):
            heard = 0

            def hear(size: int) -> None:
                nonlocal heard
                heard += size
                self.reporter.transferred(size)

            try:
                blob = self._in_bounds(self.registry.blob(repository, digest), size)
                await in_thread(partial(self._put, digest, hear), blob)
                return
            except (RegistryError, NotKept) as error:
                self.reporter.transferred(-heard)
                answered = isinstance(error, RegistryError) and error.status is not None
                if answered or not tries_left or self.is_over():
                    raise

    def _put(self, digest: str, heard: Callable[[int], None], chunks: Iterable[bytes]) -> None:
        self.target.put(digest, chunks, heard)

    async def _in_bounds(self, chunks: AsyncGenerator[bytes, None], size: int) -> AsyncGenerator[bytes, None]:
        """A blob as it comes: neither more of it than its manifests say, nor after the time is over."""
        async with aclosing(chunks):
            async for chunk in chunks:
                size -= len(chunk)
                if size < 0:
                    raise NotKept('it is longer than its manifest says')
                self._hurry()
                yield chunk

    def _hurry(self) -> None:
        if self.is_over():
            raise NotKept(NO_TIME_LEFT)

    def _failed(self, node: Node, error: Exception) -> None:
        _raise_if_fatal(error)
        self.failures[node] = str(error)


def _raise_if_fatal(error: Exception) -> None:
    """Without the registry nothing more can be archived: that ends the run, and keeps no single manifest."""
    if isinstance(error, RegistryError) and error.kind in _FATAL:
        raise error
