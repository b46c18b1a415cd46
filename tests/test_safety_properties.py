"""Random registries against the naive oracle and against the bytes that the local registry really loses.

All rules are from semantics.md; the oracle says the section of each.
"""

import copy
import json
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.drift import check_drift
from azext_acrprune.decide.graph import build_graph, deletion_batches, deletion_waves
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.model import Inventory, Repository
from azext_acrprune.policy.rules import Age, untagged_policy
from tests import oracle, worlds
from tests.examples import examples
from tests.worlds import NOW


def decision_on(world, policy, **options):
    return decide(worlds.to_inventory(world, **options), policy_for(policy), NOW)


def policy_for(policy):
    asked = untagged_policy(Age(f'{policy["ago"]}s', policy['ago']), policy['keep'])
    return replace(asked, include=frozenset(policy.get('include', ())))


def document_on(world, policy, **options):
    return plan_document(decision_on(world, policy, **options), 'now', show_kept=True)


def deleted_by(document):
    return {(entry['repository'], entry['digest']) for entry in document['delete']}


# --- The safe set ------------------------------------------------------------------------------------------------


@examples(600)
@given(worlds.worlds(), worlds.including_policies)
def test_safe_set_equals_the_oracle_and_breaks_nothing(world, policy):
    doomed = set(decision_on(world, policy).doomed)
    assert doomed == oracle.safe_set(world, policy, NOW)
    assert oracle.broken_after(world, doomed, policy['include']) == []


@examples(300)
@given(worlds.worlds(), worlds.including_policies)
def test_every_manifest_has_a_reason_that_holds(world, policy):
    document = document_on(world, policy)
    entries = {(entry['repository'], entry['digest']): entry for entry in document['delete'] + document['kept']}
    assert sorted(entries) == sorted(oracle.all_nodes(world))
    assert len(entries) == len(document['delete'] + document['kept'])
    roots = oracle.root_reasons(world, policy, NOW)
    manifests = {
        (repository['name'], manifest['digest']): manifest
        for repository in world
        for manifest in repository['manifests']
    }
    for node, entry in entries.items():
        if node in roots:
            assert entry['reason'] == roots[node]
        elif entry['reason'] != 'untagged':
            source = (entry['repository'], entry['because'])
            assert related(entry['reason'], manifests[node], manifests[source])
            assert (source in deleted_by(document)) == (node in deleted_by(document))


def related(reason, manifest, source):
    """Whether a manifest is what its reason says it is to the manifest behind that reason."""
    return {
        'childOf': manifest['digest'] in oracle.children(source),
        'referrerOf': source['digest'] in oracle.subjects(manifest),
        'subjectOf': manifest['digest'] in oracle.subjects(source),
    }[reason]


@examples(200)
@given(worlds.worlds(), worlds.including_policies)
def test_reading_only_what_safety_needs_gives_the_same_safe_set_and_an_upper_bound(world, policy):
    full, bound = document_on(world, policy), document_on(world, policy, bound=True)
    assert bound['impact'] == 'upperBound'
    if 'orphans' in policy['include']:
        assert deleted_by(bound) <= deleted_by(full), 'an orphan may have its subject in what was not read'
    else:
        assert deleted_by(bound) == deleted_by(full)
        assert bound['summary']['freedBytes'] >= full['summary']['freedBytes']


# --- What the lists and the replicas do not show -----------------------------------------------------------------


@examples(300)
@given(worlds.half_hidden_worlds(), worlds.including_policies, st.sampled_from((1, 2, 10)), st.booleans())
def test_nothing_goes_that_something_needs_which_no_list_shows(world, policy, most_tags, counted):
    world = world if counted else worlds.with_traces(world)
    shown = [worlds.to_shown(repository, most_tags, counted) for repository in world]
    inventory = replace(worlds.to_inventory(world), repositories=tuple(shown))
    doomed = set(decide(inventory, policy_for(policy), NOW).doomed)
    assert doomed <= oracle.safe_set(world, policy, NOW)
    assert oracle.broken_after(world, doomed, policy['include']) == []


