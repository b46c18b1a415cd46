"""Deleting on the local registry: order, limits, failures, and what changed since the plan."""

from __future__ import annotations

import _thread
import asyncio
import signal
import threading
import time
from functools import partial

import pytest

from azext_acrprune.apply.journal import Journal, JournaledRegistry
from azext_acrprune.apply.repository import DELETES_PER_REPOSITORY, HOPELESS_SECONDS, PARTS_AT_A_TIME
from azext_acrprune.decide.decision import decide
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import TICKS_PER_SECOND
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.registry.permit import Late
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.protocol.tokens import Password
from azext_acrprune.reporter import Silent
from tests.registry.auth import ALL
from tests.registry.faults import Fault
from tests.registry.storage import digest_of
from tests.wire.conftest import refresh_token
from tests.wire.images import image, image_in, index_in, put
from tests.wire.mishaps import Signals
from tests.wire.plain import execute, scan

REPOSITORY = 'team/app'


def planned(client, ago_seconds=86_400):
    inventory = scan(client, 'localhost', Extent(), Silent())
    return decide(inventory, untagged_policy(Age('given', ago_seconds)), int(time.time() * TICKS_PER_SECOND))


def run(client, decision, clock=None, reporter=None):
    return execute(client, decision, 32, reporter or Silent(), clock or client.clock)


def locked_image(registry):
    digest = image_in(registry.storage, REPOSITORY, 'locked', tag='v1')
    registry.storage.set_locks(REPOSITORY, digest=digest, deleteEnabled=False)
    return digest


def planned_with_what_is_locked(client):
    """Every tag, and all that has none."""
    policy = policy_of(Flags(ago='0', filter=('.*:.*',), untagged=True, include_locked=True))
    return decide(scan(client, 'localhost', Extent(tags=True), Silent()), policy, 10**18)


def planned_with_tags(client, tags, **more):
    """These tags, which are a pattern, and all that has none."""
    policy = policy_of(Flags(ago='0', filter=(f'.*:{tags}',), untagged=True, **more))
    return decide(scan(client, 'localhost', Extent(tags=True), Silent()), policy, 10**18)


def deleted(outcome, repository=REPOSITORY):
    return {digest for name, digest in outcome.deleted if name == repository}


def skipped(outcome):
    return {skip.digest: skip.reason for skip in outcome.skipped}


def gone(outcome):
    return {each.digest: each.reason for each in outcome.gone}


def failed(outcome):
    return {failure.digest for failure in outcome.failed}


def deletes(registry):
    """Digests in the order in which their deletes were answered."""
    return [path.rpartition('/')[2] for method, path, _ in registry.requests if method == 'DELETE']


def left(registry, repository=REPOSITORY):
    return set(registry.storage.manifests(repository))


def before(registry, pattern, change):
    """Make a change right before the next request whose `METHOD path` contains the pattern is handled."""
    pending = [change]

    def hook(method, path):
        if pending and pattern in f'{method} {path}':
            pending.pop()()

    registry.on_request = hook


def before_deleting(registry, change):
    """Make a change between the plan and the listing right before the deletes."""
    before(registry, f'{REPOSITORY}/_manifests', change)


def stale_images(registry, number, repository=REPOSITORY):
    image_in(registry.storage, repository, 'kept', tag='v1')
    return {image_in(registry.storage, repository, f'stale {place}') for place in range(number)}


# What is deleted, and how


def test_exactly_the_doomed_are_deleted(registry, connect):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    outcome = run(client, decision)
    assert deleted(outcome) == stale == set(deletes(registry))
    assert (outcome.skipped, outcome.failed, outcome.interrupted) == ((), (), False)
    assert len(left(registry)) == 1


def test_nothing_doomed_is_nothing_asked(registry, connect):
    image_in(registry.storage, REPOSITORY, 'kept', tag='v1')
    client = connect()
    decision = planned(client)
    registry.forget()
    assert run(client, decision).deleted == ()
    assert registry.requests == []


def test_every_index_goes_before_its_children(registry, connect):
    storage = registry.storage
    leaves = [image_in(storage, REPOSITORY, f'leaf {place}') for place in range(4)]
    inner = index_in(storage, REPOSITORY, leaves[:2])
    outer = index_in(storage, REPOSITORY, [inner, *leaves[2:]])
    client = connect()
    outcome = run(client, planned(client))
    assert deleted(outcome) == {*leaves, inner, outer}
    order = deletes(registry)
    assert order[0] == outer
    assert all(order.index(inner) < order.index(leaf) for leaf in leaves[:2])


def test_a_referrer_that_the_service_takes_along_counts_as_deleted(registry, connect):
    storage = registry.storage
    subject = image_in(storage, REPOSITORY, 'subject')
    sbom = image_in(storage, REPOSITORY, 'sbom', subject=subject)
    client = connect()
    outcome = run(client, planned(client))
    assert deleted(outcome) == {subject, sbom} and not outcome.unverified
    assert registry.storage.repositories() == []


def test_five_deletes_at_a_time_in_one_repository_and_many_repositories_side_by_side(registry, connect, flights):
    names = [f'team/app-{number}' for number in range(4)]
    for name in names:
        stale_images(registry, 60, name)
    client = connect()
    decision = planned(client)
    registry.faults.latency = 0.02
    flights.forget()
    outcome = run(client, decision)
    assert len(outcome.deleted) == 240
    assert flights.most_deletes == dict.fromkeys(names, DELETES_PER_REPOSITORY)
    assert flights.most_together > DELETES_PER_REPOSITORY
    assert max(registry.faults.most_deletes_in_flight.values()) <= DELETES_PER_REPOSITORY == 5


def indexes_with_children(registry, number, children=6):
    """Stale indexes, each with the stale images that it names: each is a part of its own."""
    found = {}
    for place in range(number):
        named = [image_in(registry.storage, REPOSITORY, f'image {place} {each}') for each in range(children)]
        found[index_in(registry.storage, REPOSITORY, named)] = named
    return found


