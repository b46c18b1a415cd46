"""What a deletion frees (semantics.md, Layer impact)."""

from dataclasses import replace

import pytest

from azext_acrprune.decide.graph import build_graph, falls_with
from azext_acrprune.decide.impact import kind_of, kind_of_freed, kind_of_held, open_ledger
from azext_acrprune.decide.measures import to_measure, with_measures
from azext_acrprune.model import BOUNDS, Blob, Content, Inventory, Manifest, Repository
from tests.worlds import (
    BASE_LAYERS,
    CONFIGS,
    artifact,
    attachment_tag,
    ghost,
    image,
    index,
    repository_of,
    to_inventory,
    to_repository,
    unreadable,
)

LAYER_0, LAYER_1 = (layer['size'] for layer in BASE_LAYERS[:2])
FOREIGN = 6
FOREIGN_LAYER_0 = 7


DIGEST = 'sha256:' + 'a' * 64


def impact_of(world, *doomed):
    """The impact of deleting these manifests from the first repository."""
    name = world[0]['name']
    return open_ledger(to_inventory(world)).impact(frozenset((name, manifest['digest']) for manifest in doomed))


def config(*layers):
    return CONFIGS[sum(layers) % len(CONFIGS)]['size']


def size(*manifests):
    return sum(len(manifest['data']) for manifest in manifests)


def test_last_image_frees_its_config_its_layers_and_its_own_bytes():
    gone = image('gone', [0, 1])
    impact = impact_of([repository_of(gone)], gone)
    assert impact.freed == LAYER_0 + LAYER_1 + config(0, 1) + size(gone)
    assert (impact.freed_manifests, impact.shared, impact.registry) == (size(gone), 0, impact.freed)


def test_artifact_frees_its_blobs():
    gone = artifact('gone', [1])
    assert impact_of([repository_of(gone)], gone).freed == LAYER_1 + size(gone)


def test_layer_that_a_survivor_uses_is_shared():
    gone, stays = image('gone', [0, 1]), image('stays', [0])
    impact = impact_of([repository_of(gone, stays)], gone)
    assert (impact.freed, impact.shared) == (LAYER_1 + config(1) + size(gone), LAYER_0)


def test_layer_that_a_survivor_in_another_repository_uses_is_shared():
    gone, stays = image('gone', [0, 1]), image('stays', [0])
    impact = impact_of([repository_of(gone), repository_of(stays, name='other')], gone)
    assert (impact.freed, impact.shared) == (LAYER_1 + config(1) + size(gone), LAYER_0)


def test_survivor_in_a_repository_that_is_not_selected_counts_too():
    gone, stays = image('gone', [0, 1]), image('stays', [0])
    world = [repository_of(gone), repository_of(stays, name='other', selected=False)]
    assert impact_of(world, gone).shared == LAYER_0


def test_layer_shared_among_doomed_images_is_freed_once_by_the_plan_and_by_none_alone():
    one, other = image('one', [0]), image('other', [0])
    world = [repository_of(one, other)]
    assert impact_of(world, one, other).freed == LAYER_0 + config(0) + size(one, other)
    assert impact_of(world, one).freed == size(one)


def test_foreign_layer_is_stored_elsewhere():
    gone = image('gone', [FOREIGN])
    assert impact_of([repository_of(gone)], gone).freed == config(FOREIGN) + size(gone)


def test_a_foreign_layer_that_was_pushed_is_held_by_who_names_it():
    gone, stays = image('gone', [0]), image('stays', [FOREIGN_LAYER_0])
    assert impact_of([repository_of(gone, stays)], gone).freed == config(0) + size(gone)
    assert impact_of([repository_of(stays, gone)], stays).freed == config(FOREIGN_LAYER_0) + size(stays)


def of_unmeasured(*blobs):
    content = Content(10, blobs=(Blob('layer', 5),), unmeasured=blobs)
    return Inventory('host', (Repository('app', {DIGEST: Manifest(DIGEST, content)}),), frozenset(['app']))


