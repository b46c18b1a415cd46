"""What the service does that its lists do not show (the documentation of August 2026, and its public issues)."""

from __future__ import annotations

import base64
import json

import pytest

from tests.registry.builder import (
    DOCKER_SCHEMA_1,
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
    descriptor,
    docker_schema_1,
    image_manifest,
    index_manifest,
)
from tests.registry.records import digest_of
from tests.registry.storage import DAY, Storage

APP = 'team/app'


def image(storage: Storage, name: str, *tags: str, layers=()) -> str:
    config = json.dumps({'name': name}).encode()
    data = image_manifest((storage.put_blob(config), len(config)), list(layers))
    for tag in tags or (None,):
        storage.put_manifest(APP, data, OCI_IMAGE, tag)
    return digest_of(data)


def digests(http, path=f'/acr/v1/{APP}/_manifests') -> list[str]:
    return [entry['digest'] for entry in http.admin('GET', path).json()['manifests'] or []]


# What is hidden


def test_what_is_hidden_is_in_no_list_and_can_be_had_all_the_same(http, registry):
    storage = registry.storage
    shown, hidden = image(storage, 'shown', 'v1', 'v2'), image(storage, 'hidden', 'stable')
    storage.hide(APP, digest=hidden)
    storage.hide(APP, tag='v2')
    assert digests(http) == [shown]
    listed = http.admin('GET', f'/acr/v1/{APP}/_manifests').json()['manifests'][0]
    assert listed['tags'] == ['v1']
    assert [tag['name'] for tag in http.admin('GET', f'/acr/v1/{APP}/_tags').json()['tags']] == ['stable', 'v1']
    assert http.admin('GET', f'/v2/{APP}/tags/list').json()['tags'] == ['stable', 'v1']
    assert http.admin('GET', f'/v2/{APP}/manifests/v2', headers={'Accept': OCI_IMAGE}).status_code == 200
    assert http.admin('GET', f'/v2/{APP}/manifests/{hidden}', headers={'Accept': OCI_IMAGE}).status_code == 200
    assert http.admin('GET', f'/acr/v1/{APP}/_manifests/{hidden}').json()['manifest']['tags'] == ['stable']


@pytest.mark.parametrize('counted', [True, False])
def test_the_counts_of_a_repository_have_what_is_hidden_or_do_not(http, registry, counted):
    registry.metadata.counts_hidden = counted
    image(registry.storage, 'shown', 'v1', 'v2')
    registry.storage.hide(APP, digest=image(registry.storage, 'hidden'))
    registry.storage.hide(APP, tag='v2')
    facts = http.admin('GET', f'/acr/v1/{APP}').json()
    assert (facts['manifestCount'], facts['tagCount']) == ((2, 2) if counted else (1, 1))


def test_a_hidden_repository_is_not_in_the_catalog_and_has_its_listing(http, registry):
    image(registry.storage, 'one')
    registry.storage.hide(APP)
    assert http.admin('GET', '/acr/v1/_catalog').json()['repositories'] is None
    assert len(digests(http)) == 1


def test_a_manifest_listing_names_ten_tags_and_the_tag_listing_all(http, registry):
    digest = image(registry.storage, 'popular', *(f't{number:02}' for number in range(12)))
    (entry,) = http.admin('GET', f'/acr/v1/{APP}/_manifests').json()['manifests']
    assert (entry['digest'], len(entry['tags'])) == (digest, 10)
    assert len(http.admin('GET', f'/acr/v1/{APP}/_tags').json()['tags']) == 12


def test_what_is_in_quarantine_is_listed_with_its_state_and_without_its_tags(http, registry):
    held, passed = image(registry.storage, 'held', 'v1'), image(registry.storage, 'passed', 'v2')
    registry.storage.quarantine(APP, held, 'Failed')
    registry.storage.quarantine(APP, passed, 'Passed')
    entries = {entry['digest']: entry for entry in http.admin('GET', f'/acr/v1/{APP}/_manifests').json()['manifests']}
    states = {digest: entry['changeableAttributes']['quarantineState'] for digest, entry in entries.items()}
    assert states == {held: 'Failed', passed: 'Passed'}
    assert ('tags' in entries[held], entries[passed]['tags']) == (False, ['v2'])


