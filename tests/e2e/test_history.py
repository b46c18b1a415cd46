"""`history` in the real az: what last night's run did, on one screen, and which run took an image."""

from __future__ import annotations

import json
import os
import time

from tests.registry.auth import ADMIN

from .images import Shelf
from .test_archive import PRUNE, TARGET, purge, tangled


def history(az, *arguments):
    return az(*PRUNE, 'history', *arguments, check=True)


def test_last_nights_run_is_told_on_one_screen(az, registry, now, tmp_path, monkeypatch):
    tangled(registry, now)
    monkeypatch.setenv('GITHUB_RUN_ID', '4711')
    monkeypatch.setenv('GITHUB_REPOSITORY', 'contoso/cleaning')
    monkeypatch.setenv('COLUMNS', '80')
    run = purge(az, tmp_path / 'archive').json
    (listed,) = history(az, 'list').json
    assert (listed['done'], listed['notDone'], listed['unknown']) == (7, 0, 0), 'referrers fell with their subject'
    assert listed['versions'].keys() == {'az', 'acrprune'} and listed['host']
    assert listed['pipeline'] == 'GitHub Actions run 4711 (contoso/cleaning)'
    story = history(az, 'show').json
    assert story['run'] == run['run'] and story['who'] == ADMIN[0]
    assert story['promised']['freedBytes'] == story['freedBytes'] == run['summary']['freedBytes'] > 0
    assert sum(row['manifestsDeleted'] for row in story['reasons']) == story['manifestsDeleted'] == 7
    assert story['failed'] == [] and '--match team/app:*' in ' '.join(story['options'])
    screen = history(az, 'show', '-o', 'table').out.splitlines()
    assert len(screen) <= 23 and max(map(len, screen)) <= 80
    told = ' '.join(' '.join(screen).split())
    for expected in (ADMIN[0], '--match team/app:*', 'contoso/cleaning', '7 manifests and 3 tags went', 'promised'):
        assert expected in told, told
    assert f'az acr prune undo -r {registry.login_server}' in told and f'--run {run["run"]}' in told
    command = story['undo']['command'].split()
    assert command[:4] == ['az', 'acr', 'prune', 'undo']
    undone = az(*command[1:], *TARGET[2:], '--yes')
    assert undone.code == 0 and undone.json['undoes'] == run['run'], undone.err


def test_the_run_that_took_an_image_is_found_by_tag_and_by_the_beginning_of_its_digest(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    first = shelf.image('first', tag='v1')
    taken = purge(az, tmp_path / 'archive').json['run']
    shelf.image('second', tag='v2')
    purge(az, tmp_path / 'archive')
    for name in ('team/app:v1', f'team/app@{first}', f'team/app@{first[:19]}'):
        story = history(az, 'show', '--image', name).json
        assert (story['run'], story['digest']) == (taken, first)
        assert [entry['reason'] for entry in story['requests']] == ['matched']
    table = history(az, 'show', '--image', 'team/app:v1', '-o', 'table').out
    assert first[:19] in table and '--image team/app:v1' in ' '.join(table.split())
    unknown = az(*PRUNE, 'history', 'show', '--image', 'team/app:v9')
    assert unknown.code != 0 and "took 'team/app:v9'" in unknown.err and 'Traceback' not in unknown.err


def test_journals_are_kept_for_the_time_that_is_set(az, registry, now, tmp_path):
    shelf = Shelf(registry.storage, now)
    folder = tmp_path / 'azure' / 'acrprune' / 'journal'

    def run_again(keep=None):
        shelf.image(f'image {time.monotonic()}', tag='v1')
        if keep:
            az('config', 'set', f'acrprune.journal_keep={keep}', check=True)
        return purge(az, tmp_path / 'archive')

    run_again()
    (path,) = folder.glob('*.jsonl')
    old = path.with_name(f'20200101{path.name[8:]}')
    path.rename(old)
    run_again('forever')
    assert old.exists()
    refused = run_again('a while')
    assert refused.code != 0 and 'acrprune.journal_keep' in refused.err and 'Traceback' not in refused.err
    run_again('90d')
    assert not old.exists() and len(history(az, 'list').json) == len(list(folder.glob('*.jsonl'))) == 2
    assert os.stat(folder / 'index').st_mode & 0o777 == 0o600


def test_lines_that_no_run_writes_are_no_errors_of_the_program(az, registry, now):
    folder = az.home / 'acrprune' / 'journal'
    folder.mkdir(parents=True)
    Shelf(registry.storage, now).image('image')
    image = {'repository': 'team/app', 'digest': 'sha256:aa'}
    odd = [
        {'event': 'end', 'summary': ['x']},
        {'event': 'start', 'promised': 5},
        {'event': 'start', 'registry': registry.login_server, 'policy': {'file': ['x']}, 'given': {'pins': [5]}},
        {'event': 'request', 'request': 'deleteManifest', **image, 'repository': '\ud800'},
        {'event': 'request', 'request': 'deleteManifest', **image, 'digest': 'sha256:\taa'},
        {'event': 'request', 'request': 'retire', 'at': '2026-01-01T00:00:00Z', **image, 'tags': ['v1']},
        {'event': 'later', **image, 'tags': ['v1']},
    ]
    start = {'event': 'start', 'registry': registry.login_server, 'at': '2026-01-01T00:00:00Z'}
    for number, line in enumerate(odd):
        lines = ''.join(f'{json.dumps(each)}\n' for each in (start, line))
        (folder / f'20261201T000000.000000Z-aaaaaaa{number}.jsonl').write_text(lines)
    runs = [path.stem for path in sorted(folder.glob('*.jsonl'))]
    shown = [az(*PRUNE, 'history', 'show', '--run', run, '-o', 'table') for run in runs]
    listed = az(*PRUNE, 'history', 'list', '-o', 'table')
    planned = az(*PRUNE, 'plan', *TARGET, '--untagged')
    undone = [az(*PRUNE, 'undo', *TARGET, '--run', run, '--dry-run') for run in runs]
    assert [each.code for each in (listed, planned, *shown)] == [0] * (2 + len(runs))
    assert not any('Traceback' in each.err or 'issues' in each.err for each in undone)


def test_what_the_registry_lists_still_after_it_said_that_it_is_gone_is_told_as_in_the_answer_of_the_run(
    az, registry, now
):
    shelf = Shelf(registry.storage, now)
    shelf.image('image')
    ghost = shelf.image('ghost')

    def lose(method, path):
        if method == 'DELETE' and path.endswith(ghost):
            registry.storage.make_ghost('team/app', ghost)

    registry.on_request = lose
    summary = az(*PRUNE, 'untagged', *TARGET, '--max-percent', '100', '--yes').json['summary']
    story = history(az, 'show').json
    assert (summary['manifestsDeleted'], summary['failed']) == (1, 1)
    assert (story['manifestsDeleted'], story['notDone']) == (1, 1)
    assert [row['digest'] for row in story['failed']] == [ghost]
    assert '1 not done' in history(az, 'show', '-o', 'table').out
