"""Requests on the wire: thousands of small ones, on connections of urllib3 that are kept.

urllib3 makes the connections, with its proxies and certificates, and http.client reads the bodies. Heads are written
and read here: theirs, and the mail parser that they have for headers, take four fifths of the time of a small answer.

Imported inside a command only: azure-core and requests are heavy.
"""
from __future__ import annotations

import http.client
import io
import json
import math
import re
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, Mapping, MutableMapping, Optional, Tuple

import requests
import urllib3
from azure.core.exceptions import (
    AzureError, HttpResponseError, IncompleteReadError, ServiceRequestError, ServiceRequestTimeoutError,
    ServiceResponseError, ServiceResponseTimeoutError)
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse
from urllib3 import exceptions
from urllib3.util.connection import is_connection_dropped
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from .errors import Kind, RegistryError
from .retries import ANSWER_OPTION

_CONNECT_SECONDS, _ANSWER_SECONDS, _SHORTEST_SECONDS = 30, 120, 0.1
_IDLE_SECONDS = 1
"""A connection that was used within this time is not looked at before it is used again."""
_CHUNK_BYTES = 1 << 20
_LONGEST_LINE, _MOST_HEADERS = 1 << 16, 100
_LARGEST_ANSWER = 1 << 28
"""In bytes, of what is not a blob: a page of a listing has about one MiB."""
_NO_CONTENT, _NOT_MODIFIED = 204, 304
_AS_IT_IS = (None, '', 'identity')

_URL = re.compile(r'https://([^/?#]+)([^#]*)')
_UNUSUAL = re.compile(r'[^!-~]')
_END_OF_LINES = re.compile(rb'\n\r?\n')
_HEADERS = re.compile(r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n]*)\r?$", re.MULTILINE)

_FAILURES = (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)


class Transport(HttpTransport):
    """azure-core's transport over connections that are kept; a thread has one for as long as its request takes.

    Proxies and certificates are those of the environment, as requests finds them, looked up once: otherwise the whole
    environment is read anew for each call, and a password from ~/.netrc put in place of our token.
    """

    def __init__(self, endpoint: str, concurrency: int, verify: Optional[bool] = None) -> None:
        with requests.Session() as session:
            environment = session.merge_environment_settings(endpoint, {}, None, verify, None)
        self._proxies, self._verify = environment['proxies'], environment['verify']
        self._adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=concurrency, max_retries=0)
        self._hosts: Dict[str, _Host] = {}
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    def __enter__(self) -> 'Transport':
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def open(self) -> None:
        """Connections are opened as they are needed."""

    def close(self) -> None:
        for host in self._hosts.values():
            host.close()
        self._adapter.close()

    def sleep(self, duration: float) -> None:
        """Raises RegistryError once nothing is waited for any more; what was sent before may have been done."""
        if self._given_up.wait(duration):
            raise RegistryError(Kind.UNAVAILABLE, 'somebody interrupted it')

    def give_up(self) -> None:
        """Wake all that sleep before they send something, for somebody is tired of waiting."""
        self._given_up.set()

    def send(self, request: HttpRequest, **kwargs: Any) -> 'Answer':
        """Raises azure-core's errors, as its own transports do; with `stream` the body is left to be read."""
        host, target = _address(request.url)
        seconds = max(_SHORTEST_SECONDS, min(_ANSWER_SECONDS, kwargs.get(ANSWER_OPTION, math.inf)))
        connections = self._hosts.get(host) or self._host(request.url, host)
        try:
            connection = connections.take(min(_CONNECT_SECONDS, seconds))
        except _FAILURES as error:
            raise _not_sent(error) from error
        try:
            if connection.sock.gettimeout() != seconds:
                connection.sock.settimeout(seconds)
            raw = connection.exchange(request.method, target, _headers_of(request, host), _body_of(request))
            answer = Answer(request, raw, connection, connections.keep)
        except BaseException as error:
            connection.close()
            if isinstance(error, _FAILURES):
                raise _not_answered(error) from error
            raise
        if not kwargs.get('stream', False):
            answer.read()
        return answer

    def _host(self, url: str, host: str) -> '_Host':
        with self._lock:
            if host not in self._hosts:
                prepared = requests.Request('GET', url).prepare()
                pool = self._adapter.get_connection_with_tls_context(prepared, self._verify, proxies=self._proxies)
                self._adapter.cert_verify(pool, url, self._verify, None)
                self._hosts[host] = _Host(pool)
            return self._hosts[host]


