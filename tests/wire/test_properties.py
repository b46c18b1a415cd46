"""The whole way over the wire on random registries: scan, decide, delete; what is promised is what disappears."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as some

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.result import result_document
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.registry.endpoints import alone
from azext_acrprune.reporter import Silent
from tests import figures, oracle, worlds
from tests.examples import examples
from tests.registry.replicas import KINDS, NEVER
from tests.wire.plain import execute, scan

_SETTINGS = examples(150, HealthCheck.function_scoped_fixture)
_FEWER = examples(60, HealthCheck.function_scoped_fixture)


@pytest.fixture
def client(connect):
    return connect()


@pytest.fixture
def connected_regions(registry, connect_regions):
    registry.replicate(endpoints=True, local={}, far={})
    return connect_regions()


EVERY_LAG = dict.fromkeys(KINDS, NEVER)


def as_served(world: list) -> list:
    """The world without the manifests that only refuse to be read: the local registry serves those."""
    return [
        dict(
            repository,
            manifests=[
                dict(manifest, state='read') if manifest['fault'] == 'forbidden' else manifest
                for manifest in repository['manifests']
            ],
        )
        for repository in world
    ]


def with_tags_in_no_list(world: list) -> set:
    """The repositories that count a tag which no list shows: that of an image in quarantine. Nothing goes in them."""
    return {
        repository['name']
        for repository in world
        for manifest in repository['manifests']
        if manifest['tags'] and manifest['quarantine'] not in (None, 'Passed')
    }


@_SETTINGS
@given(worlds.worlds(), worlds.including_policies)
def test_a_run_over_the_wire_frees_what_its_plan_promised_and_leaves_the_rest_whole(registry, client, world, policy):
    registry.storage = storage = worlds.to_storage(world)
    selected = tuple(repository['name'] for repository in world if repository['selected'])
    asked = untagged_policy(Age('as drawn', policy['ago']), policy['keep'], tuple(selected) or ('no-such-repository*',))
    asked = replace(asked, include=frozenset(policy['include']))
    inventory = scan(client, 'host', Extent(asked.selection), Silent())
    decision = decide(inventory, asked, worlds.NOW)
    closed = with_tags_in_no_list(world)
    safe = oracle.safe_set(as_served(world), policy, worlds.NOW)
    assert decision.doomed == {node for node in safe if node[0] not in closed}
    promised = plan_document(decision, 'now')['summary']['freedBytes']
    kept = {(name, digest) for name in storage.repositories() for digest in storage.manifests(name)} - decision.doomed
    before = storage.stored_bytes()
    result = result_document(decision, execute(client, decision, 8, Silent(), time.monotonic))
    figures.count(runs=1, deletes=len(result['deleted']))
    assert result['skipped'] == result['failed'] == []
    assert {(name, digest) for name in storage.repositories() for digest in storage.manifests(name)} == kept
    assert result['summary']['freedBytes'] == promised
    if plan_document(decision, 'now')['impact'] == 'exact':
        assert before - storage.stored_bytes() == promised


def served(storage):
    return {(name, digest) for name in storage.repositories() for digest in storage.manifests(name)}


def pulls(storage):
    """What a pull of each tag would miss."""
    return {
        (name, tag): sorted(storage.whole(name, tag)) for name in storage.repositories() for tag in storage.tags(name)
    }


def assert_bytes(impact, said, lost):
    """A number of bytes is what the registry loses, or is called a bound of it."""
    assert impact != 'exact' or said == lost
    assert impact != 'upperBound' or said >= lost
    assert impact != 'lowerBound' or said <= lost


def policy_over(world, policy):
    there = [repository for repository in world if repository['manifests']]  # a repository goes with its last one
    selected = tuple(repository['name'] for repository in there if repository['selected'])
    asked = untagged_policy(Age('as drawn', policy['ago']), policy['keep'], selected or ('no-such-repository*',))
    return replace(asked, include=frozenset(policy['include']))


@_FEWER
@given(worlds.half_hidden_worlds(), worlds.including_policies, some.sampled_from((1, 2, 10)), some.booleans())
def test_nothing_is_lost_that_the_lists_do_not_show(registry, client, world, policy, most_tags, counted):
    world = world if counted else worlds.with_traces(world)
    registry.storage = storage = worlds.to_storage(world)
    registry.metadata.most_tags, registry.metadata.counts_hidden = most_tags, counted
    asked = policy_over(world, policy)
    decision = decide(scan(client, 'host', Extent(asked.selection), Silent()), asked, worlds.NOW)
    truth = as_served(world)
    assert decision.doomed <= oracle.safe_set(truth, policy, worlds.NOW)
    assert oracle.broken_after(truth, decision.doomed, policy['include']) == []
    before, there, tagged = storage.stored_bytes(), served(storage), pulls(storage)
    document = plan_document(decision, 'now')
    execute(client, decision, 8, Silent(), time.monotonic)
    figures.count(runs=1, deletes=len(there - served(storage)))
    assert there - served(storage) <= decision.doomed
    left = pulls(storage)
    assert {tag: tagged[tag] for tag in left} == left
    lost = before - storage.stored_bytes()
    assert_bytes(document['impact'], document['summary']['freedBytes'], lost)


@_FEWER
@given(worlds.lagging_regions(), worlds.including_policies)
def test_nothing_is_lost_that_one_region_alone_shows(registry, connected_regions, regions, policy):
    places = registry.replicate(endpoints=True, local=EVERY_LAG, far=EVERY_LAG)
    for name, world in zip(('local', 'far'), regions):
        worlds.to_storage(world, storage=places[name])
    asked = policy_over(oracle.union(regions), policy)
    client = connected_regions
    decision = decide(scan(client, 'host', Extent(asked.selection), Silent()), asked, worlds.NOW)
    assert decision.doomed <= oracle.everywhere(regions)
    assert oracle.broken_after(as_served(oracle.union(regions)), decision.doomed, policy['include']) == []
    for world in regions:  # what another region can serve is no ghost
        assert oracle.broken_after(as_served(world), decision.doomed, ('ghosts',)) == []
    tagged = {name: pulls(places[name]) for name in places}
    there, before = served(places['local']), places.stored_bytes()
    outcome = execute(client, decision, 8, Silent(), time.monotonic, door=alone(client.real))
    gone = there - served(places['local'])
    assert gone <= decision.doomed
    for repository, digest in gone:  # the deletions arrive in the other region
        places['far'].receive_deletion(repository, digest)
    for name in places:
        left = pulls(places[name])
        assert {tag: tagged[name][tag] for tag in left} == left
    lost, result = before - places.stored_bytes(), result_document(decision, outcome)['summary']
    assert_bytes(result['impact'], result['freedBytes'], lost)
    if gone == decision.doomed:
        planned = plan_document(decision, 'now')
        assert_bytes(planned['impact'], planned['summary']['freedBytes'], lost)
