"""Tasks on threads, or in flight: each task may give more tasks back."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import wait
from typing import Any

Task = Callable[[], 'Iterable[Task]']
Flying = Callable[[], Awaitable[Iterable[Any]]]

_SECONDS_BETWEEN_SIGNALS = 1


def run_tasks(tasks: Iterable[Task], concurrency: int, give_up: Callable[[], None] = lambda: None) -> None:
    """Run tasks, and those that they give back, `concurrency` at a time, until none is left.

    What tasks gave back is done before another one of `tasks` begins. The first exception of a task, or Ctrl-C, ends
    it all: what waits is dropped, what runs is waited for. After Ctrl-C it is told to `give_up`.
    """
    crew = _Crew(tasks)
    threads = [threading.Thread(target=crew.work) for _ in range(concurrency)]
    try:
        for thread in threads:
            thread.start()
        _wait_for(threads)
    except BaseException as error:  # pylint: disable=broad-exception-caught
        crew.stop(error)
        if isinstance(error, KeyboardInterrupt):
            give_up()
        _wait_for(threads)
    if crew.error:
        raise crew.error


class _Crew:
    """What the threads share. They fetch their tasks themselves: to hand out each one costs as much as a small one."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.error: BaseException | None = None
        self._rest = iter(tasks)
        self._given: deque[Task] = deque()
        self._at_work = 0
        self._changed = threading.Condition()

    def work(self) -> None:
        """Do tasks until none is left. What they raise, is raised where they are waited for."""
        try:
            task = self._next([])
            while task:
                task = self._next(list(task()), 1)
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self.stop(error)

    def stop(self, error: BaseException) -> None:
        with self._changed:
            self.error = self.error or error
            self._changed.notify_all()

    def _next(self, given: list[Task], done: int = 0) -> Task | None:
        """Take what a task gave back; gives the next one, waiting for it while others may still give some."""
        with self._changed:
            self._at_work -= done
            self._given.extend(given)
            self._changed.notify(len(given))
            while not self.error:
                task = self._given.popleft() if self._given else next(self._rest, None)
                if task:
                    self._at_work += 1
                    return task
                if not self._at_work:
                    self._changed.notify_all()
                    return None
                self._changed.wait()
            return None


def fly_tasks(tasks: Iterable[Flying], flight: Any, give_up: Callable[[], None] = lambda: None) -> None:
    """Run tasks that fly, a few more than there are slots, so that one waits when a slot is left."""
    crew = _FlyingCrew(tasks, flight.concurrency * 5 // 4)
    done = flight.start(crew.work())
    try:
        while wait([done], timeout=_SECONDS_BETWEEN_SIGNALS).not_done:
            pass  # on Windows, Ctrl-C is only seen between two waits
    except BaseException as error:  # pylint: disable=broad-exception-caught
        flight.call_soon(crew.stop, error)
        if isinstance(error, KeyboardInterrupt):
            give_up()
        wait([done])
    if crew.error:
        raise crew.error


class _FlyingCrew:
    """What those share that do tasks in one flight. All of it is done by the thread of the flight."""

    def __init__(self, tasks: Iterable[Flying], number: int) -> None:
        self.error: BaseException | None = None
        self._rest = iter(tasks)
        self._given: deque[Flying] = deque()
        self._number = number
        self._at_work = 0
        self._changed = asyncio.Event()

    async def work(self) -> None:
        await asyncio.gather(*(self._work() for _ in range(self._number)))

    def stop(self, error: BaseException) -> None:
        self.error = self.error or error
        self._changed.set()

    async def _work(self) -> None:
        """Do tasks until none is left. What they raise, is raised where they are waited for."""
        try:
            while not self.error:
                task = self._given.popleft() if self._given else next(self._rest, None)
                if task:
                    self._at_work += 1
                    given = await task()
                    self._at_work -= 1
                    if given or not self._at_work:
                        self._given.extend(given)
                        self._changed.set()
                elif self._at_work:
                    self._changed.clear()
                    await self._changed.wait()
                else:
                    return
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self.stop(error)


def _wait_for(threads: Iterable[threading.Thread]) -> None:
    """On Windows, Ctrl-C is only seen between two waits."""
    for thread in threads:
        while thread.is_alive():
            thread.join(_SECONDS_BETWEEN_SIGNALS)
