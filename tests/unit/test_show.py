"""What people read: sizes, ages, short digests, tables, the preview, progress."""

from __future__ import annotations

import re
from collections import OrderedDict
from decimal import Decimal
from types import SimpleNamespace

import pytest

from azext_acrprune.documents.cost import GIB, Price, cost_fields
from azext_acrprune.model import TICKS_PER_SECOND, Account
from azext_acrprune.show.policy_tables import policy_test_rows
from azext_acrprune.show.preview import Left, Screen, full_list, preview_lines
from azext_acrprune.show.progress import ProgressReporter, progress
from azext_acrprune.show.shortfall import shortfall
from azext_acrprune.show.sizes import count, human_age, human_size, short_digest
from azext_acrprune.show.table import Table, laid_out
from azext_acrprune.show.tables import explain_rows, plan_rows, result_rows
from tests.registry.printed import printed_commands, wrong_with

DIGEST = 'sha256:' + 'ab' * 32
NOW = 1_000_000_000 * TICKS_PER_SECOND


def a_plan(**changes) -> dict:
    entry = {
        'repository': 'team/app',
        'digest': DIGEST,
        'tags': [],
        'lastUpdateTime': '2001-09-01T01:46:40Z',
        'uniqueBytes': 2048,
        'reason': 'untagged',
        'because': 'untagged for 1d or longer',
    }
    summary = {
        'repositories': 2,
        'manifests': 3,
        'manifestsToDelete': 1,
        'tagsToDelete': 0,
        'manifestsKept': 2,
        'keptByReason': {'tagged': 1, 'young': 1},
        'registryBytes': 9000,
        'freedBytes': 2048,
        'freedManifestBytes': 48,
        'sharedBytes': 1024,
        'heldImpact': 'exact',
        'softDeleteRetentionDays': None,
    }
    return {
        'registry': 'my.azurecr.io',
        'createdAt': '2001-09-09T01:46:40.000000Z',
        'impact': 'exact',
        'policy': {},
        'summary': summary,
        'warnings': [],
        'delete': [entry],
        'untag': [],
        'repositories': [
            {'name': 'team/app', 'manifests': 2, 'manifestsToDelete': 1, 'tagsToDelete': 0, 'freedBytes': 2048}
        ],
        **changes,
    }


@pytest.mark.parametrize(
    'size, text',
    [
        (0, '0 B'),
        (1023, '1023 B'),
        (1024, '1.0 KiB'),
        (1536, '1.5 KiB'),
        (5 * 1024**3, '5.0 GiB'),
        (3 * 1024**5, '3.0 PiB'),
        (5000 * 1024**5, '5000.0 PiB'),
    ],
)
def test_sizes_are_binary_units(size, text):
    assert human_size(size) == text


@pytest.mark.parametrize('seconds, text', [(5, '5s'), (90, '1m'), (7200, '2h'), (86_400 * 40, '40d'), (-9, '0s')])
def test_ages_have_one_unit(seconds, text):
    assert human_age(NOW - seconds * TICKS_PER_SECOND, NOW) == text


def test_an_unknown_age_says_so():
    assert human_age(None, NOW) == '?'


def test_digests_are_cut_in_texts_and_in_tags_made_of_them():
    assert short_digest(f'orphan attachment of {DIGEST}') == 'orphan attachment of sha256:abababababab'
    assert short_digest(DIGEST.replace(':', '-') + '.sig') == 'sha256-abababababab.sig'
    assert short_digest('v1') == 'v1'


@pytest.mark.parametrize('number, noun, text', [(1, 'manifest', '1 manifest'), (2, 'repository', '2 repositories')])
def test_nouns_are_counted(number, noun, text):
    assert count(number, noun) == text


def test_a_plan_is_a_row_a_manifest_and_a_total():
    first, total = plan_rows(a_plan())
    assert list(first) == ['ACTION', 'REPOSITORY', 'DIGEST', 'TAGS', 'AGE', 'FREES', 'REASON', 'BECAUSE']
    assert (first['DIGEST'], first['AGE'], first['FREES']) == ('sha256:abababababab', '8d', '2.0 KiB')
    assert (total['REPOSITORY'], total['FREES']) == ('1 of 3 manifests', '2.0 KiB')


