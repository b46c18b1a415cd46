"""Whole recordings of the service, replayed in order on a local registry that is put into the recorded state.

Digests, names, tags and times are the recorded ones, so that answers are compared value by value; tokens are real.
`ACRPRUNE_RECORDINGS` names the folder of the recordings, `../shared/recordings` beside the repository otherwise.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import requests
import yaml

from tests.registry.builder import OCI_IMAGE, image_manifest, index_manifest
from tests.registry.records import FLAGS, INDEX_TYPES, RepositoryState, Tag
from tests.registry.storage import Storage

FOLDER = Path(os.environ.get('ACRPRUNE_RECORDINGS') or Path(__file__).parents[3] / 'shared' / 'recordings')
FILES = sorted(FOLDER.glob('*.yaml'))
HOST = 'fake_url.azurecr.io'
WHEN = '2021-04-13T15:11:45.5428414Z'
HEADERS = (
    'docker-distribution-api-version',
    'x-content-type-options',
    'access-control-expose-headers',
    'content-type',
    'x-ms-int-docker-content-digest',
)
RATE = 'x-ms-ratelimit-remaining-calls-per-second'
SOMETIMES = {'quarantineState', 'quarantineDetails', 'teleportEnabled', 'configMediaType'}
NOT_KEPT = {'imageSize', 'architecture', 'os', 'access_token', 'refresh_token'}
NO_TIME = {'createdTime': WHEN, 'lastUpdateTime': WHEN}


def exchanges(path: Path) -> list[dict]:
    return yaml.load(path.read_text(), yaml.CSafeLoader)['interactions']


def body_of(exchange: dict) -> Any:
    text = exchange['response']['body'].get('string') or ''
    return json.loads(text) if text.startswith('{') else text


# The recorded state


class World:
    """Fills a storage with what a recording shows or names, as it was when it was first seen."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def see(self, exchange: dict) -> None:
        status, body = exchange['response']['status']['code'], body_of(exchange)
        if status == 202:
            self._deleted(exchange, body or {})
        elif status == 200 and 'imageName' in body:
            self._repository(body)
        for name in body.get('repositories') or [] if status == 200 else []:
            self._seen_repository(name)

    def _seen_repository(self, name: str) -> None:
        if name not in self.storage.repositories():
            self.manifest(name, {'digest': f'sha256:{len(self.storage.repositories()):064x}'})

    def _repository(self, body: dict) -> None:
        name = body['imageName']
        for manifest in [body['manifest']] if 'manifest' in body else body.get('manifests') or []:
            self.manifest(name, manifest)
        for tag in [body['tag']] if 'tag' in body else body.get('tags') or []:
            self.tag(name, tag)
        if 'manifestCount' in body:
            self._counted(body)

    def _counted(self, body: dict) -> None:
        name = body['imageName']
        for number in range(body['manifestCount'] - len(self.storage.manifests(name))):
            self.manifest(name, {'digest': f'sha256:{number:064x}'})
        digest = next(iter(self.storage.manifests(name)))
        for number in range(body['tagCount'] - len(self.storage.tags(name))):
            self.tag(name, {'name': f'tag-{number}', 'digest': digest})
        state: RepositoryState = self.storage.state(name)
        if state.created == WHEN:
            state.created, state.updated = body['createdTime'], body['lastUpdateTime']
            state.flags.update(flags_of(body))

    def _deleted(self, exchange: dict, body: dict) -> None:
        path = unquote(exchange['request']['uri'].partition(HOST)[2])
        name, kind, what = re.match(r'/(?:acr/v1|v2)/(.+?)(?:/(_tags|manifests)/(.+))?$', path).groups()
        digests = body.get('manifestsDeleted') or [what] * (kind == 'manifests')
        digests += exchange['response']['headers'].get('x-ms-int-docker-content-digest', [])
        for digest in digests:
            self.manifest(name, {'digest': digest})
        for tag in body.get('tagsDeleted') or [what] * (kind == '_tags'):
            self.tag(name, {'name': tag, 'digest': digests[-1]})

    def manifest(self, repository: str, seen: dict) -> None:
        """A manifest with the fields that were seen, in place of one of which only the digest was known."""
        known = self.storage.manifests(repository).get(seen['digest'])
        if known and known.created != WHEN:
            return
        is_new = repository not in self.storage.repositories()
        if known:
            self.storage.make_ghost(repository, seen['digest'])
        self._put(repository, seen)
        if is_new:
            self.storage.state(repository).created = WHEN
        for tag in seen.get('tags', []):
            self.tag(repository, {'name': tag, 'digest': seen['digest']})

    def _put(self, repository: str, seen: dict) -> None:
        media_type, times = seen.get('mediaType', OCI_IMAGE), {**NO_TIME, **seen}
        self.storage.put_manifest(
            repository,
            manifest_bytes(seen, media_type),
            media_type,
            checked=False,
            digest=seen['digest'],
            created=times['createdTime'],
            updated=times['lastUpdateTime'],
        )
        self.storage.manifest(repository, seen['digest']).flags.update(flags_of(seen))

    def tag(self, repository: str, seen: dict) -> None:
        if seen['digest'] not in self.storage.manifests(repository):
            self.manifest(repository, {'digest': seen['digest']})
        times, known = {**NO_TIME, **seen}, self.storage.tags(repository).get(seen['name'])
        if not known or known.created == WHEN:
            tag = Tag(seen['digest'], times['createdTime'], times['lastUpdateTime'])
            tag.flags.update(flags_of(seen))
            self.storage.tags(repository)[seen['name']] = tag


