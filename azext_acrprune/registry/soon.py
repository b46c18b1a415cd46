"""The verbs that a run uses thousands of times: coroutines, with as many calls in flight as there are slots."""

from __future__ import annotations

from ..model import Locks, Manifest, Tag
from .calls import Calls
from .flight import Flight, Slot
from .protocol import listings as wire
from .protocol.pages import good, locks_in, manifests_path, tags_path
from .retries import PATIENCE_OPTION
from .shortcut import Small

DELETE_SECONDS = 60
IN_TIME = {PATIENCE_OPTION: DELETE_SECONDS}
MANIFEST_TYPES = ', '.join(
    (
        'application/vnd.oci.image.index.v1+json',
        'application/vnd.oci.image.manifest.v1+json',
        'application/vnd.oci.artifact.manifest.v1+json',
        'application/vnd.cncf.oras.artifact.manifest.v1+json',
        'application/vnd.docker.distribution.manifest.list.v2+json',
        'application/vnd.docker.distribution.manifest.v2+json',
        '*/*',
    )
)
_READING = {'Accept': MANIFEST_TYPES}


class Soon(Calls):
    """What the methods of the same names in `Registry` do, with other calls in flight."""

    async def manifests_soon(self, flight: Flight, repository: str) -> list[Manifest]:
        """The whole manifest listing."""
        return await self._pages_soon(flight, repository, manifests_path(repository), wire.parse_manifests)

    async def tags_soon(self, flight: Flight, repository: str) -> list[Tag]:
        """The whole tag listing."""
        return await self._pages_soon(flight, repository, tags_path(repository), wire.parse_tags)

    async def repository_locks_soon(self, flight: Flight, repository: str) -> Locks:
        """The locks of the repository itself."""
        return locks_in(await self._get_soon(flight, repository, self._repository_url(repository)))

    async def manifest_soon(self, flight: Flight, repository: str, digest: str) -> bytes:
        """The bytes of a manifest, as they came."""
        return (await self._get_soon(flight, repository, self._manifest_url(repository, digest), **_READING)).content

    async def delete_manifest_soon(self, slot: Slot, repository: str, digest: str) -> None:
        """Delete a manifest and every tag on it, within a minute."""
        request = Small('DELETE', self._manifest_url(repository, digest), {})
        good(await self._send_soon(slot, repository, request, **IN_TIME))
