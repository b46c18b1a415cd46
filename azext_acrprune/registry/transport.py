"""The HTTP session of a command: aiohttp's, with the proxies and certificates of the environment as az finds them.

Imported inside a command only: aiohttp, azure-core and requests are heavy.
"""

from __future__ import annotations

import asyncio
import math
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import aiohttp
import requests
from azure.core.exceptions import ServiceRequestError, ServiceResponseTimeoutError
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpResponse, HttpRequest

from .permit import PERMIT_OPTION, Late, Permit
from .protocol.refusals import Kind, RegistryError

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout  # aiohttp brings it there

ANSWER_OPTION = 'acr_answer_seconds'
"""Option of a request: for how many seconds its answer is waited for."""

_leaving: ContextVar[_Leaving | None] = ContextVar('leaving', default=None)
"""How the request that this task sends leaves, where it needs a permit."""

_CONNECT_SECONDS, _ANSWER_SECONDS, _SHORTEST_SECONDS = 30, 120, 0.1
_CHUNK_BYTES = 1 << 20
_SLOWEST_BYTES = 1 << 14
"""A second, on average, once two minutes are over."""
_LARGEST_ANSWER = 1 << 28
"""In bytes; blobs may be larger. A page of a listing has about one MiB."""


class Transport(AioHttpTransport):
    """azure-core's transport over one aiohttp session, with a limit for the time and the size of each answer.

    It has to be made while an event loop runs. Our requests are of azure-core's older class: docs/architecture.md says
    why. Those of the SDK's client are of the newer one, and each gets an answer of its own kind.
    """

    def __init__(self, endpoint: str, concurrency: int, verify: bool | None = None) -> None:
        with requests.Session() as session:
            environment = session.merge_environment_settings(endpoint, {}, None, verify, None)
        self._proxies: dict[str, str | None] = {}
        super().__init__(
            session=aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=concurrency,
                    ssl=tls_context(environment['verify']),
                    ttl_dns_cache=None,  # looked up once: the name of a replicated registry leads to any region
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={'Accept-Encoding': 'identity'},
                request_class=_Request,
                response_class=_Answer,
                trust_env=False,  # else a password of ~/.netrc would take the place of our token
            ),
            session_owner=True,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
            connection_data_block_size=_CHUNK_BYTES,
        )

    async def send(self, request: HttpRequest, **options: Any) -> AsyncHttpResponse:
        """Raises azure-core's errors, and Late. With `stream` the body is left to be read, as it is."""
        permit = options.pop(PERMIT_OPTION, None)
        _leaving.set(_Leaving(permit) if permit else None)
        in_all = max(_SHORTEST_SECONDS, options.pop(ANSWER_OPTION, math.inf))
        seconds, ends_at = min(_ANSWER_SECONDS, in_all), time.monotonic() + in_all
        options.pop('logging_enable', None)  # it is left where no log is written
        if options.get('stream'):
            options['auto_decompress'] = False
        else:
            options['read_timeout'] = None  # the limit for the whole answer, below, is never longer
        try:
            async with timeout(seconds):
                answer: Any = await super().send(request, proxy=self._proxy(request.url), **options)
        except asyncio.TimeoutError as error:
            raise ServiceResponseTimeoutError('The answer did not come in time', error=error) from error
        except (ValueError, OSError) as error:  # an address or a header that cannot be sent
            raise ServiceRequestError(error, error=error) from error
        if options.get('stream'):
            answer.internal_response.ends_at = ends_at
        _join_repeated(answer.headers)
        return answer

    def _proxy(self, url: str) -> str | None:
        """The proxy for the host of an address, as requests finds it in the environment; looked up once for each."""
        host = url.partition('://')[2].partition('/')[0]
        if host not in self._proxies:
            found = requests.utils.get_environ_proxies(url, no_proxy=None)
            proxy = requests.utils.select_proxy(url, found)
            proxy = proxy and requests.utils.prepend_scheme_if_needed(proxy, 'http')
            if proxy and not proxy.lower().startswith(('http://', 'https://')):
                what = 'is not one that HTTP goes through: give one with http:// or https://'
                raise RegistryError(Kind.UNREACHABLE, f"The proxy of the environment for '{host}' {what}")
            self._proxies[host] = proxy
        return self._proxies[host]


def _join_repeated(headers: Any) -> None:
    """Make one header of those of the same name, as RFC 9110 (5.3) has it: `get` would give the first one alone."""
    names = {name.lower() for name in headers}
    if len(names) < len(headers):
        for name in names:
            headers[name] = ', '.join(headers.getall(name))


class _Request(aiohttp.ClientRequest):
    """A request whose permit is looked at when a connection is there, right before its first byte is written.

    aiohttp itself sends a request once more when the connection that it took is closed: that one is looked at too.
    """

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Raises Late."""
        leaving = _leaving.get()
        if leaving:
            leaving.now()
        return await super().send(conn)


class _Leaving:
    """A request that leaves by a permit, more than once where its connection is closed."""

    def __init__(self, permit: Permit) -> None:
        self._permit = permit
        self._left = False

    def now(self) -> None:
        """Raises Late."""
        try:
            self._permit.leave()
        except Late as error:
            raise Late(unanswered=self._left) from error
        self._left = True


def seconds_left(answer: Any) -> float:
    """How long the whole of a streamed answer may still be waited for, if it is no large one."""
    return max(0.0, min(_ANSWER_SECONDS, answer.internal_response.ends_at - time.monotonic()))


async def chunks_of(answer: Any) -> AsyncIterator[bytes]:
    """The bytes of a streamed answer as they arrive, within its time. Raises azure-core's errors, and TimeoutError.

    What was waited for them in all is at most two minutes, and a second more for each 16 KiB that came: what drips has
    an end, and what is large has time.
    """
    chunks = answer.stream_download(None, decompress=False)
    ends_at, left = answer.internal_response.ends_at, float(_ANSWER_SECONDS)
    while True:
        began = time.monotonic()
        try:
            chunk = await asyncio.wait_for(anext(chunks), max(0.0, min(left, ends_at - began)))
        except StopAsyncIteration:
            return
        left += len(chunk) / _SLOWEST_BYTES - (time.monotonic() - began)
        yield chunk


class _Answer(aiohttp.ClientResponse):
    """An answer with a limit for its size, and an instant at which it ends."""

    ends_at = math.inf

    async def read(self) -> bytes:
        """Raises RegistryError for a body without an end."""
        body = bytearray()
        try:
            async for chunk in self.content.iter_any():
                body += chunk
                if len(body) > _LARGEST_ANSWER:
                    raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is endless', self.status)
        except BaseException:
            self.close()  # else the connection would be used again with the rest of this answer in it
            raise
        return bytes(body)


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """The certificates that requests trusts: those of a file or folder, its own, or with False any."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    place = requests.utils.DEFAULT_CA_BUNDLE_PATH if verify is True else verify
    is_folder = os.path.isdir(place)
    try:
        context.load_verify_locations(cafile=None if is_folder else place, capath=place if is_folder else None)
    except OSError as error:
        raise RegistryError(Kind.UNREACHABLE, f"The certificates in '{place}' cannot be read: {error}") from error
    return context
