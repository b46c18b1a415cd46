"""Tasks on threads, and in flight."""

import asyncio
import threading
import time

import pytest

from azext_acrprune.registry.flight import Flight
from azext_acrprune.workers import fly_tasks, run_tasks


def test_tasks_that_tasks_give_back_are_run_too():
    done = []

    def countdown(left):
        done.append(left)
        return [lambda: countdown(left - 1)] * 2 if left else []

    run_tasks([lambda: countdown(3)], 4)
    assert sorted(done) == [0] * 8 + [1] * 4 + [2] * 2 + [3]


def test_no_tasks_are_no_work():
    run_tasks([], 2)


@pytest.mark.parametrize('concurrency', [1, 3])
def test_no_more_tasks_than_allowed_run_at_once(concurrency):
    running, most, lock = [], [], threading.Lock()

    def task():
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.01)
        with lock:
            running.pop()
        return []

    run_tasks([task] * 12, concurrency)
    assert max(most) == concurrency


def test_first_exception_is_raised_and_waiting_tasks_are_dropped():
    started = []

    def fail():
        raise ValueError('first')

    def work():
        started.append(1)
        time.sleep(0.05)
        return []

    with pytest.raises(ValueError, match='first'):
        run_tasks([fail] + [work] * 200, 2)
    assert len(started) < 20


def test_running_tasks_are_waited_for_after_an_exception():
    begun, finished = threading.Event(), []

    def slow():
        begun.set()
        time.sleep(0.1)
        finished.append(1)
        return []

    def fail():
        begun.wait(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tasks([slow, fail], 2)
    assert finished == [1]


def fly(tasks, concurrency=2, give_up=lambda: None):
    with Flight(concurrency) as flight:
        fly_tasks([task(flight) for task in tasks], flight, give_up)


def test_tasks_that_flying_tasks_give_back_fly_too():
    done = []

    def countdown(left):
        async def work():
            done.append(left)
            await asyncio.sleep(0)
            return [countdown(left - 1)] * 2 if left else []

        return work

    fly([lambda _: countdown(3)], 4)
    assert sorted(done) == [0] * 8 + [1] * 4 + [2] * 2 + [3]
    fly([])


@pytest.mark.parametrize('concurrency', [1, 3, 8])
def test_no_more_calls_than_slots_are_made_at_once(concurrency):
    running, most = [], []

    def work():
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()

    def task(flight):
        async def fly_one():
            await flight.in_turn(work)
            return []

        return fly_one

    fly([task] * 24, concurrency)
    assert max(most) == concurrency


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_first_exception_of_what_flies_is_raised_and_running_tasks_are_waited_for(error):
    started, finished = [], []

    def slow(flight):
        async def work():
            started.append(1)
            await flight.in_thread(lambda: time.sleep(0.1))
            finished.append(1)
            return []

        return work

    def fail(_):
        async def work():
            await asyncio.sleep(0.02)
            raise error

        return work

    with pytest.raises(error):
        fly([slow, fail] + [slow] * 200)
    assert len(started) == len(finished) < 20
