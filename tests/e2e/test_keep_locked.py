"""`lock` in a policy: what matches is kept locked, and what somebody else locked is left alone."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from contextlib import closing

import pytest

from .images import Shelf

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost')
APP = 'team/app'
POLICY = """version: 1
rules:
- {name: old, match: {everything: true}, when: {olderThan: 30d}, do: delete}
lock: LOCK
"""


@pytest.fixture
def apply(az, tmp_path):
    az.signed_in()

    def run(lock):
        policy, out = tmp_path / 'policy.yaml', str(tmp_path / 'plan.json')
        policy.write_text(POLICY.replace('LOCK', lock))
        plan = az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--out', out, check=True).json
        run = az(*PRUNE, 'apply', *TARGET, '--plan', out, '--yes', '--max-percent', '100', check=True)
        return plan, run.json

    return run


def locked(registry):
    tags = {name for name, tag in registry.storage.tags(APP).items() if not tag.flags['deleteEnabled']}
    manifests = registry.storage.manifests(APP).items()
    return tags | {digest for digest, record in manifests if not record.flags['deleteEnabled']}


def test_tags_manifests_and_parts_are_kept_locked_and_only_our_own_locks_are_taken_off(az, registry, now, apply):
    shelf = Shelf(registry.storage, now)
    parts = [shelf.image(f'part {arch}', days=100) for arch in ('amd64', 'arm64')]
    index = shelf.index(parts, tag='v1', days=100)
    theirs, old = shelf.image('theirs', tag='v2', days=100), shelf.image('old', tag='b1', days=100)
    registry.storage.set_locks(APP, digest=theirs, deleteEnabled=False)
    plan, result = apply('["v*"]')
    assert {entry.get('tag') or entry['digest'] for entry in plan['lock']} == {'v1', 'v2', index, *parts}
    assert locked(registry) == {'v1', 'v2', index, *parts, theirs} and len(result['locked']) == 5
    assert old not in registry.storage.manifests(APP)
    plan, result = apply('["v*"]')
    assert plan['lock'] == plan['unlock'] == result['locked'] == []
    registry.storage.set_locks(APP, digest=index, writeEnabled=False)  # somebody changed that one
    plan, result = apply('["v2"]')
    assert {entry.get('tag') or entry['digest'] for entry in result['unlocked']} == {'v1', *parts}
    assert locked(registry) == {'v2', index, theirs}
    apply('[]')
    assert locked(registry) == {index, theirs} and set(registry.storage.manifests(APP)) == {index, *parts, theirs}


def test_a_lock_is_marked_as_ours_before_it_is_set(az, registry, now, tmp_path, apply):
    digest = Shelf(registry.storage, now).image('kept', tag='v1', days=100)
    policy, out = tmp_path / 'policy.yaml', str(tmp_path / 'plan.json')
    policy.write_text(POLICY.replace('LOCK', '["v*"]'))
    az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--out', out, check=True)
    hold = registry.faults.hold('^PATCH')
    process = az.start(
        *(*PRUNE, 'apply', *TARGET, '--plan', out, '--yes'),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert hold.wait(process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with closing(sqlite3.connect(az.home / 'acrprune' / f'localhost_{registry.port}.policy-locks')) as marks:
        marked = {name for (name,) in marks.execute('SELECT digest FROM lock')}
    assert marked and locked(registry) == set()
    hold.let_go(drop=True)
    apply('["v*"]')
    assert locked(registry) == {'v1', digest}
    apply('[]')
    assert locked(registry) == set()
