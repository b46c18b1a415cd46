"""What is asked for of an archive: names, globs, beginnings of digests, repositories, times and runs."""

from __future__ import annotations

import pytest

from azext_acrprune.decide.asked import Asked, NothingAsked, Taken, ahead_of, in_ticks, parse_asked_image, since_of
from azext_acrprune.model import TICKS_PER_SECOND, parse_ticks
from azext_acrprune.policy.patterns import glob
from azext_acrprune.prune_error import PruneError

ONE, TWO, THREE = ('sha256:' + start + '0' * (64 - len(start)) for start in ('1234567a', '1234567b', 'abcdef0'))
NOW = parse_ticks('2026-11-20T12:00:00Z')
DAY = 86_400 * TICKS_PER_SECOND
ITEMS = [
    Taken('team/app', ONE, None, 10),
    Taken('team/app', ONE, 'v1', 10),
    Taken('team/app', ONE, 'v2', 10),
    Taken('team/app', TWO, None, 20),
    Taken('team/web', THREE, None, 30),
    Taken('team/web', THREE, 'v1', 30),
    Taken('other', THREE, 'v1', None),
]


def found(*images, **conditions):
    asked = Asked(tuple(map(parse_asked_image, images)), **conditions)
    return {(item.repository, item.tag or item.digest) for item in asked.find(ITEMS)}


@pytest.mark.parametrize(
    'images, expected',
    [
        (('team/app:v1',), {('team/app', 'v1')}),
        (('team/*:v1',), {('team/app', 'v1'), ('team/web', 'v1')}),
        (('**:v?',), {('team/app', 'v1'), ('team/app', 'v2'), ('team/web', 'v1'), ('other', 'v1')}),
        ((f'team/app@{ONE}',), {('team/app', ONE)}),
        (('team/web@sha256:abcdef0',), {('team/web', THREE)}),
        (('team/app:v1', 'team/app@sha256:1234567b'), {('team/app', 'v1'), ('team/app', TWO)}),
    ],
)
def test_images_are_found_by_name_by_glob_and_by_the_beginning_of_a_digest(images, expected):
    assert found(*images) == expected


def test_conditions_hold_together():
    assert found(repositories=(glob('team/**'),), since=20) == {
        ('team/app', TWO),
        ('team/web', THREE),
        ('team/web', 'v1'),
    }
    assert found(run={('team/app', ONE, 'v2'), ('other', THREE, None)}) == {('team/app', 'v2')}
    assert len(found()) == len(ITEMS)


@pytest.mark.parametrize('image', ['team/app:v9', 'team/nothing*:v1', 'team/app@sha256:0000000'])
def test_what_nothing_meets_is_an_error_that_names_it(image):
    with pytest.raises(NothingAsked) as error:
        found('team/app:v1', image)
    assert str(error.value) == image
    with pytest.raises(NothingAsked):
        found('team/app:v1', since=11)
    with pytest.raises(NothingAsked):
        found(repositories=(glob('team/app'), glob('nobody')))


def test_the_beginning_of_several_digests_is_an_error_that_lists_them():
    with pytest.raises(PruneError, match='several digests') as error:
        found('team/app@sha256:1234567')
    assert ONE in str(error.value) and TWO in str(error.value)


def test_of_very_many_digests_with_the_same_beginning_five_are_listed():
    many = [Taken('team/app', f'sha256:1234567{number:057x}') for number in range(9)]
    with pytest.raises(PruneError) as error:
        Asked((parse_asked_image('team/app@sha256:1234567'),)).find(many)
    assert [item.digest in str(error.value) for item in many] == [True] * 5 + [False] * 4


@pytest.mark.parametrize(
    'text', ['app', 'app@latest', ':v1', ':v*', 'app:', 'a:b/c', '**', 'app*:', 'app@sha256:12*', 'sha256:1234567a']
)
def test_what_names_no_image_is_no_name(text):
    with pytest.raises(ValueError):
        parse_asked_image(text)


@pytest.mark.parametrize(
    'images, conditions, meant',
    [
        ((), {}, ITEMS),
        (('team/app:v1', f'team/web@{THREE}'), {}, [ITEMS[1], ITEMS[4]]),
        (('**:v1',), {'since': 20}, [ITEMS[5]]),
        ((), {'repositories': (glob('other'), glob('team/web'))}, ITEMS[4:]),
        (('team/app:v9',), {}, []),
    ],
)
def test_an_item_is_meant_where_one_of_the_images_takes_it_and_all_conditions_hold(images, conditions, meant):
    asked = Asked(tuple(map(parse_asked_image, images)), **conditions)
    assert [item for item in ITEMS if asked.means(item)] == meant


@pytest.mark.parametrize(
    'text, since, ahead', [('7d', NOW - 7 * DAY, NOW + 7 * DAY), ('36h', NOW - DAY * 3 // 2, NOW + DAY * 3 // 2)]
)
def test_an_age_is_counted_from_now_in_either_direction(text, since, ahead):
    assert (since_of(text, NOW), ahead_of(text, NOW)) == (since, ahead)


def test_a_date_is_itself():
    assert since_of('2026-11-01', NOW) == NOW - DAY * 39 // 2
    assert ahead_of('2026-11-21T12:00:00Z', NOW) == NOW + DAY


@pytest.mark.parametrize(
    'instant, text, why',
    [
        (since_of, '2026-11-21T12:00:00Z', 'has not come yet'),
        (ahead_of, '2026-11-01', 'is over already'),
        (ahead_of, '0', 'is over already'),
        (ahead_of, '99999999999999999d', 'is after the year 9999'),
    ],
)
def test_an_instant_on_the_wrong_side_of_now_or_of_no_calendar_is_an_error(instant, text, why):
    with pytest.raises(ValueError, match=f"'{text}' {why}"):
        instant(text, NOW)


@pytest.mark.parametrize('text', ['soon', '', '2026-13-01', '2026-11-01T', '-7d'])
@pytest.mark.parametrize('instant', [since_of, ahead_of])
def test_what_is_neither_an_age_nor_a_date_is_an_error_that_names_it(instant, text):
    with pytest.raises(ValueError, match=f"'{text}' is neither an age"):
        instant(text, NOW)


def test_an_instant_is_told_in_ticks():
    assert in_ticks(1.5) == TICKS_PER_SECOND * 3 // 2