def flags_of(seen: dict) -> dict[str, bool]:
    return {key: value for key, value in seen.get('changeableAttributes', {}).items() if key in FLAGS}


def manifest_bytes(seen: dict, media_type: str) -> bytes:
    if media_type in INDEX_TYPES:
        return index_manifest([(child['digest'], 1) for child in seen.get('references', [])])
    if 'architecture' in seen:
        return image_manifest(('sha256:' + 'c' * 64, 1), [])
    return b'{"schemaVersion":2}'


# The replay


class Player:
    """Sends recorded requests in order: with a token when one was just fetched, as the recorded client did."""

    def __init__(self, http, auth) -> None:
        self._http = http
        self._secrets: dict[str, str | None] = {'refresh_token': None}
        self._auth = auth
        self._token: str | None = None

    def play(self, request: dict) -> requests.Response:
        path = request['uri'].partition(HOST)[2]
        if path.startswith('/oauth2/'):
            return self._fetch(path, request['body'])
        headers = {'Authorization': f'Bearer {self._token}'} if self._token else {}
        self._token = None
        return self._http(request['method'], path, headers=headers, data=request['body'])

    def _fetch(self, path: str, body: str) -> requests.Response:
        """A token call, its scrubbed secrets replaced by our own."""
        form = dict(parse_qsl(body))
        secrets = {'access_token': self._auth.aad_token(), **self._secrets, 'service': self._http.service}
        answer = self._http('POST', path, data={**form, **{key: secrets[key] for key in form if key in secrets}})
        self._secrets.update({key: value for key, value in answer.json().items() if key == 'refresh_token'})
        self._token = answer.json().get('access_token')
        return answer


def comparable(value: Any, host: str = HOST) -> Any:
    """Without what comes and goes; with our host for the recorded one, and a type in place of what is not kept."""
    if isinstance(value, dict):
        return {
            key: type(item).__name__ if key in NOT_KEPT else comparable(item, host)
            for key, item in value.items()
            if key not in SOMETIMES
        }
    if isinstance(value, list):
        return [comparable(item, host) for item in value]
    return value.replace(HOST, host) if isinstance(value, str) else value


def test_a_recorded_flow_is_answered_alike_value_by_value(recording, http, registry):
    registry.auth.add_user('', '', [('*', frozenset({'pull', 'metadata_read'}))])
    world = World(registry.storage)
    for exchange in recording:
        world.see(exchange)
    player = Player(http, registry.auth)
    for exchange in recording:
        answer = player.play(exchange['request'])
        place = f'{exchange["request"]["method"]} {exchange["request"]["uri"]}'
        assert answer.status_code == exchange['response']['status']['code'], place
        compare_body(exchange, answer, http.service)
        compare_headers(exchange, answer, http.service)