def test_a_pull_of_what_is_not_there_brings_it_where_a_cache_rule_is(http, registry):
    storage = registry.storage
    data = image_manifest((storage.put_blob(b'{}'), 2), [])
    missing = digest_of(data)
    storage.put_manifest(APP, index_manifest([(missing, len(data))]), OCI_INDEX, 'v1', checked=False)
    storage.upstream[APP, missing] = data, OCI_IMAGE
    assert http.admin('GET', f'/acr/v1/{APP}/_manifests/{missing}').status_code == 404
    assert missing not in digests(http)
    assert http.admin('GET', f'/v2/{APP}/manifests/{missing}', headers={'Accept': OCI_IMAGE}).status_code == 200
    assert missing in digests(http)


# What things are


def test_the_blobs_of_an_index_are_held_by_it(registry):
    storage = registry.storage
    layer = storage.put_virtual_blob('sha256:' + 'a' * 64, 1_000_000), 1_000_000
    document = {'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [descriptor(*layer, OCI_LAYER)]}
    cache = storage.put_manifest(APP, json.dumps(document).encode(), OCI_INDEX, 'cache')
    other = image(storage, 'other', layers=[layer])
    before = storage.stored_bytes()
    storage.delete_manifest(APP, other)
    assert storage.stored_bytes() > before - 1_000
    assert storage.whole(APP, 'cache') == []
    storage.delete_manifest(APP, cache)
    assert storage.stored_bytes() == 0


def test_a_child_that_an_index_brings_along_need_not_be_there_but_what_it_names_must(registry):
    storage = registry.storage
    child = image(storage, 'child')
    inside = index_manifest([(child, 1)])
    entry = descriptor(digest_of(inside), len(inside), OCI_INDEX, data=base64.b64encode(inside).decode())
    document = {'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [entry]}
    storage.put_manifest(APP, json.dumps(document).encode(), OCI_INDEX, 'v1')
    assert storage.whole(APP, 'v1') == []
    storage.delete_manifest(APP, child)
    assert storage.whole(APP, 'v1') == [child]


def test_docker_schema_1_has_the_digest_of_its_payload_and_is_served_to_who_asks_for_its_type(http, registry):
    layer = registry.storage.put_blob(b'layer')
    registry.storage.link_blob(APP, layer)
    signed, digest = docker_schema_1([layer])
    pushed = http.admin('PUT', f'/v2/{APP}/manifests/{digest}', data=signed, headers={'Content-Type': DOCKER_SCHEMA_1})
    assert pushed.headers['Docker-Content-Digest'] == digest
    read = http.admin('GET', f'/v2/{APP}/manifests/{digest}', headers={'Accept': f'{OCI_INDEX}, {DOCKER_SCHEMA_1}'})
    assert (read.status_code, read.content) == (200, signed)
    refused = http.admin('GET', f'/v2/{APP}/manifests/{digest}', headers={'Accept': f'{OCI_INDEX}, */*'})
    assert refused.status_code == 404
    assert 'Accept header' in refused.json()['errors'][0]['message']


def test_a_foreign_layer_that_was_pushed_stays_as_long_as_a_manifest_names_it(registry):
    storage = registry.storage
    pushed = storage.put_blob(b'windows')
    config = descriptor(storage.put_blob(b'{}'), 2, OCI_CONFIG)
    foreign = descriptor(pushed, 7, OCI_LAYER, urls=['https://example.com/layer'])
    document = {'schemaVersion': 2, 'mediaType': OCI_IMAGE, 'config': config, 'layers': [foreign]}
    digest = storage.put_manifest(APP, json.dumps(document).encode(), OCI_IMAGE)
    assert storage.stored_bytes() == 7 + 2 + len(json.dumps(document))
    storage.delete_manifest(APP, digest)
    assert storage.stored_bytes() == 0
    assert not storage.has_blob(pushed)


# What the registry deletes by itself


def docker(storage: Storage, name: str, *tags: str, children=()) -> str:
    """A Docker image, or a manifest list of `children`."""
    if children:
        data = index_manifest([(child, 1) for child in children], docker=True, annotations={'name': name})
    else:
        config = name.encode()
        data = image_manifest((storage.put_blob(config), len(config)), [], docker=True)
    for tag in tags or (None,):
        storage.put_manifest(APP, data, json.loads(data)['mediaType'], tag, checked=False)
    return digest_of(data)


@pytest.fixture
def clock() -> list[float]:
    return [1_800_000_000.0]


@pytest.fixture
def retained(clock) -> Storage:
    """A storage whose retention policy is on, with seven days."""
    storage = Storage(clock=lambda: clock[0])
    storage.retention.days = 7
    return storage


def test_a_docker_manifest_that_loses_its_last_tag_is_deleted_days_later(retained, clock):
    gone = docker(retained, 'gone', 'v1', 'v2')
    stays = docker(retained, 'stays', 'v3')
    retained.untag(APP, 'v1')
    clock[0] += 8 * DAY
    retained.purge()
    assert gone in retained.manifests(APP), 'it has a tag'
    retained.untag(APP, 'v2')
    clock[0] += 6 * DAY
    retained.purge()
    assert gone in retained.manifests(APP)
    clock[0] += DAY
    before = retained.stored_bytes()
    assert set(retained.manifests(APP)) == {stays}
    assert retained.stored_bytes() == before


def test_with_no_days_it_is_deleted_at_once_and_takes_its_referrers_and_not_its_children(retained):
    retained.retention.days = 0
    child = docker(retained, 'child')
    index = docker(retained, 'list', 'v1', children=[child])
    config = retained.put_blob(b'{}'), 2
    sbom = image_manifest(config, [], subject=index, artifact_type='application/spdx+json')
    retained.put_manifest(APP, sbom, OCI_IMAGE)
    retained.untag(APP, 'v1')
    assert set(retained.manifests(APP)) == {child}


def test_the_retention_policy_breaks_an_index_whose_child_had_a_tag(retained):
    retained.retention.days = 0
    child = docker(retained, 'child', 'v1-amd64')
    docker(retained, 'list', 'v1', children=[child])
    retained.untag(APP, 'v1-amd64')
    assert retained.whole(APP, 'v1') == [child]


def test_it_takes_neither_oci_manifests_nor_what_is_locked_nor_what_had_no_tag_before(retained):
    retained.retention.days = None
    docker(retained, 'before', 'v0')
    retained.untag(APP, 'v0')
    retained.retention.days = 0
    image(retained, 'oci', 'v1')
    locked = docker(retained, 'locked', 'v2')
    retained.set_locks(APP, digest=locked, deleteEnabled=False)
    read_only = docker(retained, 'read only', 'v3')
    retained.set_locks(APP, digest=read_only, writeEnabled=False)
    for tag in ('v1', 'v2', 'v3'):
        retained.untag(APP, tag)
    assert len(retained.manifests(APP)) == 3
    assert read_only not in retained.manifests(APP), 'it asks for deleteEnabled alone'


def test_a_tag_that_moves_away_counts_and_switching_it_off_or_a_new_tag_cancels(retained, clock):
    moved, again = docker(retained, 'old', 'latest'), docker(retained, 'again', 'v1')
    docker(retained, 'new', 'latest')
    retained.untag(APP, 'v1')
    docker(retained, 'again', 'v2')
    clock[0] += 7 * DAY
    retained.purge()
    assert moved not in retained.manifests(APP)
    assert again in retained.manifests(APP)
    retained.untag(APP, 'v2')
    retained.retention.days = None
    retained.retention.days = 0
    clock[0] += 7 * DAY
    retained.purge()
    assert again in retained.manifests(APP)
