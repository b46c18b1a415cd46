"""Bring back what one run deleted from a registry that keeps deleted content for some days (soft delete).

The calls are those of `az acr manifest list-deleted` and `az acr manifest restore`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..model import UNLOCKED, Failed, Locks, Skipped
from ..registry.client import Registry
from ..registry.protocol.refusals import Kind, RegistryError
from .pure.choose import EXISTS, TAG_EXISTS
from .pure.lost import Lost
from .push import Restored
from .stored import type_of, verified
from .target import NotKept

_NOT_KEPT = 'the registry does not keep it, or not any more'


async def undelete(registry: Registry, lost: list[Lost], dry_run: bool, overwrite: bool) -> Restored:
    """Restore manifests, their tags and their locks; with `dry_run` only say which.

    What is there already is made as it was: an interrupted run may go on. A manifest all of whose tags are on others
    now is left alone unless they may be overwritten: the service would move them. Raises RegistryError when the
    registry cannot be asked.
    """
    run = _Undeletion(registry, dry_run, overwrite)
    for repository in sorted({each.repository for each in lost}):
        here = [each for each in lost if each.repository == repository]
        await run.repository(repository, here)
    return run.pushed


@dataclass
class _Present:
    """What a repository has: each manifest and each tag with its locks, and what each tag is on."""

    manifests: dict[str, Locks]
    tags: dict[str, str]
    tag_locks: dict[str, Locks]


class _Undeletion:
    """One restoration. `pushed` is what became of it so far."""

    def __init__(self, registry: Registry, dry_run: bool, overwrite: bool) -> None:
        self.pushed = Restored()
        self._registry = registry
        self._dry_run = dry_run
        self._overwrite = overwrite

    async def repository(self, name: str, lost: list[Lost]) -> None:
        """Bring back what one repository lost. A tag that exists now is never moved unless that was asked for.

        Locks come last: a manifest that is locked takes no tag.
        """
        deleted, here = await self._deleted(name), await self._present(name)
        await self._manifests([each for each in lost if not each.untagged], deleted, here)
        for each in sorted(lost, key=lambda one: one.digest):
            await self._tags(each, here)
        for each in lost:
            await self._locks(each, here)

    async def _manifests(self, lost: list[Lost], deleted: frozenset[str], here: _Present) -> None:
        """Restore in this order; what is refused is tried again as long as others come back.

        The service refuses a referrer before its subject, and the journal does not tell the subject of each.
        """
        waiting = [each for each in lost if self._can_come_back(each, deleted, here)]
        refused: dict[str, str] = {}
        while waiting:
            again = []
            for each in waiting:
                try:
                    await self._manifest(each, here)
                except RegistryError as error:
                    refused[each.digest] = str(error)
                    again.append(each)
            if len(again) == len(waiting):
                break
            waiting = again
        self.pushed.failed += [Failed(each.repository, each.digest, refused[each.digest]) for each in waiting]

    def _can_come_back(self, lost: Lost, deleted: frozenset[str], here: _Present) -> bool:
        if lost.digest in here.manifests:
            self._skip(lost, EXISTS, 'it is there')
        elif lost.digest not in deleted:
            self.pushed.failed.append(Failed(lost.repository, lost.digest, _NOT_KEPT))
        elif lost.tags and not self._free(lost, here) and not self._overwrite:
            self._skip(lost, TAG_EXISTS, f'its tags are on others now: {", ".join(tag for tag, _ in lost.tags)}')
        else:
            return True
        return False

    def _free(self, lost: Lost, here: _Present) -> list[str]:
        return [tag for tag, _ in lost.tags if here.tags.get(tag, lost.digest) == lost.digest]

    async def _manifest(self, lost: Lost, here: _Present) -> None:
        tag = next(iter(self._free(lost, here) or [tag for tag, _ in lost.tags]), None)
        if not self._dry_run:
            await self._restore(lost, tag)
        locks = UNLOCKED if self._dry_run else await self._locks_of(lost)
        is_tagged = tag is not None and await self._is_on(lost, tag)
        here.manifests[lost.digest] = locks
        self.pushed.manifests.append((lost.repository, lost.digest))
        if tag and is_tagged:
            here.tags[tag] = lost.digest
            here.tag_locks.pop(tag, None)
            self.pushed.tags.append((lost.repository, tag, lost.digest))

    async def _restore(self, lost: Lost, tag: str | None) -> None:
        """What is not deleted any more may be there again: a registry may restore an index with its children."""
        try:
            await self._registry.restore_deleted(lost.repository, lost.digest, tag)
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            await self._locks_of(lost)

    async def _locks_of(self, lost: Lost) -> Locks:
        return (await self._registry.manifest_properties(lost.repository, lost.digest)).locks

    async def _is_on(self, lost: Lost, tag: str) -> bool:
        """Whether the service set the tag: it does not where somebody else restored the manifest."""
        return self._dry_run or await self._registry.tag_digest(lost.repository, tag) == lost.digest

    async def _tags(self, lost: Lost, here: _Present) -> None:
        for tag, _ in lost.tags:
            if lost.digest not in here.manifests:
                if lost.untagged:
                    self.pushed.failed.append(Failed(lost.repository, lost.digest, 'its manifest is not there', tag))
            elif here.tags.get(tag, lost.digest) != lost.digest and not self._overwrite:
                self._skip(lost, TAG_EXISTS, f'it is on {here.tags[tag]} now', tag)
            elif here.tags.get(tag) != lost.digest:
                await self._tag(lost, tag, here)

    async def _tag(self, lost: Lost, tag: str, here: _Present) -> None:
        try:
            if not self._dry_run:
                await self._put_tag(lost, tag)
            self.pushed.tags.append((lost.repository, tag, lost.digest))
            here.tags[tag] = lost.digest
            here.tag_locks.pop(tag, None)
        except (RegistryError, NotKept) as error:
            self.pushed.failed.append(Failed(lost.repository, lost.digest, str(error), tag))

    async def _put_tag(self, lost: Lost, tag: str) -> None:
        media_type = lost.media_type
        if not media_type:
            media_type = (await self._registry.manifest_properties(lost.repository, lost.digest)).media_type
        data = verified(lost.digest, await self._registry.manifest(lost.repository, lost.digest))
        await self._registry.put_manifest(lost.repository, tag, data, type_of(data, media_type))

    async def _locks(self, lost: Lost, here: _Present) -> None:
        """Set the locks that the manifest and its tags had and do not have now."""
        if lost.digest in here.manifests:
            await self._lock(lost, None, lost.locks, here.manifests[lost.digest])
        for tag, locks in lost.tags:
            if here.tags.get(tag) == lost.digest:
                await self._lock(lost, tag, locks, here.tag_locks.get(tag, UNLOCKED))

    async def _lock(self, lost: Lost, tag: str | None, locks: Locks, now: Locks) -> None:
        if set(locks.switched_off) <= set(now.switched_off):
            return
        reference = tag or lost.digest
        try:
            if not self._dry_run:
                await self._registry.lock(lost.repository, reference, locks)
            self.pushed.locked.append(f'{lost.repository} {reference}')
        except RegistryError as error:
            self.pushed.failed.append(Failed(lost.repository, lost.digest, f'it could not be locked: {error}', tag))

    async def _deleted(self, repository: str) -> frozenset[str]:
        try:
            return frozenset(await self._registry.deleted_manifests(repository))
        except RegistryError as error:
            if error.kind is Kind.NOT_FOUND:
                return frozenset()
            raise

    async def _present(self, repository: str) -> _Present:
        try:
            listed = [manifest async for page in self._registry.manifests(repository) for manifest in page]
            tags = [tag async for page in self._registry.tags(repository) for tag in page]
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            listed, tags = [], []
        return _Present(
            {manifest.digest: manifest.locks for manifest in listed},
            {tag.name: tag.digest for tag in tags},
            {tag.name: tag.locks for tag in tags},
        )

    def _skip(self, lost: Lost, reason: str, because: str, tag: str | None = None) -> None:
        self.pushed.skipped.append(Skipped(lost.repository, lost.digest, reason, because, tag))
