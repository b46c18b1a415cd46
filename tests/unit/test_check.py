"""The health of a registry: what is found, how bad it is, and what mends it."""

import json
import shlex
from dataclasses import replace

import pytest
from hypothesis import given

from azext_acrprune.decide.named import parse_image
from azext_acrprune.decide.only_if import NotSo, decide_only_if
from azext_acrprune.documents.check import check_document, validation_document
from azext_acrprune.model import Blob, Content, Notice, Unreadable, time_text
from azext_acrprune.show.table import BELOW
from azext_acrprune.show.tables import check_rows, result_rows
from tests import oracle, worlds
from tests.examples import examples
from tests.worlds import (
    OCI_INDEX,
    attachment_tag,
    ghost,
    image,
    index,
    repository_of,
    to_inventory,
    to_repository,
    unreadable,
)

REPOSITORY = 'team/web'
GONE = image('gone')['digest']


WHEN = time_text(worlds.NOW)


def bare(inventory):
    """The same without annotations, which all manifests of the worlds have and which no mend deletes."""
    return replace(
        inventory,
        repositories=tuple(
            replace(repository, manifests={digest: _bare(each) for digest, each in repository.manifests.items()})
            for repository in inventory.repositories
        ),
    )


def _bare(manifest):
    content = manifest.content
    return manifest.having(content._replace(annotations=())) if isinstance(content, Content) else manifest


def checked(*manifests, more=(), target=('myregistry',), whole=True, warnings=(), **options):
    inventory = bare(to_inventory([repository_of(*manifests, **options), *more]))
    return check_document(replace(inventory, whole=whole, warnings=warnings), WHEN, target)


def found(*manifests, **options):
    """(code, severity, digest, tag) of each finding."""
    return [
        (entry['code'], entry['severity'], entry['digest'], entry['tag'])
        for entry in checked(*manifests, **options)['findings']
    ]


def command(*manifests, **options):
    """The only command that mends the only finding."""
    (entry,) = checked(*manifests, **options)['findings']
    return entry['mend']['command']


def mend(*manifests, **options):
    """(command, advice) of the only finding."""
    (entry,) = checked(*manifests, **options)['findings']
    return entry['mend']['command'], entry['mend']['advice']


def deletes(manifest, condition):
    name = f'{REPOSITORY}@{manifest["digest"]}'
    return f'az acr prune image --registry myregistry --image {name} --only-if {condition}'


# --- What is found -----------------------------------------------------------------------------------------------

CHILD = image('child')
WHOLE = index('whole', [CHILD['digest']], tags=['whole'])


def test_a_registry_in_good_health_has_no_findings():
    signature = image('signature', tags=[attachment_tag(WHOLE['digest'])])
    document = checked(CHILD, WHOLE, signature, image('sbom', subject=WHOLE['digest']), image('untagged'))
    assert document['findings'] == []
    assert document['summary'] == {'repositories': 1, 'manifests': 5, 'findings': 0, 'broken': 0, 'findingsByCode': {}}


def test_a_ghost_is_broken_and_is_deleted_by_its_name():
    gone = ghost(image('gone'))
    assert found(gone) == [('ghost', 'broken', gone['digest'], None)]
    assert command(gone) == deletes(gone, 'ghost')


def test_an_unreadable_manifest_is_broken_and_no_command_mends_it():
    closed = unreadable(image('closed'))
    assert found(closed) == [('unreadable', 'broken', closed['digest'], None)]
    assert command(closed) is None


@pytest.mark.parametrize(
    'tags, children, severity, empty',
    [
        (['v1'], [CHILD['digest'], GONE], 'broken', False),
        (['v1'], [GONE], 'broken', True),
        ([], [CHILD['digest'], GONE], 'hint', False),
        ([], [GONE], 'hint', True),
    ],
)
def test_an_index_that_lacks_children_is_broken_where_somebody_needs_it(tags, children, severity, empty):
    partial = index('partial', children, tags=tags)
    (entry,) = checked(CHILD, partial)['findings']
    assert (entry['code'], entry['severity'], entry['digest']) == ('missingChildren', severity, partial['digest'])
    assert entry['data'] == {'missing': [GONE], 'lacking': 1, 'children': len(children), 'empty': empty}


