"""A registry that fails now and then, and two az at once on one cache: the plan is the same, byte for byte."""

from __future__ import annotations

import subprocess
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from tests.registry.azcli import ADMIN_LOGIN, Az
from tests.registry.builder import build
from tests.registry.faults import Fault
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

from .rows import LATENCY_SECONDS, Row, seconds

FAILURES = (500, 503, 'reset', 'slow')
SHARE = 0.05
_PLAN = ('acr', 'prune', 'plan', '-r', 'localhost', *ADMIN_LOGIN, '--show-kept', '-o', 'none', '--out')


def fault_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    storage = Storage()
    build(storage, 3, options.repositories, options.manifests, time.time())
    with LocalRegistry(storage) as registry:
        az = Az(folder / 'faults', registry, extensions)
        registry.faults.latency = LATENCY_SECONDS
        quiet, broken, first, second = (folder / f'{name}.json' for name in ('quiet', 'broken', 'first', 'second'))
        az(*_PLAN, str(quiet), '--no-cache', check=True)
        registry.faults.rules += [Fault('', kind, probability=SHARE / len(FAILURES)) for kind in FAILURES]
        spent = seconds(lambda: az(*_PLAN, str(broken), '--no-cache', check=True))
        registry.faults.rules.clear()
        yield f'plan, cold, {SHARE:.0%} of calls failing, with the start, s', f'{spent:.1f}', ''
        yield '  the same plan, byte for byte', _same(quiet, broken), 'yes'
        together = [az.start(*_PLAN, str(path), stderr=subprocess.DEVNULL) for path in (first, second)]
        codes = [process.wait() for process in together]
        yield 'two az at once on one cache: both the same plan', _same(quiet, first, second), 'yes'
        yield '  exit codes', ' '.join(map(str, codes)), '0 0'


def _same(*paths: Path) -> str:
    return 'yes' if len({_without_time(path) for path in paths}) == 1 else 'no'


def _without_time(path: Path) -> bytes:
    """All of a plan but the line that says when it was made."""
    return b''.join(line for line in path.read_bytes().splitlines() if b'"createdAt"' not in line)
