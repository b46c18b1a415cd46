"""Our real client on the local registry, over TLS."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from azext_acrprune.registry import transport
from azext_acrprune.registry.client import Registry
from azext_acrprune.registry.flight import Flight
from azext_acrprune.registry.pipeline import open_client
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.tokens import Credential, Password, RefreshToken, TokenBook
from azext_acrprune.registry.retries import PacingPolicy
from azext_acrprune.reporter import Reporter
from tests.registry.answers import Call
from tests.registry.auth import ADMIN, Auth

CONCURRENCY = 32
SHORT_SECONDS = 0.05


class Clock:
    """The clock that the client is paced by; what was not really waited is added to it."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waits(monkeypatch, clock) -> list[float]:
    """How long the client wanted to wait between tries; it really waits for a hundredth of it at most.

    The moments for which it looks at its own answers are left out.
    """
    seconds: list[float] = []

    def wait(_, duration: float) -> None:
        if duration > SHORT_SECONDS:
            seconds.append(duration)
        real = min(duration, 1) / 100
        time.sleep(real)
        clock.skipped += duration - real

    monkeypatch.setattr(transport.Transport, 'sleep', wait)
    return seconds


@pytest.fixture
def connect(registry, monkeypatch, clock) -> Callable[..., Registry]:
    """Opens our client on the local registry, put together as the commands do it; closed at the end of the test."""
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', registry.ca_file)
    endpoint = f'https://{registry.login_server}'
    with ExitStack() as opened:

        def open_registry(
            credential: Credential = Password(*ADMIN),
            sign_in: Callable[[], Credential] = not_again,
            seconds_ago: float = 0,
            pacing: PacingPolicy | None = None,
        ) -> Registry:
            book = TokenBook(registry.login_server, credential, time.time() - seconds_ago)
            client = opened.enter_context(
                open_client(endpoint, book, sign_in, CONCURRENCY, pacing or unhurried(clock), {})
            )
            return Registry(client, book, endpoint)

        yield open_registry


class Flights:
    """Counts requests between being sent and being answered: all of them, and deletes by repository."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deletes: Counter = Counter()
        self._together = 0
        self.forget()

    def forget(self) -> None:
        """Start counting anew."""
        self.most_deletes: dict[str, int] = {}
        self.most_together = 0

    @contextmanager
    def during(self, request: Any) -> Iterator[None]:
        repository = request.url.partition('/v2/')[2].partition('/manifests/')[0] if request.method == 'DELETE' else ''
        self._change(repository, 1)
        try:
            yield
        finally:
            self._change(repository, -1)

    def _change(self, repository: str, step: int) -> None:
        with self._lock:
            self._together += step
            self.most_together = max(self.most_together, self._together)
            if repository:
                self._deletes[repository] += step
                self.most_deletes[repository] = max(self.most_deletes.get(repository, 0), self._deletes[repository])


@pytest.fixture
def flights(monkeypatch) -> Flights:
    """What is in flight on the wire; the transport itself stays as it is."""
    counted, send, watch = Flights(), transport.Transport.send, Flight.watch

    def send_counted(self: Any, request: Any, **options: Any) -> Any:
        with counted.during(request):
            return send(self, request, **options)

    def watch_counted(self: Flight, begun: Any, done: Callable[[], None]) -> None:
        with ExitStack() as flying:
            flying.enter_context(counted.during(begun.request))
            land = flying.pop_all().close
        watch(self, begun, lambda: (land(), done()))

    monkeypatch.setattr(transport.Transport, 'send', send_counted)
    monkeypatch.setattr(Flight, 'watch', watch_counted)
    return counted


class _OnTape:
    """A connection while VCR plays it: the answers are VCR's, and no socket is opened for them."""

    sock = property(lambda _: SimpleNamespace(gettimeout=lambda: None, settimeout=lambda _: None), lambda *_: None)

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Any:
        self.request(method, target, body or None, headers)  # type: ignore[attr-defined]
        return self.getresponse()  # type: ignore[attr-defined]


ON_TAPE = ((transport, '_Exchanging', _OnTape),)
"""VCR's `custom_patches` for our client."""


def unhurried(clock: Callable[[], float] = time.monotonic) -> PacingPolicy:
    """Pacing as it is before anything is known of a registry."""
    return PacingPolicy(Pacer(), Reporter().throttled, clock)


def not_again() -> Credential:
    raise AssertionError('nobody has to sign in again')


def refresh_token(auth: Auth) -> RefreshToken:
    """What az's sign-in gets for the service principal, through `/oauth2/exchange`."""
    call = Call('POST', '/oauth2/exchange', {}, {}, f'access_token={auth.aad_token()}'.encode())
    return RefreshToken(json.loads(auth.exchange(call).body)['refresh_token'])
