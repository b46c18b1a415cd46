"""The installed wheel in the real az, against the local registry.

Most tests start az by a fork, which is the real az too, and takes a third of the time. Those marked `shell` start it
as a shell does; with `oldest=False` only where az is not another one, by ACRPRUNE_AZ.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from tests.registry.azcli import Az
from tests.registry.forked import Forks
from tests.registry.server import LocalRegistry


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
def signed_in(az) -> Az:
    assert az.login().code == 0
    return az


@pytest.fixture
def task_home(tmp_path, registry) -> Az:
    """The home of the containers of a task: an az without extensions and without a sign-in."""
    return Az(tmp_path / 'home', registry, tmp_path / 'home' / 'cliextensions')


@pytest.fixture
def now() -> float:
    return time.time()
