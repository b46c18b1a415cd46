"""Manifest bytes -> edges and blobs (semantics.md, The graph, Layer impact, Fail closed)."""

import base64
import hashlib
import json

import pytest

from azext_acrprune.decide.manifests import (
    attachment_subject,
    has_no_edges,
    is_digest,
    is_fallback_tag,
    read_labels,
    read_manifest,
)
from azext_acrprune.decide.schema1 import signed_payload
from azext_acrprune.model import Blob, Unreadable
from tests import worlds
from tests.registry.builder import docker_schema_1

DIGEST = 'sha256:' + 'a' * 64
OTHER = 'sha256:' + 'b' * 64


def read(document):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_manifest(worlds.sha256(data), data)


def test_index_names_its_children_once_and_in_order():
    assert read({'manifests': [{'digest': OTHER}, {'digest': DIGEST}, {'digest': OTHER}]}).children == (OTHER, DIGEST)


def test_children_that_buildkit_marks_are_attestations():
    mark = {'vnd.docker.reference.type': 'attestation-manifest'}
    index = read({'manifests': [{'digest': OTHER}, {'digest': DIGEST, 'annotations': mark}]})
    assert (index.children, index.attestations) == ((OTHER, DIGEST), (DIGEST,))


@pytest.mark.parametrize('body', [{'layers': []}, {'manifests': []}, {'blobs': []}])
def test_image_index_and_artifact_manifests_may_have_a_subject(body):
    assert read({**body, 'subject': {'digest': DIGEST}}).subject == DIGEST


def test_absent_and_null_fields_are_empty():
    content = read({'manifests': None, 'layers': None, 'config': None, 'subject': None})
    assert (content.children, content.subject, content.blobs) == ((), None, ())


def test_size_is_that_of_the_bytes():
    assert read(b'{}').size == 2


def test_config_layers_and_artifact_blobs_are_stored():
    content = read(
        {
            'config': {'digest': 'c', 'size': 1},
            'layers': [{'digest': 'l', 'size': 2}],
            'blobs': [{'digest': 'b', 'size': 4}],
        }
    )
    assert set(content.blobs) == {Blob('c', 1), Blob('l', 2), Blob('b', 4)}


def test_whether_foreign_layers_are_stored_only_the_registry_knows():
    content = read({'layers': [{'digest': 'l', 'size': 2, 'urls': ['https://example.com']}]})
    assert (content.blobs, content.unmeasured) == ((), (Blob('l', 2),))


def test_a_layer_that_is_named_with_and_without_urls_is_stored():
    foreign = {'digest': 'l', 'size': 2, 'urls': ['https://example.com']}
    content = read({'layers': [foreign, {'digest': 'l', 'size': 2}]})
    assert (content.blobs, content.unmeasured) == ((Blob('l', 2),), ())


@pytest.mark.parametrize('size', [{}, {'size': -1}, {'size': 0}])
def test_foreign_layer_without_a_size_is_no_fault_and_counts_as_empty(size):
    content = read({'layers': [{'digest': 'l', 'urls': ['https://example.com'], **size}]})
    assert (content.blobs, content.unmeasured) == ((), (Blob('l', 0),))


def test_foreign_layer_that_is_named_with_two_sizes_counts_with_the_larger_one():
    layers = [{'digest': 'l', 'size': size, 'urls': ['https://example.com']} for size in (2, 3, 1)]
    assert read({'layers': layers}).unmeasured == (Blob('l', 3),)


@pytest.mark.parametrize('size, readable', [(0, True), (2**63 - 1, True), (2**63, False)])
def test_size_of_a_layer_is_below_two_to_the_63rd_power(size, readable):
    assert isinstance(read({'layers': [{'digest': 'l', 'size': size}]}), Unreadable) is not readable


def test_layer_with_an_empty_list_of_urls_is_stored():
    assert read({'layers': [{'digest': 'l', 'size': 2, 'urls': []}]}).blobs == (Blob('l', 2),)


def test_same_blob_twice_counts_once():
    assert read({'layers': [{'digest': 'l', 'size': 2}, {'digest': 'l', 'size': 2}]}).blobs == (Blob('l', 2),)


def test_same_blob_with_two_sizes_counts_with_the_larger_one():
    layers = [{'digest': 'l', 'size': 3}, {'digest': 'l', 'size': 2}]
    assert read({'layers': layers}).blobs == (Blob('l', 3),)


