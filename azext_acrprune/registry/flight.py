"""Many requests in flight at a time, from one thread.

A thread for each request spends most of its time on handing the interpreter over to the others. So one thread watches
the connections of those that take the shortcut; what has to wait for something else does so on threads of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from .answers import Answer
from .lane import Lane
from .shortcut import OnItsWay, Shortcut, Small

Result = TypeVar('Result')


class Flight:
    """`with Flight(concurrency) as flight:` runs coroutines, with so many calls at a time."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self._free = concurrency
        self._waiting: deque[Callable[[], None]] = deque()
        self._idle: list[Lane] = []
        self._threads = ThreadPoolExecutor(concurrency)
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Flight:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._threads.shutdown()
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join()
        self._loop.close()

    def _end(self) -> None:
        for lane in self._idle:
            self._loop.remove_reader(lane.number)
            lane.give_back()
        self._loop.stop()

    def start(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Begin something, from another thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call_soon(self, work: Callable[..., None], *args: Any) -> None:
        """Have something done between two steps of what flies, from another thread."""
        self._loop.call_soon_threadsafe(work, *args)

    def slot(self) -> Slot:
        """A place for one call; `async with flight.slot() as slot:` waits for it, and leaves it at the end."""
        return Slot(self)

    def enter(self, start: Callable[[], None]) -> None:
        """Have something started as soon as there is a place for it."""
        if self._free:
            self._free -= 1
            start()
        else:
            self._waiting.append(start)

    def leave(self) -> None:
        """Give a place to who waits for it."""
        if self._waiting:
            self._waiting.popleft()()
        else:
            self._free += 1

    async def in_turn(self, work: Callable[[], Result]) -> Result:
        """Do what makes calls that wait for their answers."""
        async with self.slot():
            return await self.in_thread(work)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Do what may have to wait for something else than calls."""
        return await self._loop.run_in_executor(self._threads, work)

    def begin(self, shortcut: Shortcut, request: Small, repository: str) -> OnItsWay | None:
        """Send a request, if that can be at once. Whatever forbids it, the pipeline meets it too, and says so."""
        try:
            return shortcut.begin(request, repository, self._idle)
        except Exception:  # pylint: disable=broad-exception-caught
            return None

    def watch(self, request: OnItsWay, done: Callable[[], None]) -> None:
        """Call `done` once the outcome of a request is there, or it turned out to need a thread."""
        lane = request.lane

        def look() -> None:
            if not request.look():
                end()

        def give_up() -> None:
            request.give_up()
            end()

        def end() -> None:
            patience.cancel()
            if isinstance(request.outcome, Answer):
                lane.ready = partial(self._look_at_idle, lane)
                self._idle.append(lane)
            else:
                self.forget(lane)
            done()

        patience = self._loop.call_later(request.seconds, give_up)
        lane.ready = look
        if not lane.watched:
            lane.watched = True
            self._loop.add_reader(lane.number, lambda: lane.ready())  # pylint: disable=unnecessary-lambda

    def _look_at_idle(self, lane: Lane) -> None:
        if not lane.is_of_use():
            self._idle.remove(lane)
            self.forget(lane)

    def forget(self, lane: Lane) -> None:
        """Watch a connection no more: it is closed, or a thread reads from it."""
        if lane.watched:
            lane.watched = False
            self._loop.remove_reader(lane.number)


class Slot:
    """A place in flight, for one call.

    It is left as soon as the answer is there, and the next call is sent then: it does not wait until somebody has made
    something of the answer.
    """

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self._taken = False

    async def __aenter__(self) -> Slot:
        taken = asyncio.get_running_loop().create_future()
        self._take(lambda: taken.set_result(None))
        await taken
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.leave()

    def leave(self) -> None:
        if self._taken:
            self._taken = False
            self.flight.leave()

    async def fly(self, send: Callable[[], OnItsWay | None]) -> OnItsWay | None:
        """Send a request, in its turn, and wait for its outcome; None if it could not be sent.

        When the outcome settles it the slot is left.
        """

        def take_off() -> None:
            nonlocal request
            request = send()
            if request and request.outcome is None:
                self.flight.watch(request, land)
                return
            if request:  # it could not even be sent
                self.flight.forget(request.lane)
            landed.set_result(None)

        def land() -> None:
            if request and request.settled:
                self.leave()
            landed.set_result(None)

        request: OnItsWay | None = None
        landed = asyncio.get_running_loop().create_future()
        self._take(take_off)
        await landed
        if request and request.outcome is None:
            await self.flight.in_thread(request.wait)
        return request

    def _take(self, start: Callable[[], None]) -> None:
        def enter() -> None:
            self._taken = True
            start()

        if self._taken:
            start()
        else:
            self.flight.enter(enter)
