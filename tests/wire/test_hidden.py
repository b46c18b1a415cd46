"""What the lists of a registry do not show, over the wire: nothing goes that something hidden may need."""

from __future__ import annotations

import json
import time

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.depth import DEEPEST
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import ORPHANS
from azext_acrprune.reporter import Silent
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
from tests.registry.storage import Storage
from tests.wire.plain import execute, scan

APP = 'team/app'
OLD = '2021-01-01T00:00:00Z'
NOW = time.time_ns() // 100


@pytest.fixture
def client(connect):
    return connect()


def put(storage: Storage, data: bytes, *tags: str, updated: str = OLD, repository: str = APP) -> str:
    media_type = json.loads(data)['mediaType']
    for tag in tags or (None,):
        storage.put_manifest(repository, data, media_type, tag, checked=False, created=updated, updated=updated)
    return digest_of(data)


def image(storage: Storage, name: str, *tags: str, layers=(), subject: str | None = None, **more) -> str:
    config = json.dumps({'name': name}).encode()
    return put(storage, image_manifest((storage.put_blob(config), len(config)), layers, subject), *tags, **more)


def index(storage: Storage, children: list[str], *tags: str, **more) -> str:
    return put(storage, index_manifest([(child, 1) for child in children], **more), *tags)


def decided(client, **flags):
    policy = policy_of(Flags(**flags))
    extent = Extent(policy.selection, tags=policy.takes_tags, orphans=ORPHANS in policy.include)
    return decide(scan(client, 'localhost', extent, Silent()), policy, NOW)


def doomed(client, **flags) -> set[str]:
    return {digest for _, digest in decided(client, **flags).doomed}


@pytest.mark.parametrize('counted', [True, False])
def test_a_tagged_index_that_is_hidden_keeps_its_children(registry, client, counted):
    storage = registry.storage
    registry.metadata.counts_hidden = counted
    child, garbage = image(storage, 'child'), image(storage, 'garbage')
    storage.hide(APP, digest=index(storage, [child], 'stable'))
    decision = decided(client)
    assert {digest for _, digest in decision.doomed} == {garbage}
    assert decision.verdicts[APP][child].reason == 'childOf'
    assert plan_document(decision, 'now')['impact'] == 'exact'


def test_a_hidden_index_that_nothing_names_closes_its_repository(registry, client):
    storage = registry.storage
    child = image(storage, 'child')
    hidden = index(storage, [child], 'stable')
    storage.hide(APP, digest=hidden)
    storage.hide(APP, tag='stable')
    decision = decided(client)
    assert decision.doomed == frozenset()
    assert decision.verdicts[APP][child].because == 'the repository counts 2 manifests, and 1 are listed'
    assert plan_document(decision, 'now')['impact'] == 'upperBound'


def test_a_hidden_index_inside_a_shown_one_keeps_its_children(registry, client):
    storage = registry.storage
    registry.metadata.counts_hidden = False
    child, garbage = image(storage, 'child'), image(storage, 'garbage')
    inner = index(storage, [child])
    index(storage, [inner], 'v1')
    storage.hide(APP, digest=inner)
    assert doomed(client) == {garbage}


def test_the_signature_of_a_hidden_image_stays(registry, client):
    storage = registry.storage
    registry.metadata.counts_hidden = False
    subject = image(storage, 'subject', 'v1')
    image(storage, 'signature', subject=subject)
    storage.hide(APP, digest=subject)
    storage.hide(APP, tag='v1')
    assert doomed(client) == set()


def test_a_hidden_tag_on_a_manifest_that_looks_untagged_closes_the_repository(registry, client):
    image(registry.storage, 'released', 'stable')
    registry.storage.hide(APP, tag='stable')
    assert doomed(client) == set()


def test_a_child_that_is_nowhere_is_asked_for_once_and_is_missing(registry, client):
    garbage = index(registry.storage, ['sha256:' + 'a' * 64])
    assert doomed(client) == {garbage}
    assert registry.counters['manifest_properties'] == 1


def test_a_repository_that_is_listed_as_empty_and_counts_manifests_makes_bytes_an_upper_bound(registry, client):
    storage = registry.storage
    image(storage, 'garbage')
    storage.hide('other/app', digest=image(storage, 'hidden', repository='other/app'))
    document = plan_document(decided(client, repository=('team/*',)), 'now')
    assert (document['summary']['manifestsToDelete'], document['impact']) == (1, 'upperBound')


def test_a_push_between_two_listings_is_no_reason_to_close_a_repository(registry, client):
    storage = registry.storage
    garbage = image(storage, 'garbage')

    def push(_, path: str) -> None:
        if path.endswith('_manifests'):
            registry.on_request = None
            image(storage, 'pushed', 'v2')

    registry.on_request = push
    assert doomed(client) == {garbage}


# Tags that a manifest listing leaves out


TAGS = tuple(f'pr-{number:02}' for number in range(11)) + ('stable',)


def test_a_tag_that_the_listing_leaves_out_keeps_its_manifest(registry, client):
    popular = image(registry.storage, 'popular', *TAGS)
    decision = decided(client, filter=('team/app:^pr-',), untagged=True)
    assert decision.verdicts[APP][popular].reason == 'tagged'
    assert decision.verdicts[APP][popular].because == 'stable'
    excluding = decided(client, filter=('team/app:.*',), exclude=('team/app:stable',), untagged=True)
    assert excluding.doomed == frozenset()


