"""The verbs of the client: pages, tokens, failing answers, and what is tried again."""

from __future__ import annotations

import time
from functools import partial

import pytest

from azext_acrprune.model import Locks
from azext_acrprune.registry.permit import Late, Permit
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.protocol.tokens import Password
from tests.registry import metadata
from tests.registry.auth import ALL
from tests.registry.faults import Fault
from tests.wire.conftest import not_again, refresh_token
from tests.wire.images import image_in

HOUR = 3600


def kind_of(call):
    with pytest.raises(RegistryError) as raised:
        call()
    return raised.value.kind


def fill(storage, count, repository='team/app'):
    return [image_in(storage, repository, f'image {number}') for number in range(count)]


def everything(pages):
    return [item for page in pages for item in page]


def links_to(target):
    def page(call, items, key, cap):
        return items or None, {'Link': f'<{target}>; rel="next"'}

    return page


# Pages


@pytest.mark.parametrize('cap, pages', [(3, 4), (5, 3), (1, 11), (1000, 1)])
def test_every_page_of_a_listing_is_read(registry, connect, cap, pages):
    digests = fill(registry.storage, 10)
    registry.metadata.cap = cap
    found = everything(connect().manifests('team/app'))
    assert [manifest.digest for manifest in found] == sorted(digests)
    assert registry.counters['manifests_page'] == pages


def test_a_full_last_page_leads_to_one_that_is_null(registry, connect):
    fill(registry.storage, 4)
    registry.metadata.cap = 2
    assert [len(page) for page in connect().manifests('team/app')] == [2, 2, 0]


def test_every_page_of_the_catalog_is_read(registry, connect):
    for number in range(7):
        fill(registry.storage, 1, f'team-{number}/app')
    registry.metadata.cap = 2
    assert everything(connect().repositories()) == [f'team-{number}/app' for number in range(7)]
    assert registry.counters['catalog'] == 4


def test_an_empty_registry_has_an_empty_catalog(connect):
    assert everything(connect().repositories()) == []


def test_tags_are_given_with_their_locks_from_all_pages(registry, connect):
    for number in range(5):
        image_in(registry.storage, 'team/app', f'image {number}', tag=f'v{number}')
    registry.storage.set_locks('team/app', tag='v1', deleteEnabled=False)
    registry.storage.set_locks('team/app', tag='v4', writeEnabled=False)
    registry.metadata.cap = 2
    pages = list(connect().tags('team/app'))
    assert [[tag.name for tag in page] for page in pages] == [['v0', 'v1'], ['v2', 'v3'], ['v4']]
    locked = {tag.name: tag.locks for page in pages for tag in page if tag.locks.locked}
    assert locked == {'v1': Locks(delete_enabled=False), 'v4': Locks(write_enabled=False)}


def test_pages_that_lead_in_a_circle_are_an_error(registry, connect, monkeypatch):
    fill(registry.storage, 1)
    monkeypatch.setattr(metadata, 'page', links_to('/acr/v1/_catalog?last=same&n=1'))
    client = connect()
    assert kind_of(lambda: everything(client.repositories())) is Kind.NOT_A_REGISTRY
    assert registry.counters['catalog'] == 2


@pytest.mark.parametrize('target', ['https://localhost:1/acr/v1/_catalog', '//evil.example/acr/v1/_catalog'])
def test_our_token_does_not_follow_a_link_to_another_host(registry, connect, monkeypatch, target):
    fill(registry.storage, 1)
    monkeypatch.setattr(metadata, 'page', links_to(target))
    client = connect()
    assert kind_of(lambda: everything(client.repositories())) is Kind.NOT_A_REGISTRY
    assert registry.counters['catalog'] == 1


@pytest.mark.parametrize('listing', ['repositories', 'manifests', 'tags'])
def test_an_answer_that_is_no_listing_is_not_taken_for_an_empty_one(registry, connect, listing):
    fill(registry.storage, 1)
    registry.faults.rules.append(Fault('GET /acr/v1/', 'garbage'))
    client = connect()
    arguments = () if listing == 'repositories' else ('team/app',)
    assert kind_of(lambda: everything(getattr(client, listing)(*arguments))) is Kind.NOT_A_REGISTRY


