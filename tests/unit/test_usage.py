"""Who uses how much: every kind of row adds up exactly to what the registry stores."""

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from azext_acrprune.documents.cost import Price
from azext_acrprune.model import Account, Blob, Notice, Repository, parse_ticks
from azext_acrprune.pins.pulls import Pulls
from azext_acrprune.show.report_page import report_html
from azext_acrprune.show.sizes import not_read_line
from azext_acrprune.show.tables import report_rows
from azext_acrprune.show.usage_tables import usage_lines, usage_rows
from azext_acrprune.usage.report_document import report_document
from azext_acrprune.usage.usage_document import KINDS, LISTED, usage_document
from azext_acrprune.usage.usage_rows import Log
from tests import oracle, worlds
from tests.browser.registries import CREATED_AT, busy, inventory_of, manifest_of, sha
from tests.examples import examples
from tests.unit.test_report import attributed, selected
from tests.unit.test_tag_patterns import naive
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
    to_storage,
    unreadable,
)

tops = st.one_of(st.none(), st.integers(1, 6))
kinds = st.sampled_from(sorted(KINDS))


def document_of(world, by='repository', top=None, **more):
    return usage_document(to_inventory(selected(world)), by, top, CREATED_AT, NOW, **more)


def total(document, key='attributedBytes'):
    others = document['otherRows']
    return sum(row[key] for row in document['rows']) + (others[key] if others else 0)


def stored(world, before=None):
    return sum(oracle.blob_table(world, before).values()) + sum(oracle.manifest_table(world).values())


def read_alone(world):
    """The world without locks and without what the local registry has and a scan cannot read."""
    return [
        dict(
            repository,
            locks=[],
            tag_locks={},
            manifests=[dict(manifest, locks=[]) for manifest in repository['manifests'] if not manifest['fault']],
        )
        for repository in world
    ]


def by_name(document):
    return {row['repository']: row for row in document['rows']}


# --- Everything adds up ------------------------------------------------------------------------------------------


FOREIGN = image('foreign', [len(BASE_LAYERS) + 1])
"""Names a layer as foreign that others may have pushed: the first of the base layers."""


@examples(100)
@example([repository_of(FOREIGN, ghost(image('ghost', [0])))], 'repository', None)
@example([repository_of(ghost(image('ghost', [0])), FOREIGN)], 'layer', 1)
@given(worlds.tagged_worlds(), kinds, tops)
def test_rows_of_every_kind_add_up_to_what_the_local_registry_stores(world, by, top):
    world = read_alone(world)
    document = document_of(world, by, top)
    summary = document['summary']
    assert summary['registryBytes'] == to_storage(world).stored_bytes() == stored(world)
    assert total(document) + (summary['manifestBytes'] if by == 'layer' else 0) == summary['registryBytes']
    assert len(document['rows']) <= (top or LISTED)
    assert document['rows'] == sorted(document['rows'], key=lambda row: -row['attributedBytes'])


@examples(80)
@given(worlds.tagged_worlds(), st.sampled_from(('repository', 'tag-pattern')), tops)
def test_growth_of_the_rows_adds_up_to_that_of_the_registry_in_each_month(world, by, top):
    document = document_of(world, by, top)
    parts = [*document['rows'], *([document['otherRows']] if document['otherRows'] else ())]
    for place, month in enumerate(document['growth']):
        assert sum(row['growth'][place]['attributedBytes'] for row in parts) == month['attributedBytes']
        assert sum(row['growth'][place]['cumulativeBytes'] for row in parts) == month['cumulativeBytes']
    for row in parts:
        assert row['growth'][-1]['cumulativeBytes'] == row['attributedBytes']
    for key in ('untaggedBytes', 'unneededBytes'):
        assert total(document, key) == document['summary'][key]


@examples(80)
@given(worlds.tagged_worlds())
def test_growth_is_by_the_month_in_which_a_blob_first_appeared_anywhere(world):
    first = {}
    sizes = {
        **oracle.blob_table(world),
        **{('manifest', digest): size for digest, size in oracle.manifest_table(world).items()},
    }
    for repository in world:
        for manifest in repository['manifests']:
            alone = [dict(repository, manifests=[manifest])]
            held = [
                *oracle.blob_table(alone, world),
                *(('manifest', digest) for digest in oracle.manifest_table(alone)),
            ]
            for key in held:
                first.setdefault(key, []).extend([manifest['created']] if manifest['created'] is not None else ())
    expected = Counter()
    for key, size in sizes.items():
        month = time_text(min(min(first[key]), NOW))[:7] if first[key] else None
        expected[month] += size
    growth = {row['month']: row['attributedBytes'] for row in document_of(world)['growth'] if row['attributedBytes']}
    assert growth == expected


