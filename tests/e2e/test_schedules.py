"""Schedules on ACR Tasks, in the real az against the local resource manager."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from azext_acrprune.schedules.artifact import ARTIFACT_TYPE, PREVIEW_TYPE, REPORT_TYPE
from azext_acrprune.schedules.runs import answer_in
from azext_acrprune.schedules.task import Schedule
from tests.registry.auth import SUBSCRIPTION, TENANT
from tests.registry.azcli import Az, az_executable
from tests.registry.builder import OCI_IMAGE, image_manifest
from tests.registry.faults import Fault
from tests.registry.tasks import IDENTITY_HEADER, PRINCIPAL

from .images import Shelf, telling
from .test_archive import PRUNE

SCHEDULE = (*PRUNE, 'schedule')
NIGHTLY = ('-r', 'localhost', '-n', 'nightly')
CREATE = (*SCHEDULE, 'create', *NIGHTLY, '--cron', '0 3 * * *', '--ago', '30d', '--identity', '[system]')
OF_SCHEDULES = ('task_put', 'task_delete', 'role_put', 'manifest_put', 'patch', 'manifest_delete')


def test_who_is_not_signed_in_is_told_so(az):
    run = az(*PRUNE, 'schedule', 'list', '-r', 'localhost')
    assert (run.code, run.out) == (1, '') and "Sign in again with 'az login'." in run.err, run.err


def changes(registry) -> dict[str, int]:
    """The calls that changed anything, by kind, since the last time."""
    found = {kind: registry.counters[kind] for kind in OF_SCHEDULES if registry.counters[kind]}
    registry.forget()
    return found


def test_the_life_of_a_schedule(signed_in, registry):
    az = signed_in
    dry = az(*CREATE, '--enforce', '--dry-run', check=True).json
    assert changes(registry) == {} and dry['changed'] is False and 'az login --identity' in dry['yaml']
    assert [role['state'] for role in dry['roles']] == ['notAssigned'] * 3

    created = az(*CREATE, '--enforce', check=True).json
    assert changes(registry) == {'task_put': 1, 'role_put': 3, 'manifest_put': 2, 'patch': 2}
    assert created['artifact'] == dry['artifact'] and created['yaml'] == dry['yaml'] and created['changed']
    tags = registry.storage.tags('acrprune/schedules')
    assert tags['nightly'].digest == created['artifact']['digest'] and 'nightly.preview' in tags
    assert registry.tasks.roles == {('Reader', 'localhost'), ('AcrPull', 'localhost'), ('AcrDelete', 'localhost')}

    again = az(*CREATE, '--enforce', check=True).json
    assert changes(registry) == {} and again['changed'] is False

    assert az(*SCHEDULE, 'run', *NIGHTLY, check=True).json['state'] == 'Queued'
    registry.tasks.runs[0]['properties'].update(status='Succeeded', finishTime='2026-01-01T03:05:00Z')
    answer = {'exitReason': 'done', 'summary': {'manifestsDeleted': 2, 'freedBytes': 1234}}
    registry.tasks.logs['c1'] = f'REPOSITORY  DIGEST\n{json.dumps(answer, indent=2)}\n'
    (listed,) = az(*SCHEDULE, 'list', check=True).json
    assert (listed['lastRun']['exitReason'], listed['lastRun']['freedBytes']) == ('done', 1234)
    assert listed['enforce'] and listed['nextRun'].endswith('T03:00:00Z')
    logs = az(*SCHEDULE, 'logs', *NIGHTLY, check=True)
    assert logs.json['summary'] == answer['summary'] and logs.json['log'][0] == 'REPOSITORY  DIGEST'
    assert 'secret-of-the-log' not in az(*SCHEDULE, 'logs', *NIGHTLY, '--debug', check=True).err
    registry.forget()

    assert az(*SCHEDULE, 'delete', *NIGHTLY, '--yes', check=True).json['deleted']
    assert changes(registry)['task_delete'] == 1 and registry.storage.repositories() == []
    assert 'There is no schedule' in az(*SCHEDULE, 'show', *NIGHTLY).err


def context_of(registry, reference: str, folder: Path) -> None:
    """What ACR Tasks does with an `oci://` context: each layer is a file with the title of the layer."""
    repository, _, tag = reference.partition(':')
    manifest = json.loads(registry.storage.manifest(repository, registry.storage.tags(repository)[tag].digest).data)
    folder.mkdir()
    for layer in manifest['layers']:
        name = layer['annotations']['org.opencontainers.image.title']
        (folder / name).write_bytes(registry.storage.get_blob(layer['digest']))


ALL = ('verify', 'cloud', 'login', 'extension', 'plan', 'apply')
OF_THE_REGISTRY = ('REQUESTS_CA_BUNDLE', 'SSL_CERT_FILE')
"""With the CA of the tests alone, pip reaches no package index."""


def run_task(az: Az, registry, task: dict, folder: Path, wanted: tuple[str, ...] = ALL) -> str:
    """Run the steps of a task one by one, as their containers do, in one folder and with one home; gives the log."""
    steps = yaml.safe_load(base64.b64decode(task['properties']['step']['encodedTaskContent']))['steps']
    identity = {'IDENTITY_ENDPOINT': f'https://{registry.login_server}/msi/token', 'IDENTITY_HEADER': IDENTITY_HEADER}
    path = f'{Path(az_executable()).parent}:{os.environ["PATH"]}'
    log = ''
    assert tuple(step['id'] for step in steps) == ALL
    for step in (step for step in steps if step['id'] in wanted):
        image, _, command = step['cmd'].partition(' ')
        assert '@sha256:' in image
        environment = {**az.environment, **identity, 'PATH': path}
        if step['id'] == 'extension':
            environment = {key: value for key, value in environment.items() if key not in OF_THE_REGISTRY}
        done = subprocess.run(
            ['sh', '-c', command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f'{step["id"]}: {done.stdout}{done.stderr}'
        log += done.stderr + done.stdout
    return log


def report_of(registry) -> str:
    """What is in the artifact with the report of the last run."""
    digest = registry.storage.tags('acrprune/reports')['nightly'].digest
    (layer,) = json.loads(registry.storage.manifest('acrprune/reports', digest).data)['layers']
    assert layer['annotations']['org.opencontainers.image.title'] == 'report.md'
    return registry.storage.get_blob(layer['digest']).decode()


def test_the_task_runs_step_by_step_from_the_artifact_that_was_pushed(signed_in, registry, now, task_home, tmp_path):
    images = telling(registry.storage, now)
    (tmp_path / 'policy.yaml').write_text(
        'version: 1\n'
        'rules: [{name: old, match: {tagged: false}, when: {olderThan: 30d}, do: delete}]\n'
        'pins: {paths: [used]}\n'
    )
    (tmp_path / 'used').mkdir()
    (tmp_path / 'used' / 'app.yaml').write_text(f'image: {registry.login_server}/team/other:v1\n')
    by_policy = ('--cron', '0 3 * * *', '--policy', str(tmp_path / 'policy.yaml'), '--identity', '[system]')
    signed_in(*SCHEDULE, 'create', *NIGHTLY, *by_policy, '--enforce', '--report-artifact', check=True)
    task = registry.tasks.tasks['localhost', 'acrprune-nightly']
    folder = tmp_path / 'workspace'
    context_of(
        registry, task['properties']['step']['contextPath'].removeprefix(f'oci://{registry.login_server}/'), folder
    )

    first = run_task(task_home, registry, task, folder)
    assert answer_in(first)['exitReason'] == 'wouldChange' and 'only previews' in first
    assert images.stale in registry.storage.manifests('team/app')
    assert '**Would delete 3 manifests' in report_of(registry)
    assert 'nightly.preview' not in registry.storage.tags('acrprune/schedules')
    second = run_task(task_home, registry, task, folder, wanted=('plan', 'apply'))
    assert answer_in(second)['summary']['manifestsDeleted'] == 3
    assert images.stale not in registry.storage.manifests('team/app')
    assert registry.storage.tags('acrprune/schedules').keys() == {'nightly'}
    assert '**Deleted 3 manifests' in report_of(registry)
    assert len(registry.storage.manifests('acrprune/reports')) == 1, 'the report before is gone'
    (folder / 'policy.yaml').write_text('version: 1\n')
    with pytest.raises(AssertionError, match='policy.yaml: FAILED'):
        run_task(task_home, registry, task, folder, wanted=('verify',))


def test_what_is_no_schedule_is_refused(az):
    for wrong, told in (
        (('--cron', '0 25 * * *'), 'is no hour'),
        (('--identity', 'pruner'), 'is not the resource id'),
        (('--image', 'mcr.microsoft.com/azure-cli:latest'), 'is not pinned by its digest'),
    ):
        run = az(*CREATE, *wrong)
        assert run.code == 1 and told in run.err, run.err


USER = '/subscriptions/{}/resourceGroups/local/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pruner'
PRUNER = USER.format(SUBSCRIPTION)


def have_user_identity(registry) -> None:
    properties = {'principalId': PRINCIPAL, 'clientId': 'c0c0c0c0-0000-4000-8000-000000000001', 'tenantId': TENANT}
    path = PRUNER.removeprefix(f'/subscriptions/{SUBSCRIPTION}')
    registry.resources.at[path] = {'id': PRUNER, 'name': 'pruner', 'location': 'local', 'properties': properties}


def test_a_schedule_is_changed_piece_by_piece(signed_in, registry, now):
    az = signed_in
    have_user_identity(registry)
    digest = Shelf(registry.storage, now, 'tools/azure-cli').image('az', days=400)
    image = f'{registry.login_server}/tools/azure-cli@{digest}'
    registry.manager.accounts = ['myaccount']
    flags = ('--no-role-assignment', '--agent-pool', 'inside', '--image', image)
    flags += ('--state', 'azure-blob:myaccount/acrprune')
    first = az(*CREATE[:-1], PRUNER, *flags, check=True)
    assert not registry.storage.manifests('tools/azure-cli')[digest].flags['deleteEnabled']
    assert first.json['stepImage'] == image and image in first.json['yaml']
    assert registry.tasks.roles == set() and '--role "AcrPull" --assignee-object-id ' + PRINCIPAL in first.err
    task = registry.tasks.tasks['localhost', 'acrprune-nightly']
    assert set(task['identity']['userAssignedIdentities']) == {PRUNER} and '--resource-id' in first.json['yaml']
    assert task['properties']['agentPoolName'] == 'inside' and '--dry-run' in first.json['yaml']

    changed = az(*SCHEDULE, 'update', *NIGHTLY, '--enforce', 'true', '--cron', '30 2 * * sun', check=True).json
    assert changed['enforce'] and changed['cron'] == '30 2 * * sun' and changed['agentPool'] == 'inside'
    assert '--ago 30d' in changed['yaml'] and '--preview-tag' in changed['yaml']
    tags = registry.storage.tags('acrprune/schedules')
    assert (
        tags.keys() == {'nightly', 'nightly.preview'}
        and changed['artifact']['digest'] != first.json['artifact']['digest']
    )
    assert len(registry.storage.manifests('acrprune/schedules')) == 2, 'the artifact before is gone'
    wanted = {('AcrDelete', 'localhost'), ('Storage-Blob-Data-Contributor', 'myaccount')}
    assert wanted < registry.tasks.roles and '--plan state:nightly' in changed['yaml']

    off = az(*SCHEDULE, 'update', *NIGHTLY, '--enabled', 'false', check=True).json
    assert not off['enabled'] and off['nextRun'] is None and off['artifact']['digest'] == changed['artifact']['digest']
    assert registry.tasks.tasks['localhost', 'acrprune-nightly']['properties']['status'] == 'Disabled'

    deleted = az(*SCHEDULE, 'delete', *NIGHTLY, '--yes', check=True)
    unlocks = f'az acr repository update --name localhost --image tools/azure-cli@{digest} --delete-enabled true'
    assert 'stays locked' in deleted.err and unlocks in deleted.err


WEEKLY = Schedule('weekly', '1.0.0', 'tools/azure-cli:latest', False, 7200)


@pytest.mark.parametrize(
    'config', [b'{}', b'{"name": "nightly"}', b'[' * 200_000, b'\xff', json.dumps(WEEKLY.document()).encode()]
)
def test_what_somebody_else_put_in_the_place_of_a_schedule_is_left_alone_and_named(signed_in, registry, now, config):
    az = signed_in
    az(*CREATE, check=True)
    storage, task = registry.storage, registry.tasks.tasks['localhost', 'acrprune-nightly']
    storage.tags('acrprune/schedules')['nightly'].flags['writeEnabled'] = True
    data = image_manifest((storage.put_blob(config), len(config)), [])
    digest = Shelf(storage, now, 'acrprune/schedules').put(data, OCI_IMAGE, 'nightly')
    task['properties']['step']['encodedTaskContent'] = base64.b64encode(b'steps:\n  - id: a\n    cmd: az\n').decode()
    changes(registry)
    for change in ((*SCHEDULE, 'update', *NIGHTLY, '--enforce', 'true'), (*CREATE, '--enforce')):
        run = az(*change)
        assert run.code == 1 and "'acrprune/schedules:nightly'" in run.err and 'Traceback' not in run.err, run.err
        assert changes(registry) == {} and storage.tags('acrprune/schedules')['nightly'].digest == digest
    tag = ('-n', 'localhost', '--image', 'acrprune/schedules:nightly')
    for advised in (('repository', 'update', *tag, '--delete-enabled', 'true'), ('repository', 'untag', *tag)):
        assert f"'az acr {' '.join(advised)}'" in run.err, run.err
        az('acr', *advised, check=True)
    az(*CREATE, check=True)
    assert digest in storage.manifests('acrprune/schedules')
    task['properties']['step']['encodedTaskContent'] = base64.b64encode(b'steps:\n  - id: a\n    cmd: az\n').decode()
    assert az(*SCHEDULE, 'delete', *NIGHTLY, '--yes', check=True).json['deleted']


def again(registry, now, tag: str, *tags: str) -> str:
    """The digest that a tag is on, after more tags were put on it."""
    storage, repository = registry.storage, 'acrprune/schedules'
    digest = storage.tags(repository)[tag].digest
    for each in tags:
        Shelf(storage, now, repository).put(storage.manifest(repository, digest).data, OCI_IMAGE, each)
    return digest


def test_the_artifact_of_a_schedule_stays_where_it_has_another_tag(signed_in, registry, now):
    az, storage = signed_in, registry.storage
    az(*CREATE, '--enforce', check=True)
    artifact = again(registry, now, 'nightly', 'kept')
    preview = again(registry, now, 'nightly.preview', 'kept.preview')
    az(*SCHEDULE, 'update', *NIGHTLY, '--time-limit', '1h', check=True)
    assert again(registry, now, 'nightly') != artifact == again(registry, now, 'kept')
    assert again(registry, now, 'nightly.preview') != preview == again(registry, now, 'kept.preview')
    now_there = {again(registry, now, 'nightly', 'also'), again(registry, now, 'nightly.preview', 'also.preview')}
    assert az(*SCHEDULE, 'delete', *NIGHTLY, '--yes', check=True).json['deleted']
    assert storage.tags('acrprune/schedules').keys() == {'kept', 'kept.preview', 'also', 'also.preview'}
    assert storage.manifests('acrprune/schedules').keys() == {artifact, preview} | now_there


@pytest.mark.parametrize('artifact_type', [None, ARTIFACT_TYPE, PREVIEW_TYPE, REPORT_TYPE])
def test_deleting_a_schedule_leaves_what_somebody_else_put_in_its_place(signed_in, registry, now, artifact_type):
    az, storage = signed_in, registry.storage
    az(*CREATE, '--enforce', check=True)
    other = json.dumps(WEEKLY.document()).encode()
    annotations = {'acrprune.schedule': 'weekly'}
    data = image_manifest(
        (storage.put_blob(other), len(other)), [], artifact_type=artifact_type, annotations=annotations
    )
    shelf = Shelf(storage, now, 'acrprune/schedules')
    storage.tags('acrprune/schedules')['nightly'].flags['writeEnabled'] = True
    for tag in ('nightly', 'nightly.preview'):
        digest = shelf.put(data, OCI_IMAGE, tag)
    run = az(*SCHEDULE, 'delete', *NIGHTLY, '--yes', check=True)
    assert run.json['deleted'] and digest in storage.manifests('acrprune/schedules')
    assert f'it is on something else than this schedule: {digest}' in run.err
    assert storage.tags('acrprune/schedules').keys() == {'nightly'}
    assert 'There is no schedule' in az(*SCHEDULE, 'delete', *NIGHTLY, '--yes').err


def test_what_keeps_a_run_from_the_registry_is_said_before(signed_in, registry):
    az = signed_in
    several = az(*SCHEDULE, 'create', '-r', 'localhost', 'nosuchregistry', *CREATE[len(SCHEDULE) + 3 :], '--dry-run')
    good, bad = several.json['registries']
    assert several.code == 1 and good['result']['exitReason'] == 'wouldChange' and 'nosuchregistry' in bad['error']

    registry.manager.properties = {
        'networkRuleSet': {'defaultAction': 'Deny'},
        'networkRuleBypassOptions': 'AzureServices',
    }
    refused = az(*CREATE)
    assert refused.code == 1 and 'three ways' in refused.err and 'The first one fits' in refused.err
    assert az(*CREATE, '--agent-pool', 'inside', '--dry-run').code == 0

    registry.manager.names.append('broken')
    registry.faults.rules.append(Fault('GET .*/registries/broken/tasks', 403))
    listed = az(*SCHEDULE, 'list')
    assert listed.code == 1 and 'broken: ' in listed.err and 'Not all schedules' in listed.err, listed.err
    registry.manager.names.pop()

    registry.manager.properties = {'roleAssignmentMode': 'AbacRepositoryPermissions'}
    have_user_identity(registry)
    registry.tasks.may_assign = False
    forbidden = az(*CREATE[:-1], PRUNER, '--enforce')
    assert forbidden.code == 1 and 'may not write role assignments' in forbidden.err
    task = registry.tasks.tasks['localhost', 'acrprune-nightly']
    source = task['properties']['credentials']['sourceRegistry']
    assert source == {'identity': 'c0c0c0c0-0000-4000-8000-000000000001'}
    registry.tasks.may_assign = True
    again = az(*CREATE[:-1], PRUNER, '--enforce', check=True).json
    assert {role['role'] for role in again['roles']} == {
        'Reader',
        'Container Registry Repository Catalog Lister',
        'Container Registry Repository Contributor',
    }
