"""Random registries and options of `acr purge`, against the naive reading of the same options (tests.purge_oracle)."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.drift import check_drift, check_tags
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.planned import decide_as_planned, read_plan
from azext_acrprune.policy.flags import Flags, policy_of
from tests import oracle, purge_oracle, worlds
from tests.examples import examples
from tests.test_safety_properties import any_unreadable, delete_in_waves, missing_in_pulls, remaining
from tests.worlds import NOW

REPOSITORY_REGEXES = ('.*', '.*', 'team/app0', 'team/.*', 'app1', 'team/app0|team/app2', 'team/app[12]', 't.+?0')
TAG_REGEXES = (
    '.*',
    '.*',
    r'^v\d',
    'v1',
    r'\d+$',
    '^pr-',
    '^(?!latest|stable)',
    'latest',
    '^main-',
    r'rc\.1',
    'sha256-',
    r'^[a-z]+-[0-9]+$',
    r'^\d',
    '^pr-7$|^main',
)
GLOBS = ('**', 'team/*', 'team/app0', 'team/app?', '*', '**/app1', 'team/**')
TAG_GLOBS = ('*', '**', 'pr-*', 'v1.*', 'latest', 'main-?', '*-rc.*', '1.0.0', 'sha256-*')
KEEP_PER = ('^(?P<branch>.+)-[0-9]+$', r'^v?(?P<major>\d+)\.(?P<minor>\d+)', r'(?P<all>)', r'^(?P<pr>pr)|(?P<rest>\d)')


def some(first, second, most=2):
    return st.lists(st.tuples(st.sampled_from(first), st.sampled_from(second)), max_size=most)


FLAGS = st.fixed_dictionaries(
    {
        'filter': some(REPOSITORY_REGEXES, TAG_REGEXES),
        'match': some(GLOBS, TAG_GLOBS, most=1),
        'exclude': st.one_of(st.just([]), some(GLOBS, TAG_GLOBS, most=1)),
        'repository': st.sampled_from(([], [], [], ['team/app0'], ['team/*'], ['**/app1', 'team/app2'])),
        'ago': st.sampled_from(('1d', '1d', '1d', '0', '0', *purge_oracle.SECONDS)),
        'age_by': st.sampled_from(('updated', 'updated', 'created')),
        'keep': st.sampled_from((0, 0, 0, 1, 2, 5)),
        'keep_untagged': st.sampled_from((None, None, None, 0, 1)),
        'keep_semver': st.sampled_from((0, 0, 0, 1, 2)),
        'keep_per': st.sampled_from(((), (), ())) | some((1, 2), KEEP_PER),
        'untagged': st.sampled_from((True, True, False)),
        'untagged_only': st.sampled_from((False, False, False, True)),
        'include_locked': st.sampled_from((False, False, True)),
        'include': worlds.includes,
    }
)


def policy_for(flags):
    pairs = {
        name: tuple(f'{first}:{second}' for first, second in flags[name])
        for name in ('filter', 'match', 'exclude', 'keep_per')
    }
    return policy_of(Flags(**{**flags, **pairs, **{name: tuple(flags[name]) for name in ('repository', 'include')}}))


def decision_on(world, flags):
    policy = policy_for(flags)
    names = [repository['name'] for repository in world]
    return decide(replace(worlds.to_inventory(world), selected=frozenset(policy.selection.select(names))), policy, NOW)


def removed_by(decision):
    """(repository, tag) of each user tag that goes, alone or with its manifest."""
    return {
        (name, tag) for name, verdicts in decision.tags.items() for tag, verdict in verdicts.items() if not verdict.kept
    }


# --- The same tags and manifests ---------------------------------------------------------------------------------


@examples(500)
@given(worlds.tagged_worlds(), FLAGS)
def test_the_same_tags_and_manifests_go_as_in_the_naive_reading(world, flags):
    decision = decision_on(world, flags)
    assert removed_by(decision) == purge_oracle.all_tags_to_remove(world, flags, NOW)
    assert decision.doomed == purge_oracle.manifests_to_delete(world, flags, NOW)


def attachment_tags(world):
    return {
        (repository['name'], tag)
        for repository in world
        for manifest in repository['manifests']
        for tag in manifest['tags']
        if oracle.attached_to(tag, manifest)
    }


@examples(200)
@given(worlds.tagged_worlds(), FLAGS)
def test_the_plan_names_each_tag_that_goes_once(world, flags):
    document = plan_document(decision_on(world, flags), 'now')
    alone = [(entry['repository'], entry['tag']) for entry in document['untag']]
    with_manifests = [(entry['repository'], tag) for entry in document['delete'] for tag in entry['tags']]
    attachments = attachment_tags(world) & set(with_manifests)
    named = alone + [pair for pair in with_manifests if pair not in attachments]
    assert len(named) == len(set(named))
    assert set(named) == purge_oracle.all_tags_to_remove(world, flags, NOW)
    assert document['summary']['tagsToDelete'] == len(named) + len(attachments)


# --- What must never happen --------------------------------------------------------------------------------------


@examples(150)
@given(worlds.tagged_worlds(), FLAGS)
def test_nothing_that_stays_is_broken(world, flags):
    decision = decision_on(world, flags)
    unlocked = [
        dict(repository, tag_locks={}, manifests=[dict(manifest, locks=[]) for manifest in repository['manifests']])
        for repository in world
    ]
    after = purge_oracle.without_tags(unlocked if flags['include_locked'] else world, removed_by(decision))
    assert oracle.broken_after(after, decision.doomed, flags['include']) == []


@examples(200)
@given(worlds.tagged_worlds(), FLAGS)
def test_keep_leaves_that_many_of_the_candidates(world, flags):
    removed = removed_by(decision_on(world, flags))
    for repository in purge_oracle.settled(world, flags, NOW):
        there = {
            tag
            for manifest in repository['manifests']
            if purge_oracle.counts(flags, repository, manifest)
            for tag in manifest['tags']
        }
        found = {tag for tag, _ in purge_oracle.candidates(repository, flags, NOW)} & there
        stay = {tag for tag in found if (repository['name'], tag) not in removed}
        assert len(stay) >= min(flags['keep'], len(found))


@examples(200)
@given(worlds.tagged_worlds(), FLAGS)
def test_no_pattern_takes_an_attachment_tag(world, flags):
    decision = decision_on(world, flags)
    document = plan_document(decision, 'now')
    assert not attachment_tags(world) & removed_by(decision)
    assert not attachment_tags(world) & {(entry['repository'], entry['tag']) for entry in document['untag']}


@examples(200)
@given(worlds.tagged_worlds(), FLAGS)
def test_what_is_locked_never_goes_unless_it_was_asked_for(world, flags):
    decision = decision_on(world, flags)
    removed, doomed = removed_by(decision), decision.doomed
    for repository in world:
        name = repository['name']
        for manifest in repository['manifests']:
            locked = repository['locks'] or manifest['locks'] and not flags['include_locked']
            assert not locked or (name, manifest['digest']) not in doomed
            for tag in manifest['tags']:
                tag_locked = locked or repository['tag_locks'].get(tag) and not flags['include_locked']
                assert not tag_locked or (name, tag) not in removed
                assert not tag_locked or (name, manifest['digest']) not in doomed


@examples(200)
@given(worlds.tagged_worlds(), FLAGS)
def test_beside_an_unreadable_manifest_tags_go_and_manifests_stay(world, flags):
    broken = worlds.unreadable(worlds.index('broken'))
    world = [dict(repository, manifests=[*repository['manifests'], broken]) for repository in world]
    decision = decision_on(world, flags)
    assert decision.doomed == set()
    assert removed_by(decision) == purge_oracle.all_tags_to_remove(world, flags, NOW)


@examples(200)
@given(worlds.tagged_worlds(), FLAGS)
def test_without_untagged_no_manifest_goes_where_tags_are_selected(world, flags):
    flags = {**flags, 'filter': [('.*', '.*')], 'untagged': False, 'untagged_only': False}
    assert decision_on(world, flags).doomed == set()


@examples(200)
@given(worlds.tagged_worlds(), FLAGS)
def test_what_goes_without_include_locked_goes_with_it_too_unless_keep_counts_more(world, flags):
    flags = {**flags, 'keep': 0, 'keep_semver': 0, 'keep_per': [], 'keep_untagged': 0}
    careful, bold = (decision_on(world, {**flags, 'include_locked': choice}) for choice in (False, True))
    assert removed_by(careful) <= removed_by(bold)
    assert careful.doomed <= bold.doomed


# --- Bytes -------------------------------------------------------------------------------------------------------


@examples(150)
@given(worlds.tagged_worlds(), FLAGS)
def test_freed_bytes_of_a_plan_with_tags_are_what_the_local_registry_loses(world, flags):
    world = [
        dict(
            repository,
            locks=[],
            tag_locks={},
            manifests=[dict(manifest, locks=[]) for manifest in repository['manifests']],
        )
        for repository in world
    ]
    decision = decision_on(world, flags)
    document = plan_document(decision, 'now')
    storage = worlds.to_storage(world)
    before, pulls = storage.stored_bytes(), missing_in_pulls(storage, world)
    for entry in document['untag']:
        storage.untag(entry['repository'], entry['tag'])
    assert storage.stored_bytes() == before
    delete_in_waves(storage, decision)
    lost = before - storage.stored_bytes()
    survivors = set(oracle.all_nodes(world)) - decision.doomed
    assert remaining(storage, world) == survivors
    assert {node: pulls[node] for node in survivors} == missing_in_pulls(storage, world)
    assert tags_left(storage, world) == all_tags(world, survivors) - removed_by(decision)
    if any_unreadable(purge_oracle.settled(world, flags, NOW)):
        assert document['impact'] == 'upperBound'
        assert document['summary']['freedBytes'] >= lost
    else:
        assert document['impact'] == 'exact'
        assert document['summary']['freedBytes'] == lost


def tags_left(storage, world):
    return {(repository['name'], tag) for repository in world for tag in storage.tags(repository['name'])}


def all_tags(world, nodes):
    return {
        (repository['name'], tag)
        for repository in world
        for manifest in repository['manifests']
        if (repository['name'], manifest['digest']) in nodes
        for tag in manifest['tags']
    }


# --- A plan carried out later ------------------------------------------------------------------------------------

MUTATIONS = st.lists(
    st.tuples(st.sampled_from(sorted(worlds.MUTATIONS)), st.integers(0, 9), st.integers(0, 9)), max_size=3
)


def work_of(decision, name):
    """(the repository as it was seen, digests that go, {tag: digest} that are removed alone)."""
    seen = next((each for each in decision.inventory.repositories if each.name == name), None)
    untag = {tag: digest for tag, digest, _ in decision.untagged_in(seen)} if seen else {}
    return seen, decision.doomed_in(name), untag


@examples(300)
@given(worlds.tagged_worlds(1), FLAGS, MUTATIONS, MUTATIONS)
def test_a_plan_applied_to_a_registry_that_changed_takes_what_is_planned_and_nothing_that_is_needed_now(
    world, flags, meanwhile, later
):
    decision = decision_on(world, flags)
    name, include_locked = world[0]['name'], flags['include_locked']
    document = plan_document(decision, worlds.time_text(NOW))
    plan = read_plan(json.dumps(document), document['registry'], NOW, 0)
    _, doomed, untag = work_of(decision, name)
    at_apply = worlds.mutated(world[0], doomed, meanwhile)
    at_delete = worlds.mutated(
        at_apply, doomed, [(kind, one + 1, other + 1) for kind, one, other in later if not kind.startswith('new')]
    )
    seen, applied, applied_tags = work_of(decide_as_planned(plan, worlds.to_inventory([at_apply])), name)
    assert (applied, applied_tags) == (doomed, untag)
    fresh = worlds.to_repository(at_delete)
    drift = check_drift(applied, seen, fresh, plan.includes_locked)
    tags = check_tags(applied_tags, seen, fresh, plan.includes_locked)
    assert drift.valid <= doomed
    assert all(fresh.tags[tag].digest == untag[tag] for tag in tags.valid)
    unlocked = dict(
        at_delete, tag_locks={}, manifests=[dict(manifest, locks=[]) for manifest in at_delete['manifests']]
    )
    removed = {
        (name, tag)
        for manifest in world[0]['manifests']
        if manifest['digest'] in drift.valid
        for tag in manifest['tags']
    }
    after = purge_oracle.without_tags([unlocked if include_locked else at_delete], removed)
    assert oracle.broken_after(after, {(name, digest) for digest in drift.valid}, flags['include']) == []
    ghosts = {manifest['digest'] for manifest in world[0]['manifests'] if not oracle.exists(manifest)}
    assert not any(
        oracle.exists(manifest) for manifest in at_delete['manifests'] if manifest['digest'] in drift.valid & ghosts
    )


@examples(250)
@given(worlds.tagged_worlds(1), FLAGS, MUTATIONS)
def test_a_plan_applied_later_skips_whatever_the_command_itself_would_have_skipped(world, flags, meanwhile):
    """A plan says what is locked and not how, so that another lock in place of the one it saw goes unseen."""
    if flags['include_locked']:
        meanwhile = [mutation for mutation in meanwhile if 'locked' not in mutation[0]]
    decision = decision_on(world, flags)
    document = plan_document(decision, worlds.time_text(NOW))
    plan = read_plan(json.dumps(document), document['registry'], NOW, 0)
    seen, doomed, untag = work_of(decision, world[0]['name'])
    changed = worlds.mutated(world[0], doomed, meanwhile)
    fresh = worlds.to_repository(changed)
    as_seen, _, _ = work_of(decide_as_planned(plan, worlds.to_inventory([changed])), world[0]['name'])
    direct, applied = (check_drift(doomed, each, fresh, flags['include_locked']) for each in (seen, as_seen))
    assert applied.valid <= direct.valid
    direct, applied = (check_tags(untag, each, fresh, flags['include_locked']) for each in (seen, as_seen))
    assert applied.valid == direct.valid
