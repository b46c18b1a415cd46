"""The installed wheel in the real az, against the local registry."""
from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.registry.azcli import Az
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage
from tests.wheel import install_extension


@pytest.fixture(scope='session')
def extensions(tmp_path_factory) -> Path:
    """The folder into which `az extension add` installed the wheel that setup.py builds."""
    return install_extension(tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='session')
def server():
    with LocalRegistry() as registry:
        yield registry


@pytest.fixture
def registry(server):
    """The local registry, empty and without faults."""
    server.storage = Storage()
    server.faults.clear()
    server.auth.__init__()
    server.on_request = None
    server.forget()
    return server


@pytest.fixture
def az(tmp_path, registry, extensions) -> Az:
    return Az(tmp_path / 'azure', registry, extensions)


@pytest.fixture
def now() -> float:
    return time.time()
