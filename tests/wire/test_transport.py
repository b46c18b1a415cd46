"""The transport on its own, against a server that answers with the bytes it is given, whatever they are."""

from __future__ import annotations

import gzip
import http.client
import io
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import urllib3
from azure.core.exceptions import (
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.rest import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.registry import answers, heads, transport
from azext_acrprune.registry.retries import ANSWER_OPTION
from azext_acrprune.registry.transport import Transport
from tests.registry.ca import make_context

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello'
NEVER = None
HANG_UP = b''


class Server:
    """Answers the requests of all connections in turn, and hangs up where it is told to."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._listening = socket.create_server(('127.0.0.1', 0))
        self.port = self._listening.getsockname()[1]
        self.answers: list[Any] = []
        self.requests: list[bytes] = []
        self.connections = 0

    def serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
                connection = self._context.wrap_socket(plain, server_side=True)
            except OSError:
                if self._listening.fileno() < 0:
                    return
                continue
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _talk(self, connection: Any) -> None:
        with connection:
            while True:
                request = _request(connection)
                if not request:
                    return
                self.requests.append(request)
                answer = self.answers.pop(0)
                if answer is NEVER:
                    time.sleep(3)
                    return
                connection.sendall(answer)
                if self.answers[:1] == [HANG_UP]:
                    self.answers.pop(0)
                    return


def _request(connection: Any) -> bytes:
    """All of a request, nothing where the connection ends."""
    data = connection.recv(1 << 16)
    head, _, body = data.partition(b'\r\n\r\n')
    length = re.search(rb'(?i)content-length: (\d+)', head)
    return data + (connection.recv(1 << 16) if length and len(body) < int(length.group(1)) else b'')


@pytest.fixture
def server(tmp_path, monkeypatch):
    server = Server(make_context(tmp_path))
    threading.Thread(target=server.serve, daemon=True).start()
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(tmp_path / 'ca.pem'))
    yield server
    server.close()


@pytest.fixture
def ask(server) -> Callable:
    with ExitStack() as opened:
        ours: list[Transport] = []

        def send(
            *answers: Any,
            method: str = 'GET',
            path: str = '/x',
            content: Any = None,
            headers: Any = None,
            **options: Any,
        ) -> Any:
            if not ours:
                ours.append(opened.enter_context(Transport(f'https://localhost:{server.port}', 4)))
            server.answers += answers
            request = HttpRequest(method, f'https://localhost:{server.port}{path}', content=content, headers=headers)
            return ours[0].send(request, **options)

        yield send


def test_one_connection_serves_many_requests(server, ask):
    assert [ask(OK).content for _ in range(3)] == [b'hello'] * 3
    assert server.connections == 1


@pytest.mark.parametrize(
    'answer, content',
    [
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n', b'hello'),
        (b'HTTP/1.1 100 Continue\r\n\r\n' + OK, b'hello'),
        (b'HTTP/1.1 204 No Content\r\n\r\n', b''),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', b''),
        (b'HTTP/1.1 200 OK\ncontent-length:5\n\nhello', b'hello'),
        (b'HTTP/1.1 200 OK\r\ncontent-length:5\n\r\na\r\n\r\n', b'a\r\n\r\n'),
        (b'HTTP/1.1 200\r\nContent-Length: 5\r\nX-Two: a\r\n b\r\n\r\nhello', b'hello'),
    ],
)
def test_answers_that_end_where_they_say_leave_the_connection_open(server, ask, answer, content):
    assert ask(answer).content == content
    assert ask(OK).content == b'hello' and server.connections == 1


@pytest.mark.parametrize(
    'answer',
    [
        b'HTTP/1.1 200 OK\r\n\r\nhello',
        b'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello',
    ],
)
def test_an_answer_that_ends_with_its_connection_is_read_to_its_end(server, ask, answer):
    assert ask(answer, HANG_UP).content == b'hello'
    assert ask(OK).content == b'hello' and server.connections == 2


@pytest.mark.parametrize(
    'answer, error',
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', IncompleteReadError),
        (b'HTTP/1.1 200 OK\r\nContent-Le', ServiceResponseError),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30\r\nhel', IncompleteReadError),
        (b'SSH-2.0-OpenSSH_9.9\r\n', ServiceResponseError),
        (b'HTTP/1.1 200 OK\r\n' + b'A: b\r\n' * 200 + b'\r\n', ServiceResponseError),
        (b'HTTP/1.1 200 OK\r\n' + b''.join(b'A%d: b\r\n' % n for n in range(101)) + b'\r\n', ServiceResponseError),
        (b'HTTP/1.1 200 OK\r\nA: ' + b'b' * 70_000 + b'\r\n\r\n', ServiceResponseError),
        (b'HTTP/2 200\r\n\r\n', ServiceResponseError),
        (b'HTTP/1.1 abc OK\r\n\r\n', ServiceResponseError),
    ],
)
def test_what_breaks_off_or_is_no_answer_is_an_error_and_the_next_call_has_a_new_connection(server, ask, answer, error):
    with pytest.raises(error):
        ask(answer, HANG_UP)
    assert ask(OK).content == b'hello'


def test_a_connection_that_was_closed_meanwhile_is_not_used(server, ask, monkeypatch):
    monkeypatch.setattr(transport, '_IDLE_SECONDS', 0)
    ask(OK, HANG_UP)
    time.sleep(0.2)
    assert ask(OK).content == b'hello' and server.connections == 2


def test_an_answer_that_does_not_come_in_time_is_an_error(ask):
    started = time.monotonic()
    with pytest.raises(ServiceResponseTimeoutError):
        ask(NEVER, **{ANSWER_OPTION: 0.3})
    assert time.monotonic() - started < 2.5


def test_nobody_there_and_a_stranger_there_are_known_from_a_request_that_was_sent(server, ask, monkeypatch, tmp_path):
    make_context(tmp_path / 'other')
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(tmp_path / 'other' / 'ca.pem'))
    with pytest.raises(ServiceRequestError, match='CERTIFICATE_VERIFY_FAILED'):
        ask(OK)
    server.close()
    with pytest.raises(ServiceRequestError):
        ask()
    assert server.requests == []


def test_without_a_bundle_of_the_environment_the_authorities_are_those_of_requests(ask, server, monkeypatch, tmp_path):
    for name in ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ServiceRequestError, match='CERTIFICATE_VERIFY_FAILED'):
        ask(OK)
    monkeypatch.setattr('requests.adapters.DEFAULT_CA_BUNDLE_PATH', str(tmp_path / 'ca.pem'))
    with Transport(f'https://localhost:{server.port}', 4) as other:
        server.answers[:] = [OK]
        assert other.send(HttpRequest('GET', f'https://localhost:{server.port}/')).content == b'hello'


def test_a_verification_that_az_was_told_to_leave_out_is_left_out(server, monkeypatch):
    monkeypatch.delenv('REQUESTS_CA_BUNDLE')
    with Transport(f'https://localhost:{server.port}', 4, verify=False) as unverified:
        server.answers += [OK]
        with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            assert unverified.send(HttpRequest('GET', f'https://localhost:{server.port}/')).content == b'hello'


def test_what_was_compressed_without_being_asked_for_is_read(ask):
    data = gzip.compress(b'hello')
    head = b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n' % len(data)
    assert ask(head + data).content == b'hello'
    with pytest.raises(ServiceResponseError):
        ask(b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello')


def test_a_stream_comes_in_pieces_and_breaks_where_it_is_cut(server, ask):
    size = answers.CHUNK_BYTES * 2 + 5
    head = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % size
    assert b''.join(ask(head + b'x' * size, stream=True).iter_raw()) == b'x' * size
    assert ask(OK).content == b'hello' and server.connections == 1
    with pytest.raises(IncompleteReadError):
        list(ask(head + b'x' * (size - 1), HANG_UP, stream=True).iter_raw())


def test_a_stream_that_nobody_reads_to_its_end_is_not_taken_for_the_next_answer(server, ask):
    size = answers.CHUNK_BYTES * 2
    with ask(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % size + b'x' * size, stream=True) as answer:
        assert next(answer.iter_raw()).startswith(b'x')
    assert ask(OK).content == b'hello' and server.connections == 2


@pytest.mark.parametrize(
    'method, content, sent',
    [
        ('POST', None, b'Content-Length: 0'),
        ('PUT', b'\xff\x00', b'Content-Length: 2'),
        ('PATCH', 'text', b'Content-Length: 4'),
    ],
)
def test_a_body_is_sent_with_its_length(server, ask, method, content, sent):
    ask(OK, method=method, content=content)
    ask(OK)
    head, _, body = b''.join(server.requests[:-1]).partition(b'\r\n\r\n')
    assert sent in head.split(b'\r\n') and body == (content.encode() if isinstance(content, str) else content or b'')


def test_unusual_characters_of_an_address_are_quoted_and_a_request_cannot_be_split(server, ask):
    ask(OK, path='/a b?x=\u00fc\r\nEvil: 1#fragment')
    line, _, rest = server.requests[0].partition(b'\r\n')
    assert line == b'GET /a%20b?x=%C3%BC%0D%0AEvil:%201 HTTP/1.1' and b'Evil' not in rest


@pytest.mark.parametrize('value', ['a\r\nEvil: 1', 'a\nEvil: 1', 'a\rEvil: 1', 'a\r\n\r\n'])
def test_a_header_cannot_split_a_request(server, ask, value):
    with pytest.raises(ServiceResponseError):
        ask(headers={'X-One': value})
    assert server.requests == []


def test_a_request_has_the_headers_that_it_needs_and_those_that_it_was_given(server, ask):
    ask(OK, headers={'Accept': 'a/b'})
    ask(OK, headers={'Accept-Encoding': 'gzip'})
    host = f'Host: localhost:{server.port}'.encode()
    assert [set(request.split(b'\r\n')[1:-2]) for request in server.requests] == [
        {host, b'Accept: a/b', b'Accept-Encoding: identity'},
        {host, b'Accept-Encoding: gzip'},
    ]


def test_a_proxy_of_the_environment_is_asked_for_a_tunnel(server, ask, monkeypatch):
    lines: list[bytes] = []
    listening = socket.create_server(('127.0.0.1', 0))

    def copy(source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            target.sendall(data)

    def tunnel() -> None:
        client, _ = listening.accept()
        lines.append(client.recv(1 << 16).partition(b'\r\n')[0])
        client.sendall(b'HTTP/1.1 200 Connection established\r\n\r\n')
        target = socket.create_connection(('127.0.0.1', server.port))
        threading.Thread(target=copy, args=(target, client), daemon=True).start()
        copy(client, target)

    threading.Thread(target=tunnel, daemon=True).start()
    for name in ('no_proxy', 'NO_PROXY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('HTTPS_PROXY', f'http://127.0.0.1:{listening.getsockname()[1]}')
    assert [ask(OK).content for _ in range(2)] == [b'hello'] * 2
    assert [line.rpartition(b' ')[0] for line in lines] == [f'CONNECT localhost:{server.port}'.encode()]


NAMES = st.from_regex(r'\A[A-Za-z][A-Za-z0-9-]{0,12}\Z')
VALUES = st.from_regex(r'\A[ -~]{0,30}\Z')


@given(headers=st.dictionaries(NAMES, VALUES, max_size=12))
def test_usual_headers_are_those_that_the_standard_library_reads(headers):
    lines = b''.join(f'{name}: {value}\r\n'.encode() for name, value in headers.items())
    message = http.client.parse_headers(io.BytesIO(lines + b'\r\n'))
    found = heads.headers_in(lines)
    assert {name: found[name.upper()] for name in headers} == {
        name: ', '.join(value.strip() for value in message.get_all(name)) for name in headers
    }