def test_a_listing_that_is_cut_short_is_an_error(registry, connect):
    fill(registry.storage, 3)
    registry.faults.rules.append(Fault('_manifests', 'truncated'))
    client = connect()
    assert kind_of(lambda: everything(client.manifests('team/app'))) is Kind.NOT_A_REGISTRY


# Verbs


def test_bytes_of_a_manifest_come_as_they_are(registry, connect):
    (digest,) = fill(registry.storage, 1)
    assert connect().manifest('team/app', digest) == registry.storage.manifest('team/app', digest).data


def test_locks_of_a_repository(registry, connect):
    fill(registry.storage, 1)
    client = connect()
    assert client.repository_facts('team/app').locks == Locks()
    registry.storage.set_locks('team/app', writeEnabled=False)
    assert client.repository_facts('team/app').locks == Locks(write_enabled=False)


def test_deleting_takes_the_manifest_and_its_tags(registry, connect):
    gone = image_in(registry.storage, 'team/app', 'gone', tag='v1')
    image_in(registry.storage, 'team/app', 'stays')
    connect().delete_manifest('team/app', gone)
    assert gone not in registry.storage.manifests('team/app')
    assert registry.storage.tags('team/app') == {}


def test_failing_answers_are_errors_of_their_kind(registry, connect):
    locked, ghost, free = fill(registry.storage, 3)
    registry.storage.set_locks('team/app', digest=locked, writeEnabled=False)
    registry.storage.make_ghost('team/app', ghost)
    client = connect()
    assert kind_of(lambda: client.delete_manifest('team/app', locked)) is Kind.LOCKED
    assert kind_of(lambda: client.manifest('team/app', ghost)) is Kind.NOT_FOUND
    assert kind_of(lambda: client.delete_manifest('team/none', free)) is Kind.NOT_FOUND
    assert kind_of(lambda: everything(client.manifests('team/none'))) is Kind.NOT_FOUND
    assert kind_of(lambda: client.repository_facts('UPPER')) is Kind.UNAVAILABLE


def test_a_wrong_password_is_an_error_after_one_try(registry, connect):
    client = connect(Password('nobody', 'wrong'))
    assert kind_of(lambda: everything(client.repositories())) is Kind.UNAUTHENTICATED
    assert len(registry.requests) == 1


def test_a_missing_permission_names_the_action_and_spends_no_token(registry, connect):
    (digest,) = fill(registry.storage, 1)
    registry.auth.add_user('reader', 'pw', [('*', ALL - {'delete'})])
    client = connect(Password('reader', 'pw'))
    with pytest.raises(RegistryError) as raised:
        client.delete_manifest('team/app', digest)
    assert (raised.value.kind, raised.value.actions) == (Kind.FORBIDDEN, ('delete',))
    assert (registry.counters['token'], registry.counters['challenge']) == (1, 1)


# What is no answer of the registry

PAGE = Fault.body
ODD_ANSWERS = [(200, PAGE), (200, b''), (202, PAGE), (202, b'{"queued": true}'), (204, b''), (302, PAGE), (405, PAGE)]


@pytest.mark.parametrize('status, body', ODD_ANSWERS)
def test_what_something_on_the_way_answers_to_a_deletion_is_none(registry, connect, status, body):
    digest = image_in(registry.storage, 'team/app', 'image', tag='v1')
    registry.faults.rules.append(Fault('DELETE', 'proxy', status=status, body=body))
    client = connect()
    kinds = {
        kind_of(lambda: client.delete_manifest('team/app', digest)),
        kind_of(lambda: client.delete_tag('team/app', 'v1', digest)),
    }
    assert kinds <= {Kind.NOT_A_REGISTRY, Kind.UNAVAILABLE}


SHOWN = b'{"manifest": {"digest": "sha256:%s", "changeableAttributes": {"deleteEnabled": true}}}' % (b'a' * 64)