def test_an_upper_bound_is_called_so_everywhere():
    plan = a_plan(impact='upperBound')
    assert [row['FREES'] for row in plan_rows(plan)] == ['at most 2.0 KiB', 'at most 2.0 KiB']
    assert any('frees at most 2.0 KiB' in line for line in preview_lines(plan))


def test_a_result_is_a_row_a_manifest_and_a_total():
    entry = {'repository': 'team/app', 'digest': DIGEST}
    rows = result_rows(
        {
            'summary': {
                'manifestsDeleted': 1,
                'skipped': 1,
                'failed': 1,
                'freedBytes': 2048,
                'impact': 'exact',
                'softDeleteRetentionDays': None,
            },
            'deleted': [{**entry, 'tags': ['v2', 'latest'], 'reason': 'untagged', 'because': 'x'}],
            'untagged': [{**entry, 'tag': 'v1', 'reason': 'matched', 'because': 'z'}],
            'goneBefore': [{**entry, 'reason': 'before'}],
            'skipped': [{**entry, 'reason': 'locked', 'because': 'y'}],
            'failed': [{**entry, 'error': 'server error'}],
        }
    )
    assert [row['RESULT'] for row in rows] == ['deleted', 'untagged', 'gone before', 'skipped', 'failed', 'total']
    assert rows[0]['TAG'] == 'v2, latest' and rows[2]['REASON'] == 'it was not there any more'
    assert rows[1]['TAG'] == 'v1' and rows[4]['REASON'] == 'server error' and rows[5]['REASON'] == '2.0 KiB freed'
    assert '1 gone before' in rows[5]['REPOSITORY']


def test_the_preview_says_what_goes_what_it_frees_and_why_the_rest_stays():
    lines = preview_lines(a_plan())
    assert lines == [
        '1 manifest of 3 will be deleted from 1 repository of my.azurecr.io:',
        '  team/app: 1 of 2, 2.0 KiB',
        'This frees 2.0 KiB (2,048 bytes); 1.0 KiB of their layers stay, because other images use them.',
        'Kept: 2 manifests.',
        '  1 with a tag (tagged)',
        '  1 younger than the age asked for (young)',
    ]


def test_the_preview_says_nothing_of_layers_that_stay_where_there_are_none():
    plan = a_plan()
    plan['summary']['sharedBytes'] = 0
    assert 'This frees 2.0 KiB (2,048 bytes).' in preview_lines(plan)


def test_a_plan_that_was_made_before_is_told_as_such_with_what_is_left_of_it():
    first, second, *_ = preview_lines(a_plan(), left=Left(0, 0))
    assert first == 'The plan of 2001-09-09 01:46 UTC says:'
    assert second == '(As the registry is now, 0 of its 1 manifest would go: the rest changed since, or is gone.)'
    first, second, *_ = preview_lines(a_plan(), left=Left(1, 0))
    assert first.startswith('The plan of') and second.startswith('1 manifest of 3 will be deleted')


def test_what_was_not_done_of_a_plan_is_told_in_one_line_and_nothing_where_all_was():
    plan = a_plan(delete=[{}] * 6, untag=[{}])
    summary = {'freedBytes': 1024, 'impact': 'exact'}
    result = {'summary': summary, 'deleted': [{}] * 2, 'untagged': [{}], 'goneBefore': [{}], 'skipped': [{}] * 3}
    line = '2 of 6 manifests deleted, 1 of 1 tag removed, 1 gone before, 3 skipped; 1.0 KiB freed of 2.0 KiB.'
    assert shortfall(plan, {**result, 'failed': []}) == line
    assert shortfall(plan, {**result, 'goneBefore': [], 'skipped': [], 'failed': []}) is None


def test_the_preview_says_who_keeps_the_largest_layers_that_stay():
    layer = {'digest': DIGEST, 'size': 1024**3, 'users': ['team-a/api:v3'], 'imagesKept': 42}
    only = {**layer, 'size': 1024, 'imagesKept': 1}
    lines = preview_lines(a_plan(sharedLayers=[layer, only, only, only]))
    assert [line for line in lines if 'stay because of' in line] == [
        '  1.0 GiB stay because of sha256:abababababab, used by team-a/api:v3 and 41 others',
        *['  1.0 KiB stay because of sha256:abababababab, used by team-a/api:v3'] * 2,
    ]


