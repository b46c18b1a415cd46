"""An archive is verified, expires, is compacted and repaired, and nothing that an entry needs is lost."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from azext_acrprune.archive.archive_documents import (
    compact_document,
    expire_document,
    list_document,
    repair_document,
    show_document,
    verify_document,
)
from azext_acrprune.archive.catalog import index_to_change, open_catalog
from azext_acrprune.archive.directory import DirectoryArchive
from azext_acrprune.archive.pure.layout import (
    COPY_FILE,
    INDEX_FILE,
    OCI_IMAGE,
    OCI_INDEX,
    Index,
    Record,
    Run,
    index_pieces,
    run_bytes,
)
from azext_acrprune.archive.target import ArchiveBusy, ArchiveError
from azext_acrprune.archive.upkeep import compact, expire, find_expired, find_garbage, find_repair, repair, verify
from azext_acrprune.model import Locks, parse_ticks
from azext_acrprune.show.archive_tables import archive_rows, image_rows, verify_rows
from azext_acrprune.show.archive_told import compact_told, expire_told, repair_told
from tests.registry.printed import printed_commands, wrong_with

OLD, NEW = '2026-01-01T00:00:00Z', '2026-06-01T00:00:00Z'
MARCH = parse_ticks('2026-03-01T00:00:00Z')


class Filled:
    """An archive with images of two runs: `shared` is a layer of both, `old` and `new` are digests by name."""

    def __init__(self, path, target=None):
        self.path = path
        self.target = target or DirectoryArchive(str(path))
        self.sizes = {}
        self.shared = self.blob(b'shared layer')
        self.digests, self.layers = {}, {}
        for when, names in ((OLD, ('a', 'b')), (NEW, ('c', 'd'))):
            self.run(when, [self.image(name) for name in names])
        child = self.image('child')
        index = self.put({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [self.descriptor(child, OCI_IMAGE)]})
        self.digests['index'] = index
        self.run(OLD, [child])
        self.run(NEW, [index], OCI_INDEX)

    def blob(self, data):
        digest = f'sha256:{hashlib.sha256(data).hexdigest()}'
        with self.target.writing():
            self.target.put(digest, [data], lambda _: None)
        self.sizes[digest] = len(data)
        return digest

    def descriptor(self, digest, media_type='application/vnd.oci.image.layer.v1.tar'):
        return {'mediaType': media_type, 'digest': digest, 'size': self.sizes[digest]}

    def put(self, document):
        return self.blob(json.dumps(document).encode())

    def image(self, name):
        self.layers[name] = self.blob(f'layer of {name}'.encode())
        layers = [self.descriptor(self.layers[name]), self.descriptor(self.shared)]
        config = self.descriptor(self.blob(f'config of {name}'.encode()), 'application/vnd.oci.image.config.v1+json')
        self.digests[name] = self.put({'schemaVersion': 2, 'mediaType': OCI_IMAGE, 'config': config, 'layers': layers})
        return self.digests[name]

    def run(self, when, digests, media_type=OCI_IMAGE):
        records = []
        for digest in digests:
            name = next(name for name, each in self.digests.items() if each == digest)
            one = ('r', 'team/app', digest, media_type, self.sizes[digest], when)
            records += [Record(*one, None, Locks(False)), Record(*one, name)]
        run = f'run-{when}'
        data = run_bytes(records, run)
        digest = self.blob(data)
        with self.target.writing():
            index = index_to_change(self.target) or Index()
            self.target.replace_index(
                index_pieces(index.with_records(records).with_run(Run(digest, when, f'run-{when}')))
            )

    def at(self, digest):
        return self.path / 'blobs' / 'sha256' / digest[7:]

    def names(self):
        return {record.tag for record in open_catalog(self.target).index.records if record.tag}

    def state(self):
        index = json.loads((self.path / INDEX_FILE).read_bytes())
        return index['manifests'], {path.name for path in (self.path / 'blobs' / 'sha256').iterdir()}


@pytest.fixture
def filled(tmp_path):
    return Filled(tmp_path / 'archive')


def test_what_is_whole_is_verified(filled):
    verified = verify(filled.target)
    assert (verified.damaged, verified.broken, verified.bare) == ({}, (), ())


@pytest.mark.parametrize('how', ['changed', 'cut', 'gone'])
def test_a_damaged_layer_is_named_with_each_image_that_needs_it(filled, how):
    path = filled.at(filled.layers['a'])
    path.unlink() if how == 'gone' else path.write_bytes(b'x' if how == 'changed' else path.read_bytes()[:3])
    verified = verify(filled.target)
    assert set(verified.damaged) == (set() if how == 'gone' else {filled.layers['a']})
    assert [record.digest for record, _ in verified.broken] == [filled.digests['a']]
    assert filled.layers['a'] in verified.broken[0][1]


def test_an_image_of_which_only_the_manifest_was_archived_is_no_damage(filled):
    document = json.loads(filled.at(filled.digests['a']).read_bytes())
    for part in (*document['layers'], document['config']):
        filled.at(part['digest']).unlink()
    verified = verify(filled.target)
    assert [record.digest for record in verified.bare] == [filled.digests['a']] and filled.digests['b'] in {
        record.digest for record, _ in verified.broken
    }, 'the other ones had their layers and lost one'


def test_what_is_old_expires_and_what_others_need_of_it_stays(filled):
    gone = expire(filled.target, MARCH).gone
    assert {record.tag for record in gone if record.tag} == {'a', 'b', 'child'}
    assert filled.names() == {'c', 'd', 'index'}
    garbage = set(find_garbage(filled.target).sizes)
    assert {filled.digests['a'], filled.layers['a'], filled.layers['b']} <= garbage
    assert garbage.isdisjoint({filled.shared, filled.digests['child'], filled.layers['child'], filled.layers['c']})
    assert set(compact(filled.target).sizes) == garbage
    assert all(not filled.at(digest).exists() for digest in garbage)
    verified = verify(filled.target)
    assert (verified.damaged, verified.broken) == ({}, ())
    assert find_garbage(filled.target).sizes == {}


def test_compacting_without_garbage_changes_nothing(filled):
    before = filled.state()
    assert compact(filled.target).sizes == {} and filled.state() == before


def test_nothing_is_removed_while_it_is_not_known_what_is_needed(filled):
    expire(filled.target, MARCH)
    filled.at(filled.digests['c']).write_bytes(b'{}')
    before = filled.state()
    with pytest.raises(ArchiveError, match='cannot be read') as caught:
        compact(filled.target)
    assert filled.digests['c'] in str(caught.value) and 'archive verify' in caught.value.advice
    assert filled.state() == before
    assert [record.tag for record in repair(filled.target).lost if record.tag] == ['c']
    assert compact(filled.target).sizes and filled.names() == {'d', 'index', 'a', 'b', 'child'}


def test_nothing_is_removed_while_an_entry_is_damaged_that_a_repair_brings_back(filled):
    expire(filled.target, MARCH)
    for name in (INDEX_FILE, COPY_FILE):
        text = (filled.path / name).read_text()
        (filled.path / name).write_text(text.replace(filled.digests['c'], 'sha256:damaged'))
    before = filled.state()
    with pytest.raises(ArchiveError, match='is damaged') as caught:
        compact(filled.target)
    assert 'archive repair' in caught.value.advice and filled.state() == before
    repair(filled.target)
    assert 'c' in filled.names() and verify(filled.target).broken == ()
    compact(filled.target)
    assert 'c' in filled.names() and verify(filled.target).broken == ()


def test_a_layer_of_a_child_that_is_no_image_of_the_archive_is_missed(filled):
    expire(filled.target, MARCH)
    filled.at(filled.layers['child']).unlink()
    assert [(record.digest, why) for record, why in verify(filled.target).broken] == [
        (filled.digests['index'], f'its blob {filled.layers["child"]} is missing or damaged')
    ]


def test_an_index_of_whose_child_only_the_manifest_was_archived_is_no_damage(filled):
    expire(filled.target, MARCH)
    document = json.loads(filled.at(filled.digests['child']).read_bytes())
    for part in (*document['layers'], document['config']):
        filled.at(part['digest']).unlink()
    verified = verify(filled.target)
    assert filled.digests['index'] in {record.digest for record in verified.bare}


def test_what_has_a_digest_of_another_algorithm_is_left_alone(filled):
    other = filled.path / 'blobs' / 'blake3' / ('a' * 64)  # which image-spec registers
    other.parent.mkdir()
    other.write_bytes(b'{"artifactType": "application/vnd.acrprune.run.v1+json"}')
    expire(filled.target, MARCH)
    assert verify(filled.target).damaged == {} and not find_repair(filled.target).lost
    assert compact(filled.target).sizes and other.exists()


def test_what_another_tool_put_in_is_kept_with_its_layers(filled):
    layer = filled.blob(b'of another tool')
    config = filled.descriptor(filled.blob(b'config of another tool'))
    manifest = {'schemaVersion': 2, 'mediaType': OCI_IMAGE, 'config': config, 'layers': [filled.descriptor(layer)]}
    digest = filled.put(manifest)
    index = json.loads((filled.path / INDEX_FILE).read_bytes())
    index['manifests'].append(filled.descriptor(digest, OCI_IMAGE))
    (filled.path / INDEX_FILE).write_text(json.dumps(index))
    expire(filled.target, MARCH)
    compact(filled.target)
    assert filled.at(layer).exists() and filled.at(digest).exists()


class Dying(DirectoryArchive):
    """An archive whose process dies after so many files were removed."""

    left = 0

    def remove(self, digests):
        for digest in digests:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            super().remove([digest])


@pytest.mark.parametrize('removed', [0, 1, 5])
def test_a_compaction_that_dies_goes_on_and_nothing_is_added_before(filled, removed):
    expire(filled.target, MARCH)
    garbage = set(find_garbage(filled.target).sizes)
    dying = Dying(str(filled.path))
    dying.left = removed
    with pytest.raises(KeyboardInterrupt):
        compact(dying)
    with pytest.raises(ArchiveError, match='is being compacted') as caught:
        index_to_change(filled.target)
    assert 'archive compact' in caught.value.advice
    assert filled.names() == {'c', 'd', 'index'} and not verify(filled.target).broken
    assert len(compact(filled.target).sizes) == len(garbage) - removed
    assert index_to_change(filled.target).compacting is None and find_garbage(filled.target).sizes == {}


@pytest.mark.parametrize('what', ['index', 'both', 'both damaged', 'all but blobs'])
def test_an_index_is_made_anew_from_the_blobs(filled, what):
    before = open_catalog(filled.target).index
    if what == 'both damaged':
        for name in (INDEX_FILE, COPY_FILE):
            (filled.path / name).write_bytes((filled.path / name).read_bytes()[:900])
    elif what == 'all but blobs':
        for path in filled.path.iterdir():
            if path.is_dir() and path.name != 'blobs':
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
    else:
        (filled.path / INDEX_FILE).unlink()
        if what == 'both':
            (filled.path / COPY_FILE).unlink()
    repair(filled.target)
    after = open_catalog(filled.target)
    assert after.troubles == () and after.index.records == before.records
    assert [run.digest for run in after.index.runs] == [run.digest for run in before.runs]


def test_a_repair_of_what_is_whole_changes_nothing(filled):
    before = filled.state()
    found = find_repair(filled.target)
    assert (found.lost, found.found, found.nameless, found.changes) == ((), (), (), False)
    document = repair_document('here', found, is_dry_run=True)
    assert (document['exitReason'], repair_told(document)) == (
        'nothingToDo',
        f'Nothing to repair: the index of here is whole, with {len(filled.digests)} images.',
    )
    repair(filled.target)
    assert filled.state() == before


def test_what_a_repair_mends_is_told_also_where_only_the_copy_is_lost(filled):
    (filled.path / COPY_FILE).unlink()
    document = repair_document('here', find_repair(filled.target), is_dry_run=True)
    images = f'{len(filled.digests)} images'
    assert repair_told(document) == f'An index of {images} would be written to here: nothing is lost.'
    filled.at(filled.digests['a']).write_bytes(b'damaged')
    told = repair_told(repair_document('here', repair(filled.target), is_dry_run=False))
    assert told.startswith(f'An index of {len(filled.digests) - 1} images was written to here: ')
    assert told.endswith(' entries cannot come back.')


def test_what_expires_and_what_is_removed_then_is_told_with_what_is_to_be_done_next(filled):
    expired = expire(filled.target, MARCH)
    told = expire_told(expire_document('my archive', expired, is_dry_run=False))
    images = sum(record.tag is None for record in expired.gone)
    assert told.startswith(f'{images} images and {len(expired.gone) - images} tags were taken out of the index')
    assert [wrong_with(command) for command in printed_commands(told)] == [None]
    again = expire_document('here', find_expired(filled.target, MARCH), is_dry_run=True)
    assert expire_told(again).startswith('Nothing in here was archived that long ago')
    garbage = compact(filled.target)
    told = compact_told(compact_document('here', garbage, is_dry_run=False))
    assert told.startswith(f'{len(garbage.sizes)} blobs that nothing needs') and 'were removed' in told
    again = compact_document('here', find_garbage(filled.target), is_dry_run=True)
    assert compact_told(again) == 'Nothing to remove from here: something needs each of its blobs.'


def test_where_nothing_names_the_images_any_more_other_tools_find_them_by_digest(filled):
    for run in open_catalog(filled.target).index.runs:
        filled.at(run.digest).unlink()
    for name in (INDEX_FILE, COPY_FILE):
        (filled.path / name).unlink()
    repaired = repair(filled.target)
    tops = {filled.digests[name] for name in ('a', 'b', 'c', 'd', 'index')}
    assert set(repaired.nameless) == tops
    entries, _ = filled.state()
    assert {each['annotations']['org.opencontainers.image.ref.name'] for each in entries} == tops


@pytest.mark.parametrize('work', [lambda target: expire(target, MARCH), compact, repair])
def test_an_archive_that_a_run_is_writing_to_is_left_alone(filled, work):
    with DirectoryArchive(str(filled.path)).writing(), pytest.raises(ArchiveBusy):
        work(filled.target)


def test_tables_of_an_archive_have_a_row_for_each_image_or_repository_and_the_total(filled):
    catalog = open_catalog(filled.target)
    listed = image_rows(list_document('archive', catalog, lambda record: True))
    assert {row['TAGS'] for row in listed} == set(filled.digests)
    cost = {'perMonth': '1.2500', 'currency': 'USD'}
    shown = archive_rows(show_document('archive', catalog, filled.target.sizes(), [], cost))
    assert [row['REPOSITORY'] for row in shown] == ['team/app', 'total']
    assert shown[-1]['STORED'].endswith(', 1.2500 USD a month') and shown[-1]['IMAGES'] == len(filled.digests)
    total = verify_rows(verify_document('archive', verify(filled.target)))[-1]
    assert total['WHAT'].startswith('6 of 6 images whole; ') and total['PROBLEM'] == ''


def test_a_table_of_images_has_the_newest_first():
    image = {'repository': 'a', 'digest': f'sha256:{0:064x}', 'tags': [], 'imageSize': None}
    rows = image_rows({'images': [{**image, 'archivedAt': f'{number:03}'} for number in range(60)]})
    assert [row['ARCHIVED'] for row in rows] == [f'{number:03}' for number in reversed(range(60))]