def test_of_many_missing_children_some_are_listed_and_all_are_counted():
    partial = index('partial', [image(str(number))['digest'] for number in range(300)], tags=['v1'])
    (entry,) = checked(partial)['findings']
    assert (len(entry['data']['missing']), entry['data']['lacking'], entry['data']['children']) == (100, 300, 300)


def test_of_several_missing_children_the_first_that_the_index_names_is_told():
    gone = [image(name)['digest'] for name in ('one', 'two', 'three')]
    for missing in (gone, gone[::-1]):
        (entry,) = checked(CHILD, index('partial', [missing[0], CHILD['digest'], *missing[1:]]))['findings']
        assert entry['message'] == f'The index lacks 3 of its 4 manifests: {missing[0]}.'


def test_a_ghost_is_a_missing_child_too():
    gone = ghost(image('gone'))
    partial = index('partial', [gone['digest']], tags=['v1'])
    assert set(found(gone, partial)) == {
        ('ghost', 'broken', gone['digest'], None),
        ('missingChildren', 'broken', partial['digest'], None),
    }


@pytest.mark.parametrize('why', [{'locks': ['deleteEnabled']}, {'tags': ['v1']}])
def test_an_index_that_is_needed_by_another_is_broken_when_it_lacks_children(why):
    inner = index('inner', [GONE])
    outer = dict(index('outer', [inner['digest']]), **why)
    assert found(inner, outer) == [('missingChildren', 'broken', inner['digest'], None)]


def test_beside_an_unreadable_manifest_an_index_that_lacks_children_is_no_more_needed_than_elsewhere():
    partial, closed = index('partial', [GONE]), unreadable(index('closed'))
    assert ('missingChildren', 'hint', partial['digest'], None) in found(partial, closed)


def test_a_tagged_partial_index_is_not_deleted_by_a_mend_since_its_other_platforms_work():
    assert command(CHILD, index('partial', [CHILD['digest'], GONE], tags=['v1'])) is None
    assert command(index('partial', [GONE], tags=['v1'])) is None


def test_an_untagged_index_is_deleted_by_a_mend_when_nothing_of_it_is_left():
    assert mend(CHILD, index('partial', [CHILD['digest'], GONE])) == (
        None,
        'Push the image again with all its platforms. If nobody needs the others, delete it. '
        'No command, because it is not an index whose manifests are all missing.',
    )
    empty = index('partial', [GONE])
    assert command(empty) == deletes(empty, 'partial')


def test_an_index_that_names_nothing_is_broken_where_it_has_a_tag():
    empty = index('empty', tags=['v1'])
    assert found(empty) == [('emptyIndex', 'broken', empty['digest'], None)]
    assert command(empty) is None
    assert found(index('empty')) == []
    assert found(WHOLE, CHILD, index('list of referrers', tags=[attachment_tag(WHOLE['digest'], '')])) == []


@pytest.mark.parametrize('kind', ['blobs', 'unmeasured'])
def test_an_index_that_names_blobs_alone_is_not_empty(kind):
    inventory = bare(to_inventory([repository_of(index('cache', tags=['v1']))]))
    manifests = inventory.repositories[0].manifests
    for digest, manifest in manifests.items():
        manifests[digest] = manifest.having(manifest.content._replace(**{kind: (Blob(GONE, 7),)}))
    assert check_document(inventory, 'now', ('myregistry',))['findings'] == []


def test_an_index_that_is_an_artifact_by_itself_may_name_nothing():
    inventory = bare(to_inventory([repository_of(index('empty', tags=['v1']))]))
    manifests = inventory.repositories[0].manifests
    for digest, manifest in manifests.items():
        manifests[digest] = manifest._replace(artifact_type='application/x', media_type=OCI_INDEX)
    assert check_document(inventory, 'now', ('myregistry',))['findings'] == []


def test_an_attachment_without_its_subject_is_a_hint():
    orphan = image('signature', tags=[attachment_tag(GONE)])
    assert found(orphan) == [('orphanAttachment', 'hint', orphan['digest'], None)]
    assert command(orphan) == deletes(orphan, 'orphan')


