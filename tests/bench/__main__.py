"""Calls and time of `az acr prune plan` on a large registry, beside the limit on calls; prints one table.

The registry has 20 ms of latency, so that 32 requests in flight cannot do more than 1,600 calls a second.
"""
from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from tests.registry.azcli import ADMIN_LOGIN, Az
from tests.registry.builder import build
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage
from tests.wheel import install_extension

LATENCY_SECONDS = 0.02


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--manifests', type=int, default=10_000)
    parser.add_argument('--repositories', type=int, default=100)
    options = parser.parse_args()
    storage = Storage()
    build(storage, 1, options.repositories, options.manifests, time.time())
    with tempfile.TemporaryDirectory() as folder, LocalRegistry(storage) as registry:
        az = Az(Path(folder) / 'azure', registry, install_extension(Path(folder)))
        start_up = _seconds(az, 'acr', 'manifest', 'list-metadata', '-h')
        registry.faults.latency = LATENCY_SECONDS
        registry.forget()
        seconds = _seconds(az, 'acr', 'prune', 'plan', '-r', 'localhost', *ADMIN_LOGIN, '--query', 'summary')
        return _report(registry, options, seconds - start_up)


def _seconds(az: Az, *arguments: str) -> float:
    started = time.monotonic()
    az(*arguments, check=True)
    return time.monotonic() - started


def _report(registry: LocalRegistry, options: argparse.Namespace, seconds: float) -> int:
    calls = sum(registry.counters.values())
    pages = sum(registry.counters[kind] for kind in ('catalog', 'manifests_page', 'tags_page'))
    limit = options.manifests + pages + options.repositories + 20
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    for kind, number in sorted(registry.counters.items()):
        print(f'{kind:<28}{number:>10,}')
    print(f'{"calls in all":<28}{calls:>10,}  of {limit:,} allowed')
    print(f'{"seconds beyond az start-up":<28}{seconds:>10.1f}')
    print(f'{"peak memory of az, MiB":<28}{peak:>10.0f}')
    return 0 if calls <= limit else 1


if __name__ == '__main__':
    sys.exit(main())
