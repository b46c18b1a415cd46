"""What people see: tables and previews that fit a terminal, and one answer to each question on one screen."""

from __future__ import annotations

import shlex

import pytest

from tests.registry.azcli import ADMIN_LOGIN

from .images import Shelf, telling
from .terminal import at_a_terminal

PRUNE = ('acr', 'prune')
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


def fill(registry, now, repositories=30):
    """Many repositories with long names, and in each an image that stays and some that go."""
    for number in range(repositories):
        shelf = Shelf(registry.storage, now, f'team-{number % 3}/{"long/" * 30}service-{number}')
        shelf.image(f'kept {number}', 'v1')
        shelf.image('x' * number, days=40)
        shelf.image(f'other {number}', days=50)


# --- Tables ------------------------------------------------------------------------------------------------------


def test_a_table_has_the_largest_rows_and_says_what_it_leaves_out(az, registry, now):
    fill(registry, now)
    piped = az(*PRUNE, 'plan', *TARGET, '-o', 'table', check=True)
    lines = piped.out.splitlines()
    assert len(lines) == 2 + 50 + 1 and lines[-1].startswith('total') and 'BECAUSE' in lines[0]
    assert '10 more rows: --top 0 shows all.' in piped.err and 'untagged for 1d' in lines[2]
    every = az(*PRUNE, 'plan', *TARGET, '-o', 'table', '--top', '0', check=True)
    assert len(every.out.splitlines()) == 2 + 60 + 1 and 'more rows' not in every.err
    assert len(az(*PRUNE, 'plan', *TARGET, '--top', '3', check=True).json['delete']) == 60, 'JSON has all'


@pytest.mark.parametrize('columns', [60, 80])
def test_tables_fit_the_terminal(az, registry, now, columns):
    fill(registry, now, 3)
    telling(registry.storage, now)
    for command in ('plan', 'usage', 'usage --by image'):
        words = (*command.split(), *TARGET, '-o', 'table', '--only-show-errors')
        shown = at_a_terminal(az, *PRUNE, *words, columns=columns)
        assert shown.code == 0 and max(map(len, shown.text.splitlines())) <= columns, shown.text


def test_a_finding_has_the_command_that_mends_it_below_its_row(az, registry, now):
    shelf = Shelf(registry.storage, now, 'a' * 200)
    ghost = shelf.image('ghost')
    registry.storage.make_ghost(shelf.repository, ghost, True)
    shown = at_a_terminal(az, *PRUNE, 'check', *TARGET, '-o', 'table')
    lines = shown.text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith('    az acr '))
    assert any(ghost[:19] in line for line in lines[start - 3 : start]), shown.text
    command = lines[start].strip()
    while command.endswith('\\'):
        start += 1
        command = command[:-1] + lines[start].strip()
    assert az(*shlex.split(command)[1:], *TARGET[2:], '--yes').code == 0
    assert az(*PRUNE, 'check', *TARGET).code == 0


# --- Previews ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('columns', [60, 80])
def test_the_preview_fits_the_terminal_and_is_the_last_that_is_seen(az, registry, now, columns):
    fill(registry, now)
    for command in (('plan',), ('untagged', '--dry-run')):
        shown = at_a_terminal(az, *PRUNE, *command, *TARGET, columns=columns)
        assert shown.code == 0 and '60 manifests of 90 will be deleted' in shown.screen, shown.screen
        assert 'This frees ' in shown.screen and 'Kept: 30 manifests' in shown.screen
        assert max(map(len, shown.text.splitlines()[-20:])) <= columns


def test_the_preview_goes_to_standard_error_and_is_silent_where_only_errors_are_shown(az, registry, now):
    telling(registry.storage, now)
    for command in (('plan',), ('tags', '--match', '**:*', '--ago', '1d', '--dry-run')):
        run = az(*PRUNE, *command, *TARGET, check=True)
        assert 'Kept: ' in run.err and run.json['registry']
        assert az(*PRUNE, *command, *TARGET, '--only-show-errors', check=True).err == ''


