"""Random registries and policies, against the naive reading of the table in docs/policies.md (tests.policy_oracle)."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.ranking import Entry, spared
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.policy.facts import FOREIGN, STILL_RETIRED, Facts, Retired
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.parsing import PolicyError
from azext_acrprune.policy.rules import Keep, Thin
from tests import oracle, policy_oracle, policy_reading, purge_oracle, worlds
from tests.test_safety_properties import examples
from tests.worlds import NOW

MATCHES = st.fixed_dictionaries(
    {},
    optional={
        'repositories': st.sampled_from((['team/*'], ['team/app0'], ['*'], ['**/app1', 'team/app2'])),
        'tags': st.sampled_from((['pr-*'], ['v1.*', 'latest'], ['*'], ['main-?'])),
        'mediaTypes': st.sampled_from(([worlds.OCI_INDEX], [worlds.OCI_IMAGE, worlds.OCI_ARTIFACT])),
    },
)
KEEPS = st.fixed_dictionaries(
    {'newest': st.integers(1, 2)},
    optional={'count': st.sampled_from(('images', 'tags')), 'of': st.sampled_from(('all', 'old'))},
)
RULES = st.lists(
    st.tuples(
        MATCHES,
        st.sampled_from((None, None, True, False)),
        st.sampled_from(('delete', 'delete', 'delete', 'untag', 'keep')),
        st.sampled_from(('0', '1d', '20d', '35d')),
        st.sampled_from(('updated', 'updated', 'created')),
        st.one_of(st.none(), st.none(), KEEPS),
    ),
    min_size=1,
    max_size=4,
)


def document_of(sketches):
    rules = []
    for number, (match, tagged, action, ago, by, keep) in enumerate(sketches):
        match = match if tagged is None or tagged is False and 'tags' in match else {**match, 'tagged': tagged}
        rule = {'name': f'rule {number}', 'match': match or {'everything': True}, 'do': action}
        takes = {'when': {'olderThan': ago, 'by': by}, **({'keep': keep} if keep else {})}
        rules.append(rule if action == 'keep' else {**rule, **takes})
    return without_dead_rules({'version': 1, 'rules': rules})


def without_dead_rules(document):
    """The same without the rules that are refused, because those above claim all that they match."""
    while True:
        try:
            parse_policy(json.dumps(document))
            return document
        except PolicyError as error:
            assert 'can claim nothing' in str(error)
            number = int(error.key[len('rules[') : -1])
            document = {**document, 'rules': [*document['rules'][:number], *document['rules'][number + 1 :]]}


def decision_on(world, document):
    policy = parse_policy(json.dumps(document))
    inventory = worlds.to_inventory(world)
    return decide(replace(inventory, selected=inventory.selected), policy, NOW)


def removed_by(decision):
    return {
        (name, tag) for name, verdicts in decision.tags.items() for tag, verdict in verdicts.items() if not verdict.kept
    }


@examples(200)
@given(worlds.tagged_worlds(), RULES)
def test_a_policy_takes_what_its_table_says(world, sketches):
    document = document_of(sketches)
    decision = decision_on(world, document)
    tags, doomed = policy_oracle.decide(world, document, NOW)
    assert (removed_by(decision), decision.doomed) == (tags, doomed)


@examples(300)
@given(worlds.tagged_worlds(), RULES)
def test_nothing_that_stays_is_broken_and_an_image_goes_whole(world, sketches):
    decision = decision_on(world, document_of(sketches))
    assert oracle.broken_after(purge_oracle.without_tags(world, removed_by(decision)), decision.doomed) == []
    rows = plan_document(decision, 'now')['rules']
    assert sum(row['claimed'] for row in rows) == sum(row['young'] + row['kept'] + row['takes'] for row in rows)


@examples(300)
@given(worlds.tagged_worlds(), RULES)
def test_every_tag_and_manifest_is_claimed_by_the_first_rule_alone_and_says_so(world, sketches):
    document = document_of(sketches)
    actions = {rule['name']: rule['do'] for rule in document['rules']}
    decision = decision_on(world, document)
    for repository in world:
        name = repository['name']
        for manifest in repository['manifests']:
            verdict = decision.verdicts[name][manifest['digest']]
            claims = claims_on(document, repository, manifest)
            if claims == [''] and verdict.rule:
                assert actions[verdict.rule] == 'delete'
                above = owners(repository, manifest)
                claims = [claim for owner in above for claim in claims_on(document, repository, owner)]
            assert verdict.rule in (*claims, '')
            if verdict.rule:
                assert verdict.because.startswith(f'{verdict.rule}: ')
            if not verdict.kept and verdict.reason in ('matched', 'untagged'):
                assert actions[verdict.rule] == 'delete'
            for tag in policy_oracle.user_tags(manifest) if name in decision.tags else ():
                found = decision.tags[name][tag]
                assert found.rule == claiming(document, repository, manifest, tag)
                assert found.kept or actions[found.rule] in ('delete', 'untag')


def claiming(document, repository, manifest, tag=None):
    """The name of the first rule that matches a tag, or a manifest without one; empty if there is none."""
    rule, _ = policy_reading.rule_of(document, repository, manifest, tag, {})
    return rule['name'] if rule else ''


def claims_on(document, repository, manifest):
    tags = policy_oracle.user_tags(manifest) or [None]
    return [claiming(document, repository, manifest, tag) for tag in tags]


def owners(repository, manifest):
    """The indexes and subjects above a manifest, however far."""
    found, queue = [], [manifest]
    while queue:
        below = queue.pop()
        for other in repository['manifests']:
            above = below['digest'] in oracle.children(other) or other['digest'] in oracle.subjects(below)
            if above and oracle.exists(other) and other not in found:
                found.append(other)
                queue.append(other)
    return found


# --- Reports -------------------------------------------------------------------------------------------------------

REPORTS = st.fixed_dictionaries(
    {'perSubject': st.fixed_dictionaries({'newest': st.integers(1, 2)})},
    optional={'of': st.sampled_from(('all', 'old'))},
)
TYPES = st.sampled_from(([worlds.OCI_ARTIFACT], [worlds.OCI_IMAGE, worlds.OCI_ARTIFACT], [worlds.OCI_INDEX]))


@examples(150)
@given(worlds.tagged_worlds(), RULES, REPORTS, TYPES, st.sampled_from(('0', '1d', '20d')))
def test_of_reports_the_older_ones_go_and_all_else_is_as_ever(world, sketches, keep, types, age):
    first = {'name': 'reports', 'match': {'mediaTypes': types}, 'when': {'olderThan': age}, 'keep': keep}
    first['do'] = 'delete'
    rules = document_of(sketches)['rules']
    document = without_dead_rules({'version': 1, 'rules': [first, *rules]})
    decision = decision_on(world, document)
    tags, doomed = policy_oracle.decide(world, document, NOW)
    assert (removed_by(decision), decision.doomed) == (tags, doomed)


# --- Retiring ------------------------------------------------------------------------------------------------------

RETIRED = st.lists(st.sampled_from((None, None, 20, 20, 5, 'theirs')), min_size=40, max_size=40)


@examples(150)
@given(worlds.tagged_worlds(), RULES, RETIRED, st.lists(st.sampled_from((7, 14)), min_size=4, max_size=4))
def test_what_is_retired_goes_when_all_of_its_image_was_retired_for_long_enough(world, sketches, retired, periods):
    document = document_of(sketches)
    for number, rule in enumerate(document['rules']):
        if rule['do'] == 'delete' and number != 1:
            rule.update(do='retire', retire={'for': f'{periods[number]}d'})
    digests = sorted({each['digest'] for repository in world for each in repository['manifests']})
    days = {digest: day for digest, day in zip(digests, retired) if day is not None}
    policy = parse_policy(json.dumps(document))
    decision = decide(worlds.to_inventory(world), replace(policy, facts=retired_facts(world, days)), NOW)
    for rule in document['rules']:
        rule['retire'] = rule.get('retire') and int(rule['retire']['for'][:-1])
    tags, doomed = policy_oracle.decide(world, document, NOW, {'retired': days})
    assert (removed_by(decision), decision.doomed) == (tags, doomed)
    assert oracle.broken_after(purge_oracle.without_tags(world, removed_by(decision)), decision.doomed) == []


def retired_facts(world, days):
    def standing(day):
        return Retired(FOREIGN) if day == 'theirs' else Retired(STILL_RETIRED, NOW - day * 86_400 * worlds.TICKS)

    return Facts(
        retired={
            repository['name']: {
                manifest['digest']: standing(days[manifest['digest']])
                for manifest in repository['manifests']
                if manifest['digest'] in days
            }
            for repository in world
        }
    )


# --- Thinning ----------------------------------------------------------------------------------------------------

PERIODS = {'hourly': 3_600, 'daily': 86_400}
TIMES = st.lists(st.integers(0, 40 * 24), unique=True, min_size=1, max_size=12)
THIN = st.fixed_dictionaries({'hourly': st.integers(0, 4), 'daily': st.integers(0, 5)})


def thinned(hours, thin):
    """Every way to choose is tried: the newest of each period, and the oldest of all where a place is left."""
    stay = set()
    for word, seconds in PERIODS.items():
        chosen = []
        for hour in sorted(hours, reverse=True):
            newest_of_its_period = not any(
                other > hour and other * 3_600 // seconds == hour * 3_600 // seconds for other in hours
            )
            if len(chosen) < thin[word] and (newest_of_its_period or hour == min(hours)):
                chosen.append(hour)
        stay |= set(chosen)
    return stay


def stays(hours, thin):
    entries = [Entry(f't{hour}', f'sha256:{hour}', NOW + hour * 3_600 * worlds.TICKS) for hour in hours]
    keep = Keep(thin=Thin(**thin))
    return {int(entry.name[1:]) for _, chosen in spared(entries, keep) for entry in chosen}


@examples(200)
@given(TIMES, THIN)
def test_thinning_is_what_restic_does_and_twice_takes_nothing_more(hours, thin):
    begin = NOW // worlds.TICKS // 3_600
    once = stays(hours, thin)
    assert {hour + begin for hour in once} == thinned([hour + begin for hour in hours], thin)
    assert stays(once, thin) == once


BRANCH = '^(?P<branch>[a-z]+)-[0-9]+$'
NUMBERS = st.dictionaries(
    st.sampled_from(('hourly', 'daily', 'weekly', 'monthly', 'yearly')), st.integers(1, 3), min_size=1, max_size=3
)


@examples(150)
@given(worlds.tagged_worlds(2), NUMBERS, st.booleans(), KEEPS, st.booleans())
def test_what_a_rule_left_it_leaves_again(world, thin, grouped, how, counts_only):
    """Nothing more goes when the same policy is carried out twice, whatever is locked, shared or half there."""
    keep = {**how, 'thin': {**thin, **({'perGroup': BRANCH} if grouped else {})}}
    keep = how if counts_only else keep
    rule = {'name': 'r', 'match': {'everything': True}, 'when': {'olderThan': '1d'}, 'keep': keep, 'do': 'delete'}
    document = {'version': 1, 'rules': [rule]}
    first = decision_on(world, document)
    left = oracle.without(purge_oracle.without_tags(world, removed_by(first)), first.doomed)
    second = decision_on(left, document)
    assert (removed_by(second), second.doomed) == (set(), frozenset())


# --- Budgets -----------------------------------------------------------------------------------------------------

IMAGES = st.lists(
    st.tuples(
        st.lists(st.integers(0, 5), max_size=3, unique=True), st.integers(2, 40), st.booleans(), st.integers(0, 1)
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: each[1],
)
SIZES = st.sampled_from((0, 1, 600, 1_500, 100_000, 250_000, 1_000_000, 3_000_000, 6_400_000, 10**9))


def registry_of(sketches):
    """Images of shared layers in two repositories, some without a tag, each of another day."""
    made = [
        (where, worlds.image(f'i{days}', layers, tags=[f't{days}'] if tagged else [], age=days * 86_400))
        for layers, days, tagged, where in sketches
    ]
    return [
        worlds.repository_of(*[image for where, image in made if where == number], name=f'r{number}')
        for number in (0, 1)
    ]


def nodes_by_age(world):
    return [
        (name, digest)
        for _, name, digest in sorted(
            (manifest['updated'], repository['name'], manifest['digest'])
            for repository in world
            for manifest in repository['manifests']
        )
    ]


def smallest(world, order, suffices):
    """The shortest row in an order that suffices, or all of it."""
    return next((set(order[:number]) for number in range(len(order) + 1) if suffices(set(order[:number]))), set(order))


def stored(world):
    return sum(oracle.blob_table(world).values()) + sum(oracle.manifest_table(world).values())


@examples(400)
@given(
    IMAGES,
    st.sampled_from(('freed', 'registryUnder', 'repositoryUnder')),
    SIZES,
    st.sampled_from(('oldest', 'largestFreed', 'notPulledLongest')),
    st.lists(st.sampled_from((None, 0, 1, 5, 20, 50)), min_size=6, max_size=6),
)
def test_a_budget_is_the_shortest_row_that_suffices_exact_in_bytes(sketches, key, size, by, pulls):
    world = registry_of(sketches)
    rule = {
        'name': 'r',
        'match': {'everything': True},
        'when': {'olderThan': '1d'},
        'until': {key: size},
        'order': by,
        'do': 'delete',
    }
    order = nodes_by_age(world)
    pulled = {node: at(days) for node, days in zip(order, pulls) if days is not None}
    facts = Facts(pulled={name: {d: t for (n, d), t in pulled.items() if n == name} for name in ('r0', 'r1')})
    facts = replace(facts, pulls_since=at(20), has_log=True)
    if by == 'largestFreed':
        order.sort(key=lambda node: (-oracle.freed_bytes(world, {node}), node))
    if by == 'notPulledLongest':  # what is older than the log and has no pull in it has no place
        created = {(each['name'], m['digest']): m['updated'] for each in world for m in each['manifests']}
        order = [node for node in order if node in pulled or created[node] >= at(20)]
        order.sort(key=lambda node: (pulled.get(node, 0), node))
    if key == 'repositoryUnder':
        expected = set()
        for repository in world:
            mine = [node for node in order if node[0] == repository['name']]
            alone = [repository]
            expected |= smallest(alone, mine, lambda gone, alone=alone: stored(oracle.without(alone, gone)) <= size)
    elif key == 'freed':
        expected = smallest(world, order, lambda gone: oracle.freed_bytes(world, gone) >= size)
    else:
        expected = smallest(world, order, lambda gone: stored(oracle.without(world, gone)) <= size)
    policy = replace(parse_policy(json.dumps({'version': 1, 'rules': [rule]})), facts=facts)
    decision = decide(worlds.to_inventory(world), policy, NOW)
    assert decision.doomed == expected
    assert {tag for _, tag in removed_by(decision)} == {
        tag
        for repository in world
        for manifest in repository['manifests']
        if (repository['name'], manifest['digest']) in expected
        for tag in manifest['tags']
    }


def at(days):
    return NOW - days * 86_400 * worlds.TICKS
