"""The last check before a deletion is sent: a manifest that is not in the archive is not deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from ..model import Locks, OwedLock
from ..registry.changes import Changes
from ..registry.permit import Permit
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from .pure.layout import Record


class ArchivedRegistry:
    """A registry in which only the manifests and tags of these records can be deleted.

    A manifest can be missing when it is archived and be there again when it is deleted: a registry with replicas
    answers late.
    """

    def __init__(self, registry: Reads, door: Changes, records: Iterable[Record]) -> None:
        self._registry = registry
        self._door = door
        self._archived: set[tuple[str, str]] = {(record.repository, record.tag or record.digest) for record in records}

    async def delete_manifest(self, repository: str, digest: str, permit: Permit) -> None:
        """Refuse a ghost: it is in no archive, and may become readable again. A manifest that is not listed is gone."""
        if (repository, digest) not in self._archived:
            await self._registry.manifest_properties(repository, digest)
            raise RegistryError(Kind.LOCKED, 'it is not in the archive')
        await self._door.delete_manifest(repository, digest, permit)

    async def delete_tag(self, repository: str, tag: str, digest: str, permit: Permit) -> None:
        if (repository, tag) not in self._archived:
            raise RegistryError(Kind.LOCKED, 'it is not in the archive')
        await self._door.delete_tag(repository, tag, digest, permit)

    async def set_manifest_locks(
        self, repository: str, digest: str, locks: Locks, permit: Permit | None = None, owed: OwedLock | None = None
    ) -> None:
        await self._door.set_manifest_locks(repository, digest, locks, permit, owed)

    async def set_tag_locks(
        self, repository: str, tag: str, locks: Locks, permit: Permit | None = None, owed: OwedLock | None = None
    ) -> None:
        await self._door.set_tag_locks(repository, tag, locks, permit, owed)

    async def set_delete_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        await self._door.set_delete_enabled(repository, digest, enabled)

    async def set_read_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        await self._door.set_read_enabled(repository, digest, enabled)

    async def lock(self, repository: str, reference: str, locks: Locks) -> None:
        await self._door.lock(repository, reference, locks)

    async def lock_repository(self, repository: str, locks: Locks) -> None:
        await self._door.lock_repository(repository, locks)

    async def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> None:
        await self._door.put_manifest(repository, reference, data, media_type)

    async def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        return await self._door.mount_blob(repository, digest, source)

    async def upload_blob(self, repository: str, digest: str, file: BinaryIO) -> None:
        await self._door.upload_blob(repository, digest, file)

    async def restore_deleted(self, repository: str, digest: str, tag: str | None = None) -> None:
        await self._door.restore_deleted(repository, digest, tag)
