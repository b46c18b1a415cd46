"""Nothing that a person would see in files like public ones is missed in silence."""

from __future__ import annotations

import pytest

from azext_acrprune.pins.read import read_pins

from .pin_shapes import FOUND, NAMES, SILENT, cases, scored

CASES = list(cases())


def test_there_are_many_kinds_of_files():
    assert sum(len(case.files) for case in CASES) >= 150
    assert len({(case.kind, case.name) for case in CASES}) == len(CASES)


@pytest.mark.parametrize('case', CASES, ids=lambda case: f'{case.kind}: {case.name}')
def test_what_a_person_sees_is_pinned_or_said_and_nothing_else_is(case):
    score = scored(case)
    assert [line for line, outcome in score.outcomes.items() if outcome == SILENT] == []
    assert score.false == ()


def test_hardly_anything_is_only_said_and_hardly_anything_is_said_for_nothing():
    scores = [(case, scored(case)) for case in CASES]
    outcomes = [outcome for _, score in scores for outcome in score.outcomes.values()]
    assert outcomes.count(FOUND) >= 0.99 * len(outcomes)
    needless = [case for case, score in scores if score.is_needless]
    assert len(needless) <= 0.03 * len(scores), [case.name for case in needless]


@pytest.mark.parametrize('patience', [0, 8 * 1024 * 1024])
def test_no_file_says_less_for_what_is_passed_over_in_large_lists(monkeypatch, patience):
    monkeypatch.setattr('azext_acrprune.pins.read._MOST_PATIENCE', patience)
    files = [(name, text.encode()) for case in cases() for name, text in case.files.items()]
    found = [read_pins(text, name, NAMES) for name, text in files]
    for passing_over in ('is_silent', 'is_plain', 'is_dull'):
        monkeypatch.setattr(f'azext_acrprune.pins.collector.{passing_over}', lambda *_: False)
    assert [read_pins(text, name, NAMES) for name, text in files] == found
