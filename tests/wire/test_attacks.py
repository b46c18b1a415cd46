"""What others may do in the moments of a run, and what must not go because of it."""

from __future__ import annotations

import itertools
import signal
import threading
import time

import pytest

from azext_acrprune.apply.journal import Journal, JournaledRegistry
from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.named import decide_untag, parse_image
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.planned import Plan, decide_as_planned
from azext_acrprune.documents.result import result_document
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import TICKS_PER_SECOND
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Selection
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.reporter import Silent
from tests.registry.faults import Fault
from tests.wire.images import image_in, index_in
from tests.wire.plain import execute, scan
from tests.wire.test_execute import REPOSITORY, before, deleted, failed, left, run, skipped


def planned(client, **flags):
    policy = policy_of(Flags(**flags))
    inventory = scan(client, 'localhost', Extent(policy.selection, tags=policy.takes_tags), Silent())
    return decide(inventory, policy, int(time.time() * TICKS_PER_SECOND))


def locked_image(registry):
    """An image that is locked by itself and by its tag."""
    digest = image_in(registry.storage, REPOSITORY, 'locked', tag='v1')
    registry.storage.set_locks(REPOSITORY, digest=digest, deleteEnabled=False)
    registry.storage.set_locks(REPOSITORY, tag='v1', writeEnabled=False)
    return digest


def remove_tag(registry, tag):
    registry.storage.set_locks(REPOSITORY, tag=tag, writeEnabled=True)
    registry.storage.untag(REPOSITORY, tag)


# --- Listings without an end -------------------------------------------------------------------------------------


@pytest.fixture
def leads_on(monkeypatch):
    """Every page of a listing links to another one, under an address of its own, that holds the same once more."""
    from tests.registry import metadata

    page, numbers = metadata.page, itertools.count()

    def with_link(call, *arguments):
        shown, headers = page(call, *arguments)
        return shown, {**headers, 'Link': f'<{call.path}?n=1000&again={next(numbers)}>; rel="next"'}

    monkeypatch.setattr(metadata, 'page', with_link)


@pytest.mark.parametrize('listing', ['repositories', 'manifests', 'tags'])
@pytest.mark.parametrize('is_empty', [False, True])
def test_a_listing_that_brings_nothing_new_is_not_followed_for_ever(registry, connect, leads_on, listing, is_empty):
    if not (is_empty and listing == 'repositories'):
        image_in(registry.storage, REPOSITORY, 'image', tag=None if is_empty else 'v1')
    if is_empty and listing == 'manifests':
        registry.storage.state(REPOSITORY).manifests.clear()
    client = connect()
    with pytest.raises(RegistryError, match='circle') as raised:
        list(getattr(client, listing)(*(() if listing == 'repositories' else (REPOSITORY,))))
    assert raised.value.kind is Kind.NOT_A_REGISTRY and len(registry.requests) < 20


# --- A registry that lets us wait --------------------------------------------------------------------------------

posix = pytest.mark.skipif(not hasattr(signal, 'pthread_kill'), reason='signals of one thread are those of POSIX')


@pytest.fixture
def impatient():
    """Ctrl-C after so many seconds each."""
    timers = []

    def press(*seconds):
        for each in seconds:
            timers.append(threading.Timer(each, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)))
            timers[-1].start()

    yield press
    for timer in timers:
        timer.join()


@posix
@pytest.mark.parametrize(
    'fault', [Fault('^DELETE', 429, retry_after=50), Fault('^DELETE', 503, retry_after=50)], ids=['throttled', 'broken']
)
def test_ctrl_c_does_not_wait_for_what_the_registry_asks_for(registry, connect, impatient, fault):
    digests = {image_in(registry.storage, REPOSITORY, f'image {number}') for number in range(20)}
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(fault)
    start = time.monotonic()
    impatient(1)
    outcome = execute(client, decision, 8, Silent(), time.monotonic)
    assert outcome.interrupted and time.monotonic() - start < 45 and left(registry) == digests


@posix
def test_ctrl_c_ends_a_scan_that_waits(registry, connect, impatient):
    image_in(registry.storage, REPOSITORY, 'image')
    client = connect()
    registry.faults.rules.append(Fault('GET .*/_manifests', 429, retry_after=50))
    start = time.monotonic()
    impatient(1)
    with pytest.raises(KeyboardInterrupt):
        planned(client)
    assert time.monotonic() - start < 45


# --- Locks -------------------------------------------------------------------------------------------------------


def test_locked_image_goes_when_it_was_asked_for(registry, connect):
    digest, client = locked_image(registry), connect()
    outcome = run(client, planned(client, filter=('.*:.*',), untagged=True, include_locked=True))
    assert (deleted(outcome), left(registry) if registry.storage.repositories() else set()) == ({digest}, set())


