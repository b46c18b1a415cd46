"""A time limit in the real az: a registry that is too large for one run shrinks with each."""

from __future__ import annotations

import json
import re
import subprocess
import time

import pytest

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import Shares, build
from tests.registry.faults import Fault

from .images import Shelf
from .signals import interrupt

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
UNTAGGED = (*PRUNE, 'untagged', *TARGET, '--ago', '0', '--yes')
SHRINKING = Shares(ghosts=0, locked=0, tagged=0.3)


def stored(registry):
    return {(name, digest) for name in registry.storage.repositories() for digest in registry.storage.manifests(name)}


def orphaned_signatures(registry):
    """Signatures of images that are gone: where the time was over between the two, the next run keeps a tagged one."""
    return {
        (name, tag.digest)
        for name in registry.storage.repositories()
        for text, tag in registry.storage.tags(name).items()
        if text.startswith('sha256-') and f'sha256:{text[7:71]}' not in registry.storage.manifests(name)
    }


def until_done(registry, run):
    """Run again and again; gives what was left each time, and the last result."""
    left = []
    for _ in range(25):
        result = run()
        left.append(len(stored(registry)))
        if not result['summary']['timeLimitReached']:
            return left, result
    raise AssertionError(f'it does not come to an end: {left}')


def last_request(registry):
    """When the last request came."""
    seen = [time.monotonic()]
    registry.on_request = lambda *_: seen.__setitem__(0, time.monotonic())
    return seen


def test_a_registry_too_large_for_one_run_shrinks_with_each_until_it_is_as_after_a_run_without_limit(az, registry, now):
    build(registry.storage, 3, 8, 300, now, SHRINKING)
    az.signed_in()
    doomed = {
        (entry['repository'], entry['digest'])
        for entry in az(*PRUNE, 'plan', *TARGET, '--ago', '0', '--no-cache', check=True).json['delete']
    }
    kept = stored(registry) - doomed
    registry.faults.latency = 0.15  # so that no machine makes more than 320 calls in a run, and all of it takes 500

    def run():
        done = az(*UNTAGGED, '--time-limit', '12s', '--concurrency', '4', check=True)
        summary = done.json['summary']
        unread, unverified = (text in done.err for text in ('repositories were read', 'could not be listed after'))
        assert (summary['impact'] in ('upperBound', 'unknown')) is (unread or unverified)
        assert summary['timeLimitReached'] is ('The time was over before' in done.err)
        assert (summary['failed'], summary['interrupted']) == (0, False)
        assert {(entry['repository'], entry['digest']) for entry in done.json['deleted']} <= doomed
        return done.json

    left, result = until_done(registry, run)
    assert len(left) > 1 and left == sorted(left, reverse=True)
    assert result['summary']['impact'] == 'exact' and kept <= stored(registry)
    assert stored(registry) - kept <= orphaned_signatures(registry)


