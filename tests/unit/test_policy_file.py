"""Policy files: what is wrong with one, with its line and key; and what one means."""

import json
import time
from dataclasses import replace

import pytest
import yaml

from azext_acrprune.decide.decision import decide, first_excess
from azext_acrprune.model import NotRead
from azext_acrprune.policy.byte_sizes import parse_size
from azext_acrprune.policy.file import EXAMPLES, PolicyError, example, parse_policy, schema
from azext_acrprune.policy.rules import Age, Limits
from tests import worlds
from tests.worlds import (
    BASE_LAYERS,
    CONFIGS,
    DAY,
    NOW,
    OCI_INDEX,
    TICKS,
    attachment_tag,
    image,
    index,
    repository_of,
    to_inventory,
    unreadable,
)

RULE = 'version: 1\nrules:\n- name: a\n  do: keep\n'
"""Four lines that are a policy, to which more can be added: to the rule, or below it."""
TAKES = 'version: 1\nrules:\n- name: a\n  match: {everything: true}\n  when: {olderThan: 1d}\n  do: delete\n'
"""Six lines that are a policy, to which a `keep` can be added."""
ALL = 'version: 1\nrules:\n- {name: a, match: {everything: true}, when: {olderThan: 1d}, do: delete}\n'


def wrong(text):
    """(line, key, problem) of what is wrong with a file."""
    with pytest.raises(PolicyError) as raised:
        parse_policy(text)
    error = raised.value
    return error.line, error.key, str(error)


