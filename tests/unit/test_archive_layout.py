"""The index of an archive: what is written comes back, and what is no index is told."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrprune.archive.pure.layout import Index, NotAnArchive, Record, index_bytes, parse_index
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
    'data',
    [
        b'',
        b'[]',
        b'{',
        b'{}',
        b'{"manifests": {}}',
        b'\xff',
        b'{"manifests":' + b'[' * 100_000,
        *(
            json.dumps({'manifests': [wrong]}).encode()
            for wrong in (
                entry(digest='sha256:../../etc/passwd'),
                entry(digest=7),
                entry(size='x'),
                entry(size=None),
                entry(annotations={'io.acrprune.repository': '../a'}),
                entry(annotations={'io.acrprune.tag': 'a b'}),
                entry(annotations={'io.acrprune.repository': None}),
                entry(annotations={'io.acrprune.registry': 7}),
                entry(annotations={'io.acrprune.registry': 'r\x1b[31m'}),
                entry(mediaType='a/b\r\nX-Evil: 1'),
                entry(mediaType=7),
                entry(mediaType='application/\xe9'),
                entry(size=-1),
                entry(size=True),
                entry(size=1e999),
                entry(size=0.5),
            )
        ),
    ],
)
def test_what_is_no_index_is_told(data):
    with pytest.raises(NotAnArchive):
        parse_index(data)


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