class Keeping:
    """Keeps each deletion for a hundred steps of the event loop, in which the others can begin."""

    def __init__(self, client):
        self._delete = client.real.delete_manifest
        self._at_once = self.most = 0

    async def delete_manifest(self, *what):
        self._at_once += 1
        self.most = max(self.most, self._at_once)
        for _ in range(100):
            await asyncio.sleep(0)
        self._at_once -= 1
        await self._delete(*what)


def test_the_parts_of_a_repository_share_its_five_deletes_and_each_index_goes_first(registry, connect):
    indexes = indexes_with_children(registry, 4)
    client = connect()
    door = Keeping(client)
    outcome = execute(client, planned(client), 32, Silent(), time.monotonic, door=door)
    assert deleted(outcome) == {*indexes, *(child for children in indexes.values() for child in children)}
    assert door.most == DELETES_PER_REPOSITORY
    order = deletes(registry)
    assert all(order.index(index) < order.index(child) for index in indexes for child in indexes[index])


def test_small_indexes_are_deleted_five_at_a_time_too(registry, connect):
    indexes_with_children(registry, 12, children=1)
    client = connect()
    door = Keeping(client)
    outcome = execute(client, planned(client), 32, Silent(), time.monotonic, door=door)
    assert (len(outcome.deleted), door.most) == (24, DELETES_PER_REPOSITORY)


def test_while_one_part_waits_for_its_index_another_one_goes_on(registry, connect):
    for place in range(4):
        below = image_in(registry.storage, REPOSITORY, f'image {place}')
        for _ in range(4):
            below = index_in(registry.storage, REPOSITORY, [below])
    client = connect()
    door = Keeping(client)
    outcome = execute(client, planned(client), 32, Silent(), time.monotonic, door=door)
    assert (len(outcome.deleted), door.most) == (20, PARTS_AT_A_TIME)


@pytest.mark.parametrize('concurrency', [1, 4])
def test_no_more_requests_are_in_flight_than_allowed(registry, connect, concurrency):
    for number in range(12):
        stale_images(registry, 5, f'team/app-{number}')
    client = connect(concurrency=concurrency)
    decision = planned(client)
    registry.faults.latency = 0.01
    registry.faults.most_in_flight = 0
    outcome = execute(client, decision, concurrency, Silent(), time.monotonic)
    assert len(outcome.deleted) == 60
    assert concurrency // 2 < registry.faults.most_in_flight <= concurrency


@pytest.mark.parametrize(
    'repositories, number, concurrency, at_work', [(4, 5, 8, 4), (4, 9, 4, 2), (6, 1, 4, 4), (4, 5, 1, 1)]
)
@pytest.mark.parametrize('tags', [False, True])
def test_only_so_many_repositories_are_at_work_as_keep_the_calls_busy(
    registry, connect, monkeypatch, repositories, number, concurrency, at_work, tags
):
    for place in range(repositories):
        for each in range(number):
            image_in(registry.storage, f'team/app-{place}', f'image {each}', tag=f'v{each}' if tags else None)
    client, listed, begun = connect(), [], []
    inventory = scan(client, 'localhost', Extent(tags=tags), Silent())
    flags = Flags(ago='0', filter=('.*:.*',)) if tags else Flags(ago='0', untagged=True)
    decision = decide(inventory, policy_of(flags), 10**18)
    manifests = client.real.manifests

    def listing(name, *how, **more):
        listed.append(name)
        return manifests(name, *how, **more)

    class Door:
        """Notes how many repositories were listed before the first deletion."""

        async def delete_manifest(self, *what):
            begun.append(len(set(listed)))
            await client.real.delete_manifest(*what)

        async def delete_tag(self, *what):
            begun.append(len(set(listed)))
            await client.real.delete_tag(*what)

    monkeypatch.setattr(client.real, 'manifests', listing)
    outcome = execute(client, decision, concurrency, Silent(), time.monotonic, door=Door())
    assert (len(outcome.deleted) + len(outcome.untagged), begun[0]) == (repositories * number, at_work)


class Count(Silent):
    """Counts what it hears."""

    def __init__(self):
        self.planned, self.done = 0, []

    def deletes_planned(self, count):
        self.planned = count

    def deleted(self):
        self.done.append(1)


def test_every_planned_manifest_is_reported_once(registry, connect):
    stale = sorted(stale_images(registry, 9))
    registry.faults.rules.append(Fault(f'DELETE .*{stale[0]}', 404))
    client, reporter = connect(), Count()
    decision = planned(client)
    before_deleting(registry, lambda: registry.storage.set_locks(REPOSITORY, digest=stale[1], deleteEnabled=False))
    run(client, decision, reporter=reporter)
    assert (reporter.planned, len(reporter.done)) == (9, 9)


def test_every_planned_tag_is_reported_beside_the_manifests(registry, connect):
    for tag in ('v1', 'stays'):
        image_in(registry.storage, REPOSITORY, 'image', tag=tag)
    image_in(registry.storage, REPOSITORY, 'untagged')
    client, reporter = connect(), Count()
    inventory = scan(client, 'localhost', Extent(tags=True), Silent())
    decision = decide(inventory, policy_of(Flags(ago='0', filter=('.*:v1',), untagged=True)), 10**18)
    outcome = run(client, decision, reporter=reporter)
    assert len(outcome.untagged) == len(outcome.deleted) == 1
    assert (reporter.planned, len(reporter.done)) == (2, 2)


# Failures


def test_a_404_is_done_by_somebody_else(registry, connect):
    taken, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    before(
        registry,
        f'DELETE /v2/{REPOSITORY}/manifests/{taken}',
        lambda: registry.storage.delete_manifest(REPOSITORY, taken),
    )
    outcome = run(client, decision)
    assert (deleted(outcome), gone(outcome), failed(outcome)) == ({other}, {taken: 'before'}, set())
    assert [status for method, path, status in registry.requests if path.endswith(taken)][-1] == 404


