"""Walking the local registry: what is asked for, how often, and what becomes of trouble on the way."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest

from azext_acrprune.inventory.scan import Extent, UnknownRepository
from azext_acrprune.model import UNREAD_REPOSITORY, Content, Ghost, NotRead, Unreadable
from azext_acrprune.policy.patterns import glob
from azext_acrprune.policy.rules import Selection
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.protocol.tokens import Password
from azext_acrprune.reporter import Silent
from tests.registry.auth import ALL
from tests.registry.builder import Shares, build
from tests.registry.faults import Fault
from tests.wire.conftest import refresh_token
from tests.wire.images import image_in, index_in
from tests.wire.plain import scan

NOW = 1_700_000_000.0
GHOSTLY = Shares(ghosts=0.2, referrers=0.6, cosign=0.4, locked=0.2)


def read_all(client, patterns=(), **extent):
    return scan(client, 'localhost', Extent(Selection(tuple(map(glob, patterns))), **extent), Silent())


def built(registry, repositories=12, manifests=150, shares=Shares()):
    return build(registry.storage, 7, repositories, manifests, NOW, shares)


def by_name(inventory):
    return {repository.name: repository for repository in inventory.repositories}


def reads(registry):
    return Counter(path for method, path, _ in registry.requests if '/manifests/' in path and method == 'GET')


def once(pattern, change):
    """A hook that makes a change right before the first request that contains `pattern`."""
    pending = [change]

    def hook(method, path):
        if pending and pattern in f'{method} {path}':
            pending.pop()()

    return hook


# How much is asked for


def test_each_manifest_is_fetched_once_with_one_token_and_no_challenge(registry, connect):
    names = built(registry)
    inventory = read_all(connect())
    wanted = {f'/v2/{name}/manifests/{digest}' for name in names for digest in registry.storage.manifests(name)}
    assert reads(registry) == Counter(wanted)
    assert len(wanted) >= 150
    assert (registry.counters['token'], registry.counters['challenge']) == (1, 0)
    assert (inventory.complete, inventory.warnings) == (True, ())


def test_a_scan_costs_manifests_and_pages_and_repositories_and_little_more(registry, connect):
    built(registry)
    registry.metadata.cap = 20
    read_all(connect())
    pages = registry.counters['catalog'] + registry.counters['manifests_page'] + registry.counters['tags_page']
    assert len(registry.requests) <= registry.counters['manifest_get'] + pages + 12 + 20


def test_a_scan_sends_nothing_that_changes_anything(registry, connect):
    built(registry)
    read_all(connect())
    assert {(method, path) for method, path, _ in registry.requests if method != 'GET'} == {('POST', '/oauth2/token')}


def test_everything_that_is_stored_is_in_the_inventory(registry, connect):
    names = built(registry, shares=GHOSTLY)
    inventory = read_all(connect())
    assert list(by_name(inventory)) == sorted(names)
    for name in names:
        records = registry.storage.manifests(name)
        manifests = by_name(inventory)[name].manifests
        assert list(manifests) == sorted(records)
        assert {digest: isinstance(manifest.content, Ghost) for digest, manifest in manifests.items()} == {
            digest: record.ghost for digest, record in records.items()
        }
        assert {digest: list(manifest.tags) for digest, manifest in manifests.items()} == {
            digest: registry.storage.tags_on(name, digest) for digest in records
        }


def test_small_pages_give_the_same_inventory(registry, connect):
    built(registry, shares=GHOSTLY)
    whole = read_all(connect())
    registry.metadata.cap = 4
    assert read_all(connect()) == whole


def test_concurrency_of_one_gives_the_same_inventory(registry, connect):
    built(registry, 5, 40)
    assert read_all(connect(), concurrency=1) == read_all(connect())


@pytest.mark.parametrize('concurrency', [1, 4, 32])
def test_no_more_requests_are_in_flight_than_allowed(registry, connect, flights, concurrency):
    built(registry)
    registry.faults.latency = 0.03
    read_all(connect(), concurrency=concurrency)
    assert concurrency // 2 < flights.most_together <= concurrency


def test_a_bound_reads_only_what_safety_needs(registry, connect):
    names = built(registry, shares=Shares(docker=1, tagged=0.7))
    inventory = read_all(connect(), patterns=(names[0], names[1]), bound=True)
    listed = {path for _, path, _ in registry.requests if path.endswith('_manifests')}
    tagged = {
        digest
        for name in names[:2]
        for digest in registry.storage.manifests(name)
        if registry.storage.tags_on(name, digest)
    }
    assert listed == {f'/acr/v1/{name}/_manifests' for name in names[:2]}
    assert set(by_name(inventory)) == inventory.selected == set(names[:2])
    assert 0 < registry.counters['manifest_get'] <= 40
    assert not inventory.complete
    unread = {
        digest
        for repository in inventory.repositories
        for digest, manifest in repository.manifests.items()
        if isinstance(manifest.content, NotRead)
    }
    assert unread and unread <= tagged


def test_selection_narrows_what_may_go_and_not_what_is_read(registry, connect):
    names = built(registry)
    inventory = read_all(connect(), patterns=('team-0/**',))
    assert len(inventory.repositories) == len(names)
    assert inventory.selected == {name for name in names if name.startswith('team-0/')}
    assert inventory.complete


def test_an_unknown_repository_is_an_error_before_anything_is_listed(registry, connect):
    built(registry)
    client = connect()
    with pytest.raises(UnknownRepository, match='team/none'):
        read_all(client, patterns=('team/none',))
    assert registry.counters['manifests_page'] == 0


def test_locks_of_tags_and_repositories_are_read_where_they_can_save_something(registry, connect):
    signed = image_in(registry.storage, 'team/app', 'signed')
    image_in(registry.storage, 'team/app', 'signature', tag=signed.replace(':', '-') + '.sig')
    image_in(registry.storage, 'team/tagged', 'kept anyway', tag='v1')
    registry.storage.set_locks('team/app', tag=signed.replace(':', '-') + '.sig', deleteEnabled=False)
    registry.storage.set_locks('team/app', writeEnabled=False)
    repository = by_name(read_all(connect()))['team/app']
    assert [tag.name for tag in repository.tags.values() if tag.locks.locked] == [signed.replace(':', '-') + '.sig']
    assert not repository.locks.write_enabled
    assert (registry.counters['tags_page'], registry.counters['repository_get']) == (1, 2)


# Tokens


def test_abac_registry_is_read_with_a_token_for_ten_repositories(registry, connect):
    names = built(registry, 25, 75)
    registry.auth.abac = True
    inventory = read_all(connect(refresh_token(registry.auth)))
    assert set(by_name(inventory)) == set(names)
    assert (registry.counters['token'], registry.counters['challenge']) == (1 + 3, 0)


def test_a_wildcard_dropped_silently_costs_no_challenge(registry, connect):
    names = built(registry, 25, 75)
    credential = refresh_token(registry.auth)
    registry.auth.abac = True
    inventory = read_all(connect(credential))
    assert set(by_name(inventory)) == set(names)
    assert (registry.counters['token'], registry.counters['challenge']) == (1 + 3, 0)


@pytest.mark.parametrize('abac, tokens', [(False, 2), (True, 1 + 3 + 3)])
def test_tokens_that_expire_in_mid_scan_are_renewed_once_for_all_threads(registry, connect, abac, tokens):
    built(registry, 25, 300)
    registry.auth.abac = abac
    client = connect(refresh_token(registry.auth))
    quiet = read_all(client)
    registry.auth.clock = time.time
    client = connect(refresh_token(registry.auth))
    registry.forget()
    fetched = []

    def expire(_, path):
        """Not while a token is on its way: it would be refused at once, which is another trouble."""
        fetched.append(path)
        if len(fetched) >= 150 and not any('/oauth2/' in each for each in fetched[-40:]):
            registry.on_request = None
            registry.auth.clock = lambda: time.time() + 5000

    registry.on_request = expire
    assert read_all(client) == quiet
    assert registry.on_request is None
    assert registry.counters['token'] <= tokens
    assert 1 <= registry.counters['challenge'] <= 32 * 3  # a token for ten repositories may be refused so often


# Repositories that cannot be read


@pytest.mark.parametrize(
    'granted, action',
    [(frozenset(), 'metadata_read'), (ALL - {'metadata_read'}, 'metadata_read'), (ALL - {'pull'}, 'pull')],
)
def test_a_forbidden_repository_is_left_out_and_the_rest_goes_on(registry, connect, granted, action):
    names = built(registry)
    registry.auth.add_user('reader', 'pw', [(names[3], granted), ('*', ALL)])
    inventory = read_all(connect(Password('reader', 'pw')))
    (warning,) = inventory.warnings
    assert (warning.code, warning.repository) == ('repositoryNotRead', names[3])
    assert f'It needs the permission {action}.' in warning.message
    assert set(by_name(inventory)) == set(names) - {names[3]}
    assert not inventory.complete
    assert registry.counters['token'] == 1


def test_a_forbidden_repository_on_an_abac_registry_is_left_out(registry, connect):
    names = built(registry)
    registry.auth.abac = True
    registry.auth.service_principal.permissions[:] = [(names[3], frozenset()), ('*', ALL)]
    inventory = read_all(connect(refresh_token(registry.auth)))
    assert [warning.repository for warning in inventory.warnings] == [names[3]]
    assert set(by_name(inventory)) == set(names) - {names[3]}
    assert registry.counters['token'] == 1 + 2


def test_repositories_given_by_name_need_no_catalog(registry, connect):
    names = built(registry)
    registry.auth.add_user('reader', 'pw', catalog=False)
    inventory = read_all(connect(Password('reader', 'pw')), patterns=(names[2], names[1]))
    assert list(by_name(inventory)) == [names[1], names[2]]
    assert [warning.code for warning in inventory.warnings] == ['catalogForbidden']
    assert not inventory.complete
    assert registry.counters['token'] == 1


def test_a_repository_given_by_name_that_is_not_there_is_an_error_without_the_catalog_too(registry, connect):
    image_in(registry.storage, 'team/app', 'image')
    registry.auth.add_user('reader', 'pw', catalog=False)
    client = connect(Password('reader', 'pw'))
    asked = Selection((glob('team/app'), glob('team/ap')))
    with pytest.raises(UnknownRepository, match='team/ap$'):
        scan(client, 'localhost', Extent(asked), Silent())
    not_required = Selection((), ((glob('team/app'), glob('team/ap')),))
    inventory = scan(client, 'localhost', Extent(not_required), Silent())
    assert [repository.name for repository in inventory.repositories] == ['team/app']


@pytest.mark.parametrize('patterns', [(), ('team-*/**',), ('team-0/app-0000', 'team-*')])
def test_without_the_catalog_patterns_are_forbidden(registry, connect, patterns):
    built(registry)
    registry.auth.add_user('reader', 'pw', catalog=False)
    client = connect(Password('reader', 'pw'))
    with pytest.raises(RegistryError) as raised:
        read_all(client, patterns=patterns)
    assert raised.value.kind is Kind.FORBIDDEN
    assert registry.counters['token'] == 1


def test_a_listing_that_stays_broken_leaves_its_repository_out(registry, connect, waits):
    names = built(registry)
    registry.faults.rules.append(Fault(f'{names[4]}/_manifests', 503))
    inventory = read_all(connect())
    assert [warning.repository for warning in inventory.warnings] == [names[4]]
    assert set(by_name(inventory)) == set(names) - {names[4]}
    assert waits


def test_a_listing_that_is_none_never_passes_for_an_empty_repository(registry, connect):
    names = built(registry)
    registry.faults.rules.append(Fault(f'{names[4]}/_manifests', 'garbage'))
    inventory = read_all(connect())
    assert [warning.repository for warning in inventory.warnings] == [names[4]]
    assert set(by_name(inventory)) == set(names) - {names[4]}
    assert not (inventory.complete or inventory.whole)


def test_where_no_listing_is_one_it_is_no_registry(registry, connect):
    built(registry)
    registry.faults.rules.append(Fault('/_manifests', 'proxy'))
    client = connect()
    with pytest.raises(RegistryError) as raised:
        read_all(client)
    assert raised.value.kind is Kind.NOT_A_REGISTRY


@pytest.mark.parametrize('odd', ['Team/App', 'team//app', ' team/app', 'team/app\u202e', '../v2', '', 'a' * 500 + '!'])
def test_a_repository_whose_name_is_none_is_named_and_the_rest_is_read(registry, connect, odd):
    names = built(registry)
    image_in(registry.storage, odd, 'image')
    inventory = read_all(connect())
    (warning,) = inventory.warnings
    assert warning.code == UNREAD_REPOSITORY and str(warning.repository).isprintable()
    assert warning.repository == odd or len(odd) > 100 or '\\u{202e}' in str(warning.repository)
    assert set(by_name(inventory)) == set(names) and not (inventory.complete or inventory.whole)
    assert not any(path.startswith(f'/acr/v1/{odd}/') for _, path, _ in registry.requests)


@pytest.mark.parametrize('asked', [(), ('Team/App',), ('team-*/**',)])
def test_an_odd_repository_is_no_unknown_one(registry, connect, asked):
    built(registry)
    image_in(registry.storage, 'Team/App', 'image')
    inventory = read_all(connect(), patterns=asked)
    assert [warning.repository for warning in inventory.warnings] == ['Team/App']
    assert 'Team/App' not in inventory.selected


def odd_tag(storage, repository):
    image_in(storage, repository, 'odd', tag='v 1')


def odd_digest(storage, repository):
    record = next(iter(storage.manifests(repository).values()))
    storage.state(repository).manifests['sha256:../..'] = replace(record, digest='sha256:../..')


def odd_locks(storage, repository):
    storage.state(repository).flags['DeleteEnabled'] = False


@pytest.mark.parametrize('odd', [odd_tag, odd_digest, odd_locks])
def test_a_repository_with_something_odd_in_its_lists_is_named_and_the_rest_is_read(registry, connect, odd):
    names = built(registry)
    odd(registry.storage, names[4])
    inventory = read_all(connect())
    assert [(warning.code, warning.repository) for warning in inventory.warnings] == [(UNREAD_REPOSITORY, names[4])]
    assert 'is not as a registry writes it' in inventory.warnings[0].message
    assert set(by_name(inventory)) == set(names) - {names[4]}
    assert not (inventory.complete or inventory.whole)


def test_the_only_repository_is_named_where_something_is_odd_in_it(registry, connect):
    image_in(registry.storage, 'team/app', 'odd', tag='v 1')
    inventory = read_all(connect())
    assert [warning.repository for warning in inventory.warnings] == ['team/app'] and not inventory.repositories


def test_a_repository_deleted_since_the_catalog_was_read_is_no_trouble(registry, connect):
    names = built(registry)
    registry.on_request = once(f'{names[5]}/_manifests', lambda: drop(registry.storage, names[5]))
    inventory = read_all(connect())
    assert set(by_name(inventory)) == set(names) - {names[5]}
    assert (inventory.complete, inventory.warnings) == (True, ())


def test_a_repository_deleted_while_its_manifests_are_read_is_no_trouble(registry, connect):
    names = built(registry, shares=Shares(locked=0))
    registry.on_request = once(f'{names[5]}/manifests/', lambda: drop(registry.storage, names[5]))
    inventory = read_all(connect())
    assert inventory.warnings == ()
    left = by_name(inventory).get(names[5])
    assert left is None or all(isinstance(manifest.content, Ghost) for manifest in left.manifests.values())


def drop(storage, repository):
    storage.set_locks(repository, deleteEnabled=True, writeEnabled=True)
    for digest in list(storage.manifests(repository)):
        storage.set_locks(repository, digest=digest, deleteEnabled=True, writeEnabled=True)
    storage.delete_repository(repository)


# Manifests that cannot be read


def test_ghosts_and_unreadable_manifests_are_told_apart(registry, connect, waits):
    storage = registry.storage
    whole, ghost, garbage, cut, broken = (
        image_in(storage, 'team/app', text) for text in ('whole', 'ghost', 'garbage', 'cut', 'broken')
    )
    storage.make_ghost('team/app', ghost)
    registry.faults.rules += [Fault(garbage, 'garbage'), Fault(cut, 'truncated'), Fault(broken, 500)]
    manifests = by_name(read_all(connect()))['team/app'].manifests
    contents = {digest: manifest.content for digest, manifest in manifests.items()}
    assert isinstance(contents[whole], Content)
    assert contents[ghost] == Ghost()
    assert contents[garbage] == contents[cut] == Unreadable('its bytes do not match its digest')
    assert contents[broken] == Unreadable('the registry answered with status 500')


def test_one_manifest_that_breaks_every_connection_is_unreadable_and_the_rest_goes_on(registry, connect, waits):
    names = built(registry)
    digest = sorted(registry.storage.manifests(names[0]))[0]
    registry.faults.rules.append(Fault(digest, 'reset'))
    inventory = read_all(connect())
    unreadable = [
        other
        for repository in inventory.repositories
        for other, manifest in repository.manifests.items()
        if isinstance(manifest.content, Unreadable)
    ]
    assert unreadable == [digest]
    assert waits


def test_a_network_that_goes_down_in_mid_scan_ends_it(registry, connect, waits):
    built(registry, 12, 150)
    registry.faults.rules.append(Fault('/manifests/', 'reset'))
    client = connect()
    with pytest.raises(RegistryError) as raised:
        read_all(client, concurrency=4)
    assert raised.value.kind is Kind.UNREACHABLE


def test_an_index_names_its_children(registry, connect):
    storage = registry.storage
    child = image_in(storage, 'team/app', 'child')
    index = index_in(storage, 'team/app', [child], tag='v1')
    manifests = by_name(read_all(connect()))['team/app'].manifests
    assert manifests[index].content.children == (child,)


# Noise


@pytest.mark.parametrize('seed', range(2))
@pytest.mark.parametrize(
    'noise',
    [
        [Fault('.', 500, 0.05)],
        [Fault('.', 503, 0.05, retry_after=1)],
        [Fault('.', 'reset', 0.05)],
        [Fault('.', 429, 0.05)],
        [Fault('.', 429, 0.05, retry_after=0)],
        [Fault('.', 429, 0.05, retry_after=1)],
        [Fault('.', 500, 0.02), Fault('.', 503, 0.02), Fault('.', 'reset', 0.02), Fault('.', 429, 0.02)],
    ],
    ids=lambda rules: (
        '+'.join(f'{rule.kind}/{rule.retry_after}' for rule in rules) if isinstance(rules, list) else None
    ),
)
def test_a_noisy_run_gives_the_inventory_of_a_quiet_one(registry, connect, waits, noise, seed):
    built(registry, shares=GHOSTLY)
    quiet = read_all(connect())
    registry.faults.__init__(seed)
    registry.faults.rules += noise
    assert read_all(connect()) == quiet
    assert waits or {rule.kind for rule in noise} == {'reset'}  # a kept connection that is gone is no answer


def test_a_404_that_is_not_the_registry_s_own_makes_no_ghost(registry, connect):
    child = image_in(registry.storage, 'team/app', 'child')
    index = index_in(registry.storage, 'team/app', [child], tag='v1')
    registry.faults.rules.append(Fault(f'GET /v2/team/app/manifests/{index}', 404))
    inventory = read_all(connect())
    assert isinstance(inventory.repositories[0].manifests[index].content, Unreadable)


def test_a_repository_behind_a_404_that_is_not_the_registry_s_own_is_not_taken_for_gone(registry, connect):
    image_in(registry.storage, 'team/app', 'image')
    registry.faults.rules.append(Fault('GET /acr/v1/team/app/_manifests', 404))
    inventory = read_all(connect())
    assert not inventory.complete
    assert [warning.repository for warning in inventory.warnings] == ['team/app']
