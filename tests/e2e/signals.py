"""Ctrl-C for an az that runs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def interrupt(process: Any) -> None:
    """Send it what Ctrl-C sends, and wait until it has got it."""
    os.kill(process.pid, signal.SIGINT)
    while process.poll() is None and _is_pending(process.pid):
        time.sleep(0.01)


def _is_pending(pid: int) -> bool:
    """Whether SIGINT waits to be delivered: its bit is set in one of the masks that Linux shows."""
    try:
        lines = Path(f'/proc/{pid}/status').read_text(encoding='utf-8').splitlines()
    except OSError:
        return False
    masks = [line.split()[1] for line in lines if line.startswith(('SigPnd:', 'ShdPnd:'))]
    return any(int(mask, 16) >> (signal.SIGINT - 1) & 1 for mask in masks)
