"""All that a rule can say on random registries, against the naive reading of docs/policies.md (tests.policy_oracle)."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.policy.facts import Facts
from azext_acrprune.policy.file import parse_policy
from tests import oracle, policy_oracle, purge_oracle, worlds
from tests.test_policy_properties import removed_by, without_dead_rules
from tests.test_safety_properties import examples
from tests.worlds import DAY, NOW, TICKS

PLATFORMS = ('linux/amd64', 'linux/arm64')
PLACES = {
    'repositories': st.sampled_from((['team/*'], ['team/app0'], ['**/app1', 'team/app2'])),
    'tags': st.sampled_from((['pr-*'], ['v1.*', 'latest'], ['*'], ['main-?'])),
}
PROPERTIES = {
    'mediaTypes': st.sampled_from(([worlds.OCI_INDEX], [worlds.OCI_IMAGE, worlds.OCI_ARTIFACT])),
    'platforms': st.sampled_from(([PLATFORMS[0]], list(PLATFORMS))),
    'annotations': st.sampled_from(({'name': '3d'}, {'name': '*'}, {'name': '?d'})),
    'labels': st.sampled_from(({'l': 'yes'}, {'l': '*'}, {'l': 'y*s'})),
    'quarantine': st.just(['Failed']),
}


def chosen(keys, most):
    """Up to so many of the keys, each with a value."""
    return st.lists(st.sampled_from(sorted(keys)), max_size=most, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: keys[name] for name in names})
    )


@st.composite
def matches(draw):
    found = {**draw(chosen(PLACES, 1)), **draw(chosen(PROPERTIES, 1))}
    tagged = draw(st.sampled_from((None, None, True, False)))
    if tagged is not None and (tagged or 'tags' not in found):
        found['tagged'] = tagged
    excepted = draw(chosen({**PLACES, **PROPERTIES}, 2)) if draw(st.integers(0, 2)) == 0 else {}
    found = found or {'everything': True}
    return {**found, 'not': excepted} if excepted else found


PERIODS = st.sampled_from(('1d', '20d', '35d'))
WAITS = {
    'notPulledFor': PERIODS,
    'neverPulledAfter': PERIODS,
    'untaggedFor': PERIODS,
    'expired': st.sampled_from(({'keys': ['name']}, {'keys': ['until', 'name']}, {'keys': ['until']})),
}
BRANCH = '^(?P<branch>[a-z]+)-[0-9]+$'
KEEPS = {
    'newest': st.integers(1, 2),
    'semver': st.integers(1, 2),
    'perGroup': st.integers(1, 2).map(lambda number: {'newest': number, 'pattern': BRANCH}),
    'recentlyPulled': st.integers(1, 2),
    'thin': st.sampled_from(({'daily': 2}, {'weekly': 2, 'hourly': 1}, {'daily': 1, 'perGroup': BRANCH})),
}
HOW = st.fixed_dictionaries(
    {},
    optional={
        'count': st.sampled_from(('images', 'tags')),
        'of': st.sampled_from(('all', 'old')),
        'others': st.sampled_from(('spare', 'take')),
    },
)


@st.composite
def rules(draw):
    rule = {'match': draw(matches()), 'do': draw(st.sampled_from(('delete', 'delete', 'delete', 'untag', 'keep')))}
    if rule['do'] == 'keep':
        return rule
    age = {'olderThan': draw(st.sampled_from(('0', '1d', '20d'))), 'by': draw(st.sampled_from(('updated', 'created')))}
    rule['when'] = {**age, **(draw(chosen(WAITS, 1)) if draw(st.booleans()) else {})}
    keep = draw(chosen(KEEPS, 2)) if draw(st.booleans()) else {}
    if rule['match'].get('tagged') is False:
        keep = {key: value for key, value in keep.items() if key not in ('semver', 'perGroup')}
    return {**rule, 'keep': {**keep, **draw(HOW)}} if keep else rule


PROTECTS = st.fixed_dictionaries(
    {},
    optional={
        'tags': st.sampled_from((['latest', 'v*'], ['team/app0:*'], ['team/**:stable'])),
        'images': st.sampled_from((['main-1', 'pr-7'], ['team/app1:1.*'])),
        'repositories': st.sampled_from((['team/app2'], ['team/app1/**'])),
    },
)
INSTANTS = st.integers(0, 40).map(lambda days: NOW - days * DAY * TICKS - 1)
LABELS = st.sampled_from((None, {}, {}, {'l': 'yes'}, {'l': 'no'}, {'until': '2w'}, {'l': 'yes', 'until': 'never'}))


@st.composite
def registries(draw):
    """A registry with platforms, and what is known of it beside its lists."""
    world = draw(worlds.tagged_worlds(2))
    digests = sorted({each['digest'] for repository in world for each in repository['manifests']})
    for repository in world:
        for manifest in repository['manifests']:
            manifest['platform'] = draw(st.sampled_from((None, *PLATFORMS)))
    labels = {config['digest']: draw(LABELS) for config in worlds.CONFIGS}
    facts = {
        'labels': {digest: found for digest, found in labels.items() if found is not None},
        'since': draw(st.sampled_from((None, NOW - 45 * DAY * TICKS, NOW - 25 * DAY * TICKS))),
        'untagged': draw(st.dictionaries(st.sampled_from(digests), INSTANTS, max_size=3)),
    }
    pulled = draw(st.dictionaries(st.sampled_from(digests), INSTANTS, max_size=4))
    facts['pulled'] = {digest: at for digest, at in pulled.items() if facts['since'] and at >= facts['since']}
    return world, facts


@st.composite
def documents(draw):
    found = draw(st.lists(rules(), min_size=1, max_size=3))
    document = {'version': 1, 'rules': [{'name': f'rule {number}', **rule} for number, rule in enumerate(found)]}
    document['include'] = ['quarantined']
    protect = draw(PROTECTS) if draw(st.booleans()) else {}
    if protect:
        document['protect'] = protect
    if draw(st.integers(0, 3)) == 0:
        document['limits'] = {'minKeepPerRepository': draw(st.integers(1, 3))}
    return without_dead_rules(document)


def decision_on(world, document, facts):
    names = [repository['name'] for repository in world]
    known = Facts(
        pulled=dict.fromkeys(names, facts['pulled']),
        pulls_since=facts['since'],
        untagged=dict.fromkeys(names, facts['untagged']),
        has_log=facts['since'] is not None,
    )
    inventory = replace(worlds.to_inventory(world), labels=facts['labels'])
    return decide(inventory, replace(parse_policy(json.dumps(document)), facts=known), NOW)


@examples(200)
@given(registries(), documents(), st.booleans())
def test_each_key_of_a_rule_means_what_the_tables_say(registry, document, protects_a_digest):
    world, facts = registry
    if protects_a_digest:
        document.setdefault('protect', {})['digests'] = [world[0]['manifests'][0]['digest']]
    decision = decision_on(world, document, facts)
    tags, doomed = policy_oracle.decide(world, document, NOW, facts)
    assert (removed_by(decision), decision.doomed) == (tags, doomed)
    assert oracle.broken_after(purge_oracle.without_tags(world, removed_by(decision)), decision.doomed) == []
