"""On random registries: what is pinned, and what it needs, never goes; and pins change nothing else.

The oracle's closure tells what a pinned manifest needs, by looking at every pair.
"""

import copy
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.drift import check_drift, check_tags
from azext_acrprune.decide.name_errors import Locked, Pinned
from azext_acrprune.decide.named import ImageName, decide_images, decide_repository, decide_untag
from azext_acrprune.decide.reasons import PINNED
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.planned import Plan, decide_as_planned
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Age, untagged_policy
from tests import oracle, worlds
from tests.examples import examples
from tests.worlds import NOW

NOWHERE = 'sha256:' + '0' * 64
ALL_TAGS = policy_of(Flags(match=('**:*',), ago='0', untagged=True, include_locked=True))


@st.composite
def pinned_worlds(draw, registries=worlds.worlds):
    """A registry, and pins on some of its digests and tags, on some of another repository, and on nothing."""
    world = draw(registries())
    digests = [manifest['digest'] for repository in world for manifest in repository['manifests']] or [NOWHERE]
    tags = [tag for repository in world for manifest in repository['manifests'] for tag in manifest['tags']] or ['none']
    names = [*(repository['name'] for repository in world), 'team/none']
    by_digest = st.builds(Reference, st.sampled_from(names), st.none(), st.sampled_from([*digests, NOWHERE]))
    by_tag = st.builds(Reference, st.sampled_from(names), st.sampled_from([*tags, 'gone']))
    both = st.builds(Reference, st.sampled_from(names), st.sampled_from(tags), st.sampled_from(digests))
    references = draw(st.lists(by_digest | by_tag | both, min_size=1, max_size=4))
    return world, Pins(tuple(Pin(reference, 'deploy.yaml', line) for line, reference in enumerate(references, 1)))


def pinned_in(repository, pins):
    """The digests that are pinned, naively; a pin is in the repository that it names alone."""
    references = [pin.reference for pin in pins.pins if pin.reference.repository == repository['name']]
    return {
        manifest['digest']
        for manifest in repository['manifests']
        for reference in references
        if manifest['digest'] == reference.digest or reference.tag in manifest['tags']
    }


def protected(world, pins):
    """(repository, digest) of all that is pinned and of what it needs."""
    return {
        (repository['name'], digest)
        for repository in world
        for digest in oracle.closure(repository, pinned_in(repository, pins))
    }


@examples(200, HealthCheck.filter_too_much)
@given(pinned_worlds(), worlds.policies)
def test_what_goes_is_what_would_go_without_pins_less_what_they_need(given_world, given_policy):
    world, pins = given_world
    policy = untagged_policy(Age(f'{given_policy["ago"]}s', given_policy['ago']), given_policy['keep'])
    decision = decide(worlds.to_inventory(world), replace(policy, pins=pins), NOW)
    assert decision.doomed == oracle.safe_set(world, given_policy, NOW) - protected(world, pins)
    for name, verdicts in decision.verdicts.items():
        for digest, verdict in verdicts.items():
            if verdict.reason == PINNED:
                assert verdict.because.startswith('deploy.yaml:') and (name, digest) in protected(world, pins)


@examples(100, HealthCheck.filter_too_much)
@given(pinned_worlds(worlds.tagged_worlds))
def test_a_policy_that_takes_every_tag_leaves_pinned_tags_and_what_is_pinned(given_world):
    world, pins = given_world
    decision = decide(worlds.to_inventory(world), replace(ALL_TAGS, pins=pins), NOW)
    assert not decision.doomed & protected(world, pins)
    for name, tags in decision.tags.items():
        wanted = {pin.reference.tag for pin in pins.pins if pin.reference.repository == name}
        assert all(tags[tag].kept for tag in wanted & set(tags))


@examples(100, HealthCheck.filter_too_much)
@given(pinned_worlds())
def test_a_named_image_is_refused_when_it_is_pinned_and_takes_nothing_pinned_with_it(given_world):
    world, pins = given_world
    inventory = worlds.to_inventory(world)
    for repository in world:
        name, pinned = repository['name'], pinned_in(repository, pins)
        for manifest in repository['manifests']:
            image = ImageName('named', name, digest=manifest['digest'])
            if manifest['digest'] in pinned:
                with pytest.raises(Pinned, match='deploy.yaml:'):
                    decide_images(inventory, [image], True, pins)
            else:
                assert not decide_images(inventory, [image], True, pins).doomed & protected(world, pins)
            for tag in set(manifest['tags']) & set(pins.by_tag(name)):
                with pytest.raises(Pinned, match='deploy.yaml:'):
                    decide_untag(inventory, [ImageName('named', name, tag)], True, pins)
        if pinned:
            with pytest.raises((Pinned, Locked)):
                decide_repository(inventory, name, pins)


@examples(100, HealthCheck.filter_too_much)
@given(
    pinned_worlds(),
    st.lists(st.tuples(st.sampled_from(sorted(worlds.MUTATIONS)), st.integers(0, 9), st.integers(0, 9)), max_size=3),
)
def test_right_before_deleting_what_is_pinned_then_is_spared(given_world, mutations):
    """A plan that knows no pins, in a registry in which others worked on: tags moved to and from what is doomed."""
    world, pins = given_world
    seen = world[0]
    decision = decide(worlds.to_inventory(world), untagged_policy(Age('0', 0)), NOW)
    planned = decision.doomed_in(seen['name']) if seen['name'] in decision.verdicts else set()
    fresh = worlds.mutated(seen, planned, mutations)
    assume(pinned_in(fresh, pins))
    drift = check_drift(planned, worlds.to_repository(seen), worlds.to_repository(fresh), pins=pins)
    assert not {(fresh['name'], digest) for digest in drift.valid} & protected([fresh], pins)
    for digest in planned & pinned_in(fresh, pins):
        assert drift.skipped[digest].reason == PINNED


@examples(150, HealthCheck.filter_too_much)
@given(pinned_worlds(worlds.tagged_worlds))
def test_an_older_plan_is_applied_without_what_is_pinned_now(given_world):
    world, pins = given_world
    inventory = worlds.to_inventory(world)
    plan = Plan(plan_document(decide(inventory, ALL_TAGS, NOW), 'now'))
    decision = decide_as_planned(plan, inventory, pins)
    for repository in decision.inventory.repositories:
        fresh = worlds.to_repository(copy.deepcopy(next(each for each in world if each['name'] == repository.name)))
        drift = check_drift(decision.doomed_in(repository.name), repository, fresh, True, decision.pins)
        assert not {(repository.name, digest) for digest in drift.valid} & protected(world, pins)
        untag = {tag: digest for tag, digest, _ in decision.untagged_in(repository)}
        tags = check_tags(untag, repository, fresh, True, decision.pins)
        assert not set(pins.by_tag(repository.name)) & tags.valid
