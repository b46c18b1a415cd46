"""Killed at any moment: nothing was deleted that is not in the archive and in the journal, and all of it comes back."""
from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest


from .test_archive import PRUNE, TARGET, layout, restore, state, tangled

COMMAND = (*PRUNE, 'tags', *TARGET, '--match', 'team/app:*', '--ago', '10d', '--untagged', '--include-locked',
           '--max-percent', '100', '--yes', '--archive')
KILLS = 20


def start_and_kill(az, registry, archive, requests, seconds):
    """Kill az, with all its processes, so many seconds after it has sent so many requests."""
    process = az.start(*COMMAND, str(archive), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       stdin=subprocess.DEVNULL, start_new_session=True)
    sent = []

    def count(*request):
        sent.append(request)
        if len(sent) == requests:
            threading.Thread(target=kill).start()

    def kill():
        time.sleep(seconds)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    registry.on_request = count
    code = process.wait(60)
    registry.on_request = None
    return code, len(sent)


def kept_whole(archive, digest):
    """Whether a manifest, its children and its blobs are in an archive, every byte verified."""
    path = archive / 'blobs' / 'sha256' / digest.partition(':')[2]
    if not path.exists() or f'sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}' != digest:
        return False
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        return True
    parts = [*document.get('layers', ()), *document.get('manifests', ()), document.get('config')] if isinstance(
        document, dict) and 'schemaVersion' in document else []
    return all(kept_whole(archive, part['digest']) for part in parts if part)


def written_down(az_home):
    lines = [json.loads(line) for path in sorted((az_home / 'acrprune' / 'journal').glob('*.jsonl'))
             for line in path.read_text().split('\n')[:-1]]
    return {line['digest'] for line in lines if line.get('request') == 'deleteManifest' or line['event'] == 'falls'}


def names(archive):
    """{(repository, digest)} and {(repository, tag)} of the index; none before it was written."""
    if not (archive / 'index.json').exists():
        return set(), set()
    entries = [(entry['annotations'], entry['digest']) for entry in layout(archive)]
    return ({(notes['io.acrprune.repository'], digest) for notes, digest in entries if 'io.acrprune.tag' not in notes},
            {(notes['io.acrprune.repository'], notes['io.acrprune.tag']) for notes, _ in entries
             if 'io.acrprune.tag' in notes})


@pytest.mark.parametrize('seed', range(KILLS))
def test_a_killed_run_has_deleted_nothing_that_cannot_be_restored(az, registry, now, tmp_path, seed):
    chance = random.Random(seed)
    tangled(registry, now)
    before = state(registry)
    registry.faults.latency = 0.01
    code, sent = start_and_kill(az, registry, tmp_path / 'archive', 1 + seed * 3 + chance.randrange(3),
                                chance.random() * 0.03)
    registry.faults.clear()
    left = state(registry)
    manifests, tags = names(tmp_path / 'archive')
    for repository, (digests, tagged) in before.items():
        now_digests, now_tags = left.get(repository, ({}, {}))
        for digest in set(digests) - set(now_digests):
            assert (repository, digest) in manifests, (code, sent)
            assert kept_whole(tmp_path / 'archive', digest)
            assert digest in written_down(tmp_path / 'azure')
        assert {(repository, tag) for tag in set(tagged) - set(now_tags)} <= tags
    assert all(kept_whole(tmp_path / 'archive', digest) for _, digest in manifests)
    if seed % 4 == 0 or left != before:
        again = az(*COMMAND, str(tmp_path / 'archive'))
        assert again.code == 0, again.err
        assert restore(az, tmp_path / 'archive', '--all').code == 0
        assert state(registry) == before
        assert registry.storage.whole('team/app', 'v1') == []


def test_a_killed_restore_goes_on_where_it_was(az, registry, now, tmp_path):
    tangled(registry, now)
    before = state(registry)
    assert az(*COMMAND, str(tmp_path / 'archive')).code == 0
    process = az.start(*PRUNE, 'restore', *TARGET, '--archive', str(tmp_path / 'archive'), '--all',
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def kill_at_the_third_manifest(method, path):
        if method == 'PUT' and '/manifests/' in path and registry.counters['manifest_put'] == 3:
            os.killpg(process.pid, signal.SIGKILL)
    registry.on_request = kill_at_the_third_manifest
    assert process.wait(60) == -signal.SIGKILL
    registry.on_request = None
    assert restore(az, tmp_path / 'archive', '--all').code == 0
    assert state(registry) == before