def test_the_preview_names_the_day_on_which_soft_delete_frees():
    plan = a_plan()
    plan['summary']['softDeleteRetentionDays'] = 7
    assert any('nothing is freed before 2001-09-16' in line for line in preview_lines(plan))


@pytest.mark.parametrize('width', range(40, 120, 9))
def test_a_command_in_the_preview_is_on_one_line_and_can_be_pasted(width):
    plan = a_plan()
    plan['summary']['softDeleteRetentionDays'] = 7
    lines = preview_lines(plan, Screen(width))
    (command,) = printed_commands('\n'.join(lines))
    assert command == 'az acr prune undo -r my.azurecr.io' and wrong_with(command) is None
    assert max(map(len, lines)) <= max(width, len(command) + 4)


def test_a_command_below_a_row_of_a_table_is_whole_and_the_sentence_around_it_is_broken():
    long = f"Look at it with 'az acr prune explain -r my --image {'x' * 90}:v1', and push it again."
    layout = laid_out(Table([OrderedDict(IMAGE='a', BELOW=long)]), width=60)
    lines = layout.below[0]
    assert [command for line in lines for command in printed_commands(line)] == [long.split("'")[1]]
    assert [line.strip() for line in lines if 'az acr' not in line] == ['Look at it with', 'and push it again.']


def test_the_preview_and_the_table_say_what_a_plan_saves_where_there_is_a_price():
    cost = cost_fields(Account('Basic', used_bytes=30 * GIB, regions=1), 0, Price(Decimal('0.01'), '€'), 2 * GIB)
    saves = 'That saves 0.60 € in 30 days, at 0.01 € for a GiB and day.'
    assert saves in preview_lines(a_plan(cost=cost))
    assert plan_rows(a_plan(cost=cost))[-1]['BECAUSE'] == saves
    assert plan_rows(a_plan())[-1]['BECAUSE'] == ''


def test_a_layer_whose_digest_is_an_attack_is_visible_text_in_preview_and_tables():
    layer = {
        'digest': 'sha256:\x1b[2J\n\u202e' + 'x' * 500,
        'size': 5,
        'imagesKept': 1,
        'keptInRepositories': 1,
        'imagesToDelete': 1,
        'users': ['team/app:v1'],
        'otherUsers': ['team/app:v1'],
        'freed': False,
        'sharedWith': 1,
    }
    plan = a_plan(sharedLayers=[layer])
    explained = {
        'explanation': '',
        'decision': 'keep',
        'digest': DIGEST,
        'uniqueBytes': 0,
        'impact': 'exact',
        'reason': 'tagged',
        'because': 'v1',
        'layers': [layer],
    }
    cells = [str(cell) for row in (*plan_rows(plan), *explain_rows(explained)) for cell in row.values()]
    shown = [*preview_lines(plan), *cells]
    assert all(text.isprintable() and len(text) < 200 for text in shown)
    assert sum('sha256:\\u{1b}[2J' in text for text in shown) == 3


def test_tests_of_a_policy_that_failed_are_the_first_rows_and_the_sum_is_always_there():
    surprise = {'image': 'app:v1', 'expected': 'go', 'decided': 'stay', 'chain': ['it is young']}
    tests = [{'name': 'right', 'passed': True, 'failures': []}] * 60
    wrong = {'name': 'wrong', 'passed': False, 'failures': [surprise]}
    layout = laid_out(policy_test_rows({'summary': {'passed': 60, 'failed': 1}, 'tests': [*tests, wrong]}))
    assert [row['TEST'] or row['WHY'] for row in layout.rows[:3]] == ['wrong', 'it is young', 'right']
    assert layout.rows[-1]['OUTCOME'] == '60 passed, 1 failed' and layout.notes == ['12 more rows: --top 0 shows all.']


def test_nothing_to_delete_is_said():
    assert preview_lines(a_plan(repositories=[], delete=[]))[0].startswith('Nothing to delete in my.azurecr.io')


def test_the_full_list_names_every_manifest_with_its_reason():
    assert full_list(a_plan()) == f'   2.0 KiB    8d  team/app@{DIGEST} (untagged: untagged for 1d or longer)'


