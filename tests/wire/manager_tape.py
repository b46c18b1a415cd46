"""Recordings of what az's own clients ask of the resource manager, and its answers, without secrets and ports.

What az has of a sign-in is left out: each call has the token of nobody.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import vcr
from azure.cli.core._profile import Profile
from azure.cli.core.cloud import Cloud, CloudEndpoints, CloudSuffixes
from azure.cli.core.mock import DummyCli

from tests.registry.auth import SUBSCRIPTION, TENANT
from tests.registry.server import LocalRegistry

CASSETTES = Path(__file__).with_name('cassettes') / 'manager'
RECORDING = os.environ.get('ACRPRUNE_RECORD') == '1'
HOST = 'azure.example'
GROUP = f'/subscriptions/{SUBSCRIPTION}/resourceGroups/local'
REGISTRY = f'{GROUP}/providers/Microsoft.ContainerRegistry/registries/localhost'
SIGNATURE = re.compile(r'sig=[\w-]+')


class NobodysToken:
    """The credential that az's clients take, in both ways in which they ask for a token."""

    def get_token(self, *scopes: str, **_: Any) -> Any:
        return SimpleNamespace(token='REDACTED', expires_on=int(time.time()) + 3600)

    def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        return SimpleNamespace(
            token='REDACTED', expires_on=int(time.time()) + 3600, token_type='Bearer', refresh_on=None
        )


def sign_nobody_in(monkeypatch: Any) -> None:
    found = NobodysToken(), SUBSCRIPTION, TENANT
    raw = ('Bearer', 'REDACTED', {}), SUBSCRIPTION, TENANT
    monkeypatch.setattr(Profile, 'get_login_credentials', lambda *_, **__: found)
    monkeypatch.setattr(Profile, 'get_raw_token', lambda *_, **__: raw)
    monkeypatch.setattr(Profile, 'get_subscription', lambda *_, **__: {'name': 'local', 'id': SUBSCRIPTION})
    monkeypatch.setattr(Profile, 'get_subscription_id', lambda *_, **__: SUBSCRIPTION)


def command(host: str) -> Any:
    cli = DummyCli()
    base = f'https://{host}'
    cli.cloud = Cloud(
        'local',
        profile='latest',
        endpoints=CloudEndpoints(
            resource_manager=base, active_directory=f'{base}/adfs', active_directory_resource_id=f'{base}/arm'
        ),
        suffixes=CloudSuffixes(acr_login_server_endpoint='.azurecr.io'),
    )
    return SimpleNamespace(cli_ctx=cli, name='acr prune schedule')


def scrubbed(text: str, host: str) -> str:
    return SIGNATURE.sub('sig=REDACTED', text.replace(host, HOST))


def scrubbing_request(host: str) -> Callable[[Any], Any]:
    def scrub(request: Any) -> Any:
        request.uri = scrubbed(request.uri, host)
        request.headers = {name: value for name, value in request.headers.items() if name.lower() == 'content-type'}
        if request.body:
            request.body = scrubbed(request.body.decode(), host)
        return request

    return scrub


def scrubbing_response(host: str) -> Callable[[Any], Any]:
    def scrub(response: Any) -> Any:
        headers = {name: value for name, value in response['headers'].items() if name.lower() == 'content-type'}
        text = scrubbed(response['body']['string'].decode(), host)
        return {**response, 'headers': headers, 'body': {'string': text.encode()}}

    return scrub


@contextmanager
def recorded(path: Path, arrange: Callable, monkeypatch: Any) -> Iterator[tuple[Any, Any]]:
    path.unlink(missing_ok=True)
    with LocalRegistry() as registry:
        arrange(registry)
        monkeypatch.setenv('REQUESTS_CA_BUNDLE', registry.ca_file)
        host = registry.login_server
        recorder = vcr.VCR(
            record_mode='all',
            before_record_request=scrubbing_request(host),
            before_record_response=scrubbing_response(host),
        )
        with recorder.use_cassette(str(path)) as cassette:
            yield command(host), cassette


@contextmanager
def replayed(path: Path) -> Iterator[tuple[Any, Any]]:
    player = vcr.VCR(
        record_mode='none', before_record_request=scrubbing_request(HOST), match_on=('method', 'uri', 'body')
    )
    with player.use_cassette(str(path)) as cassette:
        yield command(HOST), cassette
        assert cassette.all_played


def on_tape(name: str, arrange: Callable, monkeypatch: Any) -> Any:
    """A command of az on a cassette, and the cassette; `arrange` prepares what is recorded."""
    sign_nobody_in(monkeypatch)
    path = CASSETTES / f'{name}.yaml'
    return recorded(path, arrange, monkeypatch) if RECORDING else replayed(path)


def sent(cassette: Any) -> list[str]:
    """Each call: its method, its path with what it is below in one word, and the version of the protocol."""
    return [
        f'{request.method} {_shortened(unquote(request.path))} {dict(request.query).get("api-version")}'
        for request in cassette.requests
    ]


def _shortened(path: str) -> str:
    for place, word in ((REGISTRY, 'REGISTRY'), (GROUP, 'GROUP'), (f'/subscriptions/{SUBSCRIPTION}', 'SUBSCRIPTION')):
        path = path.replace(place, word)
    return path


def body(cassette: Any, number: int) -> Any:
    return json.loads(cassette.requests[number].body)
