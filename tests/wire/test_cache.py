"""Cold and warm runs on the local registry: the same plan, and only what is new is read."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.documents.plan import plan_document
from azext_acrprune.inventory.cache import ManifestCache
from azext_acrprune.inventory.cache_file import cache_path, describe
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import TICKS_PER_SECOND, Ghost, NotRead
from azext_acrprune.policy.patterns import glob
from azext_acrprune.policy.rules import Age, Selection, untagged_policy
from azext_acrprune.registry.protocol.tokens import Password
from azext_acrprune.reporter import Silent
from tests.registry.auth import ALL
from tests.registry.builder import Shares, build, image_manifest
from tests.registry.faults import Fault
from tests.wire.images import image, image_in, index_in, put
from tests.wire.plain import scan

NOW = time.time()
TELLING = Shares(ghosts=0.2, referrers=0.6, cosign=0.4, locked=0.2)


@pytest.fixture
def path(tmp_path):
    return cache_path(str(tmp_path), 'localhost')


@pytest.fixture
def read(registry, connect, path):
    """One whole run with the cache; counts only its own calls."""

    def run(client=None, **extent):
        client = client or connect()
        registry.forget()
        cache = ManifestCache(path, 1)
        try:
            return scan(client, 'localhost', Extent(**extent), Silent(), cache)
        finally:
            cache.close()
            assert cache.trouble is None

    return run


def plan_of(inventory) -> str:
    policy = untagged_policy(Age('1d', 86_400))
    return json.dumps(plan_document(decide(inventory, policy, int(NOW * TICKS_PER_SECOND)), 'now', show_kept=True))


def built(registry, repositories=12, manifests=150, shares=TELLING):
    return build(registry.storage, 7, repositories, manifests, NOW, shares)


def ghosts(registry):
    return sum(
        record.ghost for name in registry.storage.repositories() for record in registry.storage.manifests(name).values()
    )


def reads(registry):
    return Counter(path for method, path, _ in registry.requests if '/manifests/' in path and method == 'GET')


# The same plan


@pytest.mark.parametrize('cap', [1000, 7])
def test_a_warm_plan_is_the_cold_one_and_reads_ghosts_only(registry, read, connect, cap):
    built(registry)
    registry.metadata.cap = cap
    uncached = plan_of(scan(connect(), 'localhost', Extent(), Silent()))
    cold = plan_of(read())
    assert registry.counters['manifest_get'] == 150
    cold_lists = {
        kind: registry.counters[kind] for kind in ('catalog', 'manifests_page', 'tags_page', 'repository_get')
    }
    warm = plan_of(read())
    assert uncached == cold == warm
    assert sum(reads(registry).values()) == ghosts(registry) > 3
    assert cold_lists == {kind: registry.counters[kind] for kind in cold_lists}
    assert len(registry.requests) == sum(cold_lists.values()) + ghosts(registry) + 1, 'and one token'


def test_a_new_manifest_is_one_more_read(registry, read):
    built(registry, shares=Shares(ghosts=0))
    read()
    assert read() and registry.counters['manifest_get'] == 0
    new = image_in(registry.storage, 'team-0/app-0000', 'new')
    read()
    assert reads(registry) == {f'/v2/team-0/app-0000/manifests/{new}': 1}
    assert read() and registry.counters['manifest_get'] == 0


def labelled(registry, name, number):
    config = json.dumps({'config': {'Labels': {'number': str(number)}}} if number else {}).encode()
    return put(registry.storage, name, image_manifest((registry.storage.put_blob(config), len(config)), []))


def test_labels_that_a_policy_asked_for_are_read_once_in_each_repository(registry, read):
    for name in ('team/app', 'team/other'):
        for number in range(5):
            labelled(registry, name, number)
    cold = read(labels=True)
    assert registry.counters['blob'] >= 5 and len(cold.labels) == 5
    read(labels=True)  # those of the other repository, if two of them had the same one
    warm = read(labels=True)
    assert (warm.labels, warm.repositories) == (cold.labels, cold.repositories)
    assert registry.counters['blob'] == registry.counters['manifest_get'] == 0
    labelled(registry, 'team/app', 6)
    assert len(read(labels=True).labels) == 6 and registry.counters['blob'] == 1
    assert read().labels == {}


def test_labels_that_could_not_be_read_are_asked_for_again(registry, read):
    labelled(registry, 'team/app', 1)
    registry.faults.rules.append(Fault('GET /v2/team/app/blobs/', 'garbage'))
    assert read(labels=True).labels == {}
    registry.faults.clear()
    assert list(read(labels=True).labels.values()) == [{'number': '1'}]


def test_what_is_mutable_is_never_taken_from_the_cache(registry, read):
    child = image_in(registry.storage, 'team/app', 'child')
    index = index_in(registry.storage, 'team/app', [child])
    assert len(json.loads(plan_of(read()))['delete']) == 2
    registry.storage.set_locks('team/app', digest=child, deleteEnabled=False)
    assert [entry['digest'] for entry in json.loads(plan_of(read()))['delete']] == [index]
    put(registry.storage, 'team/app', registry.storage.manifests('team/app')[index].data, tag='v1')
    assert json.loads(plan_of(read()))['delete'] == []
    assert registry.counters['manifest_get'] == 0


@pytest.mark.parametrize('bound', [False, True])
def test_a_bound_is_the_same_bound_after_an_exact_run(registry, read, bound):
    names = built(registry, shares=Shares(docker=1, tagged=0.7))
    extent = {'selection': Selection((glob(names[0]), glob(names[1]))), 'bound': True}
    cold = plan_of(read(**extent))
    read(bound=bound)
    warm = read(**extent)
    assert plan_of(warm) == cold
    assert any(
        isinstance(manifest.content, NotRead)
        for repository in warm.repositories
        for manifest in repository.manifests.values()
    )


def test_a_damaged_cache_gives_the_cold_plan(registry, connect, path):
    built(registry)
    uncached = plan_of(scan(connect(), 'localhost', Extent(), Silent()))
    for size in (0, 1, 5000, 20_000, 40_000):
        cache = ManifestCache(path, 1)
        scan(connect(), 'localhost', Extent(), Silent(), cache)
        cache.close()
        with open(path, 'r+b') as file:
            file.truncate(size)
        cache = ManifestCache(path, 1)
        assert plan_of(scan(connect(), 'localhost', Extent(), Silent(), cache)) == uncached
        cache.close()


# What is never kept


def test_a_ghost_is_a_ghost_although_another_repository_has_the_digest(registry, read):
    ghost = image_in(registry.storage, 'team/app', 'the same')
    assert image_in(registry.storage, 'team/other', 'the same') == ghost
    registry.storage.make_ghost('team/app', ghost)
    read()
    warm = {repository.name: repository for repository in read().repositories}
    assert warm['team/app'].manifests[ghost].content == Ghost()
    assert reads(registry) == {f'/v2/team/app/manifests/{ghost}': 1}


def test_unreadable_manifests_are_asked_for_again(registry, read, waits):
    broken, garbage = (image_in(registry.storage, 'team/app', text) for text in ('broken', 'garbage'))
    image_in(registry.storage, 'team/app', 'whole')
    registry.faults.rules += [Fault(broken, 500), Fault(garbage, 'garbage')]
    assert json.loads(plan_of(read()))['delete'] == []
    registry.faults.rules.clear()
    assert len(json.loads(plan_of(read()))['delete']) == 3
    assert set(reads(registry)) == {f'/v2/team/app/manifests/{digest}' for digest in (broken, garbage)}


def test_a_repository_that_may_not_be_pulled_is_left_out_unless_all_of_it_is_known(registry, read, connect):
    image_in(registry.storage, 'team/app', 'image')
    registry.auth.add_user('reader', 'pw', [('team/app', ALL - {'pull'}), ('*', ALL)])
    assert not read(connect(Password('reader', 'pw'))).repositories
    known = plan_of(read())
    assert plan_of(read(connect(Password('reader', 'pw')))) == known
    image_in(registry.storage, 'team/app', 'new')
    assert not read(connect(Password('reader', 'pw'))).repositories


# What the registry no longer has


def test_deleted_manifests_and_repositories_leave_the_cache(registry, read, path):
    for text in 'abcdef':
        image_in(registry.storage, 'team/app', text)
        image_in(registry.storage, 'team/gone', text)
    read()
    assert describe(path).manifests == 12
    registry.storage.delete_manifest('team/app', sorted(registry.storage.manifests('team/app'))[0])
    registry.storage.delete_repository('team/gone')
    read()
    assert describe(path).manifests == 5


def test_an_unread_repository_keeps_its_rows(registry, read, path, waits):
    names = built(registry, shares=Shares(ghosts=0))
    read()
    registry.faults.rules.append(Fault(f'{names[0]}/_manifests', 503))
    read()
    assert describe(path).manifests == 150


def test_repositories_given_by_name_without_the_catalog_push_out_no_others(registry, read, connect, path):
    names = built(registry, shares=Shares(ghosts=0))
    read()
    registry.auth.add_user('reader', 'pw', catalog=False)
    read(connect(Password('reader', 'pw')), selection=Selection((glob(names[0]),)))
    assert describe(path).manifests == 150


@pytest.mark.parametrize('bound', [False, True])
def test_repositories_that_were_not_selected_stay_known(registry, read, path, bound):
    names = built(registry, shares=Shares(ghosts=0))
    read()
    read(selection=Selection((glob(names[0]),)), bound=bound)
    assert describe(path).manifests == 150


def test_an_interrupted_scan_keeps_what_it_read(registry, connect, path):
    built(registry, shares=Shares(ghosts=0))
    seen = []

    class Interrupted(Silent):
        def manifest_read(self):
            seen.append(1)
            if len(seen) == 60:
                raise KeyboardInterrupt

    cache = ManifestCache(path, 1)
    with pytest.raises(KeyboardInterrupt):
        scan(connect(), 'localhost', Extent(concurrency=4), Interrupted(), cache)
    cache.close()
    assert 60 <= describe(path).manifests < 150


def test_images_that_share_bytes_are_each_read_in_their_own_repository(registry, read):
    data = image('shared')
    for name in ('team/a', 'team/b'):
        put(registry.storage, name, data)
    read()
    assert registry.counters['manifest_get'] == 2
    put(registry.storage, 'team/c', data)
    read()
    assert registry.counters['manifest_get'] == 1


# Reading anew


def test_a_scan_anew_reads_what_is_known_too_and_makes_it_forget_what_is_a_ghost(registry, read):
    names = built(registry, shares=Shares(ghosts=0))
    read()
    name = names[0]
    gone = sorted(registry.storage.manifests(name))[0]
    registry.storage.make_ghost(name, gone)
    warm = {each.name: each for each in read().repositories}
    assert warm[name].manifests[gone].content != Ghost() and reads(registry) == {}
    anew = {each.name: each for each in read(anew=True).repositories}
    assert anew[name].manifests[gone].content == Ghost() and sum(reads(registry).values()) == 150
    after = {each.name: each for each in read().repositories}
    assert after[name].manifests[gone].content == Ghost() and sum(reads(registry).values()) == 1
