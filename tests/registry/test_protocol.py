"""The wire protocol of the local registry, sentence by sentence: tokens, paging, locks, throttling, faults."""

from __future__ import annotations

import re
import time

import jwt
import pytest
import requests

from tests.registry.auth import ADMIN
from tests.registry.builder import OCI_IMAGE, cosign_tag, image_manifest
from tests.registry.faults import Fault, Throttle
from tests.registry.push import Pusher
from tests.registry.storage import RegistryFailure, Storage


class Caller:
    """Plain requests to one registry."""

    def __init__(self, registry) -> None:
        self._registry = registry

    def __call__(self, method: str, path: str, **options) -> requests.Response:
        return requests.request(
            method,
            f'https://{self._registry.login_server}{path}',
            timeout=120,
            verify=self._registry.ca_file,
            **options,
        )

    def token(self, scope: str, user: tuple = ADMIN) -> str:
        form = {
            'grant_type': 'password',
            'service': self._registry.login_server,
            'scope': scope,
            'username': user[0],
            'password': user[1],
        }
        return self('POST', '/oauth2/token', data=form).json()['access_token']

    def bearer(self, path: str, scope: str, user: tuple = ADMIN) -> requests.Response:
        return self('GET', path, headers={'Authorization': f'Bearer {self.token(scope, user)}'})


@pytest.fixture
def call(registry) -> Caller:
    return Caller(registry)


@pytest.fixture
def pushed(registry) -> list:
    push = Pusher(registry)
    return [push.image('team/app', [push.blob('team/app', 100)], f'v{number}')[0] for number in range(4)]


def challenge(registry, scope: str, error: str = '') -> str:
    host = registry.login_server
    tail = f',error="{error}"' if error else ''
    return f'Bearer realm="https://{host}/oauth2/token",service="{host}",scope="{scope}"{tail}'


def test_a_call_without_a_token_is_challenged_without_an_error(registry, call):
    answer = call('GET', '/acr/v1/team/app/_manifests')
    assert answer.status_code == 401
    assert answer.headers['WWW-Authenticate'] == challenge(registry, 'repository:team/app:metadata_read')
    assert answer.json()['errors'][0]['detail'] == [
        {'Type': 'repository', 'Name': 'team/app', 'Action': 'metadata_read'}
    ]


def test_a_bad_token_and_an_expired_one_are_invalid(registry, call, pushed):
    assert (
        'error="invalid_token"'
        in call('GET', '/acr/v1/_catalog', headers={'Authorization': 'Bearer nonsense'}).headers['WWW-Authenticate']
    )
    token = call.token('registry:catalog:*')
    registry.auth.clock = lambda: time.time() + 80 * 60
    answer = call('GET', '/acr/v1/_catalog', headers={'Authorization': f'Bearer {token}'})
    assert answer.headers['WWW-Authenticate'] == challenge(registry, 'registry:catalog:*', 'invalid_token')


def test_a_good_token_that_lacks_the_action_has_insufficient_scope(registry, call, pushed):
    user = ('reader', 'password')
    registry.auth.add_user(*user, [('team/*', frozenset({'metadata_read'}))], catalog=False)
    assert call.bearer('/acr/v1/team/app', 'repository:*:*', user).status_code == 200
    answer = call.bearer(f'/v2/team/app/manifests/{pushed[0]}', 'repository:team/app:pull', user)
    assert answer.headers['WWW-Authenticate'] == challenge(registry, 'repository:team/app:pull', 'insufficient_scope')
    assert call.bearer('/acr/v1/_catalog', 'registry:catalog:*', user).status_code == 401


def test_tokens_have_one_key_say_what_was_granted_and_count_their_own_rate(registry, call):
    form = {
        'grant_type': 'password',
        'service': registry.login_server,
        'scope': 'repository:a:pull repository:b:push',
        'username': ADMIN[0],
        'password': ADMIN[1],
    }
    first, second = (call('POST', '/oauth2/token', data=form) for _ in range(2))
    assert list(first.json()) == ['access_token']
    claims = jwt.decode(first.json()['access_token'], options={'verify_signature': False})
    assert [(entry['name'], entry['actions']) for entry in claims['access']] == [('a', ['pull']), ('b', ['push'])]
    left = [float(answer.headers['x-ms-ratelimit-remaining-calls-per-second']) for answer in (first, second)]
    assert left[0] - left[1] == pytest.approx(1 / 60, abs=1e-5)