@examples(300)
@given(worlds.lagging_regions(), worlds.including_policies)
def test_nothing_goes_that_any_region_needs(regions, policy):
    merged = [worlds.to_merged(views) for views in zip(*regions)]
    inventory = replace(worlds.to_inventory(regions[0]), repositories=tuple(merged))
    doomed = set(decide(inventory, policy_for(policy), NOW).doomed)
    assert doomed <= oracle.everywhere(regions)
    assert oracle.broken_after(oracle.union(regions), doomed, policy['include']) == []
    for world in regions:  # what another region can serve is no ghost
        assert oracle.broken_after(world, doomed, ('ghosts',)) == []


@examples(100)
@given(worlds.lagging_regions(), worlds.including_policies)
def test_freed_bytes_are_what_all_regions_lose_together_or_a_bound_of_it(regions, policy):
    merged = [worlds.to_merged(views) for views in zip(*regions)]
    inventory = replace(worlds.to_inventory(regions[0]), repositories=tuple(merged))
    decision = decide(inventory, policy_for(policy), NOW)
    places = [worlds.to_storage(world) for world in regions]
    before = bytes_in(places)
    for place in places:  # what is deleted through one of them arrives in the other
        for name, digest in decision.doomed_in_order():
            worlds.delete(place, name, digest)
    document, lost = plan_document(decision, 'now'), before - bytes_in(places)
    freed, impact = document['summary']['freedBytes'], document['impact']
    assert freed == lost or impact == 'unknown' or impact == ('upperBound' if freed > lost else 'lowerBound')


def bytes_in(places):
    """What is stored when all has arrived everywhere: what any region has, once."""
    return sum({digest: size for place in places for digest, size in place.held().items()}.values())


@examples(200)
@given(worlds.lagging_regions(repositories=1), worlds.includes)
def test_right_before_deleting_nothing_goes_that_any_region_needs_now(regions, include):
    """Between the plan and the deletion each region has seen changes of its own."""
    (before,) = regions[0]
    planned = {digest for name, digest in oracle.safe_set([before], {'ago': 0, 'keep': 0, 'include': include}, NOW)}
    now = worlds.to_merged([before, regions[1][0]])
    drift = check_drift(planned, worlds.to_repository(before), now)
    valid = {(before['name'], digest) for digest in drift.valid}
    for world in ([before], list(regions[1])):
        assert oracle.broken_after(world, valid, include) == []


# --- Layer impact ------------------------------------------------------------------------------------------------


@examples(400)
@given(worlds.worlds(), worlds.including_policies)
def test_freed_bytes_are_what_the_local_registry_loses(world, policy):
    decision = decision_on(world, policy)
    document = plan_document(decision, 'now')
    storage = worlds.to_storage(world)
    before, pulls = storage.stored_bytes(), missing_in_pulls(storage, world)
    delete_in_waves(storage, decision)
    lost = before - storage.stored_bytes()
    survivors = set(oracle.all_nodes(world)) - deleted_by(document)
    assert remaining(storage, world) == survivors
    assert {node: pulls[node] for node in survivors} == missing_in_pulls(storage, world)
    if any_unreadable(oracle.settled(world, policy['ago'], policy['include'], NOW)):
        assert document['impact'] == 'upperBound'
        assert document['summary']['freedBytes'] >= lost
    else:
        assert document['impact'] == 'exact'
        assert document['summary']['freedBytes'] == lost
        assert document['summary']['registryBytes'] == before


def delete_in_waves(storage, decision):
    """Delete what is doomed; the service's own cascade may be faster, which is no failure."""
    for repository in decision.inventory.repositories:
        graph = build_graph(repository)
        for wave in deletion_waves(graph, decision.doomed_in(repository.name)):
            for digest in wave:
                worlds.delete(storage, repository.name, digest)


def remaining(storage, world):
    return {(repository['name'], digest) for repository in world for digest in storage.manifests(repository['name'])}


