"""`undo`, and what `restore` learned for it, in the real az: what a run took comes back, from wherever it can."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import time
from dataclasses import replace

import pytest

from azext_acrprune.archive.pure.layout import index_bytes, parse_index
from tests.registry.faults import Fault

from .images import Shelf
from .test_archive import OLD, PRUNE, TARGET, purge, purge_for_good, restore, state, tangled
from .test_killed import ended


def undo(az, *arguments):
    return az(*PRUNE, 'undo', *TARGET, *arguments)


def runs(az):
    return az(*PRUNE, 'history', 'list', check=True).json


def answered(az, text, *arguments):
    """(exit code, what was said) of a command at a terminal that gets an answer to its question."""
    ours, theirs = pty.openpty()
    os.write(ours, text.encode())
    run = az(*arguments, stdin=theirs)
    os.close(ours)
    os.close(theirs)
    return run


@pytest.mark.parametrize('source', ['archive', 'soft delete', 'both'])
def test_the_last_run_is_undone_from_wherever_it_can_be_had(az, registry, now, tmp_path, source):
    index = tangled(registry, now)
    before, archive = state(registry), tmp_path / 'archive'
    if source != 'archive':
        registry.storage.soft_delete_days = 7
    assert (purge_for_good(az) if source == 'soft delete' else purge(az, archive)).code == 0
    assert registry.storage.repositories() == ['team/other']
    if source == 'both':  # the archive lacks a layer and an index, and the registry keeps these
        blobs = archive / 'blobs' / 'sha256'
        layer = json.loads(before['team/app'][0][index][0])['manifests'][0]['digest']
        for digest in (index, json.loads((blobs / layer[7:]).read_bytes())['layers'][-1]['digest']):
            (blobs / digest[7:]).unlink()
    preview = undo(az, '--dry-run')
    assert preview.code == 0 and '7 manifests and 3 tags come back' in preview.err, preview.err
    assert registry.storage.repositories() == ['team/other'] and len(runs(az)) == 1
    refused = undo(az)
    assert refused.code == 1 and registry.storage.repositories() == ['team/other']
    (error,) = [line for line in refused.err.splitlines() if 'Nobody can be asked' in line]
    assert 'come back' not in error and '7 manifests and 3 tags come back' in refused.err
    back = undo(az, '--yes')
    assert back.code == 0 and back.json['summary']['manifestsRestored'] == 7, back.err
    assert '7 manifests and 3 tags came back to ' in back.err
    assert state(registry) == before and registry.storage.whole('team/app', 'v1') == []
    assert back.json['undoes'] == runs(az)[1]['run'] and back.json['run'] == runs(az)[0]['run']


def test_what_cannot_come_back_is_said_beforehand_and_why(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    lost, kept = shelf.image('lost', tag='lost'), shelf.image('kept', tag='kept')
    assert purge(az, tmp_path / 'archive').code == 0
    (tmp_path / 'archive' / 'blobs' / 'sha256' / lost[7:]).write_bytes(b'{"schemaVersion": 2}')
    preview = undo(az, '--dry-run')
    assert preview.code == 1 and '1 cannot come back' in preview.err
    assert 'the archive is damaged: blobs/sha256/' in preview.err
    assert [entry['digest'] for entry in preview.json['restore']] == [kept]
    back = undo(az, '--yes')
    assert (
        back.code == 1
        and [entry['digest'] for entry in back.json['failed']] == [lost, lost][: len(back.json['failed'])]
    )
    assert set(registry.storage.manifests('team/app')) == {kept}


def test_without_an_archive_and_without_soft_delete_it_says_that_nothing_can_come_back(az, registry, now):
    tangled(registry, now)
    az.signed_in()
    assert purge_for_good(az).code == 0
    run = az(*PRUNE, 'undo', '-r', 'localhost', '--yes')
    assert run.code != 0 and 'Nothing of what the run' in run.err and 'Soft delete is off' in run.err
    assert 'The run wrote no archive' in run.err and 'Traceback' not in run.err


def test_one_image_of_an_earlier_run_is_undone_whose_archive_had_a_relative_name(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    first = shelf.image('first', tag='v1')
    before = state(registry)
    flags = ('--match', 'team/app:*', '--ago', '10d', '--untagged', '--max-percent', '100', '--yes', '--new-archive')
    az(*PRUNE, 'tags', *TARGET, *flags, '--archive', 'archive', check=True)  # a relative name
    (run,) = runs(az)
    shelf.image('second', tag='v2')
    az(*PRUNE, 'tags', *TARGET, *flags, '--archive', 'archive', check=True)
    missing = undo(az, '--run', run['run'], '--image', 'team/app:v2', '--yes')
    assert missing.code != 0 and 'team/app:v2' in missing.err
    assert os.path.isabs(run['archive'])
    os.rename(run['archive'], tmp_path / 'unmounted')
    for named in ((), ('--archive', run['archive'])):
        lost = undo(az, '--run', run['run'], '--yes', *named)
        assert lost.code != 0 and 'mounted' in lost.err and 'pushed again' not in lost.err, lost.err
    os.rename(tmp_path / 'unmounted', run['archive'])
    back = undo(az, '--run', run['run'], '--image', f'team/app@{first[:19]}', '--yes')
    assert back.code == 0 and state(registry) == before, back.err


@pytest.mark.parametrize('ending', ['done', 'killed'])
def test_another_machine_undoes_a_run_by_the_journal_in_its_archive(az, az_of, registry, now, tmp_path, ending):
    tangled(registry, now)
    before, archive, other = state(registry), tmp_path / 'archive', az_of(registry)
    purging = (*PRUNE, 'tags', *TARGET, *OLD, '--new-archive', '--archive', str(archive))
    code = ended(az, registry, purging, 'DELETE', 5) if ending == 'killed' else az(*purging).code
    assert (code != 0) is (ending == 'killed')
    (run,) = [each['run'] for each in runs(az)]
    assert 'No journal tells' in undo(other, '--yes').err
    assert 'name it with --archive' in undo(other, '--run', run, '--yes').err
    assert 'Neither this machine nor the archive' in undo(other, '--run', 'nosuch', '--archive', str(archive)).err
    preview = undo(other, '--archive', str(archive), '--dry-run')
    assert preview.code == 0 and ('All that it archived counts' in preview.err) is (ending == 'killed'), preview.err
    back = undo(other, '--archive', str(archive), '--run', run, '--yes')
    assert back.code == 0 and back.json['undoes'] == run and state(registry) == before, back.err


def test_a_journal_in_an_archive_that_somebody_forged_asks_for_nothing_strange(az, az_of, registry, now, tmp_path):
    Shelf(registry.storage, now).image('image', tag='v1')
    assert purge(az, tmp_path / 'archive').code == 0
    (journal,) = (tmp_path / 'archive' / 'journal').iterdir()
    lines = journal.read_text().splitlines()
    forged = {
        'event': 'request',
        'request': 'deleteManifest',
        'repository': '../../v2/x',
        'digest': 'sha256:' + 64 * '0',
    }
    journal.write_text('\n'.join([*lines[:1], json.dumps(forged), *lines[1:], '']))
    registry.forget()
    preview = undo(az_of(registry), '--archive', str(tmp_path / 'archive'), '--dry-run')
    assert preview.code == 0 and preview.json['summary']['manifestsToRestore'] == 1, preview.err
    assert not [path for _, path, _ in registry.requests if '/x' in path or '..' in path]


def test_of_one_image_all_that_was_attached_to_it_is_undone_too(az, registry, now, tmp_path):
    tangled(registry, now)
    Shelf(registry.storage, now).image('another', tag='v9')
    before = state(registry)
    assert purge(az, tmp_path / 'archive').code == 0
    back = undo(az, '--image', 'team/app:v1', '--yes')
    assert back.code == 0 and back.json['summary']['manifestsRestored'] == 6, back.err
    missing = set(before['team/app'][0]) - set(state(registry)['team/app'][0])
    assert len(missing) == 2 and 'v9' not in state(registry)['team/app'][1]
    there = state(registry)['team/app']
    assert all(before['team/app'][0][digest] == each for digest, each in there[0].items())
    assert all(before['team/app'][1][tag] == each for tag, each in there[1].items())


def deleted_by_others(registry, now):
    """What `tangled` has and another image, all of which somebody deleted whose journals are nowhere; and before."""
    index = tangled(registry, now)
    registry.storage.set_locks('team/app', tag='v2', deleteEnabled=True)
    registry.storage.set_locks('team/app', digest=index, writeEnabled=True)
    Shelf(registry.storage, now, 'team/web').image('web', tag='v9')
    registry.storage.soft_delete_days = 7
    before = state(registry)
    for name in ('team/app', 'team/web'):
        for digest in sorted(registry.storage.manifests(name), key=lambda each: each != index):
            if digest in registry.storage.manifests(name):
                registry.storage.delete_manifest(name, digest)
    assert registry.storage.repositories() == ['team/other']
    return index, before


def undelete(az, *arguments):
    return az(*PRUNE, 'restore', *TARGET, '--soft-deleted', *arguments)


def test_what_others_deleted_comes_back_by_name_from_the_list_of_the_registry(az, registry, now):
    index, before = deleted_by_others(registry, now)
    for missing in (('--image', 'team/app:v7'), ('--since', '0'), ('--repository', 'team/none')):
        run = undelete(az, *missing)
        assert run.code == 3 and not run.out and registry.storage.repositories() == ['team/other'], run.err
    back = undelete(az, '--image', 'team/app:v1')
    assert back.code == 0, back.err
    inside = {child['digest'] for child in json.loads(before['team/app'][0][index][0])['manifests']}
    there = state(registry)['team/app']
    assert {index, *inside} < set(there[0]) and set(there[1]) == set(before['team/app'][1]), 'with its signature'
    assert registry.storage.whole('team/app', 'v1') == []


@pytest.mark.parametrize('asked', [('--since', '1d'), ('--repository', 'team/*'), ('--image', 'team/*:v*')])
def test_all_that_others_deleted_is_found_by_time_and_by_patterns(az, registry, now, asked):
    _, before = deleted_by_others(registry, now)
    preview = undelete(az, *asked, '--dry-run')
    assert preview.code == 0 and preview.json['summary']['manifestsToRestore'] >= 3, preview.err
    back = undelete(az, *asked)
    assert back.code == 0, back.err
    if asked[0] == '--image':
        assert registry.storage.whole('team/app', 'v1') == registry.storage.whole('team/web', 'v9') == []
    else:
        assert state(registry) == before


def test_of_two_that_had_a_tag_the_one_that_went_last_has_it_again(az, registry, now):
    registry.storage.soft_delete_days = 7
    shelf = Shelf(registry.storage, now)
    old = shelf.image('old', tag='v1')
    registry.storage.delete_manifest('team/app', old)
    new = shelf.image('new', tag='v1')
    registry.storage.delete_manifest('team/app', new)
    back = undelete(az, '--repository', 'team/app')
    assert back.code == 0 and set(registry.storage.manifests('team/app')) == {old, new}, back.err
    assert registry.storage.tags('team/app')['v1'].digest == new
    for digest in (old, new):
        registry.storage.delete_manifest('team/app', digest)
    back = undelete(az, '--image', 'team/app:v1')
    assert back.code == 0 and set(registry.storage.manifests('team/app')) == {new}, back.err


# --- Tags that are moved -------------------------------------------------------------------------------------------


def moved_once(az, registry, now, tmp_path):
    """(old, new): the tag `latest` was on `old`, which is in an archive, and is on `new`."""
    shelf = Shelf(registry.storage, now)
    old = shelf.image('old', tag='latest')
    assert purge(az, tmp_path / 'archive').code == 0
    return old, shelf.image('new', tag='latest', days=0)


@pytest.mark.parametrize('source', ['archive', 'soft delete'])
def test_a_restore_that_moves_tags_asks_writes_it_down_and_is_undone(az, registry, now, tmp_path, source):
    if source == 'soft delete':
        registry.storage.soft_delete_days = 7
    old, new = moved_once(az, registry, now, tmp_path)
    place = ('--archive', str(tmp_path / 'archive'), '--all') if source == 'archive' else ('--soft-deleted',)
    command = (*PRUNE, 'restore', *TARGET, *place, '--overwrite')
    for refused in (az(*command), answered(az, 'n\n', *command)):
        assert refused.code == 1 and '1 tag will be moved' in refused.err and not refused.out
        assert registry.storage.tags('team/app')['latest'].digest == new and old not in registry.storage.manifests(
            'team/app'
        )
    back = answered(az, 'y\n', *command)
    assert back.code == 0 and registry.storage.tags('team/app')['latest'].digest == old, back.err
    answer = back.json
    assert answer['moved'] == [{'repository': 'team/app', 'tag': 'latest', 'digest': old, 'digestBefore': new}]
    told = az(*PRUNE, 'history', 'show', check=True).json['undo']['command']
    assert f'--run {answer["run"]}' in told
    again = undo(az, '--run', answer['run'], '--yes')
    assert again.code == 0 and registry.storage.tags('team/app')['latest'].digest == new, again.err
    assert set(registry.storage.manifests('team/app')) == {old, new}, 'nothing is deleted'
    undone = undo(az, '--run', again.json['run'], '--yes')
    assert undone.code == 0 and registry.storage.tags('team/app')['latest'].digest == old


def test_a_tag_that_moved_on_since_is_left_alone(az, registry, now, tmp_path):
    moved_once(az, registry, now, tmp_path)
    back = restore(az, tmp_path / 'archive', '--all', '--overwrite', '--yes')
    third = Shelf(registry.storage, now).image('third', tag='latest', days=0)
    again = undo(az, '--run', back.json['run'], '--yes')
    assert again.code == 0 and again.json['skipped'][0]['reason'] == 'tagExists'
    assert registry.storage.tags('team/app')['latest'].digest == third


# --- What is restored, and where to --------------------------------------------------------------------------------


def test_an_archive_is_restored_by_patterns_repositories_times_and_runs(az, registry, now, tmp_path):
    shelf, web = Shelf(registry.storage, now), Shelf(registry.storage, now, 'team/web')
    shelf.image('one', tag='v1'), shelf.image('two', tag='v2'), web.image('three', tag='v1')
    before, archive = state(registry), tmp_path / 'archive'
    flags = ('--ago', '10d', '--untagged', '--max-percent', '100', '--yes', '--new-archive', '--archive', str(archive))
    for match in ('team/app:*', 'team/web:*'):
        az(*PRUNE, 'tags', *TARGET, '--match', match, *flags, check=True)
    last = runs(az)[0]['run']

    def tags(*asked):
        found = restore(az, archive, *asked, '--dry-run')
        assert found.code == 0, found.err
        return {(entry['repository'], tag) for entry in found.json['restore'] for tag in entry['tags']}

    everything = {('team/app', 'v1'), ('team/app', 'v2'), ('team/web', 'v1')}
    assert tags('--image', 'team/*:v1') == {('team/app', 'v1'), ('team/web', 'v1')}
    assert tags('--repository', 'team/a*') == {('team/app', 'v1'), ('team/app', 'v2')}
    assert tags('--since', '1h') == everything == tags('--all') and tags('--since', '0') == set()
    assert tags('--journal', last) == {('team/web', 'v1')}
    nothing = restore(az, archive, '--image', 'team/*:v9')
    assert nothing.code != 0 and "does not hold 'team/*:v9'" in nothing.err
    assert restore(az, archive, '--repository', 'team/**').code == 0 and state(registry) == before


def test_a_dry_run_reads_all_that_it_would_push(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    cut, whole = shelf.image('cut', tag='cut'), shelf.image('whole', tag='whole')
    index = shelf.index([cut], tag='index')
    assert purge(az, tmp_path / 'archive').code == 0
    blobs = tmp_path / 'archive' / 'blobs' / 'sha256'
    layer = json.loads((blobs / cut[7:]).read_bytes())['layers'][0]['digest']
    data = bytearray((blobs / layer[7:]).read_bytes())
    data[0] ^= 1
    (blobs / layer[7:]).write_bytes(data)
    preview = restore(az, tmp_path / 'archive', '--all', '--dry-run')
    assert preview.code == 1 and [entry['digest'] for entry in preview.json['restore']] == [whole]
    errors = {entry['digest']: entry['error'] for entry in preview.json['failed']}
    assert set(errors) == {cut, index} and layer[7:] in errors[cut] and preview.json['summary']['verifiedBytes'] > 0
    assert registry.storage.repositories() == []


def test_an_archive_is_restored_to_another_registry_after_a_question(az, registry, now, tmp_path):
    tangled(registry, now)
    before, archive = state(registry), tmp_path / 'archive'
    assert purge(az, archive).code == 0
    other = 'oldname.azurecr.io'
    index = parse_index((archive / 'index.json').read_bytes())
    renamed = replace(index, records=tuple(record._replace(registry=other) for record in index.records))
    for name in ('index.json', 'index.copy.json'):
        (archive / name).write_bytes(index_bytes(renamed))
    refused = restore(az, archive, '--all')
    assert refused.code != 0 and f'This archive is of {other}' in refused.err
    assert registry.storage.repositories() == ['team/other']
    wrong = restore(az, archive, '--all', '--from-registry', 'nosuch.azurecr.io')
    assert wrong.code != 0 and f'only of {other}' in wrong.err
    back = restore(az, archive, '--all', '--from-registry', other)
    assert back.code == 0 and state(registry) == before, back.err
    again = restore(az, archive, '--all', '--yes')
    assert again.code == 0 and f'This archive is of {other}' in again.err and state(registry) == before


# --- Flags ---------------------------------------------------------------------------------------------------------


def test_the_flags_of_a_repository_come_back_with_it_and_not_where_others_pushed_to_it(az, registry, now):
    Shelf(registry.storage, now).image('image', tag='v1')
    registry.storage.set_locks('team/app', listEnabled=False)
    registry.storage.soft_delete_days = 7
    registry.auth.add_user('keeper', 'pw', catalog=False)  # what is hidden is found only by its name
    target = ('-r', 'localhost', '-u', 'keeper', '-p', 'pw')
    took = (*PRUNE, 'repository', *target, '--repository', 'team/app', '--yes')
    az(*took)
    assert registry.storage.repositories() == []
    back = az(*PRUNE, 'undo', *target, '--yes')
    assert back.code == 0 and registry.storage.state('team/app').flags['listEnabled'] is False, back.err
    az(*took)
    Shelf(registry.storage, now).image('somebody pushed this since', tag='v2')
    back = az(*PRUNE, 'undo', *target, '--yes')
    assert back.code == 0 and registry.storage.state('team/app').flags['listEnabled'] is True, back.err


@pytest.mark.parametrize('lost', [None, 'PUT /v2/[^ ]*/manifests/v1', 'PATCH /acr/v1/[^ ]*/_tags/v1', 'PATCH /acr/'])
def test_a_tag_that_nobody_could_pull_is_not_pullable_for_a_moment(az, registry, now, tmp_path, lost):
    Shelf(registry.storage, now).image('withdrawn', tag='v1')
    registry.storage.set_locks('team/app', tag='v1', readEnabled=False)
    before = state(registry)
    assert purge(az, tmp_path / 'archive').code == 0
    seen = []

    def pull(*_):
        if 'v1' in registry.storage.tags('team/app'):
            try:
                seen.append(registry.storage.resolve('team/app', 'v1').digest)
            except Exception as refused:  # pylint: disable=broad-except  # whatever the registry answers, it is no image
                seen.append(type(refused).__name__)

    registry.on_request = pull
    registry.faults.rules += [Fault(lost, 'lost', times=1)] if lost else []
    back = undo(az, '--yes')
    assert back.code == 0 and state(registry) == before, back.err
    assert seen and not [each for each in seen if str(each).startswith('sha256:')]


# --- What happens after that ---------------------------------------------------------------------------------------


def versions(registry, now):
    """v0 to v7, each a day newer than the one before."""
    shelf = Shelf(registry.storage, now)
    return [shelf.image(f'version {number}', tag=f'v{number}', days=40 - number) for number in range(8)]


KEEPING = (
    '--match',
    'team/app:*',
    '--keep',
    '3',
    '--keep-untagged',
    '0',
    '--untagged',
    '--single-region',
    '--max-percent',
    '100',
    '--yes',
)


@pytest.mark.parametrize('source', ['archive', 'soft delete'])
def test_what_came_back_does_not_push_out_what_was_kept(az, registry, now, tmp_path, source):
    versions(registry, now)
    before = state(registry)
    if source == 'soft delete':
        registry.storage.soft_delete_days = 7
    place = ('--archive', str(tmp_path / 'archive'), '--new-archive') if source == 'archive' else ()
    nightly = (*PRUNE, 'tags', *TARGET, *KEEPING, '--ago', '10d', *place)
    az(*nightly, check=True)
    assert set(registry.storage.tags('team/app')) == {'v5', 'v6', 'v7'}
    back = undo(az, '--yes')
    assert state(registry) == before, back.err
    assert 'take 5 manifests and 5 tags of it again, a day after it came back: --match' in back.err, back.err
    assert '--keep 3' in back.err and '--lock keeps it' in back.err
    assert {f'v{number}' for number in range(8) if f'  team/app:v{number}: ' in back.err} == {f'v{n}' for n in range(5)}
    assert az(*nightly, check=True).json['summary']['tagsDeleted'] == 0, 'not within a day'
    at_once = (*PRUNE, 'plan', *TARGET, *KEEPING[:-3], '--ago', '0')
    plan = az(*at_once, check=True).json
    assert {tag for entry in plan['delete'] for tag in entry['tags']} == {'v0', 'v1', 'v2', 'v3', 'v4'}
    Shelf(registry.storage, now).image('version 0', tag='v0', days=0)  # somebody pushes it anew
    plan = az(*at_once, check=True).json
    assert {tag for entry in plan['delete'] for tag in entry['tags']} == {'v1', 'v2', 'v3', 'v4', 'v5'}


def test_it_says_what_the_last_rules_take_of_just_what_comes_back(az, registry, now, tmp_path):
    """The last run was by name; the nightly one before it would keep the three newest of those that are there then."""
    versions(registry, now)
    registry.storage.soft_delete_days = 7
    archive = ('--archive', str(tmp_path / 'archive'))
    az(*PRUNE, 'tags', *TARGET, *KEEPING, '--ago', '10d', *archive, '--new-archive', check=True)
    az(*PRUNE, 'image', *TARGET, '--image', 'team/app:v7', '--single-region', '--yes', *archive, check=True)
    some = ('--image', 'team/app:v3', '--image', 'team/app:v4', '--dry-run')
    for source in (archive, ('--soft-deleted',)):
        back = az(*PRUNE, 'restore', *TARGET, *source, *some)
        assert 'take 1 manifest and 1 tag of it again' in back.err and '--lock keeps it' in back.err, back.err
        assert '  team/app:v3: ' in back.err and '  team/app:v4: ' not in back.err, back.err
    assert 'take none of it again' in undo(az, '--dry-run').err


def test_what_came_back_is_locked_until_it_is_released(az, registry, now, tmp_path):
    images = versions(registry, now)
    nightly = (*PRUNE, 'tags', *TARGET, *KEEPING, '--ago', '0', '--archive', str(tmp_path / 'archive'), '--new-archive')
    az(*nightly, check=True)
    back = undo(az, '--yes', '--lock')
    assert back.code == 0 and '5 manifests are locked' in back.err and back.json['summary']['locksSet'] == 5, back.err
    assert az(*nightly, check=True).json['summary']['tagsDeleted'] == 0
    preview = az(*PRUNE, 'pins', 'lock', *TARGET, '--release', '--dry-run', check=True).json
    assert {entry['digest'] for entry in preview['unlock']} == set(images[:5])
    freed = az(*PRUNE, 'pins', 'lock', *TARGET, '--release', '--yes', check=True).json
    assert freed['summary']['unlocked'] == 5
    assert all(record.flags['deleteEnabled'] for record in registry.storage.manifests('team/app').values())
    assert az(*nightly, check=True).json['summary']['tagsDeleted'] == 5
    undo(az, '--yes', '--lock-until', '1s')
    time.sleep(1)
    (tmp_path / 'pins.txt').write_text(f'{registry.login_server}/team/app:v7\n')
    az(*PRUNE, 'pins', 'lock', *TARGET, '--pins', str(tmp_path / 'pins.txt'), '--yes', check=True)
    locked = {d for d, record in registry.storage.manifests('team/app').items() if not record.flags['deleteEnabled']}
    assert locked == {images[7]}, 'the date is over'


def test_what_is_pinned_stays_locked_when_what_held_it_is_over(az, registry, now, tmp_path):
    versions(registry, now)
    archive = ('--archive', str(tmp_path / 'archive'), '--new-archive')
    az(*PRUNE, 'tags', *TARGET, *KEEPING, '--ago', '0', *archive, check=True)
    undo(az, '--yes', '--lock')
    with sqlite3.connect(next((az.home / 'acrprune').rglob('*.held'))) as connection:
        connection.execute('UPDATE held SET until = 1')  # its date is over
    (tmp_path / 'pins.txt').write_text(f'{registry.login_server}/team/app:v1\n')
    az(*PRUNE, 'pins', 'lock', *TARGET, '--pins', str(tmp_path / 'pins.txt'), '--yes', check=True)
    v1 = registry.storage.tags('team/app')['v1'].digest
    assert registry.storage.manifest('team/app', v1).flags['deleteEnabled'] is False, 'it is pinned'