def test_token_by_get_with_basic_wrong_password_and_wrong_service(registry, call):
    query = {'service': registry.login_server, 'scope': 'registry:catalog:*'}
    assert call('GET', '/oauth2/token', params=query, auth=ADMIN).status_code == 200
    assert call('GET', '/oauth2/token', params=query, auth=(ADMIN[0], 'wrong')).status_code == 401
    wrong = call('GET', '/oauth2/token', params={**query, 'service': 'other'}, auth=ADMIN)
    assert (wrong.status_code, wrong.content) == (400, b'')


def test_an_aad_token_is_exchanged_and_an_abac_registry_drops_wildcards(registry, call):
    registry.auth.abac = True
    form = {'grant_type': 'access_token', 'service': registry.login_server, 'access_token': registry.auth.aad_token()}
    refresh = call('POST', '/oauth2/exchange', data=form).json()['refresh_token']
    assert 'aad_identity' in jwt.decode(refresh, options={'verify_signature': False})
    form = {
        'grant_type': 'refresh_token',
        'service': registry.login_server,
        'refresh_token': refresh,
        'scope': 'repository:*:* repository:team/app:pull',
    }
    token = call('POST', '/oauth2/token', data=form).json()['access_token']
    assert [entry['name'] for entry in jwt.decode(token, options={'verify_signature': False})['access']] == ['team/app']


@pytest.mark.parametrize('listing, key', [('_manifests', 'manifests'), ('_tags', 'tags')])
def test_a_full_last_page_links_to_a_page_that_is_null(call, pushed, listing, key):
    seen, path = [], f'/acr/v1/team/app/{listing}?n=2'
    while path:
        answer = call('GET', path, auth=ADMIN)
        seen.append(answer.json()[key])
        link = re.match(r'<([^>]*)>; rel="next"', answer.headers.get('Link', ''))
        path = link and link.group(1)
    assert [len(page or []) for page in seen] == [2, 2, 0]
    assert seen[-1] is None


def test_the_next_page_starts_after_an_item_even_if_it_is_gone(registry, call, pushed):
    first = call('GET', '/acr/v1/team/app/_manifests?n=2', auth=ADMIN)
    registry.storage.delete_manifest('team/app', first.json()['manifests'][1]['digest'])
    path = re.match(r'<([^>]*)>', first.headers['Link']).group(1)
    rest = call('GET', path, auth=ADMIN).json()['manifests']
    assert [entry['digest'] for entry in rest] == sorted(pushed)[2:]


def test_names_and_digests_may_be_encoded(call, pushed):
    encoded = pushed[0].replace(':', '%3A')
    assert call('GET', f'/acr/v1/team%2Fapp/_manifests/{encoded}', auth=ADMIN).status_code == 200
    assert call('GET', f'/v2/team%2Fapp/manifests/{encoded}', auth=ADMIN).status_code == 200


def test_untagged_manifests_have_no_tags_key_and_times_have_no_trailing_zeros(registry, call, pushed):
    registry.storage.untag('team/app', 'v0')
    entries = call('GET', '/acr/v1/team/app/_manifests', auth=ADMIN).json()['manifests']
    assert [entry['digest'] for entry in entries if 'tags' not in entry] == [pushed[0]]
    written = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,6}[1-9])?Z$')
    assert all(written.match(entry['createdTime']) for entry in entries)


@pytest.mark.parametrize('lock', [{'deleteEnabled': False}, {'writeEnabled': False}])
@pytest.mark.parametrize('place', ['', '/_tags/v0', '/_manifests/{}'])
def test_a_lock_of_any_kind_and_place_refuses_the_delete(call, pushed, lock, place):
    place = place.format(pushed[0])
    assert call('PATCH', f'/acr/v1/team/app{place}', json=lock, auth=ADMIN).status_code == 200
    refused = call('DELETE', f'/v2/team/app/manifests/{pushed[0]}', auth=ADMIN)
    assert refused.status_code == 405
    assert refused.json()['errors'][0]['code'] == 'REGISTRY_DISALLOWED_OPERATION'
    assert len(refused.content) == 263
    assert call('PATCH', f'/acr/v1/team/app{place}', json=dict.fromkeys(lock, True), auth=ADMIN).status_code == 200
    assert call('DELETE', f'/v2/team/app/manifests/{pushed[0]}', auth=ADMIN).status_code == 202


