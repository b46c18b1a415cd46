"""What is said of large registries, and the simulation behind it: whole runs on a virtual clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import planning
from tests.registry import limits
from tests.simulate.fleet import pace_of, sizes
from tests.simulate.night import first_night
from tests.simulate.page import missing_in
from tests.simulate.tables import night_table, nights_of, pace_table

PAGE = (Path(__file__).resolve().parents[1] / 'docs' / 'scale.md').read_text(encoding='utf-8')


def test_a_repository_that_waits_for_its_turn_for_minutes_is_not_given_up(monkeypatch):
    """As with 5,000 deletions in 100 repositories at 500 a minute, but fewer."""
    monkeypatch.setitem(limits.BY_IDENTITY, 'Slow', {**limits.BY_IDENTITY['Standard'], 'deletes': 200})
    night = first_night('Slow', 1_000, 0.95, in_a_repository=25)
    assert night.deleted == 950 and night.delete_seconds > 240


def test_the_page_says_what_small_registries_take():
    found = night_table(nights_of('Standard', 1_000))
    assert len(found) == 4 and missing_in(PAGE, found) == []


def test_the_page_says_how_much_is_used_of_the_limits():
    assert missing_in(PAGE, pace_table([pace_of('Standard', 'deletes')])) == []


def test_a_figure_that_is_not_on_the_page_is_told():
    row = '| Standard | deletes | 500 | 472 | 8 |'
    assert missing_in(PAGE, [row]) == []
    for other in (row.replace('472', '430'), row.replace('deletes', 'writes'), row.replace('8', '')):
        assert missing_in(PAGE, [other]) == [other]


def test_the_pacer_alone_takes_as_long_as_a_whole_run():
    night = first_night('Standard', 600, 0.95)
    assert night.deleted == 570
    assert pace_of('Standard', 'deletes').seconds(night.deleted) == pytest.approx(night.delete_seconds, rel=0.1)


def test_sizes_of_a_fleet_are_those_that_were_asked_for():
    found = sizes(10, 1_000)
    assert sum(found) == pytest.approx(1_000, abs=10) and found == sorted(found)


def test_the_memory_of_a_plan_can_be_measured(monkeypatch, tmp_path):
    monkeypatch.setattr('azext_acrprune.custom.session.collect_garbage_seldom', lambda: None)
    planning.fill(str(tmp_path / 'cache.sqlite'), 10)
    assert planning.plan(tmp_path / 'cache.sqlite', 10)['manifests'] == 10
