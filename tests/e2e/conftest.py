"""The installed wheel in the real az, against the local registry."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.registry.azcli import Az
from tests.registry.server import LocalRegistry
from tests.wheel import install_extension


@pytest.fixture(scope='session')
def extensions(tmp_path_factory) -> Path:
    """The folder into which `az extension add` installed the wheel that setup.py builds."""
    return install_extension(tmp_path_factory.mktemp('wheel'))


@pytest.fixture
def az(tmp_path, registry, extensions) -> Az:
    return Az(tmp_path / 'azure', registry, extensions)


@pytest.fixture
def az_of(tmp_path, extensions) -> Callable[[LocalRegistry], Az]:
    """The same on another registry than that of the test."""
    return lambda other: Az(tmp_path / 'other', other, extensions)


@pytest.fixture
def now() -> float:
    return time.time()
