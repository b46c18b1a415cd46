"""What a rule waits for: until when an image is wanted, what is not known, and what has no rank."""

from dataclasses import replace

import pytest

from azext_acrprune.decide.claims import Place, has_aged, instant_of_tag
from azext_acrprune.decide.conditions import NEVER, due, wanted_until
from azext_acrprune.decide.graph import build_graph
from azext_acrprune.decide.safety import judge
from azext_acrprune.model import Tag, parse_ticks
from azext_acrprune.policy.facts import Facts
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.patterns import grouping_regex
from azext_acrprune.policy.rules import (
    ALL,
    BY_UPDATE,
    CREATED,
    DELETE,
    TAKE,
    Age,
    Keep,
    Match,
    Period,
    Policy,
    Rule,
    When,
)
from tests.worlds import DAY, NOW, TICKS, image, index, repository_of, to_repository, unreadable

KEYS = ('expires',)
PUSHED = NOW - 30 * DAY * TICKS


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
        ('90s', PUSHED + 90 * TICKS),
        ('12h', PUSHED + 12 * 3_600 * TICKS),
        ('3d', PUSHED + 3 * DAY * TICKS),
        ('2 w', PUSHED + 14 * DAY * TICKS),
        ('1m', PUSHED + 31 * DAY * TICKS),
        ('2mo', PUSHED + 62 * DAY * TICKS),
        ('1y', PUSHED + 366 * DAY * TICKS),
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


def test_an_image_whose_labels_were_not_read_is_not_known_whatever_its_annotations_say():
    repository = to_repository(repository_of(image('2026-12-31')))
    (manifest,) = repository.manifests.values()
    assert dict(manifest.content.annotations) == {'name': '2026-12-31'}
    for labels, said in ({manifest.content.config: {}}, parse_ticks('2027-01-01T00:00:00Z')), ({}, None):
        assert wanted_until(('name',), Place(repository, build_graph(repository), labels, NOW), manifest) == said


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


# --- What cannot be known --------------------------------------------------------------------------------------------


def test_a_tag_or_an_image_without_a_time_has_no_age_by_creation():
    by_creation = Age('1d', DAY, CREATED)
    manifest = next(iter(to_repository(repository_of(image('image'))).manifests.values()))
    tag = Tag('v1', manifest.digest, updated_at=NOW)
    assert instant_of_tag(tag, manifest, by_creation) == NOW
    assert instant_of_tag(tag._replace(updated_at=None), manifest, by_creation) is None
    assert instant_of_tag(tag, manifest._replace(created_at=None), by_creation) is None


def test_a_tag_that_the_tag_listing_does_not_have_stays():
    repository = to_repository(repository_of(image('image', tags=['v1'])))
    judgement = judge(replace(repository, tags={}), policy_of(Flags(match=('**:*',), ago='0')), NOW)
    assert judgement.tags['v1'].reason == 'young'


def test_what_has_no_rank_may_be_taken_all_the_same():
    images = [image(f'image {number}') for number in range(3)]
    rule = Rule(Match(tagged=False), DELETE, Age('1d', DAY), Keep(1, others=TAKE))
    judgement = judge(to_repository(repository_of(*images)), Policy((rule,)), NOW)
    assert sorted(verdict.reason for verdict in judgement.manifests.values()) == ['keepNewest', 'untagged', 'untagged']


def test_what_is_in_a_quarantine_that_a_rule_names_takes_a_place_and_stays_for_its_rank():
    images = [image(f'image {days}', age=days * DAY, quarantine='Failed') for days in (9, 8, 7)]
    rule = Rule(Match(tagged=False, quarantines=('Failed',)), DELETE, Age('1d', DAY), Keep(1))
    judgement = judge(to_repository(repository_of(*images)), Policy((rule,), include=('quarantined',)), NOW)
    assert [judgement.manifests[each['digest']].reason for each in images] == ['untagged', 'untagged', 'keepNewest']


def test_what_is_young_by_its_creation_or_by_its_last_update_is_told_that_time():
    repository = to_repository(repository_of(image('image')))
    (manifest,) = repository.manifests.values()
    times = manifest._replace(
        created_time='when created', created_at=NOW, last_update_time='when updated', updated_at=NOW
    )
    for by, told in ((CREATED, 'when created'), (BY_UPDATE, 'when updated')):
        policy = Policy((Rule(Match(tagged=False), DELETE, Age('1d', DAY, by)),))
        verdict = judge(replace(repository, manifests={manifest.digest: times}), policy, NOW).manifests[manifest.digest]
        assert (verdict.reason, verdict.because) == ('young', told)


@pytest.mark.parametrize('is_hidden, going', [(True, ['older']), (False, ['old', 'older'])])
def test_a_young_image_takes_a_place_unless_it_is_hidden_from_lists(is_hidden, going):
    images = {name: image(name, age=days * DAY) for name, days in (('young', 0), ('old', 20), ('older', 30))}
    repository = to_repository(repository_of(*images.values()))
    hidden = frozenset({images['young']['digest']}) if is_hidden else frozenset()
    policy = Policy((Rule(Match(tagged=False), DELETE, Age('1d', DAY), Keep(1, of=ALL)),))
    found = judge(replace(repository, hidden=hidden), policy, NOW).manifests
    assert [name for name, each in images.items() if not found[each['digest']].kept] == going


