"""Nothing that a person would see in files like public ones is missed in silence."""

from __future__ import annotations

import pytest

from .pin_shapes import FOUND, SILENT, cases, scored

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
