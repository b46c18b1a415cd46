"""Many coroutines with a limit, bytes between a thread and the loop, and Ctrl-C."""

import asyncio
import math
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from azext_acrprune.workers import Loop, Stops, TooLate, from_thread, in_thread, run_tasks, stops_are_ctrl_c, within


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


def test_what_is_cancelled_again_hears_of_it():
    heard = []

    async def task():
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard.append('cancelled')
        return []

    async def twice():
        running = asyncio.ensure_future(run_tasks([task], 1))
        await asyncio.sleep(0)
        for times in (1, 2):
            running.cancel()
            while len(heard) < times:
                await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await running

    with Loop() as loop:
        loop.run(twice())
    assert heard == ['cancelled', 'cancelled']


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


STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize('number', STOPS)
def test_every_stop_may_mean_something_and_each_one_something_else(number):
    heard, before, stops = [], signal.getsignal(number), Stops()
    with stops.mean(lambda: heard.append('first'), lambda: heard.append('second')):
        os.kill(os.getpid(), number)
        heard.append('goes on')
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == ['first', 'goes on', 'second']
    assert signal.getsignal(number) is before


def test_a_stop_for_which_nothing_is_meant_yet_is_not_forgotten():
    heard, stops = [], Stops()
    with stops.mean():
        press_ctrl_c()
        with stops.mean(lambda: heard.append('first'), lambda: heard.append('second')):
            assert heard == ['first']
            press_ctrl_c()
    assert heard == ['first', 'second']


@pytest.mark.parametrize('number', STOPS)
def test_what_is_ignored_from_the_start_stays_so_as_under_nohup(number):
    async def work():
        os.kill(os.getpid(), number)
        await asyncio.sleep(0.01)
        return 'done'

    usual = signal.signal(number, signal.SIG_IGN)
    try:
        with stops_are_ctrl_c(), Loop() as loop:
            assert loop.run(work()) == 'done'
    finally:
        signal.signal(number, usual)


@pytest.mark.parametrize('number', STOPS)
def test_outside_of_the_loop_every_stop_is_a_keyboard_interrupt(number):
    with pytest.raises(KeyboardInterrupt), stops_are_ctrl_c():
        os.kill(os.getpid(), number)
        time.sleep(60)


@pytest.mark.parametrize('number', STOPS)
def test_a_stop_is_told_before_anything_has_ended(number):
    heard = []

    async def work():
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(60)
        finally:
            heard.append('ended')

    with Loop(lambda: heard.append('told')) as loop, pytest.raises(KeyboardInterrupt):
        loop.run(work())
    assert heard == ['told', 'ended']


@pytest.mark.parametrize('way', ['Loop().run(endless())', 'endless(Stops())'])
def test_the_last_stop_ends_the_process_whatever_it_does(way):
    program = f"""
import asyncio, os, signal, time
from azext_acrprune.workers import Loop, Stops

async def stopped():
    while True:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

def endless(stops=None):
    if stops is None:
        return stopped()
    with stops.mean(lambda: None, lambda: None):
        while True:
            os.kill(os.getpid(), signal.SIGTERM)

{way}
"""
    done = subprocess.run([sys.executable, '-c', program], timeout=60, check=False)
    assert done.returncode == -signal.SIGINT


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


def test_how_long_it_may_be_waited_for_is_asked_again_while_it_is():
    asked, over = iter([math.inf, 100, 0.01]), threading.Event()
    with pytest.raises(TooLate):
        within(math.inf, over.wait, lambda: next(asked))
    over.set()
    assert next(asked, None) is None
