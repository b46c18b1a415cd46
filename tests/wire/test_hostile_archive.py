"""Whoever may write to an archive, or be the registry, is an enemy here: what he puts there, and what he answers.

What was told to be archived is, or stays; nothing is written, removed or read outside; and nothing takes for ever.
"""

from __future__ import annotations

import errno
import json
import os
import time

import pytest

from azext_acrprune.archive.directory import DirectoryArchive
from azext_acrprune.archive.patience import Patience
from azext_acrprune.archive.pure.choose import choose
from azext_acrprune.archive.pure.contents import NOT_ARCHIVED
from azext_acrprune.archive.pure.layout import NotAnArchive, index_bytes, parse_index
from azext_acrprune.archive.stored import read_archive
from azext_acrprune.archive.target import ArchiveBusy, ArchiveError
from azext_acrprune.archive.write import estimate
from azext_acrprune.decide.decision import decide
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Selection
from azext_acrprune.reporter import Silent
from tests.e2e.images import Shelf
from tests.registry.builder import OCI_IMAGE, OCI_INDEX, image_manifest, index_manifest
from tests.registry.faults import Fault
from tests.wire.plain import archive, execute, push, scan
from tests.worlds import NOW

HOST = 'test.azurecr.io'
posix = pytest.mark.skipif(os.name != 'posix', reason='needs links, pipes and devices')


@pytest.fixture
def client(connect):
    return connect()


@pytest.fixture
def place(tmp_path):
    return tmp_path / 'archive'


def doomed(client):
    policy = policy_of(Flags(match=('**:*',), ago='0', untagged=True))
    return decide(scan(client, HOST, Extent(policy.selection, tags=True), Silent()), policy, NOW)


def prune(client, place, decision=None, is_over=lambda: False):
    """Archive and delete all; gives what was skipped."""
    decision = decision or doomed(client)
    target = DirectoryArchive(str(place))
    estimate(target, decision, True)
    safe = archive(client, target, decision, True, '2026-01-01', 8, Silent(), is_over)
    execute(client, safe.decision, 8, Silent(), time.monotonic)
    return {each.digest: each.because for each in safe.skipped if each.reason == NOT_ARCHIVED}


def restore(client, place):
    target = DirectoryArchive(str(place))
    found = read_archive(target, HOST)
    chosen = choose(found.records, found.kept, found.blobs, scan(client, HOST, Extent(Selection()), Silent()), None)
    return chosen, push(client, target, chosen, 8, Silent())


def image_in(registry, name, tag=None):
    return Shelf(registry.storage, time.time()).image(name, tag)


def left(registry, name='team/app'):
    return set(registry.storage.manifests(name))


def layer_of(registry, digest):
    return registry.storage.manifest('team/app', digest).document['layers'][0]['digest']


def path_of(place, digest):
    return place / 'blobs' / 'sha256' / digest[7:]


# --- The archive, when it is written to --------------------------------------------------------------------------


@posix
@pytest.mark.parametrize('name', ['.partial', '.lock', 'blobs', 'blobs/sha256'])
def test_a_link_inside_leads_nowhere(registry, client, tmp_path, place, name):
    digest = image_in(registry, 'image')
    victim = tmp_path / 'victim'
    victim.mkdir()
    (victim / ('a' * 32)).write_text('mine')
    (place / name).parent.mkdir(parents=True)
    (place / 'oci-layout').write_text('{"imageLayoutVersion":"1.0.0"}')
    (place / name).symlink_to(victim if name != '.lock' else victim / 'made')
    with pytest.raises(ArchiveError, match='is a link'):
        prune(client, place)
    with pytest.raises(ArchiveError, match='is a link'):
        archive(client, DirectoryArchive(str(place)), doomed(client), True, '2026-01-01', 8, Silent())
    assert [path.read_text() for path in victim.iterdir()] == ['mine']
    assert left(registry) == {digest}


