"""The verbs of the registry, nothing else."""
from __future__ import annotations

import re
import threading
import time
from functools import partial
from typing import Any, Callable, Iterable, Iterator, List, Optional, Set, Tuple, TypeVar, Union
from urllib.parse import quote, urljoin, urlsplit

from azure.core.exceptions import AzureError, HttpResponseError

from ..model import Locks, Manifest, Tag
from . import wire
from .errors import Kind, RegistryError, from_answer
from .flight import Flight, Slot
from .pipeline import REPOSITORY_OPTION, Client, Request, give_up, send
from .retries import PATIENCE_OPTION, WHENEVER
from .shortcut import OnItsWay, Small
from .tokens import TokenBook

PAGE_SIZE = 1000
LARGEST_CONFIG_BYTES = 4 * 1024 * 1024
_FRUITLESS_PAGES = 10
"""In a row: a page may be empty, since what was on it is gone."""
_MOST_PAGES = 100_000
DELETE_SECONDS = 60
_IN_TIME = {PATIENCE_OPTION: DELETE_SECONDS}
_UNLOGGED_STREAM = {'stream': True, 'logging_enable': False}
_IN_ANY_CASE = {PATIENCE_OPTION: WHENEVER}
_TAG_WAS_ON = 'x-ms-int-docker-content-digest'
_REDIRECTS = (301, 302, 303, 307, 308)
_MANIFEST_TYPES = ', '.join((
    'application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.oci.artifact.manifest.v1+json', 'application/vnd.cncf.oras.artifact.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
    'application/vnd.docker.distribution.manifest.v2+json', '*/*'))
_READING, _JSON = {'Accept': _MANIFEST_TYPES}, {'Accept': 'application/json'}

Parsed = TypeVar('Parsed')
Entry = TypeVar('Entry')


