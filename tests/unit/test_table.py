"""Tables fit a terminal by leaving out what matters least, and say so; in a pipe they are whole."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tabulate import tabulate

from azext_acrprune.show.table import BELOW, Layout, Table, command_lines, laid_out

DIGEST = 'sha256:abababababab'
COMMAND = f"az acr prune image --registry contoso --image 'team a/app@{DIGEST}' --only-if ghost"


def row(number=0, **more):
    cells = {'ACTION': 'delete', 'REPOSITORY': f'team/app{number}', 'DIGEST': DIGEST, 'TAGS': 'v1, v2, latest'}
    return {**cells, 'AGE': '40d', 'FREES': '1.0 GiB', 'REASON': 'untagged', 'BECAUSE': 'untagged for 1d', **more}


def table(rows, **options):
    total = row(ACTION='total', REPOSITORY='1234567 of 7654321 manifests', DIGEST='', REASON='12.0 GiB stay')
    return Table(rows, [total], ('REPOSITORY', 'DIGEST', 'FREES', 'ACTION', 'REASON', 'TAGS'), **options)


def printed(layout: Layout) -> list[str]:
    text = tabulate(layout.rows, headers='keys', tablefmt='simple', disable_numparse=True)
    return layout.with_lines_below(text).split('\n')


def test_without_a_terminal_nothing_is_cut_and_every_column_is_there():
    long = row(REPOSITORY='r' * 300, BECAUSE='b' * 500)
    layout = laid_out(table([long]))
    assert layout.rows[0] == long and layout.notes == []


@pytest.mark.parametrize('width', [40, 60, 80, 100, 200])
def test_at_a_terminal_no_line_is_longer_and_digests_and_sizes_are_whole(width):
    rows = [row(number, REPOSITORY='a' * 100 + f'/app{number}', TAGS='t' * 90) for number in range(3)]
    layout = laid_out(table(rows), width=width)
    lines = printed(layout)
    assert all(len(line) <= width for line in lines)
    assert all(f'/app{number}' in lines[2 + number] and DIGEST in lines[2 + number] for number in range(3))
    assert width < 60 or all('1.0 GiB' in line for line in lines[2:5])
    told = ' '.join(' '.join(lines[5:]).split())
    assert '1234567 of 7654321 manifests' in told and '12.0 GiB stay' in told, 'sums are told whole'


def test_what_is_left_out_is_said():
    assert laid_out(table([row()]), width=60).notes == [
        'Not shown in 60 columns: TAGS, REASON, BECAUSE. A wider terminal, a pipe or -o json has all.'
    ]
    assert laid_out(table([row()]), width=200).notes == []


@pytest.mark.parametrize('top, shown, said', [(50, 50, ['9,950 more rows: --top 0 shows all.']), (0, 10_000, [])])
@pytest.mark.parametrize('width', [None, 200])
def test_of_many_rows_the_first_are_shown_with_the_sums(top, shown, said, width):
    layout = laid_out(table([row(number) for number in range(10_000)]), top, width)
    assert len(layout.rows) == shown + 1 and layout.rows[-1]['ACTION'] == 'total' and layout.notes == said


@pytest.mark.parametrize('width', [40, 80, None])
def test_a_command_goes_below_its_row_and_can_be_pasted(width):
    layout = laid_out(table([row(1, **{BELOW: COMMAND}), row(2)]), width=width)
    lines = printed(layout)
    start = next(number for number, line in enumerate(lines) if line.startswith('    az acr prune image'))
    end = next(number for number, line in enumerate(lines) if 'app2' in line)
    assert 'app1' in lines[start - 1]
    assert shlex.split('\n'.join(lines[start:end]).replace('\\\n', '')) == shlex.split(COMMAND)
    assert not any(BELOW in cells for cells in layout.rows)


def test_a_column_that_may_go_below_does_where_it_does_not_fit():
    message = 'It lacks two of its children, which nobody can pull any more, for they are gone.'
    wide, narrow = (laid_out(table([row(MESSAGE=message)], below=('MESSAGE',)), width=width) for width in (300, 80))
    assert wide.rows[0]['MESSAGE'] == message and not wide.below
    assert ' '.join(' '.join(narrow.below[0]).split()) == message and 'MESSAGE' not in narrow.rows[0]


TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=120)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=5), st.integers(20, 200))
def test_any_texts_fit(cells, width):
    rows = [row(REPOSITORY=one, TAGS=two, BECAUSE=three) for one, two, three in cells]
    layout = laid_out(table(rows), width=width)
    assert all(len(line) <= width for line in printed(layout)), layout.rows


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=9), st.integers(20, 120))
def test_a_command_in_lines_is_the_same_command(words, width):
    command = shlex.join(['az', 'acr', *words])
    lines = command_lines(command, width)
    assert shlex.split(' '.join(line.removesuffix(' \\') for line in lines)) == shlex.split(command)
    assert all(line.endswith(' \\') for line in lines[:-1])
