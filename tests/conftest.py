"""One local registry for all tests, empty and without faults at the start of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.registry.server import LocalRegistry


@pytest.fixture(scope='session')
def server() -> Iterator[LocalRegistry]:
    with LocalRegistry() as registry:
        yield registry


@pytest.fixture
def registry(server) -> LocalRegistry:
    server.reset()
    return server
