"""Runs on random registries, among faults, beside a second client and a second run, and whatever befalls them.

After each of them: nothing is gone that the plan did not name, no tagged image is broken, whatever the second client
did before the listing right before deleting is heeded, and the documents and journals say what happened, and no secret.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as some

from azext_acrprune.apply.journal import Journal, JournaledRegistry
from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.result import result_document
from azext_acrprune.exit_reasons import TIME_LIMIT, UNSETTLED, code_of, reason_of_run
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import Failed, Gone, Outcome, Skipped
from azext_acrprune.policy.flags import Flags, policy_of
from azext_acrprune.prune_error import PruneError
from azext_acrprune.registry.halting import Halt
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.tokens import TokenBook
from azext_acrprune.registry.retries import PacingPolicy
from azext_acrprune.reporter import Silent
from tests import figures, oracle, worlds
from tests.examples import examples
from tests.registry.auth import ADMIN, SERVICE_PRINCIPAL
from tests.registry.echo import SHARED_SIGNATURE
from tests.registry.failures import RegistryFailure
from tests.wire.conftest import opened
from tests.wire.mishaps import MISHAPS, STOPS, Mishaps, Signals, sign_in
from tests.wire.plain import Client, execute, scan
from tests.wire.test_properties import as_served, assert_bytes, policy_over, pulls, served

AT_A_TIME = 8
RATES = (0.01, 0.05, 0.2)
STATUSES = (408, 429, 500, 502, 503, 504)
BROKEN = ('cut', 'drip', 'garbage', 'lost', 'noise', 'nonsense', 'short', 'torn', 'truncated', 'twice')
KINDS = (*STATUSES, *BROKEN, 'echo', 'handshake', 'proxy', 'refused', 'reset')
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


def busy():
    """A repository in which there is much to do: tags, indexes, referrers and locks, and some of it stays."""
    shared, alone = worlds.image('shared', [0, 1]), worlds.image('alone', [1, 2])
    signed = worlds.image('signed', [2], tags=['old-4'])
    sbom = worlds.image('sbom', [3], subject=signed['digest'])
    return worlds.repository_of(
        shared,
        alone,
        signed,
        sbom,
        worlds.image('signature of the sbom', [], subject=sbom['digest']),
        worlds.index('kept', [shared['digest']], tags=['kept', 'old-1']),
        worlds.index('stale', [shared['digest'], alone['digest']], tags=['old-2']),
        worlds.image('locked', [0], tags=['old-3'], locks=['deleteEnabled']),
        worlds.image('locked too', [3], locks=['writeEnabled']),
        *(worlds.image(f'stale {number}', [number]) for number in range(3)),
        name='team/busy',
        tag_locks={'old-3': ['writeEnabled'], 'old-4': ['deleteEnabled']},
    )


class Trial:
    """Runs on a registry that holds a random world; what they say is compared with what became of it.

    Everything that happens to them is made before numbered requests, on the thread of the registry.
    """

    def __init__(self, registry, clock, folder: Path, world, flags: Flags, abac=False) -> None:
        world = [*world, busy()]
        registry.reset()
        registry.auth.abac = abac
        registry.storage = self.storage = worlds.to_storage(world)
        self._registry, self._clock = registry, clock
        self._folder, self._world = folder, world
        asked = policy_of(flags)
        with self._client() as client:
            inventory = scan(client, 'host', Extent(asked.selection, tags=True), Silent())
        self.decision = decide(inventory, asked, worlds.NOW)
        self._before, self._tagged = served(self.storage), pulls(self.storage)
        self._stored = self.storage.stored_bytes()
        self._on = {(name, tag): self.storage.tag(name, tag).digest for name, tag in self._tagged}
        self._locks = locks(self.storage)
        self._stay = self._tagged.keys() - set(self._tags_that_go())

    def run(self, changes=(), mishaps=(), rate=0.0, seed=0, runs=1) -> None:
        """Have so many runs do what was decided, side by side."""
        registry, signals = self._registry, [Signals() for _ in range(runs)]
        journals = [Journal(self._folder, {}) for _ in signals]
        self._neighbour = Neighbour(self.storage, self._world, changes)
        self._mishaps = Mishaps(registry, signals, mishaps)
        registry.forget()
        registry.on_request = self._before_request
        if rate:
            registry.faults.break_any(rate, KINDS, seed)
        with ThreadPoolExecutor(runs) as side_by_side:
            outcomes = list(side_by_side.map(self._execute, journals, signals))
        registry.on_request = None
        self._owed = [lock for journal in journals for lock in journal.owed()]
        for journal in journals:
            journal.close()
        self.outcomes = outcomes
        self.documents = [result_document(self.decision, outcome) for outcome in outcomes]
        self.ours = self._before - served(self.storage) - self._neighbour.gone
        figures.count(
            runs=runs,
            requests=len(registry.requests),
            faults=registry.faults.injected,
            changes=self._neighbour.made + self._mishaps.made,
            deletes=len(self.ours),
        )

    def _tags_that_go(self) -> Iterator[tuple[str, str]]:
        for repository in self.decision.inventory.repositories:
            going = {tag for tag, _, _ in self.decision.untagged_in(repository)}
            for tag, digest in [(tag, self.storage.tag(repository.name, tag).digest) for tag in repository.tags]:
                if tag in going or (repository.name, digest) in self.decision.doomed:
                    yield repository.name, tag

    @contextmanager
    def _client(self, halt: Halt | None = None) -> Iterator[Client]:
        log_in = partial(sign_in, self._registry)
        book = TokenBook(self._registry.login_server, log_in(), time.time())
        pacing = PacingPolicy(Pacer(), Silent().throttled, self._clock, halt=halt)
        with opened(f'https://{self._registry.login_server}', book, log_in, AT_A_TIME, pacing, self._clock) as client:
            yield client

    def _before_request(self, method: str, path: str) -> None:
        self._mishaps.before_request()
        self._neighbour.before_request(method, path)

    def _execute(self, journal: Journal, signals: Signals) -> Outcome:
        seen, halt = {each.name: each for each in self.decision.inventory.repositories}, Halt()
        with self._client(halt) as client:
            door = JournaledRegistry(client.real, journal, seen)
            more = {'door': door, 'stops': signals, 'stopping': lambda _: halt.set()}
            return execute(client, self.decision, AT_A_TIME, Silent(), self._clock, **more)

    def assert_kept(self) -> None:
        """Nothing is gone that had to stay."""
        assert self.ours <= self.decision.doomed, 'nothing goes that the plan did not name'
        assert not self.ours & self._neighbour.heeded, 'what somebody needs since before the listing stays'
        left = pulls(self.storage)
        broken = {name: set(left[name]) - set(self._tagged[name]) for name in left.keys() & self._tagged.keys()}
        assert not any(missing & {digest for _, digest in self.ours} for missing in broken.values())
        if not self._neighbour.made:
            assert {each: left.get(each) for each in self._stay} == {each: self._tagged[each] for each in self._stay}

    def assert_told(self) -> None:
        """The documents and the journals say what happened, and the exit code too."""
        there, told, claimed = served(self.storage) | pulls(self.storage).keys(), set(), set()
        for outcome, document in zip(self.outcomes, self.documents):
            deleted = {*outcome.deleted, *outcome.untagged}
            assert not deleted & there, 'what is called deleted is gone'
            assert not deleted & claimed, 'no two runs claim the same'
            claimed |= deleted
            told |= deleted | set(map(_named, (*outcome.gone, *outcome.failed)))
            reason = reason_of_run(document, {UNSETTLED: self._owed})
            settled = told | set(map(_named, outcome.skipped))
            if reason != TIME_LIMIT and not code_of(reason):
                assert self.decision.doomed <= settled, 'all is done, or it is said why not'
        assert self.ours <= told, 'whatever went is told'
        tags = {(name, tag) for name, tag in self._tagged.keys() - there if (name, self._on[name, tag]) in there}
        assert tags <= told, 'tags too'
        assert self.ours <= self._journaled(), 'and is in a journal'
        if not self._neighbour.made and self._registry.storage is self.storage:
            lost = self._stored - self.storage.stored_bytes()
            if len(self.documents) == 1:
                result = self.documents[0]['summary']
                assert_bytes(result['impact'], result['freedBytes'], lost)
            summaries = [document['summary'] for document in self.documents]
            if not any(each['impact'] == 'upperBound' for each in summaries):
                assert sum(each['freedBytes'] for each in summaries) <= lost, 'no byte is claimed twice'

    def assert_locked(self) -> None:
        """What was locked is so, or a journal says that it is not. A registry that was made anew has no such locks."""
        if self._registry.storage is not self.storage:
            return
        owed = {(lock.repository, lock.tag or lock.digest) for lock in self._owed}
        now = locks(self.storage)
        opened = {key for key, off in self._locks.items() if key in now and off - now[key]}
        assert opened <= owed

    def assert_no_secret(self, said: str) -> None:
        """Nor any error that nobody caught."""
        shown = json.dumps(self.documents) + self._journals() + said
        secrets = (ADMIN[1], SERVICE_PRINCIPAL[1], SHARED_SIGNATURE, *self._registry.auth.issued)
        assert [secret for secret in secrets if secret in shown] == []
        assert 'eyJ' not in shown, 'nor a part of a token'
        assert 'Traceback' not in shown and 'never retrieved' not in shown

    def _journals(self) -> str:
        return ''.join(path.read_text() for path in sorted(self._folder.glob('*.jsonl')))

    def _journaled(self) -> set:
        lines = map(json.loads, self._journals().splitlines())
        return {(line['repository'], line['digest']) for line in lines if line.get('digest')}


def _named(entry: Gone | Failed | Skipped) -> tuple[str, str]:
    """What an entry of an outcome is about: a tag, or a manifest."""
    return entry.repository, entry.tag or entry.digest


def locks(storage) -> dict:
    """The flags that are off, by repository and digest or tag."""
    found = {}
    for name in storage.repositories():
        every = {**storage.manifests(name), **storage.tags(name)}
        found.update({(name, key): {flag for flag, on in each.flags.items() if not on} for key, each in every.items()})
    return found


@pytest.fixture
def trial(registry, clock, waits, tmp_path, caplog, monkeypatch) -> Callable[..., Trial]:
    """Makes a trial; what waits for a disk does not here."""
    monkeypatch.setattr('os.fsync', lambda _: None)
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', registry.ca_file)
    caplog.set_level(logging.WARNING)

    def make(world, flags, **more) -> Trial:
        for path in tmp_path.iterdir():
            path.unlink()
        caplog.clear()
        return Trial(registry, clock, tmp_path, world, flags, **more)

    return make


_CHANGES = some.lists(
    some.tuples(some.integers(1, 40), some.sampled_from(CHANGES), some.integers(0, 50), some.integers(0, 9)), max_size=4
)
_FLAGS = some.builds(
    Flags,
    ago=some.sampled_from(('0', '1h', '1d')),
    keep=some.integers(0, 1),
    match=some.sampled_from(((), ('**:old-*',), ('**:*',))),
    untagged=some.booleans(),
    include_locked=some.booleans(),
)
_SEEDS = some.integers(0, 10**6)


def assert_promises(trial: Trial, caplog) -> None:
    trial.assert_kept()
    trial.assert_told()
    trial.assert_locked()
    ours = [each for each in caplog.records if not each.name.startswith('aiohttp.server')]
    trial.assert_no_secret('\n'.join(map(caplog.handler.format, ours)))


@pytest.mark.parametrize('rate', RATES)
@examples(16, HealthCheck.function_scoped_fixture)
@given(world=worlds.worlds(), flags=_FLAGS, changes=_CHANGES, seed=_SEEDS)
def test_among_faults_and_beside_a_second_client_a_run_does_what_its_plan_said_and_tells_it(
    trial, caplog, rate, world, flags, changes, seed
):
    tried = trial(world, flags)
    tried.run(changes, rate=rate, seed=seed)
    assert_promises(tried, caplog)


@pytest.mark.parametrize('mishap', [*MISHAPS, *STOPS])
@examples(4, HealthCheck.function_scoped_fixture)
@given(
    world=worlds.worlds(),
    flags=_FLAGS,
    when=some.integers(1, 25),
    rate=some.sampled_from((0, 0, 0.05, 0.2)),
    abac=some.booleans(),
    seed=_SEEDS,
)
def test_whatever_befalls_a_run_it_does_what_its_plan_said_and_tells_it(
    trial, caplog, mishap, world, flags, when, rate, abac, seed
):
    tried = trial(world, flags, abac=abac)
    tried.run(mishaps=[(when, mishap)], rate=rate, seed=seed)
    assert_promises(tried, caplog)


@examples(16, HealthCheck.function_scoped_fixture)
@given(
    world=worlds.worlds(),
    flags=_FLAGS,
    changes=_CHANGES,
    mishaps=some.lists(some.tuples(some.integers(1, 60), some.sampled_from([*MISHAPS, *STOPS])), max_size=1),
    rate=some.sampled_from((0, 0.05)),
    seed=_SEEDS,
)
def test_two_runs_at_once_do_what_their_plan_said_and_claim_nothing_twice(
    trial, caplog, world, flags, changes, mishaps, rate, seed
):
    tried = trial(world, flags)
    tried.run(changes, mishaps, rate, seed, runs=2)
    assert_promises(tried, caplog)


@pytest.mark.parametrize('rate', RATES)
@examples(12, HealthCheck.function_scoped_fixture)
@given(world=worlds.worlds(), policy=worlds.including_policies, seed=_SEEDS)
def test_what_is_read_among_faults_dooms_nothing_more(registry, connect, waits, rate, world, policy, seed):
    registry.reset()
    registry.storage = worlds.to_storage(world)
    client, asked = connect(), policy_over(world, policy)
    registry.faults.break_any(rate, KINDS, seed)
    decision = None
    with suppress(PruneError):
        decision = decide(scan(client, 'host', Extent(asked.selection), Silent()), asked, worlds.NOW)
    figures.count(requests=len(registry.requests), faults=registry.faults.injected)
    if decision:
        assert decision.doomed <= oracle.safe_set(as_served(world), policy, worlds.NOW)
