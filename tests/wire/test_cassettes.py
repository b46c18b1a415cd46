"""Our own recordings, one for each interaction that matters, and what our client makes of them.

They were recorded against the local registry; ACRPRUNE_RECORD=1 records them anew.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pytest
import vcr

from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.protocol.tokens import Credential, Password, RefreshToken, TokenBook
from tests.registry.auth import ADMIN, ALL, SERVICE_PRINCIPAL
from tests.registry.builder import OCI_IMAGE
from tests.registry.faults import Fault
from tests.registry.server import LocalRegistry
from tests.registry.storage import digest_of
from tests.wire.conftest import not_again, opened, refresh_token, unhurried
from tests.wire.images import image
from tests.wire.plain import Client

CASSETTES = Path(__file__).with_name('cassettes')
RECORDING = os.environ.get('ACRPRUNE_RECORD') == '1'
HOST = 'registry.example'
REPOSITORY = 'team/app'
READER = ('reader', 'reader-password')
IMAGES = [image(f'image {number}') for number in range(4)]
DIGESTS = sorted(map(digest_of, IMAGES))
PUSHED = '2024-01-02T03:04:05.6789Z'
SECRET_FIELDS = {'username', 'password', 'refresh_token', 'access_token'}
KEPT_REQUEST_HEADERS = {'accept', 'content-type'}
CHANGING_HEADERS = {'date', 'x-ms-correlation-request-id', 'content-length'}

Opened = tuple[Client, Any]


def scrubbed_request(request: Any) -> Any:
    """Without secrets, and as if the registry were always called the same."""
    parts = urlsplit(request.uri)
    request.uri = parts._replace(netloc=HOST).geturl()
    headers = {name: value for name, value in request.headers.items() if name.lower() in KEPT_REQUEST_HEADERS}
    request.headers = {**headers, **({'Authorization': 'REDACTED'} if 'Authorization' in request.headers else {})}
    if request.body:
        request.body = urlencode(
            [(name, _scrubbed_field(name, value)) for name, value in parse_qsl(request.body.decode())]
        )
    return request


def _scrubbed_field(name: str, value: str) -> str:
    return 'REDACTED' if name in SECRET_FIELDS else HOST if name == 'service' else value


def scrubbing_response(login_server: str) -> Callable[[Any], Any]:
    def scrub(response: Any) -> Any:
        headers = {
            name: [value.replace(login_server, HOST) for value in values]
            for name, values in response['headers'].items()
            if name.lower() not in CHANGING_HEADERS
        }
        text = response['body']['string'].decode().replace(login_server, HOST)
        if 'access_token' in text:
            text = json.dumps({'access_token': 'REDACTED'})
        return {**response, 'headers': headers, 'body': {'string': text.encode()}}

    return scrub


def reached(endpoint: str, credential: Credential, clock: Callable[[], float]) -> Any:
    book = TokenBook(urlsplit(endpoint).netloc, credential, time.time())
    return opened(endpoint, book, not_again, 1, unhurried(clock))


@contextmanager
def recorded(
    path: Path, arrange: Callable, credential: Callable, clock: Callable[[], float], monkeypatch: Any
) -> Iterator[Opened]:
    path.unlink(missing_ok=True)
    with LocalRegistry() as registry:
        for data in IMAGES:
            registry.storage.put_manifest(REPOSITORY, data, OCI_IMAGE, checked=False, created=PUSHED)
        registry.metadata.cap = 2
        arrange(registry)
        monkeypatch.setenv('REQUESTS_CA_BUNDLE', registry.ca_file)
        recorder = vcr.VCR(
            record_mode='all',
            before_record_request=scrubbed_request,
            before_record_response=scrubbing_response(registry.login_server),
        )
        with (
            recorder.use_cassette(str(path)) as cassette,
            reached(f'https://{registry.login_server}', credential(registry), clock) as client,
        ):
            yield client, cassette


def same_address(one: Any, other: Any) -> None:
    """aiohttp quotes in an address only what has to be."""
    assert unquote(one.uri) == unquote(other.uri)


@contextmanager
def replayed(path: Path, clock: Callable[[], float]) -> Iterator[Opened]:
    player = vcr.VCR(record_mode='none', before_record_request=scrubbed_request, match_on=('method', 'address', 'body'))
    player.register_matcher('address', same_address)
    with player.use_cassette(str(path)) as cassette:
        credential = RefreshToken('REDACTED') if 'refresh_token' in path.stem else Password('REDACTED', 'REDACTED')
        with reached(f'https://{HOST}', credential, clock) as client:
            yield client, cassette
        assert cassette.all_played


@pytest.fixture
def tape(monkeypatch, clock) -> Callable:
    """Opens our client on a cassette; `arrange` prepares the local registry when it is recorded."""

    def play(
        name: str, arrange: Callable = lambda registry: None, credential: Callable = lambda registry: Password(*ADMIN)
    ) -> Any:
        path = CASSETTES / f'{name}.yaml'
        return recorded(path, arrange, credential, clock, monkeypatch) if RECORDING else replayed(path, clock)

    return play


def sent(cassette: Any) -> list:
    return [f'{request.method} {request.path}' for request in cassette.requests]


def form(cassette: Any) -> dict:
    body = cassette.requests[0].body
    return dict(parse_qsl(body.decode() if isinstance(body, bytes) else body))


def add_reader(registry: LocalRegistry) -> None:
    registry.auth.add_user(*READER, permissions=[(REPOSITORY, ALL - {'delete'})])


def test_a_refresh_token_is_changed_for_one_access_token(tape):
    with tape('token_by_refresh_token', credential=lambda registry: refresh_token(registry.auth)) as (client, cassette):
        assert list(client.repositories()) == [[REPOSITORY]]
        assert client.manifest(REPOSITORY, DIGESTS[0]) in IMAGES
    pull = f'GET /v2/{REPOSITORY}/manifests/{DIGESTS[0]}'
    assert sent(cassette) == ['POST /oauth2/token', 'GET /acr/v1/_catalog', pull]
    assert form(cassette) == {
        'service': HOST,
        'scope': 'registry:catalog:* repository:*:*',
        'grant_type': 'refresh_token',
        'refresh_token': 'REDACTED',
    }


def test_a_password_is_changed_for_one_access_token(tape):
    with tape('token_by_password') as (client, cassette):
        assert list(client.repositories()) == [[REPOSITORY]]
    assert form(cassette) == {
        'service': HOST,
        'scope': 'registry:catalog:* repository:*:*',
        'grant_type': 'password',
        'username': 'REDACTED',
        'password': 'REDACTED',
    }


def test_a_wrong_password_ends_it(tape):
    with (
        tape('token_refused', credential=lambda registry: Password('nobody', 'nothing')) as (client, cassette),
        pytest.raises(RegistryError) as raised,
    ):
        list(client.repositories())
    assert raised.value.kind is Kind.UNAUTHENTICATED
    assert sent(cassette) == ['POST /oauth2/token']


def test_links_are_followed_to_the_page_that_is_null(tape):
    with tape('paging') as (client, cassette):
        pages = list(client.manifests(REPOSITORY))
    assert [len(page) for page in pages] == [2, 2, 0]
    assert [manifest.digest for page in pages for manifest in page] == DIGESTS
    assert sent(cassette) == ['POST /oauth2/token'] + [f'GET /acr/v1/{REPOSITORY}/_manifests'] * 3


def test_an_invalid_token_is_renewed_once(tape):
    def expire_first_token(registry):
        issue = registry.auth.token

        def issue_expired(call, host):
            answer = issue(call, host)
            registry.auth.revoked.update(registry.auth.issued[:1])
            return answer

        registry.auth.token = issue_expired

    with tape('token_invalid', expire_first_token) as (client, cassette):
        assert list(client.repositories()) == [[REPOSITORY]]
    assert sent(cassette) == ['POST /oauth2/token', 'GET /acr/v1/_catalog'] * 2


def test_a_missing_permission_is_final_and_named(tape):
    with (
        tape('insufficient_scope', add_reader, lambda registry: Password(*READER)) as (client, cassette),
        pytest.raises(RegistryError) as raised,
    ):
        client.delete_manifest(REPOSITORY, DIGESTS[0])
    assert (raised.value.kind, raised.value.actions) == (Kind.FORBIDDEN, ('delete',))
    assert sent(cassette) == ['POST /oauth2/token', f'DELETE /v2/{REPOSITORY}/manifests/{DIGESTS[0]}']


def test_a_ghost_is_not_found(tape):
    def make_ghost(registry):
        registry.storage.make_ghost(REPOSITORY, DIGESTS[1])

    with tape('ghost', make_ghost) as (client, _):
        listed = [manifest.digest for page in client.manifests(REPOSITORY) for manifest in page]
        with pytest.raises(RegistryError) as raised:
            client.manifest(REPOSITORY, DIGESTS[1])
    assert DIGESTS[1] in listed
    assert (raised.value.kind, raised.value.code) == (Kind.NOT_FOUND, 'MANIFEST_UNKNOWN')


def test_a_lock_is_told_from_a_missing_permission(tape):
    def lock(registry):
        registry.storage.set_locks(REPOSITORY, digest=DIGESTS[2], writeEnabled=False)

    with tape('locked', lock) as (client, _), pytest.raises(RegistryError) as raised:
        client.delete_manifest(REPOSITORY, DIGESTS[2])
    assert (raised.value.kind, raised.value.code) == (Kind.LOCKED, 'REGISTRY_DISALLOWED_OPERATION')


def test_a_busy_server_is_asked_again_when_it_says(tape, waits):
    def be_busy(registry):
        registry.faults.rules.append(Fault('_catalog', 429, times=1, retry_after=7))
        registry.faults.rules.append(Fault('DELETE', 429, times=1))

    with tape('busy', be_busy) as (client, cassette):
        assert list(client.repositories()) == [[REPOSITORY]]
        client.delete_manifest(REPOSITORY, DIGESTS[3])
    delete = f'DELETE /v2/{REPOSITORY}/manifests/{DIGESTS[3]}'
    assert sent(cassette) == ['POST /oauth2/token', *['GET /acr/v1/_catalog'] * 2, delete, delete]
    assert [response['status']['code'] for response in cassette.responses] == [200, 429, 200, 429, 202]
    assert 6.9 < waits[0] <= 7 and 0.4 < waits[1] <= 0.5


def test_a_token_endpoint_that_is_busy_is_asked_again(tape, waits):
    def be_busy(registry):
        registry.faults.rules.append(Fault('/oauth2/token', 429, times=1))

    with tape('token_busy', be_busy) as (client, cassette):
        assert list(client.repositories()) == [[REPOSITORY]]
    assert sent(cassette) == ['POST /oauth2/token'] * 2 + ['GET /acr/v1/_catalog']
    assert len(waits) == 1


@pytest.mark.skipif(RECORDING, reason='the cassettes are being recorded')
@pytest.mark.parametrize('path', sorted(CASSETTES.glob('*.yaml')), ids=lambda path: path.stem)
def test_no_cassette_holds_a_secret(path):
    text = path.read_text()
    for secret in ('eyJ', ADMIN[0], ADMIN[1], SERVICE_PRINCIPAL[1], *READER, 'localhost', '127.0.0.1', 'Bearer ey'):
        assert secret not in text, secret
    assert '/oauth2/token' in text
