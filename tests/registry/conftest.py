"""The local registry, empty and without faults, for the tests of the registry itself."""
from __future__ import annotations

import pytest

from tests.registry.azcli import Az
from tests.registry.server import LocalRegistry


@pytest.fixture
def registry():
    with LocalRegistry() as running:
        yield running


@pytest.fixture
def az(tmp_path, registry) -> Az:
    return Az(tmp_path / 'azure', registry)
