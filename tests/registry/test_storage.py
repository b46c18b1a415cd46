"""What the storage counts as bytes in use, and what it lets go: the truth that previews are tested against."""

from __future__ import annotations

import json

import pytest

from tests.registry.builder import OCI_IMAGE, OCI_INDEX, image_manifest, index_manifest
from tests.registry.failures import RegistryFailure
from tests.registry.storage import Storage, digest_of, wire_time

APP = 'team/app'


@pytest.fixture
def storage() -> Storage:
    return Storage()


def blob(storage: Storage, text: str) -> tuple:
    return storage.put_blob(text.encode()), len(text)


def image(storage: Storage, name: str, *layers: str, repository: str = APP, tag: str | None = None, **extra) -> str:
    """Push an image with a config of its own over these layers."""
    data = image_manifest(blob(storage, f'config of {name}'), [blob(storage, layer) for layer in layers], **extra)
    return storage.put_manifest(repository, data, OCI_IMAGE, tag)


def failure_of(action, *arguments) -> tuple:
    with pytest.raises(RegistryFailure) as raised:
        action(*arguments)
    return raised.value.status, raised.value.code


def size_of(storage: Storage, digest: str, repository: str = APP) -> int:
    return len(storage.manifest(repository, digest).data)


# Bytes


def test_a_blob_shared_by_two_repositories_goes_with_its_last_user(storage):
    one = image(storage, 'one', 'shared layer', repository='one')
    two = image(storage, 'two', 'shared layer', repository='two')
    shared = digest_of(b'shared layer')
    whole = storage.stored_bytes()
    freed = size_of(storage, one, 'one') + len('config of one')
    storage.delete_manifest('one', one)
    assert storage.stored_bytes() == whole - freed
    assert storage.has_blob(shared) and storage.whole('two', two) == []
    storage.delete_manifest('two', two)
    assert storage.stored_bytes() == 0 and not storage.has_blob(shared)


def test_a_layer_named_twice_in_one_manifest_counts_once(storage):
    digest = image(storage, 'twice', 'same layer', 'same layer')
    assert storage.stored_bytes() == len('config of twice') + len('same layer') + size_of(storage, digest)
    storage.delete_manifest(APP, digest)
    assert storage.stored_bytes() == 0


def test_the_same_manifest_in_two_repositories_is_stored_once(storage):
    one = image(storage, 'one', 'layer', repository='one')
    before = storage.stored_bytes()
    assert image(storage, 'one', 'layer', repository='two') == one
    assert storage.stored_bytes() == before
    storage.delete_manifest('one', one)
    assert storage.stored_bytes() == before
    storage.delete_manifest('two', one)
    assert storage.stored_bytes() == 0


def test_pushing_the_same_manifest_again_counts_it_once(storage):
    digest = image(storage, 'one', 'layer', tag='v1')
    before = storage.stored_bytes()
    assert image(storage, 'one', 'layer', tag='v2') == digest
    assert storage.stored_bytes() == before
    assert storage.tags_on(APP, digest) == ['v1', 'v2']


def test_a_foreign_layer_takes_no_space_and_need_not_be_there(storage):
    config = blob(storage, 'config')
    document = json.loads(image_manifest(config, [('sha256:' + '1' * 64, 4_000_000)]))
    document['layers'][0]['urls'] = ['https://example.com/layer']
    digest = storage.put_manifest(APP, json.dumps(document).encode(), OCI_IMAGE)
    assert storage.stored_bytes() == len('config') + size_of(storage, digest)


def test_an_uploaded_blob_is_pending_until_a_manifest_uses_it(storage):
    digest = storage.put_blob(b'waiting')
    assert (storage.stored_bytes(), storage.pending_bytes()) == (0, len(b'waiting'))
    storage.put_manifest(APP, image_manifest((digest, 7), []), OCI_IMAGE)
    assert storage.pending_bytes() == 0


def test_a_blob_that_comes_after_its_manifest_corrects_the_declared_size(storage):
    late = digest_of(b'late')
    data = image_manifest((late, 1_000), [])
    digest = storage.put_manifest(APP, data, OCI_IMAGE, checked=False)
    storage.put_blob(b'late')
    assert storage.stored_bytes() == len(b'late') + len(data)
    storage.delete_manifest(APP, digest)
    assert storage.stored_bytes() == 0


