"""The transport on its own, against a server that answers with the bytes it is given, whatever they are."""

from __future__ import annotations

import gzip
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from itertools import count
from typing import Any, NamedTuple

import pytest
from azure.core.exceptions import AzureError, IncompleteReadError, ServiceRequestError, ServiceResponseTimeoutError
from azure.core.pipeline.transport import HttpRequest

from azext_acrprune.registry import transport
from azext_acrprune.registry.permit import PERMIT_OPTION, Late, Permit
from azext_acrprune.registry.protocol.refusals import RegistryError
from azext_acrprune.registry.transport import ANSWER_OPTION, Transport
from azext_acrprune.workers import Loop
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
        self.on_connection = lambda: None

    def serve(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
                self.on_connection()
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
                    with suppress(OSError):
                        connection.recv(1)  # until whoever asked hangs up
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


class Answered(NamedTuple):
    """What came of a request: its status, its body, and with `stream` its pieces."""

    status: int
    content: bytes
    pieces: list[bytes]
    headers: Mapping[str, str]


@pytest.fixture
def ask(server) -> Callable:
    with Loop() as loop, ExitStack() as opened:
        ours: list[Transport] = []

        async def reach() -> Transport:
            return Transport(f'https://localhost:{server.port}', 4)

        async def send(request: HttpRequest, most: int, options: Any) -> Answered:
            answer = await ours[0].send(request, **options)
            if not options.get('stream'):
                return Answered(answer.status_code, answer.body(), [], answer.headers)
            pieces: list[bytes] = []
            async for piece in answer.stream_download(None, decompress=False):
                pieces.append(piece)
                if len(pieces) >= most:
                    break
            answer.internal_response.close()
            return Answered(answer.status_code, b''.join(pieces), pieces, answer.headers)

        def ask_one(
            *answers: Any,
            method: str = 'GET',
            path: str = '/x',
            content: Any = None,
            headers: Any = None,
            most: int = 1 << 20,
            anew: bool = False,
            **options: Any,
        ) -> Answered:
            if anew:
                ours.clear()
            if not ours:
                ours.append(loop.run(reach()))
                opened.callback(lambda used=ours[0]: loop.run(used.close()))
            server.answers += answers
            request = HttpRequest(method, f'https://localhost:{server.port}{path}', headers, data=content)
            return loop.run(send(request, most, options))

        yield ask_one


def test_one_connection_serves_many_requests(server, ask):
    assert [ask(OK).content for _ in range(3)] == [b'hello'] * 3
    assert server.connections == 1


@pytest.mark.parametrize(
    'answer, content',
    [
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n', b'hello'),
        (b'HTTP/1.1 204 No Content\r\n\r\n', b''),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', b''),
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
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30\r\nhel', IncompleteReadError),
        (b'HTTP/1.1 200 OK\r\nContent-Le', AzureError),
        (b'SSH-2.0-OpenSSH_9.9\r\n', AzureError),
        (b'HTTP/1.1 200 OK\r\nA: ' + b'b' * 70_000 + b'\r\n\r\n', AzureError),
        (b'HTTP/1.1 abc OK\r\n\r\n', AzureError),
    ],
)
def test_what_breaks_off_or_is_no_answer_is_an_error_and_the_next_call_has_a_new_connection(server, ask, answer, error):
    with pytest.raises(error):
        ask(answer, HANG_UP, method='PATCH')  # aiohttp sends a GET anew where a kept connection is gone
    assert ask(OK).content == b'hello'


def test_a_connection_that_was_closed_meanwhile_is_not_used(server, ask):
    ask(OK, HANG_UP)
    assert ask(OK, method='PATCH').content == b'hello' and server.connections == 2


@pytest.mark.parametrize('stream', [False, True])
def test_an_answer_that_does_not_come_in_time_is_an_error(ask, stream):
    with pytest.raises(ServiceResponseTimeoutError):
        ask(NEVER, **{ANSWER_OPTION: 0.3, 'stream': stream})


def test_an_answer_that_comes_drop_by_drop_is_not_waited_for_beyond_its_time(server, ask, monkeypatch):
    def drip(_, connection):
        connection.recv(1 << 16)
        with suppress(OSError):
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n')
            for _ in range(500):
                connection.sendall(b'x')
                time.sleep(0.05)

    monkeypatch.setattr(Server, '_talk', drip)
    with pytest.raises(ServiceResponseTimeoutError):
        ask(**{ANSWER_OPTION: 0.5})


def test_nobody_there_and_a_stranger_there_are_errors_and_nothing_is_sent(server, ask, monkeypatch, tmp_path):
    make_context(tmp_path / 'other')
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(tmp_path / 'other' / 'ca.pem'))
    with pytest.raises(ServiceRequestError, match='CERTIFICATE_VERIFY_FAILED'):
        ask(OK)
    server.close()
    with pytest.raises(ServiceRequestError):
        ask()
    assert server.requests == []


