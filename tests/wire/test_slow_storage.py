"""A storage account whose answers come byte by byte and never end: each call has an end all the same."""

from __future__ import annotations

import hashlib
import threading
import time
from types import SimpleNamespace

import pytest

from azext_acrprune.archive import azure_calls
from azext_acrprune.archive.azure_blob import BLOCK, BlobArchive
from azext_acrprune.archive.azure_calls import AzureCalls
from azext_acrprune.archive.target import ArchiveError
from azext_acrprune.state.blob_store import BlobLease, BlobStore
from azext_acrprune.state.store import StateError
from azext_acrprune.timelimit import TimeLimit
from tests.registry.blob_service import BlobService

blobs = pytest.importorskip('azure.storage.blob')

SMALL, LARGE = b'small', b'x' * (BLOCK + 1)


def digest_of(data):
    return f'sha256:{hashlib.sha256(data).hexdigest()}'


class Azure:
    """Gives tokens, as az does."""

    @staticmethod
    def get_token(*_, **__):
        return SimpleNamespace(token='a token', expires_on=time.time() + 3600)


@pytest.fixture
def service(tmp_path):
    with BlobService(tmp_path) as running:
        running.containers['images'] = {}
        yield running


@pytest.fixture
def container(service):
    address = f'https://localhost:{service.port}'
    with blobs.ContainerClient(address, 'images', credential=Azure, connection_verify=str(service.ca_file)) as client:
        yield client


@pytest.fixture
def calls(monkeypatch):
    """As they are when a time limit is over."""
    monkeypatch.setattr(azure_calls, 'SHORTEST_SECONDS', 0.1)
    return AzureCalls(lambda: TimeLimit(0.01, time.monotonic))


def left_behind(before):
    """The threads that wait for an answer."""
    return [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]


ARCHIVE = {
    'check': lambda archive: archive.check(),
    'sizes': lambda archive: archive.sizes(),
    'held': lambda archive: archive.held([digest_of(SMALL)]),
    'writing': lambda archive: archive.writing().__enter__(),
    'holds': lambda archive: archive.holds(digest_of(SMALL)),
    'put': lambda archive: archive.put(digest_of(SMALL), [SMALL], lambda _: None),
    'put in blocks': lambda archive: archive.put(digest_of(LARGE), [LARGE], lambda _: None),
    'chunks': lambda archive: list(archive.chunks(digest_of(SMALL))),
    'remove': lambda archive: archive.remove([digest_of(SMALL)]),
    'index': lambda archive: archive.index(),
    'is_as_read': lambda archive: archive.is_as_read(),
    'replace_index': lambda archive: archive.replace_index([SMALL]),
    'journals': lambda archive: archive.journals(),
    'journal': lambda archive: list(archive.journal('run')),
    'put_journal': lambda archive: archive.put_journal('run', [SMALL]),
}
STORE = {
    'entries': lambda store: store.entries(''),
    'read': lambda store: store.read('file'),
    'put': lambda store: store.put('file', SMALL, None),
    'append': lambda store: store.append('file', SMALL, 0),
    'append more': lambda store: store.append('file', SMALL, 5),
    'remove': lambda store: store.remove('file'),
    'lease': lambda store: store.lease('file'),
}


@pytest.mark.parametrize('verb', ARCHIVE)
def test_a_call_to_an_archive_that_drips_has_an_end(service, container, calls, verb):
    service.drips, before = True, threading.enumerate()
    archive = BlobArchive('azure-blob:account/images', container, blobs.BlobBlock, calls)
    with pytest.raises(ArchiveError, match='did not answer in time'):
        ARCHIVE[verb](archive)
    assert not left_behind(before), 'the process can end'


@pytest.mark.parametrize('verb', STORE)
def test_a_call_to_a_state_that_drips_has_an_end(service, container, calls, verb):
    service.drips, before = True, threading.enumerate()
    with pytest.raises(StateError, match='did not answer in time'):
        STORE[verb](BlobStore('azure-blob:account/images', container, calls=calls))
    assert not left_behind(before)


def test_a_lease_of_a_state_that_drips_is_given_up_in_time(service, container, calls):
    store = BlobStore('azure-blob:account/images', container, calls=calls)
    lease = BlobLease(store, 'file', blobs.BlobLeaseClient(container.get_blob_client('file'), 'a-lease'))
    service.drips = True
    with pytest.raises(StateError, match='did not answer in time'):
        lease.renew()
    lease.release()


def test_a_call_that_drips_is_given_up_with_the_run(service, container):
    service.drips = True
    limit = TimeLimit(None, time.monotonic)
    store = BlobStore('azure-blob:account/images', container, calls=AzureCalls(lambda: limit))
    giving_up = threading.Timer(0.3, lambda: limit.give_up_in(0.1))
    giving_up.start()
    with pytest.raises(StateError, match='did not answer in time'):
        store.read('file')
    giving_up.join()


@pytest.mark.parametrize('left, most', [(None, 300 + 512), (40, 40), (0.01, 5)])
def test_what_is_large_has_more_time_and_a_time_limit_ends_it(service, container, monkeypatch, left, most):
    waited, within = [], azure_calls.within
    monkeypatch.setattr(azure_calls, 'within', lambda seconds, work, _: waited.append(seconds) or within(60, work))
    archive = BlobArchive(
        'azure-blob:account/images', container, blobs.BlobBlock, AzureCalls(lambda: TimeLimit(left, lambda: 0.0))
    )
    archive.put(digest_of(LARGE), [LARGE], lambda _: None)
    assert b''.join(archive.chunks(digest_of(LARGE))) == LARGE
    assert min(waited) == min(300, most) and max(waited[:3]) == most
