"""Runs on random registries, among faults and beside a second client that changes things between any two requests.

After each of them: nothing is gone that the plan did not name, no tagged image is broken, whatever the second client
did before the listing right before deleting is heeded, and the outcome says what happened.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as some

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.result import result_document
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.reporter import Silent
from tests import figures, oracle, worlds
from tests.examples import examples
from tests.registry.failures import RegistryFailure
from tests.wire.plain import execute, scan
from tests.wire.test_properties import as_served, assert_bytes, pulls, served

RATES = (0.01, 0.05, 0.2)
KINDS = (408, 429, 500, 502, 503, 504, 'cut', 'garbage', 'lost', 'proxy', 'reset', 'truncated')
CHANGES = ('tag', 'lock', 'lock repository', 'index', 'referrer', 'delete')


class Neighbour:
    """A second client of a registry, which makes its changes before the requests with some numbers.

    `heeded` has what its changes need, by repository, as far as it made them before the run listed that repository.
    `gone` has what its own deletions took, and `touched` the repositories that it changed.
    """

    def __init__(self, storage, world, changes):
        self.heeded, self.gone, self.made = set(), set(), 0
        self._storage, self._world = storage, {each['name']: each for each in as_served(world)}
        self._changes, self._number, self._listed = sorted(changes), 0, set()

    def before_request(self, method, path):
        self._number += 1
        while self._changes and self._changes[0][0] <= self._number:
            with suppress(RegistryFailure):
                self._make(*self._changes.pop(0)[1:])
        if method == 'GET' and path.endswith('/_manifests'):
            self._listed.add(path.removeprefix('/acr/v1/').removesuffix('/_manifests'))

    def _make(self, kind, one, other):
        nodes = sorted(served(self._storage) & set(oracle.all_nodes(self._world.values())))
        if not nodes:
            return
        name, digest = nodes[one % len(nodes)]
        before = served(self._storage)
        needed = self._needed(kind, name, digest, other)
        self.made += 1
        self.gone |= before - served(self._storage)
        if name not in self._listed:
            self.heeded |= {(name, each) for each in needed}

    def _needed(self, kind, name, digest, number):
        """Make a change, and give the digests that it needs."""
        flag = {('deleteEnabled', 'writeEnabled')[number % 2]: False}
        every = [each['digest'] for each in self._world[name]['manifests']]
        if kind == 'delete':
            self._storage.delete_manifest(name, digest)
            return ()
        if kind == 'lock repository':
            self._storage.set_locks(name, **flag)
            return every
        if kind == 'lock':
            self._storage.set_locks(name, digest=digest, **flag)
        elif kind == 'tag':
            record = self._storage.manifest(name, digest)
            self._storage.put_manifest(
                name, record.data, record.media_type, tag=f'new-{number}', digest=digest, checked=False
            )
        else:
            made = worlds.index('new', [digest]) if kind == 'index' else worlds.image('new', [0], subject=digest)
            self._storage.put_manifest(name, made['data'], made['media_type'], checked=False)
        return oracle.closure(self._world[name], [digest])


_CHANGES = some.lists(
    some.tuples(some.integers(1, 12), some.sampled_from(CHANGES), some.integers(0, 50), some.integers(0, 9)), max_size=4
)


@pytest.mark.parametrize('rate', RATES)
@examples(12, HealthCheck.function_scoped_fixture)
@given(world=worlds.worlds(), policy=worlds.including_policies, changes=_CHANGES, seed=some.integers(0, 10**6))
def test_among_faults_and_beside_a_second_client_a_run_does_what_its_plan_said_and_tells_it(
    registry, connect, waits, rate, world, policy, changes, seed
):
    registry.reset()
    registry.storage = storage = worlds.to_storage(world)
    asked = untagged_policy(Age('as drawn', policy['ago']), policy['keep'])
    client = connect()
    decision = decide(scan(client, 'host', Extent(asked.selection), Silent()), asked, worlds.NOW)
    before, tagged, stored = served(storage), pulls(storage), storage.stored_bytes()
    stay = {(name, tag) for name, tag in tagged if (name, storage.tag(name, tag).digest) not in decision.doomed}
    registry.forget()
    neighbour = Neighbour(storage, world, changes)
    registry.on_request = neighbour.before_request
    registry.faults.break_any(rate, KINDS, seed)
    outcome = execute(client, decision, 8, Silent(), client.clock)
    registry.on_request = None
    ours = before - served(storage) - neighbour.gone
    figures.count(
        runs=1,
        requests=len(registry.requests),
        faults=registry.faults.injected,
        changes=neighbour.made,
        deletes=len(ours),
    )
    assert ours <= decision.doomed, 'nothing goes that the plan did not name'
    assert not ours & neighbour.heeded, 'what somebody needs since before the listing stays'
    assert_told(outcome, ours, served(storage))
    left = pulls(storage)
    broken = {name: set(left[name]) - set(tagged[name]) for name in left.keys() & tagged.keys()}
    assert not any(missing & {digest for _, digest in ours} for missing in broken.values())
    if not neighbour.made:
        assert {each: left.get(each) for each in stay} == {each: tagged[each] for each in stay}
        result = result_document(decision, outcome)['summary']
        assert_bytes(result['impact'], result['freedBytes'], stored - storage.stored_bytes())


def assert_told(outcome, ours, there):
    """What the outcome calls deleted is gone, and of what is gone it says that it is, or may be."""
    deleted = set(outcome.deleted)
    assert not deleted & there, 'what is called deleted is gone'
    doubtful = {(each.repository, each.digest) for each in (*outcome.gone, *outcome.failed)}
    assert ours <= deleted | doubtful, 'whatever went is told'
