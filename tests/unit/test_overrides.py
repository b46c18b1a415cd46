"""What a policy says otherwise of single registries."""

from __future__ import annotations

import re

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.parsing import PolicyError
from azext_acrprune.policy.words import sentences
from tests import worlds

POLICY = """version: 1
rules:
- {name: old, match: {everything: true}, when: {olderThan: 30d, notPulledFor: 90d}, keep: {newest: 3}, do: delete}
protect: {tags: [latest]}
limits: {maxPercent: 20, minKeepPerRepository: 2}
lock: ['v*']
pins: {paths: [deploy]}
registries:
  dev:
    protect: {tags: [dev]}
    OVERRIDE
"""


def of(override, registry='dev'):
    return parse_policy(POLICY.replace('OVERRIDE', override), (), registry)


def test_each_registry_has_its_own_and_what_is_protected_is_protected_beside_the_rest():
    both = ['latest', 'dev']
    for registry, percent, tags in (('dev', 80, both), ('DEV', 80, both), (None, 20, both[:1])):
        policy = of('limits: {maxPercent: 80}', registry)
        assert policy.limits.percent == percent and policy.min_keep == 2
        assert [each.text for each in policy.protections] == [*(f'protect.tags {tag}' for tag in tags), 'lock v*']
        assert policy.given['file']['limits']['maxPercent'] == percent and 'registries' not in policy.given['file']


@pytest.mark.parametrize(
    'override, said',
    [
        ('limits: {maxPercent: 80}', ['limits.maxPercent (80 in place of 20)']),
        ('limits: {maxPercent: 10, minKeepPerRepository: 5}', []),
        ('limits: {minKeepPerRepository: 0}', ['limits.minKeepPerRepository (0 in place of 2)']),
        ('include: [ghosts]', ['include (ghosts too)']),
        ('rules: {old: {when: {olderThan: 7d}}}', ["when.olderThan of 'old' (7d in place of 30d)", "when of 'old'"]),
        ('rules: {old: {when: {olderThan: 60d, notPulledFor: 120d}}}', []),
        ('rules: {old: {keep: {newest: 1}}}', ["keep of 'old'"]),
        ('rules: {old: {keep: {newest: 9}}}', []),
        ('lock: []', ['lock (something is not kept locked)']),
        ('pins: {paths: [other]}', ['pins (some are not asked)']),
        ('facts: {pulls: {ignore: {userAgents: [trivy]}}}', ['facts.pulls.ignore (trivy too)']),
    ],
)
def test_a_guard_that_is_weaker_is_said_in_the_plan(override, said):
    policy = of(override)
    assert policy.loosened == tuple(f'registries.dev: {each}' for each in said)
    decision = decide(worlds.to_inventory([]), policy, worlds.NOW)
    bolder = [each for each in decision.remarks if 'bolder for this registry' in each.message]
    assert [each.code for each in bolder] == ['looserLimit'] * len(said)


@pytest.mark.parametrize(
    'override, said',
    [
        ('rules: {odl: {when: {olderThan: 7d}}}', "no rule is called 'odl'"),
        ('rules: {old: {when: {olderThan: 7x}}}', "registries.dev.rules.old.when.olderThan: '7x'"),
        ('limits: {maxPercnt: 5}', "unknown key 'maxPercnt'"),
        ('rules: {old: {do: keep}}', "unknown key 'do'"),
        ('include: [everything]', 'expected ghosts or orphans or partial or quarantined'),
    ],
)
def test_what_is_wrong_of_one_registry_is_told_whichever_is_meant(override, said):
    for registry in ('dev', None):
        with pytest.raises(PolicyError) as error:
            of(override, registry)
        assert said in str(error.value)


def test_what_is_locked_counted_by_subject_or_otherwise_elsewhere_is_told_in_sentences():
    text = """version: 1
lock: ["v*"]
rules:
- name: scans
  match: {artifactTypes: [scan]}
  when: {olderThan: 7d}
  keep: {perSubject: {newest: 1}}
  do: delete
- {name: old, match: {everything: true}, when: {olderThan: 9d}, do: retire, retire: {for: 14d}}
"""
    said = sentences(parse_policy(text))
    assert 'Such a tag, its image and the parts of it are locked against deletion by anybody (lock v*).' in said
    assert any('but keeps the 1 newest of those that refer to the same image.' in each for each in said)
    assert any('pulls of it fail from then on, and what stays so for 14d is deleted for good.' in each for each in said)


FLEET = """version: 1
rules:
- {name: old, match: {everything: true}, when: {olderThan: 30d}, do: delete}
protect: {tags: [latest]}
limits: {maxPercent: 20}
registries:
  devtools: {limits: {maxPercent: 40}, protect: {tags: [stable]}}
  'dev*': {limits: {maxPercent: 80}, protect: {tags: [demo]}, rules: {old: {when: {olderThan: 7d}}}}
  '*tools': {limits: {maxPercent: 5, maxManifests: 9}}
"""


@pytest.mark.parametrize(
    'registry, percent, most, days, tags',
    [
        ('prod', 20, None, '30d', ['latest']),
        ('dev1', 80, None, '7d', ['latest', 'demo']),
        ('tools', 5, 9, '30d', ['latest']),
        ('devxtools', 5, 9, '7d', ['latest', 'demo']),
        ('DevTools', 40, 9, '7d', ['latest', 'demo', 'stable']),
    ],
)
def test_globs_count_in_the_order_of_the_file_and_a_name_counts_over_them(registry, percent, most, days, tags):
    policy = parse_policy(FLEET, (), registry)
    assert (policy.limits.percent, policy.limits.manifests, policy.rules[0].age.text) == (percent, most, days)
    assert [each.text for each in policy.protections] == [f'protect.tags {tag}' for tag in tags]


def test_what_is_bolder_is_told_with_all_that_says_so():
    assert parse_policy(FLEET, (), 'devtools').loosened == (
        'registries.dev* and *tools and devtools: limits.maxPercent (40 in place of 20)',
        "registries.dev* and *tools and devtools: when.olderThan of 'old' (7d in place of 30d)",
    )


@pytest.mark.parametrize(
    'wrong, place',
    [
        ("'dev*': {protect: {tags: [demo, '[']}}", 'registries.dev*.protect.tags[1]'),
        ("'dev*': {rules: {old: {when: {olderThan: 7x}}}}", 'registries.dev*.rules.old.when.olderThan'),
        ("'Dev*': {limits: {maxPercent: 5}}", 'registries.Dev*'),
        ("'dev[12]': {limits: {maxPercent: 5}}", 'registries.dev[12]'),
        ("'dev*.azurecr.io': {limits: {maxPercent: 5}}", 'registries.dev*.azurecr.io'),
    ],
)
@pytest.mark.parametrize('registry', [None, 'devtools'])
def test_what_is_wrong_under_a_glob_is_told_where_it_stands(wrong, place, registry):
    lines = FLEET.splitlines()
    text = '\n'.join([*lines[:7], f'  {wrong}'])
    with pytest.raises(PolicyError, match=re.escape(place)):
        parse_policy(text, (), registry)