def test_the_full_list_has_the_largest_first_with_locks():
    small = a_plan()['delete'][0]
    large = {**small, 'uniqueBytes': 1024**3, 'tags': ['v1'], 'locks': ['manifest deleteEnabled=false']}
    first, second = full_list(a_plan(delete=[small, large])).split('\n')
    assert (
        '1.0 GiB' in first and 'with its tag v1, locked: manifest deleteEnabled=false' in first and '2.0 KiB' in second
    )


@pytest.mark.parametrize('width', [None, 40, 60, 80, 200])
def test_the_preview_fits_a_screen_whatever_the_size_and_says_what_it_leaves_out(width):
    row = a_plan()['repositories'][0]
    note = {'code': 'x', 'repository': 'team/app', 'digest': DIGEST, 'message': 'It is odd. ' * 5}
    unread = {**note, 'code': 'repositoryNotRead', 'message': 'It could not be read.'}
    plan = a_plan(
        repositories=[
            {**row, 'name': f'{"n" * 190}/app{number}', 'freedBytes': number * 1024} for number in range(4_000)
        ],
        warnings=[*[note] * 40, unread],
    )
    plan['summary']['keptByReason'] = {'tagged': 9, 'young': 8, 'locked': 7, 'pinned': 6, 'childOf': 5}
    lines = preview_lines(plan, Screen(width, columns_before=9, lines_after=2))
    assert len(lines) <= 22 and (width is None or all(len(line) <= width for line in lines))
    assert width is None or len(lines[0]) <= width - 9
    first = next(line for line in lines if '/app' in line)
    assert first.endswith('/app3999: 1 of 2, 3.9 MiB'), 'most bytes first, and one line each'
    text = ' '.join(line.strip() for line in lines)
    assert re.search(r'and [\d,]+ more repositories', text) and re.search(r'And \d+ more notes', text)
    assert width == 40 or 'It could not be read.' in text, 'what was not read comes first'


def test_where_even_the_sentences_are_too_many_the_most_important_are_shown_and_the_rest_is_counted():
    plan = a_plan(
        untag=[{'reason': 'x'}] * 3,
        deleteLater=[{}] * 3,
        retire=[{'because': 'y: why ' * 30}],
        registry='r' * 50 + '.azurecr.io',
    )
    plan['summary'].update(
        softDeleteRetentionDays=7, freedLaterBytes=5, freedLaterImpact='exact', retentionKnown=False, retiredBytes=9
    )
    lines = preview_lines(plan, Screen(30))
    assert len(lines) == 24 and lines[0].startswith('1 manifest of 3 will be') and 'frees 2.0 KiB' in ' '.join(lines)
    assert re.fullmatch(r'And \d+ more lines: see the', lines[-1]) or 'more lines' in lines[-1]


def test_tags_that_go_alone_are_counted_and_said_to_free_nothing():
    tag = {'repository': 'team/app', 'tag': 'pr-1', 'digest': DIGEST, 'reason': 'matched', 'because': 'x'}
    tag['lastUpdateTime'] = None
    plan = a_plan(delete=[], untag=[tag])
    first = preview_lines(plan)[0]
    assert first == '1 tag will be removed from manifests that stay in my.azurecr.io; that frees 0 bytes.'
    assert full_list(plan) == '       tag     ?  team/app:pr-1 (matched: x)'


def test_what_was_named_is_listed_with_every_tag_that_goes():
    entry = {**a_plan()['delete'][0], 'tags': ['v1', 'latest'], 'reason': 'named', 'because': DIGEST}
    lines = preview_lines(a_plan(delete=[entry], policy={'images': ['team/app:v1']}))
    assert '2 tags will go with it.' in lines
    assert f'   2.0 KiB    8d  team/app@{DIGEST} with its tags v1, latest (named: {DIGEST})' in lines


def test_locked_content_that_goes_is_counted():
    entry = {**a_plan()['delete'][0], 'locks': ['manifest']}
    assert '1 of them locked, and will be unlocked to go.' in preview_lines(a_plan(delete=[entry]))


