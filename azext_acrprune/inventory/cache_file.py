"""The SQLite file of the cache of one registry: its place, its tables, and what is done when it is damaged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ..state_files import file_of_registry

SCHEMA_VERSION = 3
"""To be raised whenever `read_manifest` understands a manifest in another way, or the tables change."""

_BUSY_SECONDS = 10
_FILES_OF_ONE = ('', '-wal', '-shm')

_TABLES = (
    'CREATE TABLE repository (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, used INTEGER NOT NULL)',
    'CREATE TABLE manifest (id INTEGER PRIMARY KEY, repository INTEGER NOT NULL, digest BLOB NOT NULL, '
    'checksum BLOB NOT NULL, content BLOB NOT NULL, labels BLOB, UNIQUE (repository, digest))',
    f'PRAGMA user_version = {SCHEMA_VERSION}',
)

_FAILURES = 'CREATE TABLE IF NOT EXISTS failure (name TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (name, digest))'
"""What could not be read, by repository. A file without this table is as good: it only knows less."""

# sqlite3 decodes its own messages strictly, and those quote whatever a damaged file calls its tables.
TROUBLE = (sqlite3.Error, OSError, UnicodeError)


@dataclass(frozen=True)
class CacheFacts:
    """The cache of one registry on disk. Fields are None where the file cannot be read."""

    path: str
    size: int
    readable: bool
    manifests: int | None = None
    schema_version: int | None = None


def cache_path(folder: str, host: str) -> Path:
    """Where the cache of the registry with this login server is, below az's configuration folder."""
    return file_of_registry(folder, host, '.sqlite')


def describe(path: Path) -> CacheFacts:
    """Facts about the cache at this path, without a change to it. Raises OSError when its size cannot be read."""
    if not path.exists():
        return CacheFacts(str(path), 0, readable=True, manifests=0)
    size = sum(file.stat().st_size for file in _files(path))
    try:
        with closing(sqlite3.connect(f'{path.absolute().as_uri()}?mode=ro', uri=True)) as connection:
            (version,) = connection.execute('PRAGMA user_version').fetchone()
            (manifests,) = connection.execute('SELECT count(*) FROM manifest').fetchone()
            (found,) = connection.execute('PRAGMA quick_check(1)').fetchone()
    except (sqlite3.Error, UnicodeError):
        return CacheFacts(str(path), size, readable=False)
    return CacheFacts(str(path), size, found == 'ok' and version == SCHEMA_VERSION, manifests, version)


def remove(path: Path) -> None:
    """Delete a cache, in whatever state it is. Raises OSError."""
    for file in _files(path):
        file.unlink(missing_ok=True)  # another process may do the same


class OtherVersion(sqlite3.DatabaseError):
    """The file is sound, and was written by another version of the extension."""


def opened(path: Path) -> sqlite3.Connection:
    """A connection to a file with the tables of the cache. Only the user may read it. Raises what is in TROUBLE."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('PRAGMA synchronous = NORMAL')
        with connection:
            connection.execute('BEGIN IMMEDIATE')
            _prepare(connection)
            connection.execute(_FAILURES)
        return connection
    except BaseException:
        close(connection)
        raise


def _prepare(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute('PRAGMA user_version').fetchone()
    if version == SCHEMA_VERSION:
        return
    if version or connection.execute('SELECT 1 FROM sqlite_master').fetchone():
        raise OtherVersion
    for statement in _TABLES:
        connection.execute(statement)


def is_damage(error: Exception) -> bool:
    """Whether the file itself is damaged. A full disk, a lock and a missing permission are no damage."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith('no such')  # it lacks our tables
    return isinstance(error, (sqlite3.DatabaseError, UnicodeError))


def close(connection: sqlite3.Connection | None) -> None:
    if connection:
        with suppress(sqlite3.Error):  # SQLite finishes what is unfinished when the file is opened again
            connection.close()


def _files(path: Path) -> Iterable[Path]:
    files = (path.with_name(path.name + suffix) for suffix in _FILES_OF_ONE)
    return [file for file in files if file.exists()]
