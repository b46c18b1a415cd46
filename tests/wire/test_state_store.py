"""Where a state is kept: a folder, and a container of Azurite. Both hold what the rest of the program relies on."""

from __future__ import annotations

import hashlib

import pytest

from azext_acrprune.state.blob_store import LEASE_SECONDS, BlobStore
from azext_acrprune.state.folder_store import FolderStore
from azext_acrprune.state.store import WHATEVER, Leased, OutOfDate, StateError
from tests.registry.azurite import AZURITE, Cut, azurite

blobs = pytest.importorskip('azure.storage.blob')
BlobClient = blobs.BlobClient


@pytest.fixture(scope='module')
def service(tmp_path_factory):
    if not AZURITE:
        pytest.skip('Azurite is not installed (npm: azurite)')
    with azurite(tmp_path_factory.mktemp('azurite')) as running:
        service = running.client()
        service.running = running
        yield service


@pytest.fixture(params=['folder', 'container'])
def opened(request, tmp_path):
    """Opens the same store each time, as another machine does."""
    if request.param == 'folder':
        return lambda: FolderStore(str(tmp_path))
    service = request.getfixturevalue('service')
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:40]
    container = service.create_container(name)
    return lambda: BlobStore('azure-blob:account/state', container, 'teams/a/')


def test_files_are_listed_read_replaced_and_removed(opened):
    store = opened()
    first = store.put('r/one', b'1', None)
    store.put('other/two', b'22', None)
    assert {name: entry.size for name, entry in store.entries('').items()} == {'r/one': 1, 'other/two': 2}
    assert list(store.entries('r/')) == ['r/one'] and store.entries('r/')['r/one'].version == first
    assert store.read('r/one') == (b'1', first) and store.read('r/none') is None
    second = store.put('r/one', b'3', first)
    assert second != first and opened().read('r/one') == (b'3', second)
    store.remove('r/one')
    store.remove('r/one')
    assert store.read('r/one') is None


def test_the_second_of_two_writers_is_told_and_loses_nothing(opened):
    mine, theirs = opened(), opened()
    version = mine.put('file', b'base', None)
    theirs.put('file', b'their', version)
    for stale in (version, None):
        with pytest.raises(OutOfDate):
            mine.put('file', b'mine!', stale)
    assert mine.read('file')[0] == b'their'
    mine.put('file', b'mine!', WHATEVER)
    with pytest.raises(OutOfDate):
        mine.put('none', b'', version)


def test_lines_are_added_where_the_file_ends_and_nowhere_else(opened):
    store = opened()
    store.append('log', b'', 0)
    store.append('log', b'one\n', 0)
    store.append('log', b'two\n', 4)
    with pytest.raises(OutOfDate):
        opened().append('log', b'late\n', 4)
    assert store.read('log')[0] == b'one\ntwo\n'


def test_one_process_at_a_time_has_a_lease(opened):
    store = opened()
    lease = store.lease('lock')
    assert store.entries('')['lock'].held if 'lock' in store.entries('') else True
    with pytest.raises(Leased):
        opened().lease('lock')
    lease.renew()
    lease.release()
    opened().lease('lock').release()


@pytest.fixture
def container(service, request):
    return service.create_container(hashlib.sha256(request.node.name.encode()).hexdigest()[:40])


def test_whoever_lost_the_lease_adds_nothing_more(service, container):
    """A machine that slept, or lost its network for a minute, finds somebody else at work."""
    store = BlobStore('azure-blob:account/state', container)
    store.append('log', b'', 0)
    asleep = store.lease('log')
    store.append('log', b'one\n', 0, asleep)
    with pytest.raises(Leased):
        store.lease('log')
    service.running.pass_time(LEASE_SECONDS)
    other = store.lease('log')
    for call in (lambda: store.append('log', b'two\n', 4, asleep), asleep.renew):
        with pytest.raises(StateError, match='[Ll]ease'):
            call()
    store.append('log', b'two\n', 4, other)
    asleep.release()
    with pytest.raises(Leased):
        store.lease('log')
    assert store.read('log')[0] == b'one\ntwo\n'


def test_a_lease_that_ran_out_is_renewed_while_nobody_else_has_it(service, container):
    """The service says that it is lost, and lets it be renewed all the same: only a minute of no calls makes it so."""
    store = BlobStore('azure-blob:account/state', container)
    store.append('log', b'', 0)
    lease = store.lease('log')
    service.running.pass_time(LEASE_SECONDS)
    assert not store.entries('')['log'].held
    store.append('log', b'one\n', 0, lease)
    assert store.read('log')[0] == b'one\n' and store.entries('')['log'].held


def test_an_answer_that_is_lost_adds_nothing_twice(container, monkeypatch):
    store, real, sent = BlobStore('azure-blob:account/state', container), BlobClient.append_block, []

    def append_block(self, *arguments, **options):
        sent.append(arguments)
        real(self, *arguments, **options)
        return real(self, *arguments, **options)  # as the client does when the connection breaks before the answer

    store.append('log', b'one\n', 0)
    monkeypatch.setattr(BlobClient, 'append_block', append_block)
    store.append('log', b'two\n', 4)
    assert sent and store.read('log')[0] == b'one\ntwo\n'


def test_a_connection_that_breaks_in_the_middle_loses_nothing_and_does_nothing_twice(service, container):
    way = Cut(service.running.port)
    client = service.running.client(way.port)
    store = BlobStore('azure-blob:account/state', client.get_container_client(container.container_name))
    store.append('log', b'one\n', 0)
    way.cut()
    store.append('log', b'two\n', 4)
    way.cut()
    lease = store.lease('log')
    way.cut()
    store.append('log', b'three\n', 8, lease)
    way.cut()
    first = store.put('file', b'data', None)
    way.cut()
    second = store.put('file', b'more', first)
    assert way.lost == 5
    assert store.read('log')[0] == b'one\ntwo\nthree\n' and store.read('file') == (b'more', second)
    with pytest.raises(OutOfDate):
        store.put('file', b'late', first)
    way.close()


def test_a_container_that_is_gone_is_an_error_of_every_call(service):
    store = BlobStore('azure-blob:account/state', service.get_container_client('no-such-container'))
    calls = (
        lambda: store.entries(''),
        lambda: store.read('file'),
        lambda: store.put('file', b'', None),
        lambda: store.append('file', b'', 0),
        lambda: store.remove('file'),
        lambda: store.lease('file'),
    )
    for call in calls:
        with pytest.raises(StateError, match='azure-blob:account/state') as caught:
            call()
        assert 'az storage container create' in caught.value.advice


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StateError, match='is not there'):
        FolderStore(str(tmp_path / 'not-mounted'))
