"""An upload of a blob that goes on where it stands.

The SDK's client has this without going on: an answer that gets lost ends its upload. The protocol is that of the OCI
distribution specification: POST begins, PATCH appends a chunk, GET says how far it came, PUT ends it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO
from urllib.parse import quote, urljoin

from azure.core.pipeline.transport import HttpRequest

from .protocol.answers import good
from .protocol.refusals import Kind, RegistryError

CHUNK_BYTES = 4 << 20
"""As large as those of Azure's own client."""
_TRIES = 5
"""Without a byte more in the registry."""
_LOST = (Kind.UNAVAILABLE, Kind.UNREACHABLE)
_WRONG_BYTES = 'DIGEST_INVALID'
_RANGE = re.compile(r'(?:bytes=)?0-(\d+)')


class Upload:
    """One blob, from a file of this machine. `send` gives the answer to a request, and raises RegistryError."""

    def __init__(self, send: Callable[[HttpRequest], Awaitable[Any]], begin: str, digest: str, file: BinaryIO) -> None:
        self._send = send
        self._begin = begin
        self._digest = digest
        self._file = file
        self._size = file.seek(0, 2)
        self._place: str | None = None
        self._sent = 0
        self._went_on = False

    async def run(self, is_there: Callable[[], Awaitable[bool]]) -> None:
        """Upload it, whatever answers get lost on the way; `is_there` looks whether it was, after the last one did.

        It begins anew only where the registry does not say how far it came. Raises RegistryError.
        """
        tries, farthest = _TRIES, 0
        while True:
            try:
                return await self._go_on()
            except RegistryError as error:
                tries -= 1
                if self._sent > farthest:
                    tries, farthest = _TRIES, self._sent
                is_wrong = error.code == _WRONG_BYTES
                if error.kind not in _LOST or not tries or is_wrong and not self._went_on:
                    raise
            if is_wrong:  # it did not stand where it was said to
                self._place, self._went_on = None, False
            elif not await self._ask() and await is_there():
                return None

    async def _go_on(self) -> None:
        if self._place is None:
            self._place, self._sent = self._next(await self._answer('POST', self._begin, 202)), 0
        while self._sent < self._size:
            self._file.seek(self._sent)
            chunk = self._file.read(CHUNK_BYTES)
            self._place = self._next(await self._answer('PATCH', self._place, 202, chunk))
            self._sent += len(chunk)
        mark = '&' if '?' in self._place else '?'
        answer = await self._answer('PUT', f'{self._place}{mark}digest={quote(self._digest)}', 201)
        stored = answer.headers.get('Docker-Content-Digest')
        if stored != self._digest:
            raise RegistryError(Kind.NOT_A_REGISTRY, f'{stored} was uploaded instead of {self._digest}')

    async def _ask(self) -> bool:
        """Ask how far it came; whether the registry says so."""
        place, self._place = self._place, None
        if not place:
            return False
        try:
            answer = await self._send(HttpRequest('GET', place))
        except RegistryError:
            return False
        said = _RANGE.fullmatch(answer.headers.get('Range', '')) if answer.status_code == 204 else None
        if not said or int(said[1]) >= self._size or not answer.headers.get('Location'):
            return False
        last = int(said[1])
        self._place, self._sent = self._next(answer), last + 1 if last else 0  # 0-0 is said of one byte and of none
        self._went_on = True
        return True

    def _next(self, answer: Any) -> str:
        """Where it goes on: a place that changes with each chunk."""
        place = answer.headers.get('Location')
        if not place:
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer does not say where an upload goes on')
        return urljoin(self._begin, place)

    async def _answer(self, method: str, url: str, expected: int, content: bytes | None = None) -> Any:
        headers = {} if content is None else {'Content-Type': 'application/octet-stream'}
        answer = good(await self._send(HttpRequest(method, url, headers, data=content)))
        if answer.status_code != expected or answer.body().strip():
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is not one to an upload', answer.status_code)
        return answer
