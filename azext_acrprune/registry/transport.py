"""Requests on the wire: thousands of small ones, on connections of urllib3 that are kept.

urllib3 makes the connections, with its proxies and certificates, and http.client reads the bodies.

Imported inside a command only: azure-core and requests are heavy.
"""

from __future__ import annotations

import http.client
import math
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import requests
import urllib3
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceRequestTimeoutError
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest
from urllib3 import exceptions
from urllib3.util.connection import is_connection_dropped
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from .answers import FAILURES, Answer, not_answered
from .heads import Response, first_line, header_bytes
from .lane import Lane
from .protocol.refusals import Kind, RegistryError
from .retries import ANSWER_OPTION

_CONNECT_SECONDS, _ANSWER_SECONDS, _SHORTEST_SECONDS = 30, 120, 0.1
_IDLE_SECONDS = 1
"""A connection that was used within this time is not looked at before it is used again."""

_URL = re.compile(r'https://([^/?#]+)([^#]*)')
_UNUSUAL = re.compile(r'[^!-~]')


class Transport(HttpTransport):
    """azure-core's transport over connections that are kept; a thread has one for as long as its request takes.

    Proxies and certificates are those of the environment, as requests finds them, looked up once: otherwise the whole
    environment is read anew for each call, and a password from ~/.netrc put in place of our token.
    """

    def __init__(self, endpoint: str, concurrency: int, verify: bool | None = None) -> None:
        with requests.Session() as session:
            environment = session.merge_environment_settings(endpoint, {}, None, verify, None)
        self._proxies, self._verify = environment['proxies'], environment['verify']
        self._adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=concurrency, max_retries=0)
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    def __enter__(self) -> Transport:
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

    def send(self, request: HttpRequest, **kwargs: Any) -> Answer:
        """Raises azure-core's errors, as its own transports do; with `stream` the body is left to be read."""
        host, target = address_of(request.url)
        seconds = seconds_to_answer(kwargs.get(ANSWER_OPTION, math.inf))
        connections = self._hosts.get(host) or self._host(request.url, host)
        try:
            connection = connections.take(min(_CONNECT_SECONDS, seconds))
        except FAILURES as error:
            raise _not_sent(error) from error
        try:
            connection.sock.settimeout(seconds)
            raw = connection.exchange(request.method, target, _headers_of(request, host), _body_of(request))
            answer = Answer(request, raw, connection, connections.keep)
        except BaseException as error:
            connection.close()
            if isinstance(error, FAILURES):
                raise not_answered(error) from error
            raise
        if not kwargs.get('stream', False):
            answer.read()
        return answer

    def lane(self, host: str) -> Lane | None:
        """A connection that is open and has nothing to do, for a loop to watch."""
        connections = self._hosts.get(host)
        connection = connections.take_idle() if connections else None
        if not connections or not connection:
            return None
        if not isinstance(connection.sock, ssl.SSLSocket):  # TLS within TLS, through a proxy, cannot be watched
            connections.keep(connection)
            return None
        return Lane(host, connection, connections.keep)

    def _host(self, url: str, host: str) -> _Host:
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
        self._idle: deque[tuple[Any, float]] = deque()
        pool.ConnectionCls = type('Connection', (_Exchanging, pool.ConnectionCls), {})
        # One for all of them: to read all authorities takes as long as ten calls.
        context = create_urllib3_context(cert_reqs=resolve_cert_reqs(pool.cert_reqs))
        if pool.ca_certs or pool.ca_cert_dir:
            context.load_verify_locations(pool.ca_certs, pool.ca_cert_dir)
        pool.ca_certs = pool.ca_cert_dir = None
        pool.conn_kw['ssl_context'] = context

    def take(self, seconds: float) -> Any:
        """A connection that is open. Raises FAILURES."""
        connection = self.take_idle()
        if connection is None:
            connection = self._pool._new_conn()  # pylint: disable=protected-access
            self._open(connection, seconds)
        return connection

    def take_idle(self) -> Any:
        """One that is open already, or None."""
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # somebody else was faster
                break
            if time.monotonic() - since > _IDLE_SECONDS and is_connection_dropped(connection):
                connection.close()
            if connection.sock is not None:
                return connection
        return None

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


class _Exchanging:
    """What is mixed into urllib3's connections."""

    sock: Any
    close: Callable[[], None]

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> http.client.HTTPResponse:
        """Send a request and read the head of its answer. Raises FAILURES."""
        self.ask(first_line(method, target) + header_bytes(headers) + body)
        return self.answer(self.sock, method)

    def ask(self, request: bytes) -> None:
        """Send a request. Raises FAILURES."""
        try:
            self.sock.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have answered before it had heard all

    def answer(self, source: Any, method: str) -> http.client.HTTPResponse:
        """The head of an answer, read from a socket or what can be read like one. Raises FAILURES."""
        answer = Response(source, method=method)
        answer.begin()
        if answer.will_close:
            self.close()
        return answer


def all_headers(headers: Mapping[str, str], host: str) -> dict[str, str]:
    """These, and those that http.client would add."""
    return {'Host': host.rpartition('@')[2], 'Accept-Encoding': 'identity', **headers}


def _headers_of(request: HttpRequest, host: str) -> dict[str, str]:
    headers = all_headers(request.headers, host)
    if request.content is None and request.method in ('POST', 'PUT', 'PATCH'):
        headers.setdefault('Content-Length', '0')
    return headers


def _body_of(request: HttpRequest) -> bytes:
    body = request.content
    return body.encode() if isinstance(body, str) else body or b''


def address_of(url: str) -> tuple[str, str]:
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


def seconds_to_answer(wanted: float) -> float:
    """How long an answer is waited for."""
    return max(_SHORTEST_SECONDS, min(_ANSWER_SECONDS, wanted))
