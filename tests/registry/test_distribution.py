"""Push, pull and the failures of the wire, by plain requests; the token flow and paging are in test_protocol.py."""

from __future__ import annotations

import json
import time

import jwt
import pytest
import requests

from tests.registry.auth import ADMIN
from tests.registry.builder import OCI_IMAGE, OCI_INDEX, image_manifest, index_manifest
from tests.registry.distribution import MAX_MANIFEST_BYTES
from tests.registry.faults import Fault, Throttle
from tests.registry.push import Pusher
from tests.registry.storage import digest_of

APP = '/v2/team/app'
NO_DIGEST = 'sha256:' + '0' * 64


def failure_of(answer: requests.Response) -> tuple:
    error = answer.json()['errors'][0]
    return answer.status_code, error['code'], error['message'], error.get('detail')


def put_manifest(http, reference: str, data: bytes, repository: str = APP) -> requests.Response:
    return http.admin(
        'PUT', f'{repository}/manifests/{reference}', data=data, headers={'Content-Type': json.loads(data)['mediaType']}
    )


@pytest.fixture
def push(registry) -> Pusher:
    return Pusher(registry)


@pytest.fixture
def image(push) -> str:
    """The digest of an image in team/app, tagged v1."""
    return push.image('team/app', [push.blob('team/app', 100)], 'v1')[0]


# Blobs


def test_a_blob_is_uploaded_in_chunks_and_pulled_back(http):
    start = http.admin('POST', f'{APP}/blobs/uploads/')
    assert start.status_code == 202 and start.headers['Docker-Upload-Uuid'] in start.headers['Location']
    first = http.admin('PATCH', start.headers['Location'], data=b'abc')
    assert (first.status_code, first.headers['Range']) == (202, '0-2')
    second = http.admin('PATCH', first.headers['Location'], data=b'defg')
    assert http.admin('GET', second.headers['Location']).headers['Range'] == '0-6'
    digest = digest_of(b'abcdefgh')
    done = http.admin('PUT', second.headers['Location'], params={'digest': digest}, data=b'h')
    assert (done.status_code, done.headers['Docker-Content-Digest']) == (201, digest)
    assert http.admin('GET', done.headers['Location']).content == b'abcdefgh'
    head = http.admin('HEAD', done.headers['Location'])
    assert (head.status_code, head.headers['Content-Length'], head.content) == (200, '8', b'')


def test_a_finished_upload_is_gone_and_a_wrong_digest_is_refused(http, registry):
    place = http.admin('POST', f'{APP}/blobs/uploads/').headers['Location']
    wrong = http.admin('PUT', place, params={'digest': NO_DIGEST}, data=b'abc')
    assert failure_of(wrong)[:2] == (400, 'DIGEST_INVALID')
    assert registry.storage.pending_bytes() == 0
    assert http.admin('PUT', place, params={'digest': digest_of(b'abc')}, data=b'abc').status_code == 201
    assert failure_of(http.admin('PATCH', place, data=b'd'))[:2] == (404, 'BLOB_UPLOAD_UNKNOWN')


def test_a_blob_is_uploaded_in_one_request_and_mounted_from_another_repository(http, registry):
    digest = digest_of(b'shared')
    assert http.admin('POST', f'{APP}/blobs/uploads/', params={'digest': digest}, data=b'shared').status_code == 201
    mount = http.admin('POST', '/v2/team/two/blobs/uploads/', params={'mount': digest, 'from': 'team/app'})
    assert (mount.status_code, mount.headers['Location']) == (201, f'/v2/team/two/blobs/{digest}')
    unknown = http.admin('POST', '/v2/team/two/blobs/uploads/', params={'mount': NO_DIGEST, 'from': 'team/app'})
    assert unknown.status_code == 202, 'a mount of what is not there begins an upload'
    assert registry.storage.pending_bytes() == len(b'shared')


