"""What the service does that its lists do not show, through the real az: each was a way to lose an image."""

from __future__ import annotations

import json

import pytest

from tests.registry.azcli import ADMIN_LOGIN
from tests.registry.builder import (
    DOCKER_SCHEMA_1,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
    cosign_tag,
    descriptor,
    docker_schema_1,
)
from tests.registry.loganalytics import WORKSPACE, Event
from tests.registry.replicas import NEVER
from tests.registry.storage import DAY, wire_time

from .images import Shelf

APP = 'team/app'
TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


def prune(az, *arguments: str):
    """What a run that is asked to delete answers, with its exit code 0."""
    return az('acr', 'prune', *arguments, *TARGET, '--yes', '--max-percent', '100', check=True).json


def there(registry) -> set[str]:
    return set(registry.storage.manifests(APP))


@pytest.fixture
def shelf(registry, now) -> Shelf:
    return Shelf(registry.storage, now)


@pytest.mark.parametrize('counted', [True, False])
def test_a_hidden_tagged_index_stays_whole(az, registry, shelf, counted):
    registry.metadata.counts_hidden = counted
    child = shelf.image('child')
    registry.storage.hide(APP, digest=shelf.index([child], tag='stable'))
    garbage = shelf.image('garbage')
    before = registry.storage.stored_bytes()
    result = prune(az, 'untagged', '--validate')
    assert garbage not in there(registry)
    assert registry.storage.whole(APP, 'stable') == []
    assert result['summary']['freedBytes'] == before - registry.storage.stored_bytes()


def test_a_repository_with_something_that_no_list_shows_is_not_deleted(az, registry, shelf):
    """What is hidden is locked here, and needs what is listed."""
    child = shelf.image('child')
    index = shelf.index([child], tag='stable')
    registry.storage.set_locks(APP, digest=index, deleteEnabled=False)
    registry.storage.hide(APP, digest=index)
    registry.storage.hide(APP, tag='stable')
    run = az('acr', 'prune', 'repository', '--repository', APP, *TARGET, '--yes')
    assert run.code == 1 and 'is not listed' in run.err
    assert registry.storage.whole(APP, 'stable') == []


def test_a_tag_that_the_listing_leaves_out_keeps_its_image(az, registry, shelf):
    for name in (*(f'pr-{number:02}' for number in range(11)), 'stable'):
        digest = shelf.image('popular', tag=name)
    prune(az, 'tags', '--filter', 'team/app:^pr-', '--ago', '1d', '--untagged')
    assert registry.storage.tags_on(APP, digest) == ['stable']
    assert az('acr', 'prune', 'explain', '--image', f'{APP}:stable', *TARGET, check=True).json['digest'] == digest


def test_a_404_that_means_the_accept_header_is_no_ghost_and_schema_1_is_read(az, registry, shelf, now):
    layer = registry.storage.put_blob(b'layer')
    signed, digest = docker_schema_1([layer])
    when = wire_time(now - 30 * DAY)
    registry.storage.put_manifest(APP, signed, DOCKER_SCHEMA_1, 'v1', created=when, updated=when)
    old = shelf.image('old')
    az.signed_in()
    plan = az('acr', 'prune', 'plan', '-r', 'localhost', check=True).json
    assert ([entry['digest'] for entry in plan['delete']], plan['impact']) == ([old], 'exact')
    assert az('acr', 'prune', 'check', *TARGET, check=True).json['findings'] == []
    assert digest in there(registry)


def in_two_regions(az, registry) -> tuple[str, ...]:
    """The registry as somebody sees it who may ask the resource manager; gives the words of a run that deletes."""
    registry.manager.sku, registry.manager.replicas = 'Premium', ['westeurope']
    az.signed_in()
    return ('-r', 'localhost', '--yes')