def missing_in_pulls(storage, world):
    """What a pull of each manifest would miss."""
    return {(name, digest): sorted(storage.whole(name, digest)) for name, digest in remaining(storage, world)}


def any_unreadable(world):
    return any(manifest['state'] == 'unreadable' for repository in world for manifest in repository['manifests'])


@examples(400)
@given(worlds.worlds(), worlds.including_policies)
def test_every_number_of_bytes_equals_the_oracle(world, policy):
    document = document_on(world, policy)
    doomed = deleted_by(document)
    summary = document['summary']
    assert summary['freedBytes'] == oracle.freed_bytes(world, doomed)
    assert summary['freedManifestBytes'] == oracle.freed_manifest_bytes(world, doomed)
    assert summary['sharedBytes'] == oracle.shared_bytes(world, doomed)
    for entry in document['delete']:
        unique = oracle.unique_bytes(world, entry['repository'], entry['digest'], doomed)
        assert entry['uniqueBytes'] == unique
    for row in document['repositories']:
        part = {node for node in doomed if node[0] == row['name']}
        assert row['freedBytes'] == oracle.freed_bytes(world, part)


# --- The plan document -------------------------------------------------------------------------------------------


@examples(200)
@given(worlds.worlds(), worlds.including_policies)
def test_summary_adds_up(world, policy):
    document = document_on(world, policy)
    summary, rows = document['summary'], document['repositories']
    assert summary['manifests'] == summary['manifestsToDelete'] + summary['manifestsKept']
    assert summary['manifests'] == len(oracle.all_nodes(world))
    assert summary['manifestsToDelete'] == len(document['delete'])
    assert summary['keptByReason'] == Counter(entry['reason'] for entry in document['kept'])
    assert summary['tagsToDelete'] == sum(len(entry['tags']) for entry in document['delete'])
    for name in ('manifests', 'manifestsToDelete', 'tagsToDelete'):
        assert summary[name] == sum(row[name] for row in rows)


@examples(200)
@given(worlds.worlds(), worlds.including_policies, st.randoms(use_true_random=False))
def test_document_is_the_same_byte_for_byte_in_whatever_order_the_registry_answers(world, policy, random):
    inventory = worlds.to_inventory(world)
    policy = policy_for(policy)
    texts = [
        json.dumps(plan_document(decide(answer, policy, NOW), 'now', show_kept=True))
        for answer in (inventory, shuffled(inventory, random))
    ]
    assert texts[0] == texts[1]


def shuffled(inventory, random):
    def mixed(things):
        return random.sample(list(things), len(things))

    repositories = [
        Repository(
            repository.name,
            dict(mixed(repository.manifests.items())),
            repository.locks,
            dict(mixed(repository.tags.items())),
        )
        for repository in mixed(inventory.repositories)
    ]
    return Inventory(inventory.registry, tuple(repositories), inventory.selected, inventory.complete)


# --- Order of deletion -------------------------------------------------------------------------------------------


@examples(300)
@given(worlds.worlds(), st.booleans())
def test_waves_name_each_manifest_once_and_an_index_before_its_children(world, everything):
    policy = {'ago': 0, 'keep': 0}
    for repository in world:
        doomed = {digest for name, digest in oracle.all_nodes([repository])}
        if not everything:
            doomed = {digest for name, digest in oracle.safe_set([repository], policy, NOW)}
        waves = list(deletion_waves(build_graph(worlds.to_repository(repository)), doomed))
        assert sorted(digest for wave in waves for digest in wave) == sorted(doomed)
        assert_ordered(repository, doomed, {digest: number for number, wave in enumerate(waves) for digest in wave})


