"""Our real client on the local registry, over TLS."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from azext_acrprune.registry.client import Registry
from azext_acrprune.registry.credentials import SignIn
from azext_acrprune.registry.endpoints import Endpoints
from azext_acrprune.registry.pipeline import open_pipeline
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.tokens import PRUNING, Credential, Password, RefreshToken, TokenBook
from azext_acrprune.registry.retries import PacingPolicy
from azext_acrprune.registry.transport import Transport
from azext_acrprune.reporter import Silent
from azext_acrprune.workers import Loop
from tests.registry.answers import Call
from tests.registry.auth import ADMIN, Auth
from tests.wire.plain import Client

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

    async def wait(_, duration: float) -> None:
        if duration > SHORT_SECONDS:
            seconds.append(duration)
        real = min(duration, 1) / 100
        await asyncio.sleep(real)
        clock.skipped += duration - real

    monkeypatch.setattr(Transport, 'sleep', wait)
    return seconds


@contextmanager
def opened(
    endpoint: str,
    book: TokenBook,
    sign_in: Any,
    concurrency: int,
    pacing: PacingPolicy,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Client]:
    """Our client, put together as the commands do it, on an event loop of its own."""
    with Loop() as loop:
        registry = Registry(loop.run(open_pipeline(endpoint, book, sign_in, concurrency, pacing, {})), book, endpoint)
        try:
            yield Client(registry, loop, clock)
        finally:
            loop.run(registry.close())


@pytest.fixture
def connect(registry, monkeypatch, clock) -> Callable[..., Client]:
    """Opens our client on the local registry; closed at the end of the test."""
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', registry.ca_file)
    endpoint = f'https://{registry.login_server}'
    with ExitStack() as held:

        def open_registry(
            credential: Credential = Password(*ADMIN),
            sign_in: Callable[[], Credential] = not_again,
            seconds_ago: float = 0,
            pacing: PacingPolicy | None = None,
            concurrency: int = CONCURRENCY,
        ) -> Client:
            book = TokenBook(registry.login_server, credential, time.time() - seconds_ago)
            pacing = pacing or unhurried(clock)
            return held.enter_context(opened(endpoint, book, sign_in, concurrency, pacing, clock))

        yield open_registry


@pytest.fixture
def connect_regions(registry, monkeypatch, clock) -> Iterator[Callable[[], Client]]:
    """Opens our client on the login server of the local registry and on its regional endpoints."""
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', registry.ca_file)
    signed_in = SignIn(registry.login_server, Password(*ADMIN), not_again)
    with ExitStack() as held:

        def open_registry() -> Client:
            loop = held.enter_context(Loop())
            endpoints = Endpoints(signed_in, PRUNING, CONCURRENCY, lambda: unhurried(clock), dict)
            opened_registry = loop.run(endpoints.open(registry.manager.regional_hosts))
            held.callback(lambda: loop.run(opened_registry.close()))
            return Client(opened_registry, loop)

        yield open_registry


class Flights:
    """Counts requests between being sent and being answered: all of them, and deletes by repository."""

    def __init__(self) -> None:
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
        self._together += step
        self.most_together = max(self.most_together, self._together)
        if repository:
            self._deletes[repository] += step
            self.most_deletes[repository] = max(self.most_deletes.get(repository, 0), self._deletes[repository])


@pytest.fixture
def flights(monkeypatch) -> Flights:
    """What is in flight on the wire; the transport itself stays as it is."""
    counted, send = Flights(), Transport.send

    async def send_counted(self: Any, request: Any, **options: Any) -> Any:
        with counted.during(request):
            return await send(self, request, **options)

    monkeypatch.setattr(Transport, 'send', send_counted)
    return counted


def unhurried(clock: Callable[[], float] = time.monotonic) -> PacingPolicy:
    """Pacing as it is before anything is known of a registry."""
    return PacingPolicy(Pacer(), Silent().throttled, clock)


def not_again() -> Credential:
    raise AssertionError('nobody has to sign in again')


def refresh_token(auth: Auth) -> RefreshToken:
    """What az's sign-in gets for the service principal, through `/oauth2/exchange`."""
    call = Call('POST', '/oauth2/exchange', {}, {}, f'access_token={auth.aad_token()}'.encode())
    return RefreshToken(json.loads(auth.exchange(call).body)['refresh_token'])
