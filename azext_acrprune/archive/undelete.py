"""Bring back what one run deleted from a registry that keeps deleted content for some days (soft delete).

The calls are those of `az acr manifest list-deleted` and `az acr manifest restore`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..model import Failed, Locks, Skipped
from ..registry.client import Registry
from ..registry.protocol.refusals import Kind, RegistryError
from .pure.choose import EXISTS, NOT_THERE, TAG_EXISTS
from .push import Restored
from .stored import type_of, verified
from .target import NotKept

NOT_KEPT = 'notSoftDeleted'

_NOT_DONE = ('locked', 'late', 'forbidden', 'unauthenticated', 'busy', 'moved')
"""Outcomes of requests that took nothing from the manifest that they name."""


@dataclass(frozen=True)
class Lost:
    """A manifest that a run deleted, with the tags and locks that it had, or with `untagged` tags that it lost."""

    repository: str
    digest: str
    media_type: str | None
    tags: tuple[tuple[str, Locks], ...]
    locks: Locks
    untagged: bool = False


def is_deletion(line: Mapping[str, Any]) -> bool:
    """Whether a line of a journal is a request to delete something: runs lock and unlock, too."""
    return line['event'] == 'request' and line.get('request') in ('deleteManifest', 'deleteTag')


def lost_in(lines: Iterable[Mapping[str, Any]]) -> list[Lost]:
    """What a run deleted, by its journal, the last first: what was deleted after something else is needed by it.

    A request without an outcome may have been done, and what the service deletes together with a subject too.
    """
    lines = list(lines)
    refused = {_key(line) for line in lines if line['event'] == 'outcome' and line.get('outcome') in _NOT_DONE}
    requests: dict[Any, Mapping[str, Any]] = {}
    for line in lines:
        if line['event'] == 'falls' or is_deletion(line):
            requests.setdefault(_key(line), line)
    found = []
    for key, line in reversed(list(requests.items())):
        if key in refused or not line.get('digest'):
            continue
        if line.get('request') != 'deleteTag':
            tags = tuple((entry['tag'], _locks(entry)) for entry in line.get('tags', ()))
            found.append(Lost(line['repository'], line['digest'], line.get('mediaType'), tags, _locks(line)))
        else:
            found.append(Lost(line['repository'], line['digest'], None, ((line['tag'], _locks(line)),), Locks(), True))
    return found


async def undelete(registry: Registry, lost: list[Lost], dry_run: bool, overwrite: bool) -> Restored:
    """Restore manifests, their tags and their locks; with `dry_run` only say which.

    A manifest all of whose tags are on others now is left alone unless they may be overwritten: the service would
    move them. Raises RegistryError when the registry cannot be asked.
    """
    run = _Undeletion(registry, dry_run, overwrite)
    for repository in sorted({each.repository for each in lost}):
        here = [each for each in lost if each.repository == repository]
        await run.repository(repository, here)
    return run.pushed


class _Undeletion:
    """One restoration. `pushed` is what became of it so far."""

    def __init__(self, registry: Registry, dry_run: bool, overwrite: bool) -> None:
        self.pushed = Restored()
        self._registry = registry
        self._dry_run = dry_run
        self._overwrite = overwrite

    async def repository(self, name: str, lost: list[Lost]) -> None:
        """Bring back what one repository lost. A tag that exists now is never moved unless that was asked for."""
        deleted, present, tags = await self._deleted(name), *await self._present(name)
        for each in lost:
            if not each.untagged:
                await self._manifest(each, deleted, present, tags)
        for each in sorted(lost, key=lambda one: one.digest):
            if each.untagged or each.digest in present or (name, each.digest) in self.pushed.manifests:
                await self._tags(each, present | {digest for _, digest in self.pushed.manifests}, tags)

    async def _manifest(
        self, lost: Lost, deleted: frozenset[str], present: frozenset[str], tags: dict[str, str]
    ) -> None:
        if lost.digest in present:
            self._skip(lost, EXISTS, 'it is there')
            return
        if lost.digest not in deleted:
            self._skip(lost, NOT_KEPT, 'the registry does not keep it, or not any more')
            return
        free = [tag for tag, _ in lost.tags if tags.get(tag, lost.digest) == lost.digest]
        if lost.tags and not free and not self._overwrite:
            self._skip(lost, TAG_EXISTS, f'its tags are on others now: {", ".join(tag for tag, _ in lost.tags)}')
            return
        first = next(iter(free or [tag for tag, _ in lost.tags]), None)
        try:
            if not self._dry_run:
                await self._restore(lost, first)
            self.pushed.manifests.append((lost.repository, lost.digest))
            if first:
                tags[first] = lost.digest
                self.pushed.tags.append((lost.repository, first, lost.digest))
            await self._lock(lost, lost.digest, lost.locks)
        except RegistryError as error:
            self.pushed.failed.append(Failed(lost.repository, lost.digest, str(error)))

    async def _restore(self, lost: Lost, tag: str | None) -> None:
        """The service restores an index with its children: what is not deleted any more may be there again."""
        try:
            await self._registry.restore_deleted(lost.repository, lost.digest, tag)
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            await self._registry.manifest_properties(lost.repository, lost.digest)

    async def _tags(self, lost: Lost, present: frozenset[str], tags: dict[str, str]) -> None:
        for tag, locks in lost.tags:
            if lost.digest not in present:
                self._skip(lost, NOT_THERE, 'its manifest is not there', tag)
            elif tags.get(tag, lost.digest) != lost.digest and not self._overwrite:
                self._skip(lost, TAG_EXISTS, f'it is on {tags[tag]} now', tag)
            else:
                await self._tag(lost, tag, locks, tags)

    async def _tag(self, lost: Lost, tag: str, locks: Locks, tags: dict[str, str]) -> None:
        try:
            if tags.get(tag) != lost.digest:
                if not self._dry_run:
                    await self._put_tag(lost, tag)
                self.pushed.tags.append((lost.repository, tag, lost.digest))
                tags[tag] = lost.digest
            await self._lock(lost, tag, locks)
        except (RegistryError, NotKept) as error:
            self.pushed.failed.append(Failed(lost.repository, lost.digest, str(error), tag))

    async def _put_tag(self, lost: Lost, tag: str) -> None:
        media_type = lost.media_type
        if not media_type:
            media_type = (await self._registry.manifest_properties(lost.repository, lost.digest)).media_type
        data = verified(lost.digest, await self._registry.manifest(lost.repository, lost.digest))
        await self._registry.put_manifest(lost.repository, tag, data, type_of(data, media_type))

    async def _lock(self, lost: Lost, reference: str, locks: Locks) -> None:
        if locks.locked:
            if not self._dry_run:
                await self._registry.lock(lost.repository, reference, locks)
            self.pushed.locked.append(f'{lost.repository} {reference}')

    async def _deleted(self, repository: str) -> frozenset[str]:
        try:
            return frozenset(await self._registry.deleted_manifests(repository))
        except RegistryError as error:
            if error.kind is Kind.NOT_FOUND:
                return frozenset()
            raise

    async def _present(self, repository: str) -> tuple[frozenset[str], dict[str, str]]:
        """The manifests that are there, and what each tag is on."""
        try:
            listed = [manifest async for page in self._registry.manifests(repository) for manifest in page]
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            listed = []
        return (
            frozenset(manifest.digest for manifest in listed),
            {tag: manifest.digest for manifest in listed for tag in manifest.tags},
        )

    def _skip(self, lost: Lost, reason: str, because: str, tag: str | None = None) -> None:
        self.pushed.skipped.append(Skipped(lost.repository, lost.digest, reason, because, tag))


def _key(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """A tag is told by its name, a manifest by its digest."""
    return line.get('request', 'deleteManifest'), line.get('repository'), line.get('tag') or line.get('digest')


def _locks(entry: Mapping[str, Any]) -> Locks:
    return Locks.from_flags(entry.get('locks', ()))
