"""What the journals tell: sums that are true, one screen, and an index that is never believed over a journal."""

from __future__ import annotations

import json
import os
import random
import time
from datetime import datetime, timedelta, timezone

import pytest

from azext_acrprune.apply.journal import JournalError, NoSuchRun, read_run, remove_before, runs
from azext_acrprune.apply.journal_index import INDEX_NAME, JournalIndex, Outline
from azext_acrprune.archive.pure.lost import images_taken
from azext_acrprune.archive.pure.run_story import options_of, requests_of, story_of, summary_of, undo_of
from azext_acrprune.show.history_tables import run_rows, runs_rows

HOST = 'test.azurecr.io'


def digest(number):
    return f'sha256:{number:064x}'


def asked(number, outcome='done', error=None, request='deleteManifest', **more):
    what = {'request': request, 'repository': 'team/app', 'digest': digest(number), **more}
    heard = [{'event': 'outcome', **what, 'outcome': outcome, **({'error': error} if error else {})}] if outcome else []
    return [{'event': 'request', 'at': '2026-01-01T00:00:00.000000Z', **what}, *heard]


def run_of(*events, end=True, **header):
    start = {'event': 'start', 'at': '2026-01-01T00:00:00.000000Z', 'who': 'me', 'command': 'az acr prune untagged'}
    last = {'event': 'end', 'at': '2026-01-01T00:09:00.000000Z', 'summary': {'freedBytes': 7, 'impact': 'exact'}}
    return [{**start, 'registry': HOST, **header}, *(line for each in events for line in each), *([last] * end)]


def test_what_fell_with_its_subject_before_its_turn_is_done():
    lines = run_of(asked(1), asked(2, 'not_found', 'gone'), asked(3, 'not_found', 'gone'))
    told = summary_of('r', lines)
    assert (told['done'], told['notDone'], told['unknown']) == (3, 0, 0)


def test_what_was_refused_first_and_done_then_is_done_and_the_other_way_round_too():
    lines = run_of(asked(1, 'busy', 'no'), asked(1), asked(2), asked(2, 'busy', 'no'), asked(3, 'busy', 'no'))
    told = story_of('r', lines)
    assert (told['done'], told['notDone']) == (2, 1)
    assert [(row['digest'], row['error']) for row in told['failed']] == [(digest(3), 'no')]


def test_a_request_without_an_outcome_is_neither_done_nor_not_done():
    told = summary_of('r', run_of(asked(1), asked(2, None), end=False))
    assert (told['done'], told['notDone'], told['unknown'], told['endedAt']) == (1, 0, 1, None)


def test_a_tag_that_was_gone_is_done_and_a_push_that_found_nothing_is_not():
    gone = asked(1, 'not_found', 'gone', 'deleteTag', tag='v1')
    pushed = asked(2, 'not_found', 'its blob is not there', 'putManifest')
    told = summary_of('r', run_of(gone, pushed))
    assert (told['done'], told['notDone']) == (1, 1)


def test_what_the_registry_listed_after_it_said_that_it_is_gone_was_not_done():
    tag = asked(3, request='deleteTag', tag='v1')
    listed = [
        {'event': 'failed', 'repository': 'team/app', 'digest': digest(1), 'error': 'listed still'},
        {'event': 'failed', 'repository': 'team/app', 'digest': digest(3), 'tag': 'v1', 'error': 'listed still'},
    ]
    told = story_of('r', run_of(asked(1, 'not_found', 'gone'), asked(2), tag, listed))
    assert (told['done'], told['notDone'], told['manifestsDeleted'], told['tagsDeleted']) == (1, 2, 1, 0)
    assert [row['error'] for row in told['failed']] == ['listed still', 'listed still']
    assert told['doneByRequest'] == {'deleteManifest': 1}


@pytest.mark.parametrize('number, more', [(3, 0), (4, 0), (5, 2), (60, 57)])
def test_what_was_not_done_is_named_or_counted(number, more):
    lines = run_of(*(asked(each, 'locked', 'no') for each in range(number)))
    rows = run_rows({**story_of('r', lines), 'requests': []})
    named = [row['TOLD'] for row in rows if row['TOLD'].endswith(': no')]
    assert len(named) + more == number
    assert any(f'and {more} more' in row['TOLD'] for row in rows) is bool(more)


