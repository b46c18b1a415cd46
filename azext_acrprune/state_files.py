"""Files in which this program keeps something on a machine: how they are named, changed, and made to last."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_BUSY_SECONDS = 10
HELD = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK)
"""What the system says of a lock that somebody else holds. It says anything else when it has no locks to give."""


def file_of_registry(folder: str, host: str, suffix: str) -> Path:
    """The file about the registry with this login server, below az's configuration folder."""
    return Path(folder) / 'acrprune' / name_of_registry(host, suffix)


def name_of_registry(host: str, suffix: str) -> str:
    """A name that every file system takes; its suffix says what is in the file."""
    return re.sub(r'[^a-z0-9.-]', '_', host.lower()) + suffix


@contextmanager
def transaction(path: Path, tables: Iterable[str], mode: int = 0o600) -> Iterator[sqlite3.Connection]:
    """One change of a small database, which is on the disk afterwards; file and tables are made where they lack.

    The folder has to be there. Raises sqlite3.Error, OSError and UnicodeError.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, mode))
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        for table in tables:
            connection.execute(table)
        with connection:
            yield connection


def has_no_locks(refusal: Exception) -> bool:
    """Whether a file was not locked because its file system has no locks, and not because another process holds it.

    `refusal` is what portalocker raised. With `fail_when_locked` that is AlreadyLocked in both cases.
    """
    reason: object = refusal
    while isinstance(reason, Exception) and not isinstance(reason, (OSError, EOFError)):
        reason = reason.args[0] if reason.args else None
    return isinstance(reason, EOFError) or isinstance(reason, OSError) and reason.errno not in HELD


def sync_directory(folder: Path) -> None:
    """Make a new or renamed file last through a loss of power, on systems that can. Raises OSError."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
