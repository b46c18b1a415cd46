"""The usage as people read it: rows, bars at a terminal, sentences."""

import io
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tabulate import tabulate

from azext_acrprune.pins.pulls import Pulls
from azext_acrprune.show.sizes import percent, share_bar
from azext_acrprune.show.usage_tables import usage_lines, usage_rows
from azext_acrprune.spelling import visible
from azext_acrprune.usage.usage_document import KINDS, usage_document
from azext_acrprune.usage.usage_rows import Log
from tests.browser.registries import CREATED_AT, HOSTILE, busy, hostile, inventory_of
from tests.worlds import NOW, TICKS


class Screen(io.StringIO):
    """A terminal that says what it can show."""

    encoding = 'utf-8'

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    screen = Screen()
    monkeypatch.setattr('azext_acrprune.show.usage_tables.sys', SimpleNamespace(stdout=screen))
    return screen


def rows_of(by, top=3, inventory=None, **more):
    return usage_rows(usage_document(inventory or busy(400), by, top, CREATED_AT, NOW, **more))


@pytest.mark.parametrize(
    'part, whole, text',
    [
        (0, 100, ''),
        (100, 100, '█' * 20),
        (50, 100, '█' * 10),
        (1, 160, '▏'),
        (8, 160, '█'),
        (12, 160, '█▌'),
        (1, 10**15, '▏'),
        (5, 0, ''),
    ],
)
def test_a_bar_is_in_eighths_of_a_column_and_never_nothing(part, whole, text):
    assert share_bar(part, whole, 'utf-8') == text


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1', 'cp437', None, 'no such encoding'])
def test_a_bar_is_plain_where_the_encoding_has_no_eighths(encoding):
    assert [share_bar(part, 100, encoding) for part in (0, 1, 50, 100)] == ['', '=', '=' * 10, '=' * 20]


@given(st.integers(0, 2**90), st.integers(1, 2**90), st.sampled_from(('utf-8', 'ascii')))
def test_a_bar_is_at_most_twenty_columns_and_longer_for_more(part, whole, encoding):
    part = min(part, whole)
    assert len(share_bar(part, whole, encoding)) <= 20
    assert (share_bar(part, whole, encoding) == '') == (part == 0)
    assert len(share_bar(part // 2, whole, encoding)) <= len(share_bar(part, whole, encoding))
    assert abs(len(share_bar(part, whole, encoding)) - 20 * part / whole) <= 1


def test_what_is_there_is_never_0_percent():
    assert [percent(part, 10_000) for part in (0, 1, 10, 1_234)] == ['0.0 %', 'under 0.1 %', '0.1 %', '12.3 %']


@pytest.mark.parametrize(
    'by, columns',
    [
        ('repository', 'REPOSITORY MANIFESTS UNTAGGED TOTAL UNIQUE SHARED ATTRIBUTED SHARE NEWEST 12_MONTHS'),
        ('image', 'IMAGE TOTAL UNIQUE SHARED ATTRIBUTED SHARE PUSHED'),
        ('layer', 'LAYER ATTRIBUTED SHARE IMAGES REPOSITORIES LAYERS_BELOW BASE_IMAGE USED_BY'),
        ('tag-pattern', 'REPOSITORY PATTERN TAGS MANIFESTS TOTAL UNIQUE SHARED ATTRIBUTED SHARE NEWEST 12_MONTHS'),
    ],
)
def test_a_table_has_the_same_capital_columns_in_every_row(by, columns):
    assert {' '.join(row) for row in rows_of(by)} == {columns}


@pytest.mark.parametrize('by', sorted(KINDS))
def test_a_terminal_shows_bars_beside_the_shares(by, terminal):
    rows = rows_of(by)
    assert list(rows[0])[list(rows[0]).index('SHARE') + 1] == 'BAR'
    assert rows[-1]['BAR'] == '█' * 20 and all(row['BAR'] for row in rows)


def test_a_terminal_without_blocks_shows_plain_bars(terminal):
    terminal.encoding = 'ascii'
    assert rows_of('repository')[-1]['BAR'] == '=' * 20


@pytest.mark.parametrize(
    'by, names',
    [
        ('repository', ['7 more', 'total']),
        ('image', ['501 more', 'total']),
        ('layer', ['598 more', 'manifests', 'total']),
        ('tag-pattern', ['17 more', 'total']),
    ],
)
def test_the_rest_and_the_total_come_last(by, names):
    rows = rows_of(by)
    assert [next(iter(row.values())) for row in rows[3:]] == names
    assert rows[-1]['SHARE'] == '100.0 %'


def test_last_pulls_have_a_column_when_they_were_asked_for():
    name = busy(40).repositories[0].name
    log = Log('logs', Pulls(0, {}, {name: {'v1': NOW - 3 * 86_400 * TICKS}}), None)
    rows = rows_of('repository', inventory=busy(40), log=log)
    assert [row['LAST_PULL'] for row in rows] == ['3d', '']
    assert 'which has no event of this registry of late' in lines(log=log)[-1]
    assert lines(log=Log('logs', Pulls(), NOW))[-1].endswith(f'without a hole since {CREATED_AT[:10]}.')


def lines(**more):
    return list(usage_lines(usage_document(busy(40), 'repository', None, CREATED_AT, NOW, **more)))


def test_without_azure_a_line_says_so_and_without_a_price_nothing_is_said_of_cost():
    assert lines() == ['The real usage is not known.']


@pytest.mark.parametrize('by', sorted(KINDS))
def test_hostile_texts_are_one_visible_line_each(by, terminal):
    rows = rows_of(by, 20, hostile())
    table = tabulate(rows, headers='keys', tablefmt='simple', disable_numparse=True)
    assert all(line.isprintable() for line in table.splitlines())
    assert len(table.splitlines()) == len(rows) + 2
    table.encode('utf-8')
    assert all(len(str(cell)) <= 120 for row in rows for cell in row.values())
    assert any(HOSTILE[:10] in str(cell) for row in rows for cell in row.values())


@given(st.text())
def test_any_text_is_visible_and_not_long(text):
    assert visible(text).isprintable() and len(visible(text)) <= 120


@pytest.mark.parametrize('by', sorted(KINDS))
def test_an_empty_registry_has_a_total(by, terminal):
    rows = rows_of(by, None, inventory_of([]))
    assert next(iter(rows[-1].values())) == 'total'


def test_a_query_gives_something_else_which_is_shown_as_it_is():
    assert usage_rows({'registryBytes': 5}) == [{'registryBytes': 5}]