@examples(200)
@given(worlds.worlds(), st.integers(1, 6))
def test_no_edge_leads_from_one_batch_to_another_and_none_is_larger_than_it_has_to_be(world, at_least):
    for repository in world:
        doomed = {digest for name, digest in oracle.all_nodes([repository])}
        batches = list(deletion_batches(build_graph(worlds.to_repository(repository)), doomed, at_least))
        assert sorted(digest for batch in batches for digest in batch) == sorted(doomed)
        batch_of = {digest: number for number, batch in enumerate(batches) for digest in batch}
        edges = [
            *before_pairs(repository['manifests'], oracle.children, ghosts=True),
            *before_pairs(repository['manifests'], oracle.subjects, ghosts=True),
        ]
        assert all(batch_of[one] == batch_of[other] for one, other in edges)
        parts = components(doomed, edges)
        for batch in batches:
            inside = [len(part) for part in parts if part <= set(batch)]
            assert sum(inside) == len(batch)
            assert set(inside) == {1} or len(batch) - inside[-1] < at_least or sum(sorted(inside)[:-1]) < at_least
        assert len([batch for batch in batches if any(len(part) == 1 and part <= set(batch) for part in parts)]) <= 1


def components(nodes, edges):
    """What edges tie together, by merging until nothing changes."""
    parts = [{node} for node in sorted(nodes)]
    for one, other in edges:
        touched = [part for part in parts if one in part or other in part]
        parts = [part for part in parts if part not in touched] + [set().union(*touched)]
    return parts


def assert_ordered(repository, doomed, wave_of):
    going = [manifest for manifest in repository['manifests'] if manifest['digest'] in doomed]
    for one, other in before_pairs(going, oracle.children):
        assert wave_of[one] < wave_of[other]
    holds = before_pairs(going, oracle.children)
    holds += [(subject, referrer) for referrer, subject in before_pairs(going, oracle.subjects)]
    if not cyclic(doomed, holds):
        assert all(wave_of[one] < wave_of[other] for one, other in holds)


def before_pairs(manifests, edges, ghosts=False):
    """(digest, digest) of each edge between two manifests that exist, or with `ghosts` to one that does not."""
    return [
        (one['digest'], other['digest'])
        for one in manifests
        for other in manifests
        if one is not other
        and (oracle.exists(one) or ghosts and oracle.exists(other))
        and (ghosts or oracle.exists(other))
        and other['digest'] in edges(one)
    ]


def cyclic(nodes, pairs):
    """Take away what nothing holds until nothing changes; a rest has a cycle."""
    rest = set(nodes)
    while rest:
        free = {node for node in rest if not any(other == node and one in rest for one, other in pairs)}
        if not free:
            return True
        rest -= free
    return False


# --- Drift -------------------------------------------------------------------------------------------------------


@examples(200)
@given(worlds.worlds(), worlds.including_policies)
def test_an_unchanged_repository_skips_nothing(world, policy):
    for repository in world:
        planned = {digest for name, digest in oracle.safe_set([repository], policy, NOW)}
        seen = worlds.to_repository(repository)
        drift = check_drift(planned, seen, worlds.to_repository(copy.deepcopy(repository)))
        assert (drift.valid, dict(drift.skipped), drift.gone) == (planned, {}, set())
        assert check_drift(planned, seen, None).gone == planned


MUTATIONS = st.lists(
    st.tuples(st.sampled_from(sorted(worlds.MUTATIONS)), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=3
)


@examples(800)
@given(worlds.worlds(repositories=1), worlds.includes, MUTATIONS)
def test_drift_lets_through_what_is_planned_and_nothing_that_is_needed_now(world, include, mutations):
    seen = world[0]
    planned = {digest for name, digest in oracle.safe_set(world, {'ago': 0, 'keep': 0, 'include': include}, NOW)}
    fresh = worlds.mutated(seen, planned, mutations)
    drift = check_drift(planned, worlds.to_repository(seen), worlds.to_repository(fresh))
    there = {manifest['digest'] for manifest in fresh['manifests']}
    assert drift.gone == planned - there
    assert drift.valid == (planned & there) - oracle.needed_now(seen, fresh, planned)
    assert set(drift.skipped) == planned - drift.gone - drift.valid
    assert oracle.broken_after([fresh], {(fresh['name'], digest) for digest in drift.valid}, include) == []
