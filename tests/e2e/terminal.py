"""az at a terminal: what somebody sees who runs it, and types answers."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from dataclasses import dataclass

from tests.registry.printed import hold_to_parser

_OVERWRITTEN = re.compile(r'[^\n]*(?:\r|\x1b\[K)(?=[^\n])')
"""What stood on a line before it was written anew, as progress is."""


@dataclass(frozen=True)
class Shown:
    """What one az showed at a terminal of a size, and its exit code."""

    code: int
    text: str
    columns: int
    rows: int

    @property
    def lines(self) -> list[str]:
        """The lines of the screen: what is longer than a line goes on in the next one."""
        whole = self.text.rstrip('\n').split('\n')
        return [
            line[start : start + self.columns] for line in whole for start in range(0, len(line) or 1, self.columns)
        ]

    @property
    def screen(self) -> str:
        """What is still to be seen when the prompt has come back, on one line."""
        return ' '.join(' '.join(self.lines[1 - self.rows :]).split())


def at_a_terminal(az, *arguments, columns=80, rows=24, typed='', encoding=None) -> Shown:
    """Run az at a terminal of this size, on which somebody types."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
    environment = {'COLUMNS': str(columns), **({'PYTHONIOENCODING': encoding} if encoding else {})}
    process = az.start(*arguments, stdin=slave, stdout=slave, stderr=slave, environment=environment)
    os.close(slave)
    os.write(master, typed.encode())
    written = b''
    try:
        while True:
            written += os.read(master, 65_536)
    except OSError:  # the terminal is closed
        pass
    finally:
        os.close(master)
    try:
        code = process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    text = _OVERWRITTEN.sub('', written.decode(encoding or 'utf-8').replace('\r\n', '\n'))
    hold_to_parser(text)
    return Shown(code, text, columns, rows)
