"""How fast one az plans and deletes, with as many requests in flight as it takes by default."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.registry.azcli import Az
from tests.registry.builder import Shares, build
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

from .bare import Call, bare, calls_of, library_rows
from .rows import DELETE, LATENCY_SECONDS, ONE_CALL, PLAN, Row, best, seconds

ALL_UNTAGGED = Shares(tagged=0, ghosts=0, locked=0, cosign=0)
_NOW = time.time()


def plan_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    """Cold and warm, with the calls that they made; a cold plan fills the cache.

    Without ghosts, which are asked for each time. What az itself takes to start, to sign in and to ask once is left
    out: bare aiohttp does none of it.
    """
    storage = Storage()
    build(storage, 1, options.repositories, options.manifests, time.time(), Shares(ghosts=0))
    with LocalRegistry(storage) as registry:
        az = Az(folder / 'plans', registry, extensions)
        theirs = best(options.tries, lambda: az('acr', 'manifest', 'list-metadata', '-h', check=True))
        ours = best(options.tries, lambda: az('acr', 'prune', 'plan', '-h', check=True))
        yield 'plan -h, of az acr manifest list-metadata -h', f'{ours / theirs:.2f}', 'at most 1.10'
        registry.faults.latency = LATENCY_SECONDS
        signing_in = best(options.tries, lambda: az(*ONE_CALL, check=True))
        yield 'az acr repository list --top 1, s', f'{signing_in:.1f}', ''
        size = f'{options.manifests:,} manifests, {options.repositories} repositories'

        def cold() -> None:
            az('acr', 'prune', 'cache', 'clear', '-r', 'localhost', check=True)
            registry.forget()
            spent.append(seconds(lambda: az(*PLAN, check=True)))

        spent: list[float] = []
        best(options.tries, cold)
        cold_seconds, calls = min(spent) - signing_in, calls_of(registry)
        alone = min(bare(registry, 'aiohttp', calls).wall for _ in range(options.tries))
        yield f'plan, cold, {size}, s', f'{cold_seconds:.1f}', ''
        yield '  the same calls by bare aiohttp, s', f'{alone:.1f}', ''
        yield '  of bare aiohttp', f'{cold_seconds / alone:.2f}', 'at most 1.30'
        yield _calls(calls, 'cold', options.manifests + options.repositories + 20)
        registry.forget()
        warm = best(options.tries, lambda: az(*PLAN, check=True)) - signing_in
        yield f'plan, warm, {size}, s', f'{warm:.1f}', ''
        yield '  of cold', f'{warm / cold_seconds:.2f}', 'at most 0.25'
        yield _calls(calls_of(registry), 'warm', options.repositories + 20, options.tries)
        yield from library_rows(registry, [call for call in calls if '/manifests/' in call[1]])


def delete_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    """Everything is deleted; what it takes to look before that is measured alone, and left out with its calls.

    The calls that are compared are all others: the listings right before and after the deletions are among them.
    """
    with LocalRegistry(all_untagged(options)) as registry:
        az = Az(folder / 'deletes', registry, extensions)
        registry.faults.latency = LATENCY_SECONDS
        az(*DELETE, '--dry-run', check=True)
        registry.forget()
        looking = seconds(lambda: az(*DELETE, '--dry-run', check=True))
        looks = len(calls_of(registry))
        registry.forget()
        summary: list[Any] = []
        deleting = seconds(lambda: summary.append(az(*DELETE, '--yes', check=True).json)) - looking
        number, deletes = summary[0]['manifestsDeleted'], registry.counters['manifest_delete']
        most = max(registry.faults.most_deletes_in_flight.values())
        calls = calls_of(registry)[looks:]
        registry.storage = all_untagged(options)
        alone = bare(registry, 'aiohttp', calls).wall
        yield f'delete {number:,} manifests in {options.repositories} repositories, s', f'{deleting:.1f}', ''
        yield '  the same calls by bare aiohttp, s', f'{alone:.1f}', ''
        yield '  of bare aiohttp', f'{deleting / alone:.2f}', 'at most 1.40'
        yield 'delete, DELETE calls', f'{deletes:,}', f'at most {number:,}'
        yield 'delete, most in flight in one repository', str(most), 'at most 5'


def all_untagged(options: Namespace) -> Storage:
    storage = Storage()
    build(storage, 2, options.repositories, options.manifests, _NOW, ALL_UNTAGGED)
    return storage


def _calls(calls: list[Call], name: str, more: int, tries: int = 1) -> Row:
    pages = sum('/manifests/' not in path and ('/_' in path) for _, path in calls) // tries
    return f'plan, {name}, calls', f'{len(calls) // tries:,}', f'at most {pages + more:,}'