def test_it_stops_in_time_with_ctrl_c_before_the_end_too(az, registry, now):
    shelf = Shelf(registry.storage, now)
    for number in range(60):
        shelf.image(f'image {number}')
    hold = registry.faults.hold('DELETE', after=5)
    process = az.start(*UNTAGGED, '--time-limit', '1h', stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert hold.wait(process)
    interrupt(process)
    hold.let_go()
    out, err = process.communicate()
    summary = json.loads(out)['summary']
    assert process.returncode == 1 and 'Traceback' not in err
    assert summary['interrupted'] and not summary['timeLimitReached'] and 0 < summary['manifestsDeleted'] < 60
    assert len(stored(registry)) == 60 - summary['manifestsDeleted']


@pytest.mark.parametrize('seconds', [4, 8])
def test_nothing_is_sent_after_the_end_and_the_exit_code_is_0(az, registry, now, seconds):
    shelf = Shelf(registry.storage, now)
    for number in range(200):
        shelf.image(f'image {number}')
    registry.faults.rules += [Fault('DELETE', 'slow', seconds=0.5), Fault('GET .*/manifests/', 429, 0.2)]
    first, seen = [], last_request(registry)
    registry.on_request = lambda *_: (first.append(time.monotonic()), seen.__setitem__(0, time.monotonic()))
    run = az(*UNTAGGED, '--time-limit', f'{seconds}s', check=True)
    assert seen[0] - first[0] < seconds
    assert run.json['summary']['timeLimitReached'] and run.json['summary']['failed'] == 0
    if run.json['deleted']:
        (left,) = re.findall(r'before all was done: (\d+) of the manifests', run.err)
        assert int(left) == len(stored(registry)) == 200 - len(run.json['deleted'])


def test_a_plan_within_a_limit_names_only_what_is_known_and_can_be_applied(az, registry, now, tmp_path):
    build(registry.storage, 3, 6, 120, now, SHRINKING)
    whole = az(*PRUNE, 'plan', *TARGET, '--ago', '0', '--no-cache', check=True).json
    unanswered = registry.storage.repositories()[1:5:3]
    registry.faults.hold('GET /acr/v1/({})/_manifests'.format('|'.join(unanswered)))
    out = str(tmp_path / 'plan.json')
    run = az(
        *PRUNE, 'plan', *TARGET, '--ago', '0', '--time-limit', '10s', '--concurrency', '4', '--out', out, check=True
    )
    part = run.json
    (warning,) = part['warnings']
    late = len(unanswered)
    assert 6 - part['summary']['repositories'] == late
    assert part['impact'] == 'upperBound' and warning['code'] == 'timeLimit'
    assert f'{late} of 6 repositories' in warning['message'] and warning['message'] in run.err
    known = {entry['name'] for entry in part['repositories']}
    assert [entry['digest'] for entry in part['delete']] == [
        entry['digest'] for entry in whole['delete'] if entry['repository'] in known
    ]
    registry.faults.clear()
    result = az(*PRUNE, 'apply', *TARGET, '--plan', out, '--yes', check=True).json
    assert len(result['deleted']) == len(part['delete']) > 0


def test_a_plan_is_applied_in_as_many_runs_as_it_takes(az, registry, now, tmp_path):
    build(registry.storage, 3, 6, 180, now, SHRINKING)
    out = str(tmp_path / 'plan.json')
    plan = az(*PRUNE, 'plan', *TARGET, '--ago', '0', '--out', out, check=True).json
    kept = stored(registry) - {(entry['repository'], entry['digest']) for entry in plan['delete']}
    registry.faults.latency = 0.25  # so that no machine makes more than 128 calls in a run, and all of it takes more
    left, _ = until_done(
        registry,
        lambda: (
            az(
                *PRUNE, 'apply', *TARGET, '--plan', out, '--yes', '--time-limit', '8s', '--concurrency', '4', check=True
            ).json
        ),
    )
    assert len(left) > 1 and stored(registry) == kept


def test_a_limit_that_is_over_before_the_repositories_are_listed_is_an_error(az, registry, now):
    Shelf(registry.storage, now).image('stale')
    registry.faults.hold('_catalog')
    run = az(*UNTAGGED, '--time-limit', '1s')
    assert run.code == 1 and 'longer --time-limit' in run.err and 'Traceback' not in run.err and run.out == ''
    assert len(stored(registry)) == 1


def test_a_limit_that_is_not_reached_changes_nothing(az, registry, now):
    build(registry.storage, 3, 6, 60, now)
    plain = az(*PRUNE, 'plan', *TARGET, check=True).json
    for order in ('oldest', 'largest', 'name'):
        limited = az(*PRUNE, 'plan', *TARGET, '--time-limit', '9' * 500 + 'd', '--order', order, check=True).json
        assert {**limited, 'createdAt': None, 'checksum': None} == {**plain, 'createdAt': None, 'checksum': None}


def test_a_dry_run_takes_all_of_the_time_for_reading(az, registry, now):
    shelf = Shelf(registry.storage, now)
    for number in range(30):
        shelf.image(f'image {number}')
    run = az(*PRUNE, 'untagged', *TARGET, '--time-limit', '1h', '--dry-run', check=True)
    assert len(run.json['delete']) == 30 and len(stored(registry)) == 30


def test_azure_that_does_not_answer_is_waited_for_until_the_time_is_over(az, registry):
    az.signed_in()
    held = registry.faults.hold('Microsoft.ContainerRegistry')
    run = az(*PRUNE, 'plan', '-r', 'localhost', '--time-limit', '2s')
    assert held.wait()
    held.let_go(drop=True)
    assert run.code == 1
    assert 'Azure did not answer in time.' in run.err and 'give a longer one' in run.err
