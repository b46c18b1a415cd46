"""What costs a run its time: answers that drip, what fails for ever, and repositories that refuse every call."""

from __future__ import annotations

import time

import pytest
from azure.core.exceptions import ServiceResponseTimeoutError
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.pipeline.transport import HttpRequest

from azext_acrprune.inventory.cache import ManifestCache
from azext_acrprune.inventory.cache_file import cache_path
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import UNREAD_REPOSITORY, Content, Unreadable
from azext_acrprune.registry import transport
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.retries import PacingPolicy, Retry
from azext_acrprune.reporter import Silent
from azext_acrprune.timelimit import TimeLimit
from tests.registry.builder import build
from tests.registry.faults import Fault
from tests.wire.images import image_in
from tests.wire.plain import scan
from tests.wire.test_hidden import image

APP = 'team/app'
CALLS = {
    'GET .*_catalog': lambda client, _: list(client.repositories()),
    f'GET .*{APP}/_manifests': lambda client, _: list(client.manifests(APP)),
    'GET /v2/.*/manifests': lambda client, kept: client.manifest(APP, kept.digest),
    'GET /v2/.*/blobs': lambda client, kept: list(client.blob(APP, kept.blob)),
    'POST /oauth2/token': lambda client, _: list(client.repositories()),
}


class Image:
    """An image in the registry, with a blob of some size."""

    def __init__(self, registry) -> None:
        self.blob = registry.storage.put_blob(b'x' * 500)
        self.digest = image(registry.storage, 'image', layers=[(self.blob, 500)])


def limited(seconds: float) -> PacingPolicy:
    return PacingPolicy(Pacer(), Silent().throttled, limit=TimeLimit(seconds, time.monotonic))


@pytest.mark.parametrize('pattern', CALLS)
def test_an_answer_that_drips_ends_with_the_time_limit(registry, connect, pattern):
    kept = Image(registry)
    registry.faults.rules.append(Fault(pattern, 'drip', seconds=0.25))  # more than a minute for the shortest
    with pytest.raises(RegistryError) as raised:
        CALLS[pattern](connect(pacing=limited(1)), kept)
    assert raised.value.kind is (Kind.UNAVAILABLE if 'blobs' in pattern else Kind.OUT_OF_TIME)


def test_a_blob_that_drips_ends_without_a_time_limit_too(registry, connect, monkeypatch):
    monkeypatch.setattr(transport, '_ANSWER_SECONDS', 0.5)
    kept = Image(registry)
    client = connect()
    assert b''.join(client.blob(APP, kept.blob)) == b'x' * 500
    registry.faults.rules.append(Fault('GET /v2/.*/blobs', 'drip', seconds=0.25))
    with pytest.raises(RegistryError, match='in the middle of a blob'):
        list(client.blob(APP, kept.blob))


def test_what_took_all_the_time_for_an_answer_is_tried_once_more():
    retry = Retry(retry_total=20, retry_connect=6, retry_read=6, retry_status=9)
    settings = retry.configure_retries({})
    request, late = PipelineRequest(HttpRequest('GET', ''), PipelineContext(None)), ServiceResponseTimeoutError('late')
    assert [retry.increment(settings, request, late) for _ in range(2)] == [True, False]


@pytest.fixture
def read(registry, connect, tmp_path):
    """Read the registry with the cache of the last time; gives the inventory and the number of requests."""

    def read(pattern: str = ''):
        registry.forget()
        cache = ManifestCache(cache_path(str(tmp_path), 'localhost'), time.time_ns() // 1000)
        inventory = scan(connect(), 'localhost', Extent(), Silent(), cache)
        cache.close()
        return inventory, sum(pattern in path for _, path, _ in registry.requests)

    return read


def test_a_manifest_that_always_fails_is_asked_for_twice_by_the_next_run_and_stays_unreadable(registry, read, waits):
    digest = image_in(registry.storage, APP, 'image')
    failing = Fault(f'GET /v2/.*{digest}', 503)
    registry.faults.rules.append(failing)
    numbers = []
    for _ in range(3):
        inventory, number = read(f'/manifests/{digest}')
        assert isinstance(inventory.repositories[0].manifests[digest].content, Unreadable)
        numbers.append(number)
    assert numbers[0] > 5 and numbers[1:] == [2, 2]
    registry.faults.rules.clear()
    inventory, number = read(f'/manifests/{digest}')
    assert isinstance(inventory.repositories[0].manifests[digest].content, Content) and number == 1
    assert waits


def test_what_was_well_once_is_asked_for_patiently_again(registry, read, waits):
    image_in(registry.storage, APP, 'image')
    listing = Fault(f'GET .*{APP}/_manifests', 503)
    numbers = []
    for rules in ([listing], [listing], [], [listing]):
        registry.faults.rules[:] = rules
        inventory, number = read('/_manifests')
        numbers.append(number)
        assert bool(inventory.repositories) == (not rules)
    assert numbers[0] > 5 and numbers[1:3] == [2, 1] and numbers[3] == numbers[0]


def test_repositories_that_refuse_every_call_do_not_hold_up_the_others(registry, connect, waits, clock):
    names = build(registry.storage, 3, 40, 200, time.time())
    healthy = scan(connect(), 'localhost', Extent(), Silent())
    assert len(healthy.repositories) == 40 and not waits
    registry.faults.rules += [Fault(f'GET .*{name}/_manifests', 429) for name in names[:2]]
    began = clock()
    inventory = scan(connect(), 'localhost', Extent(), Silent())
    assert {each.repository for each in inventory.warnings if each.code == UNREAD_REPOSITORY} == set(names[:2])
    assert len(inventory.repositories) == 38
    assert clock() - began < 120
