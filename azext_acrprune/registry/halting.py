"""What happens to requests that wait when a run is stopped."""

from __future__ import annotations

import asyncio
from typing import Any


class Halt:
    """Whether requests that wait for their turn are dropped, and the sleeps in which they wait.

    `under_way` counts the requests that were sent and are not answered.
    """

    def __init__(self) -> None:
        self.is_set = False
        self.under_way = 0
        self._sleeps: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        """From now on what waits is dropped, but for what was promised to be sent. On the event loop."""
        self.is_set = True
        for sleep in self._sleeps:
            sleep.cancel()

    async def sleep(self, transport: Any, seconds: float) -> None:
        """Sleep as the transport does, and no longer than until the halt is set."""
        sleep = asyncio.ensure_future(transport.sleep(seconds))
        self._sleeps.add(sleep)
        try:
            await asyncio.wait([sleep])
        finally:
            self._sleeps.discard(sleep)
            sleep.cancel()
