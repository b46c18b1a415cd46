"""A registry that allows a rate and no more, as a Premium one does, and how much of that rate is used."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from tests.registry.azcli import Az
from tests.registry.builder import build
from tests.registry.faults import Throttle
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

from .rows import Row
from .speed import ALL_UNTAGGED

READS, WRITES = 10_000 / 60, 2_000 / 60
"""Calls a second that a Premium registry allows; as many may come at once after a second without any."""
READ_CALLS, WRITE_CALLS = 6_000, 1_500
_PLAN = ('plan', '-r', 'localhost', '--no-cache', '--query', 'summary')
_DELETE = ('untagged', *_PLAN[1:], '--ago', '0', '--yes')


def throttled_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    few = max(1, options.repositories // 5)
    for what, kind, rate, number, command in (
        ('reads', 'manifest_get', READS, READ_CALLS, _PLAN),
        ('deletes', 'manifest_delete', WRITES, WRITE_CALLS, _DELETE),
    ):
        storage = Storage()
        build(storage, 4, few, min(number, options.manifests), time.time(), ALL_UNTAGGED)
        with LocalRegistry(storage) as registry:
            registry.manager.sku = 'Premium'
            az = Az(folder / f'throttled-{what}', registry, extensions)
            az.login()
            registry.faults.throttles['reads' if what == 'reads' else 'writes'] = Throttle(rate, rate)
            calls = _watched(registry, 'GET' if what == 'reads' else 'DELETE')
            az('acr', 'prune', *command, check=True)
            used, accepted = _used(calls, rate, registry.counters[kind])
            refused = registry.counters['throttled']
        yield f'{accepted:,} {what} where {60 * rate:,.0f} a minute are allowed, used', f'{used:.0%}', 'at least 90 %'
        yield f'{what}, refused (429)', f'{refused / (accepted + refused):.1%}', 'under 2 %'


def _watched(registry: LocalRegistry, method: str) -> list[float]:
    """The moments at which manifests are asked for, or deleted."""
    moments: list[float] = []

    def look(asked: str, path: str) -> None:
        if asked == method and '/manifests/' in path:
            moments.append(time.monotonic())

    registry.on_request = look
    return moments


def _used(moments: list[float], rate: float, accepted: int) -> tuple[float, int]:
    """(the part of the allowance that was used from the first call to the last, how many calls were accepted)"""
    return accepted / (rate + rate * (moments[-1] - moments[0])), accepted
