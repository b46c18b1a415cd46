"""Random registries and policies, against the naive reading of the table in docs/policies.md (tests.policy_oracle)."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.ranking import Entry, spared
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.rules import Keep, Thin
from azext_acrprune.policy.syntax import PolicyError
from tests import oracle, policy_oracle, purge_oracle, worlds
from tests.test_safety_properties import examples
from tests.worlds import NOW

MATCHES = st.fixed_dictionaries(
    {},
    optional={
        'repositories': st.sampled_from((['team/*'], ['team/app0'], ['**/app1', 'team/app2'])),
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
        rule = {'name': f'rule {number}', 'match': match or {'everything': True}, 'when': {'olderThan': ago, 'by': by}}
        rules.append({**rule, 'do': action, **({'keep': keep} if keep and action != 'keep' else {})})
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


@examples(1500)
@given(worlds.tagged_worlds(), RULES)
def test_a_policy_takes_what_its_table_says(world, sketches):
    document = document_of(sketches)
    decision = decision_on(world, document)
    tags, doomed = policy_oracle.decide(world, document, NOW)
    assert (removed_by(decision), decision.doomed) == (tags, doomed)


@examples(600)
@given(worlds.tagged_worlds(), RULES)
def test_nothing_that_stays_is_broken_and_an_image_goes_whole(world, sketches):
    decision = decision_on(world, document_of(sketches))
    assert oracle.broken_after(purge_oracle.without_tags(world, removed_by(decision)), decision.doomed) == []
    rows = plan_document(decision, 'now')['rules']
    assert sum(row['claimed'] for row in rows) == sum(row['young'] + row['kept'] + row['takes'] for row in rows)


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


@examples(600)
@given(TIMES, THIN)
def test_thinning_is_what_restic_does_and_twice_takes_nothing_more(hours, thin):
    begin = NOW // worlds.TICKS // 3_600
    once = stays(hours, thin)
    assert {hour + begin for hour in once} == thinned([hour + begin for hour in hours], thin)
    assert stays(once, thin) == once
