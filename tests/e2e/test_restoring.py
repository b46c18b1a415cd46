"""What a restoration leaves as it is: tags, locks, flags and times that others have set since."""

from __future__ import annotations

import json

import pytest

from tests.registry.builder import OCI_IMAGE
from tests.registry.faults import Fault

from .images import Shelf
from .test_archive import OLD, PRUNE, TARGET, purge, restore, state
from .test_undo import undo


def test_soft_delete_brings_nothing_back_over_a_tag_that_was_pushed_meanwhile(az, registry, now):
    storage, pushed = registry.storage, []
    storage.soft_delete_days = 7
    shelf = Shelf(storage, now)
    old = shelf.image('old', tag='v1')
    shelf.put(storage.manifest('team/app', old).data, OCI_IMAGE, 'v2')
    az(*PRUNE, 'tags', *TARGET, *OLD, check=True)

    def push(method, path):
        if method == 'POST' and '_deleted' in path and not pushed:  # long after the tags were listed
            pushed.append(Shelf(storage, now).image('new', tag='v2', days=0))

    registry.on_request = push
    undo(az, '--yes')
    assert storage.tags('team/app')['v2'].digest == pushed[0]


def test_what_others_deleted_has_the_tags_that_the_registry_keeps(az, registry, now):
    storage = registry.storage
    storage.soft_delete_days = 7
    shelf = Shelf(storage, now)
    digest = shelf.image('image', tag='v1')
    az(*PRUNE, 'image', *TARGET, '--image', 'team/app:v1', '--yes', check=True)
    undo(az, '--yes')
    shelf.put(storage.manifest('team/app', digest).data, OCI_IMAGE, 'v5')
    shelf.image('newer', tag='v9', days=0)
    az('acr', 'repository', 'untag', '-n', *TARGET[1:], '--image', 'team/app:v1', check=True)
    az('acr', 'repository', 'delete', '-n', *TARGET[1:], '--image', 'team/app:v5', '--yes', check=True)
    assert az(*PRUNE, 'restore', *TARGET, '--soft-deleted', '--image', 'team/app:v5').code == 0
    assert storage.tags('team/app').keys() == {'v5', 'v9'}


def test_what_was_pushed_since_a_killed_restore_has_its_own_time(az, registry, now, tmp_path):
    shelf, folder = Shelf(registry.storage, now), az.home / 'acrprune' / 'journal'
    digest = shelf.image('image', tag='v1', days=300)
    data = registry.storage.manifest('team/app', digest).data
    assert purge(az, tmp_path / 'archive').code == 0
    what = {'at': '2026-01-01T00:00:00.000000Z', 'repository': 'team/app', 'digest': digest}
    lines = [{'event': 'start', 'at': what['at'], 'registry': registry.login_server}]  # a restore that was killed then
    lines += [{'event': 'was', **what}, {'event': 'was', **what, 'tag': 'v1'}]
    (folder / '20260101T000000.000000Z-aaaaaaaa.jsonl').write_text(''.join(f'{json.dumps(each)}\n' for each in lines))
    shelf.put(data, OCI_IMAGE, 'v1', days=2)  # pushed anew
    assert restore(az, tmp_path / 'archive', '--all').code == 0
    newest = max(folder.glob('*.jsonl'))
    assert '"restored"' not in newest.read_text()  # a day later it would count as 300 days old, and go


def test_restore_all_leaves_alone_what_is_there(az, registry, now, tmp_path):
    Shelf(registry.storage, now).image('image', tag='v1')
    registry.storage.set_locks('team/app', tag='v1', readEnabled=False)
    assert purge(az, tmp_path / 'a').code == 0 and restore(az, tmp_path / 'a', '--all').code == 0
    registry.storage.set_locks('team/app', tag='v1', readEnabled=True)  # it is pulled again
    assert restore(az, tmp_path / 'a', '--all', '--dry-run').json['exitReason'] == 'nothingToDo'
    restore(az, tmp_path / 'a', '--all')
    assert registry.storage.tags('team/app')['v1'].flags['readEnabled']


def test_locks_of_an_earlier_archiving_do_not_come_back(az, registry, now, tmp_path):
    Shelf(registry.storage, now).image('image', tag='v1')
    registry.storage.set_locks('team/app', tag='v1', readEnabled=False)
    assert purge(az, tmp_path / 'a').code == 0 and undo(az, '--yes').code == 0
    registry.storage.set_locks('team/app', tag='v1', readEnabled=True)
    before = state(registry)
    az(*PRUNE, 'image', *TARGET, '--image', 'team/app:v1', '--yes', '--archive', str(tmp_path / 'a'), check=True)
    assert undo(az, '--yes').code == 0 and state(registry) == before


def test_the_flags_of_a_repository_stay_as_they_are_where_others_pushed(az, registry, now, tmp_path):
    Shelf(registry.storage, now).image('image', tag='v1')
    registry.storage.set_locks('team/app', listEnabled=False)
    registry.auth.add_user('keeper', 'pw', catalog=False)  # what is hidden is found only by its name
    keeper, archive = ('-r', 'localhost', '-u', 'keeper', '-p', 'pw'), ('--archive', str(tmp_path / 'a'))
    az(*PRUNE, 'repository', *keeper, '--repository', 'team/app', '--yes', *archive, '--new-archive', check=True)
    Shelf(registry.storage, now).image('somebody pushed this since', tag='v2')
    az(*PRUNE, 'restore', *keeper, *archive, '--image', 'team/app:v1', check=True)
    assert registry.storage.state('team/app').flags['listEnabled']