def test_locked_image_whose_tag_goes_while_it_is_unlocked_is_not_called_deleted_and_is_locked_again(registry, connect):
    """A 404 to the unlocking of a tag says nothing about the manifest."""
    digest, client = locked_image(registry), connect()
    image_in(registry.storage, REPOSITORY, 'young', tag='young', days=0)
    decision = planned(client, filter=('.*:.*',), untagged=True, include_locked=True)
    before(registry, f'PATCH /acr/v1/{REPOSITORY}/_tags/v1', lambda: remove_tag(registry, 'v1'))
    outcome = run(client, decision)
    assert deleted(outcome) == set()
    assert digest in left(registry)
    assert skipped(outcome).keys() | failed(outcome) == {digest}
    assert registry.storage.manifest(REPOSITORY, digest).flags['deleteEnabled'] is False


@pytest.mark.parametrize('status', [403, 500])
def test_locked_image_that_cannot_be_deleted_is_locked_again_with_its_tag(registry, connect, waits, status):
    digest, client = locked_image(registry), connect()
    decision = planned(client, filter=('.*:.*',), untagged=True, include_locked=True)
    registry.faults.rules.append(Fault('^DELETE', status))
    outcome = run(client, decision)
    assert failed(outcome) == {digest}
    assert registry.storage.manifest(REPOSITORY, digest).flags['deleteEnabled'] is False
    assert registry.storage.tag(REPOSITORY, 'v1').flags['writeEnabled'] is False


def test_where_one_lock_cannot_be_taken_off_the_others_stay_on_and_nothing_is_deleted(registry, connect):
    digest, client = locked_image(registry), connect()
    decision = planned(client, filter=('.*:.*',), untagged=True, include_locked=True)
    registry.faults.rules.append(Fault('PATCH', 403, times=1))
    registry.forget()
    outcome = run(client, decision)
    assert (failed(outcome), left(registry)) == ({digest}, {digest})
    changed = [path for method, path, _ in registry.requests if method in ('PATCH', 'DELETE')]
    assert changed == changed[:1] * 2, 'what may be off all the same is set again'


def test_that_a_lock_could_not_be_set_again_is_told_beside_what_failed_before(registry, connect):
    digest, client = locked_image(registry), connect()
    decision = planned(client, filter=('.*:.*',), untagged=True, include_locked=True)
    registry.faults.rules += [Fault('^DELETE', 403), Fault('^PATCH', 403, after=2)]
    (failure,) = run(client, decision).failed
    refusal, told, why = failure.error.partition('; and its lock could not be set again: ')
    assert (failure.digest, bool(refusal and told and why)) == (digest, True)
    assert registry.storage.manifest(REPOSITORY, digest).flags['deleteEnabled'] is True


@pytest.mark.parametrize('place', ['_manifests', '_tags'])
def test_no_lock_is_taken_off_later_than_a_deletion_may_leave(registry, connect, waits, clock, tmp_path, place):
    """The registry wants a minute of rest, and somebody comes to need the image meanwhile."""
    digest, client = locked_image(registry), connect()
    decision = planned(client, filter=('.*:.*',), untagged=True, include_locked=True)
    registry.faults.rules.append(Fault(f'PATCH .*/{place}/', 429, times=1, retry_after=60))
    opened = []

    def hook(method, _):
        if method == 'PATCH' and 'v2' not in registry.storage.tags(REPOSITORY):
            index_in(registry.storage, REPOSITORY, [digest], tag='v2')
        manifest, tag = registry.storage.manifest(REPOSITORY, digest), registry.storage.tag(REPOSITORY, 'v1')
        if manifest.flags['deleteEnabled'] if place == '_manifests' else tag.flags['writeEnabled']:
            opened.append(method)

    registry.on_request = hook
    journal = Journal(tmp_path, {})
    door = JournaledRegistry(client.real, journal, {each.name: each for each in decision.inventory.repositories})
    outcome = execute(client, decision, 8, Silent(), lambda: clock.skipped, door=door)
    assert (opened, skipped(outcome), journal.owed()) == ([], {digest: 'childOf'}, ())


def test_locked_tag_that_was_locked_in_another_way_since_the_plan_stays(registry, connect):
    digest = image_in(registry.storage, REPOSITORY, 'image', tag='v1')
    registry.storage.set_locks(REPOSITORY, tag='v1', writeEnabled=False)
    client = connect()
    decision = planned(client, filter=('.*:.*',), untagged=True, include_locked=True)
    registry.storage.set_locks(REPOSITORY, tag='v1', deleteEnabled=False)
    outcome = run(client, decision)
    assert (skipped(outcome), left(registry)) == ({digest: 'locked'}, {digest})


# --- Tags that move ----------------------------------------------------------------------------------------------


def test_tag_that_moved_since_the_plan_is_left_on_its_new_image(registry, connect):
    old = image_in(registry.storage, REPOSITORY, 'old', tag='latest')
    client = connect()
    decision = planned(client, filter=('.*:latest',))
    new = image_in(registry.storage, REPOSITORY, 'new', tag='latest', days=0)
    outcome = run(client, decision)
    assert skipped(outcome) == {old: 'tagsChanged'}
    assert registry.storage.tag(REPOSITORY, 'latest').digest == new