def test_in_several_regions_nothing_younger_than_a_day_goes_unless_told(az, registry, shelf):
    target = in_two_regions(az, registry)
    old, young = shelf.image('old'), shelf.image('young', days=0.5)
    shelf.image('young too', tag='pr-1', days=0.5)
    run = az('acr', 'prune', 'untagged', '--ago', '0', *target, check=True)
    assert [entry['digest'] for entry in run.json['deleted']] == [old]
    assert 'several regions (local, westeurope)' in run.err
    run = az('acr', 'prune', 'tags', '--match', '**:pr-*', '--ago', '1h', *target, '--max-percent', '100', check=True)
    assert run.json['untagged'] == []
    run = az('acr', 'prune', 'image', '--image', f'{APP}@{young}', *target)
    assert (run.code, run.json['deleted'], run.json['skipped'][0]['reason']) == (1, [], 'young')
    plan = az('acr', 'prune', 'plan', '--ago', '0', '-r', 'localhost', check=True).json['policy']
    assert (plan['regions'], plan['regionsBy'], plan['youngest']) == (['local', 'westeurope'], 'oneRegion', '1d')
    run = az('acr', 'prune', 'untagged', '--ago', '0', '--single-region', *target, check=True)
    assert [entry['digest'] for entry in run.json['deleted']] == [young]


def test_in_several_regions_every_command_that_deletes_has_the_same_floor(az, registry, shelf, tmp_path):
    target, plan = in_two_regions(az, registry), str(tmp_path / 'plan.json')
    young = shelf.image('young', days=0.5)
    tagged = shelf.image('tagged', tag='v1', days=0.5)
    wanted = az('acr', 'prune', 'plan', '--ago', '0', '--single-region', '-r', 'localhost', '--out', plan, check=True)
    assert wanted.json['policy']['regionsBy'] == 'singleRegion'
    result = az('acr', 'prune', 'apply', '--plan', plan, *target, check=True).json
    assert (result['deleted'], [entry['digest'] for entry in result['skipped']]) == ([], [young])
    for command in (('image', '--image', f'{APP}:v1', '--untag'), ('repository', '--repository', APP)):
        run = az('acr', 'prune', *command, *target)
        assert run.code and 'younger than a day' in run.err and '--single-region' in run.err
    assert there(registry) == {young, tagged}
    az('acr', 'prune', 'apply', '--plan', plan, '--single-region', *target, check=True)
    az('acr', 'prune', 'repository', '--repository', APP, '--single-region', *target, check=True)
    assert there(registry) == set()


def test_where_the_regions_are_not_known_there_may_be_several(az, shelf):
    """Without a sign-in to Azure nobody can ask the resource manager."""
    old, young = shelf.image('old'), shelf.image('young', days=0.5)
    plan = az('acr', 'prune', 'plan', *TARGET, check=True)
    assert 'regions' not in plan.json['policy'] and 'regions' not in plan.err
    plan = az('acr', 'prune', 'plan', '--ago', '0', *TARGET, check=True)
    assert [entry['digest'] for entry in plan.json['delete']] == [old]
    assert (plan.json['policy']['regions'], plan.json['policy']['regionsBy']) == (None, 'oneRegion')
    assert '--single-region' in plan.err and 'az login' in plan.err
    named = az('acr', 'prune', 'image', '--image', f'{APP}@{young}', '--dry-run', *TARGET, check=True)
    assert [entry['digest'] for entry in named.json['delete']] == [young]
    tagged = shelf.image('tagged', tag='pr-1', days=0.5)
    tags = ('tags', '--match', '**:pr-*', '--ago', '1h', '--untag-only', *TARGET, '--yes', '--max-percent', '100')
    run = az('acr', 'prune', *tags, check=True)
    assert run.json['untagged'] == [] and '--single-region' in run.err
    assert len(az('acr', 'prune', *tags, '--single-region', check=True).json['untagged']) == 1
    plan = az('acr', 'prune', 'plan', '--ago', '0', '--single-region', *TARGET, check=True)
    assert sorted(entry['digest'] for entry in plan.json['delete']) == sorted([old, young, tagged])


def test_every_regional_endpoint_is_asked_and_one_of_them_deletes(az, registry, now):
    regions = registry.replicate(endpoints=True, local={}, far={'tag': NEVER})
    here = Shelf(regions['local'], now)
    stale, tagged = here.image('stale'), here.image('tagged')
    regions['far'].catch_up()
    regions['local'].lags = {'tag': NEVER}
    regions['far'].put_manifest(APP, regions['far'].manifest(APP, tagged).data, OCI_IMAGE, 'stable')
    az.signed_in()
    target = ('-r', 'localhost')
    assert az('acr', 'prune', 'plan', *target, check=True).json['policy']['regionsBy'] == 'regionalEndpoints'
    result = az('acr', 'prune', 'untagged', *target, '--yes', '--validate', check=True).json
    assert [entry['digest'] for entry in result['deleted']] == [stale]
    assert set(registry.deletes_at) == {registry.manager.regional_hosts[0]}
    regions.settle()
    assert regions['far'].whole(APP, 'stable') == []


