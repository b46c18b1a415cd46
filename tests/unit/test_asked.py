"""What is asked for of an archive: names, globs, beginnings of digests, repositories, times and runs."""

from __future__ import annotations

import pytest

from azext_acrprune.decide.asked import Asked, NothingAsked, Taken, parse_asked_image
from azext_acrprune.policy.patterns import glob
from azext_acrprune.prune_error import PruneError

ONE, TWO, THREE = ('sha256:' + start + '0' * (64 - len(start)) for start in ('1234567a', '1234567b', 'abcdef0'))
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


@pytest.mark.parametrize('text', ['app', 'app@latest', ':v1', 'app:', 'a:b/c', '**', 'app*:'])
def test_what_names_no_image_is_no_name(text):
    with pytest.raises(ValueError):
        parse_asked_image(text)
