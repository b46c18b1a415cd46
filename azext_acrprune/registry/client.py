"""One registry: the verbs that read it, and here those that change it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from azure.core.rest import HttpRequest

from ..model import Locks
from .protocol.listings import is_digest
from .protocol.refusals import Kind, RegistryError
from .reads import Reads
from .retries import PATIENCE_OPTION, WHENEVER

DELETE_SECONDS = 60
_IN_TIME = {PATIENCE_OPTION: DELETE_SECONDS}
_IN_ANY_CASE = {PATIENCE_OPTION: WHENEVER}
_TAG_WAS_ON = 'x-ms-int-docker-content-digest'
_BYTES = {'Content-Type': 'application/octet-stream'}


class Registry(Reads):
    """One registry. Every verb raises RegistryError; as many as one likes may be under way at a time."""

    async def delete_manifest(self, repository: str, digest: str) -> None:
        """Delete a manifest and every tag on it; the service then deletes its referrers itself.

        It is not sent after a minute, for by then the reasons to delete are too old. One whose turn did not come until
        then has not failed: its error is of the kind LATE, and new reasons may be looked for.
        """
        await self._answer(repository, HttpRequest('DELETE', self._manifest_url(repository, digest)), **_IN_TIME)

    async def delete_tag(self, repository: str, tag: str, digest: str) -> None:
        """Remove a tag from the manifest `digest`, and nothing but the tag; in time, as `delete_manifest`.

        The service removes it from whatever it is on, and says from what: an error of the kind MOVED tells how to put
        it back there. The SDK's verb drops that header.
        """
        request = HttpRequest('DELETE', self._entry_url(repository, tag))
        lost = (await self._answer(repository, request, **_IN_TIME)).headers.get(_TAG_WAS_ON)
        if is_digest(lost) and lost != digest:
            host = urlsplit(self._endpoint)
            name = re.split('[.-]', host.hostname or '')[0]  # a registry's name has neither, its suffix does
            raise RegistryError(
                Kind.MOVED,
                f'The tag had moved to {lost} a moment before, and was removed from there. '
                f"Put it back with 'az acr import --name {name} --source "
                f"{host.netloc}/{repository}@{lost} --image {repository}:{tag}'",
            )

    async def set_manifest_locks(self, repository: str, digest: str, locks: Locks) -> None:
        """Set both locks of a manifest.

        Taken off in time, as `delete_manifest`, for that is the next call; set whenever the registry allows it.
        Setting them makes good what was begun, and no time limit ends it.
        """
        await self._set_locks(repository, digest, locks)

    async def set_tag_locks(self, repository: str, tag: str, locks: Locks) -> None:
        """Set both locks of a tag, with the patience of `set_manifest_locks`."""
        await self._set_locks(repository, tag, locks)

    async def set_delete_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        """Lock a manifest against deletion, or unlock it; its other flags stay as they are."""
        await self._patch(repository, digest, {'deleteEnabled': enabled})

    async def lock(self, repository: str, reference: str, locks: Locks) -> None:
        """Set locks on a digest or a tag, and take none off."""
        await self._patch(
            repository, reference, {name: False for name, enabled in _flags(locks).items() if not enabled}
        )

    async def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> None:
        """Push the bytes of a manifest under its digest or a tag."""
        url = self._manifest_url(repository, reference)
        await self._answer(repository, HttpRequest('PUT', url, headers={'Content-Type': media_type}, content=data))

    async def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Have a blob of another repository in this one; false when the registry wants it uploaded instead."""
        query = urlencode({'mount': digest, 'from': source})
        request = HttpRequest('POST', f'{self._endpoint}/v2/{quote(repository)}/blobs/uploads/?{query}')
        return (await self._answer((repository, source), request)).status_code == 201

    async def upload_blob(self, repository: str, digest: str, chunks: AsyncIterator[bytes]) -> None:
        """Upload a blob chunk by chunk; the registry verifies its digest. Contents are never logged.

        The SDK's verb reads its file between two requests, and everything else would wait for the disk.
        """
        place = f'{self._endpoint}/v2/{quote(repository)}/blobs/uploads/'
        place = self._next(place, await self._upload(repository, HttpRequest('POST', place)))
        start = 0
        async for chunk in chunks:
            headers = {**_BYTES, 'Content-Range': f'{start}-{start + len(chunk) - 1}'}
            answer = await self._upload(repository, HttpRequest('PATCH', place, headers=headers, content=chunk))
            place, start = self._next(place, answer), start + len(chunk)
        joint = '&' if urlsplit(place).query else '?'
        await self._upload(repository, HttpRequest('PUT', f'{place}{joint}digest={quote(digest, safe="")}'))

    async def restore_deleted(self, repository: str, digest: str, tag: str | None = None) -> None:
        """Bring a soft-deleted manifest back, under a tag if one is given, as `az acr manifest restore` does."""
        url = f'{self._endpoint}/acr/v1/_deleted/{quote(repository)}/_manifests/{quote(digest, safe=":")}?force=false'
        await self._answer(repository, HttpRequest('POST', url, json={'tag': tag}))

    async def _set_locks(self, repository: str, reference: str, locks: Locks) -> None:
        await self._patch(repository, reference, _flags(locks), **(_IN_ANY_CASE if locks.locked else _IN_TIME))

    async def _patch(self, repository: str, reference: str, flags: dict[str, bool], **options: Any) -> None:
        request = HttpRequest('PATCH', self._entry_url(repository, reference), json=flags)
        await self._answer(repository, request, **options)

    async def _upload(self, repository: str, request: HttpRequest) -> Any:
        return await self._answer(repository, request, logging_enable=False)

    def _next(self, url: str, answer: Any) -> str:
        place = urljoin(url, answer.headers.get('Location', ''))
        if urlsplit(place)[:2] != urlsplit(self._endpoint)[:2]:  # our token must not follow it there
            raise RegistryError(Kind.NOT_A_REGISTRY, 'An upload is said to go on at another host')
        return place


def _flags(locks: Locks) -> dict[str, bool]:
    return {'deleteEnabled': locks.delete_enabled, 'writeEnabled': locks.write_enabled}