class Registry:
    """One registry. Every method raises RegistryError and is safe to call from many threads."""

    def __init__(self, client: Client, book: TokenBook, endpoint: str) -> None:
        self._client = client
        self._book = book
        self._endpoint = endpoint
        self._computing = threading.Lock()
        """Held while much is parsed: threads that compute side by side only fight for the interpreter."""
        self.clock_ahead = 0.0
        """By how many seconds the clock of this machine is ahead of the registry's, once something was listed."""

    def close(self) -> None:
        self._client.close()

    def give_up(self) -> None:
        """What waits for its turn, or to be sent again, ends with an error at once."""
        give_up(self._client)

    def announce(self, repositories: Iterable[str]) -> None:
        """Say which repositories will be asked for; on an ABAC registry their tokens come in batches."""
        self._book.announce(repositories)

    def repositories(self) -> Iterator[List[str]]:
        """The catalog, page by page."""
        return self._pages(None, f'/acr/v1/_catalog?n={PAGE_SIZE}', wire.parse_repositories)

    def manifests(self, repository: str) -> Iterator[List[Manifest]]:
        """The manifest listing of a repository, page by page; contents are not read."""
        return self._pages(repository, _manifests_path(repository), wire.parse_manifests)

    def tags(self, repository: str) -> Iterator[List[Tag]]:
        """The tag listing of a repository, page by page."""
        return self._pages(repository, _tags_path(repository), wire.parse_tags)

    async def manifests_soon(self, flight: Flight, repository: str) -> List[Manifest]:
        """The whole manifest listing, with other calls in flight."""
        return await self._pages_soon(flight, repository, _manifests_path(repository), wire.parse_manifests)

    async def tags_soon(self, flight: Flight, repository: str) -> List[Tag]:
        """The whole tag listing, with other calls in flight."""
        return await self._pages_soon(flight, repository, _tags_path(repository), wire.parse_tags)

    def repository_locks(self, repository: str) -> Locks:
        """The locks of the repository itself."""
        return _locks_in(self._get(repository, self._repository_url(repository)))

    async def repository_locks_soon(self, flight: Flight, repository: str) -> Locks:
        """The same, with other calls in flight."""
        return _locks_in(await self._get_soon(flight, repository, self._repository_url(repository)))

    def manifest_properties(self, repository: str, digest: str) -> Manifest:
        """One entry of the manifest listing; its content is not read."""
        url = f'{self._endpoint}/acr/v1/{quote(repository)}/_manifests/{quote(digest, safe=":")}'
        return _parsed(self._get(repository, url), wire.parse_manifest)

    def tag_properties(self, repository: str, tag: str) -> Tag:
        """One entry of the tag listing."""
        url = f'{self._endpoint}/acr/v1/{quote(repository)}/_tags/{quote(tag)}'
        return _parsed(self._get(repository, url), wire.parse_tag)

    def set_delete_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        """Lock a manifest against deletion, or unlock it; its other flags stay as they are."""
        url = f'{self._endpoint}/acr/v1/{quote(repository)}/_manifests/{quote(digest, safe=":")}'
        self._answer(repository, Request('PATCH', url, json={'deleteEnabled': enabled}))

    def manifest(self, repository: str, digest: str) -> bytes:
        """The bytes of a manifest, as they came."""
        return self._get(repository, self._manifest_url(repository, digest), Accept=_MANIFEST_TYPES).content

    async def manifest_soon(self, slot: Slot, repository: str, digest: str) -> bytes:
        """The same, with many others in flight."""
        request = Small('GET', self._manifest_url(repository, digest), _READING)
        return _good(await self._send_soon(slot, repository, request)).content

    async def delete_manifest_soon(self, slot: Slot, repository: str, digest: str) -> None:
        """As `delete_manifest`, with many others in flight."""
        request = Small('DELETE', self._manifest_url(repository, digest), {})
        _good(await self._send_soon(slot, repository, request, **_IN_TIME))

    def delete_manifest(self, repository: str, digest: str) -> None:
        """Delete a manifest and every tag on it; the service then deletes its referrers itself.

        It is not sent after a minute, for by then the reasons to delete are too old. One whose turn did not come until
        then has not failed: its error is of the kind LATE, and new reasons may be looked for.
        """
        self._answer(repository, Request('DELETE', self._manifest_url(repository, digest)), **_IN_TIME)

    def delete_tag(self, repository: str, tag: str, digest: str) -> None:
        """Remove a tag from the manifest `digest`, and nothing but the tag; in time, as `delete_manifest`.

        The service removes it from whatever it is on, and says from what: an error of the kind MOVED tells how to put
        it back there.
        """
        url = f'{self._endpoint}/acr/v1/{quote(repository)}/_tags/{quote(tag)}'
        lost = self._answer(repository, Request('DELETE', url), **_IN_TIME).headers.get(_TAG_WAS_ON)
        if wire.is_digest(lost) and lost != digest:
            host = urlsplit(self._endpoint)
            name = re.split('[.-]', host.hostname or '')[0]  # a registry's name has neither, its suffix does
            raise RegistryError(Kind.MOVED, f"The tag had moved to {lost} a moment before, and was removed from there. "
                                f"Put it back with 'az acr import --name {name} --source "
                                f"{host.netloc}/{repository}@{lost} --image {repository}:{tag}'")

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
                _good(_read(answer))
                raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is not a blob', answer.status_code)
            yield from _body(answer)

    def _blob_url(self, repository: str, digest: str) -> str:
        return f'{self._endpoint}/v2/{quote(repository)}/blobs/{quote(digest, safe=":")}'

    def _set_locks(self, repository: str, path: str, locks: Locks) -> None:
        flags = {'deleteEnabled': locks.delete_enabled, 'writeEnabled': locks.write_enabled}
        request = Request('PATCH', f'{self._endpoint}/acr/v1/{quote(repository)}/{path}', json=flags)
        self._answer(repository, request, **(_IN_ANY_CASE if locks.locked else _IN_TIME))

    def _repository_url(self, repository: str) -> str:
        return f'{self._endpoint}/acr/v1/{quote(repository)}'

    def _manifest_url(self, repository: str, digest: str) -> str:
        return f'{self._endpoint}/v2/{quote(repository)}/manifests/{quote(digest, safe=":")}'

    def _pages(self, repository: Optional[str], path: str, parse: Callable[[Any], Parsed]) -> Iterator[Parsed]:
        """Page by page."""
        pages = _Pages(self._endpoint + path)
        while pages.url:
            answer = self._get(repository, pages.url)
            with self._computing:
                found = self._page(answer, parse)
            yield found
            pages.turn(found, answer.headers.get('Link'))

    async def _pages_soon(self, flight: Flight, repository: str, path: str,
                          parse: Callable[[Any], List[Entry]]) -> List[Entry]:
        """All of them, with other calls in flight."""
        pages = _Pages(self._endpoint + path)
        found: List[Entry] = []
        while pages.url:
            answer = await self._get_soon(flight, repository, pages.url)
            page = self._page(answer, parse)
            pages.turn(page, answer.headers.get('Link'))
            found += page
        return found

    def _page(self, answer: Any, parse: Callable[[Any], Parsed]) -> Parsed:
        self.clock_ahead = wire.seconds_ahead(answer.headers.get('Date'), time.time())
        return _parsed(answer, parse)

    def _get(self, repository: Optional[str], url: str, **headers: str) -> Any:
        return self._answer(repository, Request('GET', url, headers=headers or _JSON))

    def _answer(self, repository: Union[str, Tuple[str, str], None], request: Request, **options: Any) -> Any:
        return _good(self._send(request, **{REPOSITORY_OPTION: repository}, **options))

    async def _get_soon(self, flight: Flight, repository: str, url: str) -> Any:
        slot = flight.slot()
        try:
            return _good(await self._send_soon(slot, repository, Small('GET', url, _JSON)))
        finally:
            slot.leave()

    async def _send_soon(self, slot: Slot, repository: str, request: Small, **options: Any) -> Any:
        begun = await slot.fly(lambda: self._begin(slot.flight, repository, request))
        if begun and begun.settled:
            return begun.outcome
        headers, more = begun.for_the_pipeline() if begun else (request.headers, {})
        whole = Request(request.method, request.url, headers=dict(headers))
        options.update(more, **{REPOSITORY_OPTION: repository})
        return await slot.flight.in_thread(partial(self._send, whole, **options))

    def _begin(self, flight: Flight, repository: str, request: Small) -> Optional[OnItsWay]:
        shortcut = self._client.shortcut
        return flight.begin(shortcut, request, repository) if shortcut else None

    def _send(self, request: Request, **options: Any) -> Any:
        try:
            return send(self._client, request, **options)
        except HttpResponseError as error:
            if error.response is None:
                raise RegistryError(Kind.UNREACHABLE, str(error.message)) from error
            return error.response
        except AzureError as error:
            raise RegistryError(Kind.UNREACHABLE, str(error.message)) from error


