"""What the measurements share."""
from __future__ import annotations

import time
from typing import Any, Callable, Tuple

from tests.registry.azcli import ADMIN_LOGIN

LATENCY_SECONDS = 0.02
TARGET = ('-r', 'localhost', *ADMIN_LOGIN, '--query', 'summary')
PLAN = ('acr', 'prune', 'plan', *TARGET)
DELETE = ('acr', 'prune', 'untagged', *TARGET, '--ago', '0')

Row = Tuple[str, str, str]
"""What, how much, and the limit or nothing."""


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes, by the clock on the wall."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def best(tries: int, work: Callable[[], Any]) -> float:
    return min(seconds(work) for _ in range(tries))
