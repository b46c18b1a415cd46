"""Waiting for an archive that another run is writing to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from .target import ArchiveBusy, Target

_LOOKS_AGAIN = 0.5
"""Seconds between two looks."""


@dataclass(frozen=True)
class Patience:
    """How many seconds a run waits for an archive that another one is writing to, and who hears that it waits."""

    seconds: float = 0
    waits: Callable[[], None] = lambda: None


NO_PATIENCE = Patience()


class _Waiting:
    """One wait: whether to look again after an archive was found busy."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._deadline = time.monotonic() + patience.seconds
        self._is_told = False

    def goes_on(self) -> bool:
        if time.monotonic() >= self._deadline:
            return False
        if not self._is_told:
            self._patience.waits()
        self._is_told = True
        return True


@contextmanager
def writing(target: Target, patience: Patience) -> Iterator[None]:
    """Have the archive to write to. Raises ArchiveBusy."""
    waiting = _Waiting(patience)
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(target.writing())
                break
            except ArchiveBusy:
                if not waiting.goes_on():
                    raise
            time.sleep(_LOOKS_AGAIN)
        yield


@asynccontextmanager
async def writing_meanwhile(target: Target, patience: Patience) -> AsyncIterator[None]:
    """The same on an event loop, whose other work goes on. To get an archive may take long: a thread does it."""
    waiting = _Waiting(patience)
    with ExitStack() as held:
        while True:
            archive = target.writing()
            try:
                await asyncio.to_thread(archive.__enter__)
                break
            except ArchiveBusy:
                if not waiting.goes_on():
                    raise
            await asyncio.sleep(_LOOKS_AGAIN)
        held.push(archive)
        yield
