"""One local registry for all tests, empty and without faults at the start of each; signals as a terminal gives them."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.registry.server import LocalRegistry


def pytest_configure() -> None:
    """What a background job or `nohup` ignores stays ignored here, but is not ignored by what the tests start.

    A process inherits which signals are ignored, but not which are handled.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope='session')
def server() -> Iterator[LocalRegistry]:
    with LocalRegistry() as registry:
        yield registry


@pytest.fixture
def registry(server) -> LocalRegistry:
    server.reset()
    return server
