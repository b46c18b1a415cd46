"""Push back what was chosen from an archive. What was done once is found done: an interrupted run may go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..decide.impact import Node
from ..model import Failed, Skipped
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.pushing import PushingRegistry
from ..reporter import Reporter
from ..workers import Task, run_tasks
from .choose import TAG_EXISTS, Image, Restoration
from .layout import Record
from .stored import manifest_bytes, verified
from .target import ArchiveError, NotKept
from .write import TRANSFERS

_FATAL = (Kind.UNAUTHENTICATED, Kind.UNREACHABLE, Kind.BUSY)


@dataclass
class Pushed:
    """What became of a restoration: manifests, (repository, tag, digest), bytes, and what was left or failed."""

    manifests: list[Node] = field(default_factory=list)
    tags: list[tuple[str, str, str]] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    uploaded: int = 0
    mounted: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


def push(registry: PushingRegistry, target: Any, chosen: Restoration, concurrency: int, reporter: Reporter) -> Pushed:
    """Push manifests, then tags, then locks; what could not be pushed takes with it what needs it.

    Raises RegistryError when the registry cannot be used any more, ArchiveError when the archive cannot.
    """
    run = _Push(registry, target, chosen, reporter)
    reporter.transfer_planned(sum(size for wave in chosen.waves for image in wave for _, size in image.blobs))
    for wave in chosen.waves:
        run_tasks([partial(run.image, image) for image in wave], min(concurrency, TRANSFERS), registry.give_up)
    run_tasks([partial(run.tag, record) for record in chosen.tags], concurrency, registry.give_up)
    run_tasks([partial(run.lock, record) for record in chosen.locks], concurrency, registry.give_up)
    done = run.pushed
    done.manifests.sort()
    done.tags.sort()
    done.locked.sort()
    done.skipped.sort(key=lambda each: (each.repository, each.digest, each.tag or ''))
    done.failed.sort(key=lambda each: (each.repository, each.digest, each.tag or ''))
    return done


class _Push:
    """One run. `pushed` is what became of it so far."""

    def __init__(self, registry: PushingRegistry, target: Any, chosen: Restoration, reporter: Reporter) -> None:
        self.pushed = Pushed()
        self._registry = registry
        self._target = target
        self._chosen = chosen
        self._reporter = reporter
        self._lock = threading.Lock()
        self._missing: set[Node] = set()
        self._unset: set[tuple[str, str | None]] = set()
        self._there = frozenset(target.sizes())
        self._blobs: dict[tuple[str, str], threading.Lock] = {}

    def image(self, image: Image) -> Iterable[Task]:
        """Push one manifest with its blobs."""
        node = (image.repository, image.digest)

        def work() -> None:
            lost = sorted(digest for digest in image.needs if (image.repository, digest) in self._missing)
            if lost:
                raise RegistryError(Kind.NOT_FOUND, f'what it needs could not be restored: {lost[0]}')
            for digest, size in image.blobs:
                with self._once(image.repository, digest):
                    self._blob(image.repository, digest, size)
            self._registry.put_manifest(*node, self._manifest(image.digest), image.media_type)
            self.pushed.manifests.append(node)

        if not self._attempt(node, None, work):
            self._missing.add(node)
        return []

    def tag(self, record: Record) -> Iterable[Task]:
        """Set a tag, unless it is on another manifest by now."""
        repository, tag = record.repository, str(record.tag)

        def work() -> None:
            if (repository, record.digest) in self._missing:
                raise RegistryError(Kind.NOT_FOUND, 'its manifest could not be restored')
            now = self._registry.tag_digest(repository, tag)
            if now not in (None, record.digest) and (repository, tag) not in self._chosen.moves:
                self._unset.add((repository, tag))
                self.pushed.skipped.append(Skipped(repository, record.digest, TAG_EXISTS, f'it is on {now} now', tag))
            elif now != record.digest:
                self._registry.put_manifest(repository, tag, self._manifest(record.digest), record.media_type)
                self.pushed.tags.append((repository, tag, record.digest))

        if not self._attempt((repository, record.digest), tag, work):
            self._unset.add((repository, tag))
        return []

    def lock(self, record: Record) -> Iterable[Task]:
        """Set the locks of a manifest or a tag that is there now."""
        node = (record.repository, record.digest)
        if node in self._missing or (record.repository, record.tag) in self._unset:
            return []

        def work() -> None:
            self._registry.lock(record.repository, record.tag or record.digest, record.locks)
            self.pushed.locked.append(record.name)

        self._attempt(node, record.tag, work)
        return []

    def _manifest(self, digest: str) -> bytes:
        """Verified: under a tag the registry would take any bytes."""
        return verified(digest, manifest_bytes(self._target, digest))

    def _once(self, repository: str, digest: str) -> threading.Lock:
        """Images of one wave share layers: the second one finds it there."""
        with self._lock:
            return self._blobs.setdefault((repository, digest), threading.Lock())

    def _blob(self, repository: str, digest: str, size: int) -> None:
        if not self._registry.has_blob(repository, digest):
            sources = [each for each in self._chosen.holders.get(digest, ()) if each != repository]
            if any(self._mounted(repository, digest, source) for source in sources[:2]):
                self.pushed.mounted += size
            elif digest in self._there:
                self._registry.upload_blob(repository, digest, self._target.chunks(digest))
                self.pushed.uploaded += size
            else:
                raise RegistryError(Kind.NOT_FOUND, f'its blob {digest} is neither in the archive nor in the registry')
        self._reporter.transferred(size)

    def _mounted(self, repository: str, digest: str, source: str) -> bool:
        """A mount that is refused is no failure: the blob can be uploaded."""
        try:
            return self._registry.mount_blob(repository, digest, source)
        except RegistryError as error:
            if error.kind in _FATAL:
                raise
            return False

    def _attempt(self, node: Node, tag: str | None, work: Callable[[], None]) -> bool:
        try:
            work()
            return True
        except (ArchiveError, NotKept) as error:
            self.pushed.failed.append(Failed(*node, str(error), tag))
        except RegistryError as error:
            if error.kind in _FATAL:
                raise
            self.pushed.failed.append(Failed(*node, str(error), tag))
        return False
