"""What a simulation found, as the tables of docs/scale.md."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence

from azext_acrprune.registry.protocol.pacing import A_MINUTE, Calls
from tests.bench.planning import measure

from .fleet import (
    JOURNAL_APPENDS_A_SECOND,
    MANAGER_A_SECOND,
    MANAGER_BURST,
    MANAGER_READS,
    PROCESSORS,
    START_SECONDS,
    STORAGE_A_SECOND,
    STORAGE_PRICE,
    TASK_PRICE,
    Fleet,
    Pace,
    bytes_in_the_cache,
    fleet,
    in_the_cache,
    pace_of,
    sizes,
)
from .night import Night, every_night, first_night, journal_bytes

FIRST_SHARE, DAILY_SHARE = 0.5, 0.01
"""Of the manifests, how many go in the first night, and how many come and go each day."""
SKUS = 'Standard', 'Premium'
REGISTRIES, MANIFESTS, MEASURED = 1_000, 100_000_000, 10_000
"""A fleet, and the size of the registry whose night stands for all of them."""
_GIB = 1 << 30


def tables() -> Iterator[list[str]]:
    """All of them, each a list of lines."""
    yield pace_table([pace_of(sku, calls) for sku in SKUS for calls in ('reads', 'deletes')])
    nights = [night for size in (1_000, MEASURED) for sku in SKUS for night in nights_of(sku, size)]
    yield night_table(nights)
    memory = {size: measure(size)['peakMiB'] for size in (10_000, 100_000)}
    yield _table(['manifests', 'memory of a plan'], [[f'{size:,}', f'{mib:.0f} MiB'] for size, mib in memory.items()])
    standard = [night for sku, size, _, night in nights if (sku, size) == ('Standard', MEASURED)]
    first, later = (fleet(sizes(REGISTRIES, MANIFESTS), night, MEASURED) for night in standard)
    yield fleet_table(first, later)
    yield bounds_table(later, (memory[100_000] - memory[10_000]) / 90_000)


def pace_table(paces: Iterable[Pace]) -> list[str]:
    rows = [
        [each.sku, each.calls.value, f'{each.a_minute:,}', f'{60 * each.rate:,.0f}', f'{each.rate:.0f}']
        for each in paces
    ]
    return _table(['SKU', 'calls', 'documented, a minute', 'used, a minute', 'used, a second'], rows)


def nights_of(sku: str, size: int) -> Iterator[tuple[str, int, str, Night]]:
    """The first night of a registry, and a later one."""
    yield sku, size, 'first', first_night(sku, size, FIRST_SHARE)
    yield sku, size, 'later', every_night(sku, size, DAILY_SHARE)


def night_table(nights: Iterable[tuple[str, int, str, Night]]) -> list[str]:
    head = ['SKU', 'manifests', 'night', 'reads', 'plan', 'without a burst', 'deleted', 'reads', 'deleting', 'refused']
    rows = [
        [
            *(sku, f'{size:,}', which),
            *(f'{night.reads:,}', f'{night.read_seconds:.0f} s', f'{night.reads / _a_second(sku):.0f} s'),
            *(f'{night.deleted:,}', f'{night.reads_to_delete:,}', f'{night.delete_seconds:.0f} s'),
            f'{night.refused:,}',
        ]
        for sku, size, which, night in nights
    ]
    return _table(head, rows)


def _a_second(sku: str) -> float:
    return A_MINUTE[sku.lower()][Calls.READS] / 60


def fleet_table(first: Fleet, later: Fleet) -> list[str]:
    stored = MANIFESTS * bytes_in_the_cache() / _GIB
    line = journal_bytes()
    of_both: list[tuple[str, Callable[[Fleet], str]]] = [
        ('manifests deleted', lambda night: f'{night.deleted:,}'),
        ('longest run, minutes', lambda night: f'{night.longest / 60:,.0f}'),
        ('median run, seconds', lambda night: f'{statistics.median(run.seconds for run in night.runs):,.0f}'),
        ('runs of more than one hour', lambda night: f'{night.over(3_600):,}'),
        ('nights until the largest is done, two hours each', lambda night: f'{math.ceil(night.longest / 7_200):,}'),
        ('one after the other, hours', lambda night: f'{night.task_minutes / 60:,.0f}'),
        ('task minutes', lambda night: f'{night.task_minutes:,.0f}'),
        ('of that for starting', lambda night: f'{len(night.runs) * START_SECONDS / 60:,.0f}'),
        ('tasks, USD', lambda night: f'{night.task_minutes * 60 * PROCESSORS * TASK_PRICE:,.2f}'),
        ('journals written, GiB', lambda night: f'{night.deleted * line / _GIB:,.2f}'),
        ('caches fetched, and sent, GiB', lambda _: f'{stored:,.0f}'),
        ('caches, USD a month', lambda _: f'{stored * STORAGE_PRICE:,.2f}'),
    ]
    return _table(
        [f'{REGISTRIES:,} registries, {MANIFESTS:,} manifests', 'first night', 'later nights'],
        [[what, told(first), told(later)] for what, told in of_both],
    )


def bounds_table(night: Fleet, mib_a_manifest: float) -> list[str]:
    largest = max(run.manifests for run in night.runs)
    room = in_the_cache()
    reads = REGISTRIES * MANAGER_READS
    through = (reads - MANAGER_BURST) / MANAGER_A_SECOND
    appends = {hours: night.deleting_at_once(3_600 * hours) * JOURNAL_APPENDS_A_SECOND for hours in (0, 1)}
    account = f'{STORAGE_A_SECOND:,} a second'
    return _table(
        ['what', 'needed', 'there is'],
        [
            ['one storage account, all runs at one minute', f'{appends[0]:,} requests a second', account],
            ['one storage account, runs spread over an hour', f'{appends[1]:,} requests a second', account],
            [
                'Resource Manager, one identity, all runs at one minute',
                f'{reads:,} reads',
                f'{MANAGER_BURST} and {MANAGER_A_SECOND} a second: {through:,.0f} s',
            ],
            [
                'memory for the largest registry',
                f'{largest * mib_a_manifest / 1024:.0f} GiB',
                '3 GiB in a pool S1, 16 in S3',
            ],
            ['cache of the largest registry', f'{largest:,} manifests', f'{room:,.0f} manifests'],
            ['registries that are larger than that', f'{sum(run.manifests > room for run in night.runs)}', ''],
        ],
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ['| ' + ' | '.join(cells) + ' |' for cells in (head, ['---'] * len(head), *rows)]