# --- What is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'text, line, key, said',
    [
        (
            RULE + 'rulez: []\n',
            5,
            '',
            "unknown key 'rulez'; did you mean 'rules'? Expected one of description, facts, include, limits, lock, "
            'pins, protect, '
            'registries, rules, state, version',
        ),
        (RULE + '  whem: {}\n', 5, 'rules[0]', "unknown key 'whem'"),
        (RULE + '  match:\n    tag: [x]\n', 6, 'rules[0].match', "unknown key 'tag'"),
        (RULE + '1: x\ntrue: y\n', 5, '', "unknown key '1'"),
        ('version: 1\n', 1, '', "the key 'rules' is missing"),
        ('version: 1\nrules:\n- do: keep\n  name: a\n- name: b\n', 5, 'rules[1]', "the key 'do' is missing"),
        ('version: 2\nrules: []\n', 1, 'version', 'expected 1, not 2'),
        ('# comment\nversion: "1"\nrules: []\n', 2, 'version', 'expected 1, not "1"'),
        ('version: 1\nrules: []\n', 2, 'rules', 'at least one'),
        ('version: 1\nrules: {}\n', 2, 'rules', 'expected array, not {}'),
        (
            'version: 1\nrules:\n- name: no\n  do: keep\n',
            3,
            'rules[0].name',
            "expected string, not no; put it in quotes: 'no'",
        ),
        (
            'version: 1\nrules:\n- name: a\n  match: {tagged: false}\n  when: {olderThan: 1d}\n  do: remove\n',
            6,
            'rules[0].do',
            'expected delete or untag or retire or keep, not remove',
        ),
        (
            RULE + '  match:\n    tags: pr-*\n',
            6,
            'rules[0].match.tags',
            "expected array, not pr-*; put it in brackets: ['pr-*']",
        ),
        (
            RULE + '  match:\n    tags:\n    - pr-*\n    - 1.2\n',
            8,
            'rules[0].match.tags[1]',
            'expected string, not 1.2',
        ),
        (RULE + '  match:\n    tags: []\n', 6, 'rules[0].match.tags', 'at least one'),
        (RULE + '  match:\n', 5, 'rules[0].match', 'nothing stands there'),
        (RULE + '  match: {tagged: yes please}\n', 5, 'rules[0].match.tagged', 'expected boolean'),
        (
            RULE + '  match:\n    labels:\n      keep: true\n',
            7,
            'rules[0].match.labels.keep',
            'expected string, not true',
        ),
        (RULE + '  when:\n    olderThan: 5x\n', 6, 'rules[0].when.olderThan', "'5x' is not a duration"),
        (RULE + '  when:\n    olderThan: 30\n', 6, 'rules[0].when.olderThan', "'30' is not a duration"),
        (RULE + '  when:\n    olderThan: -1d\n', 6, 'rules[0].when.olderThan', "'-1d' is not a duration"),
        (RULE + '  when:\n    by: pulled\n', 6, 'rules[0].when.by', 'expected updated or created'),
        (
            RULE + "  match:\n    tagsRegex:\n    - ok\n    - '('\n",
            8,
            'rules[0].match.tagsRegex[1]',
            "'(' is not a regular expression",
        ),
        (
            RULE + "  match:\n    repositoriesRegex: ['*']\n",
            6,
            'rules[0].match.repositoriesRegex[0]',
            "'*' looks like a glob; did you mean repositories: ['*']?",
        ),
        (
            TAKES + '  keep:\n    perGroup:\n      newest: 1\n      pattern: abc\n',
            10,
            'rules[0].keep.perGroup.pattern',
            "'abc' has no named group",
        ),
        (TAKES + '  keep: {perGroup: {newest: 1}}\n', 7, 'rules[0].keep.perGroup', "the key 'pattern' is missing"),
        (TAKES + '  keep:\n    newest: 0\n', 8, 'rules[0].keep.newest', '1'),
        (TAKES + '  keep:\n    newest: -3\n', 8, 'rules[0].keep.newest', '1'),
        (TAKES + '  keep:\n    newest: true\n', 8, 'rules[0].keep.newest', 'expected integer, not true'),
        (RULE + '  match:\n    size:\n      atLeast: 5 MB\n', 7, 'rules[0].match.size.atLeast', "'5 MB' is not a size"),
        (RULE + '  match:\n    size:\n      atMost: -5\n', 7, 'rules[0].match.size.atMost', "'-5' is not a size"),
        (RULE + 'limits:\n  maxPercent: 101\n', 6, 'limits.maxPercent', '100'),
        (RULE + 'limits:\n  maxPercent: .nan\n', 6, 'limits.maxPercent', 'NaN'),
        (RULE + 'limits:\n  maxManifests: 1.5\n', 6, 'limits.maxManifests', 'expected integer, not 1.5'),
        (
            RULE + "  match:\n    repositories: ['app@sha256:0123456']\n",
            6,
            'rules[0].match.repositories[0]',
            'by its digest',
        ),
        (
            RULE + "  match:\n    repositoriesRegex: ['app@0123456']\n",
            6,
            'rules[0].match.repositoriesRegex[0]',
            'digests:',
        ),
        (RULE + "  match:\n    tags: ['sha256:0123456']\n", 6, 'rules[0].match.tags[0]', 'by its digest'),
        (RULE + "  match:\n    tagsRegex: ['sha256:0123456']\n", 6, 'rules[0].match.tagsRegex[0]', 'by its digest'),
        (RULE + "protect:\n  images: ['app@sha256:0123456']\n", 6, 'protect.images[0]', "'app@sha256:0123456' names"),
        (RULE + "lock: ['app@sha256:0123456']\n", 5, 'lock[0]', "'app@sha256:0123456' names"),
        (RULE + 'protect:\n  digests: [0123456a]\n', 6, 'protect.digests[0]', 'explain -r REGISTRY --image'),
        (RULE + 'protect:\n  digests:\n  - sha256:abc\n', 7, 'protect.digests[0]', 'sha256: and 64 hexadecimal digits'),
        (RULE + '  do: keep\n', 5, 'rules[0]', "the key 'do' is there twice"),
        (RULE + 'rules:\n- name: b\n', 5, '', "the key 'rules' is there twice"),
        (RULE + '? [a]\n: 1\n', 5, '', 'a key has to be a word'),
        (
            'version: 1\nrules:\n- {name: a, do: keep, match: {tags: [a]}}\n-\n  do: keep\n  name: a\n',
            6,
            'rules[1].name',
            "another rule is called 'a' already",
        ),
        ('version: 1\nrules:\n- name: a\n  do: keep\n  keep:\n    newest: 1\n', 5, 'rules[0].keep', 'keeps everything'),
        (RULE + '  match:\n    tags: [x]\n    tagged: false\n', 7, 'rules[0].match.tagged', 'has no tags'),
        (RULE + '  match:\n    tagged: false\n  keep:\n    semver: 1\n', 6, 'rules[0].match.tagged', 'has no tags'),
        ('version: 1\nrules:\n\t- name: a\n', 3, '', 'neither YAML nor JSON'),
        ('version: 1\nrules: [a\n', 3, '', 'neither YAML nor JSON'),
        ('{"version": 1,\n "rules": [}\n', 2, '', 'neither YAML nor JSON'),
        ('version: 1\n\x00', 1, '', 'neither YAML nor JSON'),
        (RULE + '---\n' + RULE, 5, '', 'neither YAML nor JSON'),
        (RULE + 'description: !!python/name:os.system\n', 5, '', 'neither YAML nor JSON'),
        ('- version: 1\n', 1, '', "expected a policy with 'version' and 'rules'"),
        ('delete everything', 1, '', "expected a policy with 'version' and 'rules'"),
        ('', 1, '', "expected a policy with 'version' and 'rules'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_its_key(text, line, key, said):
    found = wrong(text)
    assert found[:2] == (line, key)
    assert said in found[2]
    assert found[2].startswith(f'line {line}: {key}')


def alias_bomb(first, last, separator):
    """Ten levels of nine aliases each: more than three billion of them."""
    lines = [f'a0: &a0 {first}']
    for level in range(1, 11):
        aliases = separator.join([f'*a{level - 1}'] * 9)
        lines.append(f'a{level}: &a{level} ' + last.format(aliases))
    return '\n'.join(lines) + '\n'


@pytest.mark.parametrize(
    'text',
    [
        RULE + alias_bomb('[x]', '[{}]', ', '),
        RULE + alias_bomb('{x: y}', '{{<<: [{}]}}', ', '),
        RULE
        + f'many: &many [{", ".join("x" * 900)}]\nmore: &more [{", ".join(["*many"] * 900)}]\n'
        + f'most: [{", ".join(["*more"] * 900)}]\n',
        'version: 1\nrules: &rules\n- *rules\n',
        'version: 1\nrules:\n- &rule\n  name: a\n  do: keep\n  match: *rule\n',
        '[' * 100_000,
        RULE + 'x: ' + '{a: ' * 900 + '1' + '}' * 900,
        RULE + f"description: '{'x' * 5_000_000}'\n",
        RULE + ''.join(f'key{number}: 1\n' for number in range(400_000)),
        RULE + 'x:\n' + '- y\n' * 110_000,
    ],
    ids=lambda text: text[54:74],
)
def test_a_file_that_would_be_endless_or_too_large_is_refused_at_once(text):
    began = time.process_time()
    found = wrong(text)
    assert 'too large' in found[2] or 'nested too deeply' in found[2]
    assert time.process_time() - began < 20


@pytest.mark.parametrize('number', ['9' * 400 + 'TiB', '9' * 400])
def test_a_number_beyond_all_floats_is_a_size_like_any_other(number):
    assert parse_size(number) > 10**399


@pytest.mark.parametrize(
    'text, size',
    [('5', 5), (5, 5), ('5 B', 5), ('1KiB', 1024), ('1.5 MiB', 1_572_864), ('2GiB', 2**31), ('1 TiB', 2**40)],
)
def test_size_is_bytes_or_binary_units(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize('text', ['', 'x', '1 kB', '1GB', '-1', '1,5MiB', '1e3', '1 MiB\n', None, True, '\u0663'])
def test_anything_else_is_no_size(text):
    with pytest.raises(ValueError):
        parse_size(text)


# --- What it means -----------------------------------------------------------------------------------------------


def decision_on(text, world, labels=None, **fields):
    """The decision of a policy; `fields` change what the manifests in the listings say."""
    inventory = to_inventory(world)
    repositories = tuple(
        replace(
            repository,
            manifests={digest: manifest._replace(**fields) for digest, manifest in repository.manifests.items()},
        )
        for repository in inventory.repositories
    )
    policy = parse_policy(text)
    selected = frozenset(policy.selection.select(repository.name for repository in repositories))
    inventory = replace(inventory, repositories=repositories, labels=labels or {}, selected=selected)
    return decide(inventory, policy, NOW)


def gone(text, *manifests, **options):
    """(tags that go, names of the manifests that go) of one repository or, given worlds, of all."""
    world = [repository_of(*manifests)] if 'digest' in manifests[0] else list(manifests)
    decision = decision_on(text, world, **options)
    names = {
        manifest['digest']: manifest['document']['annotations']['name']
        for repository in world
        for manifest in repository['manifests']
    }
    tags = [tag for verdicts in decision.tags.values() for tag, verdict in verdicts.items() if not verdict.kept]
    return sorted(tags), sorted(names[digest] for _, digest in decision.doomed)


def matching(match):
    """A policy that deletes what matches, young or old."""
    return json.dumps(
        {'version': 1, 'rules': [{'name': 'matching', 'match': match, 'when': {'olderThan': '0'}, 'do': 'delete'}]}
    )


EVERY_FEATURE = """
version: 1
description: All of it.
rules:
- name: first
  description: Everything at once.
  match:
    repositories: ['team/*', web]
    repositoriesRegex: ['x|y']
    not: {tags: [pr-1]}
    tags: [pr-*]
    tagsRegex: ['^v\\d']
    tagged: true
    mediaTypes: [a/b]
    artifactTypes: [c/d]
    platforms: [linux/arm64]
    annotations: {one: two, three: four}
    labels: {five: six}
    size: {atLeast: 1, atMost: 5 GiB}
  when: {olderThan: 2d3h6m, by: created}
  keep:
    newest: 1
    semver: 2
    perGroup: {newest: 3, pattern: '(?P<x>.)'}
  do: delete
- name: second
  match: {tagged: false}
  when: {olderThan: 1d}
  do: untag
- {name: third, do: keep}
protect:
  repositories: [base/**]
  tags: [latest, 'team/*:lts']
  digests: [sha256:1111111111111111111111111111111111111111111111111111111111111111]
limits: {maxManifests: 5, maxPercent: 12.5, minKeepPerRepository: 2}
"""


def test_yaml_and_json_give_the_same_policy():
    assert parse_policy(EVERY_FEATURE) == parse_policy(json.dumps(yaml.safe_load(EVERY_FEATURE), indent=1))


def test_every_feature_is_in_the_policy_and_in_what_the_plan_shows():
    policy = parse_policy(EVERY_FEATURE, ['team/**'])
    first, second, third = policy.rules
    assert (first.name, first.action, second.action, third.action) == ('first', 'delete', 'untag', 'keep')
    assert first.age == Age('2d3h6m', 183_960, 'created')
    assert second.age == Age('1d', 86_400, 'updated')
    assert (first.keep.newest, first.keep.semver, [number for number, _ in first.keep.groups]) == (1, 2, [3])
    assert (first.match.at_least, first.match.at_most) == (1, 5 * 2**30)
    assert dict(first.match.annotations) == {'one': 'two', 'three': 'four'}
    assert [protection.text for protection in policy.protections] == [
        'protect.repositories base/**',
        'protect.tags latest',
        'protect.tags team/*:lts',
    ]
    assert (policy.limits, policy.min_keep) == (Limits(None, 5, 12.5), 2)
    assert policy.given == {'file': yaml.safe_load(EVERY_FEATURE), 'repositories': ['team/**']}


def test_first_rule_that_matches_claims():
    keep_first = """
version: 1
rules:
- {name: spare, match: {tags: [v1]}, do: keep}
- {name: take, match: {tags: ['v*']}, when: {olderThan: 1d}, do: delete}
"""
    take_first = """
version: 1
rules:
- {name: take, match: {tagsRegex: ['^v\\d']}, when: {olderThan: 1d}, do: delete}
- {name: spare, match: {tags: ['v*']}, do: keep}
"""
    both = [image('one', tags=['v1']), image('two', tags=['v2'])]
    assert gone(keep_first, *both) == (['v2'], ['two'])
    assert gone(take_first, *both) == (['v1', 'v2'], ['one', 'two'])


def test_a_rule_that_matches_and_is_not_old_enough_claims_all_the_same():
    text = """
version: 1
rules:
- {name: late, match: {tags: ['v*']}, when: {olderThan: 90d}, do: delete}
- {name: soon, match: {tags: ['*']}, when: {olderThan: 1d}, do: delete}
"""
    decision = decision_on(text, [repository_of(image('one', tags=['v1']), image('two', tags=['x']))])
    tags = decision.tags['team/web']
    assert (tags['v1'].kept, tags['v1'].rule, tags['v1'].reason) == (True, 'late', 'young')
    assert (tags['x'].kept, tags['x'].rule) == (False, 'soon')


def test_untag_removes_tags_and_no_manifest_ever():
    text = """
version: 1
rules:
- {name: a, match: {tags: ['v*']}, when: {olderThan: 1d}, do: untag}
- {name: b, match: {everything: true}, when: {olderThan: 1d}, do: delete}
"""
    assert gone(text, image('both', tags=['v1', 'x']), image('one', tags=['v2']), image('none')) == (
        ['v1', 'v2', 'x'],
        ['none'],
    )


def test_an_image_stays_of_which_a_rule_only_takes_a_tag_although_an_earlier_rule_deletes_another_one():
    text = """
version: 1
rules:
- {name: a, match: {tags: [x, y]}, when: {olderThan: 1d}, do: delete}
- {name: b, match: {tags: ['v*']}, when: {olderThan: 1d}, do: untag}
"""
    assert gone(text, image('both', tags=['v1', 'x']), image('one', tags=['y'])) == (['v1', 'x', 'y'], ['one'])


def test_everything_is_tags_and_untagged_manifests():
    assert gone(ALL, image('tagged', tags=['v1']), image('untagged')) == (['v1'], ['tagged', 'untagged'])


def test_tagged_true_and_false_claim_either():
    both = [image('tagged', tags=['v1']), image('untagged')]
    assert gone(matching({'tagged': True}), *both) == (['v1'], ['tagged'])
    assert gone(matching({'tagged': False}), *both) == ([], ['untagged'])


def test_tags_claim_no_untagged_manifest():
    assert gone(matching({'tags': ['*']}), image('untagged')) == ([], [])


# --- Properties --------------------------------------------------------------------------------------------------

PLAIN = image('plain', [0], tags=['v1'])


@pytest.mark.parametrize(
    'match, taken',
    [
        ({'mediaTypes': [PLAIN['media_type']]}, True),
        ({'mediaTypes': ['other/type', PLAIN['media_type']]}, True),
        ({'mediaTypes': [OCI_INDEX]}, False),
        ({'annotations': {'name': 'plain'}}, True),
        ({'annotations': {'name': 'other'}}, False),
        ({'annotations': {'name': 'plain', 'more': 'x'}}, False),
        ({'artifactTypes': ['application/x']}, True),
        ({'artifactTypes': ['application/y']}, False),
        ({'platforms': ['linux/arm64', 'linux/amd64']}, True),
        ({'platforms': ['linux/arm64']}, False),
        ({'labels': {'keep': 'no'}}, True),
        ({'labels': {'keep': 'no', 'team': 'a'}}, True),
        ({'labels': {'keep': 'yes'}}, False),
        ({'labels': {'missing': 'no'}}, False),
        ({'size': {'atLeast': 1}}, True),
        ({'size': {'atLeast': '1 MiB'}}, False),
        ({'size': {'atMost': '1 MiB'}}, True),
        ({'size': {'atMost': 1000}}, False),
        ({'size': {'atLeast': 1000, 'atMost': '1 MiB'}}, True),
        ({'annotations': {'name': 'plain'}, 'platforms': ['linux/arm64']}, False),
    ],
)
def test_every_property_that_is_given_has_to_hold(match, taken):
    labels = {CONFIGS[0]['digest']: {'keep': 'no', 'team': 'a'}}
    found = gone(matching(match), PLAIN, labels=labels, artifact_type='application/x', platform='linux/amd64')
    assert found == ((['v1'], ['plain']) if taken else ([], []))


@pytest.mark.parametrize('limit, taken', [(0, True), (-1, False)])
def test_size_of_an_index_is_that_of_all_its_parts_each_layer_once(limit, taken):
    one, two = image('one', [0]), image('two', [0, 4])
    both = index('both', [one['digest'], two['digest']], tags=['v1'])
    whole = sum(blob['size'] for blob in (BASE_LAYERS[0], BASE_LAYERS[4], CONFIGS[0]))
    whole += sum(len(manifest['data']) for manifest in (one, two, both))
    found, _ = gone(matching({'size': {'atMost': whole + limit}, 'tagged': True}), one, two, both)
    assert found == (['v1'] if taken else [])


def test_labels_of_an_index_are_those_that_all_its_images_have():
    one, two = image('one', [0]), image('two', [1])
    both = index('both', [one['digest'], two['digest']], tags=['v1'])
    text = matching({'labels': {'keep': 'no'}})
    same = {CONFIGS[0]['digest']: {'keep': 'no'}, CONFIGS[1]['digest']: {'keep': 'no', 'more': 'x'}}
    other = {CONFIGS[0]['digest']: {'keep': 'no'}, CONFIGS[1]['digest']: {}}
    assert gone(text, one, two, both, labels=same) == (['v1'], ['both', 'one', 'two'])
    assert gone(text, one, two, both, labels=other) == ([], [])  # the index stays, and its parts with it


@pytest.mark.parametrize(
    'match', [{'annotations': {'name': 'plain'}}, {'labels': {'a': 'b'}}, {'size': {'atLeast': 1}}]
)
def test_what_cannot_be_known_keeps(match):
    """The first rule may match, so that no later one may take it either."""
    text = json.dumps(
        {
            'version': 1,
            'rules': [
                {'name': 'asks', 'match': match, 'when': {'olderThan': '1d'}, 'do': 'delete'},
                {'name': 'all', 'match': {'everything': True}, 'when': {'olderThan': '1d'}, 'do': 'delete'},
            ],
        }
    )
    unread = unreadable(image('unread', docker=True, tags=['v2']))
    decision = decision_on(text, [repository_of(unread)])
    assert decision.doomed == frozenset()
    assert [(tag.kept, tag.reason, tag.rule) for tag in decision.tags['team/web'].values()] == [
        (True, 'unreadable', 'asks')
    ]


def test_what_cannot_be_known_keeps_from_a_rule_that_keeps_too():
    text = json.dumps(
        {
            'version': 1,
            'rules': [
                {'name': 'spare', 'match': {'labels': {'a': 'b'}}, 'do': 'keep'},
                {'name': 'all', 'match': {'everything': True}, 'when': {'olderThan': '1d'}, 'do': 'delete'},
            ],
        }
    )
    assert gone(text, PLAIN) == ([], [])
    assert gone(text, PLAIN, labels={CONFIGS[0]['digest']: {}}) == (['v1'], ['plain'])


def test_manifest_left_unread_is_not_known_either():
    assert gone(matching({'annotations': {'name': 'plain'}}), PLAIN, content=NotRead()) == ([], [])


# --- Protected, and limited --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'protect, tags_left',
    [
        ({'repositories': ['base/*']}, ['base/os:latest', 'base/os:v1']),
        ({'repositories': ['base']}, []),
        ({'tags': ['latest']}, ['app:latest', 'base/os:latest']),
        ({'tags': ['base/*:v1']}, ['base/os:v1']),
        ({'tags': ['*:v1']}, ['app:v1']),
        ({'tags': ['**:v1']}, ['app:v1', 'base/os:v1']),
    ],
)
def test_protected_tags_and_repositories_stay(protect, tags_left):
    world = [
        repository_of(image(f'{name} 1', tags=['v1']), image(f'{name} 2', tags=['latest']), name=name)
        for name in ('app', 'base/os')
    ]
    decision = decision_on(json.dumps({**yaml.safe_load(ALL), 'protect': protect}), world)
    left = [
        f'{repository["name"]}:{tag}'
        for repository in world
        for manifest in repository['manifests']
        for tag in manifest['tags']
        if (repository['name'], manifest['digest']) not in decision.doomed
    ]
    assert sorted(left) == tags_left


def test_everything_in_a_protected_repository_stays_untagged_too():
    world = [repository_of(image('a'), name='base/os'), repository_of(image('b'), name='app')]
    assert gone(ALL + "protect: {repositories: ['base/**']}\n", *world) == ([], ['b'])


def test_protected_digest_stays_with_all_that_it_needs():
    child = image('child')
    parent = index('parent', [child['digest']])
    assert gone(ALL + f"protect: {{digests: ['{parent['digest']}']}}\n", child, parent, image('other')) == (
        [],
        ['other'],
    )


def test_an_image_whose_tags_go_by_several_rules_goes_by_that_of_its_first_tag():
    text = (
        'version: 1\nrules:\n'
        "- {name: first, match: {tags: ['b*']}, when: {olderThan: 1d}, do: delete}\n"
        "- {name: second, match: {tags: ['a*', 'c*']}, when: {olderThan: 1d}, do: delete}\n"
    )
    found = image('image', tags=['a1', 'b1'])
    decision = decision_on(text, [repository_of(found)])
    assert decision.verdicts['team/web'][found['digest']].rule == decision.tags['team/web']['a1'].rule == 'second'
    other = image('other', tags=['b1', 'c1'])
    decision = decision_on(text, [repository_of(other)])
    assert decision.verdicts['team/web'][other['digest']].rule == decision.tags['team/web']['b1'].rule == 'first'


def test_a_tag_without_a_time_stays_and_takes_no_place_among_those_that_are_kept():
    text = (
        'version: 1\nrules: [{name: versions, match: {everything: true}, when: {olderThan: 1d}, '
        'keep: {semver: 1, of: all}, do: delete}]\n'
    )
    old = [image(name, tags=[name]) for name in ('1.0.0', '2.0.0')]
    assert gone(text, *old, image('3.0.0', tags=['3.0.0'], age=None))[0] == ['1.0.0']


@pytest.mark.parametrize('tagged', [True, False])
def test_what_has_no_time_is_not_taken_for_the_oldest_that_fills_a_place_where_things_are_thinned(tagged):
    text = (
        'version: 1\nrules: [{name: monthly, match: {everything: true}, when: {olderThan: 1d}, '
        'keep: {thin: {monthly: 2}, of: all}, do: delete}]\n'
    )
    ages = {'new': 2 * DAY, 'middle': 3 * DAY, 'oldest': 4 * DAY, 'timeless': None}
    images = [image(name, tags=[name] if tagged else [], age=age) for name, age in ages.items()]
    assert gone(text, *images)[1] == ['middle']


@pytest.mark.parametrize('name', 'abcdef')
def test_a_part_goes_with_a_tagged_image_and_not_by_the_rule_for_what_that_image_is_a_part_of(name):
    text = (
        'version: 1\nrules:\n'
        '- {name: inner, match: {tags: [inner]}, when: {olderThan: 1h}, do: delete}\n'
        '- {name: outer, match: {tags: [outer]}, when: {olderThan: 1d}, do: delete}\n'
    )
    part = image(name, age=DAY // 2)
    inner = index('inner', [part['digest']], tags=['inner'], age=90 * DAY)
    outer = index('outer', [inner['digest']], tags=['outer'], age=90 * DAY)
    assert gone(text, part, inner, outer)[1] == sorted([name, 'inner', 'outer'])


def test_protected_digest_that_loses_its_tag_stays():
    found = image('image', tags=['v1'])
    assert gone(ALL + f"protect: {{digests: ['{found['digest']}']}}\n", found) == (['v1'], [])


def test_min_keep_leaves_the_newest_tagged_images_of_each_repository():
    world = [
        repository_of(
            *(image(f'{name}{age}', tags=[f'{name}{age}', f'{name}{age}-too'], age=age * DAY) for age in (2, 3, 4)),
            name=name,
        )
        for name in 'xy'
    ]
    tags, manifests = gone(ALL + 'limits: {minKeepPerRepository: 2}\n', *world)
    assert manifests == ['x4', 'y4']
    assert tags == ['x2-too', 'x3-too', 'x4', 'x4-too', 'y2-too', 'y3-too', 'y4', 'y4-too']


@pytest.mark.parametrize(
    'limits, what',
    [
        ('{maxManifests: 2}', None),
        ('{maxManifests: 1}', 'manifests'),
        ('{maxManifests: 0}', 'manifests'),
        ('{maxPercent: 50}', None),
        ('{maxPercent: 49.9}', 'tagged manifests'),
        ('{maxPercent: 100}', None),
    ],
)
def test_limits_stop_what_is_over_them_and_nothing_else(limits, what):
    policy = ALL + f'protect: {{tags: [stays]}}\nlimits: {limits}\n'
    decision = decision_on(policy, [repository_of(image('a', tags=['v1']), image('b', tags=['stays']), image('c'))])
    excess = first_excess(decision, parse_policy(policy).limits)
    assert (excess and excess.what) == what


# --- The examples ------------------------------------------------------------------------------------------------


def test_schema_is_the_one_that_the_examples_have():
    assert sorted(schema()['properties']) == [
        'description',
        'facts',
        'include',
        'limits',
        'lock',
        'pins',
        'protect',
        'registries',
        'rules',
        'state',
        'version',
    ]
    for name in EXAMPLES:
        assert parse_policy(json.dumps(example(name))).given['file'] == example(name)


def days(*tags, **more):
    """An image for each (tag, days)."""
    return [image(tag, tags=[tag], age=age * DAY, **more) for tag, age in tags]


def test_example_for_ci_does_what_it_says():
    released = days(('v1.0.0', 900), ('2.0.1', 800), ('latest', 700), ('main', 600), ('cache-x', 500))
    pull_requests = days(('pr-1', 15), ('pull-2', 15), ('pr-3', 13))
    builds = days(('main-1', 50), ('main-2', 40), ('main-3', 30), ('main-4', 20), ('dev-1', 90), ('dev-2', 6))
    untagged = [image('old', age=2 * DAY), image('young', age=DAY / 2)]
    text = json.dumps(example('ci'))
    assert gone(text, *released, *pull_requests, *builds, *untagged) == (
        ['main-1', 'pr-1', 'pull-2'],
        ['main-1', 'old', 'pr-1', 'pull-2'],
    )


def test_example_for_ml_does_what_it_says():
    world = [
        repository_of(*days(('small-1', 20), ('small-2', 30)), name='experiments/a'),
        repository_of(
            *days(('b-step-1', 60), ('b-step-2', 50), ('b-step-3', 40), ('c-step-1', 90)), name='training/run'
        ),
        repository_of(*days(('x', 900)), image('left over', age=4 * DAY), name='serving/app'),
    ]
    text = json.dumps(example('ml'))
    assert gone(text, *world) == (['b-step-1'], ['b-step-1', 'left over'])


def test_example_for_ml_takes_large_experiments_by_their_creation_and_leaves_the_newest():
    document = example('ml')
    document['rules'][0]['match']['size']['atLeast'] = 1
    world = [
        repository_of(
            *[
                dict(manifest, created=NOW - age * DAY * TICKS)
                for manifest, age in zip(days(('new', 20), ('old', 1), ('recent', 99)), (20, 30, 1))
            ],
            name='experiments/a',
        )
    ]
    world[0]['tag_times'] = {tag: NOW - age * DAY * TICKS for tag, age in (('new', 20), ('old', 30), ('recent', 1))}
    assert gone(json.dumps(document), *world) == (['old'], ['old'])


def test_example_for_production_does_what_it_says():
    stable = image('stable', tags=['v0.1.0'], age=900 * DAY)
    stable['document']['annotations']['org.opencontainers.image.ref.name'] = 'stable'
    stable = worlds.manifest_of(stable['document'], stable['media_type'], tags=['v0.1.0'], age=900 * DAY)
    versions = days(*((f'v1.{number}.0', 400 - number) for number in range(12)), ('v2.0.0', 10))
    untagged = [image(f'untagged {age}', age=age * DAY) for age in (91, 92, 93, 94, 95, 96, 97)]
    base = repository_of(image('base', age=999 * DAY), *days(('v1.0.0', 999)), name='base/os')
    tags, manifests = gone(json.dumps(example('production')), repository_of(stable, *versions, *untagged), base)
    assert tags == [] and manifests == ['untagged 96', 'untagged 97']
    decision = decision_on(json.dumps(example('production')), [repository_of(stable, *versions)])
    (repository,) = decision.inventory.repositories
    retired = {repository.manifests[each].tags for each in decision.retiring_in(repository.name)}
    assert retired == {('v1.0.0',), ('v1.1.0',)}


def test_example_for_production_stops_where_too_much_would_go():
    text = json.dumps(example('production'))
    versions = days(*((f'v1.{number}.0', 400 - number) for number in range(20)))
    excess = first_excess(decision_on(text, [repository_of(*versions)]), parse_policy(text).limits)
    assert (excess.number, excess.limit) == (10, 20)


def test_attachments_fall_and_stay_with_their_image():
    taken, kept = image('taken', tags=['pr-1']), image('kept', tags=['main'])
    signatures = [
        image(f'signature of {each["document"]["annotations"]["name"]}', tags=[attachment_tag(each['digest'])])
        for each in (taken, kept)
    ]
    assert gone(json.dumps(example('ci')), taken, kept, *signatures) == (['pr-1'], ['signature of taken', 'taken'])


# --- Open --------------------------------------------------------------------------------------------------------


def test_signed_image_that_a_rule_for_tags_takes_goes_with_its_signature_and_its_parts():
    child = image('child')
    parent = index('parent', [child['digest']], tags=['pr-1'])
    signature = image('signature', tags=[attachment_tag(parent['digest'])])
    assert gone(matching({'tags': ['pr-*']}), child, parent, signature) == (['pr-1'], ['child', 'parent', 'signature'])
