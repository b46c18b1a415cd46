"""Our real client on the local registry, over TLS."""
from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Callable, List

import pytest
from azure.core.pipeline.transport import RequestsTransport

from azext_acrprune.registry.client import Registry
from azext_acrprune.registry.pipeline import open_client
from azext_acrprune.registry.tokens import Credential, Password, RefreshToken, TokenBook
from tests.registry.answers import Call
from tests.registry.auth import ADMIN, Auth
from tests.registry.faults import Faults
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

CONCURRENCY = 32


@pytest.fixture(scope='session')
def server():
    with LocalRegistry() as registry:
        yield registry


@pytest.fixture
def registry(server) -> LocalRegistry:
    """The local registry, empty and without faults."""
    server.storage = Storage()
    server.faults = Faults()
    server.metadata.cap = 1000
    server.auth.__init__()
    server.on_request = None
    server.forget()
    return server


@pytest.fixture
def waits(monkeypatch) -> List[float]:
    """How long the client wanted to wait between tries; it really waits for a hundredth of it at most."""
    seconds: List[float] = []

    def wait(_, duration: float) -> None:
        seconds.append(duration)
        time.sleep(min(duration, 1) / 100)

    monkeypatch.setattr(RequestsTransport, 'sleep', wait)
    return seconds


@pytest.fixture
def connect(registry, monkeypatch) -> Callable[..., Registry]:
    """Opens our client on the local registry, put together as the commands do it; closed at the end of the test."""
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', registry.ca_file)
    endpoint = f'https://{registry.login_server}'
    with ExitStack() as opened:
        def open_registry(credential: Credential = Password(*ADMIN), sign_in: Callable[[], Credential] = not_again,
                          seconds_ago: float = 0) -> Registry:
            book = TokenBook(registry.login_server, credential, time.time() - seconds_ago)
            client = opened.enter_context(open_client(endpoint, book, sign_in, CONCURRENCY, {}))
            return Registry(client, book, endpoint)

        yield open_registry


def not_again() -> Credential:
    raise AssertionError('nobody has to sign in again')


def refresh_token(auth: Auth) -> RefreshToken:
    """What az's sign-in gets for the service principal, through `/oauth2/exchange`."""
    call = Call('POST', '/oauth2/exchange', {}, {}, f'access_token={auth.aad_token()}'.encode())
    return RefreshToken(json.loads(auth.exchange(call).body)['refresh_token'])