def test_a_bundle_that_is_not_there_is_an_error_that_names_it(ask, monkeypatch, tmp_path):
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(tmp_path / 'none.pem'))
    with pytest.raises(RegistryError, match='none.pem'):
        ask(OK)


def test_without_a_bundle_of_the_environment_the_authorities_are_those_of_requests(ask, monkeypatch, tmp_path):
    for name in ('REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ServiceRequestError, match='CERTIFICATE_VERIFY_FAILED'):
        ask()
    monkeypatch.setattr('requests.utils.DEFAULT_CA_BUNDLE_PATH', str(tmp_path / 'ca.pem'))
    assert ask(OK, anew=True).content == b'hello'


def test_a_folder_of_certificates_is_one_too(ask, monkeypatch, tmp_path):
    folder = tmp_path / 'folder'
    folder.mkdir()
    name = subprocess.run(
        ['openssl', 'x509', '-hash', '-noout', '-in', str(tmp_path / 'ca.pem')],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (folder / f'{name}.0').write_bytes((tmp_path / 'ca.pem').read_bytes())
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(folder))
    assert ask(OK).content == b'hello'


def test_a_verification_that_az_was_told_to_leave_out_is_left_out(server, monkeypatch):
    monkeypatch.delenv('REQUESTS_CA_BUNDLE')
    url = f'https://localhost:{server.port}/'

    async def unverified() -> bytes:
        async with Transport(url, 4, verify=False) as transport:
            return (await transport.send(HttpRequest('GET', url))).body()

    server.answers += [OK]
    with Loop() as loop:
        assert loop.run(unverified()) == b'hello'


def test_a_password_of_netrc_does_not_take_the_place_of_our_token(server, ask, monkeypatch, tmp_path):
    (tmp_path / '.netrc').write_text('machine localhost login a password b')
    monkeypatch.setenv('NETRC', str(tmp_path / '.netrc'))
    ask(OK, headers={'Authorization': 'Bearer ours'})
    ask(OK)
    assert b'Authorization: Bearer ours' in server.requests[0] and b'uthorization' not in server.requests[1]


def test_what_was_compressed_without_being_asked_for_is_read(ask):
    data = gzip.compress(b'hello')
    head = b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n' % len(data)
    assert ask(head + data).content == b'hello'
    assert ask(head + data, stream=True).content == data
    with pytest.raises(AzureError):
        ask(b'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello')


def test_an_answer_without_an_end_is_an_error_before_it_fills_the_memory(ask, monkeypatch):
    monkeypatch.setattr(transport, '_LARGEST_ANSWER', 1000)
    data = gzip.compress(b'x' * 100_000)
    for body, head in ((b'x' * 1001, b''), (data, b'Content-Encoding: gzip\r\n')):
        with pytest.raises(RegistryError, match='endless'):
            ask(b'HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n' % (head, len(body)) + body)


def test_a_stream_comes_in_pieces_and_breaks_where_it_is_cut(server, ask):
    size = 2_000_005
    head = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % size
    streamed = ask(head + b'x' * size, stream=True)
    assert streamed.content == b'x' * size and len(streamed.pieces) > 1
    with pytest.raises(IncompleteReadError):
        ask(head + b'x' * (size - 1), HANG_UP, stream=True)


@pytest.mark.parametrize('stream', [False, True])
def test_a_header_that_is_there_more_than_once_is_one_with_all_its_values(ask, stream):
    challenges = b'WWW-Authenticate: Basic realm="a"\r\nwww-authenticate: Bearer realm="b"\r\n'
    headers = ask(b'HTTP/1.1 401 x\r\nContent-Length: 0\r\n' + challenges + b'\r\n', stream=stream).headers
    assert headers.get('WWW-Authenticate') == 'Basic realm="a", Bearer realm="b"' and headers['content-length'] == '0'


def test_an_answer_that_is_given_up_in_its_middle_is_not_taken_for_the_next_one(server, ask):
    half = b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'
    with pytest.raises(ServiceResponseTimeoutError):
        ask(half, **{ANSWER_OPTION: 0.3})
    assert ask(OK).content == b'hello' and server.connections == 2


def test_a_stream_that_nobody_reads_to_its_end_is_not_taken_for_the_next_answer(server, ask):
    size = 4_000_000
    head = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % size
    assert ask(head + b'x' * size, stream=True, most=1).content.startswith(b'x')
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
    with suppress(ServiceRequestError):
        ask(OK, path='/a b?x=\u00fc\r\nEvil: 1#fragment')
    assert all(b'\r\nEvil' not in request and request.startswith(b'GET /a%20b?x=') for request in server.requests)


@pytest.mark.parametrize('value', ['a\r\nEvil: 1', 'a\nEvil: 1', 'a\rEvil: 1', 'a\r\n\r\n'])
def test_a_header_cannot_split_a_request(server, ask, value):
    with pytest.raises(ServiceRequestError):
        ask(headers={'X-One': value})
    assert server.requests == []


def test_nothing_is_asked_for_compressed_unless_somebody_wants_it(server, ask):
    ask(OK, headers={'Accept': 'a/b'})
    ask(OK, headers={'Accept-Encoding': 'gzip'})
    assert b'Accept-Encoding: identity\r\n' in server.requests[0] and b'Accept: a/b\r\n' in server.requests[0]
    assert b'Accept-Encoding: gzip\r\n' in server.requests[1]


@pytest.mark.parametrize('scheme', ['http://', ''])
def test_a_proxy_of_the_environment_is_asked_for_a_tunnel(server, ask, monkeypatch, scheme):
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
    monkeypatch.setenv('HTTPS_PROXY', f'{scheme}127.0.0.1:{listening.getsockname()[1]}')
    assert [ask(OK).content for _ in range(2)] == [b'hello'] * 2
    assert [line.rpartition(b' ')[0] for line in lines] == [f'CONNECT localhost:{server.port}'.encode()]
    monkeypatch.setenv('NO_PROXY', 'localhost')
    assert ask(OK, anew=True).content == b'hello' and len(lines) == 1


@pytest.mark.parametrize('proxy', ['socks5://127.0.0.1:1', 'ftp://a:secret@127.0.0.1:1'])
def test_a_proxy_that_http_does_not_go_through_is_an_error_that_says_so(server, ask, monkeypatch, proxy):
    for name in ('no_proxy', 'NO_PROXY'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('HTTPS_PROXY', proxy)
    with pytest.raises(RegistryError, match='proxy') as raised:
        ask()
    assert server.requests == [] and 'secret' not in str(raised.value)


def test_the_name_of_a_registry_is_looked_up_once(server, ask, monkeypatch):
    """The name of a replicated registry may lead to another region a moment later. The clock of aiohttp runs fast."""
    moments, looked_up, look_up = count(step=1_000), [], socket.getaddrinfo

    def counted(host, *arguments, **options):
        looked_up.append(host)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, 'getaddrinfo', counted)
    monkeypatch.setattr('aiohttp.connector.monotonic', lambda: next(moments))
    for _ in range(3):
        ask(OK, HANG_UP)
    assert server.connections == 3
    assert looked_up.count('localhost') == 1


# Permits


def counts(server, connections):
    """Whether so many connections were made: they are counted on another thread, a little later."""
    deadline = time.monotonic() + 30
    while server.connections < connections and time.monotonic() < deadline:
        time.sleep(0.01)
    return server.connections == connections


class Hand:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self):
        return self.now

    def move_on(self):
        self.now += 10


def test_a_permit_that_ends_while_a_connection_is_made_lets_nothing_leave(ask, server):
    clock = Hand()
    permit, server.on_connection = Permit(clock), clock.move_on
    with pytest.raises(Late) as raised:
        ask(OK, method='DELETE', **{PERMIT_OPTION: permit})
    assert server.requests == [] and not raised.value.unanswered
    assert counts(server, 1)


def test_a_request_that_is_sent_once_more_where_a_kept_connection_is_gone_needs_its_permit_again(ask, server):
    clock = Hand()
    ask(OK)
    permit, server.on_connection = Permit(clock), clock.move_on
    with pytest.raises(Late) as raised:
        ask(b'', HANG_UP, method='DELETE', **{PERMIT_OPTION: permit})
    assert len(server.requests) == 2 and raised.value.unanswered
    assert counts(server, 2)


def test_a_permit_says_how_old_the_listing_was_when_the_request_left(ask):
    clock = Hand()
    permit, clock.now = Permit(clock), 3.5
    assert ask(OK, method='DELETE', **{PERMIT_OPTION: permit}).status == 200
    assert permit.oldest == 3.5
    assert ask(OK).status == 200, 'another request needs no permit'
