"""Many calls at a time from one thread, on the local registry: what the short way begins, the pipeline ends."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from azext_acrprune.registry.flight import Flight
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from tests.registry.faults import Fault

from .conftest import CONCURRENCY
from .images import image_in

MANIFESTS = 'GET /v2/.*/manifests/'


def soon(client: Any, digests: Any) -> Any:
    """What comes of reading manifests, many at a time."""
    with Flight(CONCURRENCY) as flight:

        async def read(digest: str) -> Any:
            try:
                return await client.manifest_soon(flight, 'a/one', digest)
            except RegistryError as error:
                return error.kind

        return [one.result() for one in [flight.start(read(digest)) for digest in digests]]


@pytest.mark.parametrize(
    'fault, tries',
    [
        (Fault(MANIFESTS, 500, times=1), 2),
        (Fault(MANIFESTS, 503, times=2), 3),
        (Fault(MANIFESTS, 'reset', times=1), 2),
        (Fault(MANIFESTS, 'cut', times=1), 2),
        (Fault(MANIFESTS, 429, times=1), 2),
    ],
)
def test_a_first_try_counts_as_one_of_the_pipeline(registry, connect, waits, fault, tries):
    digest = image_in(registry.storage, 'a/one', 'one')
    client = connect()
    expected = client.manifest('a/one', digest)  # opens the connection that the next one takes
    registry.forget()
    registry.faults.rules.append(fault)
    assert soon(client, [digest]) == [expected]
    assert sum('/manifests/' in path for _, path, _ in registry.requests) == tries
    assert len(waits) == tries - 1


def test_a_manifest_that_is_not_there_is_asked_for_once(registry, connect):
    client = connect()
    client.manifest('a/one', image_in(registry.storage, 'a/one', 'one'))
    registry.forget()
    assert soon(client, ['sha256:' + '0' * 64]) == [Kind.NOT_FOUND]
    assert [status for _, _, status in registry.requests] == [404]


def test_a_token_that_all_hear_is_invalid_is_renewed_once(registry, connect):
    digests = [image_in(registry.storage, 'a/one', f'image {number}') for number in range(30)]
    client = connect()
    read = soon(client, digests)
    assert all(isinstance(data, bytes) for data in read)
    registry.forget()
    registry.auth.revoked.update(registry.auth.issued)
    registry.faults.latency = 0.02
    assert soon(client, digests) == read
    assert registry.counters['token'] == 1 and registry.counters['challenge'] > 10


def test_a_connection_that_turns_out_to_be_closed_is_watched_no_more(registry, connect):
    """Its number will be that of another one soon."""
    digest = image_in(registry.storage, 'a/one', 'one')
    client = connect()
    expected = client.manifest('a/one', digest)
    with Flight(1) as flight:

        async def read(is_closed: bool) -> Any:
            for lane in flight._idle if is_closed else ():
                lane._connection.sock.shutdown(socket.SHUT_RDWR)
            return await client.manifest_soon(flight, 'a/one', digest)

        for is_closed in (False, True, False, True):
            assert flight.start(read(is_closed)).result() == expected
            watched = [lane.number for lane in flight._idle if lane.watched]
            assert set(watched) >= set(flight._loop._selector.get_map()) - {flight._loop._ssock.fileno()}
