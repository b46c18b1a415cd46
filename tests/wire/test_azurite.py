"""An archive in a container of Azurite, Microsoft's own emulator of the blob service, by its own client."""

from __future__ import annotations

import hashlib

import pytest

from azext_acrprune.archive.azure_blob import BlobArchive
from azext_acrprune.archive.catalog import index_to_change, open_catalog
from azext_acrprune.archive.pure.layout import COPY_FILE, INDEX_FILE, OCI_IMAGE, Index, Record, index_pieces
from azext_acrprune.archive.target import ArchiveError
from azext_acrprune.archive.upkeep import compact, expire, find_garbage, repair, verify
from tests.registry.azurite import AZURITE, Cut, azurite
from tests.unit.test_archive_upkeep import MARCH, Filled

pytestmark = pytest.mark.skipif(not AZURITE, reason='Azurite is not installed (npm: azurite)')


@pytest.fixture(scope='module')
def service(tmp_path_factory):
    with azurite(tmp_path_factory.mktemp('azurite')) as running:
        client = running.client()
        client.running = running
        yield client


@pytest.fixture
def container(service, request):
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:40]
    return service.create_container(name)


@pytest.fixture
def archive(container):
    """Opens the same archive each time, as another process does."""
    from azure.storage.blob import BlobBlock

    return lambda: BlobArchive('azure-blob:account/images', container, BlobBlock)


def put(target, data):
    digest = f'sha256:{hashlib.sha256(data).hexdigest()}'
    with target.writing():
        target.put(digest, [data], lambda _: None)
    return digest


def record(digest, tag):
    return Record('r', 'team/app', digest, OCI_IMAGE, 1, '2026-01-01T00:00:00Z', tag)


def test_blobs_of_every_size_are_kept_looked_up_and_read(archive):
    target, data = archive(), (b'', b'a', b'b' * 40_000, b'c' * 20_000_000)
    target.check()
    digests = [put(target, each) for each in data]
    absent = f'sha256:{0:064x}'
    assert target.held([*digests, absent]) == target.sizes() == dict(zip(digests, map(len, data), strict=True))
    assert [b''.join(target.chunks(digest)) for digest in digests] == list(data)
    assert target.holds(digests[2]) and not target.holds(absent)
    assert target.holds(digests[2], 40_000) and not target.holds(digests[2], 40_001), 'somebody else may have put it'


def test_the_second_of_two_that_change_an_index_is_told_and_the_copy_is_of_the_first(archive, container):
    first, second = archive(), archive()
    with first.writing():
        assert index_to_change(first) is None and index_to_change(second) is None
        first.replace_index(index_pieces(Index((record(put(first, b'a'), 'v1'),))))
        with pytest.raises(ArchiveError, match='Another process'):
            second.replace_index(index_pieces(Index((record(put(first, b'b'), 'v2'),))))
    index, copy = (container.get_blob_client(name).download_blob().readall() for name in (INDEX_FILE, COPY_FILE))
    assert index == copy and [each.tag for each in open_catalog(archive()).index.records] == ['v1']
    assert first.is_as_read() and not second.is_as_read()


def test_of_two_that_write_a_large_index_at_once_the_first_has_its_own(archive, monkeypatch):
    from azure.storage.blob import BlobClient

    first, second = archive(), archive()
    commit, others = BlobClient.commit_block_list, []

    def commit_later(blob, blocks, **options):
        if others:
            raise KeyboardInterrupt  # the other run is killed before it commits what it sent
        others.append(blob)
        with pytest.raises(KeyboardInterrupt):
            second.replace_index(index_pieces(theirs))
        monkeypatch.undo()
        return commit(blob, blocks, **options)

    with first.writing():
        digest = put(first, b'a')
        assert index_to_change(first) is None and index_to_change(second) is None
        ours, theirs = (
            Index(tuple(record(digest, f'{name}-{number:03}') for number in range(300)))  # more than 32 KiB
            for name in ('ours', 'theirs')
        )
        monkeypatch.setattr(BlobClient, 'commit_block_list', commit_later)
        first.replace_index(index_pieces(ours))
    assert others and {each.tag[:4] for each in open_catalog(archive()).index.records} == {'ours'}


def test_a_layer_that_two_write_at_once_is_kept(archive):
    first, second, data = archive(), archive(), b'c' * 20_000_000
    digest = f'sha256:{hashlib.sha256(data).hexdigest()}'

    def chunks():
        yield data[:10_000_000]
        second.put(digest, [data], lambda _: None)
        yield data[10_000_000:]

    first.put(digest, chunks(), lambda _: None)
    assert b''.join(archive().chunks(digest)) == data and archive().holds(digest, len(data))


