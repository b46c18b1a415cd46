"""How old a listing may be that allows a deletion, what counts as done, and two runs at once."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest

from azext_acrprune.apply.look_back import SECOND_LOOK_SECONDS
from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.retention import with_retention
from azext_acrprune.documents.result import result_document
from azext_acrprune.inventory.cache import ManifestCache
from azext_acrprune.inventory.cache_file import cache_path
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import Retention
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.reporter import Silent
from tests.registry.builder import DOCKER_IMAGE, image_manifest
from tests.registry.faults import Fault
from tests.registry.storage import digest_of
from tests.wire.images import image, image_in, index_in, put
from tests.wire.mishaps import Signals
from tests.wire.plain import execute, scan
from tests.wire.test_execute import (
    REPOSITORY,
    before,
    deleted,
    deletes,
    failed,
    gone,
    left,
    moved_on,
    planned,
    run,
    skipped,
    stale_images,
)


def reads(registry):
    """Digests of the manifests that were read."""
    return [
        path.rpartition('/')[2] for method, path, _ in registry.requests if method == 'GET' and '/manifests/' in path
    ]


def docker_image(text):
    return json.dumps({**json.loads(image(text)), 'mediaType': DOCKER_IMAGE}).encode()


def without_tags(client, pattern):
    """The decision to remove the tags that match, and nothing else."""
    inventory = scan(client, 'localhost', Extent(tags=True), Silent())
    return decide(inventory, policy_of(Flags(match=(pattern,))), time.time_ns() // 100)


# How old the listing is


def test_what_is_tagged_while_something_new_is_read_stays(registry, connect, clock):
    tagged, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    record, new = registry.storage.manifest(REPOSITORY, tagged), image('new')
    registry.storage.put_manifest(REPOSITORY, new, json.loads(new)['mediaType'], checked=False)

    def read_for_long():
        clock.skipped += 100
        registry.storage.put_manifest(REPOSITORY, record.data, record.media_type, 'release', checked=False)

    before(registry, digest_of(new), read_for_long)
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome)) == ({other}, {tagged: 'tagsChanged'})
    assert outcome.listing_age < 5 and registry.storage.whole(REPOSITORY, 'release') == []


@pytest.mark.parametrize('seconds, listings', [(4, 2), (5, 3)])
def test_where_something_new_was_read_for_five_seconds_it_is_listed_once_more(
    registry, connect, clock, seconds, listings
):
    stale = stale_images(registry, 2)
    client = connect()
    decision = planned(client)
    new = index_in(registry.storage, REPOSITORY, [], annotations={'it is': 'new'})
    registry.forget()
    moved_on(clock, registry, new, seconds)
    assert deleted(run(client, decision)) == stale
    assert registry.counters['manifests_page'] == listings, 'right before deleting, and after it'


def test_what_is_new_is_read_together_and_once(registry, connect, clock, waits):
    stale = stale_images(registry, 20)
    client = connect()
    decision = planned(client)
    new = [index_in(registry.storage, REPOSITORY, [], annotations={'number': str(number)}) for number in range(8)]
    docker = put(registry.storage, REPOSITORY, docker_image('docker'))
    registry.forget()
    moved_on(clock, registry, 'DELETE', 3)
    reading = registry.faults.hold(f'GET .*{new[-1]}')
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(run(client, decision)))
    thread.start()
    assert reading.wait()
    while len(reads(registry)) < 7:  # the others do not wait for this one
        time.sleep(0.001)
    reading.let_go()
    thread.join()
    assert deleted(outcomes[0]) == stale and registry.counters['manifests_page'] > 3
    assert sorted(reads(registry)) == sorted(new), 'a Docker image can need nothing'
    assert docker in left(registry)


def test_nothing_is_read_where_only_tags_go(registry, connect):
    image_in(registry.storage, REPOSITORY, 'image', tag='old')
    image_in(registry.storage, REPOSITORY, 'stays', tag='stays')
    client = connect()
    decision = without_tags(client, 'team/app:old')
    put(registry.storage, REPOSITORY, image('new'))
    registry.forget()
    assert run(client, decision).untagged == ((REPOSITORY, 'old'),)
    assert reads(registry) == []


def test_what_the_cache_knows_is_not_read(registry, connect, tmp_path):
    stale = stale_images(registry, 2)
    client = connect()
    decision = planned(client)
    new = put(registry.storage, REPOSITORY, image('new'))
    cache = ManifestCache(cache_path(str(tmp_path), 'localhost'), time.time_ns() // 1000)
    scan(client, 'localhost', Extent(), Silent(), cache)
    cache.write()
    registry.forget()
    outcome = execute(client, decision, 32, Silent(), time.monotonic, cache=cache)
    assert (deleted(outcome), reads(registry)) == (stale, []) and new in left(registry)
    cache.close()


@pytest.mark.parametrize('seconds', [10, 11])
def test_a_listing_that_takes_ten_seconds_or_longer_deletes_nothing_and_has_an_end(registry, connect, clock, seconds):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    registry.forget()
    moved_on(clock, registry, f'GET /acr/v1/{REPOSITORY}/_manifests', seconds)
    outcome = run(client, decision, lambda: clock.skipped)
    assert (failed(outcome), deletes(registry), outcome.listing_age) == (stale, [], None)
    assert f'its listing took {seconds} s' in outcome.failed[0].error
    assert registry.counters['manifests_page'] == 3


@pytest.mark.parametrize('seconds', [7, 9])
def test_a_slow_listing_is_not_made_anew_where_it_shows_nothing_new(registry, connect, clock, seconds):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    registry.forget()
    moved_on(clock, registry, f'GET /acr/v1/{REPOSITORY}/_manifests', seconds)
    assert deleted(run(client, decision, lambda: clock.skipped)) == stale
    assert registry.counters['manifests_page'] == 2, 'the other one is made after the run'


def test_a_listing_of_nine_seconds_leaves_one_for_deleting(registry, connect, clock):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    moved_on(clock, registry, f'GET /acr/v1/{REPOSITORY}/_manifests', 9)
    outcome = run(client, decision)
    assert deleted(outcome) == stale and 9 <= outcome.listing_age < 10


def test_nothing_more_is_begun_by_a_listing_that_is_too_old_by_less_than_a_second(
    registry, connect, clock, monkeypatch
):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    delete, begun = client.real.delete_manifest, []

    async def delete_after_a_while(name, digest, permit):
        begun.append(permit.left > 0)
        clock.skipped += 10.5 if len(begun) == 1 else 0
        await delete(name, digest, permit)

    monkeypatch.setattr(client.real, 'delete_manifest', delete_after_a_while)
    assert deleted(run(client, decision)) == stale
    assert begun == [True] * 4, 'the first one is begun once more'


@pytest.mark.parametrize(
    'faults',
    [
        [Fault('DELETE', 429, 0.2, retry_after=7)],
        [Fault('DELETE', 429, times=3, retry_after=30)],
        [Fault('DELETE', 503, 0.3, retry_after=4)],
        [Fault('.', 'reset', 0.2), Fault('.', 500, 0.1)],
        [Fault('GET', 429, 0.2, retry_after=6)],
    ],
    ids=['throttled', 'paused', 'broken', 'noisy', 'reads throttled'],
)
def test_no_delete_leaves_later_than_ten_seconds_after_its_listing_was_begun(registry, connect, waits, clock, faults):
    stale = stale_images(registry, 30)
    client = connect()
    decision = planned(client)
    registry.faults.rules += faults
    begun, ages = [clock()], []

    def hook(method, path):
        if '_manifests' in path:
            begun.append(clock())
        elif method == 'DELETE':
            ages.append(clock() - begun[-1])

    registry.on_request = hook
    outcome = run(client, decision)
    assert deleted(outcome) | gone(outcome).keys() == stale and not outcome.failed
    assert outcome.listing_age < 10
    assert max(ages) < 10 + max(waits, default=0), 'the clock may be moved on while a request is under way'


# What the registry says, and what is so


def summary(decision, outcome):
    return result_document(decision, outcome)['summary']


@pytest.mark.parametrize(
    'status, body',
    [(200, Fault.body), (202, Fault.body), (204, b''), (405, Fault.body)],
    ids=['200', '202', '204', '405'],
)
def test_what_something_on_the_way_answers_is_failed_and_frees_nothing(registry, connect, status, body):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault('DELETE', 'proxy', status=status, body=body))
    outcome = run(client, decision)
    assert (deleted(outcome), skipped(outcome), failed(outcome)) == (set(), {}, stale)
    assert summary(decision, outcome)['freedBytes'] == 0


def test_what_is_still_listed_after_the_run_was_not_deleted(registry, connect, waits):
    liar, other = sorted(stale_images(registry, 2))
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault(f'DELETE .*{liar}', 'proxy', status=202, body=b''))
    before_bytes = registry.storage.stored_bytes()
    outcome = run(client, decision)
    assert (deleted(outcome), failed(outcome), waits) == ({other}, {liar}, [SECOND_LOOK_SECONDS])
    assert 'lists it still' in outcome.failed[0].error
    assert summary(decision, outcome)['freedBytes'] == before_bytes - registry.storage.stored_bytes()


def test_a_tag_that_is_still_listed_after_the_run_was_not_removed(registry, connect, waits):
    for number in range(3):
        image_in(registry.storage, REPOSITORY, f'image {number}', tag=f'old{number}')
    client = connect()
    decision = without_tags(client, 'team/app:old*')
    registry.faults.rules.append(Fault('DELETE .*/old1', 'proxy', status=202, body=b''))
    outcome = run(client, decision)
    assert outcome.untagged == ((REPOSITORY, 'old0'), (REPOSITORY, 'old2'))
    assert [each.tag for each in outcome.failed] == ['old1'] and summary(decision, outcome)['tagsDeleted'] == 2


def test_a_tag_that_is_pushed_again_after_it_was_removed_was_removed(registry, connect):
    digest = image_in(registry.storage, REPOSITORY, 'image', tag='old')
    image_in(registry.storage, REPOSITORY, 'stays', tag='stays')
    client = connect()
    decision = without_tags(client, 'team/app:old')
    record = registry.storage.manifest(REPOSITORY, digest)

    def hook(_, path):
        if registry.counters['tag_delete'] and 'old' not in registry.storage.tags(REPOSITORY) and '_tags' in path:
            registry.storage.put_manifest(REPOSITORY, record.data, record.media_type, 'old', checked=False)

    registry.on_request = hook
    outcome = run(client, decision)
    assert outcome.untagged == ((REPOSITORY, 'old'),) and not outcome.failed


def test_a_ghost_that_the_registry_does_not_let_go_of_was_not_deleted(registry, connect, waits):
    ghost = image_in(registry.storage, REPOSITORY, 'ghost')
    image_in(registry.storage, REPOSITORY, 'stays', tag='stays')
    registry.storage.make_ghost(REPOSITORY, ghost)
    client = connect()
    inventory = scan(client, 'localhost', Extent(), Silent())
    policy = replace(untagged_policy(Age('given', 86_400)), include=frozenset({'ghosts'}))
    decision = decide(inventory, policy, time.time_ns() // 100)
    assert decision.doomed_in(REPOSITORY) == {ghost}
    outcome = run(client, decision)
    assert (deleted(outcome), gone(outcome), failed(outcome)) == (set(), {}, {ghost})


@pytest.mark.parametrize('fault', [Fault('_manifests', 500), Fault('_manifests', 'proxy'), Fault('_tags', 'truncated')])
def test_where_the_listing_after_the_run_fails_the_result_says_so(registry, connect, waits, fault):
    stale = stale_images(registry, 3)
    client = connect()
    decision = planned(client)
    registry.on_request = lambda method, _: method == 'DELETE' and registry.faults.rules.append(fault)
    document = result_document(decision, run(client, decision))
    assert {entry['digest'] for entry in document['deleted']} == stale
    assert [(each['code'], each['repository']) for each in document['warnings']] == [('notVerified', REPOSITORY)]
    assert document['summary']['impact'] == 'upperBound'


@pytest.mark.parametrize('is_over', [True, False])
def test_where_the_time_is_over_before_the_listing_after_the_run_it_is_the_time_limit_that_was_reached(
    registry, connect, waits, is_over
):
    stale_images(registry, 3)
    client = connect()
    decision, over = planned(client), []

    def on_request(method, _):
        if method == 'DELETE':
            registry.faults.rules.append(Fault('_manifests', 500))
            over.append(is_over)

    registry.on_request = on_request
    outcome = execute(client, decision, 8, Silent(), time.monotonic, lambda: len(over) == 3 and all(over))
    assert outcome.unverified and outcome.left == 0 and outcome.out_of_time is is_over


@pytest.fixture
def amiss(registry, monkeypatch, waits):
    """Changes what a client lists after the run: until it looks a second time, or always."""

    def change(client, changed, always=False):
        listed = client.real.manifests

        async def pages(*what, **how):
            now = [page async for page in listed(*what, **how)]
            if deletes(registry) and (always or SECOND_LOOK_SECONDS not in waits):
                now = changed(now)
            for page in now:
                yield page

        monkeypatch.setattr(client.real, 'manifests', pages)

    return change


def test_what_is_listed_for_a_moment_after_it_was_deleted_was_deleted(registry, connect, waits, amiss):
    stale = stale_images(registry, 2)
    client = connect()
    shown = list(client.manifests(REPOSITORY))
    decision = planned(client)
    amiss(client, lambda _: shown)
    outcome = run(client, decision)
    assert (deleted(outcome), failed(outcome), waits) == (stale, set(), [SECOND_LOOK_SECONDS])


@pytest.mark.parametrize('always', [False, True])
def test_a_listing_after_the_run_that_lacks_something_is_made_once_more_and_then_told(
    registry, connect, waits, amiss, always
):
    stale = stale_images(registry, 2)
    image_in(registry.storage, REPOSITORY, 'young', days=0)
    client = connect()
    decision = planned(client)
    amiss(client, lambda pages: [[each for each in page if each.tags] for page in pages], always)
    outcome = run(client, decision)
    assert (deleted(outcome), waits) == (stale, [SECOND_LOOK_SECONDS])
    assert ([each.code for each in outcome.unverified], outcome.in_doubt) == (
        (['notVerified'], {REPOSITORY}) if always else ([], set())
    )


def test_what_a_listing_lacked_before_the_run_is_no_news_after_it(registry, connect, waits, monkeypatch):
    image_in(registry.storage, REPOSITORY, 'image', tag='old')
    image_in(registry.storage, REPOSITORY, 'hidden')
    client = connect()
    listed = client.real.manifests

    async def without_it(*what, **how):
        async for page in listed(*what, **how):
            yield [each for each in page if each.tags]

    monkeypatch.setattr(client.real, 'manifests', without_it)
    decision = without_tags(client, 'team/app:old')
    outcome = run(client, decision)
    assert (outcome.untagged, outcome.unverified) == (((REPOSITORY, 'old'),), ())


def test_where_a_registry_deletes_what_has_no_tag_what_is_new_is_read_before_tags_go(registry, connect):
    kept = put(registry.storage, REPOSITORY, docker_image('kept'), tag='old')
    image_in(registry.storage, REPOSITORY, 'stays', tag='stays')
    client = connect()
    decision = with_retention(without_tags(client, 'team/app:old'), Retention(7))
    assert decision.later_in(REPOSITORY) == {kept}
    index_in(registry.storage, REPOSITORY, [kept])
    outcome = run(client, decision)
    assert (outcome.untagged, skipped(outcome)) == ((), {kept: 'childOf'})


def signed(storage):
    """An image without a tag and its SBOM, which the service deletes with it; (both digests)."""
    subject = image_in(storage, REPOSITORY, 'subject')
    sbom = image_in(storage, REPOSITORY, 'sbom', subject=subject)
    image_in(storage, REPOSITORY, 'kept', tag='v1')
    return subject, sbom


def test_what_may_be_gone_has_failed_where_no_listing_tells_and_the_bytes_are_no_bound(registry, connect, waits):
    subject, sbom = signed(registry.storage)
    client = connect()
    decision = planned(client)
    registry.faults.rules += [Fault(f'DELETE .*{subject}', 'lost', times=1), Fault('DELETE', 500)]
    before(registry, 'DELETE', lambda: registry.faults.rules.append(Fault('_manifests', 500)))
    outcome = run(client, decision)
    assert not {subject, sbom} & left(registry), 'although nobody said so'
    assert (failed(outcome), skipped(outcome), deleted(outcome)) == ({subject, sbom}, {}, set())
    assert summary(decision, outcome)['impact'] == 'unknown'


def test_what_was_left_alone_for_a_subject_that_is_gone_all_the_same_went_with_it(registry, connect, waits):
    subject, sbom = signed(registry.storage)
    client = connect()
    decision = planned(client)
    registry.faults.rules.append(Fault(f'DELETE .*{subject}', 'garbage'))
    outcome = run(client, decision)
    assert gone(outcome) == {subject: 'before', sbom: 'withSubject'}
    assert (skipped(outcome), failed(outcome)) == ({}, set())
    assert summary(decision, outcome)['impact'] == 'lowerBound'


def test_what_may_be_gone_has_failed_where_a_run_was_given_up(registry, connect):
    subject, sbom = signed(registry.storage)
    client, signals = connect(), Signals()
    decision = planned(client)

    def stop():
        registry.faults.hold('DELETE', done=True)
        for _ in range(2):
            signals.come()

    before(registry, 'DELETE', stop)
    outcome = execute(client, decision, 8, Silent(), time.monotonic, stops=signals)
    registry.faults.clear()
    assert (failed(outcome), outcome.left) == ({subject, sbom}, 0)
    assert summary(decision, outcome)['impact'] == 'unknown'


def test_nothing_is_in_doubt_where_a_run_was_given_up_before_anything_was_sent(registry, connect):
    stale_images(registry, 1)
    client, signals = connect(), Signals()
    decision = planned(client)

    def stop():
        registry.faults.hold('_manifests')
        for _ in range(2):
            signals.come()

    before(registry, '_manifests', stop)
    outcome = execute(client, decision, 8, Silent(), time.monotonic, stops=signals)
    registry.faults.clear()
    assert (outcome.interrupted, outcome.left, outcome.in_doubt) == (True, 1, frozenset())


def test_what_may_be_gone_is_left_where_the_time_was_over_and_the_bytes_are_no_bound(registry, connect, monkeypatch):
    subject, sbom = signed(registry.storage)
    client = connect()
    decision = planned(client)

    async def refused(*_):
        raise RegistryError(Kind.OUT_OF_TIME, 'its turn did not come in time')

    before(registry, 'DELETE', lambda: monkeypatch.setattr(client.real, 'repository_facts', refused))
    outcome = execute(client, decision, 8, Silent(), client.clock, lambda: subject not in left(registry))
    assert not {subject, sbom} & left(registry)
    assert (deleted(outcome), failed(outcome), outcome.left, outcome.out_of_time) == ({subject}, set(), 1, True)
    assert summary(decision, outcome)['impact'] == 'unknown'


# Two at once


def test_two_runs_at_once_claim_no_byte_twice(registry, connect):
    storage, layers = registry.storage, (digest_of(b'shared'), 5000)
    image_in(storage, REPOSITORY, 'kept', tag='v1')
    for number in range(20):
        subject = put(storage, REPOSITORY, image_manifest((digest_of(b'%d' % number), 100), [layers]))
        image_in(storage, REPOSITORY, f'sbom {number}', subject=subject)
    one, other = connect(), connect()
    decisions = [planned(one), planned(other)]
    before_bytes = storage.stored_bytes()
    hold, outcomes = registry.faults.hold('DELETE', after=7), []
    thread = threading.Thread(target=lambda: outcomes.append(run(one, decisions[0])))
    thread.start()
    assert hold.wait()
    hold.let_go()
    outcomes.append(run(other, decisions[1]))
    thread.join()
    documents = [result_document(decisions[0], outcome) for outcome in outcomes]
    first, second = ({entry['digest'] for entry in document['deleted']} for document in documents)
    assert not first & second and not any(document['failed'] for document in documents)
    lost = before_bytes - storage.stored_bytes()
    claimed = [document['summary']['freedBytes'] for document in documents]
    assert sum(claimed) <= lost and claimed != [0, 0]
    assert all(document['summary']['impact'] == 'lowerBound' for document in documents if document['goneBefore'])


def test_a_second_run_after_the_first_claims_nothing(registry, connect):
    stale = stale_images(registry, 4)
    client = connect()
    decision = planned(client)
    assert deleted(run(client, decision)) == stale
    document = result_document(decision, run(client, decision))
    assert (document['deleted'], document['summary']['freedBytes']) == ([], 0)
    assert {entry['digest'] for entry in document['goneBefore']} == stale


def test_a_referrer_whose_subject_somebody_else_deleted_is_theirs(registry, connect):
    storage = registry.storage
    subject = image_in(storage, REPOSITORY, 'subject')
    sbom = image_in(storage, REPOSITORY, 'sbom', subject=subject)
    image_in(storage, REPOSITORY, 'kept', tag='v1')
    client = connect()
    decision = planned(client)
    before(
        registry, 'DELETE', lambda: storage.state(REPOSITORY).manifests.pop(subject)
    )  # and the referrer is still there
    outcome = run(client, decision)
    assert gone(outcome) == {subject: 'before', sbom: 'withSubject'} and deleted(outcome) == set()


@pytest.mark.parametrize('status', [403, 405, 500])
def test_a_referrer_that_the_service_took_has_not_failed_although_its_own_delete_was_refused(
    registry, connect, waits, status
):
    storage = registry.storage
    subject = image_in(storage, REPOSITORY, 'subject')
    sbom = image_in(storage, REPOSITORY, 'sbom', subject=subject)
    signature = image_in(storage, REPOSITORY, 'signature of the sbom', subject=sbom)
    image_in(storage, REPOSITORY, 'kept', tag='v1')
    client = connect()
    decision = planned(client)
    before_bytes = storage.stored_bytes()
    registry.faults.rules += [Fault(f'DELETE .*{digest}', status) for digest in (sbom, signature)]
    outcome = run(client, decision)
    assert (deleted(outcome), failed(outcome), skipped(outcome)) == ({subject, sbom, signature}, set(), {})
    assert summary(decision, outcome)['freedBytes'] == before_bytes - storage.stored_bytes()
