"""A registry that allows what the service is documented to allow and no more, and how much of that is used."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from azext_acrprune.registry.protocol.pacing import A_MINUTE, Calls, Pacer
from tests.registry.azcli import Az
from tests.registry.builder import build
from tests.registry.limits import Limits
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage
from tests.unit.throttled import Periods, simulate

from .rows import Row
from .speed import ALL_UNTAGGED

_PLAN = ('plan', '-r', 'localhost', '--no-cache', '--query', 'summary')
_DELETE = ('untagged', *_PLAN[1:], '--ago', '0', '--yes')
_IN_FLIGHT_SECONDS = 0.5
"""What comes so soon after a refusal was under way when that was sent."""
_HOUR = 3_600
_USED, _NEEDLESS = 'at least 95 %', 'under 1 %'


def throttled_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    yield from _simulated_rows()
    for what, sku, number, command in (('reads', 'Standard', 10_000, _PLAN), ('deletes', 'Premium', 4_000, _DELETE)):
        a_minute = A_MINUTE[sku.lower()][Calls(what)]
        storage = Storage()
        build(storage, 4, max(1, options.repositories // 5), min(number, options.manifests), time.time(), ALL_UNTAGGED)
        with LocalRegistry(storage) as registry:
            registry.manager.sku = sku
            az = Az(folder / f'throttled-{what}', registry, extensions)
            az.login()
            registry.faults.limits = Limits(sku)
            moments = _watched(registry)
            az('acr', 'prune', *command, check=True)
            used, accepted, needless = _shares(registry, moments, 'GET' if what == 'reads' else 'DELETE', a_minute)
        yield f'{accepted:,} {what} by az itself, {sku}, used of {a_minute:,} a minute', f'{used:.0%}', _USED
        yield f'{what} by az itself, refused beyond those in flight', f'{needless:.1%}', _NEEDLESS


def _simulated_rows() -> Iterator[Row]:
    """An hour of calls without end, on a virtual clock, for each limit of the service."""
    for sku in ('Standard', 'Premium'):
        for calls in (Calls.READS, Calls.WRITES, Calls.DELETES):
            a_minute = A_MINUTE[sku.lower()][calls]
            run = simulate(Pacer(sku), Periods(a_minute / 60), _HOUR, calls)
            what = f'{sku}, {calls.value}, an hour by a virtual clock'
            yield f'{what}, used of {a_minute:,} a minute', f'{60 * run.rate / a_minute:.0%}', _USED
            yield f'{what}, refused beyond those in flight', f'{run.share_needless:.1%}', _NEEDLESS


def _watched(registry: LocalRegistry) -> list[float]:
    """The moments of all calls, in the order of `registry.requests`."""
    moments: list[float] = []
    registry.forget()
    registry.on_request = lambda *_: moments.append(time.monotonic())
    return moments


def _shares(registry: LocalRegistry, moments: list[float], method: str, a_minute: int) -> tuple[float, int, float]:
    """(the part of the limit that was used from the first call to the last, how many calls were accepted, the part
    of the calls that was refused beyond those in flight)"""
    calls = [
        (moment, status)
        for moment, (asked, path, status) in zip(moments, registry.requests)
        if asked == method and '/manifests/' in path
    ]
    accepted = [moment for moment, status in calls if status != 429]
    needless, told = 0, None
    for moment, status in calls:
        if status == 429:
            told = moment if told is None else told
            needless += moment > told + _IN_FLIGHT_SECONDS
        elif told is not None and moment > told + _IN_FLIGHT_SECONDS:
            told = None
    used = len(accepted) / (a_minute / 60 * (accepted[-1] - accepted[0]))
    return used, len(accepted), needless / len(calls)