def test_of_two_that_write_a_large_index_at_once_the_later_one_is_told_to_run_again(archive, monkeypatch):
    from azure.storage.blob import BlobClient

    first, second = archive(), archive()
    commit, others = BlobClient.commit_block_list, []

    def commit_later(blob, blocks, **options):
        monkeypatch.undo()
        others.append(second.replace_index(index_pieces(index)))
        return commit(blob, blocks, **options)

    with first.writing():
        digest = put(first, b'a')
        assert index_to_change(first) is None and index_to_change(second) is None
        index = Index(tuple(record(digest, f'v{number:03}') for number in range(300)))  # more than 32 KiB
        monkeypatch.setattr(BlobClient, 'commit_block_list', commit_later)
        with pytest.raises(ArchiveError, match='Another process'):
            first.replace_index(index_pieces(index))
    assert others and open_catalog(archive()).troubles == ()


def test_what_others_have_below_blobs_is_left_alone_and_no_blob_of_the_archive(archive, container):
    Filled(None, archive())
    others = ('blobs/notes/readme.txt', f'blobs/blake3/{"a" * 64}', 'blobs/sha256/readme.txt')
    for name in others:
        container.upload_blob(name, b'{"artifactType": "application/vnd.acrprune.run.v1+json"}')
    expire(archive(), MARCH)
    assert compact(archive()).sizes and verify(archive()).damaged == {}
    repair(archive())
    assert all(container.get_blob_client(name).exists() for name in others)


def test_what_was_written_since_the_index_was_read_is_not_removed(service, archive):
    target = archive()
    with target.writing():
        early = put(target, b'early')
        target.replace_index(index_pieces(Index((record(early, 'v1'),))))
        index_to_change(archive())
        service.running.pass_time(2)  # the service tells times in whole seconds
        late = put(target, b'late')
        target.remove([early, late, f'sha256:{0:064x}'])
    assert set(target.sizes()) == {late}


def test_it_expires_is_compacted_verified_and_repaired(archive, container):
    filled = Filled(None, archive())
    assert {each.tag for each in expire(archive(), MARCH).gone if each.tag} == {'a', 'b', 'child'}
    assert compact(archive()).sizes and find_garbage(archive()).sizes == {}
    verified = verify(archive())
    assert (verified.damaged, verified.broken) == ({}, ())
    records = open_catalog(archive()).index.records
    for name in (INDEX_FILE, COPY_FILE):
        container.delete_blob(name)
    repair(archive())
    assert open_catalog(archive()).index.records == records and filled.names() == {'c', 'd', 'index'}


def test_journals_are_kept_by_run(archive):
    target = archive()
    target.put_journal('run-1', [b'{}\n'])
    target.put_journal('run-1', [b'{}\n{}\n'])
    assert target.journals() == ['run-1'] and b''.join(target.journal('run-1')) == b'{}\n{}\n'


@pytest.fixture
def way(service):
    opened = Cut(service.running.port)
    yield opened
    opened.close()


def test_a_connection_that_breaks_in_the_middle_loses_nothing_of_an_archive(service, container, archive, way):
    from azure.storage.blob import BlobBlock

    there = service.running.client(way.port).get_container_client(container.container_name)
    target = BlobArchive('azure-blob:account/images', there, BlobBlock)
    data = b'c' * 20_000_000

    def chunks():
        for start in range(0, len(data), 8_000_000):
            way.cut()
            yield data[start : start + 8_000_000]

    digest = f'sha256:{hashlib.sha256(data).hexdigest()}'
    with target.writing():
        index_to_change(target)
        target.put(digest, chunks(), lambda _: None)
        way.cut()
        target.replace_index(index_pieces(Index((record(digest, 'v1'),))))
        way.cut(after=1)  # the answer to the index itself: the copy is written before
        target.replace_index(index_pieces(Index((record(digest, 'v2'),))))
    way.cut()
    assert b''.join(target.chunks(digest)) == data and way.lost > 4
    assert [each.tag for each in open_catalog(archive()).index.records] == ['v2']
    assert target.is_as_read()


def test_a_container_that_is_gone_is_an_error_of_all_that_is_done_with_an_archive(service):
    from azure.storage.blob import BlobBlock

    target = BlobArchive('azure-blob:account/images', service.get_container_client('no-such-archive'), BlobBlock)
    digest = f'sha256:{hashlib.sha256(b"a").hexdigest()}'
    calls = (
        target.check,
        target.sizes,
        lambda: put(target, b'a'),
        lambda: target.put(digest, [b'a'], lambda _: None),
        lambda: list(target.chunks(digest)),
        lambda: target.replace_index(index_pieces(Index(()))),
        lambda: target.held([digest]),
        lambda: target.holds(digest),
        lambda: target.remove([digest]),
        target.index,
        target.is_as_read,
        target.journals,
        lambda: list(target.journal('run-1')),
        lambda: target.put_journal('run-1', [b'{}']),
    )
    for number, call in enumerate(calls):
        with pytest.raises(ArchiveError, match='azure-blob:account/images') as caught:
            call()
        assert 'az storage container create' in caught.value.advice, number