# --- Repositories ------------------------------------------------------------------------------------------------


@examples(80)
@given(worlds.tagged_worlds(), st.integers(0, 9))
def test_unique_bytes_of_a_repository_are_what_its_real_deletion_frees(world, number):
    world = read_alone(world)
    storage = to_storage(world)
    rows = by_name(document_of(world))
    name = storage.repositories()[number % len(storage.repositories())] if storage.repositories() else None
    if name:
        before = storage.stored_bytes()
        storage.delete_repository(name)
        assert rows[name]['uniqueBytes'] == before - storage.stored_bytes()


@examples(80)
@given(worlds.tagged_worlds())
def test_a_repository_has_its_bytes_with_each_blob_once_and_as_often_as_it_is_used(world):
    rows = by_name(document_of(world))
    for repository in world:
        row = rows[repository['name']]
        alone = [[dict(repository, manifests=[manifest])] for manifest in repository['manifests']]
        assert row['storedBytes'] == stored([repository], world) == row['uniqueBytes'] + row['sharedBytes']
        assert row['totalBytes'] == sum(stored(each, world) for each in alone)
        bare = [manifest for manifest in repository['manifests'] if not oracle.has_user_tag(manifest)]
        assert (row['manifests'], row['manifestsUntagged']) == (len(repository['manifests']), len(bare))
        of_bare = sum(attributed(world)[repository['name'], manifest['digest']] for manifest in bare)
        assert abs(row['untaggedBytes'] - of_bare) < 10 * (len(bare) + 1)
    summary = document_of(world)['summary']
    assert summary['totalBytes'] == sum(row['totalBytes'] for row in rows.values())


def test_repositories_beyond_the_top_are_one_sum():
    document = usage_document(busy(400), 'repository', 3, CREATED_AT, NOW)
    assert (len(document['rows']), document['otherRows']['rowsLeftOut']) == (3, document['summary']['repositories'] - 3)
    for key in ('manifests', 'manifestsTagged', 'manifestsUntagged', 'totalBytes', 'attributedBytes'):
        whole = document['summary']['registryBytes' if key == 'attributedBytes' else key]
        assert total(document, key) == whole, key


def test_all_repositories_have_a_row_unless_told_otherwise():
    document = usage_document(busy(200 * 40), 'repository', None, CREATED_AT, NOW)
    assert (len(document['rows']), document['otherRows']) == (200, None)


def test_an_empty_repository_has_a_row_of_nothing():
    row = document_of([repository_of(name='team/empty')])['rows'][0]
    assert (row['repository'], row['manifests'], row['storedBytes'], row['attributedBytes'], row['oldest']) == (
        'team/empty',
        0,
        0,
        0,
        None,
    )
    assert row['growth'][-1]['cumulativeBytes'] == 0


def test_equal_repositories_come_by_name():
    world = [repository_of(image(name), name=f'team/{name}') for name in 'cab']
    assert [row['repository'] for row in document_of(world)['rows']] == ['team/a', 'team/b', 'team/c']


# --- Images ------------------------------------------------------------------------------------------------------


CHILD = image('child')
KNOT = index('knot', [CHILD['digest']], subject=CHILD['digest'])


@examples(80)
@example([repository_of(CHILD, KNOT, index('outer', [KNOT['digest']]))])
@given(worlds.worlds())
def test_bytes_of_an_image_of_which_all_goes_are_of_what_falls_with_it_and_its_share_is_its_own(world):
    shares = attributed(world)
    for row in document_of(world, 'image')['rows']:
        name, digest = row['repository'], row['digest']
        repository = next(each for each in world if each['name'] == name)
        bare = {
            manifest['digest']
            for manifest in repository['manifests']
            if oracle.exists(manifest) and not oracle.has_user_tag(manifest)
        }
        falling = {(name, other) for other in oracle.fallen_with(repository, digest, bare)}
        alone = [
            dict(
                repository,
                manifests=[manifest for manifest in repository['manifests'] if (name, manifest['digest']) in falling],
            )
        ]
        assert row['storedBytes'] == row['uniqueBytes'] + row['sharedBytes']
        if not row['staysWith']:  # what keeps the rest is a question of its own: tests/test_alone_properties.py
            assert row['manifests'] == len(falling)
            assert row['uniqueBytes'] == oracle.freed_bytes(world, falling)
            assert row['storedBytes'] == stored(alone, world)
        assert abs(row['attributedBytes'] - shares[name, digest]) < 10