# --- One question, one answer -------------------------------------------------------------------------------------


def test_what_an_image_frees_is_one_number_wherever_it_is_asked_and_all_say_what_keeps_the_rest(az, registry, now):
    child = telling(registry.storage, now).kept[1]
    registry.storage.set_locks('team/app', digest=child, deleteEnabled=False)
    named = ('--image', 'team/app:latest')
    explained = az(*PRUNE, 'explain', *TARGET, *named, check=True)
    plan = az(*PRUNE, 'image', *TARGET, *named, '--dry-run', check=True)
    rows = az(*PRUNE, 'usage', *TARGET, '--by', 'image', check=True).json['rows']
    row = next(row for row in rows if row['digest'] == explained.json['digest'])
    freed = explained.json['uniqueBytes']
    assert freed > 1000 and (plan.json['summary']['freedBytes'], row['uniqueBytes']) == (freed, freed)
    stays = {'digest': child, 'reason': 'locked', 'because': 'manifest deleteEnabled=false'}
    assert explained.json['staysWith'] == row['staysWith'] == [stays]
    assert plan.json['staysWith'] == [{'repository': 'team/app', **stays}]
    assert all(f'{child} stays, because it is locked' in run.err for run in (explained, plan))


def test_the_beginning_of_several_digests_is_an_error_that_names_them(az, registry, now):
    shelf = Shelf(registry.storage, now)
    digests = sorted(shelf.image(f'image {number}') for number in range(17))  # one more than there are digits
    twice = next(digest[:8] for digest in digests if sum(each.startswith(digest[:8]) for each in digests) > 1)
    run = az(*PRUNE, 'explain', *TARGET, '--image', f'team/app@{twice}')
    assert run.code != 0 and 'may be several images' in run.err
    assert all(f'team/app@{digest}' in run.err for digest in digests if digest.startswith(twice))


def test_a_typo_in_a_pattern_does_not_look_like_a_clean_registry_and_a_date_is_an_age(az, registry, now):
    telling(registry.storage, now)
    typos = ('--match', 'team/ap:*', '--exclude', 'taem/**:*', '--repository', 'team/*', 'tema/**')
    run = az(*PRUNE, 'tags', *TARGET, *typos, '--before', '2020-01-01', '--dry-run', check=True)
    for typo in ("'team/ap:*' of --filter or --match", '--exclude taem/**:*', "--repository 'tema/**'"):
        assert f'{typo} matches nothing in the registry' in run.err
    assert len(run.json['delete']) == 0 and run.json['policy']['tags']['before'] == '2020-01-01'


# --- Questions ---------------------------------------------------------------------------------------------------


def ask(az, *command):
    """What is on the screen after a command."""
    shown = at_a_terminal(az, *PRUNE, *command)
    assert shown.code == 0, shown.text
    return shown.screen


def test_each_question_is_answered_by_one_command_on_one_screen(az, registry, now, tmp_path):
    images = telling(registry.storage, now)
    child = images.kept[1]
    will_it_survive = ask(az, 'explain', *TARGET, '--image', 'team/other:v1')
    assert 'stays' in will_it_survive and 'v1' in will_it_survive
    why_not = ask(az, 'explain', *TARGET, '--image', f'team/app@{child[:19]}')
    assert 'stays' in why_not and 'index' in why_not
    plan = az(*PRUNE, 'plan', *TARGET, check=True).json['summary']
    assert f'({plan["freedBytes"]:,} bytes)' in ask(az, 'plan', *TARGET)
    archive = str(tmp_path / 'archive')
    run = az(*PRUNE, 'untagged', *TARGET, '--yes', '--archive', archive, '--new-archive', check=True).json
    last_night = ask(az, 'history', 'show', '-o', 'table')
    assert '3 manifests' in last_night and 'archive' in last_night
    assert f'az acr prune undo -r {registry.login_server}' in last_night and f'--run {run["run"]}' in last_night
    assert '3 manifests' in ask(az, 'undo', *TARGET, '--dry-run')
