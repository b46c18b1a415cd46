"""Many coroutines with a limit, bytes between a thread and the loop, and Ctrl-C."""

import asyncio
import math
import os
import signal
import threading
import time

import pytest

from azext_acrprune.workers import Loop, TooLate, first_interrupt, from_thread, in_thread, run_tasks, within


def run(tasks, concurrency=2):
    with Loop() as loop:
        loop.run(run_tasks(tasks, concurrency))


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def test_tasks_that_tasks_give_back_are_run_too():
    done = []

    async def countdown(left):
        done.append(left)
        await asyncio.sleep(0)
        return [lambda: countdown(left - 1)] * 2 if left else []

    run([lambda: countdown(3)], 4)
    assert sorted(done) == [0] * 8 + [1] * 4 + [2] * 2 + [3]


def test_no_tasks_are_no_work():
    run([])


@pytest.mark.parametrize('concurrency', [1, 3, 8])
def test_no_more_tasks_than_allowed_run_at_once(concurrency):
    running, most = [], []

    async def task():
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(0.001)
        running.pop()
        return []

    run([task] * 24, concurrency)
    assert max(most) == concurrency


def test_first_exception_is_raised_what_waits_is_dropped_and_what_runs_is_waited_for():
    started, finished = [], []

    async def slow():
        started.append(1)
        await asyncio.sleep(0.05)
        finished.append(1)
        return []

    async def fail():
        await asyncio.sleep(0.01)
        raise ValueError('first')

    with pytest.raises(ValueError, match='first'):
        run([slow, fail] + [slow] * 200)
    assert len(started) == len(finished) < 20


def test_ctrl_c_cancels_what_runs_and_waits_for_what_it_does_then():
    made_good = []

    async def task():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            made_good.append(1)
            raise

    async def press():
        press_ctrl_c()
        return []

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run([task, task, press], 3)
    assert made_good == [1, 1] and time.monotonic() - began < 30


def test_the_first_ctrl_c_may_mean_something_else_and_the_second_one_ends_it():
    heard = []

    async def work():
        with first_interrupt(lambda: heard.append('first')):
            press_ctrl_c()
            await asyncio.sleep(0.01)
            heard.append('goes on')
            press_ctrl_c()
            await asyncio.sleep(60)

    with Loop() as loop, pytest.raises(KeyboardInterrupt):
        loop.run(work())
    assert heard == ['first', 'goes on']
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_ctrl_c_is_ignored_it_is():
    async def work():
        press_ctrl_c()
        await asyncio.sleep(0.01)
        return 'done'

    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Loop() as loop:
            assert loop.run(work()) == 'done'
    finally:
        signal.signal(signal.SIGINT, usual)


async def arriving(chunks):
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


def test_bytes_that_arrive_reach_a_thread_and_bytes_of_a_thread_arrive():
    async def there_and_back():
        joined = await in_thread(b''.join, arriving([b'a', b'b', b'c']))
        return joined, [chunk async for chunk in from_thread(iter([b'x', b'y']))]

    with Loop() as loop:
        assert loop.run(there_and_back()) == (b'abc', [b'x', b'y'])


def test_a_thread_whose_bytes_do_not_come_any_more_ends_with_an_error():
    ended = []

    def work(chunks):
        try:
            return b''.join(chunks)
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    async def never():
        yield b'a'
        press_ctrl_c()
        await asyncio.sleep(60)

    with Loop() as loop, pytest.raises(KeyboardInterrupt):
        loop.run(in_thread(work, never()))
    assert ended == ['CancelledError']
    assert not any('asyncio' in thread.name for thread in threading.enumerate() if not thread.daemon)


def test_an_error_of_what_arrives_reaches_who_waits():
    async def broken():
        yield b'a'
        raise ValueError('broken')

    with Loop() as loop, pytest.raises(ValueError, match='broken'):
        loop.run(in_thread(b''.join, broken()))


def test_what_nobody_can_stop_is_waited_for_so_long_and_left_behind():
    over = threading.Event()
    assert within(math.inf, lambda: 'done') == 'done'
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)
    with pytest.raises(TooLate):
        within(0.01, over.wait)
    over.set()
