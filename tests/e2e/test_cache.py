"""The cache in the real az: warm runs, broken files, several processes, and its two commands."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import build

from .images import Shelf, telling

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
CACHE = (*PRUNE, 'cache')


@pytest.fixture
def path(tmp_path, registry) -> Path:
    return tmp_path / 'azure' / 'acrprune' / f'localhost_{registry.port}.sqlite'


def plan(az, *options) -> dict:
    run = az(*PRUNE, 'plan', *TARGET, '--show-kept', *options, check=True)
    return {**run.json, 'createdAt': None, 'warned': 'cache of manifests' in run.err}


def test_a_warm_plan_makes_listing_calls_and_one_for_each_new_manifest(az, registry, now, path):
    telling(registry.storage, now)
    cold = plan(az)
    assert registry.counters['manifest_get'] == 10
    registry.forget()
    assert plan(az) == cold
    assert registry.counters['manifest_get'] == 0
    Shelf(registry.storage, now).image('new')
    assert plan(az)['summary']['manifests'] == 11
    assert registry.counters['manifest_get'] == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_deleting_with_a_warm_cache_deletes_what_the_cold_plan_named(az, registry, now):
    images = telling(registry.storage, now)
    plan(az)
    result = az(*PRUNE, 'untagged', *TARGET, '--yes', check=True).json
    assert {entry['digest'] for entry in result['deleted']} == {images.stale, *images.stale_children}
    assert registry.counters['manifest_get'] == 10


def test_no_cache_reads_everything_and_leaves_nothing_behind(az, registry, now, path):
    telling(registry.storage, now)
    assert plan(az, '--no-cache') == plan(az, '--no-cache')
    assert registry.counters['manifest_get'] == 20
    assert not path.parent.exists()


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.write_bytes(
        {
            'cut': data[: len(data) // 2],
            'zeros': bytes(len(data)),
            'text': b'nothing of the kind\n' * 99,
            'version': data[:60] + (99).to_bytes(4, 'big') + data[64:],
        }[how]
    )


@pytest.mark.parametrize('how, warned', [('cut', True), ('zeros', True), ('text', True), ('version', False)])
def test_a_damaged_cache_is_made_anew_and_the_plan_is_right(az, registry, now, path, how, warned):
    telling(registry.storage, now)
    right = plan(az)
    damaged(path, how)
    assert plan(az) == {**right, 'warned': warned}
    registry.forget()
    assert plan(az) == right
    assert registry.counters['manifest_get'] == 0


@pytest.mark.parametrize('options', ['size=8k', 'size=60k', 'ro'])
def test_a_disk_that_takes_nothing_is_one_warning(az, registry, now, path, options):
    telling(registry.storage, now)
    path.parent.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(path.parent)], check=False).returncode:
        pytest.skip('may not mount')
    try:
        run = az(*PRUNE, 'plan', *TARGET, check=True)
    finally:
        subprocess.run(['umount', '-l', str(path.parent)], check=True)
    assert run.json['summary']['manifestsToDelete'] == 3
    assert run.err.count('cache of manifests') == 1 and 'Traceback' not in run.err


def test_az_processes_at_once_share_one_cache(az, registry, now):
    build(registry.storage, 3, 10, 600, now)
    alone = {**az(*PRUNE, 'plan', *TARGET, '--no-cache', check=True).json, 'createdAt': None}
    for _ in range(2):
        together = [az.start(*PRUNE, 'plan', *TARGET, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
        for process in together:
            out, err = process.communicate()
            assert process.returncode == 0 and 'cache of manifests' not in err, err
            assert {**json.loads(out), 'createdAt': None} == alone


def test_az_killed_while_it_reads_leaves_a_cache_that_is_right(az, registry, now, path):
    build(registry.storage, 3, 10, 2_000, now)
    alone = {**az(*PRUNE, 'plan', *TARGET, '--no-cache', check=True).json, 'createdAt': None}
    hold = registry.faults.hold('GET /v2/.*/manifests/', after=1_200)
    process = az.start(*PRUNE, 'plan', *TARGET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert hold.wait(process)
    process.kill()
    process.wait()
    registry.faults.clear()
    registry.forget()
    run = az(*PRUNE, 'plan', *TARGET, check=True)
    assert {**run.json, 'createdAt': None} == alone
    assert 'cache of manifests' not in run.err
    assert 0 < registry.counters['manifest_get'] < 1_600, 'what was written before is not read again'


# The commands


def test_show_says_where_the_cache_is_and_what_it_holds_without_asking_anybody(az, registry, now, path):
    telling(registry.storage, now)
    nothing = az(*CACHE, 'show', '-r', 'localhost', check=True).json
    assert (nothing['manifests'], nothing['fileBytes'], nothing['file']) == (0, 0, str(path))
    assert not path.parent.exists()
    plan(az)
    registry.forget()
    shown = az(*CACHE, 'show', '-r', registry.login_server, check=True).json
    assert shown == {
        'registry': registry.login_server,
        'file': str(path),
        'manifests': 10,
        'fileBytes': path.stat().st_size,
        'readable': True,
        'fileVersion': 3,
    }
    table = az(*CACHE, 'show', '-r', 'localhost', '-o', 'table', check=True).out
    assert table.split()[:5] == ['REGISTRY', 'MANIFESTS', 'SIZE', 'READABLE', 'PATH'] and ' KiB ' in table
    assert registry.requests == []


@pytest.mark.parametrize('how', [None, 'zeros'])
def test_clear_says_what_was_removed_and_works_on_broken_files(az, registry, now, path, how):
    telling(registry.storage, now)
    plan(az)
    if how:
        damaged(path, how)
    size = path.stat().st_size
    cleared = az(*CACHE, 'clear', '-r', 'localhost', check=True).json
    assert (cleared['fileBytes'], cleared['readable'], cleared['manifests']) == (size, not how, None if how else 10)
    assert list(path.parent.iterdir()) == []
    again = az(*CACHE, 'clear', '-r', 'localhost', '-o', 'table', check=True)
    assert '0 B' in again.out


def test_clear_says_why_it_cannot(az, registry, path):
    path.mkdir(parents=True)
    run = az(*CACHE, 'clear', '-r', 'localhost')
    assert run.code != 0 and str(path) in run.err and 'Traceback' not in run.err


def test_the_commands_need_a_registry_or_its_configured_default(az, registry):
    assert '--registry' in az(*CACHE, 'show').err
    az('configure', '--defaults', 'acr=localhost', check=True)
    assert az(*CACHE, 'show', check=True).json['registry'] == registry.login_server
