"""Text from elsewhere is safe for a terminal, and stays recognizable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.spelling import one_line, printable, visible

ODD = 'a\x1b[31m\u202eb\nc'


@given(st.text())
def test_any_text_can_be_printed_and_is_one_line(text):
    for shown in (printable(text), printable(text, None), visible(text), one_line(text)):
        assert shown.isprintable()
        shown.encode('utf-8')


@pytest.mark.parametrize('clean', [printable, visible, one_line])
def test_a_text_that_can_be_printed_stays_as_it_is(clean):
    assert clean('team/web:v1 äö') == 'team/web:v1 äö'


def test_each_way_has_its_own_sign_for_what_cannot_be_printed():
    assert printable(ODD) == 'a?[31m?b?c'
    assert visible(ODD) == 'a\\u{1b}[31m\\u{202e}b\\u{a}c'
    assert one_line(ODD) == 'a [31m b c'


def test_a_long_text_is_cut():
    assert printable('x' * 301) == 'x' * 300 + '...'
    assert printable('x' * 301, None) == 'x' * 301
    assert visible('a' * 100 + 'b' * 100) == 'a' * 60 + '…' + 'b' * 59
    assert one_line('word ' * 9, 6) == 'word w'
