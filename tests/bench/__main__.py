"""How long and how many calls: one table, each number beside its limit where there is one.

The local registry answers after 20 ms, so that 32 requests in flight cannot do more than 1,600 calls a second; it
takes its share of the machine's two cores. Seconds are wall time, the best of the tries, beyond what az itself takes to
start and to sign in.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.wheel import install_extension

from .archives import archive_rows
from .faults import fault_rows
from .pin_files import pin_rows
from .planning import planning_rows, usage_rows
from .restoring import memory_rows, restore_rows
from .rows import Row, machine_rows
from .speed import delete_rows, plan_rows
from .throttling import throttled_rows


def main() -> None:
    parser = argparse.ArgumentParser(prog='python -m tests.bench', description=__doc__)
    parser.add_argument('--manifests', type=int, default=10_000)
    parser.add_argument('--repositories', type=int, default=100)
    parser.add_argument('--largest', type=int, default=1_000_000, help='The largest registry that is only planned.')
    parser.add_argument('--archived', type=int, default=50_000, help='Images in an archive.')
    parser.add_argument('--tries', type=int, default=2)
    parser.add_argument('--restore-gib', type=float, default=2, help='How much is restored.')
    parser.add_argument('--layer-gib', type=float, default=2.5, help='How large a layer is whose memory is measured.')
    options = parser.parse_args()
    for what, number, limit in rows(options):
        print(f'{what:<58}{number:>16}  {limit}', flush=True)


def rows(options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        yield from machine_rows()
        extensions = install_extension(Path(folder))
        rows_of = (plan_rows, delete_rows, fault_rows, throttled_rows, restore_rows)
        rows_of += (memory_rows, pin_rows, archive_rows)
        for measured in rows_of:
            yield from measured(options, Path(folder), extensions)
    yield from planning_rows(options.largest, options.tries)
    yield from usage_rows(50_000)


if __name__ == '__main__':
    sys.exit(main())