@pytest.mark.parametrize('status, body', [*ODD_ANSWERS, (200, b'{}'), (200, SHOWN)])
def test_what_something_on_the_way_answers_to_a_lock_is_none(registry, connect, status, body):
    digest = image_in(registry.storage, 'team/app', 'image', tag='v1')
    registry.faults.rules.append(Fault('PATCH', 'proxy', status=status, body=body))
    client = connect()
    kinds = {
        kind_of(lambda: client.set_manifest_locks('team/app', digest, Locks(delete_enabled=False))),
        kind_of(lambda: client.set_tag_locks('team/app', 'v1', Locks(delete_enabled=False))),
        kind_of(lambda: client.set_delete_enabled('team/app', digest, False)),
    }
    assert kinds <= {Kind.NOT_A_REGISTRY, Kind.UNAVAILABLE}


def test_a_page_for_people_restores_and_mounts_nothing(registry, connect):
    digest = image_in(registry.storage, 'team/app', 'image')
    registry.faults.rules.append(Fault('POST /(acr|v2)', 'proxy', status=201))
    client = connect()
    assert kind_of(lambda: client.restore_deleted('team/app', digest)) is Kind.NOT_A_REGISTRY
    assert kind_of(lambda: client.mount_blob('team/app', digest, 'team/other')) is Kind.NOT_A_REGISTRY


# Tokens


def test_an_access_token_that_expires_meanwhile_is_renewed_once(registry, connect):
    (digest,) = fill(registry.storage, 1)
    client = connect()
    client.manifest('team/app', digest)
    registry.auth.clock = lambda: time.time() + 2 * HOUR
    client.manifest('team/app', digest)
    client.manifest('team/app', digest)
    assert (registry.counters['token'], registry.counters['challenge']) == (2, 1)


def test_a_revoked_token_is_renewed(registry, connect):
    (digest,) = fill(registry.storage, 1)
    client = connect()
    client.manifest('team/app', digest)
    registry.auth.revoked.update(registry.auth.issued)
    client.manifest('team/app', digest)
    assert registry.counters['token'] == 2


def counted_sign_in(registry):
    """(a list that grows with each sign-in, what signs in)."""
    asked = []

    def sign_in():
        asked.append(1)
        return refresh_token(registry.auth)

    return asked, sign_in


def test_an_expired_refresh_token_signs_in_again(registry, connect):
    fill(registry.storage, 1)
    registry.auth.clock = lambda: time.time() - 4 * HOUR
    expired = refresh_token(registry.auth)
    registry.auth.clock = time.time
    asked, sign_in = counted_sign_in(registry)
    client = connect(expired, sign_in, seconds_ago=4 * HOUR)
    assert everything(client.repositories()) == ['team/app']
    assert asked == [1]
    assert [status for _, path, status in registry.requests if path == '/oauth2/token'] == [200]


def test_a_refresh_token_that_is_refused_before_its_time_leads_to_one_new_sign_in(registry, connect, waits):
    """As after a revoked session."""
    (digest,) = fill(registry.storage, 1)
    asked, sign_in = counted_sign_in(registry)
    client = connect(refresh_token(registry.auth), sign_in)
    client.manifest('team/app', digest)
    registry.auth.revoked.update(registry.auth.issued)
    client.together([partial(client.real.manifest, 'team/app', digest)] * 32, 32)
    assert (asked, waits) == ([1], [])


def test_a_clock_of_the_service_that_is_set_leads_to_one_new_sign_in(registry, connect, waits):
    (digest,) = fill(registry.storage, 1)
    asked, sign_in = counted_sign_in(registry)
    client = connect(refresh_token(registry.auth), sign_in)
    client.manifest('team/app', digest)
    registry.auth.clock = lambda: time.time() + 5 * HOUR
    client.manifest('team/app', digest)
    assert (asked, waits) == ([1], [])