def test_a_405_is_skipped_as_locked(registry, connect):
    locked, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    before(
        registry,
        f'DELETE /v2/{REPOSITORY}/manifests/{locked}',
        lambda: registry.storage.set_locks(REPOSITORY, digest=locked, deleteEnabled=False),
    )
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome), failed(outcome)) == ({other}, {locked: 'locked'}, set())
    assert 'REGISTRY_DISALLOWED_OPERATION' in outcome.skipped[0].because


@pytest.mark.parametrize('status', [500, 503, 429])
def test_an_index_that_cannot_be_deleted_leaves_its_children(registry, connect, waits, status):
    storage = registry.storage
    children = [image_in(storage, REPOSITORY, text) for text in ('amd64', 'arm64')]
    index = index_in(storage, REPOSITORY, children)
    other = image_in(storage, REPOSITORY, 'other')
    registry.faults.rules.append(Fault(f'DELETE .*{index}', status))
    client = connect()
    outcome = run(client, planned(client))
    assert (deleted(outcome), failed(outcome)) == ({other}, {index})
    assert skipped(outcome) == dict.fromkeys(children, 'childOf')
    assert left(registry) == {index, *children}
    assert waits


def test_a_locked_index_leaves_its_children(registry, connect):
    storage = registry.storage
    child = image_in(storage, REPOSITORY, 'amd64')
    index = index_in(storage, REPOSITORY, [child])
    client = connect()
    decision = planned(client)
    before(registry, 'DELETE', lambda: storage.set_locks(REPOSITORY, digest=index, writeEnabled=False))
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == (set(), {index: 'locked', child: 'childOf'})
    assert left(registry) == {index, child}


def test_one_failure_does_not_stop_the_others(registry, connect, waits):
    stale = sorted(stale_images(registry, 12))
    registry.faults.rules.append(Fault(f'DELETE .*{stale[3]}', 500))
    client = connect()
    outcome = run(client, planned(client))
    assert (deleted(outcome), failed(outcome)) == (set(stale) - {stale[3]}, {stale[3]})


def test_a_missing_permission_fails_one_repository_after_a_few_requests(registry, connect):
    closed, free = stale_images(registry, 30), stale_images(registry, 5, 'team/free')
    registry.auth.add_user('reader', 'pw', [(REPOSITORY, ALL - {'delete'}), ('*', ALL)])
    client = connect(Password('reader', 'pw'))
    outcome = run(client, planned(client))
    assert (failed(outcome), deleted(outcome, 'team/free')) == (closed, free)
    refused = [status for method, _, status in registry.requests if (method, status) == ('DELETE', 401)]
    assert 1 <= len(refused) <= DELETES_PER_REPOSITORY + 1
    assert registry.counters['token'] == 1


def test_a_listing_that_fails_before_the_deletes_deletes_nothing(registry, connect, waits):
    stale = stale_images(registry, 4)
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault(f'{REPOSITORY}/_manifests', 503))
    outcome = run(client, decision)
    assert (failed(outcome), deletes(registry)) == (stale, [])
    assert (outcome.unverified, outcome.in_doubt) == ((), frozenset()), 'nothing was sent'


def test_a_listing_that_is_none_does_not_pass_for_a_repository_where_all_is_gone(registry, connect):
    stale = stale_images(registry, 4)
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault(f'{REPOSITORY}/_manifests', 'garbage'))
    outcome = run(client, decision)
    assert (deleted(outcome), failed(outcome), deletes(registry)) == (set(), stale, [])


@pytest.mark.parametrize('seed', range(3))
def test_noise_on_the_line_changes_nothing(registry, connect, waits, seed):
    stale = stale_images(registry, 40)
    client = connect()
    decision = planned(client)
    registry.faults.__init__(seed)
    registry.faults.rules += [Fault('.', kind, 0.05) for kind in (500, 'reset', 429)]
    outcome = run(client, decision)
    assert (deleted(outcome), failed(outcome), skipped(outcome)) == (stale, set(), {})
    assert len(left(registry)) == 1


def test_a_token_that_expires_between_the_deletes_is_renewed(registry, connect):
    stale = stale_images(registry, 20)
    client = connect()
    decision = planned(client)
    before(registry, 'DELETE', lambda: registry.auth.revoked.update(registry.auth.issued))
    assert deleted(run(client, decision)) == stale
    assert registry.counters['token'] == 2


@pytest.fixture
def time_limit():
    """Ends a test that hangs."""

    def hangs(*_):
        raise AssertionError('it hangs')

    usual = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, usual)


@pytest.mark.parametrize(
    'interrupt',
    [
        partial(signal.pthread_kill, threading.main_thread().ident, signal.SIGINT),
        pytest.param(_thread.interrupt_main, id='seen only when a repository is done, as on Windows'),
    ],
)
def test_an_interruption_finishes_what_is_in_flight_and_leaves_the_rest(registry, connect, time_limit, interrupt):
    stale = stale_images(registry, 60)
    client = connect()
    decision = planned(client)
    registry.faults.latency = 0.01
    before(registry, 'DELETE', interrupt)
    outcome = run(client, decision)
    assert outcome.interrupted
    assert left(registry) & stale == stale - deleted(outcome)
    assert (outcome.skipped, outcome.failed) == ((), ())


def test_after_an_interruption_no_delete_is_sent(registry, connect, time_limit):
    stale_images(registry, 60)
    client = connect()
    decision = planned(client)
    registry.faults.latency = 0.02
    before(registry, 'DELETE', partial(signal.pthread_kill, threading.main_thread().ident, signal.SIGINT))
    outcome = run(client, decision)
    assert 1 <= len(outcome.deleted) == len(deletes(registry)) <= 3 * DELETES_PER_REPOSITORY


