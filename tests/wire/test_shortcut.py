"""The short way past the pipeline: what is plain ends there, whatever else happens is for the pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import IncompleteReadError, ServiceResponseError, ServiceResponseTimeoutError
from azure.core.rest import HttpRequest

from azext_acrprune.registry.flight import Flight
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.retries import PacingPolicy
from azext_acrprune.registry.shortcut import OnItsWay, Shortcut, Small
from azext_acrprune.registry.transport import Transport
from azext_acrprune.reporter import Reporter
from azext_acrprune.timelimit import TimeLimit

from .conftest import unhurried
from .test_transport import HANG_UP, NEVER, OK, server  # noqa: F401  # a fixture

_NOT_FOUND = b'HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n%b\r\n{}'


class InPieces(list):
    """An answer that comes piece by piece."""


@pytest.fixture
def send(server, monkeypatch) -> Callable[..., OnItsWay]:  # noqa: F811
    """Sends one request the short way, on a connection that the transport has opened."""
    talk = type(server)._talk

    def talk_in_pieces(self: Any, connection: Any) -> None:
        whole = connection.sendall

        def sendall(answer: Any) -> None:
            for piece in answer if isinstance(answer, InPieces) else [answer]:
                whole(piece)
                time.sleep(0.02 if isinstance(answer, InPieces) else 0)

        connection.sendall = sendall
        talk(self, connection)

    monkeypatch.setattr(type(server), '_talk', talk_in_pieces)

    def send_one(*answers: Any, pacing: PacingPolicy = unhurried(), times: int = 1) -> OnItsWay:
        url = f'https://localhost:{server.port}/x'
        server.answers += [OK, *answers]
        with Transport(url, 4) as transport, Flight(2) as flight:
            transport.send(HttpRequest('GET', url))
            shortcut = Shortcut(transport, {}, lambda _: 'token', pacing)

            async def fly() -> OnItsWay:
                async with flight.slot() as slot:
                    return await slot.fly(lambda: flight.begin(shortcut, Small('GET', url, {}), 'a'))

            return [flight.start(fly()).result() for _ in range(times)][-1]

    return send_one


@pytest.mark.parametrize(
    'answer, content',
    [
        (OK, b'hello'),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', b''),
        (InPieces([OK[:20], OK[20:40], OK[40:]]), b'hello'),
        (InPieces([OK[:-5], OK[-5:-2], OK[-2:]]), b'hello'),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n', b'hello'),
        (
            InPieces([b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n', b'2\r\nlo\r\n0\r\n\r\n']),
            b'hello',
        ),
        (b'HTTP/1.1 100 Continue\r\n\r\n' + OK, b'hello'),
        (b'HTTP/1.1 204 No Content\r\n\r\n', b''),
        (b'HTTP/1.1 200 OK\ncontent-length:5\n\nhello', b'hello'),
        (b'HTTP/1.1 200 OK\r\ncontent-length:5\n\r\na\r\n\r\n', b'a\r\n\r\n'),
        (b'HTTP/1.1 200\r\nContent-Length: 5\r\nX-Two: a\r\n b\r\n\r\nhello', b'hello'),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n' + b'x' * 500_000, b'x' * 500_000),
        (b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello', b'hello'),
    ],
)
def test_an_answer_is_read_whole_however_it_comes(send, answer, content):
    began = time.monotonic()
    sent = send(answer)
    assert (sent.outcome.content, sent.settled) == (content, True)
    assert time.monotonic() - began < 3


def test_one_connection_serves_many_requests(server, send):  # noqa: F811
    assert send(*[OK] * 5, times=5).outcome.content == b'hello'
    assert server.connections == 1


def test_headers_are_there_when_somebody_asks(send):
    headers = send(b'HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 0\r\nx-two: 2\r\n\r\n').outcome.headers
    assert (headers.get('x-one'), headers['X-Two'], headers.get('X-Three', 3)) == ('1', '2', 3)
    assert 'X-TWO' in headers and 'X-Three' not in headers and len(headers) == len(list(headers)) == 3


@pytest.mark.parametrize(
    'answer, error',
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', ServiceResponseError),
        (b'HTTP/1.1 200 OK\r\nContent-Le', ServiceResponseError),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n30\r\nhel', IncompleteReadError),
        (b'SSH-2.0-OpenSSH_9.9\r\n', ServiceResponseError),
        (b'HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n', ServiceResponseError),
    ],
)
def test_what_breaks_off_or_is_no_answer_is_for_the_pipeline(server, send, answer, error):  # noqa: F811
    sent = send(answer, HANG_UP)
    assert isinstance(sent.outcome, error) and not sent.settled


@pytest.mark.parametrize(
    'answer, settled',
    [
        (_NOT_FOUND % b'', True),
        (_NOT_FOUND % b'Retry-After: 1\r\n', False),
        (b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n', False),
        (b'HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n', False),
        (b'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n', False),
        (b'HTTP/1.1 307 Elsewhere\r\nContent-Length: 0\r\n\r\n', False),
    ],
)
def test_only_what_was_done_or_is_not_there_is_settled(send, answer, settled):
    assert send(answer).settled is settled


def test_an_answer_that_never_comes_is_not_waited_for_beyond_the_time(send):
    limit = TimeLimit(1, time.monotonic)
    sent = send(NEVER, pacing=PacingPolicy(Pacer(), Reporter().throttled, limit=limit))
    assert isinstance(sent.outcome, ServiceResponseTimeoutError) and not sent.settled


def test_nothing_is_sent_without_an_open_connection_a_token_or_a_turn(server):  # noqa: F811
    url = f'https://localhost:{server.port}/x'
    over = PacingPolicy(Pacer(), Reporter().throttled, limit=TimeLimit(0.001, lambda: 1.0))
    over.limit._end = 0.0  # pylint: disable=protected-access
    server.answers += [OK] * 3
    with Transport(url, 4) as transport:
        assert Shortcut(transport, {}, lambda _: 'token', unhurried()).begin(Small('GET', url, {}), 'a', []) is None
        transport.send(HttpRequest('GET', url))
        assert Shortcut(transport, {}, lambda _: None, unhurried()).begin(Small('GET', url, {}), 'a', []) is None
        assert Shortcut(transport, {}, lambda _: 'token', over).begin(Small('GET', url, {}), 'a', []) is None
    assert len(server.requests) == 1
