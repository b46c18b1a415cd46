"""The index of an archive and its copy: damage to one of them loses nothing, and to both only what was in its place."""

from __future__ import annotations

import json

import pytest

from azext_acrprune.archive.catalog import index_to_change, open_catalog
from azext_acrprune.archive.directory import DirectoryArchive
from azext_acrprune.archive.pure.layout import COPY_FILE, INDEX_FILE, Index, NotAnArchive, Record, index_pieces
from azext_acrprune.archive.target import ArchiveError

RECORDS = tuple(
    Record('r', 'team/app', f'sha256:{number:064x}', 'application/x', 7, 'now', f'v{number}') for number in range(5)
)


@pytest.fixture
def place(tmp_path):
    return tmp_path / 'archive'


@pytest.fixture
def target(place):
    target = DirectoryArchive(str(place))
    with target.writing():
        target.index()
        target.replace_index(index_pieces(Index(RECORDS)))
    return target


def broken_entry(path):
    document = json.loads(path.read_bytes())
    document['manifests'][2]['digest'] = 'sha256:0'
    path.write_text(json.dumps(document, indent=2))


def edited_entry(path):
    document = json.loads(path.read_bytes())
    document['manifests'][2]['digest'] = f'sha256:{9:064x}'
    path.write_text(json.dumps(document))


DAMAGE = {
    'gone': lambda path: path.unlink(),
    'empty': lambda path: path.write_bytes(b''),
    'cut': lambda path: path.write_bytes(path.read_bytes()[:700]),
    'entry': broken_entry,
    'edited': edited_entry,
    'lost entry': lambda path: path.write_bytes(path.read_bytes().replace(b',\n{', b'', 1)),
}


@pytest.mark.parametrize('damage', DAMAGE)
def test_a_damaged_index_is_taken_from_its_copy_with_a_warning(target, place, damage):
    DAMAGE[damage](place / INDEX_FILE)
    catalog = open_catalog(target)
    assert set(RECORDS) <= set(catalog.index.records)
    assert INDEX_FILE in catalog.troubles[0]


@pytest.mark.parametrize('damage', DAMAGE)
def test_a_damaged_copy_is_no_trouble(target, place, damage):
    DAMAGE[damage](place / COPY_FILE)
    catalog = open_catalog(target)
    assert catalog.index.records == RECORDS and catalog.troubles == ()


def test_one_bad_entry_of_both_loses_one_image_and_is_named(target, place):
    for name in (INDEX_FILE, COPY_FILE):
        broken_entry(place / name)
    catalog = open_catalog(target)
    assert catalog.index.records == (*RECORDS[:2], *RECORDS[3:])
    assert len(catalog.troubles) == 1 and 'team/app:v2 is lost' in catalog.troubles[0]


def test_what_is_damaged_in_both_but_not_the_same_is_whole(target, place):
    broken_entry(place / INDEX_FILE)
    document = json.loads((place / COPY_FILE).read_bytes())
    del document['manifests'][4]
    (place / COPY_FILE).write_text(json.dumps(document))
    assert open_catalog(target).index.records == RECORDS


def test_an_archive_that_an_earlier_version_wrote_is_whole(target, place):
    document = json.loads((place / INDEX_FILE).read_bytes())
    del document['annotations']
    (place / COPY_FILE).unlink()
    (place / INDEX_FILE).write_text(json.dumps(document, indent=1))
    assert open_catalog(target).index.records == RECORDS and open_catalog(target).troubles == ()


def test_an_index_without_a_copy_that_cannot_be_read_says_how_to_make_it_anew(target, place):
    (place / COPY_FILE).unlink()
    (place / INDEX_FILE).write_bytes(b'{"manifests": 7')
    with pytest.raises(NotAnArchive) as caught:
        open_catalog(target)
    assert INDEX_FILE in str(caught.value) and f'archive repair --archive {place}' in caught.value.advice


def test_an_archive_that_lost_both_is_no_new_one(target, place):
    target.put_journal('run', [b'{}\n'])
    for name in (INDEX_FILE, COPY_FILE):
        (place / name).unlink()
    with pytest.raises(NotAnArchive, match='is missing'):
        index_to_change(target)


def test_nothing_is_added_while_a_compaction_is_not_done(target):
    with target.writing():
        target.index()
        target.replace_index(index_pieces(Index(RECORDS, compacting='one')))
    with pytest.raises(ArchiveError, match='is being compacted'):
        index_to_change(target)
    assert open_catalog(target).index.records == RECORDS


def test_what_was_damaged_is_whole_after_the_next_run(target, place):
    broken_entry(place / INDEX_FILE)
    with target.writing():
        target.replace_index(index_pieces(index_to_change(target)))
    assert (place / INDEX_FILE).read_bytes() == (place / COPY_FILE).read_bytes()
    assert open_catalog(target).index.records == RECORDS and open_catalog(target).troubles == ()
