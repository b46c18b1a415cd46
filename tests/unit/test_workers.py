"""Tasks on threads."""
import threading
import time

import pytest

from azext_acrprune.workers import run_tasks


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
