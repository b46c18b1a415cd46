"""One registry: the verbs that change it, added to those that read it."""

from __future__ import annotations

import io
import json
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from azure.core.pipeline.transport import HttpRequest

from ..model import Locks, OwedLock, registry_name
from .permit import PERMIT_OPTION, Permit
from .protocol.answers import done, own
from .protocol.hosts import login_server_of
from .protocol.listings import is_digest
from .protocol.refusals import Kind, RegistryError
from .reads import Reads
from .request_options import PROMISED_OPTION, REPOSITORY_OPTION
from .sdk import registry_errors, sdk_pipeline
from .uploads import Upload

if TYPE_CHECKING:
    from azure.containerregistry.aio import ContainerRegistryClient

_JSON_BODY = {'Content-Type': 'application/json'}
_IN_ANY_CASE: dict[str, Any] = {PROMISED_OPTION: True}
_TAG_WAS_ON = 'x-ms-int-docker-content-digest'


class Registry(Reads):
    """One registry. Every verb raises RegistryError. Any number of them may run at a time.

    The SDK's client pushes and sets locks, over our pipeline. What it would lose with the other verbs is in
    docs/architecture.md.
    """

    async def delete_manifest(self, repository: str, digest: str, permit: Permit) -> None:
        """Delete a manifest and every tag on it; the service then deletes its referrers itself.

        Raises Late when the permit is over before the request leaves, and the caller may list the repository again.
        """
        request = HttpRequest('DELETE', self._manifest_url(repository, digest))
        done(await self._answer(repository, request, **{PERMIT_OPTION: permit}))

    async def delete_tag(self, repository: str, tag: str, digest: str, permit: Permit) -> None:
        """Remove a tag from the manifest `digest`, and nothing but the tag. Raises Late as `delete_manifest` does.

        The service removes the tag from whatever manifest it is on, and names that manifest in a header, which the
        SDK's verb drops. When it is another manifest, an error of the kind MOVED says how to put the tag back.
        """
        request = HttpRequest('DELETE', self._entry_url(repository, tag))
        lost = done(await self._answer(repository, request, **{PERMIT_OPTION: permit})).headers.get(_TAG_WAS_ON)
        if is_digest(lost) and lost != digest:
            host = login_server_of(urlsplit(self._endpoint).netloc)
            raise RegistryError(
                Kind.MOVED,
                f'The tag had moved to {lost} a moment before, and was removed from there. '
                f"Put it back with 'az acr import --name {registry_name(host)} --source "
                f"{host}/{repository}@{lost} --image {repository}:{tag}'",
            )

    async def set_manifest_locks(
        self, repository: str, digest: str, locks: Locks, permit: Permit | None = None, owed: OwedLock | None = None
    ) -> None:
        """Set the locks that `locks` has, or take locks off: those that are `owed` then, or both where nothing is.

        What somebody else locked meanwhile stays locked. With the permit of the deletion that follows, it raises Late
        as `delete_manifest` does. Without one it is sent whenever the registry allows it and no time limit ends it,
        because it restores a lock that was taken off.
        """
        await self._set_locks(repository, digest, locks, permit, owed)

    async def set_tag_locks(
        self, repository: str, tag: str, locks: Locks, permit: Permit | None = None, owed: OwedLock | None = None
    ) -> None:
        """Set the locks of a tag, or take locks off; all else is as for `set_manifest_locks`."""
        await self._set_locks(repository, tag, locks, permit, owed)

    async def set_delete_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        """Lock a digest or a tag against deletion, or unlock it; its other flags stay as they are."""
        await self._set_flags(repository, digest, can_delete=enabled)

    async def set_read_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        """Make pulls of a manifest fail, or let them through; its other flags stay as they are."""
        await self._set_flags(repository, digest, can_read=enabled)

    async def lock(self, repository: str, reference: str, locks: Locks) -> None:
        """Switch off what `locks` has switched off of a digest or a tag, and switch nothing on."""
        await self._set_flags(repository, reference, **_switched_off(locks))

    async def lock_repository(self, repository: str, locks: Locks) -> None:
        """Switch off what `locks` has switched off of a repository itself, and switch nothing on."""
        options: dict[str, Any] = {**_switched_off(locks), REPOSITORY_OPTION: repository}
        update: Any = self._sdk.update_repository_properties  # its overloads say that it gives no coroutine
        with registry_errors():
            await update(repository, **options)

    async def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> None:
        """Push the bytes of a manifest under its digest or a tag; the digest in the answer is verified."""
        options: dict[str, Any] = {'tag': reference, 'media_type': media_type, REPOSITORY_OPTION: repository}
        with registry_errors():
            await self._sdk.set_manifest(repository, io.BytesIO(data), **options)

    async def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Mount a blob of another repository in this one; false when the registry wants it uploaded instead."""
        query = urlencode({'mount': digest, 'from': source})
        request = HttpRequest('POST', f'{self._endpoint}/v2/{quote(repository)}/blobs/uploads/?{query}')
        return bool(own(await self._answer((repository, source), request)).status_code == 201)

    async def upload_blob(self, repository: str, digest: str, file: BinaryIO) -> None:
        """Upload a blob from a file, 4 MiB at a time; its digest is verified. Contents are never logged.

        After an answer that got lost it goes on where the registry says it stands. The file is read on the event loop,
        so it has to be one of this machine.
        """

        async def send(request: HttpRequest) -> Any:
            options: dict[str, Any] = {REPOSITORY_OPTION: repository, 'logging_enable': False}
            if request.method == 'PATCH':  # sent twice, a chunk would be there twice
                options['retry_status'] = 0
            return await self._send(request, **options)

        begin = f'{self._endpoint}/v2/{quote(repository)}/blobs/uploads/'
        await Upload(send, begin, digest, file).run(partial(self.has_blob, repository, digest))

    async def restore_deleted(self, repository: str, digest: str, tag: str | None = None) -> None:
        """Bring a soft-deleted manifest back, under a tag if one is given, as `az acr manifest restore` does."""
        url = f'{self._endpoint}/acr/v1/_deleted/{quote(repository)}/_manifests/{quote(digest, safe=":")}?force=false'
        own(await self._answer(repository, HttpRequest('POST', url, _JSON_BODY, data=json.dumps({'tag': tag}))))

    async def _set_locks(
        self, repository: str, reference: str, locks: Locks, permit: Permit | None, owed: OwedLock | None
    ) -> None:
        when: dict[str, Any] = {PERMIT_OPTION: permit} if permit else _IN_ANY_CASE
        changed = owed.locks if owed else locks
        off = [name for name, is_on in _flags(changed).items() if not is_on]
        flags = _flags(locks)
        await self._set_flags(repository, reference, **{name: flags[name] for name in off or flags}, **when)

    async def _set_flags(self, repository: str, reference: str, **flags_and_options: Any) -> None:
        """Set flags of a digest or a tag, and leave those that are not named."""
        is_tag = ':' not in reference
        update = self._sdk.update_tag_properties if is_tag else self._sdk.update_manifest_properties
        flags = {name: flag for name, flag in flags_and_options.items() if name.startswith('can_')}
        flags_and_options[REPOSITORY_OPTION] = repository
        with registry_errors():
            now = await update(repository, reference, **flags_and_options)
        if any(getattr(now, name) is not flag for name, flag in flags.items()):
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer shows other locks than those that were set')

    @cached_property
    def _sdk(self) -> ContainerRegistryClient:
        """Made when it is first needed: what only reads does not import it. Closing the pipeline closes all of it."""
        from azure.containerregistry.aio import ContainerRegistryClient

        return ContainerRegistryClient(self._endpoint, pipeline=sdk_pipeline(self._pipeline))


def _switched_off(locks: Locks) -> dict[str, bool]:
    flags = {**_flags(locks), 'can_read': locks.read_enabled, 'can_list': locks.list_enabled}
    return {name: False for name, is_on in flags.items() if not is_on}


def _flags(locks: Locks) -> dict[str, bool]:
    return {'can_delete': locks.delete_enabled, 'can_write': locks.write_enabled}