def test_what_waits_for_a_place_when_the_run_is_stopped_is_not_sent(registry, connect):
    indexes = indexes_with_children(registry, 2)
    client = connect()
    decision = planned(client)
    delete, begun, stopped, pressing = client.real.delete_manifest, [], asyncio.Event(), []

    async def press():
        for _ in range(100):  # until the images of both indexes wait for a place
            await asyncio.sleep(0)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    class Door:
        """Keeps the images until the run is stopped, which is when both indexes are deleted."""

        async def delete_manifest(self, repository, digest, permit):
            begun.append(digest)
            if digest not in indexes:
                await stopped.wait()
            await delete(repository, digest, permit)
            if len(deletes(registry)) == len(indexes) and not pressing:
                pressing.append(asyncio.create_task(press()))

    outcome = execute(client, decision, 32, Silent(), time.monotonic, door=Door(), stopping=lambda _: stopped.set())
    assert outcome.interrupted and len(begun) == len(indexes) + DELETES_PER_REPOSITORY
    assert deleted(outcome) == set(begun) and outcome.left == 14 - len(begun)


@pytest.mark.parametrize('answers', [True, False], ids=['the registry answers', 'it does not'])
def test_a_second_stop_sets_locks_again_as_long_as_there_is_time_and_the_journal_knows_the_rest(
    registry, connect, monkeypatch, tmp_path, answers
):
    digest = locked_image(registry)
    monkeypatch.setattr('azext_acrprune.apply.execute.GIVING_UP_SECONDS', 60 if answers else 0.1)
    client, journal = connect(), Journal(tmp_path, {})
    decision = planned_with_what_is_locked(client)

    def stop():
        """Two signals of one kind may come as one."""
        registry.faults.hold('DELETE')
        if not answers:
            registry.faults.hold('PATCH')
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.pthread_kill(threading.main_thread().ident, number)

    before(registry, 'DELETE', stop)
    door = JournaledRegistry(client.real, journal, {each.name: each for each in decision.inventory.repositories})
    heard = []
    outcome = execute(client, decision, 2, Silent(), time.monotonic, stopping=heard.append, door=door)
    registry.faults.clear()
    assert outcome.interrupted and heard == [False, True]
    assert [(each.digest, 'not known' in each.error) for each in outcome.failed] == [(digest, True)]
    assert registry.storage.manifest(REPOSITORY, digest).flags['deleteEnabled'] is not answers
    assert [each.digest for each in journal.owed()] == ([] if answers else [digest])


def test_a_second_stop_while_a_sign_in_is_waited_for_ends_and_the_journal_knows_what_is_unlocked(
    registry, connect, monkeypatch, tmp_path
):
    """To set the lock again a new token is needed, and az does not come back from its sign-in."""
    digest = locked_image(registry)
    monkeypatch.setattr('azext_acrprune.apply.execute.GIVING_UP_SECONDS', 2)  # by then az is asked, on any machine
    asked, answer = threading.Event(), threading.Event()

    def sign_in():
        asked.set()
        answer.wait()
        return refresh_token(registry.auth)

    client, journal = connect(refresh_token(registry.auth), sign_in), Journal(tmp_path, {})
    decision = planned_with_what_is_locked(client)
    signals = Signals()

    def stop():
        registry.faults.hold('DELETE')
        registry.auth.revoked.update(registry.auth.issued)
        for _ in range(2):
            signals.come()

    before(registry, 'DELETE', stop)
    door = JournaledRegistry(client.real, journal, {each.name: each for each in decision.inventory.repositories})
    outcome = execute(client, decision, 2, Silent(), time.monotonic, door=door, stops=signals)
    answer.set()
    assert outcome.interrupted and asked.is_set()
    assert [(each.digest, 'not known' in each.error) for each in outcome.failed] == [(digest, True)]
    assert [each.digest for each in journal.owed()] == [digest]


@pytest.mark.parametrize('kind, is_told', [(Kind.FORBIDDEN, True), (Kind.NOT_FOUND, False)])
def test_a_lock_that_could_not_be_set_again_is_told_unless_what_had_it_is_gone(registry, connect, kind, is_told):
    digest = locked_image(registry)
    client = connect()
    decision = planned_with_what_is_locked(client)
    unlock = client.real.set_manifest_locks

    class Door:
        """Takes locks off, and neither deletes nor sets them again."""

        async def set_manifest_locks(self, repository, digest, locks, permit=None, owed=None):
            if not owed:
                raise RegistryError(kind, 'not allowed')
            await unlock(repository, digest, locks, permit, owed)

        async def set_tag_locks(self, *_):
            pass

        async def delete_tag(self, *_):
            pass

        async def delete_manifest(self, *_):
            raise RegistryError(Kind.UNAVAILABLE, 'out of order')

    outcome = execute(client, decision, 2, Silent(), time.monotonic, door=Door())
    told = {each.digest: each.error for each in outcome.failed if not each.tag}
    assert told == {digest: 'out of order' + '; and its lock could not be set again: not allowed' * is_told}


def test_only_the_lock_of_the_tag_that_goes_is_taken_off(registry, connect):
    for tag in ('v1', 'v2', 'v3'):
        image_in(registry.storage, REPOSITORY, 'image', tag=tag)
        registry.storage.set_locks(REPOSITORY, tag=tag, deleteEnabled=False)
    client = connect()
    outcome = run(client, planned_with_tags(client, 'v2', include_locked=True))
    assert len(outcome.untagged) == 1 and outcome.failed == ()
    flags = {name: tag.flags['deleteEnabled'] for name, tag in registry.storage.tags(REPOSITORY).items()}
    assert flags == {'v1': False, 'v3': False}
    assert [path.rpartition('/')[2] for method, path, _ in registry.requests if method == 'PATCH'] == ['v2']


