"""Who needs whom inside one repository, and in which order it goes (semantics.md, The graph, Drift)."""

import pytest

from azext_acrprune.decide.graph import (
    attached_subjects,
    build_graph,
    deletion_batches,
    deletion_waves,
    missing_children,
    spread,
    user_tags,
    walk,
)
from tests.worlds import (
    artifact,
    attachment_tag,
    bringing,
    ghost,
    image,
    index,
    repository_of,
    sha256,
    to_repository,
    unreadable,
)


def graph_of(*manifests):
    return build_graph(to_repository(repository_of(*manifests)))


def waves(*manifests, doomed=None):
    doomed = {manifest['digest'] for manifest in (manifests if doomed is None else doomed)}
    return list(deletion_waves(graph_of(*manifests), doomed))


def digests(*manifests):
    return sorted(manifest['digest'] for manifest in manifests)


def test_index_and_child_know_each_other():
    child = image('child')
    parent = index('index', [child['digest']])
    graph = graph_of(child, parent)
    assert graph.children == {parent['digest']: (child['digest'],)}
    assert graph.parents == {child['digest']: (parent['digest'],)}
    assert graph.below(parent['digest']) == (child['digest'],) and graph.below(child['digest']) == ()
    assert graph.referrers == graph.subjects == graph.orphans == {}


def test_referrers_by_content_and_by_tag_are_both_referrers():
    subject = image('subject')
    sbom = artifact('sbom', subject=subject['digest'])
    signature = image('signature', tags=[attachment_tag(subject['digest'])])
    graph = graph_of(subject, sbom, signature)
    assert sorted(graph.referrers[subject['digest']]) == digests(sbom, signature)
    assert graph.subjects == {sbom['digest']: (subject['digest'],), signature['digest']: (subject['digest'],)}


def test_one_subject_named_twice_is_one_edge():
    subject = image('subject')
    twice = image(
        'twice',
        subject=subject['digest'],
        tags=[attachment_tag(subject['digest'], suffix) for suffix in ('.sig', '.att')],
    )
    assert graph_of(subject, twice).subjects[twice['digest']] == (subject['digest'],)


def test_missing_manifest_is_no_node():
    missing = sha256(b'missing')
    graph = graph_of(index('index', [missing], subject=missing))
    assert (graph.children, graph.parents, graph.subjects, graph.referrers) == ({}, {}, {}, {})


def test_ghost_is_no_node():
    gone = ghost(image('gone'))
    holder = index('index', [gone['digest']], subject=gone['digest'])
    graph = graph_of(gone, holder, ghost(index('other', [holder['digest']])))
    assert (graph.children, graph.parents, graph.subjects, graph.referrers) == ({}, {}, {}, {})


def test_unreadable_manifest_has_the_edges_of_its_tags():
    subject = image('subject')
    bad = unreadable(image('bad', tags=[attachment_tag(subject['digest'])]))
    assert graph_of(subject, bad).referrers == {subject['digest']: (bad['digest'],)}


def test_orphan_is_an_attachment_that_refers_to_nothing_that_exists():
    missing = sha256(b'missing')
    orphan = image('orphan', tags=[attachment_tag(missing)])
    tagged = image('tagged', tags=['v1', attachment_tag(missing, '.att')])
    assert graph_of(orphan, tagged, image('plain')).orphans == {orphan['digest']: missing}


def test_of_several_subjects_that_are_missing_an_orphan_has_that_of_its_first_tag():
    one, other = sorted([sha256(b'one'), sha256(b'other')])
    orphan = image('orphan', tags=[attachment_tag(other), attachment_tag(one)])
    assert graph_of(orphan).orphans == {orphan['digest']: one}


def test_user_tags_are_those_that_attach_to_nothing():
    repository = to_repository(repository_of(image(tags=['v1', attachment_tag(sha256(b''))])))
    assert [user_tags(manifest) for manifest in repository.manifests.values()] == [('v1',)]


@pytest.mark.parametrize('kind, suffix, is_of_a_user', [(image, '', True), (index, '', False), (image, '.sig', False)])
def test_a_digest_with_nothing_after_it_is_a_user_tag_on_an_image_and_attaches_an_index(kind, suffix, is_of_a_user):
    tag = attachment_tag(sha256(b''), suffix)
    (manifest,) = to_repository(repository_of(kind(tags=[tag]))).manifests.values()
    assert user_tags(manifest) == ((tag,) if is_of_a_user else ())
    assert attached_subjects(manifest) == (() if is_of_a_user else (sha256(b''),))


