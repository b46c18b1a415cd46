"""The installed wheel in the real az, against the local registry."""
from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.registry.azcli import Az, az_executable
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def extensions(tmp_path_factory) -> Path:
    """A folder into which `az extension add` installed the wheel that setup.py builds."""
    work = tmp_path_factory.mktemp('wheel')
    subprocess.run([sys.executable, 'setup.py', '--quiet', 'build', '--build-base', str(work / 'build'), 'egg_info',
                    '--egg-base', str(work), 'bdist_wheel', '--dist-dir', str(work / 'dist')],
                   cwd=ROOT, check=True, capture_output=True)
    wheel, = (work / 'dist').glob('acrprune-*.whl')
    folder = work / 'extensions'
    env = {**os.environ, 'AZURE_EXTENSION_DIR': str(folder), 'AZURE_CONFIG_DIR': str(work / 'config'),
           'AZURE_CORE_COLLECT_TELEMETRY': 'no'}
    subprocess.run([az_executable(), 'extension', 'add', '--source', str(wheel), '-y'],
                   env=env, check=True, capture_output=True)
    return folder


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