def test_tag_that_was_pushed_again_to_the_same_image_stays(registry, connect):
    old = image_in(registry.storage, REPOSITORY, 'old', tag='latest')
    client = connect()
    decision = planned(client, filter=('.*:latest',))
    image_in(registry.storage, REPOSITORY, 'old', tag='latest', days=0)
    outcome = run(client, decision)
    assert (skipped(outcome), outcome.untagged) == ({old: 'updated'}, ())


def test_image_that_lost_its_tag_to_another_since_the_plan_is_skipped(registry, connect):
    old = image_in(registry.storage, REPOSITORY, 'old', tag='latest')
    client = connect()
    decision = planned(client, filter=('.*:latest',), untagged=True)
    image_in(registry.storage, REPOSITORY, 'new', tag='latest', days=0)
    outcome = run(client, decision)
    assert skipped(outcome) == {old: 'tagsChanged'}
    assert registry.storage.whole(REPOSITORY, 'latest') == []


def test_tag_whose_manifest_a_listing_misses_stays_and_the_run_goes_on(registry, connect, monkeypatch):
    """The manifests and the tags are two listings, and something may be pushed between them."""
    digest = image_in(registry.storage, REPOSITORY, 'image', tag='v1')
    image_in(registry.storage, REPOSITORY, 'other', tag='stays')
    client = connect()
    decision = planned(client, filter=('.*:v1',))
    listed = client.real.manifests

    async def without_it(repository, *how, **more):
        async for page in listed(repository, *how, **more):
            yield [manifest for manifest in page if manifest.digest != digest]

    async def nothing(*_, **__):
        raise RegistryError(Kind.NOT_FOUND, 'not here')

    monkeypatch.setattr(client.real, 'manifests', without_it)
    monkeypatch.setattr(client.real, 'manifest_properties', nothing)
    outcome = run(client, decision)
    assert outcome.untagged == ()
    assert skipped(outcome).keys() == {digest}


def test_named_tag_that_the_listing_of_tags_misses_is_no_traceback(registry, connect, monkeypatch):
    image_in(registry.storage, REPOSITORY, 'image', tag='v1')
    client = connect()

    async def none(*_, **__):
        yield []

    monkeypatch.setattr(client.real, 'tags', none)
    inventory = scan(client, 'localhost', Extent(Selection(), tags=True), Silent())
    decision = decide_untag(inventory, [parse_image(f'{REPOSITORY}:v1')])
    assert [entry['tag'] for entry in plan_document(decision, 'now')['untag']] == ['v1']


# --- Others need it meanwhile ------------------------------------------------------------------------------------


def test_child_of_an_index_pushed_since_the_plan_stays_though_its_tag_goes(registry, connect):
    child = image_in(registry.storage, REPOSITORY, 'child', tag='amd64')
    client = connect()
    decision = planned(client, filter=('.*:amd64',), untagged=True)
    index_in(registry.storage, REPOSITORY, [child], tag='v2', days=0)
    outcome = run(client, decision)
    assert skipped(outcome) == {child: 'childOf'}
    assert registry.storage.whole(REPOSITORY, 'v2') == []


def test_result_of_a_run_with_skipped_tags_and_manifests_is_a_document(registry, connect):
    image_in(registry.storage, REPOSITORY, 'one', tag='v1')
    moved = image_in(registry.storage, REPOSITORY, 'two', tag='v2')
    client = connect()
    decision = planned(client, filter=('.*:.*',))
    image_in(registry.storage, REPOSITORY, 'three', tag='v2', days=0)
    outcome = execute(client, decision, 4, Silent(), time.monotonic)
    document = result_document(decision, outcome)
    assert [entry['tag'] for entry in document['untagged']] == ['v1']
    assert [(entry['digest'], entry['tag']) for entry in document['skipped']] == [(moved, 'v2')]
    assert document['summary']['freedBytes'] == 0


# --- Open --------------------------------------------------------------------------------------------------------


def test_a_manifest_that_was_locked_in_another_way_since_the_plan_file_stays(registry, connect):
    digest = image_in(registry.storage, REPOSITORY, 'locked', tag='v1')
    image_in(registry.storage, REPOSITORY, 'stays', tag='stays')
    registry.storage.set_locks(REPOSITORY, digest=digest, deleteEnabled=False)
    client = connect()
    decision = planned(client, filter=('.*:v1',), untagged=True, include_locked=True)
    document = plan_document(decision, '2020-01-01T00:00:00Z')
    registry.storage.set_locks(REPOSITORY, digest=digest, deleteEnabled=True, writeEnabled=False)
    inventory = scan(client, 'localhost', Extent(Selection(), tags=True), Silent())
    outcome = run(client, decide_as_planned(Plan(document), inventory))
    assert skipped(outcome) == {digest: 'locked'}