def test_an_image_has_the_name_of_its_index_and_its_tags():
    child = image('child', [0])
    document = document_of([repository_of(child, index('whole', [child['digest']], tags=['v1', 'v2']))], 'image')
    names = {row['digest']: (row['name'], row['partOf'], row['tagCount']) for row in document['rows']}
    assert sorted(names.values()) == [('v1', False, 2), ('v1', True, 0)]


def test_the_hundred_largest_images_have_a_row_unless_told_otherwise():
    document = usage_document(busy(400), 'image', None, CREATED_AT, NOW)
    assert len(document['rows']) == LISTED
    assert document['otherRows']['rowsLeftOut'] == document['summary']['manifests'] - LISTED


# --- Layers ------------------------------------------------------------------------------------------------------


def layers_of(manifest, world):
    """The layers that a manifest has in the registry, in order, each once; without the config.

    Those that it names as foreign alone come first: they are base layers.
    """
    said = oracle.document(manifest)
    stored = oracle.blob_table([dict(world[0], manifests=[manifest])], world)
    config = said['config']['digest'] if 'config' in said else None
    in_index = [each for each in said.get('manifests', []) if each['mediaType'] not in oracle.MANIFESTS]
    blobs = [*said.get('layers', ()), *said.get('blobs', ()), *in_index]
    own = [blob['digest'] for blob in blobs if not blob.get('urls')]
    listed = [blob['digest'] for blob in blobs if blob['digest'] in stored and blob['digest'] not in own] + own
    return list(dict.fromkeys(each for each in listed if each != config))


@examples(80)
@given(worlds.worlds())
def test_a_layer_has_its_users_and_what_lies_below_it_in_all_of_them(world):
    everything = [(repository['name'], manifest) for repository in world for manifest in repository['manifests']]
    for row in document_of(world, 'layer')['rows']:
        users = [
            (name, manifest)
            for name, manifest in everything
            if row['digest'] in oracle.blob_table([dict(world[0], manifests=[manifest])], world)
        ]
        assert (row['images'], row['repositories']) == (len(users), len({name for name, _ in users}))
        below = {
            tuple(layers_of(manifest, world)[: layers_of(manifest, world).index(row['digest'])])
            if row['digest'] in layers_of(manifest, world)
            else None
            for _, manifest in users
        }
        assert row['layersBelow'] == (len(below.pop()) if len(below) == 1 and below != {None} else None)
        assert (row['totalBytes'], row['attributedBytes']) == (len(users) * row['size'], row['size'])


def layer_rows(*repositories):
    rows = document_of(list(repositories), 'layer')['rows']
    return {
        next(number for number, layer in enumerate(BASE_LAYERS) if layer['digest'] == row['digest']): row
        for row in rows
        if row['digest'] in {layer['digest'] for layer in BASE_LAYERS}
    }


def test_a_layer_belongs_to_the_image_that_all_its_users_build_on():
    base = repository_of(image('base', [5, 4], tags=['v1']), name='team/base')
    built = repository_of(image('one', [5, 4, 0], tags=['v1']), image('two', [5, 4, 1]), name='team/app')
    rows = layer_rows(base, built)
    assert [
        (rows[number]['layersBelow'], rows[number]['chainLayers'], rows[number]['baseImage']) for number in (5, 4)
    ] == [(0, 2, 'team/base:v1'), (1, 2, 'team/base:v1')]
    assert rows[4]['chainBytes'] == BASE_LAYERS[5]['size'] + BASE_LAYERS[4]['size']
    assert (rows[0]['layersBelow'], rows[0]['baseImage']) == (2, None)


def test_the_base_image_is_the_oldest_with_a_tag_of_its_own_or_of_its_index():
    young, old, bare = (
        dict(image(name, [5], tags=tags), created=NOW - days * DAY * TICKS)
        for name, tags, days in (('young', ['new'], 5), ('old', ['old'], 50), ('bare', [], 500))
    )
    built = repository_of(image('app', [5, 0]), name='team/app')
    assert layer_rows(repository_of(young, old, bare, name='team/base'), built)[5]['baseImage'] == 'team/base:old'
    part = repository_of(bare, index('whole', [bare['digest']], tags=['multi']), name='team/base')
    assert layer_rows(part, built)[5]['baseImage'] == 'team/base:multi'
    assert layer_rows(repository_of(bare, name='team/base'), built)[5]['baseImage'] is None


@pytest.mark.parametrize('oldest', ['a', 'b', 'c'])
def test_the_oldest_base_image_counts_in_whatever_order_they_come(oldest):
    bases = [
        dict(image(name, [5], tags=[name]), created=NOW - (90 if name == oldest else 5) * DAY * TICKS) for name in 'abc'
    ]
    built = repository_of(image('app', [5, 0]), name='team/app')
    assert layer_rows(repository_of(*bases, name='team/base'), built)[5]['baseImage'] == f'team/base:{oldest}'