def test_sums_are_by_reason_and_by_repository():
    lines = run_of(
        asked(1, reason='untagged', because='untagged for 1d or longer', tags=[{'tag': 'a'}, {'tag': 'b'}]),
        asked(2, reason='childOf', because=digest(1)),
        asked(3, reason='childOf', because=digest(9)),
        asked(4, request='deleteTag', tag='v1', reason='matched', because='old'),
    )
    told = story_of('r', lines)
    assert [
        (row['reason'], row['because'], row['manifestsDeleted'], row['tagsDeleted']) for row in told['reasons']
    ] == [('childOf', None, 2, 0), ('untagged', 'untagged for 1d or longer', 1, 2), ('matched', 'old', 0, 1)]
    assert told['repositories'] == [{'repository': 'team/app', 'manifestsDeleted': 3, 'tagsDeleted': 3}]


@pytest.mark.parametrize(
    'header, command, words',
    [
        ({'archive': '/mnt/a b', 'softDeleteDays': None}, True, 'From the archive /mnt/a b.'),
        ({'softDeleteDays': 7}, True, '7 days'),
        ({'softDeleteDays': None}, False, 'cannot be undone'),
        ({}, True, 'if it was on'),
    ],
)
def test_it_says_how_a_run_is_undone_or_why_it_cannot_be(header, command, words):
    undo = story_of('r', run_of(asked(1), **header))['undo']
    whole = None if not command else f'az acr prune undo -r {HOST} --run r'
    assert words in undo['how'] and undo['command'] == whole
    elsewhere = undo_of('r', run_of(asked(1), **header), ['my'])['command']
    assert (elsewhere == "az acr prune undo -r my --archive '/mnt/a b' --run r") is ('archive' in header)
    shared = story_of('r', run_of(asked(1), **header), '/mnt/all states')['undo']['command']
    assert shared == (whole and whole.replace(' --run', " --state '/mnt/all states' --run"))


def test_options_are_told_as_they_are_given():
    given = {'tags': {'match': ['team/app:*'], 'ago': '10d', 'keep': 0, 'untagged': True, 'keepPer': ['3:^(?P<b>.)']}}
    assert options_of({**given, 'repositories': ['a', 'b']}) == [
        *('--match', 'team/app:*', '--ago', '10d', '--untagged', '--keep-per', '3:^(?P<b>.)', '--repository', 'a', 'b')
    ]
    assert 'rules dev, 2' in ' '.join(options_of({'file': {'rules': [{'name': 'dev'}, {}]}}))
    assert options_of(None) == []


def test_what_selects_nothing_to_delete_has_its_options_too():
    given = {'pins': ['a.yaml', 'b'], 'image': ['app:v1', 'app:v2'], 'ranWithin': '30d', 'alone': True, 'marks': None}
    story = story_of('run', [{'event': 'start', 'given': given}])
    assert ' '.join(story['options']) == '--pins a.yaml b --image app:v1 --image app:v2 --ran-within 30d --alone'


def crowded(number):
    """A run of which there is far too much to say for one screen."""
    events = [
        asked(each, 'locked', 'a very long sentence about why ' * 9, reason=f'reason{each % 9}', because='x' * 300)
        for each in range(number)
    ]
    events += [
        [{**line, 'repository': f'team/{each}'} for line in asked(each, reason='untagged', because='y' * 300)]
        for each in range(number)
    ]
    given = {'tags': {'match': [f'team/{each}:*' for each in range(99)], 'ago': '10d'}}
    return run_of(*events, archive='/mnt/' + 'deep/' * 40, policy=given, pipeline='GitHub Actions run 1 ' * 20)


