"""`--state`, in the real az: two machines, which share nothing but a state, do as one machine does."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from azext_acrprune.state.blob_store import LEASE_SECONDS
from tests.registry.azcli import ADMIN_LOGIN, Az
from tests.registry.azurite import ACCOUNT, AZURITE, azurite

from .images import Shelf, telling
from .signals import PIPES, interrupt, read_until
from .test_archive import PRUNE, TARGET, state

ALL = ('--max-percent', '100', '--yes')
NIGHTLY = (*PRUNE, 'untagged', *TARGET, '--yes')


class Machine(Az):
    """az with a configuration folder of its own, and the state in its configuration."""

    def __init__(self, *arguments, place: str, emulator=None) -> None:
        super().__init__(*arguments)
        self._emulator = emulator
        with open(self.home / 'config', 'a', encoding='utf-8') as file:
            file.write(f'[acrprune]\nstate = {place}\n')
        if emulator:
            with open(super().environment['REQUESTS_CA_BUNDLE'], encoding='utf-8') as file:
                (self.home / 'ca.pem').write_text(file.read() + emulator.ca_file.read_text())

    @property
    def environment(self):
        if not self._emulator:
            return super().environment
        connection = self._emulator.connection_string
        bundle = str(self.home / 'ca.pem')
        return {**super().environment, 'AZURE_STORAGE_CONNECTION_STRING': connection, 'REQUESTS_CA_BUNDLE': bundle}


@pytest.fixture(scope='module')
def emulator(tmp_path_factory):
    if not AZURITE:
        pytest.skip('Azurite is not installed (npm: azurite)')
    with azurite(tmp_path_factory.mktemp('azurite')) as running:
        yield running


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'state').mkdir()
    return tmp_path / 'state'


@pytest.fixture
def machines(tmp_path, registry, extensions, forks, folder):
    return [Machine(tmp_path / name, registry, extensions, forks, place=str(folder)) for name in ('first', 'second')]


@pytest.fixture
def container(emulator):
    client = emulator.client().get_container_client('state')
    client.create_container()
    yield client
    if client.exists():
        client.delete_container()


@pytest.fixture
def remote_machines(tmp_path, registry, extensions, forks, emulator, container):
    place = f'azure-blob:{ACCOUNT}/state/registries'
    return [
        Machine(tmp_path / name, registry, extensions, forks, place=place, emulator=emulator)
        for name in ('first', 'second')
    ]


def manifest_reads(registry, az, *more):
    registry.forget()
    az(*PRUNE, 'plan', *TARGET, *more, check=True)
    return registry.counters['manifest_get']


UNDO, RESTORE = (*PRUNE, 'undo', *TARGET, '--yes'), (*PRUNE, 'restore', *TARGET, '--soft-deleted')


@pytest.mark.parametrize('place, bring_back', [('machines', UNDO), ('remote_machines', RESTORE)])
def test_a_second_machine_goes_on_where_the_first_one_was(request, registry, now, place, bring_back, tmp_path):
    one, two = request.getfixturevalue(place)
    registry.storage.soft_delete_days = 7
    images = telling(registry.storage, now)
    before = state(registry)
    assert manifest_reads(registry, one) == 10 and manifest_reads(registry, two) == 0, 'the cache is shared'
    pins = tmp_path / 'pins.yaml'
    pins.write_text(f'image: {registry.login_server}/team/app@{images.kept[0]}\n')
    lock = (*PRUNE, 'pins', 'lock', *TARGET, '--yes', '--pins', str(pins))
    assert one(*lock, check=True).json['summary']['locked'] == 1
    run = one(*NIGHTLY, check=True)
    assert run.json['summary']['manifestsDeleted'] == 3 and state(registry) != before
    known = two(*PRUNE, 'history', 'list', check=True).json
    assert [each['run'] for each in known] == [each['run'] for each in one(*PRUNE, 'history', 'list', check=True).json]
    assert known[0]['run'] == run.json['run'] and len(known) == 2
    shown = two(*PRUNE, 'history', 'show', '--run', run.json['run'], check=True).json
    assert {each['digest'] for each in shown['requests'] if each['request'] == 'deleteManifest'} >= {images.stale}
    back = two(*bring_back, check=True)
    assert back.json['summary']['manifestsRestored'] == 3
    assert run.json['run'] in (back.json.get('undoes') or back.err)
    pins.write_text(f'image: {registry.login_server}/team/other:v1\n')
    moved = two(*lock, check=True).json['summary']
    assert (moved['locked'], moved['unlocked']) == (1, 1), 'the marks are shared'
    assert manifest_reads(registry, two) <= 3


def test_only_one_run_at_a_time_is_at_work_and_the_other_says_who_is(machines, registry, now):
    one, two = machines
    images = telling(registry.storage, now)
    hold = registry.faults.hold('^DELETE')
    first = one.start(*NIGHTLY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert hold.wait(first)
    refused = two(*NIGHTLY, '--lock-timeout', '0')
    assert refused.code == 1 and 'az acr prune untagged, by' in refused.err and '--no-lock' in refused.err, refused.err
    assert two(*PRUNE, 'plan', *TARGET).code == 0, 'who changes nothing needs no lock'
    second = two.start(*NIGHTLY, '--no-lock', stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    hold.let_go()
    for run in (first, second):
        _, err = run.communicate()
        assert run.returncode == 0, err
    assert images.stale not in registry.storage.state('team/app').manifests
    assert all(digest in str(state(registry)) for digest in images.kept)
    assert len(two(*PRUNE, 'history', 'list', check=True).json) >= 1
    assert two(*NIGHTLY, '--lock-timeout', '0').code == 0, 'the lock was given up'


@pytest.mark.parametrize('place', ['machines', 'remote_machines'])
def test_what_a_killed_run_left_unlocked_is_locked_by_the_next_machine(request, registry, now, place):
    """A system gives up the lock of a process that died; a storage account does when the lease runs out."""
    one, two = request.getfixturevalue(place)
    shelf = Shelf(registry.storage, now)
    digest = shelf.image('locked', days=40)
    registry.storage.state('team/app').manifests[digest].flags['deleteEnabled'] = False
    tags = (
        *PRUNE,
        'tags',
        *TARGET,
        '--match',
        'team/app:*',
        '--untagged-only',
        '--include-locked',
        '--ago',
        '1d',
        '--yes',
    )
    hold = registry.faults.hold('^DELETE')
    process = one.start(*tags, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    assert hold.wait(process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    registry.faults.clear()
    shutil.rmtree(one.home / 'acrprune')
    if place == 'remote_machines':
        refused = two(*NIGHTLY, '--lock-timeout', '0')
        assert refused.code == 1 and 'az acr prune tags, by' in refused.err, refused.err
        request.getfixturevalue('emulator').pass_time(LEASE_SECONDS)
    settled = two(*NIGHTLY)
    assert settled.code == 0 and 'is locked again' in settled.err, settled.err
    assert two(*PRUNE, 'history', 'list', check=True).json[-1]['leftUnlocked'] == []


def lines_in(container):
    """All lines of all journals."""
    return b''.join(
        container.download_blob(blob.name).readall()
        for blob in container.list_blobs()
        if '/journal/' in blob.name and blob.name.endswith('.jsonl')
    )


def test_a_state_that_breaks_in_the_middle_ends_the_run_and_has_all_that_was_sent(
    remote_machines, registry, now, container
):
    one, two = remote_machines
    shelf = Shelf(registry.storage, now)
    for number in range(12):
        shelf.image(f'old {number}')
    hold = registry.faults.hold('^DELETE', after=1)
    first = one.start(*NIGHTLY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert hold.wait(first)
    while lines_in(container).count(b'"deleteManifest"') < 6:  # one that is done, and five under way
        assert first.poll() is None
    lines = lines_in(container)
    container.delete_container()
    hold.let_go()
    out, err = first.communicate()
    assert first.returncode == 1 and 'nothing more was sent' in out, err
    assert 0 < registry.counters['manifest_delete'] <= lines.count(b'"deleteManifest"') < 12


@pytest.mark.parametrize('place', ['no folder', 'no container'])
def test_a_state_that_cannot_be_reached_is_an_error_before_anything_goes(request, az, registry, now, tmp_path, place):
    telling(registry.storage, now)
    if place == 'no folder':
        run = az(*NIGHTLY, '--state', str(tmp_path / 'not-mounted'))
    else:
        one, _ = request.getfixturevalue('remote_machines')
        run = one(*NIGHTLY, '--state', f'azure-blob:{ACCOUNT}/other')
    assert run.code != 0 and 'The ' in run.err and 'state' in run.err and 'Traceback' not in run.err
    assert registry.counters['manifest_delete'] == 0


def test_a_policy_names_its_state_and_a_plan_in_it_is_applied_elsewhere(az, machines, registry, now, tmp_path, folder):
    telling(registry.storage, now)
    registry.storage.soft_delete_days = 7
    policy, summary = tmp_path / 'policy.yaml', tmp_path / 'summary.md'
    rules = '- name: old\n  match: {everything: true}\n  when: {olderThan: 1d}\n  do: delete\n'
    policy.write_text(f'version: 1\nstate: {folder}\nrules:\n{rules}')
    plan = az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--out', 'state:nightly', check=True).json
    registry.forget()
    refused = az(*PRUNE, 'plan', *TARGET, '--out', 'state:nightly')
    assert refused.code == 1 and 'nothing says which state' in refused.err and not registry.counters, refused.err
    apply = (*PRUNE, 'apply', *TARGET, '--plan', 'state:nightly', *ALL, '--summary-file', str(summary))
    applied = machines[1](*apply, check=True).json
    assert applied['summary']['manifestsDeleted'] == plan['summary']['manifestsToDelete'] > 0
    assert not (az.home / 'acrprune' / 'journal').exists()
    kept = b''.join(path.read_bytes() for path in folder.rglob('*') if path.is_file())
    secrets = [token.encode() for token in registry.auth.issued] + [ADMIN_LOGIN[3].encode()]
    assert kept and not [secret for secret in secrets if secret in kept]
    shown = az(*PRUNE, 'history', 'show', '--state', str(folder), check=True).json['undo']['command']
    (told,) = re.findall(r'^az (acr prune undo .+)$', summary.read_text(), re.M)
    assert f' --state {folder} --run {applied["run"]}' in told and told.split()[5:] == shown.split()[6:]
    back = az(*told.split(), *ADMIN_LOGIN, '--yes', check=True).json['summary']
    assert back['manifestsRestored'] == applied['summary']['manifestsDeleted']


def test_the_state_of_a_policy_has_the_journal_of_the_run_that_carries_out_its_plan(
    az, registry, now, tmp_path, folder
):
    telling(registry.storage, now)
    policy, out = tmp_path / 'policy.yaml', str(tmp_path / 'plan.json')
    rule = 'rules: [{name: old, match: {tagged: false}, when: {olderThan: 30d}, do: delete}]\n'
    policy.write_text(f'version: 1\nstate: state\n{rule}')
    plan = az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--out', out, check=True).json
    assert plan['policy']['state'] == str(folder)
    (tmp_path / 'other').mkdir()
    az(*PRUNE, 'plan', *TARGET, '--policy', str(policy), '--state', str(tmp_path / 'other'), check=True)
    folder.rename(tmp_path / 'not mounted')
    refused = az(*PRUNE, 'apply', *TARGET, '--plan', out, '--yes')
    assert refused.code == 1 and 'The plan names this state' in refused.err and str(folder) in refused.err
    assert registry.counters['manifest_delete'] == 0
    (tmp_path / 'not mounted').rename(folder)
    run = az(*PRUNE, 'apply', *TARGET, '--plan', out, '--yes', check=True).json['run']
    listed = az(*PRUNE, 'history', 'list', '--state', str(folder), check=True).json
    assert [each['run'] for each in listed] == [run] and not (az.home / 'acrprune' / 'journal').exists()


def test_a_working_copy_that_is_deleted_meanwhile_takes_no_journal_out_of_the_state(az, registry, now, folder):
    done = []
    telling(registry.storage, now)
    az(*NIGHTLY, '--state', str(folder), check=True)

    def clean(_, path):
        if not done and '_manifests' in path:
            done.append(shutil.rmtree(az.home / 'acrprune' / 'states'))

    registry.on_request = clean
    az(*PRUNE, 'plan', *TARGET, '--untagged', '--state', str(folder), check=True)
    assert done and len(az(*PRUNE, 'history', 'list', '--state', str(folder)).json) == 1


@pytest.mark.parametrize('let_go', [False, True])
@pytest.mark.parametrize('changes', ['DELETE', 'PATCH'])
def test_a_second_stop_is_answered_although_the_container_is_silent(
    remote_machines, emulator, registry, now, tmp_path, changes, let_go
):
    one, two = remote_machines
    kept = telling(registry.storage, now).kept[0]
    pins = tmp_path / 'pins.yaml'
    pins.write_text(f'image: {registry.login_server}/team/app@{kept}\n')
    lock = (*PRUNE, 'pins', 'lock', *TARGET, '--yes', '--pins', str(pins))
    hold = registry.faults.hold(changes)
    process = one.start(*(NIGHTLY if changes == 'DELETE' else lock), **PIPES)
    assert hold.wait(process)
    with emulator.silent():
        interrupt(process)
        read_until(process.stderr, 'Ctrl-C again gives up on')
        if let_go:
            hold.let_go()
        interrupt(process)
        out, err = process.communicate(timeout=120)  # a call to the container is waited for five minutes
    assert process.returncode == 1 and json.loads(out)['exitReason'] == 'interrupted' and 'Traceback' not in err
    registry.faults.clear()
    emulator.pass_time(LEASE_SECONDS + 1)
    assert two(*NIGHTLY, check=True).json['summary']['failed'] == 0, 'the lock of the state is over, too'
