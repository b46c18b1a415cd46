"""The installed wheel in the real az, against the local registry.

Most tests start az by a fork, which is the real az too, and takes a third of the time. Those marked `shell` start it
as a shell does; with `oldest=False` only where az is not another one, by ACRPRUNE_AZ.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.registry.azcli import Az, az_executable
from tests.registry.forked import Forks
from tests.registry.server import LocalRegistry
from tests.wheel import install_extension


@pytest.fixture(scope='session')
def extensions(tmp_path_factory) -> Path:
    """The folder into which `az extension add` installed the wheel that setup.py builds, once for all workers."""
    own = tmp_path_factory.getbasetemp()
    work = (own.parent if 'PYTEST_XDIST_WORKER' in os.environ else own) / 'wheel'
    with open(f'{work}.lock', 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (work / 'done').exists():
            install_extension(work)
            (work / 'done').touch()
    return work / 'extensions'


@pytest.fixture(scope='session')
def all_forks(extensions) -> Iterator[Forks]:
    with Forks(az_executable(), extensions) as forks:
        yield forks


@pytest.fixture
def forks(request, all_forks) -> Forks | None:
    """What starts az in this test; None where a shell's way is part of what it proves."""
    mark = request.node.get_closest_marker('shell')
    by_shell = mark and not ('ACRPRUNE_AZ' in os.environ and mark.kwargs.get('oldest') is False)
    return None if by_shell else all_forks


@pytest.fixture
def az(tmp_path, registry, extensions, forks) -> Az:
    return Az(tmp_path / 'azure', registry, extensions, forks)


@pytest.fixture
def az_of(tmp_path, extensions, forks) -> Callable[[LocalRegistry], Az]:
    """The same on another registry than that of the test."""
    return lambda other: Az(tmp_path / 'other', other, extensions, forks)


@pytest.fixture
def now() -> float:
    return time.time()