def test_a_chunk_may_have_many_mebibytes(http):
    data = bytes(5 * 1024 * 1024)
    place = http.admin('PATCH', http.admin('POST', f'{APP}/blobs/uploads/').headers['Location'], data=data)
    assert (place.status_code, place.headers['Range']) == (202, f'0-{len(data) - 1}')
    done = http.admin('PUT', place.headers['Location'], params={'digest': digest_of(data)})
    assert http.admin('GET', done.headers['Location']).content == data


def test_an_unknown_blob_is_404(http):
    assert failure_of(http.admin('GET', f'{APP}/blobs/{NO_DIGEST}'))[:2] == (404, 'BLOB_UNKNOWN')
    assert http.admin('HEAD', f'{APP}/blobs/{NO_DIGEST}').status_code == 404


# Manifests


def test_an_index_is_refused_before_its_children_and_accepted_after_them(http, push):
    config = push.blob('team/app', 10)
    child = image_manifest(config, [])
    index = index_manifest([(digest_of(child), len(child))])
    assert failure_of(put_manifest(http, 'v1', index))[:2] == (400, 'MANIFEST_UNKNOWN')
    assert put_manifest(http, digest_of(child), child).status_code == 201
    pushed = put_manifest(http, 'v1', index)
    assert (pushed.status_code, pushed.headers['Docker-Content-Digest']) == (201, digest_of(index))
    pulled = http.admin('GET', f'{APP}/manifests/v1')
    assert (pulled.content, pulled.headers['Content-Type']) == (index, OCI_INDEX)
    assert pulled.headers['Docker-Content-Digest'] == digest_of(index)


def test_a_manifest_is_refused_with_a_wrong_digest_a_missing_blob_or_over_4_mib(http, push):
    data = image_manifest(push.blob('team/app', 10), [])
    assert failure_of(put_manifest(http, NO_DIGEST, data))[:2] == (400, 'DIGEST_INVALID')
    missing = image_manifest((NO_DIGEST, 10), [])
    assert failure_of(put_manifest(http, 'v1', missing))[:2] == (400, 'MANIFEST_BLOB_UNKNOWN')
    large = http.admin('PUT', f'{APP}/manifests/v1', data=data + b' ' * MAX_MANIFEST_BYTES)
    assert failure_of(large)[:2] == (413, 'MANIFEST_INVALID')


def test_a_head_has_the_headers_of_the_pull_and_no_body(http, image):
    head, pull = http.admin('HEAD', f'{APP}/manifests/v1'), http.admin('GET', f'{APP}/manifests/{image}')
    same = ('Content-Type', 'Content-Length', 'Docker-Content-Digest')
    assert [head.headers[name] for name in same] == [pull.headers[name] for name in same]
    assert head.content == b'' and digest_of(pull.content) == image


def test_a_pushed_referrer_names_its_subject_and_is_listed(http, push, image):
    data = image_manifest(push.blob('team/app', 2), [], subject=image, artifact_type='application/spdx+json')
    assert put_manifest(http, digest_of(data), data).headers['OCI-Subject'] == image
    listed = http.admin('GET', f'{APP}/referrers/{image}')
    assert listed.headers['Content-Type'] == OCI_INDEX
    assert listed.json()['manifests'] == [
        {'mediaType': OCI_IMAGE, 'digest': digest_of(data), 'size': len(data), 'artifactType': 'application/spdx+json'}
    ]
    assert http.admin('GET', f'{APP}/referrers/{digest_of(data)}').json()['manifests'] == []


# What is not there


