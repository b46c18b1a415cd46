"""Coroutines: many tasks with a limit, plain functions on threads, the event loop of a command, and its signals.

A stop is Ctrl-C (SIGINT), SIGTERM, which ends a job or a container, or SIGHUP, which a closed terminal sends. All of
them mean the same. One that was ignored when the process began, as `nohup` has it, stays ignored.
"""

from __future__ import annotations

import asyncio
import math
import signal
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

Result = TypeVar('Result')
Task = Callable[[], Awaitable['Iterable[Task]']]

_THREADS = 64
"""At most, for files, az's sign-in and storage accounts: more than ever wait at a time, so that none waits for one."""
_NOTHING_MORE = object()
_ASKED_EVERY_SECONDS = 0.2
_STOPS = [getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGHUP') if hasattr(signal, name)]
"""Windows has no SIGHUP."""


async def run_tasks(tasks: Iterable[Task], concurrency: int) -> None:
    """Run tasks, and those that they give back, `concurrency` at a time, until none is left.

    What tasks gave back is done before another one of `tasks` begins. The first exception of a task ends it all: what
    waits is dropped, what runs is waited for. When this is cancelled, what runs is cancelled too, and waited for.
    """
    crew = _Crew(tasks)
    workers = [asyncio.ensure_future(crew.work()) for _ in range(concurrency)]
    try:
        await asyncio.wait(workers)
    except asyncio.CancelledError:
        while not all(worker.done() for worker in workers):
            for worker in workers:
                worker.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait(workers)
        raise
    if crew.error:
        raise crew.error


class _Crew:
    """What the workers share."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.error: Exception | None = None
        self._rest = iter(tasks)
        self._given: deque[Task] = deque()
        self._at_work = 0
        self._changed = asyncio.Event()

    async def work(self) -> None:
        """Do tasks until none is left, or one failed."""
        while not self.error:
            task = self._given.popleft() if self._given else next(self._rest, None)
            if task:
                await self._do(task)
            elif self._at_work:
                self._changed.clear()
                await self._changed.wait()
            else:
                return

    async def _do(self, task: Task) -> None:
        self._at_work += 1
        given: Iterable[Task] = ()
        try:
            given = await task()
        except Exception as error:  # pylint: disable=broad-exception-caught  # it is raised where all are waited for
            self.error = self.error or error
        self._at_work -= 1
        self._given.extend(given)
        if given or self.error or not self._at_work:
            self._changed.set()


async def in_thread(work: Callable[[Iterator[bytes]], Result], chunks: AsyncGenerator[bytes, None]) -> Result:
    """Do something on a thread that wants bytes which arrive here; cancelled, it fails at its next chunk."""
    feed = _Feed(chunks)
    working = asyncio.ensure_future(asyncio.to_thread(work, feed.chunks()))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        feed.end()
        await asyncio.gather(working, return_exceptions=True)
        raise
    finally:
        await chunks.aclose()


async def from_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Bytes that an iterator waits for, each read on a thread."""
    while True:
        chunk: Any = await asyncio.to_thread(next, chunks, _NOTHING_MORE)
        if chunk is _NOTHING_MORE:
            return
        yield chunk


class TooLate(Exception):
    """Something was waited for, and did not come in time."""


def within(seconds: float, work: Callable[[], Result], longest: Callable[[], float] = lambda: math.inf) -> Result:
    """Do what nobody can stop on a thread, and wait so long for it. Raises TooLate; the thread is left behind then.

    `longest` is asked again while it waits: for so many seconds from then on it waits at most.
    """
    done, end = _begun(work), time.monotonic() + seconds
    while True:
        left = max(0.0, min(end - time.monotonic(), longest()))
        wait([done], min(left, _ASKED_EVERY_SECONDS))
        if done.done():
            return done.result()
        if left <= _ASKED_EVERY_SECONDS:
            raise TooLate


async def done_within(seconds: float, work: Callable[[], Result]) -> Result:
    """The same for who waits on an event loop, which does not wait for a thread that was left behind."""
    done = asyncio.wrap_future(_begun(work))
    try:
        await asyncio.wait({done}, timeout=max(0.0, seconds) if seconds < threading.TIMEOUT_MAX else None)
        if not done.done():
            raise TooLate
        return done.result()
    finally:
        done.cancel()


def _begun(work: Callable[[], Result]) -> Future[Result]:
    """What comes of some work on a thread that does not keep the process alive."""
    done: Future[Result] = Future()
    done.set_running_or_notify_cancel()  # so that nobody can cancel it any more, and the thread can always say its end

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # pylint: disable=broad-exception-caught  # it is raised where it is waited for
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


class _Feed:
    """Bytes that arrive on the loop, for a thread."""

    def __init__(self, source: AsyncGenerator[bytes, None]) -> None:
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self._taking: asyncio.Task[Any] | None = None

    def chunks(self) -> Iterator[bytes]:
        """Called on the thread. Raises concurrent.futures.CancelledError after the end was called for."""
        while True:
            chunk = asyncio.run_coroutine_threadsafe(self._take(), self._loop).result()
            if chunk is _NOTHING_MORE:
                return
            yield chunk

    def end(self) -> None:
        """Called on the loop."""
        self._ended = True
        if self._taking:
            self._taking.cancel()

    async def _take(self) -> Any:
        if self._ended:
            raise asyncio.CancelledError
        self._taking = asyncio.current_task()
        async for chunk in self._source:
            return chunk
        return _NOTHING_MORE


class Loop:
    """`with Loop() as loop:` has an event loop; `loop.run` is the one way from plain functions into coroutines.

    `stopping` is called at the first stop, before anything has ended.
    """

    def __init__(self, stopping: Callable[[], None] = lambda: None) -> None:
        self._stopping = stopping
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(_THREADS))

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do it to its end. A stop cancels it, and raises KeyboardInterrupt when what it cancelled has ended.

        A second stop ends the process at once.
        """
        task = self._loop.create_task(work)
        stops = Stops(ending_at=2)

        def cancel() -> None:
            self._stopping()
            task.cancel()

        try:
            with stops.mean(lambda: self._loop.call_soon_threadsafe(cancel)):
                return self._loop.run_until_complete(task)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    def end(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do what closes something, whatever a stop means just then."""
        return self._loop.run_until_complete(work)