@pytest.mark.parametrize('columns', [80, 100, 200])
@pytest.mark.parametrize('number', [0, 1, 500])
def test_one_run_is_on_one_screen_with_the_whole_command_that_undoes_it(monkeypatch, columns, number):
    monkeypatch.setenv('COLUMNS', str(columns))
    run = '20261129T194500.123456Z-0a1b2c3d'
    lines = crowded(number)
    story = {**story_of(run, lines), 'requests': requests_of(lines)}
    rows = run_rows(story)
    assert len(rows) <= 21 and all(len(row['WHAT']) + 2 + len(row['TOLD']) <= columns for row in rows)
    told = [row['TOLD'].rstrip('\\') for row in rows]
    command = next((told[at:] for at, text in enumerate(told) if text.startswith('az acr prune undo')), [])
    assert number == 0 or ' '.join(' '.join(command).split()) == f'az acr prune undo -r {HOST} --run {run}'


# --- The index -----------------------------------------------------------------------------------------------------


class Counting:
    """Outlines of runs, and how many journals were read for them."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, run, lines):
        self.read += 1
        return Outline(summary_of(run, lines), tuple(images_taken(lines)))


def write_run(folder, number, lines, hours=0):
    began = datetime.now(timezone.utc) - timedelta(hours=hours)
    path = folder / f'{began:%Y%m%dT%H%M%S.%fZ}-{number:08x}.jsonl'
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return path.stem


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        tags = [{'tag': f'v{number}'}, {'tag': 'both'}] if number < 2 else []
        write_run(tmp_path, number, run_of(asked(number, tags=tags)), 10 - number)
    return tmp_path


def plain(folder):
    """What the journals themselves say."""
    return [summary_of(run, read_run(folder, run)) for run in runs(folder)]


def test_journals_are_read_once(folder):
    for expected in (6, 0):
        outlining = Counting()
        assert JournalIndex(folder, outlining).summaries() == plain(folder)
        assert outlining.read == expected
    assert (folder / INDEX_NAME).stat().st_mode & 0o777 == 0o600


def test_where_no_run_has_written_a_journal_there_are_no_runs(tmp_path):
    assert JournalIndex(tmp_path / 'journal', Counting()).summaries() == []


def test_a_folder_of_journals_that_cannot_be_listed_is_an_error_that_names_it(tmp_path):
    (tmp_path / 'journal').touch()
    with pytest.raises(JournalError, match=r"The journals in '.*journal' cannot be read: .+"):
        JournalIndex(tmp_path / 'journal', Counting()).summaries()


def test_the_folder_is_listed_once_however_many_journals_are_new(folder, monkeypatch):
    listed = []
    for name in ('scandir', 'listdir'):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path='.', real=real: listed.append(path) or real(path))
    outlining = Counting()
    assert len(JournalIndex(folder, outlining).summaries()) == outlining.read == 6 and len(listed) == 1


@pytest.mark.parametrize('run', ['../run', 'a/b', 'a\0b', '', 'nosuch', '..'])
def test_what_is_no_run_has_no_journal(folder, run):
    with pytest.raises(NoSuchRun):
        read_run(folder, run)


def test_the_runs_that_took_an_image_are_found_by_tag_and_by_the_beginning_of_a_digest(folder):
    index = JournalIndex(folder, Counting())
    first, second = runs(folder)[:2]
    for _ in range(2):
        assert index.runs_that_took('team/app', lambda _, tags: 'both' in tags) == [
            (first, digest(0)),
            (second, digest(1)),
        ]
        assert index.runs_that_took('team/app', lambda each, _: each.startswith(digest(1)[:71])) == [
            (second, digest(1))
        ]
        assert index.runs_that_took('team/ap', lambda *_: True) == []


def test_a_run_that_is_not_over_is_read_each_time_until_it_is(folder):
    name = write_run(folder, 99, run_of(asked(1), end=False))
    path = folder / f'{name}.jsonl'
    for _ in range(2):
        outlining = Counting()
        assert JournalIndex(folder, outlining).summaries()[-1]['endedAt'] is None and outlining.read
    path.write_text(''.join(json.dumps(line) + '\n' for line in run_of(asked(1))))
    assert JournalIndex(folder, Counting()).summaries()[-1]['endedAt']
    write_run(folder, 98, run_of(end=False), 5)
    for killed in folder.glob('*-00000062.jsonl'):
        os.utime(killed, (time.time() - 7200,) * 2)
    JournalIndex(folder, Counting()).summaries()
    outlining = Counting()
    assert JournalIndex(folder, outlining).summaries() == plain(folder) and not outlining.read


@pytest.mark.parametrize('seed', range(40))
def test_an_index_that_is_damaged_anywhere_changes_no_answer(folder, seed):
    JournalIndex(folder, Counting()).summaries()
    path, chance = folder / INDEX_NAME, random.Random(seed)
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    if seed % 2:
        data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data if seed % 2 else data[:at])
    outlining = Counting()
    assert JournalIndex(folder, outlining).summaries() == plain(folder)
    assert outlining.read or at == 0
    outlining = Counting()
    assert JournalIndex(folder, outlining).summaries() == plain(folder) and not outlining.read


def test_a_journal_that_is_removed_meanwhile_is_left_out_and_one_that_cannot_be_read_is_an_error(folder):
    first, second, *others = runs(folder)

    def fetch(run):
        if run == first:
            (folder / f'{run}.jsonl').unlink()

    assert [each['run'] for each in JournalIndex(folder, Counting(), fetch).summaries()] == [second, *others]
    (folder / f'{second}.jsonl').write_bytes(b'\0')
    with pytest.raises(JournalError):
        JournalIndex(folder, Counting()).summaries()


def test_a_journal_that_cannot_be_read_is_an_error_that_names_the_run(folder):
    run = runs(folder)[0]
    path = folder / f'{run}.jsonl'
    path.unlink()
    path.mkdir()
    with pytest.raises(JournalError, match=f"'{run}' cannot be read: "):
        read_run(folder, run)


def test_a_run_that_is_added_where_there_is_no_index_is_not_read_again(folder):
    JournalIndex(folder, Counting()).add(runs(folder)[-1])
    outlining = Counting()
    assert JournalIndex(folder, outlining).summaries() == plain(folder) and outlining.read == 5


def test_an_index_that_begins_with_one_run_is_for_its_owner_alone(folder):
    JournalIndex(folder, Counting()).add(runs(folder)[-1])
    assert (folder / INDEX_NAME).stat().st_mode & 0o777 == 0o600


def test_an_index_that_cannot_be_written_changes_no_answer(folder):
    (folder / INDEX_NAME).mkdir()
    assert JournalIndex(folder, Counting()).summaries() == plain(folder)
    JournalIndex(folder, Counting()).add(runs(folder)[0])


def test_old_journals_are_removed_and_the_index_forgets_them(folder):
    index = JournalIndex(folder, Counting())
    index.summaries()
    gone = remove_before(folder, datetime.now(timezone.utc) - timedelta(hours=7, minutes=30))
    index.forget(gone)
    assert len(gone) == 3 and len(runs(folder)) == 3
    assert all(run.encode() not in (folder / INDEX_NAME).read_bytes() for run in gone)
    outlining = Counting()
    assert JournalIndex(folder, outlining).summaries() == plain(folder) and not outlining.read


def test_what_a_run_left_unlocked_is_told_and_a_row_names_it():
    taken_off = {'event': 'request', 'request': 'setLocks', 'repository': 'team/app', 'tag': 'v1'}
    owed = {**taken_off, 'at': '2026-01-01T00:00:00.000000Z', 'owed': {'digest': digest(1), 'locks': ['deleteEnabled']}}
    story = {**story_of('r', run_of([owed], end=False)), 'requests': []}
    left = [{'repository': 'team/app', 'digest': digest(1), 'tag': 'v1', 'locks': story['leftUnlocked'][0]['locks']}]
    assert story['leftUnlocked'] == left
    assert any(row['WHAT'] == 'unlocked' and 'team/app:v1' in row['TOLD'] for row in run_rows(story))
    assert runs_rows([story])[0]['ENDED_UTC'].endswith('left 1 unlocked')


def test_the_journal_of_a_run_with_an_owed_lock_is_kept_whatever_its_age(folder):
    oldest = runs(folder)[0]
    (folder / f'{oldest}.open').touch()
    remove_before(folder, datetime.now(timezone.utc) + timedelta(days=1))
    assert runs(folder) == [oldest]