def test_an_attachment_whose_subject_is_in_another_repository_is_none():
    images = repository_of(image('gone', tags=['v1']), name='team/images')
    assert found(image('signature', tags=[attachment_tag(GONE)]), more=[images]) == []
    assert found(image('signature', tags=['v1', attachment_tag(GONE)]), more=[images]) == []


@pytest.mark.parametrize('subject', [GONE, image('ghost')['digest']])
def test_a_referrer_without_its_subject_is_a_hint(subject):
    sbom = image('sbom', subject=subject)
    codes = [entry for entry in found(sbom, ghost(image('ghost'))) if entry[0] != 'ghost']
    assert codes == [('orphanReferrer', 'hint', sbom['digest'], None)]


def test_a_referrer_that_has_a_tag_of_its_own_is_not_deleted_by_a_mend():
    sbom = image('sbom', subject=GONE)
    assert command(sbom) == deletes(sbom, 'orphan')
    assert command(dict(sbom, tags=['sbom-v1'])) is None


def test_a_cosign_tag_without_a_subject_on_a_manifest_that_has_a_place_is_removed_alone():
    tag = attachment_tag(GONE)
    both = dict(image('both'), tags=['v1', tag])
    assert found(both) == [('attachmentTagWithoutSubject', 'hint', both['digest'], tag)]
    assert (
        command(both) == f'az acr prune image --registry myregistry --image {REPOSITORY}:{tag} --untag --only-if orphan'
    )


@pytest.mark.parametrize('flag, option', [('deleteEnabled', '--delete-enabled'), ('writeEnabled', '--write-enabled')])
def test_a_lock_on_a_tag_alone_is_a_hint_and_so_is_one_on_the_manifest_alone(flag, option):
    tagged = image('image', tags=['v1'])
    assert found(tagged, tag_locks={'v1': [flag]}) == [('tagLockedAlone', 'hint', tagged['digest'], 'v1')]
    assert command(tagged, tag_locks={'v1': [flag]}) == (
        f'az acr repository update --name myregistry --image {REPOSITORY}@{tagged["digest"]} {option} false'
    )
    locked = dict(tagged, locks=[flag])
    assert found(locked) == [('manifestLockedAlone', 'hint', tagged['digest'], 'v1')]
    assert command(locked) == f'az acr repository update --name myregistry --image {REPOSITORY}:v1 {option} false'
    assert found(locked, tag_locks={'v1': [flag]}) == []


def test_locks_of_tags_that_were_not_listed_are_not_known():
    inventory = to_inventory([repository_of(image('image', tags=['v1'], locks=['deleteEnabled']))])
    bare = replace(inventory, repositories=tuple(replace(each, tags={}) for each in inventory.repositories))
    assert check_document(bare, 'now', ('myregistry',))['findings'] == []


def with_size(inventory, digest, size):
    """The same, one manifest saying another size of its layers."""
    manifests = inventory.repositories[0].manifests
    content = manifests[digest].content
    blobs = tuple(Blob(blob.digest, size) for blob in content.blobs)
    manifests[digest] = manifests[digest]._replace(content=content._replace(blobs=blobs))
    return inventory


def test_the_manifest_that_says_another_size_than_most_is_broken():
    wrong = image('wrong', [0], tags=['v1'])
    inventory = to_inventory([repository_of(wrong, image('one', [0]), image('two', [0]))])
    (entry,) = check_document(with_size(inventory, wrong['digest'], 7), 'now', ('myregistry',))['findings']
    assert (entry['code'], entry['severity'], entry['digest']) == ('sizeMismatch', 'broken', wrong['digest'])
    assert entry['mend']['command'] is None and {blob['size'] for blob in entry['data']['blobs']} == {7}
    sizes = {each['digest']: each['size'] for each in (*worlds.CONFIGS, *worlds.LAYERS)}
    layer = entry['data']['blobs'][0]['digest']
    assert entry['message'] == (
        f'It says that the layer {layer} has 7 bytes, and other manifests say {sizes[layer]:,}; the larger size counts.'
    )