@pytest.mark.parametrize(
    'data',
    [
        b'no json',
        b'',
        b'\xff',
        b'[]',
        b'null',
        b'"text"',
        b'{"manifests": {}}',
        b'{"manifests": [1]}',
        b'{"manifests": [{}]}',
        b'{"manifests": [{"digest": 1}]}',
        b'{"layers": "x"}',
        b'{"subject": "x"}',
        b'{"subject": {}}',
        b'{"config": []}',
        b'{"layers": [{"digest": "l"}]}',
        b'{"layers": [{"digest": "l", "size": -1}]}',
        b'{"layers": [{"digest": "l", "size": true}]}',
        b'{"layers": [{"digest": "l", "size": 1.5}]}',
        b'[' * 100_000,
    ],
)
def test_what_has_not_the_shape_of_a_manifest_is_unreadable(data):
    assert isinstance(read(data), Unreadable)


def test_bytes_that_do_not_hash_to_the_digest_are_unreadable():
    assert isinstance(read_manifest(DIGEST, b'{}'), Unreadable)


def test_more_than_four_mebibytes_are_unreadable():
    limit = 4 * 1024 * 1024
    assert isinstance(read(b'{}'.ljust(limit + 1)), Unreadable)
    assert read(b'{}'.ljust(limit)).size == limit


def test_digests_of_other_algorithms_are_verified_too():
    good = 'sha512:' + hashlib.sha512(b'{}').hexdigest()
    assert read_manifest(good, b'{}').size == 2
    assert isinstance(read_manifest('sha512:' + '0' * 128, b'{}'), Unreadable)
    assert isinstance(read_manifest('md5:' + hashlib.md5(b'{}').hexdigest(), b'{}'), Unreadable)


@pytest.mark.parametrize(
    'text, good',
    [
        (DIGEST, True),
        ('sha512:' + '0' * 128, True),
        ('sha256:' + 'a' * 63, False),
        (DIGEST + '\n', False),
        (DIGEST.upper(), False),
        ('latest', False),
        (None, False),
    ],
)
def test_digest_has_an_algorithm_and_all_its_digits(text, good):
    assert is_digest(text) is good


@pytest.mark.parametrize(
    'tag, is_one',
    [
        ('sha256-' + 'a' * 64, True),
        ('sha256-' + 'a' * 64 + '.sig', False),
        ('sha256-' + 'g' * 64, False),
        ('sha257-' + 'a' * 64, False),
    ],
)
def test_only_a_digest_with_nothing_after_it_is_a_tag_of_the_referrers_fallback(tag, is_one):
    assert is_fallback_tag(tag) is is_one


@pytest.mark.parametrize('suffix', ['', '.sig', '.att', '.sbom', '.new-one'])
def test_tag_of_cosign_or_of_the_referrers_fallback_names_its_subject(suffix):
    assert attachment_subject('sha256-' + 'a' * 64 + suffix) == DIGEST


@pytest.mark.parametrize(
    'tag',
    [
        'latest',
        'sha256-' + 'a' * 63,
        'sha256-' + 'a' * 65,
        'sha256-' + 'g' * 64,
        'v-sha256-' + 'a' * 64,
        'sha256-' + 'a' * 64 + '.',
        'sha256-' + 'a' * 64 + '-sig',
        'sha256-' + 'a' * 64 + '\n',
    ],
)
def test_whatever_else_is_a_user_tag(tag):
    assert attachment_subject(tag) is None


@pytest.mark.parametrize(
    'media_type, edgeless',
    [
        ('application/vnd.docker.distribution.manifest.v2+json', True),
        ('application/vnd.docker.distribution.manifest.v1+json', True),
        ('application/vnd.docker.distribution.manifest.v1+prettyjws', True),
        ('application/vnd.docker.distribution.manifest.list.v2+json', False),
        ('application/vnd.oci.image.manifest.v1+json', False),
        ('application/vnd.oci.image.index.v1+json', False),
        ('application/vnd.oci.artifact.manifest.v1+json', False),
        ('', False),
        (None, False),
    ],
)
def test_only_docker_images_can_have_neither_children_nor_a_subject(media_type, edgeless):
    assert has_no_edges(media_type) is edgeless


