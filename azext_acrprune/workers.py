"""Tasks on threads: each task may give more tasks back."""
from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Callable, Iterable, List

Task = Callable[[], 'Iterable[Task]']


def run_tasks(tasks: Iterable[Task], concurrency: int, give_up: Callable[[], None] = lambda: None) -> None:
    """Run tasks, and those that they give back, `concurrency` at a time, until none is left.

    A task is begun when few are waiting, so that what the first ones gave back is done before the last ones begin.
    The first exception of a task, or Ctrl-C, ends it all: what waits is dropped, what runs is waited for. After Ctrl-C
    they are told to `give_up`.
    """
    finished: 'SimpleQueue[Future]' = SimpleQueue()
    with ThreadPoolExecutor(concurrency) as pool:
        def submit(more: Iterable[Task]) -> int:
            futures: List[Future] = [pool.submit(task) for task in more]
            for future in futures:
                future.add_done_callback(finished.put)
            return len(futures)

        rest, waiting = iter(tasks), 0
        try:
            while True:
                waiting += submit(islice(rest, max(0, 2 * concurrency - waiting)))
                if not waiting:
                    return
                waiting += submit(finished.get().result()) - 1
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, KeyboardInterrupt):
                give_up()
            raise
