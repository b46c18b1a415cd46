"""What only odd clients and odd content meet: page sizes and times, hostile manifests, locks on reading, expiry."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.registry.auth import ADMIN, SUBSCRIPTION, Identity
from tests.registry.builder import OCI_IMAGE, OCI_INDEX, image_manifest, index_manifest
from tests.registry.faults import Fault
from tests.registry.records import digest_of, time_order
from tests.registry.storage import DAY, Storage

APP = 'team/app'


def image(storage: Storage, name: str, tag: str = None, updated: str = None, **extra) -> str:
    config = json.dumps({'architecture': 'arm64', 'os': 'linux', 'name': name}).encode()
    data = image_manifest((storage.put_blob(config), len(config)), [], **extra)
    return storage.put_manifest(APP, data, OCI_IMAGE, tag, created=updated, updated=updated)


def test_a_careless_proxy_says_back_what_came_with_a_request_whether_it_lets_it_through_or_not(http, registry):
    image(registry.storage, 'one')
    registry.faults.rules += [Fault('GET', 'echo'), Fault('DELETE', 'refused')]
    read = http.admin('GET', '/acr/v1/_catalog')
    assert read.json() == {'repositories': [APP]} and ADMIN[1] not in read.text
    refused = http.admin('DELETE', f'/acr/v1/{APP}')
    assert refused.status_code == 400 and registry.storage.repositories() == [APP]
    for answer in (read, refused):
        token = answer.request.headers['Authorization']
        assert answer.headers['X-Echo'] == token and 'sig=' in answer.headers['X-Forwarded-Url']
    assert token in refused.json()['errors'][0]['message']


# Pages


@pytest.mark.parametrize('size', ['0', '-1', 'many', ''])
def test_a_page_size_that_is_none_means_the_default(http, registry, size):
    image(registry.storage, 'one')
    assert http.admin('GET', f'/acr/v1/_catalog?n={size}').json() == {'repositories': [APP]}


def test_the_default_page_has_a_hundred_items_and_the_cap_is_named_in_the_link(http, registry):
    for number in range(101):
        image(registry.storage, 'one', f't{number}')
    assert len(http.admin('GET', f'/acr/v1/{APP}/_tags').json()['tags']) == 100
    registry.metadata.cap = 40
    assert '&n=40&' in http.admin('GET', f'/acr/v1/{APP}/_tags?n=1000').headers['Link']


@pytest.mark.parametrize('listing, key, name', [('_manifests', 'manifests', 'digest'), ('_tags', 'tags', 'name')])
@pytest.mark.parametrize('orderby', ['timeasc', 'timedesc'])
def test_a_page_by_time_goes_on_after_an_item_that_is_gone(http, registry, listing, key, name, orderby):
    times = [f'2021-05-11T21:17:{second}Z' for second in ('10', '10.7', '10.75', '11.065')]
    for number, when in enumerate(times):
        image(registry.storage, f'image {number}', f't{number}', when)
    path = f'/acr/v1/{APP}/{listing}?n=2&orderby={orderby}'
    first = http.admin('GET', path)
    last = first.json()[key][-1]
    registry.storage.delete_manifest(APP, last['digest'])
    rest = http.admin('GET', re.match('<([^>]*)>', first.headers['Link']).group(1)).json()[key]
    seen = [entry['lastUpdateTime'] for entry in first.json()[key] + rest]
    assert seen == (times if orderby == 'timeasc' else times[::-1])


def test_times_sort_by_their_value_and_not_as_text():
    assert time_order('2021-05-11T21:17:13.7Z') < time_order('2021-05-11T21:17:13.75Z')
    assert time_order('2021-05-11T21:17:13Z') < time_order('2021-05-11T21:17:13.0000001Z')


# Faults


def test_something_on_the_way_may_answer_in_place_of_the_registry(http, registry):
    digest = image(registry.storage, 'one')
    registry.faults.rules.append(Fault('DELETE', 'proxy', status=202, times=1))
    answer = http.admin('DELETE', f'/v2/{APP}/manifests/{digest}')
    assert (answer.status_code, answer.headers['Content-Type']) == (202, 'text/html') and '<html>' in answer.text
    assert digest in registry.storage.manifests(APP)


def test_a_refusal_as_locked_is_that_of_the_service(http, registry):
    registry.faults.rules.append(Fault('DELETE', 405))
    answer = http.admin('DELETE', f'/v2/{APP}/manifests/sha256:1')
    assert (answer.status_code, answer.json()['errors'][0]['code']) == (405, 'REGISTRY_DISALLOWED_OPERATION')


# Content


@pytest.mark.parametrize('data', [b'', b'no json', b'[]', b'"text"'])
def test_a_push_of_something_that_is_no_manifest_is_refused(http, data):
    answer = http.admin('PUT', f'/v2/{APP}/manifests/v1', data=data)
    assert (answer.status_code, answer.json()['errors'][0]['code']) == (400, 'MANIFEST_INVALID')


@pytest.mark.parametrize(
    'document',
    [
        {'manifests': [None, 1, {}, {'digest': []}, {'digest': 7}]},
        {'layers': {'digest': 'x'}, 'blobs': [[]]},
        {'config': {'digest': {}}, 'subject': 'text'},
        {'layers': [{'digest': 'sha256:1', 'size': 'big'}]},
    ],
)
def test_hostile_documents_are_listed_shown_measured_and_deleted(http, registry, document):
    data = json.dumps(document).encode()
    digest = registry.storage.put_manifest(APP, data, OCI_INDEX, 'v1', checked=False)
    assert registry.storage.stored_bytes() == len(data)
    assert http.admin('GET', f'/acr/v1/{APP}/_manifests').json()['manifests'][0]['digest'] == digest
    assert http.admin('GET', f'/acr/v1/{APP}/_manifests/{digest}').status_code == 200
    registry.storage.whole(APP, 'v1')
    assert http.admin('DELETE', f'/v2/{APP}/manifests/{digest}').status_code == 202
    assert registry.storage.stored_bytes() == 0


def test_a_long_chain_of_referrers_falls_with_its_subject(registry):
    digest = image(registry.storage, 'subject')
    subject = digest
    for number in range(1500):
        subject = image(registry.storage, f'referrer {number}', subject=subject)
    registry.storage.delete_manifest(APP, digest)
    assert registry.storage.stored_bytes() == 0


def test_a_manifest_is_served_only_to_who_accepts_its_type(http, registry):
    digest = image(registry.storage, 'one')
    path = f'/v2/{APP}/manifests/{digest}'
    refused = http.admin('GET', path, headers={'Accept': OCI_INDEX})
    assert (refused.status_code, refused.json()['errors'][0]['code']) == (404, 'MANIFEST_UNKNOWN')
    assert http.admin('GET', path, headers={'Accept': f'{OCI_INDEX}, {OCI_IMAGE}'}).status_code == 200


def test_a_read_lock_on_any_of_three_places_refuses_the_pull_and_leaves_the_metadata(http, registry):
    digest = image(registry.storage, 'one', 'v1')
    for place in ({'tag': 'v1'}, {'digest': digest}, {}):
        registry.storage.set_locks(APP, **place, readEnabled=False)
        assert http.admin('GET', f'/v2/{APP}/manifests/v1').status_code == 405
        assert http.admin('GET', f'/acr/v1/{APP}/_manifests/{digest}').status_code == 200
        registry.storage.set_locks(APP, **place, readEnabled=True)
    assert http.admin('GET', f'/v2/{APP}/manifests/v1').status_code == 200


def test_the_platform_comes_from_the_config_and_a_virtual_blob_has_no_bytes(http, registry):
    image(registry.storage, 'one')
    assert http.admin('GET', f'/acr/v1/{APP}/_manifests').json()['manifests'][0]['architecture'] == 'arm64'
    virtual = registry.storage.put_virtual_blob(digest_of(b'large'), 10**9)
    registry.storage.link_blob(APP, virtual)
    assert http.admin('HEAD', f'/v2/{APP}/blobs/{virtual}').headers['Content-Length'] == '1000000000'
    assert http.admin('GET', f'/v2/{APP}/blobs/{virtual}').status_code == 404


def test_referrers_have_a_type_and_can_be_filtered_by_it(http, registry):
    subject = image(registry.storage, 'subject')
    image(registry.storage, 'sbom', subject=subject, artifact_type='application/spdx+json')
    image(registry.storage, 'plain', subject=subject, annotations={'made': 'by hand'})
    everything = http.admin('GET', f'/v2/{APP}/referrers/{subject}').json()['manifests']
    assert sorted(entry['artifactType'] for entry in everything) == [
        'application/spdx+json',
        'application/vnd.oci.image.config.v1+json',
    ]
    filtered = http.admin('GET', f'/v2/{APP}/referrers/{subject}', params={'artifactType': 'application/spdx+json'})
    assert len(filtered.json()['manifests']) == 1 and filtered.headers['OCI-Filters-Applied'] == 'artifactType'


# Who may


def test_anonymous_pull_sees_the_catalog_and_may_not_delete(http, registry):
    image(registry.storage, 'one')
    form = {'grant_type': 'password', 'service': http.service, 'scope': f'repository:{APP}:metadata_read,delete'}
    assert http('POST', '/oauth2/token', data=form).status_code == 401
    registry.auth.anonymous = Identity('anonymous', None, [('*', frozenset({'pull', 'metadata_read'}))])
    token = http('POST', '/oauth2/token', data=form).json()['access_token']
    assert http.bearer('GET', f'/acr/v1/{APP}', token).status_code == 200
    refused = http.bearer('DELETE', f'/acr/v1/{APP}', token)
    assert refused.status_code == 401 and 'error="insufficient_scope"' in refused.headers['WWW-Authenticate']


def test_the_detail_names_only_what_is_missing_and_the_scope_all_that_is_needed(http, registry):
    user = ('reader', 'password')
    registry.auth.add_user(*user, [('*', frozenset({'pull'}))])
    refused = http('POST', f'/v2/{APP}/blobs/uploads/', auth=user)
    assert [entry['Action'] for entry in refused.json()['errors'][0]['detail']] == ['push']
    assert f'scope="repository:{APP}:pull,push"' in refused.headers['WWW-Authenticate']
    assert 'detail' not in http('GET', '/v2/').json()['errors'][0]


def test_the_token_of_a_user_who_is_gone_is_worth_nothing(http, registry):
    user = ('leaver', 'password')
    registry.auth.add_user(*user)
    token = http.token('repository:*:*', user)
    del registry.auth.users['leaver']
    assert 'error="invalid_token"' in http.bearer('GET', f'/acr/v1/{APP}', token).headers['WWW-Authenticate']


def test_several_scope_parameters_are_all_granted(http):
    query = [('service', http.service), ('scope', 'repository:a:pull'), ('scope', 'repository:b:pull')]
    token = http('GET', '/oauth2/token', params=query, auth=ADMIN).json()['access_token']
    for name in ('a', 'b'):
        assert http.bearer('GET', f'/v2/{name}/manifests/v1', token).status_code == 404


# Rates and faults


def test_deletes_in_one_second_count_down(http, registry):
    for _attempt in range(5):
        answers = [http.admin('DELETE', f'/acr/v1/{APP}/_tags/v{number}') for number in range(2)]
        left = [answer.headers['x-ms-ratelimit-remaining-calls-per-second'] for answer in answers]
        if left == ['8.000000', '7.000000']:
            return
    pytest.fail(f'no two deletes in one second: {left}')


def test_deletes_that_overlap_are_counted_for_each_repository(http, registry):
    digests = [image(registry.storage, str(number)) for number in range(4)]
    registry.faults.latency = 0.2
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda digest: http.admin('DELETE', f'/v2/{APP}/manifests/{digest}'), digests))
    assert registry.faults.most_deletes_in_flight == {APP: 4}
    assert registry.faults.deletes_in_flight[APP] == 0


def test_a_lost_answer_is_a_delete_that_was_done_and_a_cut_one_a_body_that_ends_early(http, registry):
    digest, kept = image(registry.storage, 'one'), image(registry.storage, 'two')
    registry.faults.rules += [Fault('DELETE', 'lost'), Fault('GET', 'cut')]
    with pytest.raises(requests.ConnectionError):
        http.admin('DELETE', f'/v2/{APP}/manifests/{digest}')
    assert list(registry.storage.manifests(APP)) == [kept]
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        http.admin('GET', f'/v2/{APP}/manifests/{kept}')


# Soft delete


def test_what_was_soft_deleted_too_long_ago_is_gone_and_frees_its_bytes():
    now = [1_000_000.0]
    storage = Storage(clock=lambda: now[0])
    storage.soft_delete_days = 7
    before = storage.stored_bytes()
    storage.delete_manifest(APP, image(storage, 'one'))
    now[0] += 7 * DAY
    assert storage.stored_bytes() > before
    now[0] += 1
    assert storage.stored_bytes() == before


def test_restoring_an_index_does_not_restore_its_children(http, registry):
    storage = registry.storage
    storage.soft_delete_days = 7
    children = [image(storage, name) for name in ('amd64', 'arm64')]
    index = storage.put_manifest(APP, index_manifest([(child, 1) for child in children]), OCI_INDEX, 'v1')
    for digest in (index, *children):
        storage.delete_manifest(APP, digest)
    token = http.token('registry:deleted_catalog:*')
    assert http.bearer('GET', '/acr/v1/_deleted/_catalog', token).json() == {'repositories': [APP]}
    storage.restore(APP, index)
    assert storage.whole(APP, 'v1') != []
    for child in children:
        storage.restore(APP, child)
    assert storage.whole(APP, 'v1') == []


# The resource manager, and a process of its own


def test_another_registry_name_may_lead_here_and_an_unknown_one_is_not_found(http, registry):
    base = f'/subscriptions/{SUBSCRIPTION}/resourceGroups/local/providers/Microsoft.ContainerRegistry/registries'
    registry.manager.names.append('second')
    try:
        assert http('GET', f'{base}/second').json()['properties']['loginServer'] == registry.login_server
        assert http('GET', f'{base}/nosuch').json()['error']['code'] == 'ResourceNotFound'
    finally:
        registry.manager.names.remove('second')


def test_the_registry_runs_on_its_own_until_it_is_told_to_stop(tmp_path):
    command = [
        sys.executable,
        '-m',
        'tests.registry',
        '--ca-directory',
        str(tmp_path),
        '--seed',
        '1',
        '--manifests',
        '20',
        '--repositories',
        '2',
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        host, ca_file = process.stdout.readline().split()
        listed = requests.get(f'https://{host}/acr/v1/_catalog', auth=ADMIN, verify=ca_file, timeout=120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert len(listed.json()['repositories']) == 2


@pytest.mark.parametrize('kind', ['cut', 'torn', 'noise', 'lost', 'reset', 'handshake'])
def test_an_answer_that_is_broken_on_its_way_is_an_error_and_the_next_one_is_whole(http, registry, kind):
    registry.faults.rules.append(Fault('GET', kind, times=1))
    failures = 2 if kind == 'handshake' else 1
    for _ in range(failures):
        with pytest.raises(requests.RequestException):
            http.admin('GET', '/acr/v1/_catalog').json()
    assert http.admin('GET', '/acr/v1/_catalog').json() == {'repositories': None}


@pytest.mark.parametrize('kind', ['short', 'twice', 'nonsense', 'drip'])
def test_what_comes_beside_an_answer_is_not_in_it(http, registry, kind):
    registry.faults.rules.append(Fault('GET', kind, times=1, seconds=0))
    body = '{"repositories":null}\n'
    assert http.admin('GET', '/acr/v1/_catalog').text == (body[: len(body) // 2] if kind == 'short' else body)
    assert registry.faults.injected == 1


def test_a_fault_may_begin_after_some_requests(http, registry):
    registry.faults.rules.append(Fault('GET', 500, after=2, times=1))
    assert [http.admin('GET', '/v2/').status_code for _ in range(4)] == [200, 200, 500, 200]