def test_a_manifest_without_a_layer_that_others_disagree_about_is_whole():
    wrong, unrelated = image('wrong', [0], tags=['v1']), image('unrelated', [1])
    inventory = to_inventory([repository_of(wrong, image('one', [0]), image('two', [0]), unrelated)])
    (entry,) = check_document(with_size(inventory, wrong['digest'], 7), 'now', ('myregistry',))['findings']
    assert (entry['code'], entry['digest']) == ('sizeMismatch', wrong['digest'])


def test_where_no_size_is_the_usual_one_all_are_suspected():
    one, two = image('one', [0]), image('two', [0])
    inventory = with_size(to_inventory([repository_of(one, two)]), one['digest'], 7)
    document = check_document(inventory, 'now', ('myregistry',))
    assert {entry['digest'] for entry in document['findings']} == {one['digest'], two['digest']}
    assert {entry['mend']['command'] for entry in document['findings']} == {None}, 'one of them is right'


# --- What stands in the way of a mend ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    'options', [{'locks': ['deleteEnabled']}, {'tag_locks': {attachment_tag(GONE): ['writeEnabled']}}]
)
def test_what_is_locked_is_not_deleted_by_a_mend(options):
    (entry,) = checked(image('signature', tags=[attachment_tag(GONE)]), **options)['findings']
    assert entry['mend']['command'] is None and 'No command, because it is locked' in entry['mend']['advice']


@pytest.mark.parametrize(
    'options', [{'locks': ['deleteEnabled']}, {'tag_locks': {attachment_tag(GONE): ['writeEnabled']}}]
)
def test_a_tag_for_an_image_that_is_gone_is_not_taken_off_by_a_mend_where_something_is_locked(options):
    both = image('image', tags=[attachment_tag(GONE), 'v1'])
    (free,), (entry,) = checked(both)['findings'], checked(both, **options)['findings']
    assert '--untag' in free['mend']['command']
    assert entry['mend']['command'] is None and 'No command, because it is locked' in entry['mend']['advice']


def test_what_something_that_is_there_needs_is_not_deleted_by_a_mend():
    gone, parent = ghost(image('gone')), index('parent', [image('gone')['digest'], CHILD['digest']], tags=['v1'])
    entry = next(entry for entry in checked(gone, parent, CHILD)['findings'] if entry['code'] == 'ghost')
    assert entry['mend']['command'] is None and parent['digest'] in entry['mend']['advice']


def test_beside_an_unreadable_manifest_nothing_is_deleted_by_a_mend():
    closed, gone = unreadable(index('closed')), ghost(image('gone'))
    entry = next(entry for entry in checked(gone, closed)['findings'] if entry['code'] == 'ghost')
    assert entry['mend']['command'] is None and closed['digest'] in entry['mend']['advice']


def test_an_orphan_with_a_signature_has_no_command_that_would_take_both():
    orphan = image('sbom', tags=[attachment_tag(GONE, '.sbom')])
    signature = image('signature', tags=[attachment_tag(orphan['digest'])])
    text, advice = mend(orphan, signature)
    assert text is None and advice.endswith(f'No command, because it would take {signature["digest"]} along.')


@pytest.mark.parametrize(
    'manifest',
    [
        ghost(image('gone', age=86_399)),
        ghost(image('gone', age=None)),
        ghost(image('gone', tags=['v1'])),
        image('signature', tags=[attachment_tag(GONE)], age=3_600),
        image('signature', tags=['v1', attachment_tag(GONE)], age=3_600),
        image('sbom', subject=GONE, age=3_600),
        index('partial', [GONE], age=3_600),
    ],
)
def test_what_is_young_or_has_a_tag_of_people_has_advice_and_no_command(manifest):
    text, advice = mend(manifest)
    assert text is None and ('younger than a day' in advice or 'has the tag v1' in advice)


@pytest.mark.parametrize('condition', [{}, {'subject': GONE}])
def test_what_has_annotations_has_advice_and_no_command(condition):
    orphan = image('orphan', tags=() if condition else [attachment_tag(GONE)], **condition)
    (entry,) = check_document(to_inventory([repository_of(orphan)]), WHEN, ('r',))['findings']
    assert entry['mend']['command'] is None and 'has annotations' in entry['mend']['advice']


def test_an_index_that_only_carries_annotations_is_not_broken():
    inventory = to_inventory([repository_of(index('notes', tags=['v1']))])
    assert check_document(inventory, WHEN, ('r',))['findings'] == []


