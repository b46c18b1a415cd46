"""Killed at any moment: nothing was deleted that is not in the archive and in the journal, and all of it comes back.

The moments are requests that the registry gets, and steps that a process takes on its disk: half a line written,
a file that is not yet synced or has not its name yet.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from azext_acrprune.archive.directory import DirectoryArchive
from azext_acrprune.archive.upkeep import expire, find_garbage, verify
from tests import figures
from tests.examples import times
from tests.registry.azcli import Az
from tests.registry.faults import Fault, Throttle
from tests.unit.test_archive_upkeep import MARCH, Filled

from .images import Shelf
from .test_archive import OLD, PRUNE, TARGET, layout, restore, state, tangled

COMMAND = (*PRUNE, 'tags', *TARGET, *OLD, '--new-archive', '--archive')
KILLS = times(7)
"""Of each kind."""
REQUESTS = {'reads': ('GET', 42), 'layers': ('GET /v2/[^ ]*/blobs/', 36), 'deletes': ('(DELETE|PATCH)', 21)}
"""Kinds of requests, and how many of each a run makes that nobody kills."""
RESTORING = {
    'layers': ('(PUT|POST|PATCH|HEAD) /v2/[^ ]*/blobs/', 140),
    'manifests': ('PUT /v2/[^ ]*/manifests/', 30),
    'locks': ('PATCH /acr/', 2),
}
STEPS = 215
"""On the disk, of such a run at least: writes to the journal, syncs and renames. Some requests share their sync."""

# Python runs this file in every process that finds it on its path, az too.
SITECUSTOMIZE = """
import os, signal, threading
left, lock = [int(os.environ['ACRPRUNE_TEST_DIE_AT'])], threading.Lock()