def test_the_registry_is_asked_for_blobs_that_no_manifest_says_to_be_stored():
    assert to_measure(of_unmeasured(Blob('foreign', 7), Blob('layer', 5))) == {'foreign': 'app'}


@pytest.mark.parametrize(
    'sizes, registry, whole', [({}, 15, False), ({'foreign': 0}, 15, True), ({'foreign': 7}, 22, True)]
)
def test_what_the_registry_says_of_a_foreign_layer_counts_and_what_nobody_knows_is_not_whole(sizes, registry, whole):
    ledger = open_ledger(with_measures(of_unmeasured(Blob('foreign', 7)), sizes))
    assert (ledger.registry_bytes, ledger.whole) == (registry, whole)


def test_a_foreign_layer_that_another_manifest_says_to_be_empty_is_not_stored():
    manifests = [
        Manifest(digest, content)
        for digest, content in (
            (DIGEST, Content(10, unmeasured=(Blob('foreign', 7),))),
            ('other', Content(10, blobs=(Blob('foreign', 0),))),
        )
    ]
    repository = Repository('app', {manifest.digest: manifest for manifest in manifests})
    measured = with_measures(Inventory('host', (repository,), frozenset(['app'])), {})
    content = measured.repositories[0].manifests[DIGEST].content
    assert (content.blobs, content.unmeasured) == ((), ())


def test_what_is_there_and_not_listed_may_hold_anything():
    seen = Repository('app', {DIGEST: Manifest(DIGEST, Content(10))}, unseen='more is there')
    assert not open_ledger(Inventory('host', (seen,), frozenset())).whole


def test_same_layer_twice_counts_once():
    gone = image('gone', [0, 0])
    assert impact_of([repository_of(gone)], gone).freed == LAYER_0 + config(0) + size(gone)


def test_manifest_that_another_repository_holds_frees_nothing():
    gone = image('gone', [0])
    impact = impact_of([repository_of(gone), repository_of(gone, name='other')], gone)
    assert (impact.freed, impact.freed_manifests, impact.shared) == (0, 0, LAYER_0 + config(0))


def test_manifest_that_goes_from_both_repositories_is_freed_once():
    gone = image('gone', [0])
    world = [repository_of(gone), repository_of(gone, name='other')]
    nodes = frozenset((repository['name'], gone['digest']) for repository in world)
    assert open_ledger(to_inventory(world)).impact(nodes).freed == LAYER_0 + config(0) + size(gone)


def test_the_bytes_of_manifests_are_those_of_one_repository_and_of_several_together():
    alone, copied = image('alone', [0]), image('copied', [0])
    world = [repository_of(alone, copied), repository_of(copied, name='other')]
    nodes = [(world[0]['name'], alone['digest']), *((each['name'], copied['digest']) for each in world)]
    found = open_ledger(to_inventory(world)).impact(nodes)
    assert found.freed_manifests == size(alone, copied) and found.freed == LAYER_0 + config(0) + size(alone, copied)


def test_a_manifest_that_goes_from_hundreds_of_repositories_is_freed_once():
    gone = image('gone', [0])
    world = [repository_of(gone, name=f'team/{number}') for number in range(300)]
    nodes = [(repository['name'], gone['digest']) for repository in world]
    ledger = open_ledger(to_inventory(world))
    assert ledger.bytes_freed_by(nodes) == ledger.impact(nodes).freed == LAYER_0 + config(0) + size(gone)
    assert ledger.bytes_freed_by(nodes[1:]) == 0


@pytest.mark.parametrize(
    'others, unique', [([], LAYER_0 + LAYER_1 + config(0, 1)), ([image('other', [0])], LAYER_1 + config(0, 1))]
)
def test_what_only_one_manifest_holds_is_its_own_and_what_others_hold_too_is_not(others, unique):
    gone = image('gone', [0, 1])
    impact = impact_of([repository_of(gone, *others)], gone)
    assert impact.unique == {'team/web': {gone['digest']: unique + size(gone)}}


