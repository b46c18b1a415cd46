"""Is all that is known of a repository listed? (semantics.md, What the lists do not show)"""

import pytest

from azext_acrprune.decide.wholeness import Counted, unlisted, unseen, with_all_tags
from azext_acrprune.model import Tag
from tests.worlds import (
    artifact,
    attachment_tag,
    bringing,
    ghost,
    image,
    index,
    repository_of,
    to_repository,
    unreadable,
)


def listing(*manifests):
    return to_repository(repository_of(*manifests)).manifests


def tags_on(**places):
    return {name: Tag(name, manifest['digest']) for name, manifest in places.items()}


ONE, TWO = image('one', tags=['v1']), image('two')


@pytest.mark.parametrize(
    'known', [Counted(), Counted(2, 1), Counted(2, 1, tags_on(v1=ONE)), Counted(None, None, tags_on(v1=ONE))]
)
def test_a_listing_that_accounts_for_all_is_whole(known):
    assert unseen(listing(ONE, TWO), known) is None


@pytest.mark.parametrize(
    'known, said',
    [
        (Counted(3, 1), 'counts 3 manifests, and 2 are listed'),
        (Counted(1, 1), 'counts 1 manifests, and 2 are listed'),
        (Counted(2, 2, tags_on(v1=ONE)), 'counts 2 tags, and 1 are listed'),
        (Counted(2, 0, tags_on(v1=ONE)), 'counts 0 tags, and 1 are listed'),
        (Counted(2, 2, tags_on(v1=ONE, stable=image('hidden'))), 'the tag stable is on sha256:'),
        (Counted(2, 1, tags_on(v1=TWO)), 'the tag v1 is listed with sha256:'),
        (Counted(2, 0, {}), 'the tag v1 is listed with sha256:'),
    ],
)
def test_what_the_listing_does_not_account_for_is_named(known, said):
    assert said in unseen(listing(ONE, TWO), known)


def test_the_same_digest_in_another_answer_is_the_same():
    again = ''.join(list(ONE['digest']))
    assert unseen(listing(ONE, TWO), Counted(2, 1, {'v1': Tag('v1', again)})) is None


@pytest.mark.parametrize('count, whole', [(1, False), (2, True), (3, True), (4, False)])
def test_a_ghost_may_be_counted_or_not(count, whole):
    assert (unseen(listing(ONE, TWO, ghost(image('ghost'))), Counted(count)) is None) is whole


@pytest.mark.parametrize('count, whole', [(0, False), (1, True), (2, True), (3, False)])
def test_what_is_hidden_may_be_counted_or_not(count, whole):
    known = Counted(count, hidden=frozenset({TWO['digest']}))
    assert (unseen(listing(ONE, TWO), known) is None) is whole


def test_a_manifest_has_the_tags_of_both_listings():
    found = with_all_tags(listing(ONE, TWO), tags_on(v1=ONE, v0=ONE, stable=TWO, lost=image('hidden')).values())
    assert found[ONE['digest']].tags == ('v0', 'v1')
    assert found[TWO['digest']].tags == ('stable',)
    assert list(found) == list(listing(ONE, TWO))


def test_what_tags_indexes_and_referrers_name_may_be_there_and_hidden():
    tagged, child, subject = image('tagged'), image('child'), image('subject')
    seen = listing(index('index', [child['digest'], ONE['digest']]), artifact(subject=subject['digest']), ONE)
    found = unlisted(seen, tags_on(v2=tagged, v1=ONE).values())
    assert found == {tagged['digest'], child['digest'], subject['digest']}


def test_what_an_index_brings_along_is_not_looked_for_but_what_that_names():
    child = image('child')
    assert unlisted(listing(bringing(children=[child['digest']])), ()) == {child['digest']}


def test_subjects_of_attachment_tags_are_looked_for_where_that_is_asked():
    signature = image('signature', tags=[attachment_tag(TWO['digest'])])
    assert unlisted(listing(signature), ()) == frozenset()
    assert unlisted(listing(signature), (), attached=True) == {TWO['digest']}


def test_of_what_could_not_be_read_only_its_tags_name_something():
    child = image('child')
    for unknown in (ghost, unreadable):
        seen = listing(unknown(index('index', [child['digest']], tags=[attachment_tag(TWO['digest'])])))
        assert unlisted(seen, ()) == frozenset()
        assert unlisted(seen, (), attached=True) == {TWO['digest']}