def test_each_kind_of_missing_thing_has_its_own_code_message_and_detail(http, image):
    missing = f'manifest {NO_DIGEST} is not found'
    base = '/acr/v1/team/app'
    expected = {
        ('GET', '/acr/v1/nowhere'): ('NAME_UNKNOWN', 'repository name not known to registry', {'name': 'nowhere'}),
        ('DELETE', '/acr/v1/nowhere'): ('NAME_UNKNOWN', 'repository name not known to registry', {'name': 'nowhere'}),
        ('GET', f'{base}/_tags/none'): ('TAG_UNKNOWN', 'the specified tag does not exist', None),
        ('DELETE', '/acr/v1/nowhere/_tags/none'): ('TAG_UNKNOWN', 'the specified tag does not exist', None),
        ('GET', f'{base}/_manifests/{NO_DIGEST}'): ('MANIFEST_UNKNOWN', 'manifest unknown', None),
        ('DELETE', f'{APP}/manifests/{NO_DIGEST}'): ('MANIFEST_UNKNOWN', missing, None),
        ('GET', f'{APP}/manifests/{NO_DIGEST}'): (
            'MANIFEST_UNKNOWN',
            missing,
            {'Name': 'team/app', 'Revision': NO_DIGEST},
        ),
    }
    assert {place: failure_of(http.admin(*place)) for place in expected} == {
        place: (404, *error) for place, error in expected.items()
    }


@pytest.mark.parametrize(
    'path',
    [
        '/acr/v1/_manifests',
        '/nothing',
        '/v2/team/app/blobs/sha256:12',
        '/acr/v1/Upper',
        '/acr/v1/team//app',
        '/v2/team/app/manifests/-x',
    ],
)
def test_a_malformed_path_is_plain_text_404_before_any_challenge(http, path):
    answer = http('GET', path)
    assert (answer.status_code, answer.text) == (404, '404 page not found\n')
    assert answer.headers['Content-Type'] == 'text/plain; charset=utf-8'
    assert 'WWW-Authenticate' not in answer.headers


@pytest.mark.parametrize('repository', ['team/app', 'team%2Fapp'])
def test_a_link_spells_the_path_as_the_request_did(http, image, repository):
    link = http.admin('GET', f'/acr/v1/{repository}/_manifests?n=1').headers['Link']
    assert link == f'</acr/v1/{repository}/_manifests?last={image.replace(":", "%3A")}&n=1&orderby=>; rel="next"'


def test_the_server_grants_smaller_pages_than_asked_for(http, registry, push):
    for number in range(3):
        push.image('team/app', [], f'v{number}')
    registry.metadata.cap = 2
    answer = http.admin('GET', '/acr/v1/team/app/_tags?n=500')
    assert [tag['name'] for tag in answer.json()['tags']] == ['v0', 'v1'] and '&n=2&' in answer.headers['Link']


# Who may do what


def test_the_ping_is_challenged_without_a_scope(http, registry):
    host = registry.login_server
    refused = http('GET', '/v2/')
    assert refused.status_code == 401
    assert refused.headers['WWW-Authenticate'] == f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
    assert http.admin('GET', '/v2/').status_code == 200


def test_a_push_without_a_token_names_both_missing_actions(http):
    refused = http('POST', f'{APP}/blobs/uploads/')
    assert refused.headers['WWW-Authenticate'].endswith(',scope="repository:team/app:pull,push"')
    assert [entry['Action'] for entry in failure_of(refused)[3]] == ['pull', 'push']


def test_a_delete_with_a_token_that_lacks_it_is_401_and_changes_nothing(http, registry, image):
    registry.auth.add_user('reader', 'secret', [('*', frozenset({'pull', 'metadata_read'}))])
    token = http.token('repository:team/app:delete', ('reader', 'secret'))
    assert jwt.decode(token, options={'verify_signature': False})['access'][0]['actions'] == []
    refused = http.bearer('DELETE', f'{APP}/manifests/{image}', token)
    assert refused.status_code == 401
    assert refused.headers['WWW-Authenticate'].endswith('"repository:team/app:delete",error="insufficient_scope"')
    assert 'x-ms-ratelimit-remaining-calls-per-second' not in refused.headers
    assert image in registry.storage.manifests('team/app')


def test_a_scope_map_token_sees_only_its_repository(http, registry, push, image):
    push.image('team/two', [], 'v1')
    user = ('one-only', 'secret')
    registry.auth.add_user(*user, [('team/app', frozenset({'pull', 'metadata_read'}))], catalog=False)
    token = http.token('repository:*:metadata_read', user)
    assert http.bearer('GET', '/acr/v1/team/app', token).status_code == 200
    assert http.bearer('GET', '/acr/v1/team/two', token).status_code == 401
    assert http('GET', '/acr/v1/team/two', auth=user).status_code == 401