def test_deleting_an_index_leaves_its_children_and_their_layers(storage):
    children = [image(storage, name, f'layer of {name}') for name in ('amd64', 'arm64')]
    before = storage.stored_bytes()
    data = index_manifest([(child, size_of(storage, child)) for child in children])
    index = storage.put_manifest(APP, data, OCI_INDEX, 'v1')
    assert storage.stored_bytes() == before + len(data)
    storage.delete_manifest(APP, index)
    assert storage.stored_bytes() == before and sorted(storage.manifests(APP)) == sorted(children)


def test_an_index_without_a_child_is_not_whole_and_is_refused_at_the_push(storage):
    child = image(storage, 'child', 'layer')
    data = index_manifest([(child, size_of(storage, child))])
    index = storage.put_manifest(APP, data, OCI_INDEX, 'v1')
    image(storage, 'keeps the repository')
    storage.delete_manifest(APP, child)
    assert storage.whole(APP, 'v1') == [child]
    assert failure_of(storage.put_manifest, APP, data, OCI_INDEX) == (400, 'MANIFEST_UNKNOWN')
    assert index in storage.manifests(APP)


def test_blobs_on_disk_are_files_that_go_with_their_last_user(tmp_path):
    storage = Storage(tmp_path)
    digest = image(storage, 'one', 'layer')
    assert len(list(tmp_path.iterdir())) == 2
    assert storage.get_blob(digest_of(b'layer')) == b'layer'
    storage.delete_manifest(APP, digest)
    assert list(tmp_path.iterdir()) == []


# Ghosts


def test_a_ghost_stays_listed_gives_its_bytes_back_and_cannot_be_had_or_deleted(storage):
    digest = image(storage, 'ghost', 'layer', tag='v1')
    storage.make_ghost(APP, digest)
    assert storage.stored_bytes() == 0
    assert digest in storage.manifests(APP)
    assert failure_of(storage.resolve, APP, 'v1') == (404, 'MANIFEST_UNKNOWN')
    assert failure_of(storage.delete_manifest, APP, digest) == (404, 'MANIFEST_UNKNOWN')
    assert storage.whole(APP, 'v1') == [digest]


def test_a_ghost_that_can_be_deleted_takes_its_tags_and_its_referrers_along_and_frees_nothing_twice(storage):
    digest = image(storage, 'ghost', 'layer', tag='v1')
    signature = referrer(storage, 'signature', digest)
    image(storage, 'stays', 'other layer', tag='v2')
    storage.make_ghost(APP, digest, deletable=True)
    storage.delete_manifest(APP, digest)
    assert not {digest, signature} & set(storage.manifests(APP)) and set(storage.tags(APP)) == {'v2'}
    (left,) = storage.manifests(APP).values()
    assert storage.stored_bytes() == len(left.data) + sum(left.blobs.values())


def test_a_ghost_pushed_again_is_whole_and_counted_once(storage):
    digest = image(storage, 'ghost', 'layer')
    before = storage.stored_bytes()
    storage.make_ghost(APP, digest)
    storage.make_ghost(APP, digest)
    assert image(storage, 'ghost', 'layer') == digest
    assert storage.stored_bytes() == before and storage.whole(APP, digest) == []


def test_a_repository_with_a_ghost_is_deleted_without_counting_it_twice(storage):
    image(storage, 'stays', 'layer', repository='other')
    before = storage.stored_bytes()
    storage.make_ghost(APP, image(storage, 'ghost', 'layer'))
    storage.delete_repository(APP)
    assert storage.stored_bytes() == before and storage.repositories() == ['other']


# Locks