def compare_body(exchange: dict, answer: requests.Response, host: str) -> None:
    recorded = comparable(body_of(exchange), host)
    if not isinstance(recorded, dict):
        assert answer.text == recorded
        return
    assert comparable(answer.json(), host) == recorded
    assert answer.text.endswith('}\n') and '": ' not in answer.text


def compare_headers(exchange: dict, answer: requests.Response, host: str) -> None:
    recorded = {key.lower(): ', '.join(values) for key, values in exchange['response']['headers'].items()}
    for name in HEADERS:
        if name in recorded or name != 'content-type':
            assert answer.headers.get(name) == recorded.get(name), name
    assert (RATE in answer.headers) == (RATE in recorded)
    if RATE in recorded:
        assert re.fullmatch(r'\d+\.\d+', answer.headers[RATE])
    compare_challenge(recorded.get('www-authenticate'), answer.headers.get('WWW-Authenticate'), host)
    compare_link(exchange, recorded.get('link'), answer.headers.get('Link'))


def compare_challenge(recorded: str | None, ours: str | None, host: str) -> None:
    """Where the recorder wrote `fake_scope` over the scope, only the service and the realm can be compared."""
    if recorded is None or ours is None or 'fake_scope' not in recorded:
        assert ours == (recorded and recorded.replace(HOST, host))
        return
    assert ours.partition(',scope=')[0] == recorded.replace(HOST, host).partition(',scope=')[0]


def compare_link(exchange: dict, recorded: str | None, ours: str | None) -> None:
    """In April 2021 a full last page had no link; since May it has one, to a page that is null, as ours has."""
    size = dict(parse_qsl(urlsplit(exchange['request']['uri']).query)).get('n')
    if recorded or not size:
        assert ours == recorded
        return
    shown = next(value for value in body_of(exchange).values() if isinstance(value, list) or value is None)
    assert bool(ours) == (len(shown or []) == int(size))


# All recordings


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if 'recording' in metafunc.fixturenames:
        missing = [pytest.param(None, id='none', marks=pytest.mark.skip(reason=f'no recordings in {FOLDER}'))]
        metafunc.parametrize(
            'recording',
            [pytest.param(exchanges(path), id=path.stem.partition('.test_')[2]) for path in FILES] or missing,
        )


def kinds() -> Iterator[str]:
    """Every kind of exchange in the recordings, names and digests left out."""
    for exchange in (exchange for path in FILES for exchange in exchanges(path)):
        path = unquote(exchange['request']['uri'].partition(HOST)[2]).partition('?')[0]
        path = re.sub(r'(_tags|_?manifests)/.+', r'\1/X', path)
        path = re.sub(r'^/(acr/v1|v2)/(?!_).+?(?=/_tags|/_?manifests|$)', r'/\1/R', path)
        yield f'{exchange["request"]["method"]} {path} {exchange["response"]["status"]["code"]}'


@pytest.mark.skipif(not FILES, reason=f'no recordings in {FOLDER}')
def test_the_recordings_have_every_kind_of_exchange_that_the_client_depends_on():
    assert set(kinds()) >= {
        'POST /oauth2/exchange 200',
        'POST /oauth2/token 200',
        'GET /acr/v1/_catalog 200',
        'GET /acr/v1/_catalog 401',
        'GET /acr/v1/R 200',
        'GET /acr/v1/R/_manifests 200',
        'GET /acr/v1/R/_manifests/X 200',
        'GET /acr/v1/R/_manifests/X 404',
        'GET /acr/v1/R/_tags 200',
        'GET /acr/v1/R/_tags/X 200',
        'GET /acr/v1/R/_tags/X 404',
        'PATCH /acr/v1/R 200',
        'PATCH /acr/v1/R/_manifests/X 200',
        'PATCH /acr/v1/R/_manifests/X 404',
        'PATCH /acr/v1/R/_tags/X 200',
        'DELETE /acr/v1/R 202',
        'DELETE /acr/v1/R 404',
        'DELETE /acr/v1/R/_tags/X 202',
        'DELETE /acr/v1/R/_tags/X 404',
        'DELETE /v2/R/manifests/X 202',
        'DELETE /v2/R/manifests/X 401',
        'DELETE /v2/R/manifests/X 404',
    }