def test_a_user_who_was_granted_nothing_may_do_nothing(http, registry, image):
    registry.auth.add_user('nobody', 'secret', [], catalog=False)
    assert http('GET', '/acr/v1/team/app', auth=('nobody', 'secret')).status_code == 401


def test_a_refresh_token_runs_out_and_an_access_token_is_none(http, registry):
    exchange = {'grant_type': 'access_token', 'service': http.service, 'access_token': registry.auth.aad_token()}
    refresh = http('POST', '/oauth2/exchange', data=exchange).json()['refresh_token']
    form = {'grant_type': 'refresh_token', 'service': http.service, 'scope': 'registry:catalog:*'}
    access = http('POST', '/oauth2/token', data={**form, 'refresh_token': refresh}).json()['access_token']
    assert http.bearer('GET', '/acr/v1/_catalog', access).status_code == 200
    assert http('POST', '/oauth2/token', data={**form, 'refresh_token': access}).status_code == 401
    registry.auth.clock = lambda: time.time() + 3 * 3600 + 1
    assert http('POST', '/oauth2/token', data={**form, 'refresh_token': refresh}).status_code == 401


# Busy and broken


def test_deletes_tokens_and_reads_have_buckets_of_their_own(http, registry, image):
    registry.faults.throttles['writes'] = Throttle(rate=0.001, burst=0, retry_after=2)
    busy = http.admin('DELETE', f'{APP}/manifests/{image}')
    assert (busy.status_code, busy.headers['Retry-After']) == (429, '2')
    assert http.admin('GET', f'{APP}/manifests/{image}').status_code == 200
    registry.faults.throttles['tokens'] = Throttle(rate=0.001, burst=0)
    assert http('POST', '/oauth2/token').status_code == 429
    assert (registry.counters['throttled'], registry.counters['manifest_get']) == (2, 1)


@pytest.mark.parametrize('sku, rate', [('Basic', '2.000000'), ('Standard', '8.000000'), ('Premium', '32.000000')])
def test_a_delete_names_the_rate_of_the_tier(http, registry, image, sku, rate):
    registry.manager.sku = sku
    answer = http.admin('DELETE', f'{APP}/manifests/{image}')
    assert answer.headers['x-ms-ratelimit-remaining-calls-per-second'] == rate


def test_a_slow_answer_is_whole(http, registry, image):
    registry.faults.rules.append(Fault('GET /v2/team', 'slow', times=1, seconds=0.3))
    began = time.monotonic()
    assert digest_of(http.admin('GET', f'{APP}/manifests/{image}').content) == image
    assert time.monotonic() - began >= 0.3


def test_a_truncated_or_garbled_manifest_no_longer_has_its_digest(http, registry, image):
    for kind in ('truncated', 'garbage'):
        registry.faults.rules.append(Fault('GET /v2/team', kind, times=1))
        answer = http.admin('GET', f'{APP}/manifests/{image}')
        assert answer.status_code == 200 and digest_of(answer.content) != image
    assert digest_of(http.admin('GET', f'{APP}/manifests/{image}').content) == image


def test_a_fault_of_429_may_carry_retry_after(http, registry):
    registry.faults.rules += [Fault('_catalog', 429, times=1, retry_after=7), Fault('_catalog', 429, times=1)]
    assert [http.admin('GET', '/acr/v1/_catalog').headers.get('Retry-After') for _ in range(2)] == ['7', None]


def test_faults_with_a_probability_hit_about_that_often(http, registry):
    registry.faults.rules.append(Fault('_catalog', 500, probability=0.5))
    hits = sum(http('GET', '/acr/v1/_catalog', auth=ADMIN).status_code == 500 for _ in range(60))
    assert 15 < hits < 45