class _Terminal:
    """What is shown, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.lines = []
        self.now = 100.0

    def reporter(self, seconds_between=1.0) -> ProgressReporter:
        return ProgressReporter(self.lines.append, seconds_between, lambda: self.now)

    def hear(self, event, times, seconds) -> None:
        """The event so many times, at an even pace."""
        for _ in range(times):
            self.now += seconds / times
            event()


@pytest.fixture
def terminal():
    return _Terminal()


def test_progress_counts_repositories_and_manifests_then_deletes(terminal):
    reporter = terminal.reporter()
    reporter.repositories_found(2)
    terminal.hear(reporter.repository_done, 2, 0)
    reporter.manifests_found(100)
    terminal.hear(reporter.manifest_read, 64, 4)
    assert terminal.lines[-1] == 'Reading 2 of 2 repositories: 64 of 100 manifests, 16/s, about 2 s left'
    reporter.deletes_planned(3)
    terminal.hear(reporter.deleted, 1, 2)
    assert terminal.lines[-1] == 'Deleting: 1 of 3 manifests, 0.5/s, about 4 s left'


def test_progress_is_shown_no_more_often_than_asked_for(terminal):
    reporter = terminal.reporter(30)
    reporter.manifests_found(1_000)
    terminal.hear(reporter.manifest_read, 58, 29)
    assert terminal.lines == []
    terminal.hear(reporter.manifest_read, 122, 61)
    assert len(terminal.lines) == 3


def test_the_time_left_counts_repositories_that_are_not_listed_yet(terminal):
    reporter = terminal.reporter()
    reporter.repositories_found(10)
    reporter.repository_done()
    reporter.manifests_found(50)
    terminal.hear(reporter.manifest_read, 32, 2)
    assert terminal.lines[-1].endswith('32 of 50 manifests, 16/s, about 29 s left')


def test_the_rate_is_that_of_late_and_long_times_are_told_in_minutes_and_hours(terminal):
    reporter = terminal.reporter()
    reporter.manifests_found(40_000)
    terminal.hear(reporter.manifest_read, 10_000, 100)
    assert terminal.lines[-1].endswith('100/s, about 5 min left')
    terminal.hear(reporter.manifest_read, 120, 60)
    assert terminal.lines[-1].endswith('2.0/s, about 4 h 9 min left')


def test_a_warm_run_shows_the_repositories_alone(terminal):
    reporter = terminal.reporter()
    reporter.repositories_found(3)
    terminal.hear(reporter.repository_done, 2, 2)
    assert terminal.lines == ['Reading 1 of 3 repositories', 'Reading 2 of 3 repositories']


def test_progress_says_that_the_registry_throttles_and_forgets_it_before_deleting(terminal):
    reporter = terminal.reporter()
    reporter.manifests_found(10)
    reporter.throttled(49.7)
    assert reporter.message().endswith(', throttled to 50/s')
    reporter.deletes_planned(3)
    assert 'throttled' not in reporter.message()


@pytest.mark.parametrize(
    'options, terminal_there, shown',
    [
        ({}, True, 'terminal'),
        ({}, False, 'log'),
        ({'only_show_errors': True}, True, None),
        ({'only_show_errors': True}, False, None),
        ({'disabled': True}, True, None),
        ({'disabled': True}, False, None),
    ],
)
def test_where_progress_is_shown_is_azs_own_choice(monkeypatch, options, terminal_there, shown):
    messages = []
    controller = SimpleNamespace(
        begin=lambda message: None, end=lambda: None, add=lambda message: messages.append(message)
    )
    config = SimpleNamespace(
        getboolean=lambda section, name, fallback: (
            options.get('disabled', fallback) if (section, name) == ('core', 'disable_progress_bar') else fallback
        )
    )
    cli_ctx = SimpleNamespace(
        only_show_errors=options.get('only_show_errors', False),
        config=config,
        get_progress_controller=lambda: controller,
    )
    monkeypatch.setattr('sys.stderr', SimpleNamespace(isatty=lambda: terminal_there))
    logged = []
    monkeypatch.setattr('azext_acrprune.show.progress._SECONDS_BETWEEN', 0)
    monkeypatch.setattr('azext_acrprune.show.progress._SECONDS_BETWEEN_LINES', 0)
    monkeypatch.setattr('azext_acrprune.show.progress.logger', SimpleNamespace(warning=logged.append))
    with progress(cli_ctx) as reporter:
        reporter.repository_done()
    assert (bool(messages), bool(logged)) == (shown == 'terminal', shown == 'log')
