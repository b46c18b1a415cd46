"""What tags are on, right before a restoration of soft-deleted content sets them: it takes none from others."""

from __future__ import annotations

import asyncio

from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads


class TagsNow:
    """What tags are on now, for one restoration; a listing of earlier lacks hidden tags, and those pushed meanwhile.

    The service sets one tag by itself where none is asked for: one of those that the manifest had.
    """

    def __init__(self, registry: Reads) -> None:
        self._registry = registry
        self._had: dict[str, dict[str, list[str]]] = {}
        self._asking = asyncio.Lock()
        self._set: set[tuple[str, str, str]] = set()
        self._set_by_itself: set[tuple[str, str, str]] = set()

    async def on(self, repository: str, tag: str) -> str | None:
        """What a tag is on; None too where only the service put it there, in this restoration. Raises RegistryError."""
        digest = await self._registry.tag_digest(repository, tag)
        return digest if digest and (repository, tag, digest) not in self._set_by_itself else None

    async def taken_by_itself(self, repository: str, digest: str) -> list[str]:
        """The tags that others have now, and that the service may set where it is asked for none. Raises RegistryError.

        A tag that this restoration has set is none of others: it is set again afterwards.
        """
        taken = []
        for tag in await self._tags_of(repository, digest):
            now = await self.on(repository, tag)
            if now not in (None, digest) and (repository, tag, now) not in self._set:
                taken.append(tag)
        return taken

    async def came(self, repository: str, digest: str, tag: str | None) -> None:
        """Know that a manifest came back under this tag, or with none that was asked for. Raises RegistryError."""
        if tag:
            self._set.add((repository, tag, digest))
            return
        for each in await self._tags_of(repository, digest):
            if await self._registry.tag_digest(repository, each) == digest:
                self._set_by_itself.add((repository, each, digest))

    async def _tags_of(self, repository: str, digest: str) -> list[str]:
        """The tags that a soft-deleted manifest had. Each repository is asked once."""
        async with self._asking:
            if repository not in self._had:
                had: dict[str, list[str]] = {}
                try:
                    for tag in await self._registry.deleted_tags(repository):
                        had.setdefault(tag.digest, []).append(tag.name)
                except RegistryError as error:
                    if error.kind is not Kind.NOT_FOUND:
                        raise
                self._had[repository] = had
        return self._had[repository].get(digest, [])
