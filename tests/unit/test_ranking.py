"""Which tags and images stay because of their rank: by time, version, group, last pull, and spread over time."""

from datetime import datetime, timezone

import pytest

from azext_acrprune.decide.ranking import Entry, spared, unranked, version_of
from azext_acrprune.policy.patterns import ending_regex, grouping_regex
from azext_acrprune.policy.rules import TAGS, Keep, Thin
from tests.worlds import TICKS


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * TICKS


def entry(name, time='2026-01-01', image=None, **more):
    return Entry(name, image or name, at(time), **more)


def names(entries, keep):
    return {each.name for _, chosen in spared(entries, keep) for each in chosen}


BRANCH = grouping_regex('^(?P<branch>.+)-[0-9]+$')


def test_the_newest_stay():
    entries = [entry('a', '2026-01-01'), entry('b', '2026-01-03'), entry('c', '2026-01-02')]
    assert names(entries, Keep(2)) == {'b', 'c'}


def test_an_image_that_stays_keeps_all_its_tags_unless_tags_are_counted():
    entries = [entry('a', '2026-01-03', 'one'), entry('b', '2026-01-01', 'one'), entry('c', '2026-01-02', 'two')]
    assert names(entries, Keep(1)) == {'a', 'b'}
    assert names(entries, Keep(1, count=TAGS)) == {'a'}


def test_the_newest_releases_and_as_many_pre_releases_stay():
    entries = [entry(name) for name in ('v1.0.0', '1.1.0', '1.2.0-rc.1', '1.2.0-rc.2', 'latest')]
    assert names(entries, Keep(semver=1)) == {'1.1.0', '1.2.0-rc.2'}


def test_all_patches_of_the_newest_version_stay():
    keep = Keep(semver=1, patched=ending_regex('-[0-9]+|-patched'))
    entries = [entry(name) for name in ('1.23.0', '1.23.0-2', '1.23.0-patched', '1.22.9')]
    assert names(entries, keep) == {'1.23.0', '1.23.0-2', '1.23.0-patched'}


def test_of_each_group_the_newest_stay():
    entries = [entry('main-1'), entry('main-2', '2026-01-02'), entry('dev-1'), entry('latest')]
    assert names(entries, Keep(groups=((1, BRANCH),))) == {'main-2', 'dev-1'}


def test_those_pulled_last_stay():
    entries = [entry('a', pulled=3), entry('b', pulled=9), entry('c', pulled=0), entry('d')]
    assert names(entries, Keep(recently_pulled=3)) == {'a', 'b'}


DAYS = [entry(f'day {day}', f'2026-01-{day:02}') for day in range(1, 29)]


def test_one_of_each_period_stays_and_the_oldest_fills_a_place_that_is_left():
    assert names(DAYS, Keep(thin=Thin(daily=2))) == {'day 28', 'day 27'}
    assert names(DAYS, Keep(thin=Thin(weekly=3))) == {'day 28', 'day 25', 'day 18'}
    assert names(DAYS, Keep(thin=Thin(monthly=2))) == {'day 28', 'day 1'}


def test_what_is_thinned_again_stays_as_it_is():
    keep = Keep(thin=Thin(daily=2, weekly=3, monthly=2))
    left = [each for each in DAYS if each.name in names(DAYS, keep)]
    assert names(left, keep) == {each.name for each in left}


def test_each_group_is_thinned_by_itself():
    entries = [entry(f'{branch}-{day}', f'2026-01-0{day}') for branch in ('main', 'dev') for day in (1, 2, 3)]
    assert names(entries, Keep(thin=Thin(daily=1, group=BRANCH))) == {'main-3', 'dev-3'}


def test_what_is_thinned_by_group_says_of_which_group():
    grouped = {why for why, _ in spared([entry('main-1')], Keep(thin=Thin(daily=1, group=BRANCH))) if ' daily' in why}
    alone = {why for why, _ in spared([entry('main-1')], Keep(thin=Thin(daily=1))) if ' daily' in why}
    assert (grouped, alone) == ({'among 1 daily of main'}, {'among 1 daily'})


@pytest.mark.parametrize(
    'each, keep, why',
    [
        (entry('latest'), Keep(semver=1), 'it is no version'),
        (entry('latest'), Keep(groups=((1, BRANCH),)), 'it is in no group'),
        (entry('latest'), Keep(thin=Thin(daily=1, group=BRANCH)), 'it is in no group'),
        (entry('latest'), Keep(recently_pulled=1), 'its last pull is not known'),
        (entry('untagged', is_tag=False), Keep(semver=1), 'it has no tag to rank it by'),
        (entry('untagged', is_tag=False), Keep(recently_pulled=1), 'its last pull is not known'),
    ],
)
def test_what_has_no_rank_is_told(each, keep, why):
    assert list(unranked([each], keep)) == [(why, each)]


def test_what_has_a_rank_is_not_told():
    ranked = [entry('1.0.0', pulled=1), entry('untagged', is_tag=False, pulled=0)]
    assert list(unranked(ranked[:1], Keep(semver=1, recently_pulled=1))) == []
    assert list(unranked(ranked, Keep(newest=1))) == []


def test_versions_are_those_of_the_specification_and_of_helm():
    assert version_of('v1.2.3', Keep()) == version_of('1.2.3', Keep())
    assert str(version_of('1.5.0_g5abc', Keep())) == '1.5.0+g5abc'
    assert version_of('2024.05.01', Keep()) is version_of('1.2', Keep()) is None