@pytest.mark.parametrize('flag', ['deleteEnabled', 'writeEnabled'])
@pytest.mark.parametrize('place', ['manifest', 'tag', 'repository'])
def test_every_lock_refuses_the_delete_of_the_manifest_and_of_the_repository(storage, flag, place):
    digest = image(storage, 'locked', 'layer', tag='v1')
    where = {'manifest': {'digest': digest}, 'tag': {'tag': 'v1'}, 'repository': {}}[place]
    storage.set_locks(APP, **where, **{flag: False})
    before = storage.stored_bytes()
    assert failure_of(storage.delete_manifest, APP, digest) == (405, 'REGISTRY_DISALLOWED_OPERATION')
    assert failure_of(storage.delete_repository, APP) == (405, 'REGISTRY_DISALLOWED_OPERATION')
    assert storage.stored_bytes() == before and storage.tags_on(APP, digest) == ['v1']
    storage.set_locks(APP, **where, **{flag: True})
    storage.delete_manifest(APP, digest)
    assert storage.repositories() == []


@pytest.mark.parametrize('flag', ['deleteEnabled', 'writeEnabled'])
def test_tag_and_repository_locks_refuse_to_untag_and_a_manifest_lock_does_not(storage, flag):
    digest = image(storage, 'locked', tag='v1')
    storage.set_locks(APP, tag='v1', **{flag: False})
    assert failure_of(storage.untag, APP, 'v1')[0] == 405
    storage.set_locks(APP, tag='v1', **{flag: True})
    storage.set_locks(APP, **{flag: False})
    assert failure_of(storage.untag, APP, 'v1')[0] == 405
    storage.set_locks(APP, **{flag: True})
    storage.set_locks(APP, digest=digest, **{flag: False})
    assert storage.untag(APP, 'v1') == digest


def test_a_write_lock_refuses_to_move_the_tag_and_to_push_into_the_repository(storage):
    old, _ = image(storage, 'old', tag='v1'), image(storage, 'other', tag='v2')
    storage.set_locks(APP, tag='v1', writeEnabled=False)
    assert failure_of(lambda: image(storage, 'new', tag='v1'))[0] == 405
    assert storage.tag(APP, 'v1').digest == old
    storage.set_locks(APP, writeEnabled=False)
    assert failure_of(lambda: image(storage, 'new'))[0] == 405


# Referrers


def referrer(storage: Storage, name: str, subject: str) -> str:
    return image(storage, name, subject=subject, artifact_type='application/spdx+json')


def test_deleting_a_subject_deletes_its_referrers_and_theirs(storage):
    subject = image(storage, 'subject', 'layer')
    referrer(storage, 'signature', referrer(storage, 'sbom', subject))
    storage.delete_manifest(APP, subject)
    assert storage.repositories() == [] and storage.stored_bytes() == 0


def test_a_locked_referrer_and_what_refers_to_it_stay(storage):
    subject = image(storage, 'subject')
    locked, free = referrer(storage, 'locked', subject), referrer(storage, 'free', subject)
    child = referrer(storage, 'refers to the locked one', locked)
    storage.set_locks(APP, digest=locked, deleteEnabled=False)
    storage.delete_manifest(APP, subject)
    assert sorted(storage.manifests(APP)) == sorted([locked, child]) and free not in storage.manifests(APP)


def test_a_ghost_among_the_referrers_does_not_stop_the_delete(storage):
    subject = image(storage, 'subject')
    ghost = referrer(storage, 'ghost', subject)
    referrer(storage, 'free', subject)
    storage.make_ghost(APP, ghost)
    storage.delete_manifest(APP, subject)
    assert list(storage.manifests(APP)) == [ghost]


def test_referrers_stay_in_their_own_repository(storage):
    subject = image(storage, 'subject', repository='one')
    image(storage, 'subject', repository='two')
    image(storage, 'sbom', repository='two', subject=subject)
    storage.delete_manifest('one', subject)
    assert len(storage.manifests('two')) == 2


# Soft delete


@pytest.fixture
def soft(storage) -> Storage:
    storage.soft_delete_days = 7
    return storage


def test_what_is_soft_deleted_still_takes_space_and_comes_back_with_its_tags(soft):
    digest = image(soft, 'one', 'layer', tag='v1')
    before = soft.stored_bytes()
    soft.delete_manifest(APP, digest)
    assert soft.repositories() == [] and soft.stored_bytes() == before
    assert soft.deleted[APP][digest].tags == ['v1']
    soft.restore(APP, digest)
    assert soft.tags_on(APP, digest) == ['v1'] and soft.whole(APP, 'v1') == []
    assert soft.stored_bytes() == before and soft.deleted[APP] == {}


