"""One registry, pruned as a schedule does it: our scan, our planner and our executor on the documented service."""

from __future__ import annotations

import asyncio
import calendar
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from azext_acrprune.apply.execute import execute
from azext_acrprune.apply.journal import Journal, JournaledRegistry
from azext_acrprune.decide.decision import decide
from azext_acrprune.inventory.cache import Blobs, NoCache
from azext_acrprune.inventory.scan import Extent, scan
from azext_acrprune.model import TICKS_PER_SECOND, Content, Inventory
from azext_acrprune.policy.rules import Age, untagged_policy
from azext_acrprune.registry.changes import Changes
from azext_acrprune.reporter import Silent
from tests.registry.builder import OCI_IMAGE, image_manifest
from tests.registry.records import digest_of, wire_time
from tests.registry.storage import Storage

from .service import HOST, Service, client
from .virtual import run

CONCURRENCY = 32
IN_A_REPOSITORY = 100
"""Manifests of one repository, as in the bench."""

NOW = calendar.timegm((2027, 1, 15, 3, 0, 0))
_LONG_AGO = wire_time(NOW - 40 * 86_400)


@dataclass(frozen=True)
class Night:
    """What a run took: reads and seconds for the plan, the same for deleting, and how many calls were refused."""

    reads: int
    read_seconds: float
    deleted: int
    reads_to_delete: int
    delete_seconds: float
    refused: int


class _Cache(NoCache):
    """What runs before have read."""

    def __init__(self, known: Inventory) -> None:
        self._known = {
            each.name: {digest: manifest.content for digest, manifest in each.manifests.items()}
            for each in known.repositories
        }

    def recall(self, repository: str, listed: Collection[str], blobs: Blobs | None = None) -> dict[str, Content]:
        return {digest: known for digest, known in self._known.get(repository, {}).items() if digest in listed}


def first_night(sku: str, manifests: int, doomed: float, in_a_repository: int = IN_A_REPOSITORY) -> Night:
    """Nothing is known, and this share of the manifests goes."""
    return run(_night(_filled(range(manifests), doomed, in_a_repository), sku, NoCache()))


def every_night(sku: str, manifests: int, new: float) -> Night:
    """All is known but what was pushed since the last night, as many as go."""
    fresh = int(manifests * new)
    storage = _filled(range(manifests - fresh), new)
    known = run(_plan(storage, sku, NoCache()))
    _fill(storage, range(manifests - fresh, manifests), 0.0)
    return run(_night(storage, sku, _Cache(known)))


def journal_bytes(deletions: int = 100) -> float:
    """What one deletion takes in the journal of a run."""
    storage = _filled(range(deletions), 1)
    with tempfile.TemporaryDirectory() as folder:
        run(_night(storage, 'Premium', NoCache(), Path(folder)))
        return sum(path.stat().st_size for path in Path(folder).glob('*.jsonl')) / deletions


async def _plan(storage: Storage, sku: str, cache: NoCache) -> Inventory:
    clock = asyncio.get_running_loop().time
    return await scan(client(Service(storage, sku, clock), sku, clock), HOST, Extent(), Silent(), cache)


async def _night(storage: Storage, sku: str, cache: NoCache, journals: Path | None = None) -> Night:
    clock = asyncio.get_running_loop().time
    service = Service(storage, sku, clock)
    registry = client(service, sku, clock)
    inventory = await scan(registry, HOST, Extent(), Silent(), cache)
    reads, read_seconds = service.calls['GET'], clock()
    decision = decide(inventory, untagged_policy(Age('7d', 7 * 86_400)), NOW * TICKS_PER_SECOND)
    door: Changes = registry
    if journals:
        seen = {repository.name: repository for repository in inventory.repositories}
        door = JournaledRegistry(registry, Journal(journals, {'registry': HOST}), seen)
    outcome = await execute(registry, door, decision, CONCURRENCY, Silent(), clock, cache=cache)
    assert not outcome.failed and not outcome.left
    more = service.calls['GET'] - reads
    return Night(reads, read_seconds, len(outcome.deleted), more, clock() - read_seconds, service.refused)


def _filled(numbers: range, doomed: float, in_a_repository: int = IN_A_REPOSITORY) -> Storage:
    storage = Storage(clock=lambda: NOW)
    _fill(storage, numbers, doomed, in_a_repository)
    return storage


def _fill(storage: Storage, numbers: range, doomed: float, in_a_repository: int = IN_A_REPOSITORY) -> None:
    """Images of ten layers, of which this share has no tag, spread over all repositories."""
    for number in numbers:
        layers = [(digest_of(f'{number // 50} {layer}'.encode()), 30_000_000) for layer in range(9)]
        layers.append((digest_of(f'own {number}'.encode()), 100_000))
        for digest, size in layers:
            storage.put_virtual_blob(digest, size)
        config = storage.put_blob(f'{{"number": {number}}}'.encode())
        data = image_manifest((config, storage.blob_size(config)), layers)
        goes = int((number + 1) * doomed) > int(number * doomed)
        tag = None if goes else f'v{number}'
        name = f'team/app-{number // in_a_repository}'
        storage.put_manifest(name, data, OCI_IMAGE, tag, created=_LONG_AGO, updated=_LONG_AGO)