class _Pages:
    """Where the pages of a listing lead. A registry that leads from page to page for ever is none."""

    def __init__(self, url: str) -> None:
        self.url: Optional[str] = url
        self._visited: Set[str] = set()
        self._seen: Set[str] = set()
        self._fruitless = 0

    def turn(self, found: Iterable[Any], link: Optional[str]) -> None:
        """Go on to the next page, by what was found on this one. Raises RegistryError."""
        page = str(self.url)
        self._visited.add(page)
        known = len(self._seen)
        self._seen.update(map(_name, found))
        self._fruitless = 0 if len(self._seen) > known else self._fruitless + 1
        try:
            self.url = wire.next_page(link, page)
        except ValueError as error:
            raise RegistryError(Kind.NOT_A_REGISTRY, f'A listing cannot be followed: {error}') from error
        endless = self._fruitless > _FRUITLESS_PAGES or len(self._visited) > _MOST_PAGES
        if self.url in self._visited or self.url and endless:
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The pages of a listing lead in a circle')


def _manifests_path(repository: str) -> str:
    return f'/acr/v1/{quote(repository)}/_manifests?n={PAGE_SIZE}'


def _tags_path(repository: str) -> str:
    return f'/acr/v1/{quote(repository)}/_tags?n={PAGE_SIZE}'


def _locks_in(answer: Any) -> Locks:
    return wire.parse_locks(_parsed(answer, lambda document: document['changeableAttributes']))


def _name(entry: Union[str, Manifest, Tag]) -> str:
    """What tells an entry of a listing from the others."""
    return entry if isinstance(entry, str) else entry.name if isinstance(entry, Tag) else entry.digest


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


def _good(response: Any) -> Any:
    if response.status_code >= 300:
        raise from_answer(response.status_code, response.headers.get('WWW-Authenticate'), response.content)
    return response


def _parsed(answer: Any, parse: Callable[[Any], Parsed]) -> Parsed:
    try:
        return parse(answer.json())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is not one of a container registry',
                            answer.status_code) from error
