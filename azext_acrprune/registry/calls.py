"""How calls are made: one at a time, waiting for the answer, or many of them in one flight."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from azure.core.exceptions import AzureError, HttpResponseError

from .flight import Flight, Slot
from .pipeline import REPOSITORY_OPTION, Client, Request, send
from .protocol import listings as wire
from .protocol.pages import Pages, Parsed, good, parsed
from .protocol.refusals import Kind, RegistryError
from .protocol.tokens import TokenBook
from .shortcut import OnItsWay, Small

_JSON = {'Accept': 'application/json'}

Entry = TypeVar('Entry')


class Calls:
    """Calls to one registry. Every method raises RegistryError and is safe to call from many threads."""

    def __init__(self, client: Client, book: TokenBook, endpoint: str) -> None:
        self._client = client
        self._book = book
        self._endpoint = endpoint
        self._computing = threading.Lock()
        """Held while much is parsed: threads that compute side by side only fight for the interpreter."""
        self.clock_ahead = 0.0
        """By how many seconds the clock of this machine is ahead of the registry's, once something was listed."""

    def _pages(self, repository: str | None, path: str, parse: Callable[[Any], Parsed]) -> Iterator[Parsed]:
        """Page by page."""
        pages = Pages(self._endpoint + path)
        while pages.url:
            answer = self._get(repository, pages.url)
            with self._computing:
                found = self._page(answer, parse)
            yield found
            pages.turn(found, answer.headers.get('Link'))

    async def _pages_soon(
        self, flight: Flight, repository: str, path: str, parse: Callable[[Any], list[Entry]]
    ) -> list[Entry]:
        """All of them, with other calls in flight."""
        pages = Pages(self._endpoint + path)
        found: list[Entry] = []
        while pages.url:
            answer = await self._get_soon(flight, repository, pages.url)
            page = self._page(answer, parse)
            pages.turn(page, answer.headers.get('Link'))
            found += page
        return found

    def _page(self, answer: Any, parse: Callable[[Any], Parsed]) -> Parsed:
        self.clock_ahead = wire.seconds_ahead(answer.headers.get('Date'), time.time())
        return parsed(answer, parse)

    def _get(self, repository: str | None, url: str, **headers: str) -> Any:
        return self._answer(repository, Request('GET', url, headers=headers or _JSON))

    def _answer(self, repository: str | tuple[str, str] | None, request: Request, **options: Any) -> Any:
        return good(self._send(request, **{REPOSITORY_OPTION: repository}, **options))

    async def _get_soon(self, flight: Flight, repository: str, url: str, **headers: str) -> Any:
        """The slot is waited for where the request is sent: it goes as soon as another one is left."""
        slot = flight.slot()
        try:
            return good(await self._send_soon(slot, repository, Small('GET', url, headers or _JSON)))
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

    def _begin(self, flight: Flight, repository: str, request: Small) -> OnItsWay | None:
        shortcut = self._client.shortcut
        return flight.begin(shortcut, request, repository) if shortcut else None

    def _blob_url(self, repository: str, digest: str) -> str:
        return f'{self._endpoint}/v2/{quote(repository)}/blobs/{quote(digest, safe=":")}'

    def _repository_url(self, repository: str) -> str:
        return f'{self._endpoint}/acr/v1/{quote(repository)}'

    def _manifest_url(self, repository: str, digest: str) -> str:
        return f'{self._endpoint}/v2/{quote(repository)}/manifests/{quote(digest, safe=":")}'

    def _send(self, request: Request, **options: Any) -> Any:
        try:
            return send(self._client, request, **options)
        except HttpResponseError as error:
            if error.response is None:
                raise RegistryError(Kind.UNREACHABLE, str(error.message)) from error
            return error.response
        except AzureError as error:
            raise RegistryError(Kind.UNREACHABLE, str(error.message)) from error