@pytest.mark.parametrize(
    'document',
    [
        {'schemaVersion': 1, 'fsLayers': [{'blobSum': 'layer'}]},
        {'manifests': [{'digest': '\x1b[2J'}]},
        {'config': {'digest': 'sha256:' + 'a' * 64, 'size': 10**400}},
    ],
)
def test_what_hides_its_layers_or_could_harm_a_terminal_is_unreadable(document):
    data = json.dumps(document).encode()
    assert isinstance(read_manifest('sha256:' + hashlib.sha256(data).hexdigest(), data), Unreadable)


# --- Labels --------------------------------------------------------------------------------------------------------


def labels(document):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_labels(worlds.sha256(data), data)


def test_labels_are_the_pairs_of_text_in_the_config():
    assert labels({'config': {'Labels': {'team': 'web', 'number': 1}}}) == {'team': 'web'}


@pytest.mark.parametrize('document', [{}, [], {'config': None}, {'config': {'Labels': None}}, {'config': []}])
def test_a_config_without_labels_has_none(document):
    assert labels(document) == {}


@pytest.mark.parametrize('data', [b'no json', b'[' * 100_000])
def test_labels_of_what_is_no_config_are_not_known(data):
    assert labels(data) is None


def test_labels_of_bytes_that_do_not_match_the_digest_are_not_known():
    assert read_labels(DIGEST, b'{}') is None
    assert read_labels('no digest', b'{}') is None


# --- Indexes that hold blobs, and what they bring along -------------------------------------------------------------

LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip'
CACHE_TYPE = 'application/vnd.buildkit.cacheconfig.v0'


def test_what_is_no_manifest_is_a_blob_of_the_index_as_in_a_cache_of_buildkit():
    layer = {'mediaType': LAYER_TYPE, 'digest': DIGEST, 'size': 7}
    config = {'mediaType': CACHE_TYPE, 'digest': OTHER, 'size': 3}
    content = read({'manifests': [layer, config]})
    assert (content.children, content.blobs) == ((), (Blob(DIGEST, 7), Blob(OTHER, 3)))


@pytest.mark.parametrize(
    'media_type',
    [
        'application/vnd.oci.image.manifest.v1+json',
        'application/vnd.oci.image.index.v1+json',
        'application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8',
        'Application/VND.docker.distribution.Manifest.v2+json',
        'application/vnd.docker.distribution.manifest.v1+prettyjws',
        'application/vnd.cncf.oras.artifact.manifest.v1+json',
        '',
        None,
        7,
    ],
)
def test_what_is_a_manifest_or_does_not_say_what_it_is_is_a_child(media_type):
    assert read({'manifests': [{'mediaType': media_type, 'digest': DIGEST}]}).children == (DIGEST,)


def inlined(body, **more):
    return {
        'mediaType': 'application/vnd.oci.image.index.v1+json',
        'digest': worlds.sha256(body),
        'size': len(body),
        'data': base64.b64encode(body).decode(),
        **more,
    }


def test_a_child_that_the_index_brings_along_needs_what_it_names():
    inside = json.dumps({'manifests': [{'digest': DIGEST}], 'subject': {'digest': OTHER}}).encode()
    content = read({'manifests': [inlined(inside)]})
    assert content.inlined == (worlds.sha256(inside),)
    assert content.children == (worlds.sha256(inside), DIGEST, OTHER)


@pytest.mark.parametrize(
    'more', [{'digest': DIGEST}, {'data': '***'}, {'data': 'a'}, {'data': 'é'}, {'data': 7}, {'data': ''}]
)
def test_bytes_that_are_not_those_of_the_digest_bring_nothing_along(more):
    assert read({'manifests': [inlined(b'{}', **more)]}).inlined == ()


@pytest.mark.parametrize('between', ['\n', '\r\n', ' ', '*'])
def test_a_child_that_is_brought_along_in_several_lines_needs_what_it_names_too(between):
    inside = json.dumps({'manifests': [{'digest': DIGEST}]}).encode()
    plain = base64.b64encode(inside).decode()
    content = read({'manifests': [inlined(inside, data=plain[:40] + between + plain[40:])]})
    assert content.children == (worlds.sha256(inside), DIGEST)


# --- What another client would read in another way -----------------------------------------------------------------