def test_a_tag_whose_manifest_is_gone_has_failed(az, registry, now, tmp_path):
    digest, archive = Shelf(registry.storage, now).image('image', tag='v1'), ('--archive', str(tmp_path / 'a'))
    az(*PRUNE, 'image', *TARGET, '--image', 'team/app:v1', '--untag', '--yes', *archive, '--new-archive', check=True)
    az('acr', 'repository', 'delete', '-n', *TARGET[1:], '--image', f'team/app@{digest}', '--yes', check=True)
    back = undo(az, '--yes')
    assert back.code == 3 and 'its manifest is not there' in back.err


def test_what_the_index_of_an_archive_lost_comes_back_from_soft_delete(az, registry, now, tmp_path):
    place, shelf = tmp_path / 'a', Shelf(registry.storage, now)
    registry.storage.soft_delete_days = 7
    digest = shelf.image('image', tag='v1')
    shelf.image('other', tag='v2')
    assert purge(az, place).code == 0
    for name in ('index.json', 'index.copy.json'):
        index = json.loads((place / name).read_bytes())
        for entry in index['manifests']:
            if entry['digest'] == digest and 'io.acrprune.tag' not in entry['annotations']:
                entry['size'] = 'damaged'
        (place / name).write_text(json.dumps(index))
    back = undo(az, '--yes')
    assert digest in registry.storage.manifests('team/app') or back.code


def test_one_image_that_nobody_may_pull_does_not_keep_the_others_from_coming_back(az, registry, now, tmp_path):
    place, shelf = tmp_path / 'a', Shelf(registry.storage, now)
    one, _ = shelf.image('one', tag='v1'), shelf.image('two', tag='v2')
    assert purge(az, place).code == 0 and restore(az, place, '--all').code == 0
    registry.storage.set_locks('team/app', digest=one, readEnabled=False)  # retired, or withdrawn
    az('acr', 'repository', 'delete', '-n', *TARGET[1:], '--image', 'team/app:v2', '--yes', check=True)
    assert restore(az, place, '--image', 'team/app:v*').code == 0


def test_the_flags_of_a_repository_that_is_there_stay_as_they_are(az, registry, now, tmp_path):
    place, shelf = tmp_path / 'a', Shelf(registry.storage, now)
    shelf.image('one', tag='v1'), shelf.image('two', tag='v2')
    registry.storage.set_locks('team/app', listEnabled=False)
    keep = ('--archive', str(place), '--new-archive')
    az(*PRUNE, 'repository', *TARGET, '--repository', 'team/app', '--yes', *keep, check=True)
    assert restore(az, place, '--all').code == 0
    assert not registry.storage.state('team/app').flags['listEnabled'], 'it came back whole'
    registry.storage.set_locks('team/app', listEnabled=True)
    az('acr', 'repository', 'delete', '-n', *TARGET[1:], '--image', 'team/app:v2', '--yes', check=True)
    assert restore(az, place, '--all').code == 0
    assert registry.storage.state('team/app').flags['listEnabled']


def test_a_lock_that_could_not_be_set_is_set_by_the_next_run(az, registry, now, tmp_path):
    Shelf(registry.storage, now).image('image', tag='v1')
    registry.storage.set_locks('team/app', tag='v1', writeEnabled=False)
    everything = (*PRUNE, 'tags', *TARGET, *OLD, '--include-locked', '--archive', str(tmp_path / 'a'), '--new-archive')
    az(*everything, check=True)
    registry.faults.rules += [Fault('PATCH /acr/v1/', 403)]
    back = restore(az, tmp_path / 'a', '--all')
    assert back.code == 1 and back.json['summary']['tagsRestored'] == 1, back.err
    registry.faults.clear()
    assert registry.storage.tags('team/app')['v1'].flags['writeEnabled']
    assert restore(az, tmp_path / 'a', '--all').code == 0
    assert not registry.storage.tags('team/app')['v1'].flags['writeEnabled']
    assert restore(az, tmp_path / 'a', '--all', '--dry-run').json['exitReason'] == 'nothingToDo'


@pytest.mark.parametrize('text', ['TEAM/API', '', 'a b', '[', '{a,b}', '/'])
def test_what_no_repository_can_be_called_is_an_error_that_names_it(az, registry, tmp_path, text):
    run = restore(az, tmp_path / 'a', '--repository', text)
    named = f"'{text}'" if text else 'nothing is named'
    assert run.code == 1 and named in run.err and '--repository' in run.err, run.err


@pytest.mark.parametrize(
    'option, text', [('--lock-until', '99999999999999999d'), ('--lock-until', '2020-01-01'), ('--since', '2999-01-01')]
)
def test_a_time_on_the_wrong_side_of_now_is_an_error_before_anything_is_done(az, registry, tmp_path, option, text):
    run = restore(az, tmp_path / 'a', '--image', 'team/app:v1', option, text)
    assert run.code == 1 and f"{option}: '{text}'" in run.err, run.err