def test_images_that_nothing_builds_on_are_no_base_images():
    twins = repository_of(image('one', [5], tags=['one']), image('two', [5], tags=['two']))
    assert layer_rows(twins)[5]['baseImage'] is None


def test_a_layer_on_different_ground_belongs_to_no_chain():
    world = repository_of(image('one', [4, 5], tags=['one']), image('two', [3, 5], tags=['two']))
    assert [layer_rows(world)[5][key] for key in ('layersBelow', 'chainLayers', 'chainBytes', 'baseImage')] == [
        None
    ] * 4


# --- Patterns of tags --------------------------------------------------------------------------------------------


@examples(80)
@given(worlds.tagged_worlds())
def test_a_pattern_has_what_its_tags_keep_and_an_even_part_of_what_others_keep_too(world):
    shares = attributed(world)
    rows = {(row['repository'], row['pattern']): row for row in document_of(world, 'tag-pattern')['rows']}
    for repository in world:
        belongs = naive(repository)
        keeps = {manifest['digest']: belongs.get(manifest['digest'], {None}) for manifest in repository['manifests']}
        patterns = {pattern for each in keeps.values() for pattern in each}
        assert {pattern for name, pattern in rows if name == repository['name']} == patterns
        for pattern in patterns:
            row = rows[repository['name'], pattern]
            members = [digest for digest, each in keeps.items() if pattern in each]
            alone = {(repository['name'], digest) for digest, each in keeps.items() if each == {pattern}}
            share = sum(shares[repository['name'], digest] / len(keeps[digest]) for digest in members)
            assert row['manifests'] == len(members)
            assert row['uniqueBytes'] == oracle.freed_bytes(world, alone)
            assert abs(row['attributedBytes'] - share) < 20 * (len(members) + 1)
            assert row['storedBytes'] == row['uniqueBytes'] + row['sharedBytes']


def test_what_no_tag_keeps_is_a_row_without_a_pattern():
    orphan = image('orphan', [2], tags=[attachment_tag(sha('gone'))])
    document = document_of(
        [
            repository_of(
                image('a', [0], tags=['pr-1']),
                image('b', [0], tags=['pr-20']),
                image('c', [1]),
                orphan,
                ghost(image('g')),
            )
        ],
        'tag-pattern',
    )
    rows = {row['pattern']: (row['tags'], row['tagCount'], row['manifests']) for row in document['rows']}
    assert rows == {'pr-*': (['pr-1', 'pr-20'], 2, 2), None: ([], 0, 3)}


# --- The rest ----------------------------------------------------------------------------------------------------


def test_the_last_pull_is_shown_where_the_log_knows_it():
    one, two = image('one', [0], tags=['pr-1']), image('two', [1])
    world = [repository_of(one, two, name='team/app'), repository_of(image('x'), name='team/other')]
    pulls = Pulls(0, {'team/app': {one['digest']: NOW - TICKS}}, {'team/app': {'pr-1': NOW}})
    log = Log('logs', pulls, NOW - 90 * TICKS)
    document = document_of(world, log=log)
    assert document['pulls'] == {'workspace': 'logs', 'logsSince': time_text(NOW)[:10]}
    assert {row['repository']: row['lastPulledTime'] for row in document['rows']} == {
        'team/app': time_text(NOW)[:19] + 'Z',
        'team/other': None,
    }
    images = {row['digest']: row['lastPulledTime'] for row in document_of(world, 'image', log=log)['rows']}
    assert (parse_ticks(images[one['digest']]), images[two['digest']]) == (NOW - TICKS, None)
    patterns = {row['pattern']: row['lastPulledTime'] for row in document_of(world[:1], 'tag-pattern', log=log)['rows']}
    assert (parse_ticks(patterns['pr-*']), patterns[None]) == (NOW, None)


def test_a_log_that_knows_nothing_of_late_says_so():
    document = document_of([repository_of(image('x'))], log=Log('logs', Pulls(), None))
    assert document['pulls'] == {'workspace': 'logs', 'logsSince': None}


def test_without_a_log_no_pull_is_known():
    document = document_of([repository_of(image('x'))])
    assert (document['pulls'], document['rows'][0]['lastPulledTime']) == (None, None)


def test_what_could_not_be_read_makes_the_sums_lower_bounds_and_no_cost_is_invented():
    price = Price(Decimal('1'), 'USD')
    document = document_of(
        [repository_of(unreadable(image('a', [0])), image('b', [1]))], account=Account('Basic'), price=price
    )
    assert (document['heldImpact'], document['cost']['perMonth']) == ('lowerBound', None)
    assert 'unreadable' in {warning['code'] for warning in document['warnings']}


