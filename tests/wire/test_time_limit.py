"""A registry that is too large for one run: what is known is pruned, and the next run goes on."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from itertools import count

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.result import result_document
from azext_acrprune.inventory.cache import ManifestCache
from azext_acrprune.inventory.cache_file import cache_path
from azext_acrprune.inventory.scan import BY_NAME, LARGEST_FIRST, OLDEST_FIRST, OUT_OF_TIME, Extent
from azext_acrprune.model import TICKS_PER_SECOND, Unreadable
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.patterns import glob
from azext_acrprune.policy.rules import Age, Selection, untagged_policy
from azext_acrprune.registry.permit import Late
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.retries import PacingPolicy
from azext_acrprune.reporter import Silent
from azext_acrprune.timelimit import TimeLimit
from tests.registry.builder import Shares, build, image_manifest
from tests.registry.faults import Fault, Throttle
from tests.wire.images import image_in, put
from tests.wire.mishaps import Signals
from tests.wire.plain import execute, scan

NOW = time.time()
TICKS = int(NOW * TICKS_PER_SECOND)
POLICY = untagged_policy(Age('0', 0))
NIGHTS = count(time.time_ns() // 1000, 86_400 * 10**6)
"""Moments of caches, in microseconds: a clock that is set back must not change the order."""


@pytest.fixture
def path(tmp_path):
    return cache_path(str(tmp_path), 'localhost')


def after(registry, calls):
    """The time is over once the registry has answered so many calls."""
    return lambda: len(registry.requests) >= calls


def limited(registry, client, path, calls, **extent):
    """A scan that ends after so many calls, as if on another night each time."""
    registry.forget()
    cache = ManifestCache(path, next(NIGHTS))
    inventory = scan(
        client,
        'localhost',
        Extent(**{'order': OLDEST_FIRST, 'concurrency': 2, **extent}),
        Silent(),
        cache,
        after(registry, calls),
    )
    cache.close()
    return inventory


def known(inventory):
    return {repository.name: repository for repository in inventory.repositories}


def listed(registry):
    """The repositories that were listed, in order."""
    return list(
        dict.fromkeys(
            path.split('/acr/v1/')[1].rpartition('/_manifests')[0]
            for _, path, _ in registry.requests
            if '/_manifests' in path
        )
    )


def test_only_what_is_wholly_known_is_judged_and_the_bytes_are_a_bound(registry, connect, path):
    names = build(registry.storage, 3, 6, 120, NOW)
    client = connect()
    inventory = limited(registry, client, path, 60)
    known = {repository.name for repository in inventory.repositories}
    assert known and inventory.late and known | inventory.late == set(names) and not known & inventory.late
    assert [warning.code for warning in inventory.warnings] == [OUT_OF_TIME]
    document = plan_document(decide(inventory, POLICY, TICKS), 'now')
    assert document['impact'] == 'upperBound'
    assert {entry['repository'] for entry in document['delete']} <= known
    whole = scan(client, 'localhost', Extent(), Silent())
    assert {repository.name: repository for repository in whole.repositories if repository.name in known} == {
        repository.name: repository for repository in inventory.repositories
    }


def test_each_run_goes_on_where_the_last_one_stopped_until_nothing_is_left(registry, connect, path):
    build(registry.storage, 3, 6, 240, NOW, Shares(ghosts=0, locked=0))
    client = connect()
    whole = decide(scan(client, 'localhost', Extent(), Silent()), POLICY, TICKS)
    kept = {
        (repository.name, digest) for repository in whole.inventory.repositories for digest in repository.manifests
    } - whole.doomed
    left = []
    for _ in range(12):
        decision = decide(limited(registry, client, path, 80), POLICY, TICKS)
        execute(client, decision, 2, Silent(), time.monotonic)
        left.append(sum(len(registry.storage.manifests(name)) for name in registry.storage.repositories()))
        if not decision.inventory.late:
            break
    assert left == sorted(left, reverse=True) and len(set(left)) > 2
    assert {
        (name, digest) for name in registry.storage.repositories() for digest in registry.storage.manifests(name)
    } == kept


def test_nothing_is_asked_for_once_the_time_is_over(registry, connect, path):
    build(registry.storage, 3, 6, 120, NOW)
    assert limited(registry, connect(), path, 0).repositories == ()
    assert not any('/_manifests' in path or '/manifests/' in path for _, path, _ in registry.requests)


def test_deleting_stops_and_says_so(registry, connect):
    build(registry.storage, 3, 2, 120, NOW, Shares(ghosts=0, locked=0))
    client = connect()
    decision = decide(scan(client, 'localhost', Extent(), Silent()), POLICY, TICKS)
    registry.faults.latency = 0.2
    started = time.monotonic()
    outcome = execute(client, decision, 2, Silent(), time.monotonic, lambda: time.monotonic() > started + 1)
    assert outcome.out_of_time and not outcome.interrupted
    assert 0 < len(outcome.deleted) < len(decision.doomed)
    summary = result_document(decision, outcome)['summary']
    assert summary['timeLimitReached'] and not summary['interrupted']


# Known wholly or not at all


def labelled(registry, name, number):
    """An image whose config says a label, for the rules that ask for one."""
    config = json.dumps({'config': {'Labels': {'stage': 'old' if number % 2 else 'new'}}, 'n': f'{name} {number}'})
    return put(registry.storage, name, image_manifest((registry.storage.put_blob(config.encode()), len(config)), []))


@pytest.mark.parametrize(
    'extent', [{}, {'tags': True}, {'tags': True, 'labels': True}, {'bound': True}, {'bound': True, 'labels': True}]
)
def test_wherever_the_time_ends_a_repository_is_known_as_without_a_limit_or_not_at_all(registry, connect, path, extent):
    for place, name in enumerate(build(registry.storage, 5, 4, 28, NOW)):
        for number in range(3):
            labelled(registry, name, 10 * place + number)
    policy = (
        policy_of(Flags(ago='0', filter=('.*:.*',), untagged=True, age_by='created')) if extent.get('tags') else POLICY
    )
    client = connect()
    whole = scan(client, 'localhost', Extent(**extent), Silent())
    right = decide(whole, policy, TICKS)
    calls, cuts = len(registry.requests), set()
    for cut in (*range(1, calls, 4), calls + 1):
        path.unlink(missing_ok=True)
        inventory = limited(registry, client, path, cut, **extent)
        assert {name: known(whole)[name] for name in known(inventory)} == known(inventory)
        assert set(known(inventory)) == set(known(whole)) - inventory.late
        for repository in inventory.repositories if extent.get('labels') else ():
            for manifest in repository.manifests.values():
                config = getattr(manifest.content, 'config', None)
                assert inventory.labels.get(config) == whole.labels.get(config)
        decision = decide(inventory, policy, TICKS)
        assert decision.doomed == {node for node in right.doomed if node[0] in known(inventory)}
        cuts.add(len(inventory.late))
    assert len(cuts) >= 4 and 0 in cuts


# What comes first


def test_what_was_not_looked_at_for_longest_comes_first_even_on_the_same_day(registry, connect, path):
    names = build(registry.storage, 3, 6, 60, NOW)
    client, turns = connect(), []
    for _ in range(6):
        limited(registry, client, path, 1 + 2, concurrency=1, bound=True)
        turns.append(listed(registry))
    assert turns[0] != turns[1] and set().union(*turns) == set(names)


def test_a_repository_that_is_too_large_for_many_runs_holds_up_no_other_one(registry, connect, path):
    for number in range(300):
        image_in(registry.storage, 'a/huge', f'huge {number}')
    for name in ('b/small', 'c/small', 'd/small'):
        for number in range(4):
            image_in(registry.storage, name, f'{name} {number}', tag=f'v{number}')
    client = connect()
    limited(registry, client, path, 60)
    for night in range(8):
        image_in(registry.storage, 'c/small', f'of night {night}')
        inventory = limited(registry, client, path, 60)
        assert 'c/small' in known(inventory)
        execute(client, decide(inventory, POLICY, TICKS), 2, Silent(), time.monotonic)
        if 'a/huge' in known(inventory):
            break
    assert set(registry.storage.repositories()) == {'b/small', 'c/small', 'd/small'} and night >= 3
    assert len(registry.storage.manifests('c/small')) == 4


def test_what_may_be_pruned_comes_before_what_only_makes_the_bytes_exact(registry, connect, path):
    names = build(registry.storage, 3, 6, 60, NOW)
    chosen = Selection((glob(names[4]),))
    inventory = limited(registry, connect(), path, 30, selection=chosen, concurrency=1)
    assert listed(registry)[0] == names[4] and names[4] in known(inventory) and inventory.late


def test_the_largest_known_come_first_or_all_by_name(registry, connect, path):
    sizes = {'a/one': 1, 'b/four': 4, 'c/two': 2}
    for name, size in sizes.items():
        for number in range(size):
            image_in(registry.storage, name, f'{name} {number}')
    client = connect()
    limited(registry, client, path, 10_000)
    image_in(registry.storage, 'd/new', 'new')
    for order, expected in ((LARGEST_FIRST, ['b/four', 'c/two', 'a/one', 'd/new']), (BY_NAME, [*sizes, 'd/new'])):
        inventory = limited(registry, client, path, 10_000, order=order, concurrency=1)
        assert listed(registry) == list(known(inventory)) == expected


def test_repositories_are_pruned_in_the_same_order(registry, connect, path):
    for name, size in (('a/small', 2), ('b/large', 6)):
        for number in range(size):
            image_in(registry.storage, name, f'{name} {number}')
    client = connect()
    limited(registry, client, path, 10_000)
    decision = decide(limited(registry, client, path, 10_000, order=LARGEST_FIRST), POLICY, TICKS)
    registry.forget()
    execute(client, decision, 1, Silent(), time.monotonic)
    deletes = [path for method, path, _ in registry.requests if method == 'DELETE']
    assert [path.split('/')[2] for path in deletes] == ['b'] * 6 + ['a'] * 2


# In real time: nothing is sent after the end, whatever the registry does


class Timed:
    """A limit that begins now, a client that is held to it, and when the last request came."""

    def __init__(self, registry, connect, seconds):
        self.last = self.started = time.monotonic()
        self.limit = TimeLimit(seconds, time.monotonic)
        self.client = connect(pacing=PacingPolicy(Pacer(), lambda _: None, time.monotonic, self.limit))
        self.seconds = seconds
        registry.on_request = self._note

    def _note(self, *_):
        self.last = time.monotonic()

    def scan(self, **extent):
        return scan(self.client, 'localhost', Extent(**extent), Silent(), is_over=self.limit.is_over)

    def execute(self, decision, concurrency=8):
        return execute(self.client, decision, concurrency, Silent(), time.monotonic, self.limit.is_ending)

    def kept(self, but=0.0):
        """Whether all came to an end in time, the last request being this much late at most."""
        over = time.monotonic() - self.started
        busy = 1.5  # what a machine with much else to do may take until it lets somebody stop
        return over <= self.seconds + busy and self.last - self.started <= 0.95 * self.seconds + busy + but


TROUBLE = {
    'throttled': lambda registry: registry.faults.throttles.update(reads=Throttle(20, 20)),
    'told to wait': lambda registry: registry.faults.rules.append(Fault('/manifests/', 429, 0.5, retry_after=30)),
    'broken': lambda registry: registry.faults.rules.append(Fault('/manifests/', 503, 0.5)),
    'broken for long': lambda registry: registry.faults.rules.append(Fault('/manifests/', 503, 0.5, retry_after=30)),
    'hanging': lambda registry: registry.faults.rules.append(Fault('/manifests/', 'slow', 0.2, seconds=20)),
    'resetting': lambda registry: registry.faults.rules.append(Fault('/manifests/', 'reset', 0.5)),
}


@pytest.mark.parametrize('trouble', TROUBLE)
def test_a_scan_ends_in_time(registry, connect, trouble):
    build(registry.storage, 3, 6, 240, NOW)
    whole = scan(connect(), 'localhost', Extent(), Silent())
    TROUBLE[trouble](registry)
    registry.faults.latency = 0.02
    timed = Timed(registry, connect, 2)
    inventory = timed.scan()
    assert timed.kept() and inventory.late
    assert {name: known(whole)[name] for name in known(inventory)} == known(inventory)


def test_a_catalog_that_is_not_read_in_time_is_an_error_that_says_so(registry, connect):
    build(registry.storage, 3, 6, 60, NOW)
    registry.faults.rules.append(Fault('_catalog', 'slow', seconds=20))
    timed = Timed(registry, connect, 1)
    with pytest.raises(RegistryError) as raised:
        timed.scan()
    assert raised.value.kind is Kind.OUT_OF_TIME and timed.kept()


def stale(registry, number=60):
    return {image_in(registry.storage, 'team/app', f'stale {place}') for place in range(number)}


@pytest.mark.parametrize(
    'rule',
    [
        Fault('DELETE', 429, 0.7),
        Fault('DELETE', 429, retry_after=30),
        Fault('/_manifests', 'slow', seconds=20),
        Fault('/_manifests', 503),
        Fault('/_manifests', 429),
    ],
    ids=str,
)
def test_deleting_ends_in_time_and_what_was_not_begun_is_left_and_has_not_failed(registry, connect, rule):
    before = stale(registry)
    decision = decide(scan(connect(), 'localhost', Extent(), Silent()), POLICY, TICKS)
    registry.faults.rules.append(rule)
    registry.faults.latency = 0.1
    timed = Timed(registry, connect, 2)
    outcome = timed.execute(decision)
    assert timed.kept()
    gone = {digest for _, digest in outcome.deleted}
    assert set(registry.storage.manifests('team/app')) == before - gone if gone != before else False
    assert (outcome.failed, outcome.skipped) == ((), ())
    assert outcome.out_of_time and not outcome.interrupted and outcome.left == len(before - gone) > 0
    summary = result_document(decision, outcome)['summary']
    assert summary['timeLimitReached'] and summary['failed'] == 0


def test_a_delete_that_was_sent_and_not_done_has_failed(registry, connect):
    before = stale(registry, 3)
    decision = decide(scan(connect(), 'localhost', Extent(), Silent()), POLICY, TICKS)
    registry.faults.rules.append(Fault('DELETE', 503))
    timed = Timed(registry, connect, 2)
    outcome = timed.execute(decision)
    assert {failed.digest for failed in outcome.failed} == before and outcome.left == 0
    assert timed.kept() and outcome.left == 0


def test_when_all_was_done_before_the_end_nothing_is_said_of_the_time(registry, connect):
    stale(registry, 8)
    decision = decide(scan(connect(), 'localhost', Extent(), Silent()), POLICY, TICKS)
    outcome = Timed(registry, connect, 20).execute(decision)
    assert len(outcome.deleted) == 8 and not outcome.out_of_time and outcome.left == 0


def test_one_that_is_left_is_enough_for_the_limit_to_have_been_reached(registry, connect):
    stale(registry, 1)
    client = connect()
    decision = decide(scan(client, 'localhost', Extent(), Silent()), POLICY, TICKS)
    outcome = execute(client, decision, 8, Silent(), time.monotonic, lambda: True)
    assert (outcome.left, outcome.out_of_time, outcome.deleted) == (1, True, ())


def test_all_done_with_the_last_call_is_no_end_before_the_end(registry, connect):
    stale(registry, 3)
    client = connect()
    decision = decide(scan(client, 'localhost', Extent(), Silent()), POLICY, TICKS)
    registry.forget()
    outcome = execute(client, decision, 8, Silent(), time.monotonic, lambda: registry.counters['manifest_delete'] >= 3)
    assert len(outcome.deleted) == 3 and not outcome.out_of_time


def test_locks_that_were_taken_off_are_set_again_after_the_end(registry, connect):
    digest = image_in(registry.storage, 'team/app', 'locked', tag='v1')
    registry.storage.set_locks('team/app', digest=digest, deleteEnabled=False)
    registry.storage.set_locks('team/app', tag='v1', writeEnabled=False)
    policy = policy_of(Flags(ago='0', filter=('.*:.*',), untagged=True, include_locked=True))
    decision = decide(scan(connect(), 'localhost', Extent(tags=True), Silent()), policy, TICKS)
    registry.faults.rules.append(Fault('DELETE', 429))
    timed = Timed(registry, connect, 1.5)
    outcome = timed.execute(decision)
    assert outcome.left == 1 and outcome.failed == () and timed.kept(but=1)
    assert registry.storage.manifest('team/app', digest).flags['deleteEnabled'] is False
    assert registry.storage.tag('team/app', 'v1').flags['writeEnabled'] is False


@pytest.mark.parametrize('ends', [False, True])
def test_ctrl_c_near_the_end_is_told_beside_it(registry, connect, ends):
    stale(registry, 60)
    client, pressed = connect(), []
    decision = decide(scan(client, 'localhost', Extent(), Silent()), POLICY, TICKS)
    registry.forget()

    def is_over():
        """Whether the time is over, which nobody asks before Ctrl-C is due."""
        due = registry.counters['manifest_delete'] >= 5
        if due and not pressed:
            pressed.append(signal.pthread_kill(threading.main_thread().ident, signal.SIGINT))
        return due and ends

    outcome = execute(client, decision, 2, Silent(), time.monotonic, is_over)
    assert outcome.interrupted and outcome.left > 0 and outcome.out_of_time is ends


def test_what_is_unreadable_is_so_and_what_was_not_read_in_time_is_not(registry, connect, path, waits):
    names = build(registry.storage, 3, 3, 30, NOW, Shares(ghosts=0))
    broken = sorted(registry.storage.manifests(names[0]))[0]
    registry.faults.rules.append(Fault(broken, 500))
    inventory = limited(registry, connect(), path, 10_000)
    assert isinstance(known(inventory)[names[0]].manifests[broken].content, Unreadable) and not inventory.late


# What was begun is finished

TIED = Shares(ghosts=0, locked=0, tagged=0.3, multi_arch=0.5, nested=0.2, referrers=0.5, cosign=0.5)


@pytest.mark.parametrize('keep', [0, 2])
@pytest.mark.parametrize('calls', [1, 5, 13])
def test_stopped_after_any_number_of_deletes_and_run_again_the_same_is_left_as_after_one_run(
    registry, connect, calls, keep
):
    names = build(registry.storage, calls, 3, 120, NOW, TIED)
    policy, client = untagged_policy(Age('0', 0), keep), connect()
    whole = decide(scan(client, 'localhost', Extent(), Silent()), policy, TICKS)
    kept = {(name, digest) for name in names for digest in registry.storage.manifests(name)} - whole.doomed
    runs, finished = 0, 0
    while True:
        decision = decide(scan(client, 'localhost', Extent(), Silent()), policy, TICKS)
        registry.forget()
        outcome = execute(
            client, decision, 2, Silent(), time.monotonic, lambda: registry.counters['manifest_delete'] >= calls
        )
        runs += 1
        finished = max(finished, registry.counters['manifest_delete'])
        if not outcome.left:
            break
        assert outcome.out_of_time and outcome.deleted
    assert {
        (name, digest) for name in registry.storage.repositories() for digest in registry.storage.manifests(name)
    } == kept
    assert runs > 2 and finished <= calls + 40


def test_what_something_else_needs_is_not_finished(registry, connect):
    """A signature of many images, some of which are gone when the run is stopped."""
    images = [image_in(registry.storage, 'team/app', f'image {number}') for number in range(12)]
    signature = ''
    for digest in images:
        signature = image_in(registry.storage, 'team/app', 'signature', tag=digest.replace(':', '-') + '.sig')
    client = connect()
    decision = decide(scan(client, 'localhost', Extent(), Silent()), POLICY, TICKS)
    assert len(decision.doomed) == 13
    registry.forget()
    outcome = execute(client, decision, 1, Silent(), time.monotonic, lambda: bool(registry.counters['manifest_delete']))
    gone = {digest for _, digest in outcome.deleted}
    assert gone and gone < set(images) and outcome.left == 13 - len(gone)
    assert signature in registry.storage.manifests('team/app')
    rest = execute(client, decision, 1, Silent(), time.monotonic)
    assert {digest for _, digest in rest.deleted} | gone == {digest for _, digest in decision.doomed}


@pytest.fixture
def begun(registry, connect):
    """A client, and the decision on an image and its signature, of which the image alone goes before a stop."""
    image = image_in(registry.storage, 'team/app', 'image')
    image_in(registry.storage, 'team/app', 'kept', tag='v1')
    signature = image_in(registry.storage, 'team/app', 'signature', tag=image.replace(':', '-') + '.sig')
    client = connect()
    decision = decide(scan(client, 'localhost', Extent(), Silent()), POLICY, TICKS)
    assert decision.doomed == {('team/app', image), ('team/app', signature)}
    registry.forget()
    return client, decision, image, signature


def test_what_is_finished_is_told_once_and_how_old_its_listing_was(registry, begun, clock):
    client, decision, image, signature = begun
    told = []

    class Told(Silent):
        def deleted(self):
            told.append(1)

    def hook(_, path):
        if registry.counters['manifest_delete'] == 1 and '_manifests' in path:
            clock.skipped += 5

    registry.on_request = hook
    outcome = execute(
        client, decision, 8, Told(), lambda: clock.skipped, lambda: bool(registry.counters['manifest_delete'])
    )
    assert {digest for _, digest in outcome.deleted} == {image, signature} and len(told) == 2
    assert (outcome.listing_age, registry.counters['manifests_page']) == (5, 3)


@pytest.mark.parametrize('error, times', [(Late(), 2), (RegistryError(Kind.UNAVAILABLE, 'no'), 1)])
def test_what_cannot_be_finished_in_time_is_tried_twice_and_what_failed_is_not(registry, begun, clock, error, times):
    client, decision, image, signature = begun
    tried = []

    class Door:
        """Lets the image through, and nothing else."""

        async def delete_manifest(self, repository, digest, permit):
            if digest == signature:
                tried.append(digest)
                raise error
            await client.real.delete_manifest(repository, digest, permit)

    outcome = execute(
        client,
        decision,
        8,
        Silent(),
        lambda: clock.skipped,
        lambda: bool(registry.counters['manifest_delete']),
        door=Door(),
    )
    assert (outcome.deleted, len(tried)) == ((('team/app', image),), times)
    assert (outcome.left, len(outcome.failed)) == ((1, 0) if times == 2 else (0, 1))


def test_what_hangs_on_something_is_left_where_somebody_stopped_the_run(registry, begun, clock):
    client, decision, image, _ = begun
    signals = Signals()
    registry.on_request = lambda method, _: method == 'DELETE' and signals.come()
    outcome = execute(client, decision, 8, Silent(), lambda: clock.skipped, stops=signals)
    assert (outcome.deleted, outcome.left, outcome.interrupted) == ((('team/app', image),), 1, True)


def test_a_second_stop_while_a_lock_is_set_again_begins_nothing_more_that_hangs_on_something(registry, connect):
    """More hangs on what was deleted than is deleted at a time; the first of it fails, the others have no answer."""
    images = [image_in(registry.storage, 'team/app', f'image {place}') for place in range(3)]
    for number, (image, kind) in enumerate((image, kind) for image in images for kind in ('sig', 'att', 'sbom')):
        tag = f'{image.replace(":", "-")}.{kind}'
        attached = image_in(registry.storage, 'team/app', f'attached {number}', tag=tag)
        registry.storage.set_locks('team/app', digest=attached, deleteEnabled=False)
    client, signals, begun, going = connect(), Signals(), [], []
    policy = policy_of(Flags(ago='0', untagged=True, include_locked=True))
    decision = decide(scan(client, 'localhost', Extent(), Silent()), policy, TICKS)
    assert len(decision.doomed) == 12

    class Door:
        """Deletes the images alone; the run is stopped twice while the lock of the first attachment is set again."""

        async def set_manifest_locks(self, repository, digest, locks, permit=None, owed=None):
            if not owed and digest == begun[0]:
                signals.come()
                signals.come()
                await given_up.wait()

        async def delete_manifest(self, repository, digest, permit):
            if digest in images:
                going.append(digest)
                if len(going) == len(images):
                    over.set()
                await over.wait()  # else what hangs on the first one might begin while there is time
                await client.real.delete_manifest(repository, digest, permit)
                return
            begun.append(digest)
            if len(begun) == 5:
                everyone.set()
            if digest == begun[0]:
                await everyone.wait()
                raise RegistryError(Kind.UNAVAILABLE, 'no')
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()

    everyone, given_up, over = asyncio.Event(), asyncio.Event(), asyncio.Event()
    outcome = execute(client, decision, 8, Silent(), time.monotonic, over.is_set, door=Door(), stops=signals)
    assert outcome.interrupted and len(begun) == 5