def test_a_switch_of_the_mode_in_mid_run_is_waited_out(registry, connect, waits):
    (digest,) = fill(registry.storage, 1)
    client = connect(refresh_token(registry.auth), lambda: refresh_token(registry.auth))
    client.manifest('team/app', digest)
    registry.auth.switch_mode()
    registry.on_request = lambda *_: setattr(registry.auth, 'refuses_all', sum(waits) < 100)
    client.together([partial(client.real.manifest, 'team/app', digest)] * 32, 32)
    assert waits == [5, 10, 20, 30, 30, 30]
    assert registry.auth.issued and registry.counters['challenge'] < 32 * 8


def test_a_switch_of_the_mode_that_does_not_end_is_said_and_is_no_missing_permission(registry, connect, waits):
    (digest,) = fill(registry.storage, 1)
    client = connect(refresh_token(registry.auth), lambda: refresh_token(registry.auth))
    client.manifest('team/app', digest)
    registry.auth.switch_mode()
    with pytest.raises(RegistryError, match='refused every token for 5 minutes') as raised:
        client.manifest('team/app', digest)
    assert raised.value.kind is Kind.UNAUTHENTICATED and 'no missing permission' in raised.value.advice
    assert 295 <= sum(waits) <= 330


@pytest.mark.parametrize('body', [b'{}', b'[]', b'null', b'{"access_token": ', b'[' * 200_000])
def test_an_answer_without_a_token_is_told_as_one(registry, connect, body):
    registry.faults.rules.append(Fault('/oauth2/token', 'proxy', body=body))
    with pytest.raises(RegistryError, match='has no token in it') as raised:
        everything(connect().repositories())
    assert raised.value.kind is Kind.NOT_A_REGISTRY


def test_a_page_in_the_place_of_a_token_is_waited_out_in_mid_run(registry, connect, waits):
    (digest,) = fill(registry.storage, 1)
    client = connect(refresh_token(registry.auth), lambda: refresh_token(registry.auth))
    client.manifest('team/app', digest)
    registry.auth.revoked.update(registry.auth.issued)
    registry.faults.rules.append(Fault('/oauth2/token', 'garbage', times=3))
    client.manifest('team/app', digest)
    assert sum(waits) == 15


def test_a_password_that_is_refused_is_not_waited_for(registry, connect, waits):
    (digest,) = fill(registry.storage, 1)
    client = connect()
    client.manifest('team/app', digest)
    registry.auth.revoked.update(registry.auth.issued)
    registry.auth.admin_enabled = False
    with pytest.raises(RegistryError) as raised:
        client.manifest('team/app', digest)
    assert (raised.value.kind, waits) == (Kind.UNAUTHENTICATED, [])


def test_a_refresh_token_serves_the_whole_registry(registry, connect):
    fill(registry.storage, 1)
    client = connect(refresh_token(registry.auth), not_again)
    assert everything(client.repositories()) == ['team/app']
    assert len(everything(client.manifests('team/app'))) == 1
    assert (registry.counters['token'], registry.counters['challenge']) == (1, 0)


def test_a_password_in_a_netrc_file_does_not_take_the_place_of_our_token(registry, connect, monkeypatch, tmp_path):
    fill(registry.storage, 1)
    netrc = tmp_path / 'netrc'
    netrc.write_text('machine localhost login somebody password else\n')
    monkeypatch.setenv('NETRC', str(netrc))
    assert everything(connect().repositories()) == ['team/app']
    assert registry.counters['challenge'] == 0


# Trying again


@pytest.mark.parametrize(
    'status, retry_after, wanted',
    [
        (429, 1, lambda seconds: 0.9 < seconds <= 1),
        (429, 9, lambda seconds: 8.9 < seconds <= 9),
        (429, 0, lambda seconds: 0.4 < seconds <= 0.5),
        (429, None, lambda seconds: 0.4 < seconds <= 0.5),
        (503, 2, lambda seconds: seconds == 2),
        (503, None, lambda seconds: 0.2 <= seconds <= 0.4),
        (500, None, lambda seconds: 0.2 <= seconds <= 0.4),
        ('reset', None, lambda seconds: 0.2 <= seconds <= 0.4),
    ],
)
@pytest.mark.parametrize('pattern', ['POST /oauth2/token', 'GET /acr/v1/_catalog', 'DELETE'])
def test_a_busy_server_is_asked_again_after_the_right_time(
    registry, connect, waits, pattern, status, retry_after, wanted
):
    (digest,) = fill(registry.storage, 1)
    # A connection that was kept and turns out to be gone is no answer: aiohttp takes another one at once.
    times = 2 if status == 'reset' and not pattern.startswith('POST') else 1
    registry.faults.rules.append(Fault(pattern, status, times=times, retry_after=retry_after))
    client = connect()
    assert everything(client.repositories()) == ['team/app']
    client.delete_manifest('team/app', digest, Permit(lambda: 0))
    assert len(waits) == 1 and wanted(waits[0])