@pytest.mark.parametrize('by', sorted(KINDS))
def test_the_same_registry_gives_the_same_document(by):
    inventory = busy(200)
    turned = replace(
        inventory,
        repositories=tuple(
            replace(each, manifests=dict(reversed(each.manifests.items()))) for each in reversed(inventory.repositories)
        ),
    )
    one, other = (json.dumps(usage_document(each, by, 7, CREATED_AT, NOW)) for each in (inventory, turned))
    assert one == other


@pytest.mark.parametrize('by', sorted(KINDS))
def test_an_empty_registry_has_no_rows(by):
    document = usage_document(inventory_of([]), by, None, CREATED_AT, NOW)
    assert (document['rows'], document['otherRows'], document['summary']['registryBytes']) == ([], None, 0)


@pytest.mark.parametrize('by', sorted(KINDS))
def test_a_deep_nest_of_indexes_and_huge_sizes_are_no_trouble(by):
    manifests, below = {}, ()
    for number in range(2_000):
        tags = ('outermost',) if number == 1_999 else ()
        made = manifest_of(('nest', number), [Blob(sha('huge', number), 2**63 - 1)], 5, children=below, tags=tags)
        manifests[made.digest], below = made, (made.digest,)
    document = usage_document(inventory_of([Repository('team/nest', manifests)]), by, 10, CREATED_AT, NOW)
    assert (
        total(document) + (document['summary']['manifestBytes'] if by == 'layer' else 0)
        == (document['summary']['registryBytes'])
    )


# --- What was not read -------------------------------------------------------------------------------------------


SIZES = ('TOTAL', 'UNIQUE', 'SHARED', 'ATTRIBUTED', 'SHARE', '12_MONTHS')


def half_read():
    closed, docker = unreadable(image('closed', [1], tags=['v1'])), image('fine', [0], tags=['v1'])
    inventory = to_inventory([repository_of(closed, name='closed'), repository_of(docker, name='fine')])
    warning = Notice('repositoryNotRead', 'The repository could not be read: no.', 'secret')
    return closed, replace(inventory, complete=False, whole=False, warnings=(warning,))


@pytest.mark.parametrize('by', KINDS)
def test_beside_what_was_not_read_each_number_says_which_bound_it_is(by):
    closed, inventory = half_read()
    document = usage_document(inventory, by, None, CREATED_AT, NOW)
    assert document['heldImpact'] == 'lowerBound'
    kinds = {row['repository']: row['impact'] for row in document['rows'] if by != 'layer'}
    expected = {'closed': 'unknown', 'fine': 'upperBound'}
    assert kinds == {name: expected[name] for name in kinds} and (kinds or by == 'layer')
    assert document['notRead'] == ['secret (whole repository)', f'closed@{closed["digest"]}']
    for row in usage_rows(document):
        sizes = {
            key: row[key] for key in ('TOTAL', 'UNIQUE', 'SHARED', 'ATTRIBUTED', 'SHARE', '12_MONTHS') if row.get(key)
        }
        assert sizes and all(text.startswith(('at least ', 'at most ', 'about ')) for text in sizes.values())
    last = list(usage_lines(document))[-1]
    assert last.startswith('Not read') and 'secret' in last and 'closed@sha256:' in last


def test_where_all_was_read_nothing_is_a_bound():
    document = usage_document(to_inventory([repository_of(image('fine', [0]))]), 'repository', None, CREATED_AT, NOW)
    assert (document['heldImpact'], document['notRead'], document['rows'][0]['impact']) == ('exact', [], 'exact')
    words = ' '.join(str(value) for row in usage_rows(document) for value in row.values())
    assert not any(word in words for word in ('at most', 'at least', 'about'))


def test_a_report_says_which_bounds_its_numbers_are_and_what_was_not_read():
    closed, inventory = half_read()
    document = report_document(inventory, None, CREATED_AT, NOW)
    assert document['heldImpact'] == 'lowerBound' and document['notRead'][0] == 'secret (whole repository)'
    page = report_html(document)
    assert '<strong>at least ' in page and 'lower bounds' in page and 'secret (whole repository)' in page
    assert all(row['SHARE'].startswith(('at least ', 'at most ', 'about ')) for row in report_rows(document))


def test_of_many_names_that_were_not_read_some_are_shown_and_all_are_counted():
    assert not_read_line([str(number) for number in range(12)]).endswith('8, 9, and 2 more.')
