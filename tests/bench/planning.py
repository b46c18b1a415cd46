"""Planning or counting usage alone, on a registry that is only in the cache and in memory: no request is made.

Run as `python -m tests.bench.planning MANIFESTS [usage]`, it answers with one line of JSON. An image has ten layers:
five of a base image that 500 images share, four that ten builds in a row share, and one of its own; half of the images
have a tag. So a registry of a million manifests has two and a half million blobs.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

from .rows import Row, peak_mib

MANIFESTS_PER_REPOSITORY = 1_000
NOW = 1_800_000_000
_TYPE = 'application/vnd.oci.image.manifest.v1+json'
_LIMITS = {100_000: ('', 'at most 4', 'at most 400'), 1_000_000: ('at most 60 with the next', '', 'at most 2,500')}


def planning_rows(largest: int, tries: int) -> Iterator[Row]:
    """For a thousand manifests, and ten times as many each time; the best of the tries."""
    size = 1_000
    while size <= largest:
        found = min((measure(size) for _ in range(tries)), key=lambda each: each['scanSeconds'] + each['planSeconds'])
        scan, plan, memory = _LIMITS.get(size, ('', '', ''))
        yield f'{size:,} manifests from the cache, CPU s', f'{found["scanSeconds"]:.1f}', scan
        yield f'{size:,} manifests planned, CPU s', f'{found["planSeconds"]:.1f}', plan
        yield f'{size:,} manifests, peak memory, MiB', f'{found["peakMiB"]:,.0f}', memory
        size *= 10


def usage_rows(images: int) -> Iterator[Row]:
    found = measure(images, 'usage')
    yield f'{images:,} images, usage, CPU s', f'{found["usageSeconds"]:.1f}', ''
    yield f'{images:,} images, usage, peak memory, MiB', f'{found["peakMiB"]:,.0f}', 'at most 300'
    beyond = found['peakMiB'] - found['inventoryMiB']
    yield f'{images:,} images, usage, of that beyond the inventory', f'{beyond:,.0f}', ''


def measure(manifests: int, what: str = 'plan') -> dict[str, Any]:
    """Seconds of CPU and MiB of a process that does nothing but plan, or nothing but count the usage."""
    done = subprocess.run(
        [sys.executable, '-m', __spec__.name, str(manifests), what], check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout)


def main(manifests: int, what: str = 'plan') -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'cache.sqlite'
        subprocess.run(
            [sys.executable, '-c', f'from {__spec__.name} import fill; fill({str(path)!r}, {manifests})'], check=True
        )
        print(json.dumps({'plan': plan, 'usage': usage}[what](path, manifests)))


def plan(path: Path, manifests: int) -> dict[str, Any]:
    from azext_acrprune.custom.session import collect_garbage_seldom
    from azext_acrprune.decide.decision import decide
    from azext_acrprune.documents.plan import plan_document
    from azext_acrprune.inventory.cache import ManifestCache
    from azext_acrprune.inventory.scan import Extent, scan
    from azext_acrprune.model import TICKS_PER_SECOND
    from azext_acrprune.policy.rules import untagged_policy
    from azext_acrprune.reporter import Silent

    collect_garbage_seldom()
    cache = ManifestCache(path, 1)
    started = time.process_time()
    listings = _Listings(manifests)
    inventory = _run(scan(listings, 'registry', Extent(), Silent(), cache))
    cache.close()
    scanned = time.process_time()
    document = plan_document(decide(inventory, untagged_policy(), NOW * TICKS_PER_SECOND), 'now')
    planned = time.process_time()
    assert document['summary']['manifests'] == manifests and document['impact'] == 'exact'
    return {
        'manifests': manifests,
        'scanSeconds': scanned - started - listings.seconds,
        'planSeconds': planned - scanned,
        'peakMiB': peak_mib(),
    }


def usage(path: Path, manifests: int) -> dict[str, Any]:
    from azext_acrprune.custom.session import collect_garbage_seldom
    from azext_acrprune.inventory.cache import ManifestCache
    from azext_acrprune.inventory.scan import Extent, scan
    from azext_acrprune.model import TICKS_PER_SECOND
    from azext_acrprune.reporter import Silent
    from azext_acrprune.usage.usage_document import usage_document

    collect_garbage_seldom()
    cache = ManifestCache(path, 1)
    inventory = _run(scan(_Listings(manifests), 'registry', Extent(), Silent(), cache))
    cache.close()
    scanned, before = time.process_time(), peak_mib()
    document = usage_document(inventory, 'image', 1_000, 'now', NOW * TICKS_PER_SECOND)
    assert document['otherRows']['rowsLeftOut'] == manifests - 1_000
    return {'usageSeconds': time.process_time() - scanned, 'peakMiB': peak_mib(), 'inventoryMiB': before}


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """As a command runs it. `asyncio.run` would write its whole result as text, when it sets SIGINT back."""
    from azext_acrprune.workers import Loop

    with Loop() as loop:
        return loop.run(work)


class _Listings:
    """What a registry would answer, without the way there. `seconds` of CPU went into making it up."""

    def __init__(self, manifests: int) -> None:
        self.seconds = 0.0
        self._images = dict(_repositories(manifests))
        self.replicas = (self,)

    def announce(self, names: Iterable[str]) -> None:
        pass

    @staticmethod
    def named_by_tokens() -> frozenset[str]:
        return frozenset()

    async def repositories(self) -> AsyncIterator[list[str]]:
        yield list(self._images)

    async def manifests(self, repository: str, patient: bool = True) -> AsyncIterator[list[Any]]:
        from azext_acrprune.registry.protocol.listings import parse_manifests

        began = time.thread_time()
        entries = list(map(_entry, self._images[repository]))
        self.seconds += time.thread_time() - began
        yield parse_manifests({'manifests': entries})

    async def tags(self, repository: str, patient: bool = True) -> AsyncIterator[list[Any]]:
        from azext_acrprune.registry.protocol.listings import parse_tags

        began = time.thread_time()
        entries = map(_entry, self._images[repository])
        tags = [{'name': tag, 'digest': entry['digest']} for entry in entries for tag in entry['tags'] or ()]
        self.seconds += time.thread_time() - began
        yield parse_tags({'tags': tags})

    async def repository_facts(self, repository: str, patient: bool = True) -> Any:
        from azext_acrprune.registry.protocol.listings import RepositoryFacts

        return RepositoryFacts(manifests=len(self._images[repository]))


def fill(path: str, manifests: int) -> None:
    """Write what a cold run would have kept."""
    from azext_acrprune.inventory.cache import ManifestCache
    from azext_acrprune.model import Blob, Content

    cache = ManifestCache(Path(path), 1, max_bytes=1 << 40)
    for name, images in _repositories(manifests):
        for number in images:
            layers = [Blob(_digest('base', number // 500, layer), 30_000_000) for layer in range(5)]
            layers += [Blob(_digest('build', number // 10, layer), 2_000_000) for layer in range(4)]
            layers += [Blob(_digest('own', number), 100_000), Blob(_digest('config', number), 2_000)]
            content = Content(2_000, blobs=tuple(layers), config=_digest('config', number))
            if cache.remember(name, _digest('manifest', number), content):
                cache.write()
    cache.close()


def _repositories(manifests: int) -> Iterator[tuple[str, range]]:
    for start in range(0, manifests, MANIFESTS_PER_REPOSITORY):
        yield f'team/app-{start}', range(start, min(manifests, start + MANIFESTS_PER_REPOSITORY))


def _entry(number: int) -> dict[str, Any]:
    """A manifest as a listing shows it."""
    pushed = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(NOW - 86_400 * 90 + number))
    return {
        'digest': _digest('manifest', number),
        'imageSize': 1,
        'createdTime': f'{pushed}.1234567Z',
        'lastUpdateTime': f'{pushed}.1234567Z',
        'mediaType': _TYPE,
        'architecture': 'amd64',
        'os': 'linux',
        'tags': [f'build-{number}'] if number % 2 else None,
        'changeableAttributes': {},
    }


def _digest(*what: Any) -> str:
    return 'sha256:' + hashlib.sha256(repr(what).encode()).hexdigest()


if __name__ == '__main__':
    main(int(sys.argv[1]), *sys.argv[2:])