ILL = [
    [ghost(image('gone'))],
    [index('partial', [GONE])],
    [image('signature', tags=[attachment_tag(GONE)])],
    [image('sbom', subject=GONE)],
    [image('both', tags=['v1', attachment_tag(GONE)])],
    [image('locked', tags=['v1'], locks=['deleteEnabled'])],
]


@pytest.mark.parametrize(
    'orphan',
    [
        image('sbom', subject=GONE),
        image('signature', tags=[attachment_tag(GONE)]),
        image('both', tags=['v1', attachment_tag(GONE)]),
    ],
)
def test_a_subject_that_is_gone_is_said_to_be_so_as_far_as_the_registry_was_read(orphan):
    for whole, said in ((True, 'does not exist'), (False, 'is in none of the repositories that were read')):
        (entry,) = checked(orphan, whole=whole)['findings']
        assert GONE in entry['message'] and f' {said}.' in entry['message']


@pytest.mark.parametrize('manifests', ILL)
def test_where_not_the_whole_registry_was_read_nothing_is_called_gone_and_there_is_no_command(manifests):
    (entry,) = checked(*manifests)['findings']
    assert entry['mend']['command']
    (entry,) = checked(*manifests, whole=False)['findings']
    is_lock = entry['code'] == 'manifestLockedAlone'
    assert bool(entry['mend']['command']) is is_lock
    assert is_lock or 'No command, because only some repositories were looked at' in entry['mend']['advice']
    (entry,) = checked(*manifests, whole=False, warnings=(Notice('x', 'It could not be read.'),))['findings']
    assert is_lock or 'No command, because not all repositories could be read.' in entry['mend']['advice']
    assert 'does not exist' not in entry['message']


def test_where_something_is_hidden_a_subject_may_be_it():
    inventory = bare(to_inventory([repository_of(image('signature', tags=[attachment_tag(GONE)]))]))
    (repository,) = inventory.repositories
    for hiding, findings in ((replace(repository, unseen='1 manifest'), 1), (replace(repository, hidden={GONE}), 0)):
        entries = check_document(replace(inventory, repositories=(hiding,)), WHEN, ('r',))['findings']
        assert [entry['mend']['command'] for entry in entries] == [None] * findings


def test_a_referrer_of_what_is_in_another_repository_is_no_orphan():
    images = repository_of(image('gone', tags=['v1']), name='team/images')
    assert found(image('sbom', subject=GONE), more=[images]) == []


def test_beside_a_ghost_that_may_be_on_its_way_nothing_is_deleted_by_a_mend():
    young = ghost(index('young', [CHILD['digest']], age=60))
    orphan = image('signature', tags=[attachment_tag(GONE)])
    entry = next(entry for entry in checked(young, orphan)['findings'] if entry['code'] == 'orphanAttachment')
    assert entry['mend']['command'] is None and young['digest'] in entry['mend']['advice']


def test_what_pins_locked_is_as_it_is_to_be():
    inventory = to_inventory([repository_of(image('image', tags=['v1'], locks=['deleteEnabled']))])
    for ours, findings in ((True, 0), (False, 1)):
        document = check_document(inventory, WHEN, ('r',), lambda repository, digest, ours=ours: ours)
        assert len(document['findings']) == findings


# --- --only-if ---------------------------------------------------------------------------------------------------


def decided(manifests, condition, *more, untag=None, whole=True, now=worlds.NOW, **options):
    """What goes of the first manifest under a condition: (repository, digest), or (repository, tag) with `untag`."""
    inventory = replace(bare(to_inventory([repository_of(*manifests, **options), *more])), whole=whole)
    name = f'{REPOSITORY}:{untag}' if untag else f'{REPOSITORY}@{manifests[0]["digest"]}'
    decision = decide_only_if(inventory, [parse_image(name)], condition, now, untag=bool(untag))
    assert decision.given['onlyIf'] == condition
    gone = {tag for each in decision.inventory.repositories for tag, *_ in decision.untagged_in(each)}
    return gone or {digest for _, digest in decision.doomed}


