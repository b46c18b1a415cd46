"""The local registry against recorded answers of the service: same status, fields, error texts and headers.

The recordings are not part of this repository: ACRPRUNE_RECORDINGS names their folder, `../shared/recordings`
otherwise. Their `www-authenticate` was overwritten in most files by the recorder; test_protocol.py has its form.
"""
from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Iterator, Set, Tuple
from urllib.parse import unquote, urlsplit

import pytest
import requests
import yaml

from tests.registry.auth import ADMIN, ALL
from tests.registry.builder import DOCKER_IMAGE, DOCKER_LIST, image_manifest, index_manifest

FOLDER = Path(os.environ.get('ACRPRUNE_RECORDINGS', Path(__file__).parents[3] / 'shared' / 'recordings'))
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f'no recordings of the service in {FOLDER}')

COMPARED_HEADERS = {'docker-distribution-api-version', 'x-content-type-options', 'strict-transport-security',
                    'access-control-expose-headers', 'link', 'x-ms-ratelimit-remaining-calls-per-second',
                    'x-ms-int-docker-content-digest'}
OPTIONAL_KEYS = {'quarantineState', 'quarantineDetails', 'teleportEnabled', 'configMediaType'}


def exchanges() -> Iterator[Tuple[str, dict, dict]]:
    """All but the token flow, which is compared in test_protocol.py."""
    for path in sorted(FOLDER.glob('*.yaml')):
        for number, exchange in enumerate(yaml.safe_load(path.read_text())['interactions']):
            if '/oauth2/' not in exchange['request']['uri']:
                yield f'{path.stem}-{number}', exchange['request'], exchange['response']


def kind_of(request: dict, response: dict) -> str:
    """The exchange with its names taken out: those of one kind must be answered alike."""
    path = unquote(urlsplit(request['uri']).path)
    path = re.sub(r'sha256:[0-9a-f]{64}', 'DIGEST', path)
    path = re.sub(r'(_tags|manifests)/(?!DIGEST)[^/]+', r'\1/TAG', path)
    path = re.sub(r'/(acr/v1|v2)/(?!_catalog)(.+?)(?=/_|/manifests|$)', r'/\1/REPOSITORY', path)
    return f"{request['method']} {path} {response['status']['code']}"


def keys_of(document: Any, prefix: str = '') -> Set[str]:
    """The paths of all keys in a document, list places left out."""
    if isinstance(document, list):
        return set().union(*(keys_of(item, prefix) for item in document)) if document else set()
    if not isinstance(document, dict):
        return set()
    own = {f'{prefix}.{key}' for key in document if key not in OPTIONAL_KEYS}
    return own.union(*(keys_of(value, f'{prefix}.{key}') for key, value in document.items()))


def filled(registry) -> dict:
    """An index over images in two repositories, with every kind of identity that the recordings had."""
    storage = registry.storage
    digests = {}
    for name in ('library/app', 'library/second', 'library/third'):
        children = []
        for arch in ('amd64', 'arm64'):
            data = image_manifest(storage_blob(storage, f'{name} {arch}'), [storage_blob(storage, f'{arch} layer')],
                                  docker=True)
            children.append((storage.put_manifest(name, data, DOCKER_IMAGE), len(data)))
        for tag in ('v1', 'v2'):
            digests[name] = storage.put_manifest(name, index_manifest(children, docker=True), DOCKER_LIST, tag)
    registry.auth.add_user('reader', 'password', [('*', ALL - {'delete'})])
    return digests


def storage_blob(storage, text: str) -> tuple:
    return storage.put_blob(text.encode()), len(text)


def ask(registry, request: dict, response: dict, digests: dict) -> requests.Response:
    """The same request of the local registry, its names replaced by ones that exist (or, for a 404, do not)."""
    path, query = urlsplit(request['uri']).path, urlsplit(request['uri']).query
    status = response['status']['code']
    gone = status == 404
    repository = 'library/nosuch' if gone else 'library/app'
    path = unquote(path)
    if '_catalog' not in path and 'oauth2' not in path and not re.search('[A-Z]', path.split('sha256')[0]):
        path = re.sub(r'/(acr/v1|v2)/(.+?)(?=/_|/manifests|$)', rf'/\1/{repository}', path)
    path = re.sub(r'sha256:[0-9a-f]{64}', 'sha256:' + '0' * 64 if gone else digests['library/app'], path)
    path = re.sub(r'(_tags|manifests)/(?!sha256)[^/]+', r'\1/v1', path)
    query = re.sub(r'&?last=[^&]*', '', query)
    options: dict = {'auth': ADMIN}
    if status == 401:
        options = {'auth': ('reader', 'password')} if request['headers'].get('Authorization') else {}
    if request['method'] == 'PATCH':
        options['data'] = request['body']
    return requests.request(request['method'], f'https://{registry.login_server}{path}?{query}',
                            verify=registry.ca_file, timeout=10, **options)


@pytest.mark.parametrize('request_, response', [
    pytest.param(request_, response, id=name) for name, request_, response in exchanges()])
def test_answers_have_the_same_status_fields_and_headers(registry, request_, response):
    answer = ask(registry, request_, response, filled(registry))
    assert answer.status_code == response['status']['code'], kind_of(request_, response)
    recorded = response['body'].get('string', '') or ''
    if recorded.startswith('{'):
        assert comparable_keys(answer.json()) == comparable_keys(json.loads(recorded))
        assert errors_of(answer.json()) == errors_of(json.loads(recorded))
        assert answer.content.endswith(b'}\n')
    compare_headers(answer, response)


def comparable_keys(document: dict) -> Set[str]:
    """All keys but those that an item has or has not by its own nature: tags, references, a platform."""
    keys = keys_of(document)
    return {key for key in keys if not re.search(r'\.(tags|references|architecture|os|detail)(\.|$)', key)}


def errors_of(document: dict) -> list:
    return [(error['code'], re.sub(r'sha256:\w+', 'DIGEST', error['message'])) for error in document.get('errors', [])]


def compare_headers(answer: requests.Response, response: dict) -> None:
    recorded = {key.lower() for key in response['headers']} & COMPARED_HEADERS
    if answer.status_code == 404 and answer.headers['Content-Type'].startswith('text/plain'):
        return
    mine = {key.lower() for key in answer.headers} & COMPARED_HEADERS
    assert mine - {'link'} == recorded - {'link'}
    if 'link' in recorded and 'link' in mine:
        form = re.compile(r'</acr/v1/[^?]+\?last=[^&/:]+&n=\d+&orderby=\w*>; rel="next"$')
        assert form.match(response['headers']['link'][0]) and form.match(answer.headers['Link'])
