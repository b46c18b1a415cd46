"""A plan in sums: every manifest is in one group, and the groups add up to the plan."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.show.tables import plan_rows
from tests import oracle, worlds
from tests.examples import examples
from tests.test_safety_properties import deleted_by
from tests.worlds import NOW, attachment_tag, image, index, repository_of, to_inventory

GROUPINGS = ('repository', 'reason', 'rule')


def plan(world, policy, group_by):
    return plan_document(
        decide(to_inventory(world), policy, NOW), '2027-01-15T08:00:00.000000Z', True, group_by=group_by
    )


def row_of(document, group):
    (row,) = [row for row in document['groups'] if row['group'] == group]
    return row


@examples(100)
@given(worlds.worlds(), worlds.policies, st.sampled_from(GROUPINGS))
def test_groups_add_up_to_the_plan(world, policy, group_by):
    document = plan(world, untagged_policy(Age(f'{policy["ago"]}s', policy['ago']), policy['keep']), group_by)
    summary, rows = document['summary'], document['groups']
    for name in ('manifests', 'manifestsToDelete', 'tagsToDelete', 'manifestsKept'):
        assert sum(row[name] for row in rows) == summary[name]
    assert sum(row['attributedFreedBytes'] for row in rows) == summary['freedBytes']
    assert sum(row['attributedBytes'] for row in rows) == summary['registryBytes']
    assert len({row['group'] for row in rows}) == len(rows)


@examples(100)
@given(worlds.worlds(), worlds.policies)
def test_a_group_frees_what_its_part_of_the_plan_frees_alone(world, policy):
    document = plan(world, untagged_policy(Age('x', policy['ago']), policy['keep']), 'reason')
    entries = document['delete'] + document['kept']
    assert {row['group']: row['manifests'] for row in document['groups']} == Counter(
        entry['reason'] for entry in entries
    )
    for row in document['groups']:
        going = {
            (entry['repository'], entry['digest']) for entry in document['delete'] if entry['reason'] == row['group']
        }
        assert row['freedBytes'] == oracle.freed_bytes(world, going)


@pytest.mark.parametrize('group_by', GROUPINGS)
def test_tags_that_are_removed_alone_are_counted_in_a_group(group_by):
    world = [repository_of(image('a', tags=['v1', 'pr-1']), image('b', tags=['pr-2']))]
    document = plan(world, policy_of(Flags(match=('**:pr-*',))), group_by)
    assert document['summary']['tagsToDelete'] == sum(row['tagsToDelete'] for row in document['groups']) == 2


def test_by_rule_what_goes_with_an_image_has_its_rule_and_options_are_rules_by_what_they_say():
    child = image('child')
    parent = index('parent', [child['digest']], tags=['pr-1'])
    signature = image('signature', tags=[attachment_tag(parent['digest'])])
    world = [repository_of(child, parent, signature, image('alone'), image('stays', tags=['v1']))]
    document = plan(world, policy_of(Flags(match=('**:pr-*',), untagged=True)), 'rule')
    assert {row['group']: row['manifestsToDelete'] for row in document['groups']} == {
        'matched, and untouched for 1d or longer': 3,
        'untagged for 1d or longer': 1,
        None: 0,
    }


def test_by_rule_the_rules_of_a_policy_have_their_names_also_for_what_they_keep():
    text = (
        'version: 1\nrules:\n- name: pulls\n  match: {tags: ["pr-*"]}\n  when: {olderThan: 60d}\n  do: delete\n'
        '- name: rest\n  match: {tagged: false}\n  when: {olderThan: 1d}\n  do: delete\n'
    )
    world = [repository_of(image('a', tags=['pr-1']), image('b'), image('stays', tags=['v1']))]
    document = plan(world, parse_policy(text, ()), 'rule')
    assert row_of(document, 'pulls')['manifestsKept'] == 1
    assert row_of(document, 'rest')['manifestsToDelete'] == 1
    assert row_of(document, None)['manifestsKept'] == 1


def test_attachments_in_a_circle_have_an_end():
    one, other = image('one'), image('other')
    one['tags'], other['tags'] = [attachment_tag(other['digest'])], [attachment_tag(one['digest'])]
    document = plan([repository_of(one, other)], untagged_policy(), 'rule')
    assert sum(row['manifests'] for row in document['groups']) == 2


def test_without_the_option_a_plan_has_no_groups():
    assert 'groups' not in plan([repository_of(image('a'))], untagged_policy(), None)


def test_the_table_has_a_row_for_each_group_and_the_total():
    world = [repository_of(image('a', [0]), image('b', [0], tags=['v1']))]
    rows = plan_rows(plan(world, untagged_policy(), 'reason'))
    assert list(rows[0]) == ['REASON', 'MANIFESTS', 'DELETE', 'TAGS', 'KEEP', 'FREES_ALONE', 'SHARE']
    assert [row['REASON'] for row in rows] == ['untagged', 'tagged', 'total']
    assert [(row['DELETE'], row['KEEP']) for row in rows] == [(1, 0), (0, 1), (1, 1)]


# --- Who keeps the layers that stay ------------------------------------------------------------------------------


@examples(150)
@given(worlds.worlds(), worlds.policies)
def test_shared_layers_are_those_of_doomed_images_that_others_really_use(world, policy):
    document = plan(world, untagged_policy(Age('x', policy['ago']), policy['keep']), None)
    doomed = deleted_by(document)
    survivors = {
        node: oracle.blob_table([only(world, node)], world) for node in oracle.all_nodes(world) if node not in doomed
    }
    going = [oracle.blob_table([only(world, node)], world) for node in doomed]
    for layer in document['sharedLayers']:
        users = [node for node, blobs in survivors.items() if layer['digest'] in blobs]
        assert layer['imagesKept'] == len(users) > 0
        assert layer['keptInRepositories'] == len({name for name, _ in users})
        assert layer['imagesToDelete'] == sum(layer['digest'] in blobs for blobs in going) > 0
        assert 1 <= len(layer['users']) <= min(5, len(users))
        assert all(any(text.startswith((f'{name}:', f'{name}@')) for name, _ in users) for text in layer['users'])
    listed = sum(layer['size'] for layer in document['sharedLayers'])
    shared = oracle.shared_bytes(world, doomed)
    assert listed <= shared and (listed >= 0.9 * shared or len(document['sharedLayers']) == 10)


def only(world, node):
    (repository,) = [repository for repository in world if repository['name'] == node[0]]
    return dict(
        repository, manifests=[manifest for manifest in repository['manifests'] if manifest['digest'] == node[1]]
    )


def test_shared_layers_come_by_size_and_name_images_with_a_tag_first():
    world = [
        repository_of(image('goes', [0, 5]), name='a'),
        repository_of(image('bare', [5], age=0), image('tagged', [5], tags=['v1']), name='b'),
        repository_of(image('small', [0], tags=['v2']), name='c'),
    ]
    layers = plan(world, untagged_policy(), None)['sharedLayers']
    assert [layer['size'] for layer in layers] == [worlds.BASE_LAYERS[5]['size']]
    assert layers[0]['users'][0] == 'b:v1' and layers[0]['imagesKept'] == 2


def test_the_table_says_who_keeps_a_layer():
    world = [
        repository_of(image('goes', [5]), name='a'),
        *(repository_of(image(name, [5], tags=['v1']), name=name) for name in 'bcd'),
    ]
    row = plan_rows(plan(world, untagged_policy(), None))[-2]
    assert (row['ACTION'], row['REASON'], row['BECAUSE']) == ('shared', '3.1 MiB stay', 'used by b:v1 and 2 others')