def test_a_second_stop_while_a_lock_is_taken_off_sets_it_again(registry, connect, monkeypatch):
    digest = locked_image(registry)
    monkeypatch.setattr('azext_acrprune.apply.execute.GIVING_UP_SECONDS', 60)
    client = connect()
    decision = planned_with_what_is_locked(client)
    hold = registry.faults.hold('PATCH', done=True)

    def stop():
        """Twice when the lock is off; what sets it again is answered."""
        hold.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.pthread_kill(threading.main_thread().ident, number)
        hold.wait(requests=2)
        hold.let_go()

    threading.Thread(target=stop, daemon=True).start()
    outcome = execute(client, decision, 2, Silent(), time.monotonic)
    assert outcome.interrupted and not outcome.deleted and not deletes(registry)
    assert registry.storage.manifest(REPOSITORY, digest).flags['deleteEnabled'] is False


def test_a_second_stop_while_a_lock_is_set_again_does_not_end_that(registry, connect, monkeypatch, waits):
    digest = locked_image(registry)
    monkeypatch.setattr('azext_acrprune.apply.execute.GIVING_UP_SECONDS', 60)
    client = connect()
    decision = planned_with_what_is_locked(client)
    registry.faults.rules.append(Fault('DELETE', 403))
    hold = registry.faults.hold('PATCH', after=1)

    def stop():
        hold.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.pthread_kill(threading.main_thread().ident, number)

    def stopping(given_up):
        """The request gets lost, and has to be sent again."""
        if given_up:
            hold.let_go(drop=True)

    threading.Thread(target=stop, daemon=True).start()
    outcome = execute(client, decision, 2, Silent(), time.monotonic, stopping=stopping)
    assert outcome.interrupted and not outcome.deleted
    assert registry.storage.manifest(REPOSITORY, digest).flags['deleteEnabled'] is False
    assert ([each.digest for each in outcome.failed], outcome.left) == ([digest], 0), 'what came of it is not forgotten'


# What changed since the plan


def test_a_manifest_that_got_a_tag_is_skipped(registry, connect):
    tagged, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    record = registry.storage.manifest(REPOSITORY, tagged)
    before_deleting(
        registry, lambda: registry.storage.put_manifest(REPOSITORY, record.data, record.media_type, 'v2', checked=False)
    )
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == ({other}, {tagged: 'tagsChanged'})
    assert registry.storage.whole(REPOSITORY, 'v2') == []


def test_a_manifest_that_was_locked_is_skipped(registry, connect):
    locked, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    before_deleting(registry, lambda: registry.storage.set_locks(REPOSITORY, digest=locked, writeEnabled=False))
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == ({other}, {locked: 'locked'})
    assert locked not in deletes(registry)


def test_a_repository_that_was_locked_is_left_alone(registry, connect):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    before_deleting(registry, lambda: registry.storage.set_locks(REPOSITORY, deleteEnabled=False))
    outcome = run(client, decision)
    assert (skipped(outcome), deletes(registry)) == (dict.fromkeys(stale, 'locked'), [])


def test_a_tag_of_a_signature_that_was_locked_keeps_it_and_its_image(registry, connect):
    storage = registry.storage
    signed = image_in(storage, REPOSITORY, 'signed')
    tag = signed.replace(':', '-') + '.sig'
    signature = image_in(storage, REPOSITORY, 'signature', tag=tag)
    client = connect()
    decision = planned(client)
    assert decision.doomed_in(REPOSITORY) == {signed, signature}
    before_deleting(registry, lambda: storage.set_locks(REPOSITORY, tag=tag, deleteEnabled=False))
    outcome = run(client, decision)
    assert (skipped(outcome), deletes(registry)) == ({signature: 'locked', signed: 'subjectOf'}, [])


def test_the_child_of_a_new_index_is_skipped(registry, connect):
    child, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    before_deleting(registry, lambda: index_in(registry.storage, REPOSITORY, [child], tag='v2'))
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == ({other}, {child: 'childOf'})
    assert registry.storage.whole(REPOSITORY, 'v2') == []


def test_the_child_of_a_new_untagged_index_is_skipped_and_the_index_stays(registry, connect):
    child, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    before_deleting(registry, lambda: index_in(registry.storage, REPOSITORY, [child]))
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == ({other}, {child: 'childOf'})


def test_the_subject_of_a_new_referrer_is_skipped(registry, connect):
    subject, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    before_deleting(registry, lambda: image_in(registry.storage, REPOSITORY, 'sbom', subject=subject))
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == ({other}, {subject: 'subjectOf'})


def test_the_subject_of_a_new_signature_by_tag_is_skipped(registry, connect):
    signed, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    before_deleting(
        registry, lambda: image_in(registry.storage, REPOSITORY, 'signature', tag=signed.replace(':', '-') + '.sig')
    )
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == ({other}, {signed: 'subjectOf'})


def test_a_manifest_that_was_pushed_again_is_skipped(registry, connect):
    pushed, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    record = registry.storage.manifest(REPOSITORY, pushed)
    before_deleting(
        registry, lambda: registry.storage.put_manifest(REPOSITORY, record.data, record.media_type, checked=False)
    )
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == ({other}, {pushed: 'updated'})


def test_a_new_manifest_that_cannot_be_read_saves_everything(registry, connect, waits):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    new = image('new')
    before_deleting(registry, lambda: put(registry.storage, REPOSITORY, new))
    registry.faults.rules.append(Fault(digest_of(new), 500))
    outcome = run(client, decision)
    assert (skipped(outcome), deletes(registry)) == (dict.fromkeys(stale, 'unreadable'), [])


def test_a_ghost_that_was_pushed_again_protects_its_children(registry, connect):
    storage = registry.storage
    child = image_in(storage, REPOSITORY, 'child')
    index = index_in(storage, REPOSITORY, [child])
    storage.make_ghost(REPOSITORY, index)
    client = connect()
    decision = planned(client)
    assert decision.doomed_in(REPOSITORY) == {child}
    before_deleting(registry, lambda: index_in(storage, REPOSITORY, [child]))
    assert skipped(run(client, decision)) == {child: 'childOf'}


