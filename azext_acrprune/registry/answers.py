"""Answers as azure-core wants to see them, and its errors where there is none.

Imported inside a command only: azure-core and urllib3 are heavy.
"""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

import urllib3
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.rest import HttpRequest, HttpResponse
from urllib3 import exceptions

from .protocol.refusals import Kind, RegistryError

FAILURES = (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
"""Whatever http.client, urllib3 and a socket raise."""
CHUNK_BYTES = 1 << 20
_LARGEST_ANSWER = 1 << 28
"""In bytes, of what is not a blob: a page of a listing has about one MiB."""
_AS_IT_IS = (None, '', 'identity')


class Answer(HttpResponse):
    """An answer of http.client, as azure-core wants to see it. Its connection is kept once it was read to its end.

    One whose `content` is known has no connection any more.
    """

    def __init__(
        self,
        request: HttpRequest,
        raw: Any,
        connection: Any = None,
        keep: Callable[[Any], None] = lambda _: None,
        content: bytes | None = None,
    ) -> None:
        self._request = request
        self._raw = raw
        self._connection = connection
        self._keep = keep
        self._content = content
        self._encoding: str | None = None

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def request(self) -> HttpRequest:
        return self._request

    @property
    def status_code(self) -> int:
        return self._raw.status

    @property
    def headers(self) -> MutableMapping[str, str]:
        return self._raw.headers  # type: ignore[return-value]

    @property
    def reason(self) -> str:
        return self._raw.reason

    @property
    def content_type(self) -> str | None:
        return self.headers.get('Content-Type')

    @property
    def is_closed(self) -> bool:
        return self._connection is None

    @property
    def is_stream_consumed(self) -> bool:
        return self._connection is None

    @property
    def encoding(self) -> str | None:
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value

    @property
    def url(self) -> str:
        return self._request.url

    @property
    def content(self) -> bytes:
        return self.read()

    def text(self, encoding: str | None = None) -> str:
        return self.content.decode(encoding or self._encoding or 'utf-8-sig', 'replace')

    def json(self) -> Any:
        return json.loads(self.content)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise HttpResponseError(response=self)

    def close(self) -> None:
        """Give up what was not read, and with it the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def read(self) -> bytes:
        """All of it, kept. Raises RegistryError when it has no end."""
        if self._content is None:
            data = self._whole(self.iter_raw())
            encoding = self.headers.get('Content-Encoding')
            self._content = data if encoding in _AS_IT_IS else self._whole(_decoded(encoding, data))
        return self._content

    def _whole(self, chunks: Iterable[bytes]) -> bytes:
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > _LARGEST_ANSWER:
                self.close()
                raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is endless', self.status_code)
        return bytes(body)

    def iter_bytes(self, **_: Any) -> Iterator[bytes]:
        yield self.read()

    def iter_raw(self, **_: Any) -> Iterator[bytes]:
        """The bytes as they come; it is an error when they end too early."""
        try:
            yield from _body(self._raw)
        except BaseException as error:
            self.close()
            if isinstance(error, FAILURES):
                raise not_answered(error) from error
            raise
        self._keep(self._connection)
        self._connection = None


def _body(raw: http.client.HTTPResponse) -> Iterator[bytes]:
    if raw.length is not None and raw.length <= CHUNK_BYTES:
        yield raw.read()  # http.client counts these bytes
        return
    while True:
        chunk = raw.read(CHUNK_BYTES)
        if not chunk:
            break
        yield chunk
    if raw.length:
        raise http.client.IncompleteRead(b'', raw.length)


def _decoded(encoding: str, data: bytes) -> Iterator[bytes]:
    """What was compressed although nobody had asked for it, chunk by chunk."""
    raw = urllib3.HTTPResponse(io.BytesIO(data), {'Content-Encoding': encoding}, preload_content=False)
    try:
        yield from raw.stream(CHUNK_BYTES, decode_content=True)
    except exceptions.HTTPError as error:
        raise not_answered(error) from error


def not_answered(error: Exception) -> AzureError:
    """The error for whatever broke after a request was begun: it may have been carried out."""
    kind = ServiceResponseTimeoutError if isinstance(error, TimeoutError) else ServiceResponseError
    return (IncompleteReadError if isinstance(error, http.client.IncompleteRead) else kind)(error, error=error)
