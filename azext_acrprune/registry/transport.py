"""Requests on the wire, by urllib3 itself: thousands of small ones, in which requests and its session take most time.

Imported inside a command only: azure-core and requests are heavy.
"""
from __future__ import annotations

import json
import logging
import math
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterator, MutableMapping, Optional
from urllib.parse import urlsplit

import requests
import urllib3
from azure.core.exceptions import (
    HttpResponseError, IncompleteReadError, ServiceRequestError, ServiceRequestTimeoutError, ServiceResponseError,
    ServiceResponseTimeoutError)
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse
from urllib3 import exceptions

from .errors import Kind, RegistryError
from .retries import ANSWER_OPTION

_CONNECT_SECONDS, _ANSWER_SECONDS, _SHORTEST_SECONDS = 30, 120, 0.1
_TIMEOUT = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_ANSWER_SECONDS)
_CHUNK_BYTES = 1 << 20
_LARGEST_ANSWER = 1 << 28
"""In bytes, of what is not a blob: a page of a listing has about one MiB."""


class Urllib3Transport(HttpTransport):
    """azure-core's transport over connections that are kept, `concurrency` of them to each host.

    Proxies and certificates are those of the environment, as requests finds them, looked up once: otherwise the whole
    environment is read anew for each call, and a password from ~/.netrc put in place of our token.
    """

    def __init__(self, endpoint: str, concurrency: int, verify: Optional[bool] = None) -> None:
        logging.getLogger('urllib3.connectionpool').addFilter(_without_query)
        with requests.Session() as session:
            environment = session.merge_environment_settings(endpoint, {}, None, verify, None)
        self._proxies, self._verify = environment['proxies'], environment['verify']
        self._adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=concurrency, max_retries=0)
        self._pools: Dict[str, urllib3.HTTPConnectionPool] = {}
        self._lock = threading.Lock()
        self._given_up = threading.Event()

    def __enter__(self) -> 'Urllib3Transport':
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def open(self) -> None:
        """Connections are opened as they are needed."""

    def close(self) -> None:
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
        url, stream = urlsplit(request.url), kwargs.get('stream', False)
        target = url._replace(scheme='', netloc='', fragment='').geturl() or '/'
        timeout = _timeout(kwargs.get(ANSWER_OPTION, math.inf))
        with _azure_errors():
            raw = self._pool(request.url, url.netloc).urlopen(
                request.method, target, body=request.content, headers=request.headers, retries=False, redirect=False,
                assert_same_host=False, timeout=timeout, preload_content=False)
        answer = Answer(request, raw)
        if not stream:
            answer.read()
        return answer

    def _pool(self, url: str, host: str) -> urllib3.HTTPConnectionPool:
        with self._lock:
            if host not in self._pools:
                prepared = requests.Request('GET', url).prepare()
                self._pools[host] = self._adapter.get_connection_with_tls_context(
                    prepared, self._verify, proxies=self._proxies)
            return self._pools[host]


def _timeout(seconds: float) -> urllib3.Timeout:
    """For an answer within so many seconds, where they are few."""
    if seconds >= _ANSWER_SECONDS:
        return _TIMEOUT
    seconds = max(_SHORTEST_SECONDS, seconds)
    return urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds)


class Answer(HttpResponse):
    """An answer of urllib3, as azure-core wants to see it."""

    def __init__(self, request: HttpRequest, raw: urllib3.HTTPResponse) -> None:
        self._request = request
        self._raw = raw
        self._encoding: Optional[str] = None
        self._body: Optional[bytes] = None

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
        return self._raw.headers

    @property
    def reason(self) -> str:
        return self._raw.reason or ''

    @property
    def content_type(self) -> Optional[str]:
        return self._raw.headers.get('Content-Type')

    @property
    def is_closed(self) -> bool:
        return self._raw.closed

    @property
    def is_stream_consumed(self) -> bool:
        return self._raw.closed

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
        self._raw.close()
        self._raw.release_conn()

    def read(self) -> bytes:
        """All of it, kept. Raises RegistryError when it has no end."""
        if self._body is None:
            body = bytearray()
            for chunk in self._chunks(decode=True):
                body += chunk
                if len(body) > _LARGEST_ANSWER:
                    self._raw.close()
                    raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is endless', self.status_code)
            self._body = bytes(body)
        return self._body

    def iter_raw(self, **_: Any) -> Iterator[bytes]:
        return self._chunks(decode=False)

    def iter_bytes(self, **_: Any) -> Iterator[bytes]:
        return self._chunks(decode=True)

    def _chunks(self, decode: bool) -> Iterator[bytes]:
        with _azure_errors():
            yield from self._raw.stream(_CHUNK_BYTES, decode_content=decode)
        self._raw.release_conn()


def _without_query(record: logging.LogRecord) -> bool:
    """Let urllib3 log its requests, but not their queries: the address of a blob carries a permission in it."""
    if isinstance(record.args, tuple):
        record.args = tuple(each.partition('?')[0] if isinstance(each, str) else each for each in record.args)
    return True


@contextmanager
def _azure_errors() -> Iterator[None]:
    """urllib3's errors become azure-core's, which its retries understand."""
    try:
        yield
    except (exceptions.NewConnectionError, exceptions.ProxyError, exceptions.SSLError) as error:
        raise ServiceRequestError(error, error=error) from error
    except exceptions.ConnectTimeoutError as error:
        raise ServiceRequestTimeoutError(error, error=error) from error
    except exceptions.ReadTimeoutError as error:
        raise ServiceResponseTimeoutError(error, error=error) from error
    except exceptions.IncompleteRead as error:
        raise IncompleteReadError(error, error=error) from error
    except exceptions.ProtocolError as error:
        raise ServiceResponseError(error, error=error) from error
    except (exceptions.HTTPError, OSError) as error:
        raise ServiceResponseError(error, error=error) from error