@pytest.mark.parametrize(
    'manifest, condition',
    [
        (ghost(image('gone')), 'ghost'),
        (image('signature', tags=[attachment_tag(GONE)]), 'orphan'),
        (image('sbom', subject=GONE), 'orphan'),
        (index('partial', [GONE]), 'partial'),
    ],
)
def test_what_is_as_the_condition_says_goes_alone(manifest, condition):
    assert decided([manifest, CHILD, WHOLE], condition) == {manifest['digest']}
    for other in {'ghost', 'orphan', 'partial'} - {condition}:
        with pytest.raises(NotSo):
            decided([manifest], other)
    with pytest.raises(NotSo, match='not the whole registry'):
        decided([manifest], condition, whole=False)
    with pytest.raises(NotSo, match='younger than a day' if condition != 'ghost' else 'is no ghost'):
        decided([manifest], condition, now=worlds.NOW - 29 * worlds.DAY * worlds.TICKS - 1)


def test_a_condition_holds_for_a_tag_that_is_removed():
    tag = attachment_tag(GONE)
    both = image('both', tags=['v1', tag])
    assert decided([both], 'orphan', untag=tag) == {tag}
    with pytest.raises(NotSo, match='attached to nothing'):
        decided([both], 'orphan', untag='v1')
    with pytest.raises(NotSo, match='which exists'):
        decided([both], 'orphan', repository_of(image('gone', tags=['v1']), name='team/images'), untag=tag)


@pytest.mark.parametrize(
    'manifests, condition, why',
    [
        ([image('gone')], 'ghost', 'is no ghost'),
        ([image('sbom', subject=GONE, tags=['v1'])], 'orphan', 'has the tag v1'),
        ([image('sbom', subject=GONE, tags=['v1', 'v2'])], 'orphan', 'has the tag v1'),
        ([image('sbom', subject=CHILD['digest']), CHILD], 'orphan', 'which exists'),
        (
            [image('sbom', subject=CHILD['digest'], tags=[attachment_tag(GONE)]), CHILD],
            'orphan',
            f'is attached to {CHILD["digest"]}, which exists',
        ),
        (
            [image('sbom', subject=GONE, tags=[attachment_tag(CHILD['digest'])]), CHILD],
            'orphan',
            f'is attached to {CHILD["digest"]}, which exists',
        ),
        ([image('plain')], 'orphan', 'attached to nothing'),
        ([ghost(image('gone'))], 'orphan', 'attached to nothing'),
        ([index('partial', [CHILD['digest'], GONE]), CHILD], 'partial', 'manifests are all missing'),
        ([worlds.cache('cache', [0], [GONE])], 'partial', 'manifests are all missing'),
        ([ghost(image('gone')), image('sbom', subject=GONE)], 'ghost', 'along'),
        ([index('partial', [GONE]), ghost(image('gone'))], 'partial', 'along'),
        ([index('partial', [GONE]), image('sbom', subject=index('partial', [GONE])['digest'])], 'partial', 'along'),
        (
            [
                worlds.artifact('sbom', subject=GONE),
                image('seal', subject=worlds.artifact('sbom', subject=GONE)['digest']),
            ],
            'orphan',
            'along',
        ),
    ],
)
def test_nothing_goes_that_is_not_as_the_condition_says_or_that_something_hangs_on(manifests, condition, why):
    with pytest.raises(NotSo, match=why):
        decided(manifests, condition)


def test_what_has_annotations_is_not_deleted_under_a_condition():
    inventory = to_inventory([repository_of(image('sbom', subject=GONE))])
    with pytest.raises(NotSo, match='annotations'):
        decide_only_if(
            inventory, [parse_image(f'{REPOSITORY}@{image("sbom", subject=GONE)["digest"]}')], 'orphan', worlds.NOW
        )


def test_a_command_names_the_registry_as_it_was_named():
    gone = ghost(image('gone'))
    assert command(gone, target=('myregistry', '--suffix', 'abc')).startswith(
        'az acr prune image --registry myregistry --suffix abc --image '
    )