class _Host:
    """The connections to one host: take one, and `keep` it when its answer was read."""

    def __init__(self, pool: urllib3.HTTPConnectionPool) -> None:
        self._pool = pool
        self._idle: Deque[Tuple[Any, float]] = deque()
        pool.ConnectionCls = type('Connection', (_Exchanging, pool.ConnectionCls), {})
        # One for all of them: to read all authorities takes as long as ten calls.
        context = create_urllib3_context(cert_reqs=resolve_cert_reqs(pool.cert_reqs))
        if pool.ca_certs or pool.ca_cert_dir:
            context.load_verify_locations(pool.ca_certs, pool.ca_cert_dir)
        pool.ca_certs = pool.ca_cert_dir = None
        pool.conn_kw['ssl_context'] = context

    def take(self, seconds: float) -> Any:
        """A connection that is open. Raises _FAILURES."""
        try:
            connection, since = self._idle.pop()
            if time.monotonic() - since > _IDLE_SECONDS and is_connection_dropped(connection):
                connection.close()
        except IndexError:
            connection = self._pool._new_conn()  # pylint: disable=protected-access
        if connection.sock is None:
            self._open(connection, seconds)
        return connection

    def keep(self, connection: Any) -> None:
        self._idle.append((connection, time.monotonic()))

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[0].close()

    def _open(self, connection: Any, seconds: float) -> None:
        connection.timeout = seconds
        try:
            if self._pool.proxy is not None:
                self._pool._prepare_proxy(connection)  # pylint: disable=protected-access
            self._pool._validate_conn(connection)  # pylint: disable=protected-access
        except BaseException:
            connection.close()
            raise


class _Response(http.client.HTTPResponse):
    """http.client's, with its headers in a mapping and not in a mail."""

    def begin(self) -> None:
        version, self.status, reason = self._read_status()
        while self.status == http.client.CONTINUE:
            _header_lines(self.fp)
            version, self.status, reason = self._read_status()
        if not version.startswith('HTTP/1.'):
            raise http.client.UnknownProtocol(version)
        self.reason = reason.strip()
        self.version = 10 if version == 'HTTP/1.0' else 11
        self.headers = self.msg = _headers(_header_lines(self.fp))  # type: ignore[assignment]
        self.chunked = self.headers.get('transfer-encoding', '').lower() == 'chunked'
        self.chunk_left = None
        self.length = self._body_bytes()
        self.will_close = self._check_close() or (self.length is None and not self.chunked)

    def _body_bytes(self) -> Optional[int]:
        if self.status in (_NO_CONTENT, _NOT_MODIFIED) or self._method == 'HEAD':
            return 0
        length = self.headers.get('content-length', '')
        return int(length) if length.isdecimal() and not self.chunked else None


