"""What the measurements share."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.registry.azcli import ADMIN_LOGIN

LATENCY_SECONDS = 0.02
TARGET = ('-r', 'localhost', *ADMIN_LOGIN, '--query', 'summary')
ONE_CALL = ('acr', 'repository', 'list', '-n', 'localhost', '--top', '1', *ADMIN_LOGIN)
PLAN = ('acr', 'prune', 'plan', *TARGET)
DELETE = ('acr', 'prune', 'untagged', *TARGET, '--ago', '0')

Row = tuple[str, str, str]
"""What, how much, and the limit or nothing."""


def machine_rows() -> Iterator[Row]:
    """How fast the machine is just now: shared ones differ by half within an hour."""
    yield 'this machine: ten million additions in Python, s', f'{min(seconds(_add) for _ in range(3)):.2f}', ''


def _add() -> None:
    total = 0
    for number in range(10_000_000):
        total += number


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes, by the clock on the wall."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def best(tries: int, work: Callable[[], Any]) -> float:
    return min(seconds(work) for _ in range(tries))


def peak_mib(pid: int | str = 'self') -> float:
    """The most memory that a process has had until now; 0 where it has ended.

    Of this process alone: what getrusage tells begins with the size of the one that started it.
    """
    with suppress(OSError):
        found = re.search(r'^VmHWM:\s+(\d+) kB', Path(f'/proc/{pid}/status').read_text(), re.MULTILINE)
        if found:
            return int(found[1]) / 1024
    return 0.0