def test_what_the_log_says_was_changed_in_another_region_is_new(az, registry, shelf, now):
    in_two_regions(az, registry)
    child, free = shelf.image('child'), Shelf(registry.storage, now, 'team/free').image('free')
    pushed = Event(now - 3600, 'Push', APP, 'sha256:' + 'd' * 64, 'stable')
    registry.logs.events = [pushed, Event(now - 3600, 'Push', 'team/free', 'sha256:' + 'e' * 64)]
    registry.logs.events.append(Event(now - 1800, 'Delete', 'team/free', 'sha256:' + 'e' * 64))
    target = ('-r', 'localhost', '--workspace', WORKSPACE)
    plan = az('acr', 'prune', 'plan', *target, check=True).json
    assert [entry['digest'] for entry in plan['delete']] == [free]
    assert plan['policy']['regionsBy'] == 'log'
    az('acr', 'prune', 'repository', '--repository', APP, *target, '--yes')
    assert there(registry) == {child}


@pytest.fixture
def far(registry, monkeypatch):
    """Two regions, and `-r` with the second one; the names of their endpoints lead somewhere by a proxy alone."""
    regions = registry.replicate(endpoints=True, named=True, local={}, far={})
    monkeypatch.setenv('HTTPS_PROXY', f'http://127.0.0.1:{registry.proxy_port}')
    monkeypatch.setenv('NO_PROXY', registry.login_server)
    return regions, ('-r', f'localhost.far.geo:{registry.port}')


@pytest.mark.parametrize('signed_in', [True, False])
def test_deletions_go_through_the_regional_endpoint_that_was_named(az, registry, now, far, signed_in):
    """What the other region knows counts all the same; without a sign-in that is what the login server leads to."""
    regions, target = far
    here = Shelf(regions['local'], now)
    stale, tagged = here.image('stale'), here.image('tagged')
    regions['far'].catch_up()
    regions['far'].lags = {'push': NEVER, 'tag': NEVER}
    regions['local'].put_manifest(APP, regions['local'].manifest(APP, tagged).data, OCI_IMAGE, 'stable')
    if signed_in:
        az.signed_in()
    login = () if signed_in else ADMIN_LOGIN
    result = az('acr', 'prune', 'untagged', *target, *login, '--yes', '--max-percent', '100', check=True).json
    assert [entry['digest'] for entry in result['deleted']] == [stale]
    assert dict(registry.deletes_at) == {registry.host_of('far'): 1}
    alone = az('acr', 'prune', 'plan', *target, *login, '--single-region', check=True).json
    assert [entry['digest'] for entry in alone['delete']] == [tagged]


def test_a_region_without_an_endpoint_is_said(az, registry, far):
    az.signed_in()
    run = az('acr', 'prune', 'plan', '-r', f'localhost.mars.geo:{registry.port}')
    assert run.code == 3 and "no endpoint in the region 'mars'" in run.err and 'localhost.far.geo' in run.err


def test_check_usage_and_validation_ask_every_region(az, registry, now):
    """An index whose child is in the other region alone is whole, and what that region alone has is counted."""
    regions = registry.replicate(endpoints=True, local={}, far={})
    here = Shelf(regions['local'], now)
    child, stale = here.image('child'), here.image('stale')
    here.index([child], tag='v1')
    regions['far'].catch_up()
    regions['local'].lags = regions['far'].lags = dict.fromkeys(('push', 'tag', 'untag', 'delete', 'lock'), NEVER)
    regions['local'].delete_manifest(APP, child)
    other = Shelf(regions['far'], now, 'team/other').image('other', tag='v1')
    az.signed_in()
    assert az('acr', 'prune', 'check', '-r', 'localhost', check=True).json['findings'] == []
    alone = az('acr', 'prune', 'check', '-r', 'localhost', '--single-region')
    assert (alone.code, [finding['code'] for finding in alone.json['findings']]) == (1, ['missingChildren'])
    rows = az('acr', 'prune', 'usage', '--by', 'image', '-r', 'localhost', check=True).json['rows']
    assert {child, other} <= {row['digest'] for row in rows}
    run = az('acr', 'prune', 'untagged', '-r', 'localhost', '--yes', '--validate', check=True).json
    assert [entry['digest'] for entry in run['deleted']] == [stale] and run['validation']['newBroken'] == 0