def test_restoring_by_tag_brings_only_that_tag_and_unknown_ones_are_refused(soft):
    digest = image(soft, 'one', tag='v1')
    image(soft, 'one', tag='v2')
    soft.delete_manifest(APP, digest)
    soft.restore(APP, digest, 'v2')
    assert list(soft.tags(APP)) == ['v2']
    assert failure_of(soft.restore, APP, digest) == (404, 'MANIFEST_UNKNOWN')


@pytest.mark.parametrize('end', ['restored', 'deleted again'])
def test_a_manifest_put_again_after_its_soft_delete_is_counted_once(soft, end):
    digest = image(soft, 'one', 'layer')
    record, whole = soft.manifest(APP, digest), soft.stored_bytes()
    soft.delete_manifest(APP, digest)
    assert soft.put_manifest(APP, record.data, OCI_IMAGE, checked=False) == digest and soft.stored_bytes() == whole
    if end == 'deleted again':
        soft.delete_manifest(APP, digest)
    soft.restore(APP, digest)
    soft.soft_delete_days = None
    soft.delete_manifest(APP, digest)
    assert soft.stored_bytes() == 0


def test_a_push_of_what_is_soft_deleted_is_refused(soft):
    soft.delete_manifest(APP, image(soft, 'one', tag='v1'))
    assert failure_of(image, soft, 'one') == (409, 'CONFLICT')
    assert soft.repositories() == []


def test_only_one_tag_and_neither_children_nor_referrers_come_back_and_referrers_only_after_their_subject(soft):
    subject = image(soft, 'one', tag='v1')
    image(soft, 'one', tag='v2')
    referrer = image(soft, 'two', subject=subject)
    soft.delete_manifest(APP, subject)
    assert failure_of(soft.restore, APP, referrer) == (409, 'CONFLICT')
    soft.restore(APP, subject)
    assert list(soft.manifests(APP)) == [subject] and list(soft.tags(APP)) == ['v1']
    soft.restore(APP, referrer)
    assert set(soft.manifests(APP)) == {subject, referrer}


# Repositories, names and times


def test_a_repository_goes_with_its_last_manifest_and_not_with_its_last_tag(storage):
    digest = image(storage, 'one', tag='v1')
    assert storage.untag(APP, 'v1') == digest
    assert storage.repositories() == [APP]
    storage.delete_manifest(APP, digest)
    assert storage.repositories() == []
    assert failure_of(storage.delete_repository, APP) == (404, 'NAME_UNKNOWN')


def test_deleting_a_repository_names_its_manifests_and_tags(storage):
    digests = sorted([image(storage, 'one', tag='v1'), image(storage, 'two')])
    assert storage.delete_repository(APP) == (digests, ['v1'])
    assert storage.stored_bytes() == 0


def test_a_moved_tag_keeps_its_creation_and_leaves_the_old_manifest_untagged():
    now = [1_000.0]
    storage = Storage(clock=lambda: now[0])
    old = image(storage, 'old', tag='v1')
    now[0] = 2_000.25
    new = image(storage, 'new', tag='v1')
    tag = storage.tag(APP, 'v1')
    assert (tag.digest, tag.created, tag.updated) == (new, wire_time(1_000), wire_time(2_000.25))
    assert storage.tags_on(APP, old) == []


@pytest.mark.parametrize(
    'seconds, written',
    [(0, '1970-01-01T00:00:00Z'), (0.5, '1970-01-01T00:00:00.5Z'), (1.0000001, '1970-01-01T00:00:01.0000001Z')],
)
def test_times_have_at_most_seven_digits_and_no_trailing_zeros(seconds, written):
    assert wire_time(seconds) == written


def test_unknown_names_have_the_code_of_what_is_missing(storage):
    digest = image(storage, 'one')
    assert failure_of(storage.state, 'nowhere') == (404, 'NAME_UNKNOWN')
    assert failure_of(storage.tag, 'nowhere', 'v1') == (404, 'TAG_UNKNOWN')
    assert failure_of(storage.manifest, 'nowhere', digest) == (404, 'MANIFEST_UNKNOWN')
    assert failure_of(storage.delete_manifest, APP, 'sha256:' + '0' * 64) == (404, 'MANIFEST_UNKNOWN')
