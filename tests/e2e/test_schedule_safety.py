"""Schedules that may do no more than was asked: pins that stay, first runs that preview, and tasks of others."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.registry.faults import Fault

from .images import Shelf, telling
from .test_archive import PRUNE
from .test_schedules import ALL, CREATE, NIGHTLY, SCHEDULE, context_of, run_task


def task_of(az, registry, folder, *options):
    """(the task of a new schedule that deletes, the folder with its files)"""
    az(
        *SCHEDULE,
        'create',
        *NIGHTLY,
        '--cron',
        '0 3 * * *',
        '--identity',
        '[system]',
        '--enforce',
        *options,
        check=True,
    )
    task = json.loads(json.dumps(registry.tasks.tasks['localhost', 'acrprune-nightly']))
    context = task['properties']['step']['contextPath'].removeprefix(f'oci://{registry.login_server}/')
    context_of(registry, context, folder)
    return task, folder


@pytest.mark.parametrize('kind', ['linked folder', 'broken link', 'file beside'])
def test_the_pins_of_a_schedule_are_those_that_were_given(signed_in, registry, now, task_home, tmp_path, kind):
    shelf, host = Shelf(registry.storage, now), registry.login_server
    shelf.image('used', tag='v1', days=60)
    shelf.image('other', tag='v2', days=60)
    deploy, real = tmp_path / 'deploy', tmp_path / 'real'
    deploy.mkdir(), real.mkdir()
    (deploy / 'other.yaml').write_text(f'image: {host}/team/app:v2\n')
    pins = deploy
    if kind == 'linked folder':
        (real / 'app.yaml').write_text(f'image: {host}/team/app:v1\n')
        (deploy / 'production').symlink_to(real, target_is_directory=True)
    elif kind == 'broken link':  # a volume that is not mounted now; any other command says so and, with --yes, refuses
        (deploy / 'app.yaml').symlink_to(tmp_path / 'not mounted' / 'app.yaml')
    else:
        pins = deploy / 'compose.yaml'
        pins.write_text(f'services: {{app: {{image: "{host}/team/app:${{TAG:-v2}}"}}}}\n')
        (deploy / '.env').write_text('TAG=v1\n')
    what = ('--match', 'team/app:v1', '--ago', '10d', '--untagged', '--pins', str(pins), '--max-percent', '100')
    here = signed_in(*PRUNE, 'tags', '-r', 'localhost', *what, '--yes')
    assert 'v1' in registry.storage.tags('team/app'), 'here it stays'
    assert here.code == (1 if kind == 'broken link' else 0)
    if kind == 'broken link':
        assert signed_in(*SCHEDULE, 'create', *NIGHTLY, '--cron', '0 3 * * *', '--identity', '[system]', *what).code
        return
    task, folder = task_of(signed_in, registry, tmp_path / 'work', *what)
    run_task(task_home, registry, task, folder)
    run_task(task_home, registry, task, folder, wanted=('plan', 'apply'))
    assert 'v1' in registry.storage.tags('team/app')


def test_the_run_of_an_older_schedule_does_not_use_up_the_preview_of_the_new_one(
    signed_in, registry, now, task_home, tmp_path
):
    telling(registry.storage, now)
    task, folder = task_of(signed_in, registry, tmp_path / 'old', '--ago', '30d', '--untagged')
    run_task(task_home, registry, task, folder)
    run_task(task_home, registry, task, folder, wanted=('plan',))  # the timer fires, and while it plans ...
    new, newer = task_of(
        signed_in, registry, tmp_path / 'new', '--ago', '30d', '--match', 'team/*:*', '--max-percent', '100'
    )
    run_task(task_home, registry, task, folder, wanted=('apply',))
    run_task(task_home, registry, new, newer)  # the first run of what it is now
    assert 'v1' in registry.storage.tags('team/other')


@pytest.mark.parametrize('change', ['update', 'delete'])
def test_a_first_run_under_way_stays_a_preview(signed_in, registry, now, task_home, tmp_path, change):
    images = telling(registry.storage, now)
    task, folder = task_of(signed_in, registry, tmp_path / 'work', '--ago', '30d', '--untagged')
    run_task(task_home, registry, task, folder, wanted=ALL[:-1])
    off = ('update', *NIGHTLY, '--enforce', 'false') if change == 'update' else ('delete', *NIGHTLY, '--yes')
    signed_in(*SCHEDULE, *off, check=True)
    run_task(task_home, registry, task, folder, wanted=('apply',))
    assert images.stale in registry.storage.manifests('team/app')


def test_switching_enforce_off_that_fails_leaves_the_preview(signed_in, registry, now, task_home, tmp_path):
    images = telling(registry.storage, now)
    task, folder = task_of(signed_in, registry, tmp_path / 'work', '--ago', '30d', '--untagged')
    registry.faults.rules += [Fault('PUT /v2/acrprune/schedules/manifests/', 403)]
    assert signed_in(*SCHEDULE, 'update', *NIGHTLY, '--enforce', 'false').code == 1
    registry.faults.clear()
    assert registry.tasks.tasks['localhost', 'acrprune-nightly'] == task
    run_task(task_home, registry, task, folder)
    assert images.stale in registry.storage.manifests('team/app')


def test_the_task_of_somebody_else_is_not_deleted(signed_in, registry):
    signed_in(*CREATE, check=True)
    task = registry.tasks.tasks.pop(('localhost', 'acrprune-nightly'))
    signed_in(*SCHEDULE, 'delete', *NIGHTLY, '--yes')
    registry.tasks.tasks['localhost', 'acrprune-nightly'] = {**task, 'tags': {'team': 'x'}}
    signed_in(*SCHEDULE, 'delete', *NIGHTLY, '--yes')
    assert registry.tasks.tasks


def test_a_schedule_takes_the_state_of_a_new_policy(signed_in, registry, tmp_path):
    registry.manager.accounts = ['myaccount']
    rule = 'rules: [{name: old, match: {tagged: false}, when: {olderThan: 30d}, do: delete}]\n'
    (tmp_path / 'p1.yaml').write_text(f'version: 1\n{rule}')
    (tmp_path / 'p2.yaml').write_text(f'version: 1\nstate: azure-blob:myaccount/acrprune\n{rule}')
    task_of(signed_in, registry, tmp_path / 'work', '--policy', str(tmp_path / 'p1.yaml'))
    new = signed_in(*SCHEDULE, 'update', *NIGHTLY, '--policy', str(tmp_path / 'p2.yaml'), check=True)
    assert '--state azure-blob:myaccount/acrprune' in new.json['yaml']


def test_an_odd_role_or_task_is_told(signed_in, registry):
    az, service = signed_in, registry.tasks
    registry.faults.rules += [Fault('GET [^ ]*/roleDefinitions', 'proxy', body=b'{"value": []}')]
    unlisted = az(*CREATE)
    assert unlisted.code == 3 and "no role 'Reader'" in unlisted.err and not service.tasks, unlisted.err
    registry.faults.clear()
    az(*CREATE, check=True)
    task = service.tasks['localhost', 'acrprune-nightly']
    service.tasks['localhost', 'acrprune-nightly'] = {**task, 'identity': None}
    anonymous = az(*SCHEDULE, 'update', *NIGHTLY, '--enforce', 'true')
    assert anonymous.code == 1 and 'Give --identity' in anonymous.err, anonymous.err
    assert az(*SCHEDULE, 'show', *NIGHTLY, '-o', 'table').code == 0
    az(*SCHEDULE, 'update', *NIGHTLY, '--identity', '[system]', check=True)
    task = service.tasks['localhost', 'acrprune-nightly']
    task['properties']['trigger'] = {}
    untimed = az(*SCHEDULE, 'update', *NIGHTLY, '--enforce', 'true')
    assert untimed.code == 1 and 'Give --cron' in untimed.err, untimed.err
    assert 'None' not in az(*SCHEDULE, 'show', *NIGHTLY, '-o', 'table', check=True).out
    assert az(*SCHEDULE, 'list', '-r', 'localhost', check=True).json[0]['cron'] is None
    az(*SCHEDULE, 'update', *NIGHTLY, '--cron', '0 4 * * *', check=True)


def test_a_schedule_that_validates_can_be_looked_at_before(signed_in):
    assert '--validate' in signed_in(*CREATE, '--validate', '--dry-run', check=True).json['yaml']


def test_a_policy_without_a_name_is_an_error_and_not_no_policy(signed_in, registry):
    timer = ('--cron', '0 3 * * *', '--identity', '[system]')
    assert signed_in(*SCHEDULE, 'create', *NIGHTLY, *timer, '--policy', '').code == 1
    assert not registry.tasks.tasks
    signed_in(*CREATE, check=True)
    assert signed_in(*SCHEDULE, 'update', *NIGHTLY, '--policy', '').code == 1


def test_the_task_in_a_table_is_yaml(signed_in):
    answer = signed_in(*CREATE, '--enforce', '--dry-run', check=True).json
    table = signed_in(*CREATE, '--enforce', '--dry-run', '-o', 'table', check=True).out
    assert answer['yaml'] in table
    assert yaml.safe_load(table[table.index('version: ') :])['steps']


def test_the_pins_of_a_policy_take_the_place_of_no_file_of_the_schedule(signed_in, tmp_path):
    (tmp_path / 'compose.yaml').write_text('services: {}\n')
    rules = 'version: 1\nrules: [{name: old, match: {tagged: false}, when: {olderThan: 30d}, do: delete}]\n'
    (tmp_path / 'ours.yaml').write_text(f'{rules}pins: {{paths: [compose.yaml]}}\n')
    by_policy = ('--cron', '0 3 * * *', '--identity', '[system]', '--policy', str(tmp_path / 'ours.yaml'), '--dry-run')
    signed_in(*SCHEDULE, 'create', *NIGHTLY, *by_policy, check=True)
    (tmp_path / 'policy.yaml').write_text(rules)
    refused = signed_in(*SCHEDULE, 'create', *NIGHTLY, *by_policy)
    assert refused.code == 1 and "'policy.yaml' is beside the policy" in refused.err, refused.err
