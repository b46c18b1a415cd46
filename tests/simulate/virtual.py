"""An event loop with a clock of its own: where everybody waits, it is the next moment at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """Counts seconds from 0. Nothing on it really waits, but for what threads do."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if not timeout:  # something is ready now, or only a thread can make it so
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._loop.now += timeout
        return ready


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Do it to its end on a loop that begins at 0."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
