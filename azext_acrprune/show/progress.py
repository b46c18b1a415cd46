"""Progress on stderr: through az's own progress controller at a terminal, as lines of its log elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from knack.log import get_logger

from ..reporter import Reporter, Silent
from .sizes import count as count_of
from .sizes import human_size

logger = get_logger(__name__)

_SECONDS_BETWEEN = 0.2
_SECONDS_BETWEEN_LINES = 30
_WINDOW_SECONDS = 30
"""Rates are those of the last half minute: a registry that throttles gets slower."""


@contextmanager
def progress(cli_ctx: Any) -> Iterator[Reporter]:
    """A reporter that shows progress, at a terminal in one line, elsewhere in a line of log every half minute.

    It is silent with --only-show-errors, and where `core.disable_progress_bar` is set.
    """
    if cli_ctx.only_show_errors or cli_ctx.config.getboolean('core', 'disable_progress_bar', fallback=False):
        yield Silent()
    elif not sys.stderr.isatty():
        yield ProgressReporter(logger.warning, _SECONDS_BETWEEN_LINES)
    else:
        controller = cli_ctx.get_progress_controller()
        controller.begin(message='Signing in')
        try:
            yield ProgressReporter(lambda message: controller.add(message=message), _SECONDS_BETWEEN)
        finally:
            controller.end()


class ProgressReporter(Reporter):
    """Counts what is reported, and shows progress, rate and time left at most once in `seconds_between` seconds."""

    def __init__(
        self, show: Callable[[str], None], seconds_between: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._show = show
        self._seconds_between = seconds_between
        self._clock = clock
        self._lock = threading.Lock()
        self._shown = clock()
        self._speed = _Speed(clock())
        self._repositories = self._listed = self._found = self._read = 0
        self._total_bytes: int | None = None
        self._total = self._done = 0
        self._throttled = ''

    def repositories_found(self, count: int) -> None:
        self._repositories = count

    def repository_done(self) -> None:
        with self._lock:
            self._listed += 1
            self._show_in_time(self._read)

    def manifests_found(self, count: int) -> None:
        with self._lock:
            self._found += count

    def manifest_read(self) -> None:
        with self._lock:
            self._read += 1
            self._show_in_time(self._read)

    def transfer_planned(self, size: int) -> None:
        with self._lock:
            self._speed = _Speed(self._clock())
            self._total_bytes, self._done = size, 0

    def transferred(self, size: int) -> None:
        with self._lock:
            self._done += size
            self._show_in_time(self._done)

    def deletes_planned(self, count: int) -> None:
        with self._lock:
            self._speed = _Speed(self._clock())
            self._total_bytes, self._total, self._done = None, count, 0
            self._throttled = ''

    def deleted(self) -> None:
        with self._lock:
            self._done += 1
            self._show_in_time(self._done)

    def throttled(self, per_second: float) -> None:
        self._throttled = f', throttled to {_rate(per_second)}'

    def message(self) -> str:
        """The line that is shown: progress, rate, time left, and whether the registry throttles."""
        if self._total_bytes is not None:
            return f'Transferring: {self._byte_progress(self._total_bytes)}{self._throttled}'
        if self._total:
            return f'Deleting: {self._progress(self._done, self._total, self._total)}{self._throttled}'
        where = f'Reading {self._listed} of {count_of(self._repositories, "repository")}'
        if not self._found:
            return f'{where}{self._throttled}'
        expected = self._found * max(1.0, self._repositories / max(1, self._listed))
        return f'{where}: {self._progress(self._read, self._found, expected)}{self._throttled}'

    def _progress(self, done: int, total: int, expected: float) -> str:
        rate = self._speed.rate(self._clock(), done)
        left = f', about {_time(max(0.0, expected - done) / rate)} left' if rate else ''
        return f'{done} of {count_of(total, "manifest")}, {_rate(rate)}{left}'

    def _byte_progress(self, total: int) -> str:
        rate = self._speed.rate(self._clock(), self._done)
        left = f', about {_time(max(0, total - self._done) / rate)} left' if rate > 0 else ''
        return f'{human_size(self._done)} of {human_size(total)}, {human_size(max(0, int(rate)))}/s{left}'

    def _show_in_time(self, done: int) -> None:
        now = self._clock()
        if now - self._shown >= self._seconds_between:
            self._shown = now
            self._speed.mark(now, done)
            self._show(self.message())


class _Speed:
    """The rate of the last half minute."""

    def __init__(self, now: float) -> None:
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def mark(self, now: float, done: int) -> None:
        self._marks.append((now, done))
        while now - self._marks[1][0] >= _WINDOW_SECONDS:
            self._marks.popleft()

    def rate(self, now: float, done: int) -> float:
        """The number of things done in a second."""
        since, before = self._marks[0]
        return (done - before) / (now - since) if now > since else 0.0


def _rate(per_second: float) -> str:
    return f'{per_second:.0f}/s' if per_second >= 10 else f'{per_second:.1f}/s'


def _time(seconds: float) -> str:
    if seconds < 60:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 60 else f'{minutes // 60} h {minutes % 60} min'
