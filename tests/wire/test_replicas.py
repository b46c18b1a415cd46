"""Our client on a registry in several regions that lag: what any of them shows is kept, right before deleting too."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import TICKS_PER_SECOND
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Age, Settling, untagged_policy
from azext_acrprune.registry.endpoints import alone
from azext_acrprune.reporter import Silent
from tests.registry.builder import OCI_IMAGE
from tests.registry.replicas import DELETE, LOCK, NEVER, PUSH, TAG, UNTAG
from tests.wire.images import image_in, index_in
from tests.wire.plain import execute, scan

APP = 'team/app'
EVERY_LAG = dict.fromkeys((PUSH, TAG, UNTAG, DELETE, LOCK), NEVER)


@pytest.fixture
def regions(registry):
    """Two regions that are the same until `far` is out of reach: see `cut`."""
    return registry.replicate(endpoints=True, local={}, far={})


def cut(regions, **arriving):
    """From now on nothing of the one region arrives in the other, but for kinds with a lag that is given."""
    for name in regions:
        regions[name].catch_up()
        regions[name].lags = {**EVERY_LAG, **arriving}


def decided(client):
    policy = replace(untagged_policy(Age('0', 0)), settling=Settling(86_400, 'several regions'))
    inventory = scan(client, 'localhost', Extent(), Silent())
    return decide(inventory, policy, int(time.time() * TICKS_PER_SECOND))


def doomed(client):
    return {digest for _, digest in decided(client).doomed}


def run(client, decision):
    return execute(client, decision, 4, Silent(), time.monotonic, door=alone(client.real))


def test_what_every_region_shows_untagged_goes_through_one_endpoint(registry, regions, connect_regions):
    kept, stale = (image_in(regions['local'], APP, name, tag) for name, tag in (('kept', 'v1'), ('stale', None)))
    client = connect_regions()
    outcome = run(client, decided(client))
    assert outcome.deleted == ((APP, stale),)
    assert set(registry.deletes_at) == {registry.manager.regional_hosts[0]}
    regions.settle()
    assert all(set(regions[name].manifests(APP)) == {kept} for name in regions)


def test_an_image_that_has_its_tag_in_one_region_alone_stays(regions, connect_regions):
    digest = image_in(regions['local'], APP, 'image')
    cut(regions)
    regions['far'].put_manifest(APP, regions['far'].manifest(APP, digest).data, 'text/plain', 'stable')
    assert doomed(connect_regions()) == set()


def test_what_an_index_of_one_region_alone_needs_stays(regions, connect_regions):
    child = image_in(regions['local'], APP, 'child')
    cut(regions)
    index_in(regions['far'], APP, [child], 'stable', days=3)
    assert doomed(connect_regions()) == set()


def test_the_subject_of_a_tagged_referrer_of_one_region_alone_stays(regions, connect_regions):
    subject = image_in(regions['local'], APP, 'subject')
    cut(regions)
    image_in(regions['far'], APP, 'report', 'keep', subject=subject)
    assert doomed(connect_regions()) == set()


@pytest.mark.parametrize('where', ['local', 'far'])
@pytest.mark.parametrize('on', ['manifest', 'repository'])
def test_what_is_locked_in_one_region_alone_stays(regions, connect_regions, where, on):
    digest = image_in(regions['local'], APP, 'image')
    cut(regions)
    regions[where].set_locks(APP, digest=digest if on == 'manifest' else None, deleteEnabled=False)
    assert doomed(connect_regions()) == set()


@pytest.mark.parametrize('where', ['local', 'far'])
def test_what_one_region_alone_shows_stays_however_old_it_is(regions, connect_regions, where):
    cut(regions)
    image_in(regions[where], APP, 'image')
    decision = decided(connect_regions())
    assert (decision.doomed, {verdict.because for verdict in decision.verdicts[APP].values()}) == (
        frozenset(),
        {'not every region shows it alike'},
    )


def test_an_index_that_only_the_far_region_can_serve_is_no_ghost(regions, connect_regions):
    child = image_in(regions['local'], APP, 'child')
    index = index_in(regions['local'], APP, [child], 'v1')
    cut(regions)
    regions['local'].make_ghost(APP, index)
    assert doomed(connect_regions()) == set()


def test_a_repository_of_one_region_alone_is_read_there_and_stays(regions, connect_regions):
    cut(regions)
    digest = image_in(regions['far'], 'team/far', 'image')
    inventory = scan(connect_regions(), 'localhost', Extent(), Silent())
    assert [(each.name, set(each.manifests)) for each in inventory.repositories] == [('team/far', {digest})]
    assert inventory.complete


def test_what_is_hidden_in_one_region_alone_keeps_what_it_needs(regions, connect_regions):
    child = image_in(regions['local'], APP, 'child')
    cut(regions)
    index = index_in(regions['far'], APP, [child], 'stable')
    regions['far'].hide(APP, digest=index)
    regions['far'].hide(APP, tag='stable')
    assert doomed(connect_regions()) == set()


@pytest.mark.parametrize('what', ['tag', 'lock', 'index'])
def test_right_before_deleting_every_region_is_asked_again(regions, connect_regions, what):
    digest = image_in(regions['local'], APP, 'image')
    client = connect_regions()
    decision = decided(client)
    assert decision.doomed == {(APP, digest)}
    cut(regions)
    if what == 'tag':
        regions['far'].put_manifest(APP, regions['far'].manifest(APP, digest).data, 'text/plain', 'stable')
    elif what == 'lock':
        regions['far'].set_locks(APP, digest=digest, deleteEnabled=False)
    else:
        index_in(regions['far'], APP, [digest], 'stable')
    outcome = run(client, decision)
    assert (outcome.deleted, [skipped.digest for skipped in outcome.skipped]) == ((), [digest])


def test_our_own_deletions_that_have_not_arrived_elsewhere_do_not_keep_what_is_left(registry, regions, connect_regions):
    """The clock jumps over a minute at each deletion, so that the repository is listed again after it."""
    parts = []
    for number in range(3):
        child = image_in(regions['local'], APP, f'child {number}')
        parts += [child, index_in(regions['local'], APP, [child])]
    client = connect_regions()
    decision = decided(client)
    cut(regions)
    clock = [0.0]

    def jump(method, _):
        clock[0] += 61 if method == 'DELETE' else 0

    registry.on_request = jump
    outcome = execute(client, decision, 4, Silent(), lambda: clock[0], door=alone(client.real))
    assert (outcome.skipped, outcome.failed, outcome.left) == ((), (), 0)
    assert {digest for _, digest in outcome.deleted} == set(parts)
    assert (outcome.skipped, outcome.failed, outcome.left) == ((), (), 0)


@pytest.mark.parametrize('deletes', [True, False])
def test_tags_that_went_and_are_shown_elsewhere_for_a_while_are_gone(regions, connect_regions, deletes):
    digest = image_in(regions['local'], APP, 'image', 'v1')
    if not deletes:
        regions['local'].put_manifest(APP, regions['local'].manifest(APP, digest).data, OCI_IMAGE, 'stable')
    client = connect_regions()
    policy = policy_of(Flags(ago='0', filter=('.*:v1',), untagged=True))
    decision = decide(
        scan(client, 'localhost', Extent(tags=True), Silent()), policy, int(time.time() * TICKS_PER_SECOND)
    )
    assert decision.doomed == ({(APP, digest)} if deletes else set())
    cut(regions)
    outcome = run(client, decision)
    assert (outcome.skipped, outcome.failed, outcome.left) == ((), (), 0)
    assert bool(outcome.deleted) == deletes


def test_what_one_region_shows_with_an_older_time_was_not_pushed_since(regions, connect_regions):
    digest = image_in(regions['local'], APP, 'image')
    regions['far'].catch_up()
    regions['far'].manifest(APP, digest).updated = '2026-01-01T00:00:00.0000000Z'
    client = connect_regions()
    decision = decided(client)
    cut(regions)
    outcome = run(client, decision)
    assert (outcome.deleted, outcome.failed) == (((APP, digest),), ())
