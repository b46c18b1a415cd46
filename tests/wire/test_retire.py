"""Retiring on the local registry, and taking it back: what is left alone, and what the journal knows then."""

from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from azext_acrprune.apply.journal import Journal, JournaledRegistry, read_run
from azext_acrprune.apply.retire import RetireOutcome, retire, take_back
from azext_acrprune.apply.retired import chosen_of, retirements_in
from azext_acrprune.custom.retiring import retired
from azext_acrprune.decide.decision import decide
from azext_acrprune.decide.retirement import with_retirements
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import TICKS_PER_SECOND, Outcome
from azext_acrprune.pins.pinned import Pin, Pins
from azext_acrprune.pins.references import Reference
from azext_acrprune.policy.facts import STILL_RETIRED, TAKEN_BACK
from azext_acrprune.policy.file import parse_policy
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.reporter import Silent
from azext_acrprune.workers import Stops
from tests.registry.faults import Fault
from tests.wire.images import image_in, index_in
from tests.wire.plain import scan
from tests.wire.test_execute import before

NAMES = ('a/first', 'b/second')
POLICY = """version: 1
rules: [{name: old, match: {everything: true}, when: {olderThan: 20d}, do: retire, retire: {for: 14d}}]
"""


class Bench:
    """A client, the journal of its run, and what they do."""

    def __init__(self, client, folder):
        self.client = client
        self._folder = folder
        self.journal = Journal(folder, {'command': 'az acr prune apply'})

    def decided(self):
        """What is decided now, with what the journal knows."""
        inventory, standings = with_retirements(self.scanned(), self.records())
        policy = parse_policy(POLICY)
        policy = replace(policy, facts=replace(policy.facts, retired=standings))
        return decide(inventory, policy, int(time.time() * TICKS_PER_SECOND))

    def scanned(self):
        """As a run may read it, which need not be by name."""
        inventory = scan(self.client, 'localhost', Extent(tags=True), Silent())
        return replace(inventory, repositories=inventory.repositories[::-1])

    def records(self):
        return retirements_in([read_run(self._folder, self.journal.run)])

    def states(self):
        """{digest: how what was retired stands}."""
        _, standings = with_retirements(self.scanned(), self.records())
        return {digest: each.state for known in standings.values() for digest, each in known.items()}

    def retire(self, decision, is_over=lambda: False):
        door, outcome = self.door(decision.inventory), RetireOutcome()
        self.client.loop.run(retire(self.client.real, door, self.journal, decision, 1, outcome, is_over))
        return outcome

    def take_back(self):
        outcome, records = RetireOutcome(), self.records()
        door = self.door(self.scanned())
        self.client.loop.run(take_back(self.client.real, door, records, chosen_of(records), 1, outcome))
        return outcome

    def door(self, inventory):
        return JournaledRegistry(self.client.real, self.journal, {each.name: each for each in inventory.repositories})


@pytest.fixture
def bench(connect, tmp_path):
    return Bench(connect(), tmp_path / 'journal')


@pytest.fixture
def old(registry):
    """Three old images of each of two repositories, beside a new one."""
    for name in NAMES:
        image_in(registry.storage, name, 'new', tag='new', days=1)
    return {
        name: [image_in(registry.storage, name, f'{name} {place}', f'v{place}') for place in range(3)] for name in NAMES
    }


def hidden(registry):
    return {
        (name, digest)
        for name in registry.storage.repositories()
        for digest, manifest in registry.storage.manifests(name).items()
        if not manifest.flags['readEnabled']
    }


def nodes(old):
    return {(name, digest) for name in old for digest in old[name]}


def test_exactly_what_is_old_is_retired_and_the_journal_knows_how_it_was_left(registry, bench, old):
    outcome = bench.retire(bench.decided())
    assert hidden(registry) == nodes(old) == set(outcome.retired) and len(outcome.retired) == 6
    assert (outcome.skipped, outcome.failed) == ([], [])
    assert bench.states() == dict.fromkeys((digest for _, digest in nodes(old)), STILL_RETIRED)


def test_many_are_retired_a_few_at_a_time_each_part_by_a_listing_of_its_own(registry, bench, old, monkeypatch):
    monkeypatch.setattr('azext_acrprune.apply.retire.AT_A_TIME', 2)
    decision = bench.decided()
    registry.forget()
    assert len(bench.retire(decision).retired) == 6 and hidden(registry) == nodes(old)
    assert registry.counters['manifests_page'] == 4


def test_an_index_and_its_images_are_retired_in_whatever_parts_and_nights(registry, bench, monkeypatch):
    monkeypatch.setattr('azext_acrprune.apply.retire.AT_A_TIME', 1)
    images = [image_in(registry.storage, NAMES[0], text) for text in ('amd64', 'arm64')]
    every = {(NAMES[0], digest) for digest in [*images, index_in(registry.storage, NAMES[0], images, tag='v1')]}
    for night in range(2):
        outcome = bench.retire(bench.decided(), lambda night=night: not night and bool(hidden(registry)))
        assert (outcome.skipped, outcome.failed, len(outcome.retired)) == ([], [], 1 + night)
    assert hidden(registry) == every


