"""The index of an archive: what is written comes back, and what is no index is told."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.archive.pure.layout import (
    RUN_BEGINS,
    Index,
    NotAnArchive,
    Record,
    index_bytes,
    parse_index,
    run_bytes,
    salvaged_index,
)
from azext_acrprune.archive.stored import type_of
from azext_acrprune.model import Locks

DIGESTS = [f'sha256:{number:064x}' for number in range(3)]
LOCKS = st.builds(Locks, st.booleans(), st.booleans())
RECORDS = st.builds(
    Record,
    st.just('test.azurecr.io'),
    st.sampled_from(['team/app', 'other']),
    st.sampled_from(DIGESTS),
    st.just('application/vnd.oci.image.manifest.v1+json'),
    st.integers(0, 9),
    st.sampled_from(['1', '2']),
    st.sampled_from([None, 'v1', 'latest']),
    LOCKS,
    *[st.sampled_from([None, '2021-11-17T21:45:14.4588314Z'])] * 2,
    st.builds(Locks, st.just(True), st.just(True), st.booleans(), st.booleans()),
    st.sampled_from([None, '', DIGESTS[2]]),
    st.sampled_from([None, 0, 2**40]),
)


@given(st.lists(RECORDS))
def test_an_index_comes_back_as_it_was_written(records):
    index = Index().with_records(records)
    assert parse_index(index_bytes(index)) == index


@given(st.lists(RECORDS), st.lists(RECORDS))
def test_no_record_is_lost_by_more_records_and_no_lock_either(before, after):
    merged = {record.key: record for record in Index().with_records(before).with_records(after).records}
    assert set(merged) == {record.key for record in (*before, *after)}
    for record in (*before, *after):
        assert set(record.locks.flags) <= set(merged[record.key].locks.flags)
    for key, record in {record.key: record for record in (*before, *after)}.items():
        assert merged[key].archived_at == record.archived_at


def test_each_image_can_be_named_by_other_tools():
    one = Record('r', 'team/app', DIGESTS[0], 'application/x', 7, 'now')
    entries = json.loads(
        index_bytes(Index((one, Record('r', 'team/app', DIGESTS[0], 'application/x', 7, 'now', 'v1'))))
    )['manifests']
    assert [entry['annotations']['org.opencontainers.image.ref.name'] for entry in entries] == [
        f'team/app@{DIGESTS[0]}',
        'team/app:v1',
    ]
    assert {(entry['digest'], entry['size'], entry['mediaType']) for entry in entries} == {
        (DIGESTS[0], 7, 'application/x')
    }


def test_what_other_tools_wrote_stays():
    foreign = {'mediaType': 'application/x', 'digest': DIGESTS[1], 'size': 1}
    index = parse_index(json.dumps({'schemaVersion': 2, 'manifests': [foreign]}).encode())
    again = index.with_records([Record('r', 'a', DIGESTS[0], 'application/x', 7, 'now')])
    assert foreign in json.loads(index_bytes(again))['manifests']


def entry(**changes):
    annotations = {
        'io.acrprune.registry': 'r',
        'io.acrprune.repository': 'a',
        'io.acrprune.archivedAt': 'now',
        **changes.pop('annotations', {}),
    }
    return {'mediaType': 'application/x', 'digest': DIGESTS[0], 'size': 1, 'annotations': annotations, **changes}


@pytest.mark.parametrize(
    'data', [b'', b'[]', b'{', b'{}', b'{"manifests": {}}', b'\xff', b'{"manifests":' + b'[' * 100_000]
)
def test_what_is_no_index_is_told(data):
    with pytest.raises(NotAnArchive):
        parse_index(data)


@pytest.mark.parametrize(
    'wrong',
    [
        entry(digest='sha256:../../etc/passwd'),
        entry(digest=7),
        entry(size='x'),
        entry(size=None),
        entry(annotations={'io.acrprune.repository': '../a'}),
        entry(annotations={'io.acrprune.tag': 'a b'}),
        entry(annotations={'io.acrprune.repository': None}),
        entry(annotations={'io.acrprune.registry': 7}),
        entry(annotations={'io.acrprune.registry': 'r\x1b[31m'}),
        entry(annotations={'io.acrprune.archivedAt': 7}),
        entry(annotations={'io.acrprune.subject': '../a'}),
        entry(annotations={'io.acrprune.mediaType': 'a'}),
        {key: value for key, value in entry().items() if key != 'digest'},
        entry(mediaType='a/b\r\nX-Evil: 1'),
        entry(mediaType=7),
        entry(mediaType='application/\xe9'),
        entry(size=-1),
        entry(size=True),
        entry(size=1e999),
        entry(size=0.5),
    ],
)
def test_one_bad_entry_is_told_and_kept_and_the_others_are_read(wrong):
    wrong['annotations']['org.opencontainers.image.ref.name'] = 'a:v1'
    index = parse_index(json.dumps({'manifests': [entry(), wrong, entry(digest=DIGESTS[1])]}).encode())
    assert [record.digest for record in index.records] == DIGESTS[:2] and not index.is_whole
    assert [damaged.name for damaged in index.damaged] == ['a:v1']
    assert wrong['annotations'] in [each['annotations'] for each in json.loads(index_bytes(index))['manifests']]


@given(st.integers(1, 60), st.sampled_from([None, 1]))
def test_an_index_is_read_in_pieces_of_any_size(size, indent):
    document = {'x': 1.25, 'manifests': [entry(digest=digest) for digest in DIGESTS], 'annotations': {'é': [17]}}
    data = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    index = parse_index(data[start : start + size] for start in range(0, len(data), size))
    assert [record.digest for record in index.records] == DIGESTS


@given(st.lists(RECORDS, min_size=1, unique_by=lambda record: record.key), st.randoms())
def test_the_seal_holds_in_any_order_and_breaks_with_any_change(records, chance):
    document = json.loads(index_bytes(Index().with_records(records)))
    chance.shuffle(document['manifests'])
    assert parse_index(json.dumps(document).encode()).is_whole
    changed = chance.choice(document['manifests'])
    changed['size'] += 1
    assert not parse_index(json.dumps(document).encode()).is_whole
    document['manifests'].remove(changed)
    assert not parse_index(json.dumps(document).encode()).is_whole


@given(st.lists(RECORDS))
def test_each_tag_has_one_name_for_other_tools_on_the_newest(records):
    index = Index().with_records(records)
    named = [
        (each['annotations']['org.opencontainers.image.ref.name'], each['digest'], each['annotations'])
        for each in json.loads(index_bytes(index))['manifests']
        if 'org.opencontainers.image.ref.name' in each['annotations']
    ]
    assert len({name for name, _, _ in named}) == len(named)
    for name, _, notes in named:
        same = [record for record in index.records if record.name == name]
        assert notes['io.acrprune.archivedAt'] == max(record.archived_at for record in same)


def test_docker_manifests_have_types_that_skopeo_finds_and_come_back_as_they_were():
    docker = 'application/vnd.docker.distribution.manifest.v2+json'
    index = Index((Record('r', 'a', DIGESTS[0], docker, 7, 'now', 'v1'),))
    (descriptor,) = json.loads(index_bytes(index))['manifests']
    assert descriptor['mediaType'] == 'application/vnd.oci.image.manifest.v1+json'
    assert parse_index(index_bytes(index)) == index


@given(st.lists(RECORDS, min_size=2, unique_by=lambda record: record.key), st.data())
def test_what_is_whole_of_a_damaged_index_can_be_saved(records, data):
    index = Index().with_records(records)
    text = index_bytes(index)
    start = text.index(b'[') + 1
    at = data.draw(st.integers(start, len(text) - 1))
    saved = salvaged_index(text[:at] + b'\0' * 9 + text[at + 9 :]).records
    assert len(saved) >= len(records) - 2 and set(saved) <= set(index.records)


def test_the_records_of_a_run_are_an_index_that_begins_as_they_are_found():
    records = (Record('r', 'a', DIGESTS[0], 'application/x', 7, 'now'),)
    data = run_bytes(records, 'run')
    assert data.startswith(RUN_BEGINS) and parse_index(data).records == records


def test_a_large_index_is_read_in_time_whatever_others_wrote_into_it():
    entries = [entry(digest=f'sha256:{number:064x}') for number in range(20_000)]
    entries += [{'digest': f'sha256:{number:064x}', 'size': 1} for number in range(20_000)]
    data, start = json.dumps({'manifests': entries}).encode(), time.process_time()
    index = parse_index(data)
    assert (len(index.records), len(index.others)) == (20_000, 20_000)
    assert time.process_time() - start < 10


@pytest.mark.parametrize('wrong', ['type\r\nX-Evil: 1', '\xe9/\xe9', '', 7, None, 'no type', 'x' * 300 + '/y', ['a/b']])
def test_what_a_manifest_calls_itself_is_only_believed_when_it_can_be_a_header(wrong):
    image, index = json.dumps({'mediaType': wrong}).encode(), json.dumps({'mediaType': wrong, 'manifests': []}).encode()
    assert type_of(image) == type_of(image, wrong) == 'application/vnd.oci.image.manifest.v1+json'
    assert type_of(index) == type_of(index, wrong) == 'application/vnd.oci.image.index.v1+json'
    assert type_of(image, 'a/b') == type_of(b'{"mediaType": "a/b"}', wrong) == 'a/b'
