"""The numbers of a report: everything adds up exactly, and what the plan frees is what it frees."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.impact import open_ledger
from azext_acrprune.decide.portions import portions
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.planned import Plan
from azext_acrprune.model import Blob, Content, Notice, parse_ticks
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.usage.report_document import IMAGES_DRAWN, REPOSITORIES_DRAWN, report_document
from tests import oracle, worlds
from tests.browser.registries import CREATED_AT, busy, inventory_of, plan_of
from tests.examples import examples
from tests.worlds import (
    BASE_LAYERS,
    DAY,
    NOW,
    TICKS,
    attachment_tag,
    ghost,
    image,
    index,
    repository_of,
    time_text,
    to_inventory,
    unreadable,
)


def selected(world):
    """A report looks at every repository."""
    return [dict(repository, selected=True) for repository in world]


def document_of(world, policy=None, show_kept=True):
    inventory = to_inventory(selected(world))
    return report_document(inventory, policy and planned(inventory, policy, show_kept), CREATED_AT, NOW)


def planned(inventory, policy, show_kept=True):
    rule = untagged_policy(Age(f'{policy["ago"]}s', policy['ago']), policy['keep'])
    return Plan(plan_document(decide(inventory, rule, NOW), CREATED_AT, show_kept))


MONTH_OLD = {'ago': 30 * DAY, 'keep': 0}


def cells(document):
    return [cell for group in document['treemap'] for cell in group['cells']]


def total(rows, key='bytes'):
    return sum(row[key] for row in rows)


def attributed(world):
    """{node: bytes, not rounded}: each blob split evenly over those that hold it, each manifest over its copies."""
    held = {
        (repository['name'], manifest['digest']): {
            **oracle.blob_table([dict(repository, manifests=[manifest])], world),
            **{
                ('manifest', digest): size
                for digest, size in oracle.manifest_table([dict(repository, manifests=[manifest])]).items()
            },
        }
        for repository in world
        for manifest in repository['manifests']
    }
    return {
        node: sum(Fraction(size, sum(1 for other in held.values() if key in other)) for key, size in mine.items())
        for node, mine in held.items()
    }


@examples(100)
@given(worlds.worlds(), st.one_of(st.none(), worlds.policies), st.booleans())
def test_every_list_adds_up_to_what_the_registry_stores(world, policy, show_kept):
    document = document_of(world, policy, show_kept)
    stored = sum(oracle.blob_table(world).values()) + sum(oracle.manifest_table(world).values())
    assert document['summary']['registryBytes'] == stored
    assert total(document['states']) == total(cells(document)) == total(document['treemap']) == stored
    assert total(document['growth'], 'attributedBytes') == document['growth'][-1]['cumulativeBytes'] == stored
    assert total(document['repositories'], 'attributedBytes') == stored
    assert total(document['images'], 'attributedBytes') == stored
    assert total(document['unneededAges']) == document['summary']['unneededBytes']
    assert total(document['unneededAges'], 'manifests') == sum(
        1
        for repository, digest in oracle.safe_set(selected(world), {'ago': 0, 'keep': 0}, NOW)
        if attributed(world)[repository, digest]
    )


@examples(100)
@given(worlds.worlds(), worlds.policies)
def test_what_is_drawn_as_freed_is_what_the_plan_frees(world, policy):
    document = document_of(world, policy)
    freed = oracle.freed_bytes(selected(world), oracle.safe_set(selected(world), policy, NOW))
    assert document['summary']['freedBytes'] == freed
    assert sum(cell['bytes'] for cell in cells(document) if cell['state'] == 'freed') == freed
    assert total(document['repositories'], 'attributedFreedBytes') == freed
    assert document['warnings'] == [each for each in document['warnings'] if each['code'] != 'planOutdated']


@examples(100)
@given(worlds.worlds(), worlds.policies)
def test_portions_are_even_shares_rounded_to_whole_bytes(world, policy):
    doomed = frozenset(oracle.safe_set(selected(world), policy, NOW))
    inventory = to_inventory(world)
    shares = attributed(world)
    for portion in portions(inventory, open_ledger(inventory), doomed):
        assert abs(portion.size - shares.pop(portion.node)) < 10
        assert portion.node in doomed or portion.freed == 0
    assert not any(shares.values())


def test_the_bytes_that_cannot_be_split_go_to_the_first_holders_one_to_each():
    images = [image(name, [0]) for name in ('a', 'b', 'c')]
    content = Content(9, blobs=(Blob(BASE_LAYERS[0]['digest'], 5),))
    inventory = to_inventory([repository_of(*images)])
    (repository,) = inventory.repositories
    manifests = {digest: each.having(content) for digest, each in repository.manifests.items()}
    inventory = replace(inventory, repositories=(replace(repository, manifests=manifests),))
    found = portions(inventory, open_ledger(inventory), frozenset())
    assert [portion.size - 9 for portion in found] == [2, 2, 1]


def test_the_bytes_of_a_manifest_in_several_hundred_repositories_are_freed_when_all_of_it_goes():
    copied = image('copied')
    world = [repository_of(copied, name=f'team/{number}') for number in range(300)]
    inventory = to_inventory(world)
    doomed = [(each.name, copied['digest']) for each in inventory.repositories]
    for going, freed in ((doomed, True), (doomed[1:], False)):
        found = list(portions(inventory, open_ledger(inventory), frozenset(going)))
        assert [(portion.freed > 0, portion.staying > 0) for portion in found] == [(freed, not freed)] * 300


def test_without_a_plan_nothing_is_freed():
    document = document_of([repository_of(image('old', [0]), image('used', [1], tags=['v1']))])
    assert {row['state'] for row in document['states']} == {'unneeded', 'tagged'}
    assert (document['plan'], document['summary']['freedBytes']) == (None, None)
    assert 'attributedFreedBytes' not in document['repositories'][0]
    assert 'freed' not in document['layers'][0]


def test_a_doomed_image_is_freed_as_far_as_nobody_shares_its_layers():
    world = [repository_of(image('old', [0, 1], age=40 * DAY), image('used', [0], tags=['v1']))]
    states = {row['state']: row['bytes'] for row in document_of(world, MONTH_OLD)['states']}
    assert states['shared'] == BASE_LAYERS[0]['size'] // 2
    assert BASE_LAYERS[1]['size'] < states['freed'] < BASE_LAYERS[1]['size'] + 10_000


def reasons(document):
    return {(row['state'], each['reason']) for row in document['states'] for each in row['reasons']}


STAYS = [
    index('i', [image('c', [0])['digest']], tags=['v1']),
    image('c', [0]),
    image('young', [1], age=40),
    image('locked', [2], locks=['deleteEnabled']),
]


def test_what_stays_has_the_reason_of_the_plan_where_the_plan_says_it():
    assert reasons(document_of([repository_of(*STAYS)], MONTH_OLD)) == {
        ('tagged', 'tagged'),
        ('needed', 'childOf'),
        ('recent', 'young'),
        ('protected', 'locked'),
    }


def test_what_stays_has_the_reason_of_the_registry_where_the_plan_does_not_say_it():
    assert reasons(document_of([repository_of(*STAYS)], MONTH_OLD, show_kept=False)) == {
        ('tagged', 'tagged'),
        ('needed', 'childOf'),
        ('excluded', 'notInPlan'),
        ('protected', 'locked'),
    }


def test_a_reason_that_is_not_known_counts_as_not_selected():
    inventory = to_inventory([repository_of(image('a', [0]))])
    plan = planned(inventory, {'ago': 99 * DAY, 'keep': 0})
    plan.document['kept'][0]['reason'] = 'of a later version'
    assert reasons(report_document(inventory, plan, CREATED_AT, NOW)) == {('excluded', 'of a later version')}


def test_parts_and_signatures_have_the_name_of_what_they_belong_to():
    child, other = image('child', [0]), image('other', [1])
    whole = index('whole', [child['digest']], tags=['v1'])
    signature = image('signature', [2], tags=[attachment_tag(child['digest'])])
    document = document_of([repository_of(child, whole, signature, other)])
    names = {cell['digest']: (cell['name'], cell['partOf']) for cell in cells(document)}
    assert names == {
        child['digest']: ('v1', True),
        whole['digest']: ('v1', False),
        signature['digest']: ('v1', True),
        other['digest']: (None, False),
    }


def test_a_plan_of_a_registry_that_changed_says_so_and_counts_what_is_left():
    gone, left = image('gone', [0], age=40 * DAY), image('left', [1], age=40 * DAY)
    plan = planned(to_inventory([repository_of(gone, left)]), MONTH_OLD)
    document = report_document(to_inventory([repository_of(left)]), plan, CREATED_AT, NOW)
    assert [warning['code'] for warning in document['warnings']] == ['planOutdated', 'planOutdated']
    assert document['summary']['manifestsToDelete'] == 1
    assert document['summary']['freedBytes'] == document['summary']['registryBytes']
    assert document['plan']['freedBytes'] > document['summary']['freedBytes']


def test_a_plan_of_a_repository_that_is_gone_is_no_trouble():
    plan = planned(to_inventory([repository_of(image('gone', [0], age=40 * DAY))]), MONTH_OLD)
    document = report_document(inventory_of([]), plan, CREATED_AT, NOW)
    assert (document['treemap'], document['summary']['freedBytes']) == ([], 0)


def test_growth_counts_a_layer_when_it_first_came():
    first = dict(image('first', [3], age=70 * DAY), created=NOW - 70 * DAY * TICKS)
    later = dict(image('later', [3], age=2 * DAY), created=NOW - 2 * DAY * TICKS)
    never = dict(image('never', [4]), created=None)
    growth = {
        row['month']: row['attributedBytes'] for row in document_of([repository_of(first, later, never)])['growth']
    }
    assert len(growth) == 13 and list(growth)[-1] == CREATED_AT[:7]
    assert BASE_LAYERS[3]['size'] <= growth[time_text(NOW - 70 * DAY * TICKS)[:7]] < BASE_LAYERS[3]['size'] + 20_000
    assert growth[CREATED_AT[:7]] == len(later['data'])
    assert growth[None] >= BASE_LAYERS[4]['size']


@pytest.mark.parametrize(
    'days, age',
    [
        (0, '0 to 1 day'),
        (0.999, '0 to 1 day'),
        (1, '1 to 7 days'),
        (7, '7 to 30 days'),
        (89.9, '30 to 90 days'),
        (90, '90 to 180 days'),
        (364, '180 days to 1 year'),
        (365, 'over 1 year'),
        (4_000, 'over 1 year'),
    ],
)
def test_untagged_bytes_are_counted_by_age(days, age):
    document = document_of([repository_of(image('old', [0], age=days * DAY), image('used', [1], tags=['v1']))])
    assert [row['age'] for row in document['unneededAges'] if row['bytes']] == [age]


def test_a_layer_names_who_shares_it_those_that_stay_first():
    going = [image(f'going {number}', [5], age=40 * DAY) for number in range(7)]
    stays = image('stays', [5], tags=['v1'])
    document = document_of([repository_of(*going, name='a'), repository_of(stays, name='b')], MONTH_OLD)
    layer = document['layers'][0]
    assert (layer['size'], layer['images'], layer['repositories'], layer['imagesToDelete'], layer['freed']) == (
        BASE_LAYERS[5]['size'],
        8,
        2,
        7,
        False,
    )
    assert layer['users'][0] == 'b:v1' and len(layer['users']) == 5


def test_a_large_registry_is_drawn_with_a_tail_that_still_adds_up():
    inventory = busy(4_000)
    document = report_document(inventory, plan_of(inventory), CREATED_AT, NOW)
    assert len(document['treemap']) == REPOSITORIES_DRAWN + 1
    assert sum(1 for cell in cells(document) if cell['digest']) == IMAGES_DRAWN
    assert total(cells(document)) == open_ledger(inventory).registry_bytes
    assert document['treemap'][-1]['repository'] is None
    assert document['treemap'][-1]['repositories'] == len(inventory.repositories) - REPOSITORIES_DRAWN
    assert (
        sum(cell['bytes'] for cell in cells(document) if cell['state'] == 'freed')
        == (document['summary']['freedBytes'])
    )


def test_repositories_that_have_no_row_are_one_sum(monkeypatch):
    monkeypatch.setattr('azext_acrprune.usage.report_document.REPOSITORIES_LISTED', 3)
    document = report_document(busy(400), None, CREATED_AT, NOW)
    assert len(document['repositories']) == 3
    others = document['otherRepositories']
    assert others['repositories'] + 3 == document['summary']['repositories']
    assert (
        total(document['repositories'], 'attributedBytes') + others['attributedBytes']
        == (document['summary']['registryBytes'])
    )


def test_what_could_not_be_read_makes_the_numbers_upper_bounds():
    document = document_of([repository_of(unreadable(image('a', [0])), image('b', [1]), ghost(image('g', [2])))])
    assert document['impact'] == 'upperBound'
    assert {'unreadable', 'ghost'} <= {warning['code'] for warning in document['warnings']}
    assert {row['state'] for row in document['states']} == {'unreadable'}


def test_what_concerns_the_whole_registry_is_the_first_warning(monkeypatch):
    monkeypatch.setattr('azext_acrprune.usage.fields.WARNINGS_LISTED', 1)
    inventory = to_inventory([repository_of(*(ghost(image(str(number))) for number in range(3)))])
    noticed = replace(inventory, warnings=(Notice('unreadRepository', 'forbidden', 'team/secret'),))
    document = report_document(noticed, None, CREATED_AT, NOW)
    assert [warning['code'] for warning in document['warnings']] == ['unreadRepository']
    assert document['otherWarnings'] == 3


def test_the_same_registry_gives_the_same_report():
    inventory = busy(200)
    turned = replace(
        inventory,
        repositories=tuple(
            replace(each, manifests=dict(reversed(each.manifests.items()))) for each in reversed(inventory.repositories)
        ),
    )
    one, other = (json.dumps(report_document(each, plan_of(each), CREATED_AT, NOW)) for each in (inventory, turned))
    assert one == other
    assert parse_ticks(CREATED_AT) == NOW
