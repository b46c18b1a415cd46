"""Rules that retire: pulls fail first, and what nobody missed goes later."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from tests.registry.builder import DAY, OCI_IMAGE
from tests.registry.loganalytics import WORKSPACE, Event

from .images import Shelf
from .signals import PIPES, interrupt, read_until

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost')
APP = 'team/app'
POLICY = """version: 1
rules:
- name: old builds
  match: {everything: true}
  when: {olderThan: 60d}
  do: retire
  retire: {for: 14d}
"""
LOG = f'facts: {{pulls: {{workspace: {WORKSPACE}, ignore: {{userAgents: [trivy]}}}}}}\n'


@pytest.fixture
def shelf(registry, now):
    return Shelf(registry.storage, now)


@pytest.fixture
def night(az, tmp_path):
    """One night: plan and apply, without a cache; gives both documents. Extra lines are added to the policy."""
    az.signed_in()

    def run(*extra, archive=(), check=True):
        policy, out = tmp_path / 'policy.yaml', str(tmp_path / 'plan.json')
        policy.write_text(POLICY + ''.join(extra))
        plan = az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--no-cache', '--out', out, check=True).json
        apply = ('apply', *TARGET, '--plan', out, '--yes', '--no-cache', '--max-percent', '100', *archive)
        return plan, az(*PRUNE, *apply, check=check)

    return run


def readable(registry):
    return {digest for digest, record in registry.storage.manifests(APP).items() if record.flags['readEnabled']}


def days_later(az, days):
    """Have the journals tell that everything in them happened so many days earlier."""
    for path in (az.home / 'acrprune' / 'journal').glob('*.jsonl'):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            at = datetime.fromisoformat(line['at'].replace('Z', '+00:00')) - timedelta(days=days)
            line['at'] = at.astimezone(timezone.utc).isoformat(timespec='microseconds').replace('+00:00', 'Z')
        path.write_text(''.join(json.dumps(line) + '\n' for line in lines))


def test_what_is_retired_cannot_be_pulled_and_goes_two_weeks_later(az, registry, shelf, night):
    parts = [shelf.image(f'part {arch}', days=100) for arch in ('amd64', 'arm64')]
    index = shelf.index(parts, tag='v1', days=100)
    young, bare = shelf.image('young', tag='v2', days=3), shelf.image('bare', days=100)
    plan, run = night()
    assert {entry['digest'] for entry in plan['retire']} == {index, *parts, bare} and plan['delete'] == []
    assert plan['summary']['freedBytes'] == 0 < plan['summary']['retiredBytes']
    assert 'pulls of them fail from now on' in run.err and 'It goes for good on' in run.err
    assert {entry['digest'] for entry in run.json['retired']} == {index, *parts, bare}
    assert readable(registry) == {young} and len(registry.storage.manifests(APP)) == 5
    plan, run = night()
    assert plan['retire'] == plan['delete'] == run.json['retired'] == []
    assert plan['summary']['keptByReason'] == {'retired': 4, 'young': 1}
    days_later(az, 15)
    plan, run = night()
    assert {entry['digest'] for entry in plan['delete']} == {index, *parts, bare}
    assert all('retiredTime' in entry for entry in plan['delete']) and 'go for good now' in run.err
    assert set(registry.storage.manifests(APP)) == {young}


def test_one_command_takes_it_back_and_what_was_taken_back_is_not_retired_again(az, registry, shelf, night):
    one, two = shelf.image('one', tag='v1', days=100), shelf.image('two', tag='v2', days=100)
    night()
    image = ('--image', f'{APP}:v1')
    run = az(*PRUNE, 'restore', *TARGET, '--retired', *image, '--dry-run', check=True)
    assert [entry['digest'] for entry in run.json['restore']] == [one] and readable(registry) == set()
    assert az(*PRUNE, 'restore', *TARGET, '--retired', *image, check=True).json['summary']['manifestsRestored'] == 1
    assert readable(registry) == {one}
    days_later(az, 15)
    plan, _ = night()
    assert [entry['digest'] for entry in plan['delete']] == [two] and plan['retire'] == []
    assert set(registry.storage.manifests(APP)) == {one} and readable(registry) == {one}


def test_what_somebody_else_hid_stays(registry, shelf, night, az):
    theirs, ours = shelf.image('theirs', tag='v1', days=100), shelf.image('ours', tag='v2', days=100)
    registry.storage.set_locks(APP, digest=theirs, readEnabled=False)
    az.signed_in()
    plan, _ = night()
    assert plan['retire'] == []  # what cannot be read may need anything
    registry.storage.set_locks(APP, digest=theirs, readEnabled=True)
    night()
    days_later(az, 15)
    registry.storage.set_locks(APP, digest=ours, readEnabled=False, listEnabled=True, writeEnabled=False)
    plan, _ = night()
    assert [entry['digest'] for entry in plan['delete']] == [theirs]
    assert set(registry.storage.manifests(APP)) == {ours} and readable(registry) == set()


def test_a_failed_pull_keeps_it_names_who_it_was_and_lets_pulls_through_again(az, registry, shelf, night, now):
    wanted, scanned = shelf.image('wanted', tag='v1', days=100), shelf.image('scanned', tag='v2', days=100)
    registry.logs.events = [Event(now - days * DAY, 'Push', 'other') for days in range(120)]
    night(LOG)
    assert readable(registry) == set()
    days_later(az, 15)
    who = {'identity': 'kubelet-prod', 'address': '10.0.0.4'}
    registry.logs.events += [Event(now - 3 * DAY, 'Pull', APP, '', 'v1', **who)]
    registry.logs.events += [Event(now - 3 * DAY, 'Pull', APP, scanned, '', agent='trivy/0.5')]
    plan, run = night(LOG)
    assert [entry['digest'] for entry in plan['delete']] == [scanned]
    (entry,) = plan['unretire']
    assert entry['digest'] == wanted and 'kubelet-prod (containerd/1.7.15, 10.0.0.4) pulled it' in entry['because']
    assert readable(registry) == {wanted} == set(registry.storage.manifests(APP))
    plan, _ = night(LOG)
    assert plan['retire'] == plan['unretire'] == plan['delete'] == []


def test_a_new_tag_and_a_pin_let_pulls_through_again(az, registry, shelf, night, tmp_path):
    pinned, tagged = shelf.image('pinned', tag='v1', days=100), shelf.image('tagged', tag='v2', days=100)
    night()
    days_later(az, 15)
    shelf.put(registry.storage.manifests(APP)[tagged].data, OCI_IMAGE, 'new', days=1)
    night(f'protect: {{digests: ["{pinned}"]}}\n')
    assert readable(registry) == {pinned, tagged} == set(registry.storage.manifests(APP))


def test_with_an_archive_an_image_is_archived_while_it_can_be_read(az, registry, shelf, night, tmp_path):
    digest = shelf.image('one', tag='v1', days=100)
    archive = str(tmp_path / 'archive')
    for _ in range(2):
        night(archive=('--archive', archive, '--new-archive'))
        days_later(az, 15)
    assert not registry.storage.repositories()
    run = az(*PRUNE, 'restore', *TARGET, '--archive', archive, '--all', check=True)
    assert run.json['summary']['manifestsRestored'] == 1 and readable(registry) == {digest}


def test_two_policies_are_compared_where_something_is_retired(az, registry, shelf, night, tmp_path):
    shelf.image('one', tag='v1', days=100)
    lately = shelf.image('lately', days=20)
    night()
    (tmp_path / 'new.yaml').write_text(POLICY.replace('60d', '10d'))
    files = ('--old', str(tmp_path / 'policy.yaml'), '--new', str(tmp_path / 'new.yaml'))
    run = az(*PRUNE, 'policy', 'diff', *TARGET, *files, '--no-cache', '--fail-on', 'more')
    found = json.loads(run.out)
    assert [row['digest'] for row in found['retires']] == [lately] and found['goes'] == found['stays'] == []
    assert run.code == 1 and 'takes more' in run.err


def test_a_stop_while_images_are_retired_tells_which_are_and_the_next_run_goes_on(az, registry, shelf, night, tmp_path):
    images = {shelf.image(f'image {number}', days=100) for number in range(60)}
    (tmp_path / 'policy.yaml').write_text(POLICY)
    out = str(tmp_path / 'plan.json')
    az(*PRUNE, 'plan', *TARGET, '--policy', str(tmp_path / 'policy.yaml'), '--out', out, check=True)
    hold = registry.faults.hold('PATCH', after=5)
    process = az.start(*PRUNE, 'apply', *TARGET, '--plan', out, '--yes', '--max-percent', '100', **PIPES)
    assert hold.wait(process)
    interrupt(process)
    read_until(process.stderr, 'Stopping')
    hold.let_go()
    said, err = process.communicate()
    result = json.loads(said)
    assert process.returncode == 1 and result['exitReason'] == 'interrupted' and 'Traceback' not in err
    retired = {entry['digest'] for entry in result['retired']}
    assert retired == images - readable(registry) and 5 < len(retired) < 60
    night()
    assert readable(registry) == set()