def test_what_is_gone_already_is_done_by_somebody_else(registry, connect):
    taken, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    before_deleting(registry, lambda: registry.storage.delete_manifest(REPOSITORY, taken))
    outcome = run(client, decision)
    assert (deleted(outcome), gone(outcome)) == ({other}, {taken: 'before'})
    assert deletes(registry) == [other]


def test_a_repository_that_is_gone_is_done_by_somebody_else(registry, connect):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    before_deleting(registry, lambda: registry.storage.delete_repository(REPOSITORY))
    outcome = run(client, decision)
    assert (deleted(outcome), gone(outcome)) == (set(), dict.fromkeys(stale, 'before'))
    assert deletes(registry) == []


def test_a_new_image_is_never_deleted(registry, connect):
    stale = stale_images(registry, 2)
    client = connect()
    decision = planned(client)
    before_deleting(registry, lambda: image_in(registry.storage, REPOSITORY, 'new and old enough'))
    assert deleted(run(client, decision)) == stale
    assert len(left(registry)) == 2


def test_a_push_that_ends_between_plan_and_delete_is_whole(registry, connect):
    storage = registry.storage
    children = [image_in(storage, REPOSITORY, text, days=0) for text in ('amd64', 'arm64')]
    client = connect()
    decision = planned(client, ago_seconds=0)
    assert decision.doomed_in(REPOSITORY) == set(children)
    before_deleting(registry, lambda: index_in(storage, REPOSITORY, children, tag='v1', days=0))
    assert deleted(run(client, decision)) == set()
    assert storage.whole(REPOSITORY, 'v1') == []


def moved_on(clock, registry, pattern, seconds):
    """Let so many seconds pass whenever a request whose `METHOD path` contains the pattern comes."""

    def hook(method, path):
        if pattern in f'{method} {path}':
            clock.skipped += seconds

    registry.on_request = hook


def test_the_registry_is_looked_at_again_after_ten_seconds_of_deleting(registry, connect, clock):
    stale = stale_images(registry, 40)
    last = max(stale)
    client = connect()
    decision = planned(client)
    registry.forget()

    def hook(method, _):
        if method == 'DELETE':
            clock.skipped += 1
            if not registry.counters['manifest_delete']:
                index_in(registry.storage, REPOSITORY, [last], tag='v2')

    registry.on_request = hook
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == (stale - {last}, {last: 'childOf'})
    assert registry.counters['manifests_page'] >= 4 and outcome.listing_age < 10


def test_what_was_skipped_stays_skipped_when_it_is_looked_at_again(registry, connect, clock):
    stale = sorted(stale_images(registry, 20))
    client = connect()
    decision = planned(client)
    registry.storage.set_locks(REPOSITORY, digest=stale[0], deleteEnabled=False)
    moved_on(clock, registry, 'DELETE', 1)
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == (set(stale[1:]), {stale[0]: 'locked'})


@pytest.mark.parametrize('pattern', ['GET /acr/v1/team/app/_manifests', 'DELETE'])
def test_a_404_that_is_not_the_registry_s_own_counts_as_failed_and_not_as_done(registry, connect, waits, pattern):
    stale = stale_images(registry, 2)
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault(pattern, 404))
    outcome = run(client, decision)
    assert (deleted(outcome), failed(outcome)) == (set(), stale)


def test_a_delete_whose_turn_does_not_come_in_time_is_looked_at_again(registry, connect, waits):
    taken, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault('DELETE', 429, times=1, retry_after=60))
    before(registry, 'DELETE', lambda: index_in(registry.storage, REPOSITORY, [taken], tag='v2'))
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome), failed(outcome)) == ({other}, {taken: 'childOf'}, set())


def test_deletes_that_waited_too_long_for_a_place_are_looked_at_again(registry, connect):
    stale = stale_images(registry, 5)
    client = connect()
    decision = planned(client)
    hour = [0.0]
    registry.forget()
    before(registry, 'DELETE', lambda: hour.append(3600.0))
    outcome = execute(client, decision, 1, Silent(), lambda: sum(hour))
    assert deleted(outcome) == stale
    requests = [method for method, path, _ in registry.requests if method == 'DELETE' or '_manifests' in path]
    assert requests[:3] == ['GET', 'DELETE', 'GET']


def test_the_children_of_an_index_whose_turn_does_not_come_wait_for_it(registry, connect, waits):
    leaves = [image_in(registry.storage, REPOSITORY, f'leaf {place}') for place in range(4)]
    index = index_in(registry.storage, REPOSITORY, leaves)
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault(f'DELETE .*{index}', 429, times=1, retry_after=60))
    outcome = run(client, decision)
    assert deleted(outcome) == {index, *leaves}
    assert deletes(registry)[:2] == [index, index]


def test_the_children_of_an_index_that_is_put_off_wait_for_it_also_where_others_could_be_sent(registry, connect):
    leaves = [image_in(registry.storage, REPOSITORY, f'leaf {place}') for place in range(4)]
    index = index_in(registry.storage, REPOSITORY, leaves)
    client = connect()
    decision = planned(client)
    door = Refusing(client, [Late()])
    outcome = execute(client, decision, 32, Silent(), door.clock, door=door)
    assert deleted(outcome) == {index, *leaves} and door.begun[:2] == [index, index]


def test_an_index_whose_turn_does_not_come_is_deleted_later_although_another_part_goes_on(registry, connect):
    shared, *images = (image_in(registry.storage, REPOSITORY, f'image {place}') for place in range(8))
    late, beside = (index_in(registry.storage, REPOSITORY, [shared, image]) for image in images[:2])
    other = index_in(registry.storage, REPOSITORY, images[2:])
    client = connect()
    decision = planned(client)
    delete, refused, others = client.real.delete_manifest, [], asyncio.Event()

    class Door:
        """Refuses one index once, and keeps the one beside it until the other part is at its images."""

        async def delete_manifest(self, repository, digest, permit):
            if digest == late and not refused:
                refused.append(digest)
                raise Late
            if digest == beside:
                await others.wait()
            if digest in images[2:]:
                others.set()
            await delete(repository, digest, permit)

    outcome = execute(client, decision, 32, Silent(), time.monotonic, door=Door())
    assert deleted(outcome) == {shared, *images, late, beside, other} and refused
    assert (outcome.left, outcome.skipped, outcome.failed, outcome.gone) == (0, (), (), ())


