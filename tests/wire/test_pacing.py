"""Our client against a throttled local registry: what it refuses, counted by the registry itself."""

from __future__ import annotations

import time
from functools import partial

import pytest

from azext_acrprune.decide.decision import decide
from azext_acrprune.inventory.scan import Extent
from azext_acrprune.model import TICKS_PER_SECOND
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.refusals import RegistryError
from azext_acrprune.registry.retries import PacingPolicy
from azext_acrprune.reporter import Silent
from tests.registry.faults import Fault, Throttle
from tests.wire.images import image_in
from tests.wire.plain import execute, scan

REPOSITORY = 'team/app'
FEW = 0.1  # the 2 % that are allowed are tested on a virtual clock: here a busy machine makes answers late


class Told(Silent):
    """Keeps what it hears of throttling."""

    def __init__(self) -> None:
        self.rates = []

    def throttled(self, per_second):
        self.rates.append(per_second)


def paced(clock, reporter=None, **options):
    return PacingPolicy(Pacer(**options), (reporter or Silent()).throttled, clock)


def fill(registry, count, repository=REPOSITORY):
    image_in(registry.storage, repository, 'kept', tag='v1')
    return {image_in(registry.storage, repository, f'stale {place}') for place in range(count)}


def read(client, digests, number):
    """Read manifests, 32 at a time, `number` times."""
    digests = sorted(digests)
    client.together([partial(client.real.manifest, REPOSITORY, digests[n % len(digests)]) for n in range(number)], 32)


def refused(registry):
    return registry.counters['throttled']


def plan(client):
    inventory = scan(client, 'localhost', Extent(), Silent())
    return decide(inventory, untagged_policy(Age('given', 86_400)), int(time.time() * TICKS_PER_SECOND))


@pytest.mark.parametrize('retry_after', [None, 1])
def test_reads_of_32_threads_use_the_rate_and_are_hardly_refused(registry, connect, clock, retry_after):
    digests, calls = fill(registry, 20), 600
    client = connect(pacing=paced(clock, sku='Premium'))
    registry.faults.latency = 0.005
    registry.faults.throttles['reads'] = Throttle(120, 60, retry_after)
    read(client, digests, calls)
    assert registry.counters['manifest_get'] == calls
    assert refused(registry) < FEW * calls


def test_an_unthrottled_registry_is_read_at_full_speed(registry, connect, waits):
    digests = fill(registry, 20)
    client = connect()
    read(client, digests, 500)
    assert (refused(registry), waits) == (0, [])


def test_deletes_go_by_what_is_left_and_are_hardly_refused(registry, connect):
    names = [f'team/app-{place}' for place in range(4)]
    stale = [digest for name in names for digest in fill(registry, 40, name)]
    client = connect()
    decision = plan(client)
    registry.forget()
    registry.faults.throttles['writes'] = Throttle(rate=33, burst=33)
    outcome = execute(client, decision, 32, Silent(), time.monotonic)
    assert len(outcome.deleted) == len(stale) and not outcome.failed
    assert max(registry.faults.most_deletes_in_flight.values()) <= 5
    assert refused(registry) <= 1 + FEW * len(stale)


def test_throttled_writes_do_not_slow_down_reads(registry, connect, clock, waits):
    digests = fill(registry, 20)
    pacing = paced(clock)
    client = connect(pacing=pacing)
    registry.faults.throttles['writes'] = Throttle(rate=0.001, burst=0, retry_after=40)
    with pytest.raises(RegistryError):
        client.delete_manifest(REPOSITORY, sorted(digests)[0])
    assert refused(registry) == 1
    read(client, sorted(digests)[1:], 100)
    assert not waits


def test_throttled_deletes_do_not_slow_down_other_writes(registry, connect, clock, waits):
    (digest,) = fill(registry, 1)
    client = connect(pacing=paced(clock))
    registry.faults.rules.append(Fault('DELETE', 429, retry_after=40))
    with pytest.raises(RegistryError):
        client.delete_manifest(REPOSITORY, digest)
    assert refused(registry) == 1
    client.set_delete_enabled(REPOSITORY, digest, False)
    assert not waits


def test_a_refusal_is_told_with_the_rate_that_is_left(registry, connect, clock, waits):
    digests, told = fill(registry, 5), Told()
    client = connect(pacing=paced(clock, told, sku='Basic'))
    registry.faults.throttles['reads'] = Throttle(rate=40, burst=20)
    read(client, digests, 40)
    assert told.rates and told.rates[0] == pytest.approx(5000 / 60)


def test_a_cap_holds_from_the_first_call_on_and_for_all_threads(registry, connect, clock, waits):
    digests = fill(registry, 20)
    client = connect(pacing=paced(clock, max_rate=60))
    started = clock()
    read(client, digests, 30)
    assert clock() - started >= 29
    assert registry.counters['manifest_get'] == 30


def test_every_call_of_a_registry_that_refuses_half_of_them_is_made_in_the_end(registry, connect, waits):
    digests = fill(registry, 20)
    client = connect()
    registry.faults.rules.append(Fault('/manifests/', 429, 0.5))
    read(client, digests, 60)
    assert registry.counters['manifest_get'] == 60


def test_a_cap_holds_for_a_repository_named_like_the_token_endpoint(registry, connect, clock, waits):
    digest = image_in(registry.storage, 'team/oauth2/app', 'image')
    client = connect(pacing=paced(clock, max_rate=60))
    started = clock()
    for _ in range(3):
        client.manifest('team/oauth2/app', digest)
    assert clock() - started >= 2