def test_the_bare_tag_of_a_digest_on_an_image_is_a_user_tag(az, registry, shelf):
    mirrored = shelf.image('mirrored', tag='sha256-' + 'a' * 64)
    prune(az, 'untagged', '--include', 'orphans')
    assert there(registry) == {mirrored}
    assert az('acr', 'prune', 'check', *TARGET, check=True).json['findings'] == []


def test_a_cache_of_buildkit_holds_its_layers_and_is_healthy(az, registry, shelf):
    shared, own = shelf.layer('shared', 400_000), shelf.layer('own', 10_000)
    document = {'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [descriptor(*shared, OCI_LAYER)]}
    shelf.put(json.dumps(document).encode(), OCI_INDEX, 'cache')
    shelf.image('image', base=shared)
    assert own
    before = registry.storage.stored_bytes()
    result = prune(az, 'untagged')
    assert result['summary']['freedBytes'] == before - registry.storage.stored_bytes() < 10_000
    assert az('acr', 'prune', 'check', *TARGET, check=True).json['findings'] == []


def test_an_index_that_brings_its_child_along_is_not_broken(az, registry, shelf):
    import base64

    from tests.registry.builder import index_manifest
    from tests.registry.records import digest_of

    child = shelf.image('child')
    inside = index_manifest([(child, 1)])
    entry = descriptor(digest_of(inside), len(inside), OCI_INDEX, data=base64.b64encode(inside).decode())
    document = {'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [entry]}
    shelf.put(json.dumps(document).encode(), OCI_INDEX, 'v1')
    prune(az, 'untagged')
    assert registry.storage.whole(APP, 'v1') == []
    assert az('acr', 'prune', 'check', *TARGET, check=True).json['findings'] == []


def test_a_foreign_layer_that_was_pushed_comes_back_from_an_archive(az, registry, shelf, tmp_path):
    layer = shelf.layer('windows', 50_000)
    config = descriptor(*shelf.layer('config', 100), 'application/vnd.oci.image.config.v1+json')
    foreign = descriptor(*layer, OCI_LAYER, urls=['https://example.com/layer'])
    document = {'schemaVersion': 2, 'mediaType': OCI_IMAGE, 'config': config, 'layers': [foreign]}
    digest = shelf.put(json.dumps(document).encode(), OCI_IMAGE)
    prune(az, 'untagged', '--archive', str(tmp_path / 'archive'), '--new-archive')
    assert not registry.storage.has_blob(layer[0])
    az('acr', 'prune', 'restore', *TARGET, '--archive', str(tmp_path / 'archive'), '--all', check=True)
    assert digest in there(registry)
    assert registry.storage.has_blob(layer[0])


def test_artifacts_of_the_service_stay_unless_they_are_named(az, registry, now):
    own = Shelf(registry.storage, now, 'csscpolicies/patchpolicy')
    digest = own.image('policy')
    prune(az, 'untagged')
    assert digest in registry.storage.manifests(own.repository)
    prune(az, 'untagged', '--repository', own.repository)
    assert own.repository not in registry.storage.repositories()


def test_an_index_that_answers_404_for_the_moment_keeps_its_children(az, registry, shelf):
    child = shelf.image('child')
    registry.storage.make_ghost(APP, shelf.index([child], days=0.01))
    prune(az, 'untagged')
    assert child in there(registry)


def test_a_tagged_referrer_that_answers_404_keeps_its_subject(az, registry, shelf):
    subject = shelf.image('subject')
    referrer = shelf.image('report', tag='keep', subject=subject)
    registry.storage.make_ghost(APP, referrer)
    prune(az, 'untagged')
    assert there(registry) == {subject, referrer}


def test_what_is_in_quarantine_stays(az, registry, shelf):
    held = shelf.image('held', tag='v1')
    registry.storage.quarantine(APP, held, 'Failed')
    prune(az, 'untagged')
    assert there(registry) == {held}


def test_a_ghost_signature_stays_with_its_subject(az, registry, shelf):
    subject = shelf.image('subject', tag='v1')
    signature = shelf.image('signature', tag=cosign_tag(subject))
    registry.storage.make_ghost(APP, signature, deletable=True)
    prune(az, 'untagged', '--include', 'ghosts')
    assert there(registry) == {subject, signature}


def test_no_number_is_exact_where_azure_stores_more_than_the_catalog_shows(az, registry, shelf, now):
    shelf.image('old')
    Shelf(registry.storage, now, 'team/other').image('kept', tag='v1')
    az.signed_in()
    plan = az('acr', 'prune', 'plan', '-r', 'localhost', check=True).json
    assert (plan['impact'], plan['summary']['heldImpact'], plan['warnings']) == ('exact', 'exact', [])
    registry.storage.hide('team/other')
    plan = az('acr', 'prune', 'plan', '-r', 'localhost', check=True).json
    assert (plan['impact'], plan['summary']['heldImpact']) == ('upperBound', 'lowerBound')
    assert [warning['code'] for warning in plan['warnings']] == ['unseenBytes']


STREAMING = 'application/vnd.azure.artifact.streaming.v1'


def test_the_copy_of_artifact_streaming_is_named_as_such(az, registry, shelf):
    subject = shelf.image('subject', tag='v1')
    copy = shelf.image('copy', subject=subject, artifact_type=STREAMING)
    rows = az('acr', 'prune', 'usage', '--by', 'image', *TARGET, check=True).json['rows']
    assert {row['digest']: row['streamingCopy'] for row in rows} == {subject: False, copy: True}
    assert 'streaming copy' in az('acr', 'prune', 'usage', '--by', 'image', *TARGET, '-o', 'table', check=True).out
    run = az('acr', 'prune', 'explain', '--image', f'{APP}:v1', *TARGET, check=True)
    assert run.json['streamingCopies'] == [copy]
    assert f'Artifact streaming has hung a copy of it on it, as large as itself: {copy}.' in run.err
    run = az('acr', 'prune', 'image', '--image', f'{APP}:v1', '--yes', *TARGET, check=True)
    assert 'Among them is 1 streaming copy of images that go.' in run.err


def test_behind_a_cache_rule_nothing_is_brought_that_is_not_there_and_a_missing_platform_is_a_hint(
    az, registry, shelf, now
):
    from tests.registry.builder import image_manifest
    from tests.registry.records import digest_of

    data = image_manifest(shelf.layer('config', 100), [])
    missing = digest_of(data)
    for name in (APP, 'other/app'):
        registry.storage.upstream[name, missing] = data, OCI_IMAGE
        Shelf(registry.storage, now, name).index([missing], tag='v1')
    registry.manager.cache_rules = ['team/*']
    az.signed_in()
    run = az('acr', 'prune', 'check', '-r', 'localhost')
    found = {finding['repository']: finding for finding in run.json['findings']}
    assert {name: finding['severity'] for name, finding in found.items()} == {APP: 'hint', 'other/app': 'broken'}
    assert found[APP]['mend'] == {
        'command': None,
        'advice': 'Nothing has to be done: the repository is behind a cache rule, which brings what somebody pulls.',
    }
    az('acr', 'prune', 'untagged', '--include', 'partial', '--ago', '0', '-r', 'localhost', '--yes', check=True)
    assert missing not in registry.storage.manifests(APP)
    assert not [path for _, path, _ in registry.requests if path.startswith('/v2/') and missing in path]


def test_a_rehearsed_restoration_brings_nothing_from_upstream(az, registry, shelf, tmp_path):
    digest = shelf.image('old', tag='v1')
    registry.storage.upstream[APP, digest] = registry.storage.manifest(APP, digest).data, OCI_IMAGE
    registry.manager.cache_rules = ['team/*']
    az.signed_in()
    place = ('-r', 'localhost', '--archive', str(tmp_path / 'archive'))
    az('acr', 'prune', 'image', '--image', f'{APP}:v1', *place, '--new-archive', '--yes', check=True)
    plan = az('acr', 'prune', 'restore', '--image', f'{APP}:v1', *place, '--dry-run', check=True).json
    assert [entry['digest'] for entry in plan['restore']] == [digest]
    assert APP not in registry.storage.repositories()