def test_once_the_time_is_over_nothing_is_retired(registry, bench, old):
    decision = bench.decided()
    registry.forget()
    outcome = bench.retire(decision, lambda: True)
    assert (outcome, hidden(registry), registry.requests) == (RetireOutcome(out_of_time=True), set(), [])


@pytest.mark.parametrize('is_over', [True, False])
def test_a_run_says_when_its_time_was_over_before_all_was_retired(bench, old, is_over):
    limit = SimpleNamespace(is_ending=lambda: is_over)
    session = SimpleNamespace(registry=bench.client.real, concurrency=1, limit=limit, run=bench.client.loop.run)
    decision, nothing = bench.decided(), Outcome((), (), (), ())
    outcome = retired(session, Stops(), decision, bench.door(decision.inventory), bench.journal, nothing)
    assert (outcome.out_of_time, len(outcome.retired)) == (is_over, 0 if is_over else 6)


@pytest.mark.parametrize(
    'change, reason',
    [
        (lambda storage, digest: storage.set_locks(NAMES[1], digest=digest, readEnabled=False), 'locked'),
        (lambda storage, digest: storage.set_locks(NAMES[1], digest=digest, deleteEnabled=False), 'locked'),
        (lambda storage, digest: index_in(storage, NAMES[1], [digest], tag='v9', days=0), 'childOf'),
        (
            lambda storage, digest: storage.put_manifest(
                NAMES[1],
                storage.manifest(NAMES[1], digest).data,
                storage.manifest(NAMES[1], digest).media_type,
                'another',
                checked=False,
            ),
            'tagsChanged',
        ),
    ],
    ids=['hidden', 'locked', 'needed', 'tagged'],
)
def test_what_changed_since_the_plan_is_not_retired_and_is_told(registry, bench, old, change, reason):
    changed = old[NAMES[1]][0]
    decision = bench.decided()
    before(registry, f'{NAMES[1]}/_manifests', lambda: change(registry.storage, changed))
    outcome = bench.retire(decision)
    assert set(outcome.retired) == nodes(old) - {(NAMES[1], changed)}
    assert [(each.repository, each.digest, each.reason) for each in outcome.skipped] == [(NAMES[1], changed, reason)]


def test_what_is_pinned_when_a_plan_is_applied_is_not_retired(registry, bench, old):
    """A plan may be older than the pins."""
    pinned = old[NAMES[1]][0]
    pins = Pins((Pin(Reference(NAMES[1], 'v0'), 'deploy.yaml', 1),))
    outcome = bench.retire(replace(bench.decided(), pins=pins))
    assert set(outcome.retired) == hidden(registry) == nodes(old) - {(NAMES[1], pinned)}
    assert [(each.digest, each.reason) for each in outcome.skipped] == [(pinned, 'pinned')]


def test_a_failure_is_told_and_leaves_the_others_alone(registry, bench, old):
    refused = old[NAMES[0]][1]
    registry.faults.rules.append(Fault(f'PATCH .*{refused}', 403))
    outcome = bench.retire(bench.decided())
    assert set(outcome.retired) == hidden(registry) == nodes(old) - {(NAMES[0], refused)}
    assert [(each.repository, each.digest) for each in outcome.failed] == [(NAMES[0], refused)]


def test_what_cannot_be_looked_at_once_it_is_retired_has_failed_and_says_why(registry, bench, old):
    lost = old[NAMES[0]][1]
    registry.faults.rules.append(Fault(f'GET .*/_manifests/{lost}', 403))
    outcome = bench.retire(bench.decided())
    assert hidden(registry) == nodes(old) == {*outcome.retired, (NAMES[0], lost)}
    assert len(outcome.retired) == 5
    (failure,) = outcome.failed
    assert failure.digest == lost and failure.error.startswith('pulls of it fail from now on')


def test_where_the_listing_right_before_fails_that_is_told_of_each_that_is_not_retired_for_it(registry, bench, old):
    decision = bench.decided()
    registry.faults.rules.append(Fault(f'GET /acr/v1/{NAMES[0]}/_manifests', 403))
    outcome = bench.retire(decision)
    assert set(outcome.retired) == hidden(registry) == {(NAMES[1], digest) for digest in old[NAMES[1]]}
    assert {(each.repository, each.digest) for each in outcome.failed} == nodes(old) - set(outcome.retired)
    assert len(outcome.failed) == len(old[NAMES[0]])


