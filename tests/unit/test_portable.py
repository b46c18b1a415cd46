"""az runs on Windows too: nothing needs what only POSIX has, and each file of ours has a name that Windows takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path, PureWindowsPath

import pytest

from azext_acrprune.apply.journal import Journal, journal_folder
from azext_acrprune.apply.pin_locks import marks_path
from azext_acrprune.inventory.cache_file import cache_path
from azext_acrprune.sources.memory import memory_path

HOSTS = ('myregistry.azurecr.io', 'localhost:5000', 'My-Registry.West.azurecr.cn', '[::1]:5000', 'a/b\\c')
_NEVER_IN_A_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f]')

# What az and its libraries import is theirs; they are there before the modules are taken away.
IMPORTS = """
import importlib, pkgutil, sys
import asyncio, aiohttp, azure.cli.core, azure.core.pipeline.transport, portalocker, sqlite3, yaml
for name in ('fcntl', 'grp', 'posix', 'pwd', 'resource', 'termios', 'tty', 'pty'):
    sys.modules[name] = None
import azext_acrprune
names = [each.name for each in pkgutil.walk_packages(azext_acrprune.__path__, 'azext_acrprune.')]
assert len(names) > 150, names
for name in names:
    importlib.import_module(name)
"""


def test_every_module_can_be_imported_without_what_only_posix_has():
    done = subprocess.run([sys.executable, '-c', IMPORTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('path_of', [cache_path, marks_path, memory_path])
@pytest.mark.parametrize('host', HOSTS)
def test_files_of_a_registry_have_names_that_windows_takes(path_of, host):
    path = path_of('folder', host)
    assert path.parent == Path('folder', 'acrprune') or path.parent.parent == Path('folder', 'acrprune')
    assert is_taken_by_windows(path.name)


def test_a_journal_has_a_name_that_windows_takes(tmp_path):
    Journal(journal_folder(str(tmp_path)), {}).close()
    (name,) = [each.name for each in journal_folder(str(tmp_path)).glob('*.jsonl')]
    assert is_taken_by_windows(name)


def is_taken_by_windows(name: str) -> bool:
    return not _NEVER_IN_A_NAME.search(name) and name[-1] not in '. ' and not PureWindowsPath(name).is_reserved()