@examples(150)
@given(worlds.tagged_worlds())
def test_each_command_makes_its_finding_vanish_and_breaks_nothing(world):
    inventory = bare(worlds.to_inventory(world))
    document = check_document(inventory, WHEN, ('myregistry',))
    for entry in document['findings']:
        if entry['mend']['command']:
            after = carried_out(world, inventory, entry)
            left = check_document(bare(worlds.to_inventory(after)), WHEN, ('myregistry',))['findings']
            keys = ('code', 'repository', 'digest', 'tag')
            assert {key: entry[key] for key in keys} not in [{key: each[key] for key in keys} for each in left]
            broken = [each for each in left if each['severity'] == 'broken']
            assert len(broken) <= document['summary']['broken']


def carried_out(world, inventory, entry):
    """The world after the command of a finding: deletions as their command decides them, and locks."""
    words = shlex.split(entry['mend']['command'])
    name = parse_image(words[words.index('--image') + 1])
    if words[2] == 'repository':
        flag = {'--delete-enabled': 'deleteEnabled', '--write-enabled': 'writeEnabled'}
        flags = [flag[word] for word in words if word in flag]
        return [
            locked(repository, name, flags) if repository['name'] == name.repository else repository
            for repository in world
        ]
    if '--untag' in words:
        decision = decide_only_if(inventory, [name], words[-1], worlds.NOW, untag=True)
        return [
            dict(
                repository,
                manifests=[
                    dict(
                        manifest,
                        tags=[
                            tag for tag in manifest['tags'] if repository['name'] != name.repository or tag != name.tag
                        ],
                    )
                    for manifest in repository['manifests']
                ],
            )
            for repository in world
            if decision
        ]
    decision = decide_only_if(inventory, [name], words[-1], worlds.NOW)
    assert decision.doomed == {(name.repository, name.digest)}, 'nothing else goes'
    return oracle.without(world, decision.doomed)


def locked(repository, name, flags):
    if name.tag:
        return dict(repository, tag_locks={**repository['tag_locks'], name.tag: flags})
    return dict(
        repository,
        manifests=[
            dict(manifest, locks=flags) if manifest['digest'] == name.digest else manifest
            for manifest in repository['manifests']
        ],
    )


# --- The document ------------------------------------------------------------------------------------------------


def test_findings_are_in_order_and_counted():
    gone = ghost(image('ghost'))
    orphan = image('signature', tags=[attachment_tag(GONE)])
    document = checked(orphan, gone, more=[repository_of(gone, name='a')])
    places = [(entry['repository'], entry['digest']) for entry in document['findings']]
    assert places == sorted(places) and places[0][0] == 'a'
    assert document['summary'] == {
        'repositories': 2,
        'manifests': 3,
        'findings': 3,
        'broken': 2,
        'findingsByCode': {'ghost': 2, 'orphanAttachment': 1},
    }
    assert json.loads(json.dumps(document)) == document


def test_what_the_scan_met_is_told():
    inventory = replace(to_inventory([repository_of(CHILD)]), warnings=(Notice('repositoryNotRead', 'closed', 'x'),))
    assert check_document(inventory, 'now', ('r',))['warnings'] == [
        {'code': 'repositoryNotRead', 'repository': 'x', 'digest': None, 'message': 'closed'}
    ]


def test_the_table_has_a_row_for_each_finding_and_the_total():
    rows = check_rows(checked(ghost(image('gone'))))
    assert [row['SEVERITY'] for row in rows] == ['broken', 'total']
    assert rows[0][BELOW] == deletes(image('gone'), 'ghost') and rows[1]['CODE'] == '1 broken'


HOSTILE = '\x1b[2J\x07\r\n\u202e$(rm -rf ~)`id`;"\' \ud800'