@posix
@pytest.mark.parametrize('what', ['link', 'link to nothing', 'link to no end', 'pipe', 'other bytes', 'half of it'])
@pytest.mark.parametrize('which', ['manifest', 'layer'])
def test_what_stands_in_the_place_of_a_blob_is_replaced(registry, client, tmp_path, place, what, which):
    digest = image_in(registry, 'image')
    layer = layer_of(registry, digest)
    victim = tmp_path / 'victim'
    victim.write_text('mine')
    path = path_of(place, digest if which == 'manifest' else layer)
    path.parent.mkdir(parents=True)
    (place / 'oci-layout').write_text('{"imageLayoutVersion":"1.0.0"}')
    if what == 'pipe':
        os.mkfifo(path)
    elif what.startswith('link'):
        path.symlink_to({'link': victim, 'link to nothing': tmp_path / 'none', 'link to no end': '/dev/zero'}[what])
    else:
        data = registry.storage.manifest('team/app', digest).data
        data = data if which == 'manifest' else registry.storage.get_blob(layer)
        path.write_bytes(data[: len(data) // 2] if what == 'half of it' else b'x' * len(data))
    assert prune(client, place) == {} and left(registry) == set()
    assert path.is_file() and not path.is_symlink() and victim.read_text() == 'mine'
    assert restore(client, place)[1].manifests == [('team/app', digest)]


def test_a_folder_in_the_place_of_a_blob_is_an_error_and_nothing_goes(registry, client, place):
    digest = image_in(registry, 'image')
    (place / 'oci-layout').parent.mkdir()
    (place / 'oci-layout').write_text('{"imageLayoutVersion":"1.0.0"}')
    path_of(place, digest).mkdir(parents=True)
    with pytest.raises(ArchiveError):
        prune(client, place)
    assert left(registry) == {digest}


def test_only_what_an_earlier_run_left_is_removed(registry, client, place):
    image_in(registry, 'image')
    (place / '.partial').mkdir(parents=True)
    for name in ('0' * 32, 'mine.txt'):
        (place / '.partial' / name).write_text('x')
    prune(client, place)
    assert [path.name for path in (place / '.partial').iterdir()] == ['mine.txt']


@pytest.mark.parametrize('had_one', [True, False])
def test_what_another_process_wrote_to_the_index_meanwhile_is_not_lost(registry, client, place, had_one):
    """As on a share on which the lock of one machine is none for the other."""
    if had_one:
        image_in(registry, 'before')
        prune(client, place)
    digest = image_in(registry, 'image')
    others = index_bytes(parse_index(b'{"manifests": []}'))

    def write(method, path):
        if '/blobs/' in path:
            (place / 'index.json').write_bytes(others)

    registry.on_request = write
    with pytest.raises(ArchiveError, match='Another process'):
        prune(client, place)
    assert (place / 'index.json').read_bytes() == others and left(registry) == {digest}
    registry.on_request = None
    assert prune(client, place) == {} and left(registry) == set()


def test_two_that_archive_to_one_directory_at_a_time_lose_nothing(registry, client, place):
    digest = image_in(registry, 'image')
    decision, told = doomed(client), []
    target = DirectoryArchive(str(place))
    with target.writing():
        with pytest.raises(ArchiveError, match='Another process'):
            archive(client, DirectoryArchive(str(place)), decision, True, '2026-01-01', 8, Silent())
        told.append(1)
    assert told and left(registry) == {digest}
    assert prune(client, place) == {}


def test_a_run_waits_for_one_that_is_writing_and_says_so(registry, client, place):
    image_in(registry, 'image')
    writing = DirectoryArchive(str(place)).writing()
    writing.__enter__()
    told = []

    def waits():
        told.append(left(registry))
        writing.__exit__(None, None, None)

    target, patience = DirectoryArchive(str(place)), Patience(60, waits)
    safe = archive(client, target, doomed(client), True, '2026-01-01', 8, Silent(), lambda: False, '', patience)
    assert len(told) == 1 and len(safe.records) == 1


@pytest.mark.parametrize('reason', [OSError(errno.ENOLCK, 'No locks available'), EOFError('it ended')])
def test_a_file_system_without_locks_is_not_another_process(place, monkeypatch, reason):
    import portalocker

    def refuse(*_):
        raise portalocker.exceptions.LockException(reason)

    monkeypatch.setattr(portalocker, 'lock', refuse)
    with pytest.raises(ArchiveError, match='cannot be locked') as caught, DirectoryArchive(str(place)).writing():
        pass
    assert not isinstance(caught.value, ArchiveBusy) and '.lock' in str(caught.value)


# --- The archive, when it is read --------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize('what', ['pipe', 'link to no end', 'huge', 'folder', 'cut', 'gone'])
@pytest.mark.parametrize('which', ['manifest', 'layer'])
def test_what_is_damaged_is_named_and_the_rest_comes_back(registry, client, place, what, which):
    damaged, whole = (image_in(registry, name) for name in ('damaged', 'whole'))
    path = path_of(place, damaged if which == 'manifest' else layer_of(registry, damaged))
    prune(client, place)
    data = path.read_bytes()
    path.unlink()
    if what == 'pipe':
        os.mkfifo(path)
    elif what == 'link to no end':
        path.symlink_to('/dev/zero')
    elif what == 'huge':
        with open(path, 'wb') as file:
            file.truncate(2**40 if which == 'manifest' else 2**24)
    elif what == 'folder':
        path.mkdir()
    elif what == 'cut':
        path.write_bytes(data[:-1])
    registry.storage._data.clear()  # pylint: disable=protected-access  # the registry has forgotten its layers
    registry.storage._sizes.clear()  # pylint: disable=protected-access
    chosen, pushed = restore(client, place)
    assert pushed.manifests == [('team/app', whole)]
    assert {each.digest for each in (*chosen.failed, *pushed.failed)} == {damaged}


@posix
def test_what_a_link_leads_to_is_not_uploaded(registry, client, tmp_path, place):
    digest = image_in(registry, 'image')
    layer = layer_of(registry, digest)
    prune(client, place)
    (tmp_path / 'secret').write_bytes(path_of(place, layer).read_bytes())
    path_of(place, layer).unlink()
    path_of(place, layer).symlink_to(tmp_path / 'secret')
    registry.storage._data.clear()  # pylint: disable=protected-access
    registry.storage._sizes.clear()  # pylint: disable=protected-access
    registry.forget()
    chosen, pushed = restore(client, place)
    assert pushed.manifests == [] and {each.digest for each in chosen.failed} == {digest}
    assert not [path for method, path, _ in registry.requests if method in ('PATCH', 'PUT')]


def test_an_index_that_is_huge_or_a_pipe_is_told(place):
    place.mkdir()
    with open(place / 'index.json', 'wb') as file:
        file.truncate(2**40)
    with pytest.raises(NotAnArchive, match='larger than'):
        read_archive(DirectoryArchive(str(place)), HOST)
    if os.name == 'posix':
        (place / 'index.json').unlink()
        os.mkfifo(place / 'index.json')
        with pytest.raises(ArchiveError):
            read_archive(DirectoryArchive(str(place)), HOST)


def rewritten(place, change):
    """The index of an archive after somebody has changed its descriptors."""
    index = json.loads((place / 'index.json').read_text())
    change(index['manifests'])
    (place / 'index.json').write_text(json.dumps(index))


def test_records_that_are_there_twice_come_back_once(registry, client, place):
    digest = image_in(registry, 'image', tag='v1')
    prune(client, place)
    rewritten(place, lambda entries: entries.extend(list(entries)))
    _, pushed = restore(client, place)
    assert (pushed.manifests, pushed.tags) == ([('team/app', digest)], [('team/app', 'v1', digest)])


def test_tags_that_an_index_claims_for_what_is_there_do_not_move(registry, client, place):
    image_in(registry, 'old', tag='v1')
    prune(client, place)
    stays = image_in(registry, 'stays', tag='latest')

    def claim(entries):
        tagged = json.loads(json.dumps(next(each for each in entries if 'io.acrprune.tag' in each['annotations'])))
        tagged['annotations'].update({'io.acrprune.tag': 'latest', 'io.acrprune.archivedAt': '9999'})
        entries.append(tagged)

    rewritten(place, claim)
    chosen, _ = restore(client, place)
    assert registry.storage.tag('team/app', 'latest').digest == stays
    assert [(each.tag, each.reason) for each in chosen.skipped] == [('latest', 'tagExists')]


@pytest.mark.parametrize('layer', ['../../../etc/passwd', '..', 'sha256:..', '\x1b[31mred', 'sha256:' + 'G' * 64])
def test_a_manifest_that_names_no_digest_as_its_layer_is_not_pushed(registry, client, place, layer):
    digest = image_in(registry, 'image')
    prune(client, place)
    layers = [{'digest': layer, 'size': 1}]
    put(place, json.dumps({'schemaVersion': 2, 'mediaType': OCI_IMAGE, 'layers': layers}).encode())
    chosen, pushed = restore(client, place)
    assert pushed.manifests == [('team/app', digest)]
    assert [each.error for each in chosen.failed] == ['it refers to a layer by something that is no digest']


def put(place, data, media_type=OCI_IMAGE):
    """Slip a manifest into an archive, as somebody does who knows how they are made."""
    from tests.registry.records import digest_of

    digest = digest_of(data)
    path_of(place, digest).write_bytes(data)
    rewritten(
        place,
        lambda entries: entries.append(
            {
                'digest': digest,
                'mediaType': media_type,
                'size': len(data),
                'annotations': {
                    'io.acrprune.registry': HOST,
                    'io.acrprune.repository': 'team/app',
                    'io.acrprune.archivedAt': 'x',
                },
            }
        ),
    )
    return digest


def test_a_chain_of_indexes_and_a_circle_of_attachments_end(registry, client, place):
    below, above = registry.storage.put_blob(b'c' * 7), []
    below = registry.storage.put_manifest('team/app', image_manifest((below, 7), []), OCI_IMAGE, checked=False)
    for _ in range(60):
        below = registry.storage.put_manifest('team/app', index_manifest([(below, 1)]), OCI_INDEX, checked=False)
        above.append(below)
    one, two = (image_in(registry, name) for name in ('one', 'two'))
    for digest, subject in ((one, two), (two, one)):
        data = registry.storage.manifest('team/app', digest).data
        registry.storage.put_manifest('team/app', data, OCI_IMAGE, f'sha256-{subject[7:]}.sig')
    decision, start = doomed(client), time.process_time()
    target = DirectoryArchive(str(place))
    safe = archive(client, target, decision, True, '2026-01-01', 8, Silent())
    found = read_archive(target, HOST)
    inventory = scan(client, HOST, Extent(Selection(())), Silent())
    chosen = choose(found.records, found.kept, found.blobs, inventory, None)
    assert time.process_time() - start < 60
    assert not safe.skipped and not chosen.failed


# --- The registry ------------------------------------------------------------------------------------------------


def test_a_layer_without_an_end_is_not_archived_and_its_image_stays(registry, client, place):
    endless, whole = (image_in(registry, name) for name in ('endless', 'whole'))
    decision = doomed(client)
    registry.faults.rules.append(Fault(f'GET .*/blobs/{layer_of(registry, endless)}', 'endless'))
    skipped = prune(client, place, decision)
    assert skipped.keys() == {endless} and 'longer than its manifest says' in skipped[endless]
    assert left(registry) == {endless} and path_of(place, whole).exists()
    assert sum(path.stat().st_size for path in place.rglob('*') if path.is_file()) < 100_000


def test_a_manifest_without_an_end_is_unreadable_and_all_that_it_may_need_stays(registry, client, monkeypatch):
    from azext_acrprune.registry import transport

    monkeypatch.setattr(transport, '_LARGEST_ANSWER', 1 << 22)
    digests = {image_in(registry, name) for name in ('endless', 'other')}
    registry.faults.rules.append(Fault(f'GET .*/manifests/{min(digests)}', 'endless'))
    decision = decide(scan(client, HOST, Extent(Selection()), Silent()), policy_of(Flags(ago='0')), NOW)
    assert decision.doomed == set()
    assert 'endless' in str(decision.inventory.repositories[0].manifests[min(digests)].content)


def test_a_layer_that_an_image_calls_shorter_than_it_is_is_archived_with_the_others(registry, client, place):
    honest = image_in(registry, 'honest')
    layer = layer_of(registry, honest)
    data = image_manifest((registry.storage.put_blob(b'config'), 6), [(layer, 1)])
    liar = registry.storage.put_manifest('team/app', data, OCI_IMAGE, checked=False)
    assert prune(client, place) == {}
    assert left(registry).isdisjoint({honest, liar}) and path_of(place, layer).exists()


def test_a_layer_that_takes_too_long_is_left_with_its_image_when_the_time_is_over(registry, client, place):
    image_in(registry, 'image')
    decision, over = doomed(client), []
    registry.on_request = lambda method, path: over.append(path) if '/blobs/' in path else None
    skipped = prune(client, place, decision, lambda: bool(over))
    assert set(skipped) == left(registry) and 'the time was over' in str(skipped)
