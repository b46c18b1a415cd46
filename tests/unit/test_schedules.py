"""Schedules as they are computed: timers, artifacts, tasks and logs."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import sys
import zipfile
from argparse import Namespace
from dataclasses import replace
from datetime import datetime
from io import BytesIO

import pytest
import yaml
from azure.cli.core.azclierror import InvalidArgumentValueError

from azext_acrprune._place_validators import validate_report_tag
from azext_acrprune._validators import validate_preview_tag
from azext_acrprune.custom.schedule_files import pin_files, pins_of, wheel_of
from azext_acrprune.prune_error import PruneError
from azext_acrprune.schedules.artifact import CHECKSUMS, artifact_of, checksums_of, files_in, unzipped, zipped
from azext_acrprune.schedules.cron import Cron
from azext_acrprune.schedules.roles import Role, assignment_command, assignment_name, roles_of
from azext_acrprune.schedules.runs import answer_in
from azext_acrprune.schedules.task import (
    IMAGE,
    SYSTEM,
    Schedule,
    Timing,
    facts_of,
    image_of_task,
    is_as_wanted,
    schedule_of_task,
    steps_of,
    task_document,
    timing_of,
    words_of,
    yaml_of,
)
from azext_acrprune.show.schedule_tables import log_rows, schedule_rows, schedules_rows
from azext_acrprune.show.table import laid_out

MONDAY = datetime(2026, 11, 30, 15, 44)
ID = '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pruner'
REGISTRY_ID = '/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/r'


@pytest.mark.parametrize(
    'text, expected',
    [
        ('0 3 * * *', datetime(2026, 12, 1, 3, 0)),
        ('*/15 * * * *', datetime(2026, 11, 30, 15, 45)),
        ('44 15 * * *', datetime(2026, 12, 1, 15, 44)),
        ('0 0 29 2 *', datetime(2028, 2, 29)),
        ('0 3 * * SUN', datetime(2026, 12, 6, 3, 0)),
        ('0 3 13 * fri', datetime(2026, 12, 4, 3, 0)),
        ('5,10-12 0-6/3 1 jan-mar *', datetime(2027, 1, 1, 0, 5)),
    ],
)
def test_the_next_run_of_a_timer(text, expected):
    assert Cron(text).after(MONDAY) == expected


@pytest.mark.parametrize(
    'text',
    ['', '0 3 * *', '0 3 * * * *', '60 3 * * *', '0 24 * * *', '0 3 0 * *', '0 3 30 2 *', '0 3 * * 7', '*/0 * * * *'],
)
def test_what_is_no_timer_or_never_comes_is_refused(text):
    with pytest.raises(ValueError, match=r'the five fields|is no|never comes'):
        Cron(text)


def test_the_same_files_give_the_same_artifact_in_any_order():
    files = {'b.txt': b'2', 'a.txt': b'1'}
    there = artifact_of({'name': 'nightly'}, files)
    assert there.digest == artifact_of({'name': 'nightly'}, dict(sorted(files.items()))).digest
    assert there.digest != artifact_of({'name': 'nightly'}, {**files, 'a.txt': b'3'}).digest
    found = files_in(yaml.safe_load(there.manifest))
    assert {name: there.blobs[digest] for name, digest in found.items()} == {**files, CHECKSUMS: checksums_of(files)}


def test_a_zip_has_no_times_and_one_order():
    assert zipped({'b': b'2', 'a': b'1'}) == zipped({'a': b'1', 'b': b'2'})
    assert unzipped(zipped({'b/c': b'2', 'a': b'1'})) == {'a': b'1', 'b/c': b'2'}
    with zipfile.ZipFile(BytesIO(zipped({'b': b'2', 'a': b'1'}))) as archive:
        assert archive.namelist() == ['a', 'b'] and archive.read('b') == b'2'


@pytest.fixture
def installed(tmp_path):
    """A package as pip leaves it."""
    package, notes = tmp_path / 'azext_acrprune', tmp_path / 'acrprune-1.2.3.dist-info'
    (package / '__pycache__').mkdir(parents=True)
    notes.mkdir()
    (package / '__init__.py').write_text('x = 1\n')
    (package / '__pycache__' / '__init__.pyc').write_bytes(b'compiled')
    (notes / 'METADATA').write_text('Metadata-Version: 2.1\nName: acrprune\nVersion: 1.2.3\n')
    (notes / 'WHEEL').write_text('Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
    (notes / 'INSTALLER').write_text('pip\n')
    (notes / 'RECORD').write_text('of the installation\n')
    return package


def test_the_wheel_is_what_is_installed_and_pip_takes_it(installed, tmp_path):
    version, name, data = wheel_of(installed)
    assert version == '1.2.3' and data == wheel_of(installed)[2]
    (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / name) as wheel:
        assert not [each for each in wheel.namelist() if 'pycache' in each or each.endswith('INSTALLER')]
    target = tmp_path / 'target'
    command = [sys.executable, '-m', 'pip', 'install', '--no-index', '--no-deps', '--target', target, tmp_path / name]
    subprocess.run(command, check=True, capture_output=True)
    assert (target / 'azext_acrprune' / '__init__.py').read_text() == 'x = 1\n'


def test_without_the_notes_of_a_wheel_there_is_an_error(installed):
    for file in (installed.parent / 'acrprune-1.2.3.dist-info').iterdir():
        file.unlink()
    (installed.parent / 'acrprune-1.2.3.dist-info').rmdir()
    with pytest.raises(PruneError, match='not installed from a wheel'):
        wheel_of(installed)


def test_pins_keep_their_place_and_stay_apart(tmp_path):
    for folder in ('one', 'two'):
        (tmp_path / folder / 'deploy' / 'sub').mkdir(parents=True)
        (tmp_path / folder / 'deploy' / 'sub' / 'a.yaml').write_text(folder)
    names, files = pins_of([str(tmp_path / 'one' / 'deploy'), str(tmp_path / 'two' / 'deploy' / 'sub' / 'a.yaml')])
    assert names == ['pins-1/deploy', 'pins-2/a.yaml']
    assert files == {'pins-1/deploy/sub/a.yaml': b'one', 'pins-2/a.yaml': b'two'}


def test_a_linked_folder_is_taken_along_by_each_way_to_it_and_a_circle_ends(tmp_path):
    (tmp_path / 'base').mkdir()
    (tmp_path / 'base' / 'a.yaml').write_text('a')
    (tmp_path / 'one').mkdir()
    (tmp_path / 'one' / 'base').symlink_to(tmp_path / 'base', target_is_directory=True)
    (tmp_path / 'base' / 'circle').symlink_to(tmp_path, target_is_directory=True)
    assert pin_files(str(tmp_path), 'x') == {'x/base/a.yaml': b'a', 'x/one/base/a.yaml': b'a'}


def test_a_file_comes_with_those_that_its_values_may_come_from_and_no_others(tmp_path):
    (tmp_path / 'compose.yaml').write_text('image: r.azurecr.io/app:${TAG}\n')
    (tmp_path / '.env').write_text('TAG=v1\n')
    (tmp_path / 'photo.jpg').write_bytes(b'x')
    (tmp_path / 'large.yaml').write_bytes(b'#' * (1 << 20))
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    (tmp_path / 'a' / 'b' / 'deep.yaml').write_text('x: 1\n')
    assert pin_files(str(tmp_path / 'compose.yaml'), 'pins-1/compose.yaml').keys() == {
        'pins-1/compose.yaml',
        'pins-1/.env',
    }


@pytest.mark.parametrize('kind', ['empty folder', 'name'])
def test_pins_that_no_run_could_read_are_an_error(tmp_path, kind):
    if kind == 'name':
        (tmp_path / 'a\udcff.yaml').write_text('x')
    with pytest.raises(PruneError, match='There is no file in the folder|is not in UTF-8'):
        pins_of([str(tmp_path)])


def test_a_value_that_acr_tasks_would_read_as_something_else_is_in_a_file():
    files: dict[str, bytes] = {}
    words = words_of(
        [('--filter', '.*:^pr-[0-9]+$'), ('--match', 'a/**:{{x}}'), ('--ago', '30d'), ('--untagged', True)], files
    )
    assert words[0::2][:2] == ('--filter', '--match') and words[4:] == ('--ago', '30d', '--untagged')
    assert [files[word[1:]] for word in words[1:4:2]] == [b'.*:^pr-[0-9]+$', b'a/**:{{x}}']
    assert not [word for word in words if '$' in word or '{{' in word]


def schedule(enforce: bool = True) -> Schedule:
    return Schedule('nightly', '1.0', IMAGE, enforce, 3600, ('--ago', '30d'), ('--max-percent', '5'))


@pytest.mark.parametrize('enforce', [True, False])
def test_only_a_schedule_that_is_to_delete_has_a_step_that_may(enforce):
    files = {'x.whl': b'wheel'}
    steps = steps_of(schedule(enforce), SYSTEM, 'r', 'x.whl', files)
    assert [step['id'] for step in steps] == ['verify', 'login', 'extension', 'plan', 'apply']
    assert all(step['cmd'].startswith(f'{IMAGE} ') for step in steps)
    *_, plan, apply = (shlex.split(step['cmd'])[1:] for step in steps)
    assert plan[:4] == ['az', 'acr', 'prune', 'plan'] and plan[-6:-4] == ['--ago', '30d']
    assert ('--dry-run' in apply, '--yes' in apply, '--preview-tag' in apply) == (not enforce, enforce, enforce)
    assert yaml.safe_load(yaml_of(steps, 3600))['steps'] == steps
    assert all('plan.json' in words for words in (plan, apply))
    assert '--report-tag' not in apply
    reporting = steps_of(replace(schedule(enforce), report_artifact=True), SYSTEM, 'r', 'x.whl', files)
    assert '--report-tag acrprune/reports:nightly' in reporting[-1]['cmd'] and reporting[:-1] == steps[:-1]
    shared = replace(schedule(enforce), plan_words=('--state', 'azure-blob:a/b'))
    *_, plan, apply = (shlex.split(step['cmd']) for step in steps_of(shared, SYSTEM, 'r', 'x.whl', files))
    assert all('state:nightly' in words for words in (plan, apply)), 'the plan is there for other machines'


def test_a_schedule_in_another_cloud_signs_in_there():
    files = {'x.whl': b'wheel'}
    here, there = (
        steps_of(schedule(), ID, 'r', 'x.whl', files, cloud=name) for name in ('AzureCloud', 'AzureChinaCloud')
    )
    cloud = {'id': 'cloud', 'cmd': f'{IMAGE} az cloud set --name AzureChinaCloud --output none'}
    assert here[1]['id'] == 'login' and there == [here[0], cloud, *here[1:]]


def test_a_step_that_may_delete_names_the_artifact_that_it_is_of():
    files = {'x.whl': b'wheel'}
    artifact = artifact_of(schedule().document(), files).digest
    tag = f'acrprune/schedules:nightly.preview@{artifact}'
    assert tag in steps_of(schedule(), SYSTEM, 'r', 'x.whl', files)[-1]['cmd']
    for good in (tag, tag.partition('@')[0], None):
        validate_preview_tag(Namespace(preview_tag=good))
    for bad in (f'{tag}0', tag.replace('sha256:', ''), f'acrprune/schedules:nightly@{artifact}'):
        with pytest.raises(InvalidArgumentValueError, match='not the tag of a schedule'):
            validate_preview_tag(Namespace(preview_tag=bad))


def test_the_command_that_assigns_a_role_can_be_pasted():
    scope = REGISTRY_ID.replace('/g/', '/group (old)/')
    assert shlex.split(assignment_command(Role('AcrPull', scope), 'p'))[-1] == scope


@pytest.mark.parametrize(
    'timing', [Timing('0 3 * * *', SYSTEM), Timing('0 3 * * *', ID, 'pool', False, '00000000-client')]
)
def test_a_task_says_again_what_it_was_made_from(timing):
    task = {**task_document(schedule(), timing, 'yaml', 'westeurope', 'r.azurecr.io'), 'name': 'acrprune-nightly'}
    assert timing_of(task) == timing and schedule_of_task(task) == 'nightly'
    assert facts_of(task)['enforce'] and base64.b64decode(task['properties']['step']['encodedTaskContent']) == b'yaml'
    assert schedule_of_task({**task, 'name': 'other'}) is None and schedule_of_task({'name': 'acrprune-x'}) is None


def test_a_task_says_which_image_it_runs_in():
    steps = steps_of(schedule(), SYSTEM, 'r', 'x.whl', {'x.whl': b'wheel'})
    task = task_document(schedule(), Timing('0 3 * * *', SYSTEM), yaml_of(steps, 3600), 'local', 'r.azurecr.io')
    assert image_of_task(task) == IMAGE
    assert image_of_task({'properties': {}}) is None


def test_what_the_service_adds_to_a_task_is_no_difference():
    wanted = {'a': [{'b': 1}], 'c': {'d': None}}
    assert is_as_wanted({'a': [{'b': 1, 'x': 2}], 'c': {}, 'id': 'y'}, wanted)
    assert not is_as_wanted({'a': [{'b': 2}], 'c': {}}, wanted) and not is_as_wanted({'a': [], 'c': {}}, wanted)


def test_the_answer_is_the_last_document_in_a_log():
    last = {'exitReason': 'nothingToDo', 'summary': {'freedBytes': 0}}
    log = 'start\n{"summary": {"freedBytes": 1}, "exitReason": "done"}\n' + json.dumps(last, indent=2) + '\nend\n'
    assert answer_in(log) == last
    assert answer_in('{"a": 1}\n{ no document\n') is None


def test_the_roles_are_those_that_a_run_uses():
    def names(**more) -> list[str]:
        given = {'enforce': True, 'by_repository': False, 'places': (), 'accounts': {}, 'asks': False, **more}
        return [role.name for role in roles_of(REGISTRY_ID, **given)]

    assert names() == ['Reader', 'AcrPull', 'AcrDelete'] and names(enforce=False) == ['Reader', 'AcrPull']
    assert names(by_repository=True)[1:] == [
        'Container Registry Repository Catalog Lister',
        'Container Registry Repository Contributor',
    ]
    assert names(pushes=True)[1:] == ['AcrPush', 'AcrDelete'] and names(pushes=True, enforce=False)[1:] == ['AcrPush']
    assert names(by_repository=True, pushes=True, enforce=False)[2] == 'Container Registry Repository Writer'
    assert names(by_repository=True, pushes=True)[2] == 'Container Registry Repository Contributor'
    storage = names(places=('azure-blob:a/x', 'azure-blob:a/y'), accounts={'a': '/a'})
    assert storage[3:] == ['Storage Blob Data Contributor']
    assert roles_of(REGISTRY_ID, True, False, (), {}, True)[-1] == Role('Reader', '/subscriptions/s')


def test_a_role_assignment_has_one_name():
    role = Role('AcrPull', REGISTRY_ID)
    assert assignment_name(role, 'p') == assignment_name(Role('AcrPull', REGISTRY_ID.upper()), 'p')
    assert assignment_name(role, 'p') != assignment_name(role, 'q')


def test_tables_say_when_it_ran_and_what_it_freed():
    last = {'runId': 'c1', 'state': 'Succeeded', 'startedAt': '2026-11-30T03:00:00Z', 'exitReason': 'done'}
    listed = {'schedule': 'nightly', 'registry': 'r.azurecr.io', 'cron': '0 3 * * *', 'enforce': True}
    listed |= {'nextRun': '2026-12-01T03:00:00Z', 'lastRun': {**last, 'freedBytes': 2048}}
    row, off = schedules_rows([listed, {**listed, 'nextRun': None, 'lastRun': None}])
    assert (row['ENDED'], row['FREED'], row['NEXT_RUN_UTC']) == ('done', '2.0 KiB', '2026-12-01 03:00')
    assert (off['ENDED'], off['FREED'], off['NEXT_RUN_UTC']) == ('has not run', '', 'is off')
    place = 'r.azurecr.io/acrprune/reports:nightly'
    shown = schedule_rows({**listed, 'identity': SYSTEM, 'reportArtifact': place, 'yaml': 'version: v1.1.0\nsteps:\n'})
    assert [line['TOLD'] for line in shown if line['WHAT'] == 'last run'] == ['c1 2026-11-30 03:00 done']
    assert [line['TOLD'] for line in shown if line['WHAT'] == 'reports'] == [place]
    assert shown[-1]['WHAT'] == 'task'
    for width in (None, 40):
        assert laid_out(shown, width=width).below[len(shown) - 1][-2:] == ['version: v1.1.0', 'steps:']
    lost = schedule_rows({**listed, 'cron': None, 'identity': None, 'nextRun': None, 'yaml': ''})
    assert (
        'None' not in str(list(lost)) and schedules_rows([{**listed, 'cron': None, 'nextRun': None}])[0]['CRON'] == ''
    )
    assert log_rows({'log': ['a', 'b']}) == [{'LOG': 'a'}, {'LOG': 'b'}]


@pytest.mark.parametrize('wrong', ['team/app:v1', 'acrprune/schedules:a', 'acrprune/reports', 'acrprune/reports:a:b'])
def test_a_report_goes_to_the_place_of_reports_alone(wrong):
    validate_report_tag(Namespace(report_tag='acrprune/reports:nightly'))
    with pytest.raises(InvalidArgumentValueError, match='not the tag of a report'):
        validate_report_tag(Namespace(report_tag=wrong))
