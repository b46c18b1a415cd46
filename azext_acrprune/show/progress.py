"""Progress on stderr, through az's own progress controller."""
from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import Any, Iterator

from ..reporter import Reporter
from .sizes import count, human_size

_SECONDS_BETWEEN = 0.2


@contextmanager
def progress(cli_ctx: Any) -> Iterator[Reporter]:
    """A reporter that shows progress; a silent one with --only-show-errors and where stderr is no terminal."""
    if cli_ctx.only_show_errors or not sys.stderr.isatty():
        yield Reporter()
        return
    controller = cli_ctx.get_progress_controller()
    controller.begin(message='Signing in')
    try:
        yield ProgressReporter(controller)
    finally:
        controller.end()


class ProgressReporter(Reporter):
    """Counts what it hears and shows repositories, manifests, rate and time left, a few times a second."""

    def __init__(self, controller: Any) -> None:
        self._controller = controller
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._shown = 0.0
        self._repositories = self._listed = self._found = self._read = 0
        self._doomed = self._deleted = 0
        self._planned_bytes = self._bytes = 0
        self._throttled = ''

    def repositories_found(self, count: int) -> None:
        self._repositories = count

    def repository_done(self) -> None:
        with self._lock:
            self._listed += 1

    def manifests_found(self, count: int) -> None:
        with self._lock:
            self._found += count

    def manifest_read(self) -> None:
        with self._lock:
            self._read += 1
            self._show()

    def transfer_planned(self, size: int) -> None:
        self._started = time.monotonic()
        self._planned_bytes = size

    def transferred(self, size: int) -> None:
        with self._lock:
            self._bytes += size
            self._show()

    def deletes_planned(self, count: int) -> None:
        self._started = time.monotonic()
        self._doomed = count
        self._throttled = ''

    def deleted(self) -> None:
        with self._lock:
            self._deleted += 1
            self._show()

    def throttled(self, per_second: float) -> None:
        self._throttled = f', throttled to {max(1, per_second):.0f}/s'

    def message(self) -> str:
        """What is shown: how far, how fast, how long still."""
        elapsed = time.monotonic() - self._started
        if self._doomed:
            return f'Deleting: {_pace(self._deleted, self._doomed, elapsed)}{self._throttled}'
        if self._planned_bytes:
            return f'Transferring: {_byte_pace(self._bytes, self._planned_bytes, elapsed)}{self._throttled}'
        return (f"Reading {self._listed} of {count(self._repositories, 'repository')}: "
                f'{_pace(self._read, self._found, elapsed)}{self._throttled}')

    def _show(self) -> None:
        if time.monotonic() - self._shown >= _SECONDS_BETWEEN:
            self._shown = time.monotonic()
            self._controller.add(message=self.message())


def _byte_pace(done: int, total: int, elapsed: float) -> str:
    rate = done / elapsed if elapsed > 0 else 0
    left = f', {max(0, total - done) / rate:.0f} s left' if rate else ''
    return f'{human_size(done)} of {human_size(total)}, {human_size(int(rate))}/s{left}'


def _pace(done: int, total: int, elapsed: float) -> str:
    rate = done / elapsed if elapsed > 0 else 0
    left = f', {(total - done) / rate:.0f} s left' if rate else ''
    return f"{done} of {count(total, 'manifest')}, {rate:.0f}/s{left}"
