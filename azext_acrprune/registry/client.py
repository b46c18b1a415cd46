"""The verbs of the registry, nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from azure.core.exceptions import AzureError

from ..model import Locks, Manifest, Tag
from .pipeline import REPOSITORY_OPTION, Request, give_up
from .protocol import listings as wire
from .protocol.pages import PAGE_SIZE, good, locks_in, manifests_path, parsed, tags_path
from .protocol.refusals import Kind, RegistryError
from .retries import PATIENCE_OPTION, WHENEVER
from .soon import IN_TIME, MANIFEST_TYPES, Soon

LARGEST_CONFIG_BYTES = 4 * 1024 * 1024
_UNLOGGED_STREAM = {'stream': True, 'logging_enable': False}
_IN_ANY_CASE = {PATIENCE_OPTION: WHENEVER}
_TAG_WAS_ON = 'x-ms-int-docker-content-digest'
_REDIRECTS = (301, 302, 303, 307, 308)


class Registry(Soon):
    """One registry. Every method raises RegistryError and is safe to call from many threads."""

    def close(self) -> None:
        self._client.close()

    def give_up(self) -> None:
        """What waits for its turn, or to be sent again, ends with an error at once."""
        give_up(self._client)

    def announce(self, repositories: Iterable[str]) -> None:
        """Say which repositories will be asked for; on an ABAC registry their tokens come in batches."""
        self._book.announce(repositories)

    def repositories(self) -> Iterator[list[str]]:
        """The catalog, page by page."""
        return self._pages(None, f'/acr/v1/_catalog?n={PAGE_SIZE}', wire.parse_repositories)

    def manifests(self, repository: str) -> Iterator[list[Manifest]]:
        """The manifest listing of a repository, page by page; contents are not read."""
        return self._pages(repository, manifests_path(repository), wire.parse_manifests)

    def tags(self, repository: str) -> Iterator[list[Tag]]:
        """The tag listing of a repository, page by page."""
        return self._pages(repository, tags_path(repository), wire.parse_tags)

    def repository_locks(self, repository: str) -> Locks:
        """The locks of the repository itself."""
        return locks_in(self._get(repository, self._repository_url(repository)))

    def manifest_properties(self, repository: str, digest: str) -> Manifest:
        """One entry of the manifest listing; its content is not read."""
        url = f'{self._endpoint}/acr/v1/{quote(repository)}/_manifests/{quote(digest, safe=":")}'
        return parsed(self._get(repository, url), wire.parse_manifest)

    def tag_properties(self, repository: str, tag: str) -> Tag:
        """One entry of the tag listing."""
        url = f'{self._endpoint}/acr/v1/{quote(repository)}/_tags/{quote(tag)}'
        return parsed(self._get(repository, url), wire.parse_tag)

    def set_delete_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        """Lock a manifest against deletion, or unlock it; its other flags stay as they are."""
        url = f'{self._endpoint}/acr/v1/{quote(repository)}/_manifests/{quote(digest, safe=":")}'
        self._answer(repository, Request('PATCH', url, json={'deleteEnabled': enabled}))

    def manifest(self, repository: str, digest: str) -> bytes:
        """The bytes of a manifest, as they came."""
        return self._get(repository, self._manifest_url(repository, digest), Accept=MANIFEST_TYPES).content

    def delete_manifest(self, repository: str, digest: str) -> None:
        """Delete a manifest and every tag on it; the service then deletes its referrers itself.

        It is not sent after a minute, for by then the reasons to delete are too old. One whose turn did not come until
        then has not failed: its error is of the kind LATE, and new reasons may be looked for.
        """
        self._answer(repository, Request('DELETE', self._manifest_url(repository, digest)), **IN_TIME)

    def delete_tag(self, repository: str, tag: str, digest: str) -> None:
        """Remove a tag from the manifest `digest`, and nothing but the tag; in time, as `delete_manifest`.

        The service removes it from whatever it is on, and says from what: an error of the kind MOVED tells how to put
        it back there.
        """
        url = f'{self._endpoint}/acr/v1/{quote(repository)}/_tags/{quote(tag)}'
        lost = self._answer(repository, Request('DELETE', url), **IN_TIME).headers.get(_TAG_WAS_ON)
        if wire.is_digest(lost) and lost != digest:
            host = urlsplit(self._endpoint)
            name = re.split('[.-]', host.hostname or '')[0]  # a registry's name has neither, its suffix does
            raise RegistryError(
                Kind.MOVED,
                f'The tag had moved to {lost} a moment before, and was removed from there. '
                f"Put it back with 'az acr import --name {name} --source "
                f"{host.netloc}/{repository}@{lost} --image {repository}:{tag}'",
            )

    def set_manifest_locks(self, repository: str, digest: str, locks: Locks) -> None:
        """Taken off in time, as `delete_manifest`, for that is the next call; set whenever the registry allows it.

        Setting them makes good what was begun, and no time limit ends it.
        """
        self._set_locks(repository, f'_manifests/{quote(digest, safe=":")}', locks)

    def set_tag_locks(self, repository: str, tag: str, locks: Locks) -> None:
        """The same for a tag."""
        self._set_locks(repository, f'_tags/{quote(tag)}', locks)

    def config(self, repository: str, digest: str) -> bytes:
        """The bytes of a config blob, from wherever the registry keeps its blobs; not more than a manifest may have."""
        data = bytearray()
        for chunk in self.blob(repository, digest):
            data += chunk
            if len(data) > LARGEST_CONFIG_BYTES:
                raise RegistryError(Kind.NOT_A_REGISTRY, 'A config is larger than its manifest says')
        return bytes(data)

    def blob(self, repository: str, digest: str) -> Iterator[bytes]:
        """The bytes of a blob as they arrive, unverified, from wherever the registry keeps its blobs.

        The request to another place goes without our token: its address carries a permission of its own, and is
        not logged for it.
        """
        url = self._blob_url(repository, digest)
        answer = self._send(_download(url), **{REPOSITORY_OPTION: repository}, **_UNLOGGED_STREAM)
        if answer.status_code in _REDIRECTS:
            place = urljoin(url, answer.headers.get('Location', ''))
            answer.close()
            if urlsplit(place).scheme != 'https':
                raise RegistryError(Kind.NOT_A_REGISTRY, 'A blob is said to be at an address that is not https')
            answer = self._send(_download(place), **_UNLOGGED_STREAM)
        with answer:
            if answer.status_code != 200:
                good(_read(answer))
                raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is not a blob', answer.status_code)
            yield from _body(answer)

    def _set_locks(self, repository: str, path: str, locks: Locks) -> None:
        flags = {'deleteEnabled': locks.delete_enabled, 'writeEnabled': locks.write_enabled}
        request = Request('PATCH', f'{self._endpoint}/acr/v1/{quote(repository)}/{path}', json=flags)
        self._answer(repository, request, **(_IN_ANY_CASE if locks.locked else IN_TIME))


def _download(url: str) -> Request:
    """A request for bytes as they are: a digest is over what is stored, not over what is compressed on the way."""
    return Request('GET', url, headers={'Accept-Encoding': 'identity'})


def _body(answer: Any) -> Iterator[bytes]:
    try:
        yield from answer.iter_raw()
    except (AzureError, OSError) as error:
        raise RegistryError(Kind.UNAVAILABLE, f'the connection ended in the middle of a blob ({error})') from error


def _read(answer: Any) -> Any:
    try:
        answer.read()
    except (AzureError, OSError) as error:
        raise RegistryError(Kind.UNAVAILABLE, str(error), answer.status_code) from error
    return answer
