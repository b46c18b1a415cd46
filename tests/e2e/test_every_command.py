"""Every command once, with good input, in whatever az runs the tests: the oldest one too."""

from __future__ import annotations

import pytest

from tests.registry.azcli import ADMIN_LOGIN

from .images import telling
from .test_archive import restore, state
from .test_blob_archive import ARCHIVE, service, storage_az  # noqa: F401  # pylint: disable=unused-import

pytestmark = pytest.mark.shell(oldest=False)

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
UNDO = ('--ago', '0', '--single-region', '--max-percent', '100', '--yes')


@pytest.fixture
def prune(az):
    """Run a command that succeeds; gives its answer."""
    return lambda command, *arguments, target=TARGET: az(*PRUNE, *command.split(), *target, *arguments, check=True).json


def test_looking(prune, registry, now, tmp_path):
    images = telling(registry.storage, now)
    (tmp_path / 'deploy.yaml').write_text(f'- image: {registry.login_server}/team/app:latest\n')
    pins = ('--pins', str(tmp_path / 'deploy.yaml'))
    plan = prune('plan', '--show-kept', *pins, '--out', str(tmp_path / 'plan.json'))
    assert {entry['digest'] for entry in plan['delete']} == {images.stale, *images.stale_children}
    assert plan['policy']['pins']['files'] == {str(tmp_path / 'deploy.yaml'): 1}
    assert prune('explain', '--image', 'team/other:v1')['decision'] == 'keep'
    assert prune('pins list', *pins)['summary']['found'] == 1
    report = prune('report', '--plan', str(tmp_path / 'plan.json'), '--out', str(tmp_path / 'r.html'))
    assert report['summary']['freedBytes'] > 0 and '<html' in (tmp_path / 'r.html').read_text()
    assert prune('cache show', target=TARGET[:2])['manifests'] > 0
    prune('cache clear', target=TARGET[:2])


def test_deleting_and_bringing_back(az, prune, registry, now, tmp_path):
    telling(registry.storage, now)
    before = state(registry)
    flags = (*UNDO, '--new-archive', '--archive', str(tmp_path / 'archive'))
    assert prune('untagged', '--yes')['summary']['manifestsDeleted'] == 3
    telling(registry.storage, now)
    prune('plan', '--match', 'team/app:*', '--ago', '0', '--untagged', '--out', str(tmp_path / 'plan.json'))
    applied = prune('apply', '--plan', str(tmp_path / 'plan.json'), *flags[2:])
    assert applied['summary']['manifestsDeleted'] > 3
    assert restore(az, tmp_path / 'archive', '--all').code == 0
    assert state(registry) == before
    assert prune('tags', '--match', 'team/app:*', '--untagged', *flags)['summary']['tagsDeleted'] == 2
    prune('image', '--image', 'team/other:v1', '--yes')
    history = prune('history list', target=())
    assert history[0]['run'] in az(*PRUNE, 'history', 'list', '-o', 'table', check=True).out
    assert [run['command'].split()[-1] for run in history] == ['image', 'tags', 'restore', 'apply', 'untagged']
    restored = prune('history show', '--run', history[2]['run'], target=())
    assert restored['requests'] and restored['options'] == ['--archive', str(tmp_path / 'archive'), '--all']
    assert prune('history show', '--image', 'team/other:v1', target=())['run'] == history[0]['run']
    assert prune('undo', '--yes', '--run', history[1]['run'])['summary']['tagsRestored'] == 2
    assert restore(az, tmp_path / 'archive', '--all').code == 0
    prune('repository', '--repository', 'team/app', '--yes')
    assert registry.storage.repositories() == []


def test_looking_after_an_archive(az, prune, registry, now, tmp_path):
    telling(registry.storage, now)
    place = ('--archive', str(tmp_path / 'archive'))
    prune('untagged', '--yes', '--new-archive', *place)
    assert prune('archive list', *place, target=())['summary']['images'] == 3
    assert prune('archive show', *place, '--price', '1 EUR', target=())['runs'][0]['hasJournal']
    assert prune('archive verify', *place, target=())['summary']['wholeImages'] == 3
    assert prune('archive repair', *place, '--yes', target=())['summary']['lost'] == 0
    assert prune('archive expire', *place, '--older-than', '0', '--yes', target=())['summary']['imagesLeft'] == 0
    assert prune('archive compact', *place, '--yes', target=())['summary']['blobsRemoved'] > 0


def test_policies_and_locks(az, prune, registry, now, tmp_path):
    images = telling(registry.storage, now)
    example = az(*PRUNE, 'policy', 'show-example', '--name', 'ci', '-o', 'yaml', check=True).out
    (tmp_path / 'policy.yaml').write_text(example)
    az(*PRUNE, 'policy', 'validate', '--file', str(tmp_path / 'policy.yaml'), check=True)
    assert az(*PRUNE, 'policy', 'show-schema', check=True).json['properties']
    for command in (('schema', 'show', '-n', 'plan'), ('plan', 'show-schema')):
        assert 'checksum' in az(*PRUNE, *command, check=True).json['properties']
    assert 'plan' in {each['name'] for each in az(*PRUNE, 'schema', 'list', check=True).json}
    assert prune('plan', '--policy', str(tmp_path / 'policy.yaml'))['policy']['file']['rules']
    (tmp_path / 'pins.txt').write_text(f'{registry.login_server}/team/app@{images.stale}\n')
    locked = prune('pins lock', '--pins', str(tmp_path / 'pins.txt'), '--yes')
    assert [entry['digest'] for entry in locked['locked']] == [images.stale]
    assert prune('history show', target=())['options'] == ['--pins', str(tmp_path / 'pins.txt')]


def test_an_archive_in_a_storage_account(storage_az, registry, service, now):  # noqa: F811
    telling(registry.storage, now)
    before = state(registry)
    for command in (('untagged', '--yes'), ('restore', '--all')):
        run = storage_az(*PRUNE, command[0], '-r', 'localhost', *command[1:], *ARCHIVE)
        assert run.code == 0, run.err
    assert state(registry) == before and 'index.json' in service.containers['images']