def test_deletes_say_what_rate_is_left_and_reads_never_do(call, pushed):
    header = 'x-ms-ratelimit-remaining-calls-per-second'
    assert header not in call('GET', '/acr/v1/team/app', auth=ADMIN).headers
    assert call('DELETE', f'/v2/team/app/manifests/{pushed[0]}', auth=ADMIN).headers[header] == '8.000000'
    assert header in call('DELETE', f'/v2/team/app/manifests/{pushed[0]}', auth=ADMIN).headers


def test_deleting_a_subject_takes_its_referrers_and_leaves_attachments_by_tag(registry, call):
    push = Pusher(registry)
    image, _ = push.image('team/app', [push.blob('team/app', 10)], 'v1')
    push.sign('team/app', image)
    (sbom,) = [digest for digest, record in registry.storage.manifests('team/app').items() if record.subject]
    assert [
        item['digest'] for item in call('GET', f'/v2/team/app/referrers/{image}', auth=ADMIN).json()['manifests']
    ] == [sbom]
    assert call('DELETE', f'/v2/team/app/manifests/{image}', auth=ADMIN).status_code == 202
    assert list(registry.storage.tags('team/app')) == [cosign_tag(image)]
    assert sbom not in registry.storage.manifests('team/app')


def test_a_ghost_is_listed_and_cannot_be_had(registry, call, pushed):
    registry.storage.make_ghost('team/app', pushed[0])
    listed = call('GET', '/acr/v1/team/app/_manifests', auth=ADMIN).json()['manifests']
    assert pushed[0] in [entry['digest'] for entry in listed]
    assert call('GET', f'/v2/team/app/manifests/{pushed[0]}', auth=ADMIN).status_code == 404


def test_throttling_answers_429_with_and_without_retry_after(registry, call):
    registry.faults.throttles['reads'] = Throttle(rate=0.001, burst=1, retry_after=3)
    assert call('GET', '/acr/v1/_catalog', auth=ADMIN).status_code == 200
    busy = call('GET', '/acr/v1/_catalog', auth=ADMIN)
    assert (busy.status_code, busy.headers['Retry-After']) == (429, '3')
    assert busy.json()['errors'][0]['code'] == 'TOOMANYREQUESTS'
    registry.faults.throttles['reads'].retry_after = None
    assert 'Retry-After' not in call('GET', '/acr/v1/_catalog', auth=ADMIN).headers


def test_faults_break_what_they_name_as_often_as_they_say(registry, call):
    registry.faults.rules.append(Fault('GET /acr/v1/_catalog', 503, times=1))
    registry.faults.rules.append(Fault('GET /acr/v1/_catalog', 'reset', times=1))
    assert call('GET', '/acr/v1/_catalog', auth=ADMIN).status_code == 503
    with pytest.raises(requests.ConnectionError):
        call('GET', '/acr/v1/_catalog', auth=ADMIN)
    assert call('GET', '/acr/v1/_catalog', auth=ADMIN).status_code == 200
    registry.faults.rules.append(Fault('_catalog', 'garbage', times=1))
    assert call('GET', '/acr/v1/_catalog', auth=ADMIN).json() == {'garbage': True}


def test_blobs_and_manifests_are_stored_once_and_freed_with_their_last_user():
    storage = Storage()
    layer = (storage.put_blob(b'layer' * 10), 50)
    both = image_manifest((storage.put_blob(b'config'), 6), [layer, layer])
    digest = storage.put_manifest('one', both, OCI_IMAGE)
    assert storage.put_manifest('two', both, OCI_IMAGE) == digest
    assert storage.stored_bytes() == 50 + 6 + len(both)
    storage.delete_manifest('one', digest)
    assert storage.stored_bytes() == 50 + 6 + len(both)
    storage.delete_manifest('two', digest)
    assert storage.stored_bytes() == storage.pending_bytes() == 0
    assert storage.repositories() == []


def test_foreign_layers_take_no_space_and_a_push_without_its_blobs_is_refused():
    storage = Storage()
    data = image_manifest((storage.put_blob(b'config'), 6), [('sha256:' + 'f' * 64, 1000)])
    with pytest.raises(RegistryFailure) as failure:
        storage.put_manifest('one', data, OCI_IMAGE)
    assert (failure.value.status, failure.value.code) == (400, 'MANIFEST_BLOB_UNKNOWN')
    foreign = data.replace(b'"size":1000', b'"size":1000,"urls":["https://example.com"]')
    storage.put_manifest('one', foreign, OCI_IMAGE)
    assert storage.stored_bytes() == 6 + len(foreign)
