"""The verbs that read a registry, and how calls are made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.transport import HttpRequest

from ..model import Manifest, Tag
from .protocol import listings as wire
from .protocol.answers import good, parsed
from .protocol.listings import PAGE_SIZE, OddName, Pages, RepositoryFacts
from .protocol.refusals import Kind, RegistryError, change_errors, parse_challenge
from .protocol.tokens import DELETED, TokenBook
from .request_options import PROMISED_OPTION, REPOSITORY_OPTION
from .transport import chunks_of, seconds_left

LARGEST_CONFIG_BYTES = 4 * 1024 * 1024
_JSON = {'Accept': 'application/json'}
_MANIFEST_TYPES = ', '.join(
    (
        'application/vnd.oci.image.index.v1+json',
        'application/vnd.oci.image.manifest.v1+json',
        'application/vnd.oci.artifact.manifest.v1+json',
        'application/vnd.cncf.oras.artifact.manifest.v1+json',
        'application/vnd.docker.distribution.manifest.list.v2+json',
        'application/vnd.docker.distribution.manifest.v2+json',
        'application/vnd.docker.distribution.manifest.v1+prettyjws',
        'application/vnd.docker.distribution.manifest.v1+json',
        '*/*',
    )
)
_AS_STORED = {'Accept-Encoding': 'identity'}
"""A digest is over what is stored, not over what is compressed on the way."""
_LENGTH = 'content-length'
"""What the answer to HEAD says of a blob: there is no other way to ask for a size."""
_UNLOGGED_STREAM = {'stream': True, 'logging_enable': False}
_READING = ('GET', 'HEAD')
_PROMISED: dict[str, Any] = {PROMISED_OPTION: True}
_IMPATIENT = {'retry_connect': 1, 'retry_read': 1, 'retry_status': 1}
REDIRECTS = (301, 302, 303, 307, 308)

Page = TypeVar('Page', bound=Iterable[Any])


class Reads:
    """One registry, to be read. Every verb raises RegistryError. Any number of them may run at a time.

    The SDK's verbs are not used for this: they drop `mediaType`, do not notice keys that are there twice, and fetch a
    blob in parts that are a call each. docs/architecture.md has the reason for each verb.
    """

    def __init__(self, pipeline: AsyncPipeline, book: TokenBook, endpoint: str) -> None:
        self._pipeline = pipeline
        self._book = book
        self._endpoint = endpoint
        self._clock_ahead = 0.0
        self.replicas: tuple[Reads, ...] = (self,)
        """All that have to be asked to know what the registry holds, this one first: changes go through it."""

    async def close(self) -> None:
        await self._pipeline.__aexit__()
        for other in self._others:
            await other.close()

    @property
    def clock_ahead(self) -> float:
        """By how many seconds the clock of this machine is ahead of the registry's, once something was listed."""
        return max([self._clock_ahead, *(other.clock_ahead for other in self._others)])

    @property
    def _others(self) -> list[Reads]:
        return [replica for replica in self.replicas if replica is not self]

    async def tokens_of(self, host: str) -> tuple[str, str]:
        """Which service gives the tokens for another endpoint of this registry, and from where, as that says itself.

        Tokens come from that endpoint or from the login server, whatever it says.
        """
        answer = await self._send(HttpRequest('GET', f'https://{host}/v2/'))
        said = parse_challenge(answer.headers.get('WWW-Authenticate', ''))
        realm = urlsplit(said.get('realm', ''))
        at_login_server = (realm.scheme, realm.netloc) == ('https', urlsplit(self._endpoint).netloc)
        return said.get('service') or host, self._endpoint if at_login_server else f'https://{host}'

    def announce(self, repositories: Iterable[str]) -> None:
        """Say which repositories will be asked for; on an ABAC registry their tokens come in batches."""
        names = list(repositories)
        self._book.announce(names)
        for other in self._others:
            other.announce(names)

    def named_by_tokens(self) -> frozenset[str]:
        """The repositories that the tokens of this run name, whether they are there or not."""
        return self._book.named

    def repositories(self) -> AsyncIterator[list[str | OddName]]:
        """The catalog, page by page."""
        return self._pages(None, f'/acr/v1/_catalog?n={PAGE_SIZE}', wire.parse_repositories)

    def manifests(self, repository: str, patient: bool = True) -> AsyncIterator[list[Manifest]]:
        """The manifest listing of a repository, page by page; contents are not read."""
        path = f'/acr/v1/{quote(repository)}/_manifests?n={PAGE_SIZE}'
        return self._pages(repository, path, wire.parse_manifests, patient)

    def tags(self, repository: str, patient: bool = True) -> AsyncIterator[list[Tag]]:
        """The tag listing of a repository, page by page."""
        path = f'/acr/v1/{quote(repository)}/_tags?n={PAGE_SIZE}'
        return self._pages(repository, path, wire.parse_tags, patient)

    async def repository_facts(self, repository: str, patient: bool = True) -> RepositoryFacts:
        """What a repository says of itself: its locks, and how much it has."""
        url = f'{self._endpoint}/acr/v1/{quote(repository)}'
        return parsed(await self._get(repository, url, patient), wire.parse_repository)

    async def manifest_properties(self, repository: str, digest: str, promised: bool = False) -> Manifest:
        """One entry of the manifest listing; its content is not read.

        What is `promised` to be asked, no time limit ends, and no first stop.
        """
        options = _PROMISED if promised else {}
        return parsed(await self._get(repository, self._entry_url(repository, digest), **options), wire.parse_manifest)

    async def tag_properties(self, repository: str, tag: str) -> Tag:
        """One entry of the tag listing."""
        return parsed(await self._get(repository, self._entry_url(repository, tag)), wire.parse_tag)

    async def tag_digest(self, repository: str, tag: str) -> str | None:
        """What a tag is on now, None when there is no such tag."""
        try:
            return (await self.tag_properties(repository, tag)).digest
        except RegistryError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise

    async def manifest(self, repository: str, digest: str, patient: bool = True) -> bytes:
        """The bytes of a manifest, as they came.

        Who is not `patient` asks once more after a failure, and no more: it failed for ever not long ago.
        """
        request = HttpRequest('GET', self._manifest_url(repository, digest), headers={'Accept': _MANIFEST_TYPES})
        return (await self._answer(repository, request, **({} if patient else _IMPATIENT))).body()

    async def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob."""
        request = HttpRequest('HEAD', self._blob_url(repository, digest))
        return (await self._send(request, **{REPOSITORY_OPTION: repository})).status_code in (200, *REDIRECTS)

    async def blob_size(self, repository: str, digest: str) -> int:
        """The size of a blob in bytes, 0 where the repository does not have it."""
        request = HttpRequest('HEAD', self._blob_url(repository, digest), headers=_AS_STORED)
        answer = await self._send(request, **{REPOSITORY_OPTION: repository})
        if answer.status_code == 404:
            return 0
        size = good(answer).headers.get(_LENGTH, '')
        if answer.status_code != 200 or not size.isdecimal():
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer does not say how large a blob is', answer.status_code)
        return int(size)

    async def config(self, repository: str, digest: str) -> bytes:
        """The bytes of a config blob, from wherever the registry keeps its blobs; not more than a manifest may have."""
        data = bytearray()
        async for chunk in self.blob(repository, digest):
            data += chunk
            if len(data) > LARGEST_CONFIG_BYTES:
                raise RegistryError(Kind.NOT_A_REGISTRY, 'A config is larger than its manifest says')
        return bytes(data)

    async def blob(self, repository: str, digest: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a blob as they arrive, unverified, from wherever the registry keeps its blobs.

        The request to another place goes without our token: its address carries a permission of its own, and is
        not logged for it.
        """
        url, options = self._blob_url(repository, digest), {REPOSITORY_OPTION: repository, **_UNLOGGED_STREAM}
        async with self._streamed(url, options) as answer:
            place = urljoin(url, answer.headers.get('Location', '')) if answer.status_code in REDIRECTS else None
            if place is None:
                async for chunk in _body(answer):
                    yield chunk
        if place is not None:
            if urlsplit(place).scheme != 'https':
                raise RegistryError(Kind.NOT_A_REGISTRY, 'A blob is said to be at an address that is not https')
            async with self._streamed(place, _UNLOGGED_STREAM) as answer:
                async for chunk in _body(answer):
                    yield chunk

    async def deleted_manifests(self, repository: str) -> dict[str, str]:
        """What is soft-deleted in a repository: when, by digest."""
        path = f'/acr/v1/_deleted/{quote(repository)}/_manifests'
        found: dict[str, str] = {}
        async for page in self._pages(repository, path, wire.parse_deleted):
            found.update(page)
        return found

    async def deleted_tags(self, repository: str) -> list[Tag]:
        """The tags that what is soft-deleted in a repository had, each with its digest alone."""
        path = f'/acr/v1/_deleted/{quote(repository)}/_tags'
        return [each async for page in self._pages(repository, path, wire.parse_deleted_tags) for each in page]

    async def deleted_repositories(self) -> list[str]:
        """The repositories of which something is soft-deleted."""
        pages = self._pages(DELETED, '/acr/v1/_deleted/_catalog', wire.parse_repositories)
        return [name async for page in pages for name in page if isinstance(name, str)]

    async def _pages(
        self, repository: str | None, path: str, parse: Callable[[Any], Page], patient: bool = True
    ) -> AsyncIterator[Page]:
        pages = Pages(self._endpoint + path)
        while pages.url:
            answer = await self._get(repository, pages.url, patient)
            self._clock_ahead = wire.seconds_ahead(answer.headers.get('Date'), time.time(), self._clock_ahead)
            found = parsed(answer, parse)
            yield found
            pages.turn(found, answer.headers.get('Link'))

    async def _get(self, repository: str | None, url: str, patient: bool = True, **options: Any) -> Any:
        if not patient:
            options.update(_IMPATIENT)
        return await self._answer(repository, HttpRequest('GET', url, headers=_JSON), **options)

    async def _answer(self, repository: str | tuple[str, str] | None, request: HttpRequest, **options: Any) -> Any:
        with nullcontext() if request.method in _READING else change_errors():
            return good(await self._send(request, **{REPOSITORY_OPTION: repository}, **options))

    @asynccontextmanager
    async def _streamed(self, url: str, options: dict[str, Any]) -> AsyncIterator[Any]:
        answer = await self._send(HttpRequest('GET', url, headers=_AS_STORED), **options)
        try:
            yield answer
        finally:
            answer.internal_response.close()

    async def _send(self, request: HttpRequest, **options: Any) -> Any:
        """The answer to a request, whatever its status; redirects are answers."""
        try:
            return (await self._pipeline.run(request, **options)).http_response
        except HttpResponseError as error:
            if error.response is None:
                raise RegistryError(Kind.UNREACHABLE, str(error.message)) from error
            return error.response
        except AzureError as error:
            raise RegistryError(Kind.UNREACHABLE, str(error.message)) from error

    def _blob_url(self, repository: str, digest: str) -> str:
        return f'{self._endpoint}/v2/{quote(repository)}/blobs/{quote(digest, safe=":")}'

    def _manifest_url(self, repository: str, reference: str) -> str:
        return f'{self._endpoint}/v2/{quote(repository)}/manifests/{quote(reference, safe=":")}'

    def _entry_url(self, repository: str, reference: str) -> str:
        """Where a listing has a digest, or a tag."""
        listing = '_manifests' if ':' in reference else '_tags'
        return f'{self._endpoint}/acr/v1/{quote(repository)}/{listing}/{quote(reference, safe=":")}'


async def _body(answer: Any) -> AsyncIterator[bytes]:
    try:
        if answer.status_code != 200:
            await asyncio.wait_for(answer.load_body(), seconds_left(answer))
            good(answer)
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is not a blob', answer.status_code)
        async for chunk in chunks_of(answer):
            yield chunk
    except (AzureError, OSError, asyncio.TimeoutError) as error:
        raise RegistryError(Kind.UNAVAILABLE, f'the connection ended in the middle of a blob ({error})') from error
