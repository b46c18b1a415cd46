"""The verbs that the SDK's client does for us: over our pipeline, with our tokens, retries and errors."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace

import pytest

from azext_acrprune.model import Locks
from azext_acrprune.registry import uploads
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.protocol.tokens import Password
from tests.registry.auth import ALL
from tests.registry.builder import OCI_IMAGE
from tests.registry.faults import Fault
from tests.wire.images import image_in
from tests.wire.test_client import kind_of

APP = 'team/app'
CHUNK = 4 * 1024 * 1024


def digest_of(data):
    return f'sha256:{hashlib.sha256(data).hexdigest()}'


def flags_of(registry, digest):
    return registry.storage.manifest(APP, digest).flags


@pytest.fixture
def image(registry):
    return image_in(registry.storage, APP, 'image', tag='v1')


@pytest.fixture
def client(connect):
    return connect()


def revoke(registry):
    registry.auth.revoked.update(registry.auth.issued)


@pytest.mark.parametrize('locks', [Locks(False, True), Locks(True, False), Locks(False, False), Locks()])
def test_both_locks_of_a_manifest_or_a_tag_are_set_and_nothing_else(registry, client, image, locks):
    registry.storage.set_locks(APP, digest=image, listEnabled=False)
    client.set_manifest_locks(APP, image, locks)
    client.set_tag_locks(APP, 'v1', locks)
    assert client.manifest_properties(APP, image).locks == replace(locks, list_enabled=False)
    assert client.tag_properties(APP, 'v1').locks == locks
    assert flags_of(registry, image)['listEnabled'] is False


def test_a_lock_against_deletion_leaves_the_other_one(registry, client, image):
    registry.storage.set_locks(APP, digest=image, writeEnabled=False)
    client.set_delete_enabled(APP, image, False)
    assert client.manifest_properties(APP, image).locks == Locks(False, False)
    client.set_delete_enabled(APP, image, True)
    assert client.manifest_properties(APP, image).locks == Locks(True, False)


def test_locks_are_set_and_none_is_taken_off(registry, client, image):
    registry.storage.set_locks(APP, tag='v1', deleteEnabled=False)
    client.lock(APP, 'v1', Locks(write_enabled=False))
    assert client.tag_properties(APP, 'v1').locks == Locks(False, False)


def test_a_manifest_is_pushed_as_it_is_under_its_digest_and_a_tag(registry, client, image):
    data = registry.storage.manifest(APP, image).data + b'\n'
    digest = digest_of(data)
    client.put_manifest(APP, digest, data, OCI_IMAGE)
    client.put_manifest(APP, 'v2', data, OCI_IMAGE)
    assert registry.storage.manifest(APP, digest).data == data
    assert registry.storage.tags(APP)['v2'].digest == digest


@pytest.mark.parametrize('size', [0, 1, CHUNK, 2 * CHUNK + 1])
def test_a_blob_of_any_size_is_uploaded(registry, client, image, size):
    data = os.urandom(size)
    client.upload_blob(APP, digest_of(data), io.BytesIO(data))
    assert client.has_blob(APP, digest_of(data))
    assert b''.join(client.blob(APP, digest_of(data))) == data


def test_a_body_that_was_sent_with_a_revoked_token_is_sent_again_from_its_start(registry, client, image):
    data = registry.storage.manifest(APP, image).data + b'\n'
    client.manifest(APP, image)
    revoke(registry)
    client.put_manifest(APP, 'v2', data, OCI_IMAGE)
    assert registry.storage.tags(APP)['v2'].digest == digest_of(data)


def test_a_chunk_that_was_sent_with_a_revoked_token_is_sent_again_from_its_start(registry, client, image):
    data = os.urandom(CHUNK + 5)

    class Revoking(io.BytesIO):
        def read(self, *arguments):
            revoke(registry)
            return super().read(*arguments)

    client.upload_blob(APP, digest_of(data), Revoking(data))
    assert client.has_blob(APP, digest_of(data))


@pytest.mark.parametrize('status', [429, 500, 503])
def test_what_is_pushed_is_tried_again_with_all_its_bytes(registry, client, image, waits, status):
    data = registry.storage.manifest(APP, image).data + b'\n'
    registry.faults.rules.append(Fault('PUT .*/manifests/', status, times=2))
    client.put_manifest(APP, 'v2', data, OCI_IMAGE)
    assert registry.storage.tags(APP)['v2'].digest == digest_of(data)


def every_change(client, image, data):
    digest = digest_of(b'layer')
    yield lambda: client.set_manifest_locks(APP, image, Locks(False, False))
    yield lambda: client.set_tag_locks(APP, 'v1', Locks(False, False))
    yield lambda: client.set_delete_enabled(APP, image, False)
    yield lambda: client.lock(APP, 'v1', Locks(False, False))
    yield lambda: client.put_manifest(APP, 'v2', data, OCI_IMAGE)
    yield lambda: client.upload_blob(APP, digest, io.BytesIO(b'layer'))


@pytest.mark.parametrize(
    'fault, kind',
    [
        (400, Kind.UNAVAILABLE),
        (403, Kind.FORBIDDEN),
        (405, Kind.LOCKED),
        (409, Kind.UNAVAILABLE),
        (501, Kind.UNAVAILABLE),
        ('garbage', Kind.NOT_A_REGISTRY),
        ('reset', Kind.UNREACHABLE),
    ],
)
def test_failing_answers_are_errors_of_the_same_kind_for_each_verb(registry, client, image, waits, fault, kind):
    data = registry.storage.manifest(APP, image).data + b'\n'
    registry.faults.rules.append(Fault('(PATCH|PUT|POST) .*/(_tags|_manifests|manifests|blobs)/', fault))
    assert [kind_of(call) for call in every_change(client, image, data)] == [kind] * 6


def test_what_is_not_there_is_not_found(client, image):
    gone = digest_of(b'gone')
    assert kind_of(lambda: client.set_manifest_locks(APP, gone, Locks())) is Kind.NOT_FOUND
    assert kind_of(lambda: client.set_tag_locks(APP, 'gone', Locks())) is Kind.NOT_FOUND


def test_a_missing_permission_names_the_action(registry, connect, image):
    registry.auth.add_user('reader', 'pw', [('*', ALL - {'metadata_write'})])
    with pytest.raises(RegistryError) as raised:
        connect(Password('reader', 'pw')).set_delete_enabled(APP, image, False)
    assert (raised.value.kind, raised.value.actions) == (Kind.FORBIDDEN, ('metadata_write',))


def test_a_blob_of_another_digest_is_an_error(client, image):
    assert kind_of(lambda: client.upload_blob(APP, digest_of(b'one'), io.BytesIO(b'two'))) is Kind.UNAVAILABLE


@pytest.mark.parametrize('place', ['https://other.example/v2/team/app/blobs/uploads/1', '//other.example/uploads/1'])
def test_an_upload_that_is_said_to_go_on_elsewhere_takes_no_token_there(registry, client, image, monkeypatch, place):
    progress = registry.distribution._progress

    def elsewhere(*arguments):
        answer = progress(*arguments)
        answer.headers['Location'] = place
        return answer

    monkeypatch.setattr(registry.distribution, '_progress', elsewhere)
    assert kind_of(lambda: client.upload_blob(APP, digest_of(b'a'), io.BytesIO(b'a'))) in (
        Kind.NOT_A_REGISTRY,
        Kind.UNAVAILABLE,
    )


# Sent again


@pytest.mark.parametrize('kind', [429, 502, 503, 'reset', 'lost'])
def test_locks_are_set_whatever_the_answer_was(registry, client, image, waits, kind):
    registry.faults.rules.append(Fault('PATCH /acr', kind, times=3))
    client.lock(APP, image, Locks(delete_enabled=False))
    client.lock(APP, 'v1', Locks(write_enabled=False))
    assert not flags_of(registry, image)['deleteEnabled'] and not registry.storage.tag(APP, 'v1').flags['writeEnabled']


@pytest.mark.parametrize('kind', [429, 502, 'reset', 'lost'])
@pytest.mark.parametrize('pattern', ['POST /v2/[^ ]*/blobs/uploads/', 'PUT /v2/[^ ]*/blobs/'])
def test_an_upload_is_begun_and_ended_again(registry, client, waits, pattern, kind):
    registry.faults.rules.append(Fault(pattern, kind, times=2))
    data = b'some bytes'
    client.upload_blob(APP, digest_of(data), io.BytesIO(data))
    assert registry.storage.get_blob(digest_of(data)) == data


def test_a_chunk_that_was_refused_is_sent_again(registry, client, waits):
    registry.faults.rules.append(Fault('PATCH /v2/', 429, times=3))
    data = os.urandom(CHUNK + 10)
    client.upload_blob(APP, digest_of(data), io.BytesIO(data))
    assert registry.storage.get_blob(digest_of(data)) == data


def in_small_chunks(monkeypatch, size=1000):
    monkeypatch.setattr(uploads, 'CHUNK_BYTES', size)


def begun(registry):
    return [path for method, path, _ in registry.requests if method == 'POST' and path.endswith('/uploads/')]


@pytest.mark.parametrize('kind', [500, 503, 'reset', 'lost', 'cut'])
def test_an_upload_goes_on_where_the_registry_says_it_stands(registry, client, waits, monkeypatch, kind):
    in_small_chunks(monkeypatch)
    data = os.urandom(20_500)
    registry.faults.rules += [Fault('PATCH /v2/', kind, 0.4), Fault('GET /v2/[^ ]*/uploads/', 503, times=1)]
    client.upload_blob(APP, digest_of(data), io.BytesIO(data))
    assert registry.storage.get_blob(digest_of(data)) == data
    assert len(begun(registry)) == 1, 'it was not begun anew'


def test_an_upload_whose_last_answer_was_lost_is_done(registry, client, waits, monkeypatch):
    in_small_chunks(monkeypatch)
    data = os.urandom(5_000)
    registry.faults.rules.append(Fault('PUT /v2/', 'lost', times=1))
    client.upload_blob(APP, digest_of(data), io.BytesIO(data))
    assert registry.storage.get_blob(digest_of(data)) == data and len(begun(registry)) == 1


def test_an_upload_that_the_registry_has_forgotten_is_begun_anew(registry, client, waits, monkeypatch):
    in_small_chunks(monkeypatch)
    data, forgotten = os.urandom(5_000), []

    def forget(method, path):
        if method == 'PATCH' and not forgotten and registry.distribution._uploads:
            forgotten.append(registry.distribution._uploads.clear())

    registry.on_request = forget
    client.upload_blob(APP, digest_of(data), io.BytesIO(data))
    assert registry.storage.get_blob(digest_of(data)) == data and len(begun(registry)) == 2


@pytest.mark.parametrize('data', [b'', b'a', b'ab'])
def test_the_smallest_uploads_arrive_whatever_is_lost(registry, client, waits, monkeypatch, data):
    in_small_chunks(monkeypatch, 1)
    registry.faults.rules.append(Fault('PATCH /v2/', 'lost', times=1))
    client.upload_blob(APP, digest_of(data), io.BytesIO(data))
    assert registry.storage.get_blob(digest_of(data)) == data


def test_an_upload_that_gets_no_byte_further_ends_with_an_error(registry, client, waits):
    registry.faults.rules.append(Fault('PATCH /v2/', 503))
    assert kind_of(lambda: client.upload_blob(APP, digest_of(b'a'), io.BytesIO(b'a'))) is Kind.UNAVAILABLE
    assert registry.counters['blob'] < 50


@pytest.mark.parametrize('kind', [429, 502, 'reset'])
def test_a_soft_deleted_manifest_is_restored_in_the_second_try(registry, client, image, waits, kind):
    registry.storage.soft_delete_days = 7
    registry.storage.delete_manifest(APP, image)
    registry.faults.rules.append(Fault('POST /acr/v1/_deleted/', kind, times=2))
    client.restore_deleted(APP, image, 'v1')
    assert registry.storage.tag(APP, 'v1').digest == image


def test_each_attribute_that_is_off_is_switched_off_and_no_other_is_switched_on(registry, client, image):
    registry.storage.set_locks(APP, digest=image, writeEnabled=False)
    client.lock(APP, image, Locks(read_enabled=False, list_enabled=False))
    off = {'writeEnabled': False, 'readEnabled': False, 'listEnabled': False}
    assert flags_of(registry, image) == {'deleteEnabled': True, **off}