def test_hostile_text_of_a_registry_reaches_no_terminal_and_no_command():
    """What is no name, tag or digest may be any text: reasons, the digests of layers, types and times."""
    inventory = to_inventory([repository_of(image('one', [0], tags=['v1']), image('two', [0]), image('closed'))])
    manifests = inventory.repositories[0].manifests
    for number, (digest, manifest) in enumerate(sorted(manifests.items())):
        content = (
            Unreadable(HOSTILE)
            if number == 0
            else manifest.content._replace(
                blobs=(Blob(HOSTILE, number),), config=HOSTILE, annotations=((HOSTILE, HOSTILE),)
            )
        )
        manifests[digest] = manifest._replace(
            content=content,
            media_type=HOSTILE,
            artifact_type=HOSTILE,
            last_update_time=HOSTILE,
            created_time=HOSTILE,
            platform=HOSTILE,
        )
    document = check_document(inventory, 'now', ('myregistry',))
    assert {entry['code'] for entry in document['findings']} == {'unreadable', 'sizeMismatch'}
    texts = [str(value) for entry in document['findings'] for value in (entry['message'], entry['mend'])]
    texts += [str(value) for row in check_rows(document) for value in row.values()]
    assert all(text.isprintable() for text in texts)
    digests = {blob['digest'] for entry in document['findings'] for blob in entry['data'].get('blobs', ())}
    assert digests == {HOSTILE}  # a document says what there is; az prints it with escapes
    assert not any('rm -rf' in str(entry['mend']) for entry in document['findings'])


def test_what_is_listed_under_something_that_is_no_digest_is_no_name_for_a_command():
    inventory = to_inventory([repository_of(ghost(image('gone')))])
    manifests = inventory.repositories[0].manifests
    ((_, manifest),) = list(manifests.items())
    manifests.clear()
    manifests['strange:digest'] = manifest._replace(digest='strange:digest')
    (entry,) = check_document(inventory, 'now', ('myregistry',))['findings']
    assert entry['mend']['command'] is None


# --- After a run -------------------------------------------------------------------------------------------------


def validated(before, after):
    """Validation of one repository; `after` is None when it is gone."""
    return validation_document(
        to_inventory([before]), () if after is None else (to_repository(after),), [before['name']], ('myregistry',)
    )


def codes(entries):
    return [(entry['code'], entry['digest']) for entry in entries]


def test_what_was_broken_before_is_found_and_is_not_new():
    partial = index('partial', [GONE], tags=['v1'])
    validation = validated(repository_of(partial, image('stale')), repository_of(partial))
    assert (codes(validation['findings']), validation['broken']) == ([('missingChildren', partial['digest'])], 1)
    assert (validation['new'], validation['newBroken']) == ([], 0)


def test_what_a_run_broke_is_new():
    validation = validated(repository_of(CHILD, WHOLE), repository_of(WHOLE))
    assert codes(validation['new']) == [('missingChildren', WHOLE['digest'])]
    assert validation['newBroken'] == 1 and validation['repositories'] == [REPOSITORY]


def test_what_was_a_hint_and_is_broken_is_new():
    partial = index('partial', [GONE])
    validation = validated(repository_of(partial), repository_of(dict(partial, tags=['v1'])))
    assert validation['newBroken'] == 1


def test_a_repository_that_is_gone_is_in_good_health():
    validation = validated(repository_of(ghost(image('gone'))), None)
    assert (validation['findings'], validation['broken'], validation['new']) == ([], 0, [])


@pytest.mark.parametrize('listed', [True, False])
def test_a_lock_is_only_new_where_the_tags_were_known_before(listed):
    plain, locked_tag = image('image', tags=['v1']), {'v1': ['deleteEnabled']}
    before = to_inventory([repository_of(plain)])
    if not listed:
        before = replace(before, repositories=tuple(replace(each, tags={}) for each in before.repositories))
    after = to_repository(repository_of(plain, tag_locks=locked_tag))
    validation = validation_document(before, (after,), [REPOSITORY], ('myregistry',))
    assert [entry['code'] for entry in validation['findings']] == ['tagLockedAlone']
    assert len(validation['new']) == listed


def test_the_table_of_a_run_has_a_row_for_what_is_broken_now():
    validation = validated(repository_of(CHILD, WHOLE), repository_of(WHOLE))
    result = {
        'deleted': [],
        'untagged': [],
        'goneBefore': [],
        'skipped': [],
        'failed': [],
        'validation': validation,
        'summary': {
            'manifestsDeleted': 0,
            'skipped': 0,
            'failed': 0,
            'softDeleteRetentionDays': None,
            'freedBytes': 0,
            'impact': 'exact',
        },
    }
    rows = result_rows(result)
    assert [row['RESULT'] for row in rows] == ['broken', 'validated', 'total']
    assert rows[1]['REASON'] == '1 of 1 broken are new'
