"""A registry that is too large for one run: what is known is pruned, and the next run goes on."""
from __future__ import annotations

import time

import pytest

from azext_acrprune.apply.execute import execute
from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.documents.result import result_document
from azext_acrprune.inventory.cache import ManifestCache, cache_path
from azext_acrprune.inventory.scan import LARGEST, OLDEST, OUT_OF_TIME, Extent, scan
from azext_acrprune.model import TICKS_PER_SECOND
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.reporter import Reporter
from tests.registry.builder import Shares, build

NOW = time.time()
POLICY = untagged_policy(Age('0', 0))


@pytest.fixture
def path(tmp_path):
    return cache_path(str(tmp_path), 'localhost')


def after(registry, calls):
    """The time is over once the registry has answered so many calls."""
    return lambda: len(registry.requests) >= calls


def limited(registry, client, path, calls, order=OLDEST, day=1):
    registry.forget()
    cache = ManifestCache(path, day)
    inventory = scan(client, 'localhost', Extent(order=order, concurrency=2), Reporter(), cache, after(registry, calls))
    cache.close()
    return inventory


def test_only_what_is_wholly_known_is_judged_and_the_bytes_are_a_bound(registry, connect, path):
    names = build(registry.storage, 3, 6, 120, NOW)
    client = connect()
    inventory = limited(registry, client, path, 60)
    known = {repository.name for repository in inventory.repositories}
    assert known and inventory.late and known | inventory.late == set(names) and not known & inventory.late
    assert [warning.code for warning in inventory.warnings] == [OUT_OF_TIME]
    document = plan_document(decide(inventory, POLICY, int(NOW * TICKS_PER_SECOND)), 'now')
    assert document['impact'] == 'upperBound'
    assert {entry['repository'] for entry in document['delete']} <= known
    whole = scan(client, 'localhost', Extent(), Reporter())
    assert {repository.name: repository for repository in whole.repositories if repository.name in known} == {
        repository.name: repository for repository in inventory.repositories}


def test_each_run_goes_on_where_the_last_one_stopped_until_nothing_is_left(registry, connect, path):
    build(registry.storage, 3, 6, 240, NOW, Shares(ghosts=0, locked=0))
    client = connect()
    whole = decide(scan(client, 'localhost', Extent(), Reporter()), POLICY, int(NOW * TICKS_PER_SECOND))
    kept = {(repository.name, digest) for repository in whole.inventory.repositories
            for digest in repository.manifests} - whole.doomed
    left = []
    for _ in range(12):
        decision = decide(limited(registry, client, path, 80), POLICY, int(NOW * TICKS_PER_SECOND))
        execute(client, decision, 2, Reporter(), time.monotonic)
        left.append(sum(len(registry.storage.manifests(name)) for name in registry.storage.repositories()))
        if not decision.inventory.late:
            break
    assert left == sorted(left, reverse=True) and len(set(left)) > 2
    assert {(name, digest) for name in registry.storage.repositories()
            for digest in registry.storage.manifests(name)} == kept


def test_nothing_is_asked_for_once_the_time_is_over(registry, connect, path):
    build(registry.storage, 3, 6, 120, NOW)
    assert limited(registry, connect(), path, 0).repositories == ()
    assert not any('/_manifests' in path or '/manifests/' in path for _, path, _ in registry.requests)


def test_the_order_is_that_of_what_is_known(registry, connect, path):
    names = build(registry.storage, 3, 3, 60, NOW)
    client, seen = connect(), {}
    for day, name in ((5, names[1]), (6, names[0]), (7, names[2])):
        cache = ManifestCache(path, day)
        cache.recall(name, [])
        for digest, manifest in scan(client, 'localhost', Extent(), Reporter()).repositories[0].manifests.items():
            if len(seen.setdefault(name, [])) < day:
                seen[name].append(digest)
                cache.remember(name, digest, manifest.content)
        cache.close()
    cache = ManifestCache(path, 8)
    order = [repository.name for repository in
             scan(client, 'localhost', Extent(order=OLDEST), Reporter(), cache).repositories]
    cache.close()
    assert order == [names[1], names[0], names[2]]
    by_size = sorted(names, key=lambda name: (-len(registry.storage.manifests(name)), name))
    assert [repository.name for repository in limited(
        registry, client, path, 10_000, order=LARGEST).repositories] == by_size


def test_deleting_stops_and_says_so(registry, connect):
    build(registry.storage, 3, 2, 120, NOW, Shares(ghosts=0, locked=0))
    client = connect()
    decision = decide(scan(client, 'localhost', Extent(), Reporter()), POLICY, int(NOW * TICKS_PER_SECOND))
    registry.faults.latency = 0.2
    started = time.monotonic()
    outcome = execute(client, decision, 2, Reporter(), time.monotonic, lambda: time.monotonic() > started + 1)
    assert outcome.out_of_time and not outcome.interrupted
    assert 0 < len(outcome.deleted) < len(decision.doomed)
    summary = result_document(decision, outcome)['summary']
    assert summary['timeLimitReached'] and not summary['interrupted']
