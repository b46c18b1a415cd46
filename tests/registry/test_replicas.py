"""Regions that lag: each kind of change arrives in the others at its own time; each may have an endpoint of its own."""

from __future__ import annotations

import json

import pytest

from .builder import OCI_IMAGE, image_manifest
from .records import digest_of
from .replicas import DELETE, KINDS, LOCK, NEVER, PUSH, TAG, UNTAG

APP = 'team/app'


def push(storage, name: str, tag: str | None = None) -> str:
    config = json.dumps({'name': name}).encode()
    data = image_manifest((storage.put_blob(config), len(config)), [])
    storage.put_manifest(APP, data, OCI_IMAGE, tag)
    return digest_of(data)


def at(regions, name: str):
    """A region, with what has arrived there."""
    regions[name].catch_up()
    return regions[name]


def test_each_kind_of_change_arrives_at_its_own_time_and_not_before(registry):
    regions = registry.replicate(local={}, far={kind: 10 * (1 + place) for place, kind in enumerate(KINDS)})
    digest = push(regions['local'], 'image', 'v1')
    regions['local'].set_locks(APP, tag='v1', deleteEnabled=False)
    assert at(regions, 'far').manifests(APP) == {}
    regions.wait(10)
    assert (set(at(regions, 'far').manifests(APP)), regions['far'].tags(APP)) == ({digest}, {})
    regions.wait(10)
    assert at(regions, 'far').tag(APP, 'v1').flags['deleteEnabled']
    regions.wait(30)
    assert not at(regions, 'far').tag(APP, 'v1').flags['deleteEnabled']
    assert regions['far'].whole(APP, 'v1') == []


def test_untags_and_deletes_arrive_late_and_the_other_way_too(registry):
    regions = registry.replicate(local={PUSH: 5}, far={UNTAG: 20, DELETE: 40})
    digest = push(regions['local'], 'image', 'v1')
    assert at(regions, 'far').tags_on(APP, digest) == ['v1']
    regions['local'].untag(APP, 'v1')
    regions['local'].delete_manifest(APP, digest)
    assert at(regions, 'far').tags_on(APP, digest) == ['v1']
    regions.wait(20)
    assert at(regions, 'far').tags_on(APP, digest) == []
    regions.wait(20)
    assert at(regions, 'far').repositories() == []
    there = push(regions['far'], 'of far')
    assert at(regions, 'local').manifests(APP) == {}
    regions.wait(5)
    assert set(at(regions, 'local').manifests(APP)) == {there}


def test_a_tag_may_be_on_two_digests_for_a_while_and_the_later_one_wins(registry):
    regions = registry.replicate(local={TAG: 10}, far={TAG: 10})
    first = push(regions['local'], 'first', 'v1')
    second = push(regions['far'], 'second', 'v1')
    assert (regions['local'].tag(APP, 'v1').digest, regions['far'].tag(APP, 'v1').digest) == (first, second)
    regions.settle()
    assert {regions[name].tag(APP, 'v1').digest for name in regions} == {second}


def test_a_deletion_takes_a_tag_along_that_another_region_gave_meanwhile(registry):
    """This is how an image is lost."""
    regions = registry.replicate(local={TAG: NEVER}, far={})
    digest = push(regions['local'], 'image')
    at(regions, 'far').put_manifest(APP, regions['far'].manifest(APP, digest).data, OCI_IMAGE, 'stable')
    regions['local'].delete_manifest(APP, digest)
    assert at(regions, 'far').repositories() == []


@pytest.mark.parametrize('locked', [True, False])
def test_a_lock_that_has_not_arrived_does_not_hold(registry, locked):
    regions = registry.replicate(local={}, far={LOCK: NEVER if not locked else 0})
    digest = push(regions['local'], 'image')
    regions['local'].set_locks(APP, digest=digest, deleteEnabled=False)
    assert at(regions, 'far').manifest(APP, digest).flags['deleteEnabled'] is not locked


def test_each_region_loses_the_bytes_of_what_is_deleted_in_one(registry):
    regions = registry.replicate(local={}, far={})
    digest = push(regions['local'], 'image')
    assert at(regions, 'far').stored_bytes() == regions['local'].stored_bytes() > 0
    regions['local'].delete_manifest(APP, digest)
    assert at(regions, 'far').stored_bytes() == regions['local'].stored_bytes() == 0


def test_each_regional_endpoint_shows_its_region_and_has_a_token_service_of_its_own(registry, http):
    regions = registry.replicate(endpoints=True, local={}, far={PUSH: NEVER})
    digest = push(regions['local'], 'image')
    local, far = registry.manager.regional_hosts
    assert set(registry.manager.regional_hosts).isdisjoint({registry.login_server})
    for host, listed in ((registry.login_server, [digest]), (local, [digest]), (far, None)):
        http.base = f'https://{host}'
        challenge = http('GET', '/v2/').headers['WWW-Authenticate']
        assert challenge == f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
        http.service = host
        token = http.token('repository:*:* registry:catalog:*')
        answer = http.bearer('GET', f'/acr/v1/{APP}/_manifests', token)
        found = [entry['digest'] for entry in answer.json().get('manifests') or []]
        assert (found or None) == listed