def test_an_image_without_a_tag_is_in_no_group_whatever_its_digest_matches():
    keep = Keep(groups=((1, grouping_regex('^(?P<any>.).*$')),))
    images = [image(f'image {number}') for number in range(3)]
    policy = Policy((Rule(Match(tagged=False), DELETE, Age('1d', DAY), keep),))
    verdicts = judge(to_repository(repository_of(*images)), policy, NOW).manifests.values()
    assert {(each.reason, each.because) for each in verdicts} == {('unranked', 'it has no tag to rank it by')}


def test_what_has_a_tag_has_not_lost_its_last_one():
    repository = to_repository(repository_of(image('image', tags=['v1'])))
    place = Place(repository, build_graph(repository), {}, NOW)
    (manifest,) = repository.manifests.values()
    found = due(When(untagged_for=Period('1d', DAY)), place, manifest, 'v1')
    assert (found.reason, found.text) == ('notDue', 'it has the tag v1')


@pytest.mark.parametrize('days, reason', [(9, 'notDue'), (10, 'untagged')])
def test_an_image_without_a_tag_waits_until_it_was_without_one_for_as_long_as_its_rule_says(days, reason):
    repository = to_repository(repository_of(image('image')))
    (digest,) = repository.manifests
    facts = Facts(untagged={repository.name: {digest: NOW - days * DAY * TICKS}})
    rule = Rule(Match(tagged=False), DELETE, Age('1d', DAY), when=When(untagged_for=Period('10d', 10 * DAY)))
    verdict = judge(repository, Policy((rule,), facts=facts), NOW).manifests[digest]
    assert (verdict.kept, verdict.reason) == (reason == 'notDue', reason)


@pytest.mark.parametrize(
    'days, when, aged', [(9, When(), False), (10, When(), True), (9, When(untagged_for=Period('1d', DAY)), True)]
)
def test_what_lost_its_last_tag_is_as_old_as_that_unless_the_rule_says_how_long_ago_that_has_to_be(days, when, aged):
    repository = to_repository(repository_of(image('image')))
    (manifest,) = repository.manifests.values()
    facts = Facts(untagged={repository.name: {manifest.digest: NOW - days * DAY * TICKS}})
    place = Place(repository, build_graph(repository), {}, NOW, facts=facts)
    rule = Rule(Match(), DELETE, Age('10d', 10 * DAY), when=when)
    assert has_aged(place, manifest, rule, 10 * DAY) is aged


@pytest.mark.parametrize(
    'key, pulled, since, told',
    [
        ('not_pulled_for', 3, None, ('notDue', 'pulled 2027-01-12')),
        ('not_pulled_for', None, None, ('unknown', 'no log of pulls was asked')),
        ('not_pulled_for', None, 8, ('unknown', 'the log of pulls covers 8 days of 9d')),
        ('not_pulled_for', None, 9, None),
        ('never_pulled_after', 3, None, ('notDue', 'pulled 2027-01-12')),
        ('never_pulled_after', None, None, ('unknown', 'no log of pulls was asked, and the image is older')),
        ('never_pulled_after', None, 8, ('unknown', 'the log of pulls covers 8 days alone, and the image is older')),
        ('never_pulled_after', None, 30, None),
    ],
)
def test_the_day_of_the_last_pull_is_told_or_what_of_the_log_is_not_known(key, pulled, since, told):
    repository = to_repository(repository_of(image('image')))
    (manifest,) = repository.manifests.values()
    facts = Facts(
        pulled={repository.name: {manifest.digest: NOW - pulled * DAY * TICKS} if pulled else {}},
        pulls_since=None if since is None else NOW - since * DAY * TICKS,
    )
    place = Place(repository, build_graph(repository), {}, NOW, facts=facts)
    found = due(When(**{key: Period('9d', 9 * DAY)}), place, manifest, None)
    assert (found and (found.reason, found.text)) == told


@pytest.mark.parametrize(
    'days, text', [(None, 'no log of pulls was asked'), (9, 'the log of pulls covers 9 days of 100y')]
)
def test_what_was_never_pulled_has_no_day_of_a_pull_however_far_back_its_rule_looks(days, text):
    """A period may begin before 1970, from which instants are counted."""
    repository = to_repository(repository_of(image('image')))
    (manifest,) = repository.manifests.values()
    facts = Facts(pulls_since=days and NOW - days * DAY * TICKS)
    place = Place(repository, build_graph(repository), {}, NOW, facts=facts)
    found = due(When(not_pulled_for=Period('100y', 36_500 * DAY)), place, manifest, None)
    assert (found.reason, found.text) == ('unknown', text)
