"""The last word before a request: what is not in the archive is not deleted, whatever led to it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NoReturn

from ..registry.flight import Slot
from ..registry.protocol.refusals import Kind, RegistryError
from .layout import Record


class ArchivedRegistry:
    """A registry in which only what these records name can be deleted.

    A manifest can be missing when it is archived and be there again when it is deleted: a registry with replicas
    answers late.
    """

    def __init__(self, registry: Any, records: Iterable[Record]) -> None:
        self._registry = registry
        self._archived: set[tuple[str, str]] = {(record.repository, record.tag or record.digest) for record in records}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    def delete_manifest(self, repository: str, digest: str) -> None:
        if (repository, digest) not in self._archived:
            self._refuse(repository, digest)
        self._registry.delete_manifest(repository, digest)

    async def delete_manifest_soon(self, slot: Slot, repository: str, digest: str) -> None:
        if (repository, digest) not in self._archived:
            await slot.flight.in_thread(partial(self._refuse, repository, digest))
        await self._registry.delete_manifest_soon(slot, repository, digest)

    def _refuse(self, repository: str, digest: str) -> NoReturn:
        """A ghost is in no archive, and stays: it may be back any moment. What is not even listed is gone."""
        self._registry.manifest_properties(repository, digest)
        raise RegistryError(Kind.LOCKED, 'it is not in the archive')

    def delete_tag(self, repository: str, tag: str, digest: str) -> None:
        if (repository, tag) not in self._archived:
            raise RegistryError(Kind.LOCKED, 'it is not in the archive')
        self._registry.delete_tag(repository, tag, digest)