def counted(name):
    real = getattr(os, name)

    def step(*arguments, **options):
        with lock:
            left[0] -= 1
            if left[0] == 0:
                if name == 'write':
                    real(arguments[0], arguments[1][:len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    setattr(os, name, step)

for name in os.environ.get('ACRPRUNE_TEST_STEPS', 'write fsync replace').split():
    counted(name)
"""


def crowded(registry, now):
    """What `tangled` has, and more images, so that a run takes some time."""
    tangled(registry, now)
    shelf = Shelf(registry.storage, now)
    for number in range(12):
        shelf.image(f'image {number}', tag=f'tag{number}' if number % 3 else None)


def ended(az, registry, arguments, pattern, requests, done=False):
    """The exit code of az, killed with all its processes when it has sent so many requests.

    The last one, and all like it, is not answered; it is carried out where it is `done`.
    """
    hold = registry.faults.hold(f'^{pattern}', after=requests - 1, done=done)
    process = az.start(
        *arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    if hold.wait(process):
        os.killpg(process.pid, signal.SIGKILL)
        figures.count(runs=1, kills=1)
    code = process.wait()
    registry.faults.clear()
    return code


def killed_at_a_request(az, registry, arguments, kinds, seed):
    """Every kind of request in turn, at any of its requests: before it is carried out, or after it."""
    chance = random.Random(seed)
    pattern, number = list(kinds.values())[seed % len(kinds)]
    return ended(az, registry, arguments, pattern, 1 + chance.randrange(number), chance.random() < 0.5)


def killed_at_a_step(az, arguments, folder, monkeypatch, seed):
    """A part of all steps on the disk for each seed, and any step in it."""
    folder.mkdir()
    (folder / 'sitecustomize.py').write_text(SITECUSTOMIZE)
    step = STEPS * (seed % 6) // 6 + random.Random(seed).randrange(STEPS // 6) + 1
    with monkeypatch.context() as patched:
        patched.setenv('PYTHONPATH', str(folder))
        patched.setenv('ACRPRUNE_TEST_DIE_AT', str(step))
        figures.count(runs=1, kills=1)
        return az.start(
            *arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        ).wait()


def kept_whole(archive, digest):
    """Whether a manifest, its children and its blobs are in an archive, every byte verified."""
    path = archive / 'blobs' / 'sha256' / digest.partition(':')[2]
    if not path.exists() or f'sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}' != digest:
        return False
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        return True
    parts = (
        [*document.get('layers', ()), *document.get('manifests', ()), document.get('config')]
        if isinstance(document, dict) and 'schemaVersion' in document
        else []
    )
    return all(kept_whole(archive, part['digest']) for part in parts if part)


def written_down(az_home):
    """{(repository, digest)} and {(repository, tag)} that the journals say were, or are about to be, deleted."""
    lines = [
        json.loads(line)
        for path in sorted((az_home / 'acrprune' / 'journal').glob('*.jsonl'))
        for line in path.read_text().split('\n')[:-1]
    ]
    lines = [
        line
        for line in lines
        if line.get('request') in ('deleteManifest', 'deleteTag')
        and line['event'] == 'request'
        or line['event'] == 'falls'
    ]
    return (
        {(line['repository'], line['digest']) for line in lines if line.get('request') != 'deleteTag'},
        {
            (line['repository'], tag)
            for line in lines
            for tag in [line.get('tag'), *(each['tag'] for each in line.get('tags', ()))]
            if tag
        },
    )


def names(archive):
    """{(repository, digest)} and {(repository, tag)} of the index; none before it was written."""
    if not (archive / 'index.json').exists():
        return set(), set()
    entries = [(entry['annotations'], entry['digest']) for entry in layout(archive)]
    return (
        {(notes['io.acrprune.repository'], digest) for notes, digest in entries if 'io.acrprune.tag' not in notes},
        {
            (notes['io.acrprune.repository'], notes['io.acrprune.tag'])
            for notes, _ in entries
            if 'io.acrprune.tag' in notes
        },
    )


def gone(before, now):
    """{(repository, digest)} and {(repository, tag)} that were there and are not any more."""
    digests, tags = (
        {(name, key) for name, parts in seen.items() for key in parts[number]}
        - {(name, key) for name, parts in now.items() for key in parts[number]}
        for seen in [before]
        for number in (0, 1)
    )
    return digests, tags


def readable_by_others(archive, place):
    """Whether skopeo can copy an image out of the archive."""
    done = subprocess.run(
        ['skopeo', '--insecure-policy', 'copy', '--all', f'oci:{archive}:team/app:v1', f'dir:{place}'],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


@pytest.mark.soak
@pytest.mark.parametrize('at', ['request', 'step'])
@pytest.mark.parametrize('seed', range(KILLS))
def test_a_killed_run_has_deleted_nothing_that_cannot_be_restored(az, registry, now, tmp_path, monkeypatch, at, seed):
    crowded(registry, now)
    before, archive = state(registry), tmp_path / 'archive'
    code = (
        killed_at_a_request(az, registry, (*COMMAND, str(archive)), REQUESTS, seed)
        if at == 'request'
        else killed_at_a_step(az, (*COMMAND, str(archive)), tmp_path / 'site', monkeypatch, seed)
    )
    assert code == -signal.SIGKILL, 'it was killed, and not done before'
    manifests, tags = gone(before, state(registry))
    archived, archived_tags = names(archive)
    assert manifests <= archived and tags <= archived_tags
    assert all(kept_whole(archive, digest) for _, digest in archived)
    journaled, journaled_tags = written_down(tmp_path / 'azure')
    assert manifests <= journaled and tags <= journaled_tags
    if archived and shutil.which('skopeo'):
        assert readable_by_others(archive, tmp_path / 'copied')
    again = az(*COMMAND, str(archive))
    assert again.code == 0, again.err
    assert restore(az, archive, '--all').code == 0
    assert state(registry) == before
    assert registry.storage.whole('team/app', 'v1') == []


def test_killed_runs_are_in_the_history_with_what_they_deleted(az, registry, now, tmp_path):
    crowded(registry, now)
    before = state(registry)
    assert ended(az, registry, (*COMMAND, str(tmp_path / 'archive')), 'DELETE', 9) == -signal.SIGKILL
    manifests, _ = gone(before, state(registry))
    (run,) = az(*PRUNE, 'history', 'list', check=True).json
    assert run['endedAt'] is None and run['error'] is None
    shown = az(*PRUNE, 'history', 'show', '--run', run['run'], check=True).json
    done = {entry['digest'] for entry in shown['requests'] if entry['outcome'] == 'done' and 'tag' not in entry}
    assert done and done <= {digest for _, digest in manifests}
    assert len(manifests) <= shown['manifestsDeleted'], 'with what the service deleted together with its subject'
    assert 'was killed' in az(*PRUNE, 'history', 'list', '-o', 'table', check=True).out


@pytest.fixture(scope='module')
def emptied(server, extensions, all_forks, tmp_path_factory):
    """What a registry held, all of which is in an archive; and that archive."""
    server.reset()
    crowded(server, time.time())
    before, archive = state(server), tmp_path_factory.mktemp('archived') / 'archive'
    az = Az(tmp_path_factory.mktemp('home') / 'azure', server, extensions, all_forks)
    assert az(*COMMAND, str(archive)).code == 0
    return before, archive


def keep_others_only(registry, now):
    """The registry as it was after all of the archive had gone from it."""
    Shelf(registry.storage, now, 'team/other').image(
        'other', tag='v1', base=Shelf(registry.storage, now).layer('base ', 50_000)
    )


def test_a_restore_is_done_in_one_run_although_one_call_in_twenty_fails_and_writes_are_throttled(
    az, registry, now, emptied
):
    before, archive = emptied
    keep_others_only(registry, now)
    kinds = (500, 503, 'reset', 'lost', 'cut')
    registry.faults.rules += [Fault('.', kind, 0.05 / len(kinds)) for kind in kinds]
    registry.faults.rules += [Fault('PATCH /v2/', kind, times=1) for kind in ('reset', 'lost', 503)]
    registry.faults.throttles['writes'] = Throttle(60, 20)
    done = restore(az, archive, '--all')
    assert done.code == 0, done.err
    assert state(registry) == before


@pytest.mark.soak
@pytest.mark.parametrize('seed', range(KILLS))
def test_a_killed_restore_goes_on_where_it_was(az, registry, now, emptied, seed):
    before, archive = emptied
    index = (archive / 'index.json').read_bytes()
    keep_others_only(registry, now)
    arguments = (*PRUNE, 'restore', *TARGET, '--archive', str(archive), '--all')
    assert killed_at_a_request(az, registry, arguments, RESTORING, seed) == -signal.SIGKILL
    for repository, digests in state(registry).items():
        assert set(digests[0]) <= set(before[repository][0]) and set(digests[1]) <= set(before[repository][1])
    again = restore(az, archive, '--all')
    assert again.code == 0, again.err
    assert state(registry) == before
    assert registry.storage.whole('team/app', 'v1') == []
    assert (archive / 'index.json').read_bytes() == index


COMPACTING = 26
"""Steps on the disk of a compaction that nobody kills: two indexes with their copies, and the blobs between them."""


@pytest.mark.soak
@pytest.mark.parametrize('seed', range(KILLS))
def test_a_killed_compaction_goes_on_and_loses_nothing(az, tmp_path, monkeypatch, seed):
    filled = Filled(tmp_path / 'archive')
    expire(filled.target, MARCH)
    garbage = set(find_garbage(filled.target).sizes)
    folder = tmp_path / 'site'
    folder.mkdir()
    (folder / 'sitecustomize.py').write_text(SITECUSTOMIZE)
    step = COMPACTING * (seed % 6) // 6 + random.Random(seed).randrange(COMPACTING // 6) + 1
    command = (*PRUNE, 'archive', 'compact', '--yes', '--archive', str(filled.path))
    with monkeypatch.context() as patched:
        patched.setenv('PYTHONPATH', str(folder))
        patched.setenv('ACRPRUNE_TEST_DIE_AT', str(step))
        patched.setenv('ACRPRUNE_TEST_STEPS', 'fsync replace unlink')
        code = az.start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL).wait()
    assert code == -signal.SIGKILL, 'it was killed, and not done before'
    figures.count(kills=1)
    assert not verify(DirectoryArchive(str(filled.path))).broken and filled.names() == {'c', 'd', 'index'}
    again = az(*command)
    assert again.code == 0, again.err
    assert not find_garbage(DirectoryArchive(str(filled.path))).sizes
    assert all(not filled.at(digest).exists() for digest in garbage) and filled.at(filled.shared).exists()
    assert not verify(DirectoryArchive(str(filled.path))).broken and filled.names() == {'c', 'd', 'index'}


@pytest.mark.parametrize('seed', [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (0, *range(2, KILLS)))])
def test_a_killed_undo_that_is_run_again_ends_in_the_same_state(az, registry, now, tmp_path, seed):
    crowded(registry, now)
    registry.storage.set_locks('team/app', tag='v1', readEnabled=False)
    before = state(registry)
    took = az(*COMMAND, str(tmp_path / 'archive'), check=True).json['run']
    arguments = (*PRUNE, 'undo', *TARGET, '--yes')
    assert killed_at_a_request(az, registry, arguments, RESTORING, seed) == -signal.SIGKILL
    again = az(*arguments)
    assert again.code == 0 and again.json['undoes'] == took, again.err
    assert state(registry) == before and registry.storage.whole('team/app', 'v2') == []
    begun, ended = (told(tmp_path / 'azure', event) for event in ('was', 'restored'))
    assert begun and begun == ended, 'all of it has its old times'


LOCKING = {'locks': ('PATCH /acr/', 8), 'looks': ('GET /acr/v1/[^ ]*/(_manifests|_tags)/', 24)}


@pytest.mark.soak
@pytest.mark.parametrize('seed', range(KILLS))
def test_a_killed_pins_lock_leaves_no_lock_that_nobody_takes_off(az, registry, now, tmp_path, seed):
    shelf = Shelf(registry.storage, now)
    for number in range(8):
        shelf.image(f'image {number}', tag=f'v{number}')
    before, pins = state(registry), tmp_path / 'pins.txt'
    pins.write_text(''.join(f'{registry.login_server}/team/app:v{number}\n' for number in range(8)))
    arguments = (*PRUNE, 'pins', 'lock', *TARGET, '--alone', '--yes', '--pins', str(pins))
    assert killed_at_a_request(az, registry, arguments, LOCKING, seed) == -signal.SIGKILL
    if seed % 2:
        again = az(*arguments)
        assert again.code == 0, again.err
        assert not any(each.flags['deleteEnabled'] for each in registry.storage.manifests('team/app').values())
    pins.write_text(f'{registry.login_server}/team/none:v1\n')  # nobody needs them any more
    freed = az(*arguments)
    assert freed.code == 0 and state(registry) == before, freed.err


def told(az_home, event):
    """{(repository, digest, tag)} that lines of the journals with this event name."""
    lines = [
        json.loads(line)
        for path in sorted((az_home / 'acrprune' / 'journal').glob('*.jsonl'))
        for line in path.read_text().split('\n')[:-1]
    ]
    return {(line['repository'], line['digest'], line.get('tag')) for line in lines if line['event'] == event}
