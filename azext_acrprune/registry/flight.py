"""Many requests in flight at a time, from one thread.

A thread for each request spends most of its time on handing the interpreter over to the others. So one thread watches
the connections of those that take the shortcut; what has to wait for something else does so on threads of its own.
"""
from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Coroutine, TypeVar

from .shortcut import OnItsWay

Result = TypeVar('Result')

_SECONDS_BETWEEN_SIGNALS = 1


class Flight:
    """`with Flight(concurrency) as flight:` runs coroutines; `slots` are for whoever might start more calls than that."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.slots = asyncio.Semaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency)
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> 'Flight':
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._threads.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self, work: Coroutine[Any, Any, Result]) -> 'Future[Result]':
        """Begin something, from another thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call_soon(self, work: Callable[..., None], *args: Any) -> None:
        """Have something done between two steps of what flies, from another thread."""
        self._loop.call_soon_threadsafe(work, *args)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Do what may have to wait."""
        return await self._loop.run_in_executor(self._threads, work)

    async def in_turn(self, work: Callable[[], Result]) -> Result:
        """The same, in a slot."""
        async with self.slots:
            return await self.in_thread(work)

    async def land(self, request: OnItsWay) -> None:
        """Wait for the outcome of a request."""
        if request.outcome is None:
            await self._watch(request)
        if request.outcome is None:
            await self.in_thread(request.wait)

    async def _watch(self, request: OnItsWay) -> None:
        waiting, number = self._loop.create_future(), request.fileno()

        def look() -> None:
            request.look()
            if request.outcome is not None or request.needs_a_thread:
                done()

        def give_up() -> None:
            request.give_up()
            done()

        def done() -> None:
            self._loop.remove_reader(number)
            patience.cancel()
            waiting.set_result(None)

        patience = self._loop.call_later(request.seconds, give_up)
        self._loop.add_reader(number, look)
        await waiting