def test_all_tags_go_with_their_manifest_where_all_match(registry, client):
    popular = image(registry.storage, 'popular', *TAGS)
    decision = decided(client, filter=('team/app:.*',), untagged=True)
    assert decision.doomed == {(APP, popular)}
    outcome = execute(client, decision, 4, Silent(), time.monotonic)
    assert (outcome.skipped, outcome.failed) == ((), ())
    assert registry.storage.repositories() == []


# What a 404 means


def test_a_404_that_speaks_of_the_accept_header_is_no_ghost(registry, client, monkeypatch):
    storage = registry.storage
    layer = storage.put_blob(b'layer')
    signed, digest = docker_schema_1([layer])
    storage.put_manifest(APP, signed, DOCKER_SCHEMA_1, 'v1', created=OLD, updated=OLD)
    monkeypatch.setattr('azext_acrprune.registry.reads._MANIFEST_TYPES', f'{OCI_IMAGE}, */*')
    verdict = decided(client, include=('ghosts',)).verdicts[APP][digest]
    assert (verdict.kept, verdict.reason) == (True, 'tagged')
    storage.untag(APP, 'v1')
    verdict = decided(client, include=('ghosts',)).verdicts[APP][digest]
    assert (verdict.kept, verdict.reason) == (True, 'unreadable')


def test_docker_schema_1_is_read_measured_and_deleted(registry, client):
    storage = registry.storage
    layer = storage.put_blob(b'layer')
    storage.link_blob(APP, layer)
    signed, digest = docker_schema_1([layer])
    storage.put_manifest(APP, signed, DOCKER_SCHEMA_1, created=OLD, updated=OLD)
    decision = decided(client)
    document = plan_document(decision, 'now')
    assert decision.doomed == {(APP, digest)}
    assert (document['impact'], document['summary']['freedBytes']) == ('exact', storage.stored_bytes())
    assert document['summary']['freedBytes'] == len(signed) + 5


# What things are


def test_an_image_that_shares_a_layer_with_a_tagged_cache_frees_only_its_own(registry, client):
    storage = registry.storage
    layer = storage.put_virtual_blob('sha256:' + 'a' * 64, 40_000_000), 40_000_000
    own = storage.put_virtual_blob('sha256:' + 'b' * 64, 1_000_000), 1_000_000
    put(storage, json.dumps({'mediaType': OCI_INDEX, 'manifests': [descriptor(*layer, OCI_LAYER)]}).encode(), 'cache')
    image(storage, 'image', layers=[layer, own])
    before = storage.stored_bytes()
    decision = decided(client)
    document = plan_document(decision, 'now')
    execute(client, decision, 4, Silent(), time.monotonic)
    assert document['impact'] == 'exact'
    assert document['summary']['freedBytes'] == before - storage.stored_bytes() < 1_100_000


@pytest.mark.parametrize('pushed', [True, False])
def test_a_foreign_layer_is_counted_where_it_was_pushed(registry, client, pushed):
    storage = registry.storage
    foreign = descriptor('sha256:' + 'c' * 64, 7_000_000, OCI_LAYER, urls=['https://example.com/layer'])
    if pushed:
        storage.put_virtual_blob(foreign['digest'], 7_000_000)
    config = descriptor(storage.put_blob(b'{}'), 2, OCI_CONFIG)
    put(storage, json.dumps({'mediaType': OCI_IMAGE, 'config': config, 'layers': [foreign]}).encode())
    before = storage.stored_bytes()
    decision = decided(client)
    document = plan_document(decision, 'now')
    execute(client, decision, 4, Silent(), time.monotonic)
    assert document['impact'] == 'exact'
    assert document['summary']['freedBytes'] == before - storage.stored_bytes()
    assert (document['summary']['freedBytes'] > 7_000_000) == pushed


def test_the_bare_tag_of_a_digest_on_an_image_is_a_user_tag(registry, client):
    subject = image(registry.storage, 'subject')
    image(registry.storage, 'mirrored', subject.replace(':', '-'))
    assert doomed(client, include=('orphans',)) == {subject}


def test_what_is_in_quarantine_stays(registry, client):
    registry.storage.quarantine(APP, image(registry.storage, 'held', 'v1'), 'Failed')
    assert doomed(client) == set()


# Right before deleting


def test_what_was_hidden_since_the_plan_keeps_what_it_needs(registry, client):
    storage = registry.storage
    child = image(storage, 'child')
    decision = decided(client)
    storage.hide(APP, digest=index(storage, [child], 'v1'))
    outcome = execute(client, decision, 4, Silent(), time.monotonic)
    assert [(skipped.digest, skipped.reason) for skipped in outcome.skipped] == [(child, 'childOf')]
    assert storage.whole(APP, 'v1') == []


def test_what_is_hidden_and_nested_on_and_on_is_followed_so_far_and_closes_the_repository(registry, client):
    storage = registry.storage
    registry.metadata.counts_hidden = False
    hidden = [image(storage, 'child')]
    for _ in range(2 * DEEPEST):
        hidden.append(index(storage, hidden[-1:]))
    index(storage, hidden[-1:], 'v1')
    image(storage, 'garbage')
    for digest in hidden:
        storage.hide(APP, digest=digest)
    assert doomed(client) == set()
    assert registry.counters['manifest_properties'] == DEEPEST