class _Headers(Dict[str, str]):
    """Headers by name, in whatever case one asks for it."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: Any) -> bool:
        return super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


class _Exchanging:
    """What is mixed into urllib3's connections."""

    sock: Any
    close: Callable[[], None]

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> http.client.HTTPResponse:
        """Send a request and read the head of its answer. Raises _FAILURES."""
        lines = [f'{method} {target} HTTP/1.1', *map(': '.join, headers.items())]
        head = '\r\n'.join(lines)
        if not head.count('\r') == head.count('\n') == len(lines) - 1:
            raise ValueError('a header has a line break in it')
        try:
            self.sock.sendall(f'{head}\r\n\r\n'.encode('iso-8859-1') + body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have answered before it had heard all
        answer = _Response(self.sock, method=method)
        answer.begin()
        if answer.will_close:
            self.close()
        return answer


def _header_lines(stream: Any) -> bytes:
    """All of them, without the empty line after them."""
    at_hand = stream.peek(1)
    end = _END_OF_LINES.search(at_hand)
    if end and not at_hand.startswith((b'\r\n', b'\n')):  # as most answers are: it is there as a whole
        if at_hand.count(b'\n', 0, end.start() + 1) <= _MOST_HEADERS:
            lines = stream.read(end.start() + 1)
            stream.readline()
            return lines
    return b''.join(_lines_until_an_empty_one(stream))


def _lines_until_an_empty_one(stream: Any) -> List[bytes]:
    lines: List[bytes] = []
    while True:
        line = stream.readline(_LONGEST_LINE + 1)
        if line in (b'\r\n', b'\n'):
            return lines
        if len(line) > _LONGEST_LINE or len(lines) >= _MOST_HEADERS:
            raise http.client.HTTPException('the headers of the answer have no end')
        if not line:
            raise http.client.RemoteDisconnected('the connection ended in the middle of the headers')
        lines.append(line)


def _headers(lines: bytes) -> _Headers:
    """Header lines as a mapping."""
    headers = _Headers([(name.lower(), value.strip()) for name, value in _HEADERS.findall(lines.decode('iso-8859-1'))])
    return headers if len(headers) == lines.count(b'\n') else _unusual_headers(lines)


def _unusual_headers(lines: bytes) -> _Headers:
    """The same where some header is folded, is no header or comes twice, read as http.client reads them."""
    message = http.client.parse_headers(io.BytesIO(lines + b'\r\n'))
    return _Headers({name.lower(): ', '.join(map(str.strip, message.get_all(name, ()))) for name in message})


def _headers_of(request: HttpRequest, host: str) -> Dict[str, str]:
    """All headers of a request: its own, and those that http.client would add."""
    headers = {'Host': host.rpartition('@')[2], 'Accept-Encoding': 'identity', **request.headers}
    if request.content is None and request.method in ('POST', 'PUT', 'PATCH'):
        headers.setdefault('Content-Length', '0')
    return headers


def _body_of(request: HttpRequest) -> bytes:
    body = request.content
    return body.encode() if isinstance(body, str) else body or b''


def _address(url: str) -> Tuple[str, str]:
    """(host, path and query) of a URL. Raises ServiceRequestError for one that cannot be asked."""
    match = _URL.match(url)
    if not match:
        raise ServiceRequestError('The address is not one of https')
    host, target = match.groups()
    if _UNUSUAL.search(target):
        target = requests.utils.requote_uri(target)
    return host, target if target.startswith('/') else f'/{target}'


def _not_sent(error: Exception) -> AzureError:
    late = isinstance(error, (exceptions.ConnectTimeoutError, TimeoutError))
    refused = isinstance(error, exceptions.NewConnectionError)
    kind = ServiceRequestTimeoutError if late and not refused else ServiceRequestError
    return kind(error, error=error)


def _not_answered(error: Exception) -> AzureError:
    """Whatever broke after a request was begun: it may have been carried out."""
    kind = ServiceResponseTimeoutError if isinstance(error, TimeoutError) else ServiceResponseError
    return (IncompleteReadError if isinstance(error, http.client.IncompleteRead) else kind)(error, error=error)


class Answer(HttpResponse):
    """An answer of http.client, as azure-core wants to see it. Its connection is kept once it was read to its end."""

    def __init__(self, request: HttpRequest, raw: http.client.HTTPResponse, connection: Any,
                 keep: Callable[[Any], None]) -> None:
        self._request = request
        self._raw = raw
        self._connection = connection
        self._keep = keep
        self._content: Optional[bytes] = None
        self._encoding: Optional[str] = None

    def __enter__(self) -> 'Answer':
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
    def content_type(self) -> Optional[str]:
        return self.headers.get('Content-Type')

    @property
    def is_closed(self) -> bool:
        return self._connection is None

    @property
    def is_stream_consumed(self) -> bool:
        return self._connection is None

    @property
    def encoding(self) -> Optional[str]:
        return self._encoding

    @encoding.setter
    def encoding(self, value: Optional[str]) -> None:
        self._encoding = value

    @property
    def url(self) -> str:
        return self._request.url

    @property
    def content(self) -> bytes:
        return self.read()

    def text(self, encoding: Optional[str] = None) -> str:
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
            if isinstance(error, _FAILURES):
                raise _not_answered(error) from error
            raise
        self._keep(self._connection)
        self._connection = None


def _body(raw: http.client.HTTPResponse) -> Iterator[bytes]:
    if raw.length is not None and raw.length <= _CHUNK_BYTES:
        yield raw.read()  # http.client counts these bytes
        return
    while True:
        chunk = raw.read(_CHUNK_BYTES)
        if not chunk:
            break
        yield chunk
    if raw.length:
        raise http.client.IncompleteRead(b'', raw.length)


def _decoded(encoding: str, data: bytes) -> Iterator[bytes]:
    """What was compressed although nobody had asked for it, chunk by chunk."""
    raw = urllib3.HTTPResponse(io.BytesIO(data), {'Content-Encoding': encoding}, preload_content=False)
    try:
        yield from raw.stream(_CHUNK_BYTES, decode_content=True)
    except exceptions.HTTPError as error:
        raise _not_answered(error) from error
