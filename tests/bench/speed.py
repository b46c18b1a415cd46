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

from .rows import DELETE, LATENCY_SECONDS, PLAN, Row, best, seconds

ALL_UNTAGGED = Shares(tagged=0, ghosts=0, locked=0, cosign=0)
_PAGES = ('catalog', 'manifests_page', 'tags_page')


def plan_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    """Cold and warm, with the calls that they made; a cold plan fills the cache.

    Without ghosts, which are asked for each time.
    """
    storage = Storage()
    build(storage, 1, options.repositories, options.manifests, time.time(), Shares(ghosts=0))
    with LocalRegistry(storage) as registry:
        az = Az(folder / 'plans', registry, extensions)
        theirs = best(options.tries, lambda: az('acr', 'manifest', 'list-metadata', '-h', check=True))
        ours = best(options.tries, lambda: az('acr', 'prune', 'plan', '-h', check=True))
        yield 'plan -h, of az acr manifest list-metadata -h', f'{ours / theirs:.2f}', 'at most 1.10'
        registry.faults.latency = LATENCY_SECONDS
        size = f'{options.manifests:,} manifests, {options.repositories} repositories'

        def cold() -> None:
            az('acr', 'prune', 'cache', 'clear', '-r', 'localhost', check=True)
            spent.append(seconds(lambda: az(*PLAN, check=True)))

        spent: list[float] = []
        best(options.tries, cold)
        yield f'plan, cold, {size}, s', f'{min(spent) - theirs:.1f}', 'at most 8'
        yield _calls(registry, options.tries, 'cold', options.manifests + options.repositories + 20)
        registry.forget()
        warm = best(options.tries, lambda: az(*PLAN, check=True)) - theirs
        yield f'plan, warm, {size}, s', f'{warm:.1f}', 'at most 1.5'
        yield _calls(registry, options.tries, 'warm', options.repositories + 20)


def delete_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    """Everything is deleted; what it takes to look before that is measured alone, and left out."""
    storage = Storage()
    build(storage, 2, options.repositories, options.manifests, time.time(), ALL_UNTAGGED)
    with LocalRegistry(storage) as registry:
        az = Az(folder / 'deletes', registry, extensions)
        registry.faults.latency = LATENCY_SECONDS
        az(*DELETE, '--dry-run', check=True)
        looking = seconds(lambda: az(*DELETE, '--dry-run', check=True))
        registry.forget()
        summary: list[Any] = []
        deleting = seconds(lambda: summary.append(az(*DELETE, '--yes', check=True).json)) - looking
        number = summary[0]['manifestsDeleted']
        yield f'delete {number:,} manifests in {options.repositories} repositories, s', f'{deleting:.1f}', 'at most 12'
        yield 'delete, DELETE calls', f'{registry.counters["manifest_delete"]:,}', f'at most {number:,}'
        most = max(registry.faults.most_deletes_in_flight.values())
        yield 'delete, most in flight in one repository', str(most), 'at most 5'


def _calls(registry: LocalRegistry, tries: int, name: str, more: int) -> Row:
    calls = sum(registry.counters.values()) // tries
    pages = sum(registry.counters[kind] for kind in _PAGES) // tries
    return f'plan, {name}, calls', f'{calls:,}', f'at most {pages + more:,}'