def test_a_delete_that_had_no_answer_and_is_gone_then_is_not_called_deleted(registry, connect, waits):
    lost, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault(f'DELETE .*{lost}', 'lost'))
    outcome = run(client, decision)
    assert deleted(outcome) == {other} and gone(outcome).keys() == {lost} and not outcome.failed


def test_a_delete_of_unknown_outcome_is_given_up_after_a_minute(registry, connect, waits):
    stale = stale_images(registry, 1)
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault('DELETE', 503, retry_after=40))
    assert failed(run(client, decision)) == stale
    assert len(deletes(registry)) == 2 and len(left(registry)) == 2


def test_deletes_that_are_all_refused_for_minutes_fail(registry, connect, waits):
    stale = stale_images(registry, 8)
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault('DELETE', 429))
    assert failed(run(client, decision)) == stale


def test_a_repository_in_which_nothing_can_be_done_is_given_up_after_three_minutes(registry, connect, waits, clock):
    stale = stale_images(registry, 2)
    client = connect()
    decision = planned(client)

    class Door:
        """Lets nothing through."""

        async def delete_manifest(self, *_):
            raise Late(40)

    outcome = execute(client, decision, 32, Silent(), clock, door=Door())
    assert failed(outcome) == stale and 'its turn did not come in time' in outcome.failed[0].error
    assert (outcome.left, sum(waits) // 40) == (0, HOPELESS_SECONDS // 40 + 1)


def test_a_repository_in_which_nothing_can_be_done_with_tags_and_manifests_is_given_up(registry, connect, waits, clock):
    stale_images(registry, 3)
    for tag in ('v1', 'v2', 'v3', 'stays'):
        image_in(registry.storage, REPOSITORY, 'kept', tag=tag)
    client, asked = connect(), []
    decision = planned_with_tags(client, 'v.')

    class Door:
        """Lets nothing through, and says so otherwise when it is asked for too long."""

        async def delete_tag(self, *_):
            asked.append(1)
            raise Late(40) if len(asked) < 60 else RegistryError(Kind.FORBIDDEN, 'asked for too long')

        async def delete_manifest(self, *_):
            raise Late(40)

    outcome = execute(client, decision, 32, Silent(), clock, door=Door())
    assert {each.error for each in outcome.failed} == {str(Late())}
    assert (len(outcome.failed), outcome.left, sum(waits) // 40) == (6, 0, HOPELESS_SECONDS // 40 + 1)


def test_a_repository_in_which_something_is_done_now_and_then_is_not_given_up(registry, connect):
    stale = stale_images(registry, 3)
    for tag in ('v1', 'v2', 'v3', 'stays'):
        image_in(registry.storage, REPOSITORY, 'kept', tag=tag)
    client, past, used = connect(), [0], []
    decision = planned_with_tags(client, 'v.')

    class Door:
        """Lets one request through for each listing, which is too old for another one then."""

        async def delete_tag(self, *what):
            await self.once(client.real.delete_tag, *what)

        async def delete_manifest(self, *what):
            await self.once(client.real.delete_manifest, *what)

        async def once(self, delete, *what):
            if what[-1] in used:
                raise Late
            used.append(what[-1])
            await delete(*what)
            past.append(100)

    outcome = execute(client, decision, 32, Silent(), lambda: sum(past), door=Door())
    assert outcome.failed == () and deleted(outcome) == stale and len(outcome.untagged) == 3


class Refusing:
    """Raises the first errors, one for each deletion, and lets what comes then through. It notes what it was asked for.

    `clock` shows the seconds in `past`, to which `seconds` are added with each error.
    """

    def __init__(self, client, errors, seconds=0.0, stops=None, times=0):
        self.begun, self.past, self.left = [], [0.0], []
        self._delete, self._errors, self._seconds = client.real.delete_manifest, list(errors), seconds
        self._stops, self._times = stops, times

    def clock(self):
        return sum(self.past)

    async def delete_manifest(self, repository, digest, permit):
        self.begun.append(digest)
        self.left.append(permit.left)
        if not self._errors:
            await self._delete(repository, digest, permit)
            return
        self.past.append(self._seconds)
        for _ in range(self._times):
            self._stops.come()
        error = self._errors.pop(0)
        if error is None:
            await asyncio.Event().wait()
        raise error


def test_the_registry_is_left_alone_for_the_longest_that_it_asked_for_and_once(registry, connect, waits):
    stale = stale_images(registry, 2)
    client = connect()
    decision = planned(client)
    door = Refusing(client, [Late(40), Late(5)])
    outcome = execute(client, decision, 32, Silent(), door.clock, door=door)
    assert deleted(outcome) == stale and sum(waits) == 40


@pytest.mark.parametrize('seconds, times', [(HOPELESS_SECONDS // 2, 2), (HOPELESS_SECONDS // 2 - 1, 3)])
def test_a_repository_is_given_up_once_nothing_was_done_for_three_minutes(registry, connect, seconds, times):
    stale = stale_images(registry, 1)
    client = connect()
    decision = planned(client)
    door = Refusing(client, [Late() for _ in range(9)], seconds)
    outcome = execute(client, decision, 32, Silent(), door.clock, door=door)
    assert (failed(outcome), len(door.begun)) == (stale, times)


@pytest.mark.parametrize('tried, begun_again', [(True, range(6, 17)), (False, range(1, 2))])
def test_what_was_tried_is_tried_again_after_the_others(registry, connect, tried, begun_again):
    indexes_with_children(registry, 3, children=4)
    client = connect()
    decision = planned(client)
    door = Refusing(client, [Late(tried=tried)], seconds=11)
    outcome = execute(client, decision, 32, Silent(), door.clock, door=door)
    assert len(outcome.deleted) == 15 and door.begun.index(door.begun[0], 1) in begun_again
    assert all(left > 0 for left in door.left), 'nothing is begun when its turn cannot come in time'


@pytest.mark.parametrize('seconds, times', [(59, 2), (60, 1)])
def test_what_has_no_answer_is_sent_again_for_less_than_a_minute(registry, connect, waits, seconds, times):
    stale = stale_images(registry, 1)
    client = connect()
    decision = planned(client)
    door = Refusing(client, [Late(seconds, unanswered=True) for _ in range(9)], seconds=seconds)
    outcome = execute(client, decision, 32, Silent(), door.clock, door=door)
    assert (failed(outcome), len(door.begun)) == (stale, times)


@pytest.mark.parametrize('kind', [Kind.OUT_OF_TIME, Kind.STOPPED])
def test_what_the_time_limit_or_a_stop_kept_from_being_sent_is_left_and_nothing_more_is_begun(registry, connect, kind):
    for name in (REPOSITORY, 'team/other'):
        stale_images(registry, 1, name)
    client, signals = connect(), Signals()
    decision = planned(client)
    door = Refusing(client, [RegistryError(kind, 'no')], 0.0, signals, times=kind is Kind.STOPPED)
    outcome = execute(client, decision, 1, Silent(), door.clock, door=door, stops=signals)
    assert (outcome.failed, outcome.left, len(door.begun)) == ((), 2, 1)
    assert (outcome.out_of_time, outcome.interrupted) == (kind is Kind.OUT_OF_TIME, kind is Kind.STOPPED)


@pytest.mark.parametrize('kind', [Kind.OUT_OF_TIME, Kind.STOPPED])
def test_what_could_not_be_listed_in_time_is_left(registry, connect, monkeypatch, kind):
    stale_images(registry, 1)
    client = connect()
    decision = planned(client)

    async def refused(*_):
        raise RegistryError(kind, 'no')

    monkeypatch.setattr(client.real, 'repository_facts', refused)
    outcome = run(client, decision)
    assert (outcome.failed, outcome.left, deletes(registry)) == ((), 1, [])


def test_a_stopped_run_does_not_rest(registry, connect, waits):
    stale_images(registry, 1)
    client, signals = connect(), Signals()
    decision = planned(client)
    door = Refusing(client, [Late(40)], 0.0, signals, times=1)
    outcome = execute(client, decision, 32, Silent(), door.clock, door=door, stops=signals)
    assert outcome.interrupted and (outcome.left, waits) == (1, [])


def test_what_had_no_answer_when_a_run_was_given_up_has_failed(registry, connect):
    stale = stale_images(registry, 2)
    client, signals = connect(), Signals()
    decision = planned(client)
    door = Refusing(client, [Late(5, unanswered=True), None], 0.0, signals, times=1)
    outcome = execute(client, decision, 32, Silent(), door.clock, door=door, stops=signals)
    assert (failed(outcome), outcome.left, outcome.in_doubt) == (stale, 0, {REPOSITORY})


def test_repositories_whose_turn_did_not_come_are_listed_and_deleted_in_one_after_the_other(
    registry, connect, monkeypatch
):
    for name in (REPOSITORY, 'team/other'):
        stale_images(registry, 1, name)
    client, told, refused, both = connect(), [], set(), asyncio.Event()
    decision = planned(client)
    delete, facts = client.real.delete_manifest, client.real.repository_facts

    class Door:
        """Refuses the first deletion in each repository, when both are at it."""

        async def delete_manifest(self, repository, digest, permit):
            if repository not in refused:
                refused.add(repository)
                if len(refused) == 2:
                    told.clear()
                    both.set()
                await both.wait()
                raise Late
            told.append(('delete', repository))
            await delete(repository, digest, permit)

    async def listing(name, *more):
        told.append(('list', name))
        return await facts(name, *more)

    monkeypatch.setattr(client.real, 'repository_facts', listing)
    outcome = execute(client, decision, 32, Silent(), time.monotonic, door=Door())
    (_, first), (other,) = told[0], refused - {told[0][1]}
    assert len(outcome.deleted) == 2 and told.index(('delete', first)) < told.index(('list', other))


@pytest.mark.parametrize('age', [8, 0.5, 0])
def test_the_oldest_listing_of_all_looks_and_repositories_is_told(registry, connect, clock, age):
    stale_images(registry, 2)
    stale_images(registry, 1, 'team/young')
    client, ages = connect(), [age]
    decision = planned(client)
    delete, refused = client.real.delete_manifest, []

    class Door:
        """Refuses one deletion once, which is done by a second listing."""

        async def delete_manifest(self, *what):
            if refused or what[0] != REPOSITORY:
                await delete(*what)
            else:
                refused.append(what)
                raise Late

    def hook(_, path):
        if f'{REPOSITORY}/_manifests' in path and ages:
            clock.skipped += ages.pop()

    registry.on_request = hook
    outcome = execute(client, decision, 1, Silent(), lambda: clock.skipped, door=Door())
    assert (len(outcome.deleted), outcome.listing_age) == (3, age)


def test_an_unreadable_retry_after_is_no_traceback(registry, connect, waits):
    stale = stale_images(registry, 1)
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault('DELETE', 429, times=1, retry_after='soon'))
    assert deleted(run(client, decision)) == stale


def test_whatever_breaks_a_delete_is_in_the_outcome(registry, connect, monkeypatch):
    stale = stale_images(registry, 1)
    client = connect()
    decision = planned(client)
    monkeypatch.setattr(client.real, 'delete_manifest', lambda *_: {}['no such key'])
    assert failed(run(client, decision)) == stale