def test_edges_inside_one_repository_only():
    child = image('child')
    assert graph_of(index('index', [child['digest']])).children == {}


def test_spread_visits_each_once_and_ends_in_a_cycle():
    edges = {'a': [('b', 'x')], 'b': [('c', 'y'), ('a', 'x')], 'c': [('b', 'z')]}
    assert spread(['a'], edges.__getitem__) == {'b': ('x', 'a'), 'c': ('y', 'b')}


def test_index_goes_before_its_children():
    leaf = image('leaf')
    inner = index('inner', [leaf['digest']])
    outer = index('outer', [inner['digest']])
    assert waves(leaf, inner, outer) == [digests(outer), digests(inner), digests(leaf)]


def test_child_of_two_indexes_waits_for_both():
    child = image('child')
    inner = index('inner', [child['digest']])
    outer = index('outer', [child['digest'], inner['digest']])
    assert waves(child, inner, outer) == [digests(outer), digests(inner), digests(child)]


def test_subject_goes_before_its_referrers():
    subject = image('subject')
    sbom = artifact('sbom', subject=subject['digest'])
    signature = image('signature', tags=[attachment_tag(sbom['digest'])])
    assert waves(subject, sbom, signature) == [digests(subject), digests(sbom), digests(signature)]


def test_what_is_unrelated_goes_side_by_side():
    one, other = image('one'), image('other')
    assert waves(one, other) == [digests(one, other)]


def test_holder_that_stays_is_not_waited_for():
    child = image('child')
    assert waves(child, index('index', [child['digest']]), doomed=[child]) == [digests(child)]


def test_nothing_doomed_gives_no_wave():
    assert waves(image(), doomed=[]) == []


def test_cycle_of_attachment_tags_ends_and_keeps_index_before_child():
    child = image('child')
    parent = index('index', [child['digest']], tags=[attachment_tag(child['digest'])])
    assert waves(child, parent) == [digests(parent), digests(child)]


def test_index_that_refers_to_its_own_child_goes_first():
    child = image('child')
    parent = index('index', [child['digest']], subject=child['digest'])
    assert waves(child, parent) == [digests(parent), digests(child)]


def test_attachment_to_itself_does_not_wait_for_itself():
    alone = image('alone')
    alone['tags'] = [attachment_tag(alone['digest'])]
    child = image('child', subject=alone['digest'])
    assert waves(alone, child) == [digests(alone), digests(child)]


def test_missing_children_are_those_not_listed_and_the_ghosts():
    there, gone, absent = image('there'), ghost(image('gone')), sha256(b'absent')
    partial = index('index', [there['digest'], gone['digest'], absent])
    repository = to_repository(repository_of(there, gone, partial))
    assert missing_children(repository, partial['digest']) == (gone['digest'], absent)


def test_what_an_index_brings_along_is_not_missing_and_what_is_no_index_or_cannot_be_read_lacks_nothing():
    brings, alone, closed = bringing('brings'), image('alone'), unreadable(index('closed', [sha256(b'absent')]))
    repository = to_repository(repository_of(brings, alone, closed))
    assert [missing_children(repository, digest) for digest in digests(brings, alone, closed)] == [()] * 3


def test_walk_begins_with_where_it_starts_and_names_each_once():
    edges = {'a': 'bc', 'b': 'c', 'c': 'a'}
    assert walk('a', lambda digest: edges[digest]) == ['a', 'b', 'c']


def test_batches_hold_together_what_an_edge_ties_and_are_no_larger_than_they_have_to_be():
    pairs = []
    for number in range(3):
        child = image(f'child {number}')
        pairs.append((child, index(f'index {number}', [child['digest']])))
    alone = [image(f'alone {number}') for number in range(2)]
    everything = [manifest for pair in pairs for manifest in pair] + alone
    found = [sorted(batch) for batch in deletion_batches(graph_of(*everything), set(digests(*everything)), 2)]
    assert sorted(found[:-1]) == sorted(digests(*pair) for pair in pairs)
    assert found[-1] == digests(*alone)


def test_a_ghost_is_tied_to_the_index_that_names_it():
    gone = ghost(image('gone'))
    parent = index('index', [gone['digest']])
    assert [sorted(batch) for batch in deletion_batches(graph_of(gone, parent), set(digests(gone, parent)), 1)] == [
        digests(gone, parent)
    ]


def test_nothing_doomed_gives_no_batch():
    assert list(deletion_batches(graph_of(image('image')), set(), 1)) == []
