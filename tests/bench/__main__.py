"""How long and how many calls: one table, each number beside its limit where there is one.

The local registry answers after 20 ms, so that 32 requests in flight cannot do more than 1,600 calls a second; it
takes its share of the machine's two cores. Seconds are wall time beyond the start of az, the best of the tries.
"""
from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

from tests.registry.azcli import ADMIN_LOGIN, Az
from tests.registry.builder import Shares, build
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage
from tests.wheel import install_extension

from .planning import measure

LATENCY_SECONDS = 0.02
TARGET = ('-r', 'localhost', *ADMIN_LOGIN, '--query', 'summary')
PLAN = ('acr', 'prune', 'plan', *TARGET)
DELETE = ('acr', 'prune', 'untagged', *TARGET, '--ago', '0')
ALL_UNTAGGED = Shares(tagged=0, ghosts=0, locked=0, cosign=0)

Row = Tuple[str, str, str]
"""What, how much, and the limit or nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--manifests', type=int, default=10_000)
    parser.add_argument('--repositories', type=int, default=100)
    parser.add_argument('--largest', type=int, default=1_000_000, help='The largest registry that is only planned.')
    parser.add_argument('--tries', type=int, default=2)
    options = parser.parse_args()
    for what, number, limit in rows(options):
        print(f'{what:<58}{number:>16}  {limit}', flush=True)


def rows(options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        extensions = install_extension(Path(folder))
        yield from _plans(options, Path(folder), extensions)
        yield from _deletes(options, Path(folder), extensions)
    yield from _usage(50_000)
    size = 1_000
    while size <= options.largest:
        yield from _planning(size)
        size *= 10


def _plans(options: argparse.Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    storage = Storage()
    build(storage, 1, options.repositories, options.manifests, time.time())
    with LocalRegistry(storage) as registry:
        az = Az(folder / 'plans', registry, extensions)
        theirs = _best(options, lambda: az('acr', 'manifest', 'list-metadata', '-h', check=True))
        ours = _best(options, lambda: az('acr', 'prune', 'plan', '-h', check=True))
        yield 'plan -h, of az acr manifest list-metadata -h', f'{ours / theirs:.2f}', 'at most 1.10'
        registry.faults.latency = LATENCY_SECONDS
        size = f'{options.manifests:,} manifests, {options.repositories} repositories'
        for name, more, allowed, seconds in (
                ('cold', ('--no-cache',), options.manifests + options.repositories + 20, 8), ('warm', (), None, 1.5)):
            if not more:
                az(*PLAN, check=True)
            registry.forget()
            best = _best(options, lambda arguments=more: az(*PLAN, *arguments, check=True)) - theirs
            yield f'plan, {name}, {size}, s', f'{best:.1f}', f'at most {seconds}'
            calls = sum(registry.counters.values()) // options.tries
            pages = sum(registry.counters[kind] for kind in ('catalog', 'manifests_page', 'tags_page')) // options.tries
            limit = pages + (allowed or options.repositories + 20)
            yield f'plan, {name}, calls', f'{calls:,}', f'at most {limit:,}'


def _deletes(options: argparse.Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    storage = Storage()
    build(storage, 2, options.repositories, options.manifests, time.time(), ALL_UNTAGGED)
    with LocalRegistry(storage) as registry:
        az = Az(folder / 'deletes', registry, extensions)
        registry.faults.latency = LATENCY_SECONDS
        az(*DELETE, '--dry-run', check=True)
        looking = _seconds(lambda: az(*DELETE, '--dry-run', check=True))
        registry.forget()
        summary: List[Any] = []
        deleting = _seconds(lambda: summary.append(az(*DELETE, '--yes', check=True).json)) - looking
        number = summary[0]['manifestsDeleted']
        yield f'delete {number:,} manifests in {options.repositories} repositories, s', f'{deleting:.1f}', 'at most 12'
        yield 'delete, DELETE calls', f'{registry.counters["manifest_delete"]:,}', f'at most {number:,}'


def _planning(size: int) -> Iterator[Row]:
    found = measure(size)
    limits = {100_000: ('', 'at most 4', 'at most 400'), 1_000_000: ('at most 60 with the next', '', 'at most 2,500')}
    scan, plan, memory = limits.get(size, ('', '', ''))
    yield f'{size:,} manifests from the cache, CPU s', f"{found['scanSeconds']:.1f}", scan
    yield f'{size:,} manifests planned, CPU s', f"{found['planSeconds']:.1f}", plan
    yield f'{size:,} manifests, peak memory, MiB', f"{found['peakMiB']:,.0f}", memory


def _usage(images: int) -> Iterator[Row]:
    found = measure(images, 'usage')
    yield f'{images:,} images, usage, CPU s', f"{found['usageSeconds']:.1f}", ''
    yield f'{images:,} images, usage, peak memory, MiB', f"{found['peakMiB']:,.0f}", 'at most 300'
    beyond = found['peakMiB'] - found['inventoryMiB']
    yield f'{images:,} images, usage, of that beyond the inventory', f'{beyond:,.0f}', ''


def _best(options: argparse.Namespace, work: Callable[[], Any]) -> float:
    return min(_seconds(work) for _ in range(options.tries))


def _seconds(work: Callable[[], Any]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == '__main__':
    sys.exit(main())