@pytest.mark.parametrize('spoil', [ghost, unreadable])
def test_ghost_and_unreadable_hold_nothing(spoil):
    gone = image('gone', [0])
    assert impact_of([repository_of(gone, spoil(image('other', [0])))], gone).freed == LAYER_0 + config(0) + size(gone)


def test_disagreement_about_a_size_counts_the_larger_and_is_told():
    inventory = to_inventory([repository_of(image('gone'))])
    manifests = inventory.repositories[0].manifests
    some = next(iter(manifests.values()))
    for digest, number in (('sha256:small', 1), ('sha256:large', 9)):
        manifests[digest] = some._replace(digest=digest, content=Content(size=0, blobs=(Blob('layer', number),)))
    ledger = open_ledger(inventory)
    assert (ledger.sizes['layer'], ledger.consistent) == (9, False)


def test_agreement_is_consistent():
    assert open_ledger(to_inventory([repository_of(image('one', [0]), image('other', [0]))])).consistent


def test_what_images_hold_is_told_as_if_nothing_were_shared_once_and_alone():
    one, two, other = image('one', [0, 1]), image('two', [0, 2]), image('other', [2])
    ledger = open_ledger(to_inventory([repository_of(one, two, other)]))
    holding = ledger.holding(('team/web', each['digest']) for each in (one, two))
    layers = [layer['size'] for layer in BASE_LAYERS]
    own = sum(len(each['data']) for each in (one, two)) + CONFIGS[1]['size'] + CONFIGS[2]['size']
    assert holding.total == own + 2 * layers[0] + layers[1] + layers[2]
    assert holding.stored == own + layers[0] + layers[1] + layers[2]
    assert holding.shared == layers[2] + CONFIGS[2]['size']
    assert holding.unique == holding.stored - holding.shared


def test_an_image_that_has_to_stay_holds_its_bytes_and_frees_none():
    stays = image('stays', [0, 1])
    ledger = open_ledger(to_inventory([repository_of(stays)]))
    holding = ledger.holding_alone(('team/web', stays['digest']), [])
    assert (holding.stored, holding.unique) == (LAYER_0 + LAYER_1 + config(0, 1) + size(stays), 0)


# --- What falls with one -----------------------------------------------------------------------------------------


def falling(start, *manifests, may_fall=None):
    doomed = {manifest['digest'] for manifest in (manifests if may_fall is None else may_fall)}
    return falls_with(start['digest'], build_graph(to_repository(repository_of(*manifests))), doomed)


def digests(*manifests):
    return {manifest['digest'] for manifest in manifests}


def test_referrers_and_attachments_fall_with_their_subject_recursively():
    subject = image('subject')
    sbom = artifact('sbom', subject=subject['digest'])
    signature = image('signature', tags=[attachment_tag(sbom['digest'])])
    assert falling(subject, subject, sbom, signature) == digests(subject, sbom, signature)


def test_referrer_falls_with_its_subject_even_where_an_index_names_it():
    subject = image('subject')
    sbom = artifact('sbom', subject=subject['digest'])
    parent = index('index', [sbom['digest']])
    assert falling(subject, subject, sbom, parent) == digests(subject, sbom)


def test_subject_does_not_fall_with_its_referrer():
    subject = image('subject')
    sbom = artifact('sbom', subject=subject['digest'])
    assert falling(sbom, subject, sbom) == digests(sbom)


def test_children_fall_with_their_last_index():
    leaf = image('leaf')
    inner = index('inner', [leaf['digest']])
    outer = index('outer', [inner['digest']])
    assert falling(outer, leaf, inner, outer) == digests(leaf, inner, outer)
    assert falling(leaf, leaf, inner, outer) == digests(leaf)


def test_child_of_another_index_does_not_fall():
    child = image('child')
    one, other = index('one', [child['digest']]), index('other', [child['digest']])
    assert falling(one, child, one, other) == digests(one)


def test_child_of_two_indexes_falls_with_both():
    child = image('child')
    inner = index('inner', [child['digest']])
    outer = index('outer', [child['digest'], inner['digest']])
    assert falling(outer, child, inner, outer) == digests(child, inner, outer)


