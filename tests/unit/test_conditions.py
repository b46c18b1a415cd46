"""Until when an image is wanted, by its labels, its annotations and what refers to it."""

import pytest

from azext_acrprune.decide.claims import Place
from azext_acrprune.decide.conditions import NEVER, wanted_until
from azext_acrprune.decide.graph import build_graph
from azext_acrprune.model import parse_ticks
from tests.worlds import DAY, NOW, TICKS, image, index, repository_of, to_repository, unreadable

KEYS = ('expires',)
CREATED = NOW - 30 * DAY * TICKS


def until(manifest, *others, labels=None):
    repository = to_repository(repository_of(manifest, *others))
    content = repository.manifests[manifest['digest']].content
    known = {content.config: labels or {}} if getattr(content, 'config', None) else {}
    return wanted_until(
        KEYS, Place(repository, build_graph(repository), known, NOW), repository.manifests[manifest['digest']]
    )


@pytest.mark.parametrize(
    'text, instant',
    [
        ('never', NEVER),
        ('12h', CREATED + 12 * 3_600 * TICKS),
        ('2 w', CREATED + 14 * DAY * TICKS),
        ('1m', CREATED + 31 * DAY * TICKS),
        ('2026-12-31T00:00:00Z', parse_ticks('2026-12-31T00:00:00Z')),
        ('2026-12-31', parse_ticks('2027-01-01T00:00:00Z')),
        ('2026-02-30', None),
        ('7 fortnights', None),
        ('soon', None),
    ],
)
def test_a_label_says_until_when(text, instant):
    assert until(image('image'), labels={'expires': text}) == instant


def test_a_duration_of_an_image_without_a_time_is_not_known():
    assert until(image('image', age=None), labels={'expires': '1d'}) is None


def test_an_image_of_which_nothing_is_said_is_wanted_for_ever():
    assert until(image('image')) == NEVER


def test_an_image_that_was_not_read_is_not_known():
    assert until(unreadable(image('image'))) is None


def test_what_refers_to_an_image_may_say_it():
    subject = image('image')
    referrer = image('referrer', subject=subject['digest'])
    assert until(subject, referrer) == NEVER
    referrer = to_repository(repository_of(subject, referrer))
    digest = next(each for each in referrer.manifests if each != subject['digest'])
    known = referrer.manifests[digest]
    content = known.content._replace(annotations=(('expires', '2026-12-31'),))
    referrer.manifests[digest] = known._replace(content=content)
    config = referrer.manifests[subject['digest']].content.config
    place = Place(referrer, build_graph(referrer), {config: {}}, NOW)
    said = wanted_until(KEYS, place, referrer.manifests[subject['digest']])
    assert said == parse_ticks('2027-01-01T00:00:00Z')


def test_of_an_index_each_image_has_to_say_it_and_the_latest_counts():
    one, other = image('one', [0]), image('other', [1])
    repository = to_repository(repository_of(one, other, index('index', [one['digest'], other['digest']])))
    configs = [repository.manifests[each['digest']].content.config for each in (one, other)]
    top = next(each for each in repository.manifests.values() if each.content.children)

    def said(*texts):
        labels = {config: {'expires': text} if text else {} for config, text in zip(configs, texts)}
        return wanted_until(KEYS, Place(repository, build_graph(repository), labels, NOW), top)

    assert said('2026-12-30', '2026-12-31') == parse_ticks('2027-01-01T00:00:00Z')
    assert said('2026-12-30', '') == NEVER
    assert said('2026-12-30', 'soon') is None