class Stops:
    """Counts stops. The first ones do what they mean just now, that with the number `ending_at` ends the process.

    Where nothing is meant by a stop it does nothing but count, and what is meant next begins with it.
    """

    def __init__(self, ending_at: int = 3) -> None:
        self._ending_at = ending_at
        self._count = 0

    @contextmanager
    def mean(self, *acts: Callable[[], object]) -> Iterator[None]:
        """Within it the first stop does the first of these, and so on. They are called between any two steps."""

        def act() -> None:
            self._count += 1
            if self._count >= self._ending_at:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.raise_signal(signal.SIGINT)
            if self._count <= len(acts):
                acts[self._count - 1]()

        with _handling(act):
            for early in acts[: self._count]:
                early()
            yield


async def until_given_up(
    work: Coroutine[Any, Any, object], stops: Stops, stopping: Callable[[bool], None], seconds: float
) -> bool:
    """Do it, and give whether it was stopped. The second of the `stops` cancels it, and waits so many seconds at most.

    `stopping` hears of the first two, with whether it is the second; it has to make the work end soon.
    """
    loop, doing, given_up = asyncio.get_running_loop(), asyncio.ensure_future(work), asyncio.Event()
    stopped: list[bool] = []

    def stop(is_second: bool) -> None:
        stopped.append(is_second)
        stopping(is_second)
        if is_second:
            given_up.set()
            doing.cancel()

    giving_up = asyncio.ensure_future(given_up.wait())
    with stops.mean(*(partial(loop.call_soon_threadsafe, stop, is_second) for is_second in (False, True))):
        await asyncio.wait([doing, giving_up], return_when=asyncio.FIRST_COMPLETED)
        giving_up.cancel()
        await asyncio.wait([doing], timeout=seconds)
    if doing.done() and not doing.cancelled():
        doing.result()
    return bool(stopped)


@contextmanager
def stops_are_ctrl_c() -> Iterator[None]:
    """Within it every stop raises KeyboardInterrupt where nothing else is meant by it, as Ctrl-C does by itself."""
    with _handling(_interrupt):
        yield


def _interrupt() -> None:
    raise KeyboardInterrupt


@contextmanager
def _handling(handle: Callable[[], None]) -> Iterator[None]:
    """Within it a stop calls this. Signals are for the main thread alone."""
    with ExitStack() as after:
        for number in _STOPS if threading.current_thread() is threading.main_thread() else ():
            before = signal.getsignal(number)
            if before not in (signal.SIG_IGN, None):
                after.callback(signal.signal, number, before)
                signal.signal(number, lambda *_: handle())
        yield