def test_child_whose_subject_stays_does_not_fall():
    subject = image('subject')
    child = image('child', subject=subject['digest'])
    parent = index('index', [child['digest']])
    assert falling(parent, subject, child, parent) == digests(parent)


def test_an_index_whose_subject_is_its_own_child_falls_with_it():
    child = image('child')
    knot = index('knot', [child['digest']], subject=child['digest'])
    outer, other = index('outer', [knot['digest']]), index('other', [knot['digest']])
    assert falling(outer, child, knot, outer) == digests(child, knot, outer)
    assert falling(outer, child, knot, outer, other) == digests(outer), 'the other index keeps both'


def test_what_an_index_needs_that_stays_keeps_its_subject():
    child = image('child')
    sbom = artifact('sbom', subject=child['digest'])
    one, other = index('one', [child['digest']]), index('other', [sbom['digest']])
    assert falling(one, child, sbom, one, other) == digests(one)


def test_what_the_plan_keeps_does_not_fall():
    child = image('child')
    parent = index('index', [child['digest']])
    assert falling(parent, child, parent, may_fall=[parent]) == digests(parent)


# --- What a number is --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'others, going, kind, held',
    [
        ([], [image('gone', [0])], 'exact', 'exact'),
        ([unreadable(image('other', [1]))], [image('gone', [0])], 'upperBound', 'lowerBound'),
        ([], [unreadable(image('gone', [0]))], 'lowerBound', 'lowerBound'),
        ([unreadable(image('other', [1]))], [unreadable(image('gone', [0]))], 'unknown', 'lowerBound'),
        ([ghost(image('other'))], [ghost(image('gone'))], 'exact', 'exact'),
    ],
)
def test_what_was_not_read_makes_a_lower_bound_where_it_goes_and_an_upper_one_where_it_stays(others, going, kind, held):
    inventory = to_inventory([repository_of(*others, *going)])
    ledger = open_ledger(inventory)
    nodes = [('team/web', manifest['digest']) for manifest in going]
    assert (kind_of_freed(inventory, ledger, nodes), kind_of_held(inventory, ledger)) == (kind, held)


@pytest.mark.parametrize('changes', [{'whole': False}, {'complete': False}])
def test_a_repository_that_was_not_seen_makes_what_is_freed_an_upper_bound_and_what_is_held_a_lower_one(changes):
    inventory = replace(to_inventory([repository_of(image('gone'))]), **changes)
    ledger = open_ledger(inventory)
    nodes = [('team/web', image('gone')['digest']), ('team/gone', 'sha256:unknown')]
    assert kind_of_freed(inventory, ledger, nodes) == 'upperBound'
    assert kind_of_held(inventory, ledger) == 'lowerBound'


def test_only_what_is_in_a_repository_that_is_not_listed_as_a_whole_is_cut():
    inventory = to_inventory([repository_of(image('one')), repository_of(image('other'), name='other')])
    whole, cut = inventory.repositories
    ledger = open_ledger(replace(inventory, repositories=(whole, replace(cut, unseen='more is there'))))
    assert [ledger.is_cut((each.name, digest) for digest in each.manifests) for each in (whole, cut)] == [False, True]


def test_what_a_repository_does_not_have_counts_as_read():
    inventory = to_inventory([repository_of(unreadable(image('other')))])
    assert open_ledger(inventory).unread_among([('team/web', 'sha256:none'), ('team/none', 'sha256:none')]) == 0


@pytest.mark.parametrize(
    'at_most, at_least, name',
    [(False, False, 'exact'), (True, False, 'upperBound'), (False, True, 'lowerBound'), (True, True, 'unknown')],
)
def test_each_bound_has_a_name_and_a_word(at_most, at_least, name):
    assert kind_of(at_most, at_least) == name
    assert BOUNDS[name] == {'exact': '', 'upperBound': 'at most ', 'lowerBound': 'at least ', 'unknown': 'about '}[name]
