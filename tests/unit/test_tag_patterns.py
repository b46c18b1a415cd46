"""Tags by their shape, and which manifests belong to which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.usage.tag_patterns import pattern_of, patterns_in
from tests import oracle, worlds
from tests.examples import examples
from tests.worlds import attachment_tag, image, index, repository_of, to_repository


@pytest.mark.parametrize(
    'tag, pattern',
    [
        ('pr-123', 'pr-*'),
        ('pr-7', 'pr-*'),
        ('v1.2.3', 'v*.*.*'),
        ('1.2.3-rc.10', '*.*.*-rc.*'),
        ('latest', 'latest'),
        ('3f2a9c1', '*'),
        ('0' * 40, '*'),
        ('3f2a9c1b' * 5, '*'),
        ('main-3f2a9c1', 'main-*'),
        ('sha-3F2A9C1', 'sha-*'),
        ('v1.2-14-g3f2a9c1', 'v*.*-*-g*'),
        ('defaced', 'defaced'),
        ('x3f2a9c1', 'x*f*a*c*'),
        ('a1b2c3', 'a*b*c*'),
        ('0b5f2b1e-7d3c-4c1e-9a53-0d2c7f0a4e11', '*'),
        ('build_0b5f2b1e-7d3c-4c1e-9a53-0d2c7f0a4e11', 'build_*'),
        ('20240101T120000Z', '*T*Z'),
        ('amd64', 'amd*'),
    ],
)
def test_numbers_commits_and_uuids_are_stars(tag, pattern):
    assert pattern_of(tag) == pattern


@given(st.from_regex(r'\A[\w][\w.-]{0,127}\Z', fullmatch=True))
def test_a_pattern_has_no_digit_and_is_its_own_pattern(tag):
    pattern = pattern_of(tag)
    assert not any(each in '0123456789' for each in pattern)
    assert pattern_of(pattern) == pattern


def patterns(*manifests):
    return patterns_in(to_repository(repository_of(*manifests)))


def test_parts_and_attachments_belong_to_the_pattern_of_the_tag_that_keeps_them():
    child = image('child', [0])
    whole = index('whole', [child['digest']], tags=['pr-1'])
    signature = image('signature', [1], tags=[attachment_tag(child['digest'])])
    sbom = image('sbom', subject=whole['digest'])
    found = patterns(child, whole, signature, sbom, image('bare'))
    assert found == dict.fromkeys([each['digest'] for each in (child, whole, signature, sbom)], ('pr-*',))


def test_a_part_with_a_tag_of_its_own_belongs_to_that_alone():
    child = image('child', [0], tags=['amd64'])
    whole = index('whole', [child['digest']], tags=['pr-1', 'pr-2', 'latest'])
    assert patterns(child, whole) == {child['digest']: ('amd*',), whole['digest']: ('latest', 'pr-*')}


def test_a_part_of_several_indexes_belongs_to_all_of_their_patterns():
    child = image('child', [0])
    one, other = (index(tag, [child['digest']], tags=[tag]) for tag in ('v1', 'latest'))
    assert patterns(child, one, other)[child['digest']] == ('latest', 'v*')


def naive(repository):
    """{digest: patterns}: look at every pair until nothing new comes."""
    found = {}
    tagged = [
        (pattern_of(tag), manifest['digest'])
        for manifest in repository['manifests']
        for tag in manifest['tags']
        if not oracle.attached_to(tag, manifest)
    ]
    for pattern in {pattern for pattern, _ in tagged}:
        members = {digest for each, digest in tagged if each == pattern}
        grew = True
        while grew:
            needed = {
                other['digest']
                for one in repository['manifests']
                for other in repository['manifests']
                if one['digest'] in members and oracle.needs(one, other) and not oracle.has_user_tag(other)
            }
            grew = not needed <= members
            members |= needed
        for digest in members:
            found.setdefault(digest, set()).add(pattern)
    return found


@examples(100)
@given(worlds.tagged_worlds())
def test_patterns_are_those_of_the_tags_that_keep_a_manifest(world):
    for repository in world:
        assert {digest: set(each) for digest, each in patterns_in(to_repository(repository)).items()} == (
            naive(repository)
        )