def test_refusals_use_up_none_of_the_tries_that_a_broken_server_gets(registry, connect, waits):
    registry.faults.rules += [Fault('_catalog', 429, times=12), Fault('_catalog', 503, times=8)]
    assert everything(connect().repositories()) == []
    assert [status for _, path, status in registry.requests if '_catalog' in path] == [429] * 12 + [503] * 8 + [200]


def test_no_server_makes_a_call_wait_for_more_than_a_minute(registry, connect, waits):
    registry.faults.rules.append(Fault('GET /acr/v1/_catalog', 429, times=1, retry_after=3600))
    assert everything(connect().repositories()) == []
    assert len(waits) == 1 and 59.9 < waits[0] <= 60


def test_a_delete_that_would_have_to_wait_for_ten_seconds_is_late_and_says_how_long_to_wait(registry, connect, waits):
    first, second = fill(registry.storage, 2)
    registry.faults.rules.append(Fault('DELETE', 429, times=1, retry_after=10))
    client = connect()
    with pytest.raises(Late) as raised:
        client.delete_manifest('team/app', first)
    assert waits == [] and 9 < raised.value.seconds <= 10 and not raised.value.unanswered
    client.delete_manifest('team/app', second, Permit(lambda: 0))
    assert len(waits) == 1 and list(registry.storage.manifests('team/app')) == [first]


@pytest.mark.parametrize('kind', [500, 503, 'reset', 'lost'])
def test_a_delete_without_an_answer_is_not_sent_again_after_ten_seconds(registry, connect, waits, clock, kind):
    (digest,) = fill(registry.storage, 1)
    registry.faults.rules.append(Fault('DELETE', kind))
    client, permit = connect(), Permit(clock)
    with pytest.raises(Late) as raised:
        client.delete_manifest('team/app', digest, permit)
    assert raised.value.unanswered and permit.oldest is not None and permit.oldest < 10


def test_a_permit_that_is_over_lets_nothing_leave(registry, connect):
    (digest,) = fill(registry.storage, 1)
    image_in(registry.storage, 'team/app', 'tagged', tag='v1')
    client, over = connect(), Permit(iter((0.0, *[10.0] * 20)).__next__)
    calls = (
        lambda: client.delete_manifest('team/app', digest, over),
        lambda: client.delete_tag('team/app', 'v1', digest, over),
        lambda: client.set_manifest_locks('team/app', digest, Locks(), over),
        lambda: client.set_tag_locks('team/app', 'v1', Locks(), over),
    )
    assert {kind_of(call) for call in calls} == {Kind.LATE} and over.oldest is None
    assert not [method for method, _, _ in registry.requests if method in ('DELETE', 'PATCH')]


@pytest.mark.parametrize(
    'status, kind', [(429, Kind.BUSY), (503, Kind.UNAVAILABLE), (500, Kind.UNAVAILABLE), ('reset', Kind.UNREACHABLE)]
)
@pytest.mark.parametrize('pattern', ['POST /oauth2/token', 'GET /acr/v1/_catalog'])
def test_trying_again_has_an_end(registry, connect, waits, pattern, status, kind):
    registry.faults.rules.append(Fault(pattern, status))
    client = connect()
    assert kind_of(lambda: everything(client.repositories())) is kind
    assert 5 <= len(waits) <= 20 and max(waits) <= 60
