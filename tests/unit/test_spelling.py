"""Text from elsewhere is safe for a terminal and a pipeline, and stays recognizable."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.spelling import (
    escaped,
    escaped_everywhere,
    escaped_json,
    escaped_lines,
    is_obeyed,
    json_chunks,
    json_line,
    one_line,
    printable,
    visible,
)

ODD = 'a\x1b[31m\u202eb\nc'
UNSEEN = '\u034f\u115f\u3164\ufe0f\u200b\ufeff\u2028\x85\x7f'
PIECES = ('##', '::', '#', ':', '\x1b[2K', '\r', '\n', '\u202e', '\u200b', '\u2029', '\ud800', '\U000e0101', 'ä', '\\')
HOSTILE = st.one_of(st.text(), st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3))).map(''.join))
DOCUMENTS = st.recursive(
    st.one_of(HOSTILE, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(HOSTILE, inner, max_size=3)),
    max_leaves=8,
)


def is_safe(text: str) -> bool:
    """Written once more, by what no terminal and no pipeline may ever get."""
    no_command = '##' not in text and '::' not in text
    return no_command and all(each.isprintable() and each not in UNSEEN for each in text)


@given(st.text())
def test_any_text_can_be_printed_and_is_one_line(text):
    for shown in (printable(text), printable(text, None), visible(text), one_line(text)):
        assert shown.isprintable()
        shown.encode('utf-8')


@given(HOSTILE)
def test_what_is_escaped_is_obeyed_by_nobody(text):
    assert is_safe(escaped(text))
    assert is_safe(visible(text))
    assert (escaped(text) == text) == (not is_obeyed(text))
    assert all(map(is_safe, escaped_lines(text).split('\n')))


@given(DOCUMENTS)
def test_json_is_safe_and_says_the_same(document):
    as_az_does = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True, separators=(',', ': '))
    for text in (escaped_json(as_az_does), ''.join(json_chunks(document)), json_line(document)):
        assert json.loads(text) == document
        assert all(map(is_safe, text.split('\n')))
        text.encode('utf-8')


@given(DOCUMENTS)
def test_every_text_of_a_document_is_escaped(document):
    assert all(
        map(is_safe, json.dumps(escaped_everywhere(document), ensure_ascii=False).replace('": "', '').split('\n'))
    )


@pytest.mark.parametrize('clean', [printable, visible, one_line, escaped, escaped_json])
def test_a_text_that_can_be_printed_stays_as_it_is(clean):
    assert clean('team/web:v1 äö') == 'team/web:v1 äö'


def test_each_way_has_its_own_sign_for_what_cannot_be_printed():
    assert printable(ODD) == 'a?[31m?b?c'
    assert visible(ODD) == 'a\\u{1b}[31m\\u{202e}b\\u{a}c'
    assert one_line(ODD) == 'a [31m b c'


@pytest.mark.parametrize('command', ['##vso[task.setvariable variable=x]y', '##[error]no', '::set-output name=x::y'])
def test_a_command_to_a_pipeline_is_none_any_more(command):
    assert is_safe(escaped(command))
    assert escaped(command).startswith(('\\u{23}#', '\\u{3a}:'))


@pytest.mark.parametrize('character', UNSEEN)
def test_what_is_not_seen_is_shown(character):
    assert escaped(f'a{character}b') == f'a\\u{{{ord(character):x}}}b'


def test_a_long_text_is_cut():
    assert printable('x' * 301) == 'x' * 300 + '...'
    assert printable('x' * 301, None) == 'x' * 301
    assert visible('a' * 100 + 'b' * 100) == 'a' * 60 + '…' + 'b' * 59
    assert one_line('word ' * 9, 6) == 'word w'
