"""The plan document (semantics.md, Plan document)."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.named import decide_repository
from azext_acrprune.documents.cost import GIB, Price
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.model import Account, Blob, Notice
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.show.tables import plan_rows
from tests.worlds import (
    BASE_LAYERS,
    CONFIGS,
    DAY,
    NOW,
    OCI_IMAGE,
    attachment_tag,
    ghost,
    image,
    index,
    repository_of,
    time_text,
    to_inventory,
    unreadable,
)


def plan(world, policy=untagged_policy(), show_kept=False, bound=False, **options):
    return plan_document(decide(to_inventory(world, bound), policy, NOW), 'now', show_kept, **options)


def codes(document):
    return [(warning['code'], warning['digest']) for warning in document['warnings']]


SUBJECT = image('subject', [0])
SIGNATURE = image('signature', [1], tags=[attachment_tag(SUBJECT['digest'])])
STAYS = image('stays', [0], tags=['v1'])
PRICE = Price(Decimal('0.003'), 'USD')
WORLD = [repository_of(SUBJECT, SIGNATURE, STAYS, name='b'), repository_of(image('alone', [2]), name='a')]


def test_document_has_a_schema_version_and_says_what_was_asked():
    document = plan(WORLD, untagged_policy(Age('2d', 2 * DAY), 3, ('a*',)))
    assert (document['schemaVersion'], document['registry'], document['createdAt']) == (1, 'test.azurecr.io', 'now')
    assert document['policy'] == {'untagged': {'ago': '2d', 'keep': 3}, 'repositories': ['a*']}
    assert document['untag'] == []


def test_summary_counts_manifests_tags_and_reasons():
    summary = plan(WORLD)['summary']
    counted = ('repositories', 'manifests', 'manifestsToDelete', 'tagsToDelete', 'manifestsKept', 'keptByReason')
    assert [summary[name] for name in counted] == [2, 4, 3, 1, 1, {'tagged': 1}]


def test_summary_has_the_bytes_of_the_whole_registry():
    summary = plan(WORLD)['summary']
    layers = [layer['size'] for layer in BASE_LAYERS]
    configs = [config['size'] for config in CONFIGS]
    gone = sum(len(manifest['data']) for manifest in (SUBJECT, SIGNATURE, image('alone', [2])))
    assert summary['freedManifestBytes'] == gone
    assert summary['freedBytes'] == layers[1] + configs[1] + layers[2] + configs[2] + gone
    assert summary['sharedBytes'] == layers[0] + configs[0]
    assert summary['registryBytes'] == summary['freedBytes'] + summary['sharedBytes'] + len(STAYS['data'])


def test_entries_are_in_order_of_repository_and_digest():
    many = [image(str(number), age=age) for number in range(9) for age in (0, 30 * DAY)]
    document = plan([*WORLD, repository_of(*many, *map(image, 'abcdefghijkl'), name='c')], show_kept=True)
    for entries in (document['delete'], document['kept']):
        keys = [(entry['repository'], entry['digest']) for entry in entries]
        assert keys == sorted(keys)
    assert [row['name'] for row in document['repositories']] == ['a', 'b', 'c']


def test_repository_row_counts_its_own_part():
    row = plan(WORLD)['repositories'][1]
    freed = BASE_LAYERS[1]['size'] + CONFIGS[1]['size'] + len(SUBJECT['data']) + len(SIGNATURE['data'])
    counts = {'manifests': 3, 'manifestsToDelete': 2, 'tagsToDelete': 1}
    assert row == {'repository': 'b', 'name': 'b', **counts, 'freedBytes': freed}


def test_delete_entry_has_all_that_a_reader_needs():
    entry = next(entry for entry in plan(WORLD)['delete'] if entry['digest'] == SIGNATURE['digest'])
    time = time_text(SIGNATURE['updated'])
    unique = BASE_LAYERS[1]['size'] + CONFIGS[1]['size'] + len(SIGNATURE['data'])
    assert entry == {
        'repository': 'b',
        'digest': SIGNATURE['digest'],
        'tags': SIGNATURE['tags'],
        'tagTimes': dict.fromkeys(SIGNATURE['tags'], time),
        'mediaType': OCI_IMAGE,
        'artifactType': None,
        'createdTime': time,
        'lastUpdateTime': time,
        'imageSize': len(SIGNATURE['data']),
        'uniqueBytes': unique,
        'reason': 'referrerOf',
        'because': SUBJECT['digest'],
    }


def test_child_that_goes_with_its_index_says_so():
    child = image('child')
    parent = index('index', [child['digest']])
    entries = {entry['digest']: entry for entry in plan([repository_of(child, parent)])['delete']}
    assert (entries[child['digest']]['reason'], entries[child['digest']]['because']) == ('childOf', parent['digest'])
    assert entries[parent['digest']]['reason'] == 'untagged'


def test_unique_bytes_include_what_falls_with_it():
    child = image('child', [0])
    parent = index('index', [child['digest']])
    entries = {entry['digest']: entry for entry in plan([repository_of(child, parent)])['delete']}
    own = BASE_LAYERS[0]['size'] + CONFIGS[0]['size'] + len(child['data'])
    assert entries[child['digest']]['uniqueBytes'] == own
    assert entries[parent['digest']]['uniqueBytes'] == own + len(parent['data'])


def test_kept_is_there_only_when_asked_for():
    assert 'kept' not in plan(WORLD)
    assert plan(WORLD, show_kept=True)['kept'] == [
        {'repository': 'b', 'digest': STAYS['digest'], 'tags': ['v1'], 'reason': 'tagged', 'because': 'v1'}
    ]


def test_repository_that_is_not_selected_is_kept_and_still_counts_for_layers():
    world = [repository_of(image('gone', [0])), repository_of(image('stays', [0]), name='other', selected=False)]
    document = plan(world)
    assert [entry['repository'] for entry in document['delete']] == [world[0]['name']]
    assert document['summary']['keptByReason'] == {'excluded': 1}
    assert document['summary']['sharedBytes'] == BASE_LAYERS[0]['size'] + CONFIGS[0]['size']


def test_impact_of_a_registry_read_completely_is_exact():
    assert plan([repository_of(image(), ghost(image('ghost')))])['impact'] == 'exact'


@pytest.mark.parametrize(
    'world, bound',
    [
        ([repository_of(unreadable(image('bad', docker=True)))], False),
        ([repository_of(image()), repository_of(unreadable(index()), name='other', selected=False)], False),
        ([repository_of(image())], True),
    ],
)
def test_impact_of_anything_unread_is_an_upper_bound(world, bound):
    assert plan(world, bound=bound)['impact'] == 'upperBound'


def test_manifest_left_unread_makes_the_impact_an_upper_bound_by_itself():
    inventory = replace(to_inventory([repository_of(image(docker=True, tags=['v1']))], bound=True), complete=True)
    assert plan_document(decide(inventory, untagged_policy(), NOW), 'now')['impact'] == 'upperBound'


def test_disagreement_about_sizes_makes_the_impact_an_upper_bound():
    inventory = to_inventory([repository_of(image('one', [0]), image('other', [0]), image('third', [0]))])
    manifests = inventory.repositories[0].manifests
    digest, manifest = next(iter(manifests.items()))
    blobs = tuple(Blob(blob.digest, blob.size + 1) for blob in manifest.content.blobs)
    manifests[digest] = manifest._replace(content=manifest.content._replace(blobs=blobs))
    document = plan_document(decide(inventory, untagged_policy(), NOW), 'now')
    assert (document['impact'], codes(document)) == ('upperBound', [('sizeMismatch', digest)])


def test_ghosts_unreadable_orphans_and_missing_children_are_reported():
    gone, bad = ghost(image('gone')), unreadable(image('bad', docker=True))
    orphan = image('orphan', tags=[attachment_tag(image('missing')['digest'])])
    partial = index('partial', [gone['digest']], tags=['v1'])
    found = codes(plan([repository_of(gone, bad, orphan, partial)]))
    assert sorted(found) == sorted(
        [
            ('ghost', gone['digest']),
            ('unreadable', bad['digest']),
            ('orphanAttachment', orphan['digest']),
            ('missingChildren', partial['digest']),
        ]
    )


def test_attachment_whose_subject_is_in_another_repository_is_not_reported():
    """Cosign can be told to keep signatures in a repository of their own."""
    subject = image('subject', tags=['v1'])
    signature = image('signature', tags=[attachment_tag(subject['digest'])])
    assert codes(plan([repository_of(subject), repository_of(signature, name='signatures')])) == []


def test_missing_children_of_an_index_that_goes_are_not_worth_a_warning():
    assert codes(plan([repository_of(index('partial', [image('missing')['digest']]))])) == []


def test_warnings_of_the_scan_are_in_the_document():
    inventory = replace(
        to_inventory([repository_of(image())]), warnings=(Notice('repositoryNotRead', 'It is closed.', 'secret'),)
    )
    assert plan_document(decide(inventory, untagged_policy(), NOW), 'now')['warnings'] == [
        {'code': 'repositoryNotRead', 'repository': 'secret', 'digest': None, 'message': 'It is closed.'}
    ]


def test_retention_days_of_soft_delete_are_told():
    assert plan(WORLD, soft_delete_days=7)['summary']['softDeleteRetentionDays'] == 7
    assert plan(WORLD)['summary']['softDeleteRetentionDays'] is None


def test_a_plan_has_a_cost_only_when_it_is_given_a_price():
    bare, priced = plan(WORLD), plan(WORLD, price=PRICE, account=Account('Basic', used_bytes=20 * GIB, regions=1))
    cost = priced.pop('cost')
    assert cost['savedBilledBytes'] == priced['summary']['freedBytes'] > 0
    assert 'cost' not in bare and {**priced, 'checksum': None} == {**bare, 'checksum': None}
    assert priced['checksum'] != bare['checksum']


def test_an_upper_bound_of_what_is_stored_is_no_ground_for_a_cost():
    cost = plan(WORLD, bound=True, price=PRICE, account=Account('Basic'))['cost']
    assert (cost['usedBytes'], cost['perMonth'], cost['savedPerMonth']) == (None, None, None)


def test_document_is_json_with_whole_bytes():
    document = plan(WORLD, show_kept=True)
    assert json.loads(json.dumps(document)) == document
    assert all(isinstance(document['summary'][name], int) for name in ('freedBytes', 'sharedBytes', 'registryBytes'))


def test_golden_case_frees_the_index_and_the_platform_that_was_replaced():
    shared = [image(f'platform {number}', [0, number % 3]) for number in range(8)]
    leftover, renewed = image('old platform', [0, 4]), image('new platform', [0, 5])
    old = index('old', [manifest['digest'] for manifest in [*shared, leftover]])
    new = index('new', [manifest['digest'] for manifest in [*shared, renewed]], tags=['latest'])
    document = plan([repository_of(*shared, leftover, renewed, old, new)], show_kept=True)
    assert {entry['digest'] for entry in document['delete']} == {old['digest'], leftover['digest']}
    assert document['summary']['keptByReason'] == {'tagged': 1, 'childOf': 9}
    assert document['summary']['freedBytes'] == BASE_LAYERS[4]['size'] + len(leftover['data']) + len(old['data'])


def test_each_part_of_a_plan_says_which_bound_it_is_where_that_is_not_the_bound_of_the_whole():
    going, closed = image('going', [0]), unreadable(image('closed', docker=True))
    world = [repository_of(going, closed), repository_of(image('other'), name='team/other')]
    inventory = to_inventory(world)
    document = plan_document(decide_repository(inventory, 'team/web'), 'now')
    assert document['impact'] == 'lowerBound', 'what the unread one frees is missing'
    kinds = {entry['digest']: entry.get('impact', 'lowerBound') for entry in document['delete']}
    assert kinds == {going['digest']: 'upperBound', closed['digest']: 'lowerBound'}
    rows = {row['name']: row.get('impact', 'lowerBound') for row in document['repositories']}
    assert rows == {'team/web': 'lowerBound', 'team/other': 'upperBound'}
    frees = [row['FREES'].split()[:2] for row in plan_rows(document) if row['ACTION'] in ('delete', 'total')]
    assert sorted(frees) == [['at', 'least'], ['at', 'least'], ['at', 'most']]
