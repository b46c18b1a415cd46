"""Ctrl-C, and the other signals that stop a run, for an az that runs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

PIPES = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}
"""An az that says all that it says to the test, and hears nothing from it."""


def interrupt(process: Any, number: int = signal.SIGINT) -> None:
    """Send it what Ctrl-C sends, or another signal, and wait until it has got it."""
    os.kill(process.pid, number)
    while process.poll() is None and _is_pending(process.pid, number):
        time.sleep(0.01)


def read_until(file: Any, text: str) -> str:
    """What it writes, up to the line with this text. Raises AssertionError where that does not come."""
    read = ''
    for line in file:
        read += line
        if text in line:
            return read
    raise AssertionError(f'{text!r} is not in {read!r}')


def wait_until_it_waits(process: Any) -> None:
    """Return when it sleeps in the kernel, as what has asked a question does until somebody answers."""
    while process.poll() is None and _status(process.pid, 'State:') != ['S']:
        time.sleep(0.01)


def _is_pending(pid: int, number: int) -> bool:
    """Whether a signal waits to be delivered: its bit is set in one of the masks that Linux shows."""
    return any(int(mask, 16) >> (number - 1) & 1 for mask in _status(pid, 'SigPnd:', 'ShdPnd:'))


def _status(pid: int, *names: str) -> list[str]:
    """What Linux shows of a process under these names; nothing when it is gone."""
    try:
        lines = Path(f'/proc/{pid}/status').read_text(encoding='utf-8').splitlines()
    except OSError:
        return []
    return [line.split()[1] for line in lines if line.startswith(names)]