@pytest.mark.parametrize('kind', [Kind.UNREACHABLE, Kind.UNAUTHENTICATED, Kind.STOPPED])
def test_a_registry_that_is_not_there_and_a_stop_end_it(bench, old, monkeypatch, kind):
    decision = bench.decided()

    async def fail(*_):
        raise RegistryError(kind, 'it ends here')

    monkeypatch.setattr(bench.client.real, 'set_read_enabled', fail)
    with pytest.raises(RegistryError, match='it ends here'):
        bench.retire(decision)


def test_what_is_gone_has_neither_failed_nor_is_it_retired(registry, bench, old):
    gone = old[NAMES[0]][1]
    decision = bench.decided()
    before(
        registry,
        f'PATCH /acr/v1/{NAMES[0]}/_manifests/{gone}',
        lambda: registry.storage.delete_manifest(NAMES[0], gone),
    )
    outcome = bench.retire(decision)
    assert set(outcome.retired) == hidden(registry) == nodes(old) - {(NAMES[0], gone)}
    assert (outcome.skipped, outcome.failed) == ([], [])


def test_what_is_retired_and_wanted_again_can_be_pulled_again(registry, bench, old):
    bench.retire(bench.decided())
    child = old[NAMES[0]][0]
    index_in(registry.storage, NAMES[0], [child], tag='v9', days=0)
    outcome = bench.retire(bench.decided())
    assert outcome.unretired == [(NAMES[0], child)] and (outcome.skipped, outcome.retired) == ([], [])
    assert hidden(registry) == nodes(old) - {(NAMES[0], child)}


@pytest.mark.parametrize('number', [0, 1])
def test_once_the_time_is_over_nothing_more_is_taken_back(registry, bench, old, number):
    bench.retire(bench.decided())
    index_in(registry.storage, NAMES[0], old[NAMES[0]], tag='v9', days=0)
    decision = bench.decided()
    assert len(decision.returning) == 3
    outcome = bench.retire(decision, lambda: len(hidden(registry)) <= 6 - number)
    assert (len(outcome.unretired), len(hidden(registry)), outcome.failed) == (number, 6 - number, [])
    assert outcome.out_of_time


def needed_again(registry, bench, old):
    """A retired image that an index needs since, and the decision that takes it back."""
    bench.retire(bench.decided())
    child = old[NAMES[0]][0]
    index_in(registry.storage, NAMES[0], [child], tag='v9', days=0)
    return child, bench.decided()


def test_what_somebody_else_locked_since_stays_as_it_is(registry, bench, old):
    child, decision = needed_again(registry, bench, old)
    registry.storage.set_locks(NAMES[0], digest=child, deleteEnabled=False)
    outcome = bench.retire(decision)
    assert (outcome.unretired, [each.digest for each in outcome.skipped]) == ([], [child])
    assert hidden(registry) == nodes(old)


def test_what_somebody_locked_while_it_was_retired_is_wanted_and_can_be_pulled_again(registry, bench, old):
    locked = old[NAMES[0]][0]
    before(
        registry,
        f'PATCH /acr/v1/{NAMES[0]}/_manifests/{locked}',
        lambda: registry.storage.set_locks(NAMES[0], digest=locked, deleteEnabled=False),
    )
    bench.retire(bench.decided())
    outcome = bench.retire(bench.decided())
    assert (outcome.unretired, outcome.skipped) == ([(NAMES[0], locked)], [])
    assert hidden(registry) == nodes(old) - {(NAMES[0], locked)}
    assert not registry.storage.manifest(NAMES[0], locked).flags['deleteEnabled']


def test_what_somebody_else_lets_be_pulled_again_since_is_not_ours_to_take_back(registry, bench, old):
    child, decision = needed_again(registry, bench, old)
    registry.storage.set_locks(NAMES[0], digest=child, readEnabled=True)
    registry.forget()
    outcome = bench.retire(decision)
    assert (outcome.unretired, [each.digest for each in outcome.skipped]) == ([], [child])
    assert not [path for method, path, _ in registry.requests if method == 'PATCH' and child in path]


def test_all_that_was_retired_is_taken_back_but_for_what_somebody_changed(registry, bench, old):
    bench.retire(bench.decided())
    changed, shown, refused = old[NAMES[0]]
    registry.storage.set_locks(NAMES[0], digest=changed, deleteEnabled=False)
    registry.storage.set_locks(NAMES[0], digest=shown, readEnabled=True)
    registry.faults.rules.append(Fault(f'PATCH .*{refused}', 403))
    outcome = bench.take_back()
    assert set(outcome.unretired) == {(NAMES[1], digest) for digest in old[NAMES[1]]} and outcome.left == 0
    assert [each.digest for each in outcome.skipped] == [changed]
    assert [each.digest for each in outcome.failed] == [refused]
    assert hidden(registry) == {(NAMES[0], changed), (NAMES[0], refused)}
    assert bench.states()[shown] == TAKEN_BACK