@pytest.mark.parametrize(
    'data',
    [
        f'{{"Manifests": [{{"digest": "{DIGEST}"}}]}}',
        f'{{"\u017fubject": {{"digest": "{DIGEST}"}}}}',
        f'{{"SUBJECT": {{"digest": "{DIGEST}"}}}}',
        f'{{"manifests": [], "manifests": [{{"digest": "{DIGEST}"}}]}}',
        f'{{"manifests": [{{"digest": "{DIGEST}"}}], "manifests": []}}',
        f'{{"manifests": [{{"digest": "{DIGEST}", "Digest": "{OTHER}"}}]}}',
        f'{{"manifests": [{{"digest": "{DIGEST}", "digest": "{OTHER}"}}]}}',
        f'{{"layers": [{{"Size": 1, "size": 2, "digest": "{DIGEST}"}}]}}',
        f'{{"refers": {{"digest": "{DIGEST}"}}}}',
        f'{{"subjectManifest": {{"digest": "{DIGEST}"}}}}',
        f'{{"subject": null, "Subject": {{"digest": "{DIGEST}"}}}}',
    ],
)
def test_a_manifest_that_can_be_read_in_two_ways_is_unreadable(data):
    assert isinstance(read(data.encode()), Unreadable)


def test_annotations_may_differ_in_case():
    assert read({'annotations': {'a': '1', 'A': '2'}}).annotations == (('a', '1'), ('A', '2'))


# --- Docker schema 1 -----------------------------------------------------------------------------------------------


def test_a_signed_manifest_has_the_digest_of_what_was_signed():
    signed, digest = docker_schema_1([DIGEST, OTHER, DIGEST])
    content = read_manifest(digest, signed)
    assert (content.size, content.children, content.blobs) == (len(signed), (), ())
    assert content.unmeasured == (Blob(DIGEST, 0), Blob(OTHER, 0))


def test_a_signed_manifest_that_was_changed_is_unreadable():
    signed, digest = docker_schema_1([DIGEST])
    assert isinstance(read_manifest(digest, signed.replace(b'amd64', b'arm64')), Unreadable)


@pytest.mark.parametrize('data', [b'', b'{', b'\xff', b'[]', b'{"signatures": []}', b'[' * 100_000])
def test_bytes_of_another_digest_that_are_no_signed_document_do_not_match(data):
    assert signed_payload(data) is None
    assert read_manifest(DIGEST, data) == Unreadable('its bytes do not match its digest')


@pytest.mark.parametrize(
    'length, payload', [(-1, None), (0, b'}'), (1, b'{}'), (10_000, None), (True, None), (None, None)]
)
def test_a_signature_is_over_no_more_bytes_than_there_are_and_no_less_than_none(length, payload):
    tail = base64.urlsafe_b64encode(b'}').decode()
    protected = json.dumps({'formatLength': length, 'formatTail': tail}).encode()
    data = json.dumps({'signatures': [{'protected': base64.urlsafe_b64encode(protected).decode()}]}).encode()
    assert signed_payload(data) == payload


@pytest.mark.parametrize('length', range(1, 16))
def test_what_a_signature_says_may_have_any_length_and_no_padding(length):
    tail = base64.urlsafe_b64encode(b'}' * length).decode().rstrip('=')
    protected = base64.urlsafe_b64encode(json.dumps({'formatLength': 1, 'formatTail': tail}).encode()).decode()
    data = json.dumps({'signatures': [{'protected': protected.rstrip('=')}]}).encode()
    assert signed_payload(data) == b'{' + b'}' * length


def test_what_stands_behind_the_signed_part_is_not_read():
    signed, digest = docker_schema_1([DIGEST])
    more = signed.replace(b'"signatures"', f'"manifests": [{{"digest": "{OTHER}"}}], "signatures"'.encode())
    assert read_manifest(digest, more).children == ()


@pytest.mark.parametrize(
    'signatures',
    [
        [],
        {},
        7,
        'text',
        [1],
        [{}],
        [{'protected': 'e30'}],
        [{'protected': 7}],
        [{'protected': '!'}],
        [{'protected': 'W10'}],
    ],
)
def test_signatures_without_a_shape_are_no_signatures(signatures):
    data = json.dumps({'fsLayers': [], 'signatures': signatures}).encode()
    assert isinstance(read_manifest(DIGEST, data), Unreadable)
    assert not isinstance(read(data), Unreadable)
