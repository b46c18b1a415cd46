"""What manifests say, kept on disk from one run to the next: a manifest never changes under its digest.

Each registry has one SQLite file. It holds contents, and the labels in their configs where a policy asked for them.
Both were verified against their digests when they were read. Tags, locks, times and listings are read from the
registry in every run. A content is known only for the repository that it was read in, because its digest may be a
ghost in another one. Each row has a checksum over its repository, digest and value: a row of a damaged file is right,
or it counts as missing. An error of the file switches the cache off for the rest of the run, which costs time only.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..decide.manifests import is_digest
from ..model import Content
from .cache_file import TROUBLE, OtherVersion, close, is_damage, opened, remove
from .packing import (
    CHECKSUM_BYTES,
    Blobs,
    checksum_of,
    digest_of,
    key_of,
    key_of_labels,
    packed_content,
    seal_of,
    unpacked_content,
)

MAX_CACHE_BYTES = 1024**3
"""Room for two million manifests of eight layers."""

_BATCH = 500
_ROOM_AFTER_EVICTION = 0.9

Result = TypeVar('Result')
Row = tuple[bytes, bytes, bytes, str]
"""Key, checksum, packed content, and the repository that it was read in."""
LabelRow = tuple[bytes, bytes, str]
"""Labels with their checksum, key, and the repository that they were read in."""


class Cache(Protocol):
    """What is known of manifests from earlier runs.

    `trouble` says what was wrong with the cache, None when nothing was. `has_changed` says, once it is closed, whether
    it knows anything else than before.
    """

    trouble: str | None
    has_changed: bool

    def looks(self) -> dict[str, int]:
        """When each repository was last listed or read from, by name: the later, the larger."""

    def sizes(self) -> dict[str, int]:
        """How many manifests of each repository are known, by name."""

    def keep_only(self, repositories: Collection[str]) -> None:
        """Forget every repository but these: the registry has no others."""

    def recall(self, repository: str, listed: Collection[str], blobs: Blobs | None = None) -> dict[str, Content]:
        """What is known of the manifests that a complete listing of the repository names; forgets all others.

        Contents hold the same `blobs`, which grow.
        """

    def recall_labels(self, repository: str, digests: Collection[str]) -> dict[str, dict[str, str]]:
        """The labels in the configs of these manifests, where they are known; after `recall`."""

    def remember(self, repository: str, digest: str, content: Content) -> bool:
        """Keep what was just read in this repository, and verified; gives whether it is time to `write`."""

    def write(self) -> None:
        """Write to the file what was remembered."""

    def forget(self, repository: str, digest: str) -> None:
        """Drop a manifest that turned out to be a ghost."""

    def remember_labels(self, repository: str, digest: str, labels: Mapping[str, str]) -> bool:
        """Keep the labels in the config of this manifest, read in this repository and verified; as `remember`."""

    def failures(self) -> frozenset[tuple[str, str]]:
        """(repository, digest) of what could not be read in the last run, however often it was asked for.

        The digest is empty where the lists of the repository failed.
        """

    def note_failures(self, read: Iterable[tuple[str, str]], failed: Iterable[tuple[str, str]]) -> None:
        """Keep what failed in this run, and forget what could be read, or is not there any more."""

    def close(self) -> None:
        """Write what is still to be written."""


class NoCache:
    """A cache that knows nothing and keeps nothing."""

    # pylint: disable=unused-argument

    trouble: str | None = None
    has_changed = False

    def looks(self) -> dict[str, int]:
        return {}

    def sizes(self) -> dict[str, int]:
        return {}

    def keep_only(self, repositories: Collection[str]) -> None:
        pass

    def recall(self, repository: str, listed: Collection[str], blobs: Blobs | None = None) -> dict[str, Content]:
        return {}

    def recall_labels(self, repository: str, digests: Collection[str]) -> dict[str, dict[str, str]]:
        return {}

    def remember(self, repository: str, digest: str, content: Content) -> bool:
        return False

    def write(self) -> None:
        pass

    def forget(self, repository: str, digest: str) -> None:
        pass

    def remember_labels(self, repository: str, digest: str, labels: Mapping[str, str]) -> bool:
        return False

    def failures(self) -> frozenset[tuple[str, str]]:
        return frozenset()

    def note_failures(self, read: Iterable[tuple[str, str]], failed: Iterable[tuple[str, str]]) -> None:
        pass

    def close(self) -> None:
        pass


class ManifestCache:
    """The cache of one registry. Safe with many threads and with other processes on the same file.

    When the file is full, the repositories that were not used for longest are dropped first. A repository is used when
    it is listed and when a manifest of it is read. Uses are numbered from `moment` on, which has to be larger than all
    numbers of earlier runs, as a time in microseconds is.
    """

    def __init__(self, path: Path, moment: int, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self.trouble: str | None = None
        self.has_changed = False
        self._uses_noted = 0
        self._path = path
        self._moments = count(moment)
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._pending_lock = threading.Lock()  # `remember` does not wait while rows are written
        self._pending: list[Row] = []
        self._pending_labels: list[LabelRow] = []
        self._looks: dict[str, int] = {}
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = self._open()
        except TROUBLE as error:
            self.trouble = str(error)

    def looks(self) -> dict[str, int]:
        return self._numbers('SELECT name, used FROM repository')

    def sizes(self) -> dict[str, int]:
        return self._numbers(
            'SELECT name, count(*) FROM manifest JOIN repository '
            'ON repository.id = manifest.repository GROUP BY repository.id'
        )

    def keep_only(self, repositories: Collection[str]) -> None:
        self._attempt(lambda connection: _forget_repositories(connection, set(repositories)), None)

    def recall(self, repository: str, listed: Collection[str], blobs: Blobs | None = None) -> dict[str, Content]:
        with self._pending_lock:
            self._looks[repository] = next(self._moments)
            full = len(self._looks) >= _BATCH
        if full:
            self.write()
        rows: list[tuple] = self._attempt(
            lambda connection: connection.execute(
                'SELECT manifest.id, digest, checksum, content FROM manifest JOIN repository '
                'ON repository.id = manifest.repository WHERE name = ?',
                (repository,),
            ).fetchall(),
            [],
        )
        blobs, seal = blobs or Blobs(), seal_of(repository)
        known: dict[str, Content] = {}
        stale = []
        for number, key, checksum, packed in rows:
            digest = digest_of(key)
            if digest is None or digest not in listed:
                stale.append((number,))
            elif isinstance(packed, bytes) and checksum == checksum_of(seal, key, packed):
                known[digest] = unpacked_content(packed, blobs)
        if stale:
            self._attempt(lambda connection: _forget_manifests(connection, stale), None)
        return known

    def recall_labels(self, repository: str, digests: Collection[str]) -> dict[str, dict[str, str]]:
        keys = {key_of(digest): digest for digest in digests}
        rows: list[tuple] = self._attempt(
            lambda connection: connection.execute(
                'SELECT digest, labels FROM manifest JOIN repository ON repository.id = manifest.repository '
                'WHERE name = ? AND labels IS NOT NULL',
                (repository,),
            ).fetchall(),
            [],
        )
        whole = (
            (key, kept[:CHECKSUM_BYTES], kept[CHECKSUM_BYTES:])
            for key, kept in rows
            if key in keys and isinstance(kept, bytes)
        )
        return {
            keys[key]: json.loads(packed)
            for key, checksum, packed in whole
            if checksum == checksum_of(seal_of(repository), key_of_labels(key), packed)
        }

    def remember(self, repository: str, digest: str, content: Content) -> bool:
        key, packed = key_of(digest), packed_content(content)
        row = (key, checksum_of(seal_of(repository), key, packed), packed, repository)
        with self._pending_lock:
            self._pending.append(row)
            self._looks[repository] = next(self._moments)
            return len(self._pending) % _BATCH == 0

    def write(self) -> None:
        self._attempt(self._write, None)

    def forget(self, repository: str, digest: str) -> None:
        if is_digest(digest):
            self._attempt(lambda connection: _forget_manifest(connection, repository, key_of(digest)), None)

    def remember_labels(self, repository: str, digest: str, labels: Mapping[str, str]) -> bool:
        key, packed = key_of(digest), json.dumps(labels, separators=(',', ':')).encode()
        row = (checksum_of(seal_of(repository), key_of_labels(key), packed) + packed, key, repository)
        with self._pending_lock:
            self._pending_labels.append(row)
            return len(self._pending_labels) % _BATCH == 0

    def failures(self) -> frozenset[tuple[str, str]]:
        rows: list[tuple[Any, ...]] = self._attempt(
            lambda connection: connection.execute('SELECT name, digest FROM failure').fetchall(), []
        )
        return frozenset((name, digest) for name, digest in rows if isinstance(name, str) and isinstance(digest, str))

    def note_failures(self, read: Iterable[tuple[str, str]], failed: Iterable[tuple[str, str]]) -> None:
        self._attempt(lambda connection: _note_failures(connection, list(read), list(failed)), None)

    def close(self) -> None:
        self.write()
        if self._connection:
            self.has_changed = self._connection.total_changes > self._uses_noted
        close(self._connection)
        self._connection = None

    def _attempt(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """Do work on the file, one thread at a time; the first failure switches the cache off."""
        with self._lock:
            if not self._connection:
                self._take_pending()
                return otherwise
            try:
                return work(self._connection)
            except TROUBLE as error:
                self._give_up(error)
                return otherwise

    def _numbers(self, query: str) -> dict[str, int]:
        rows: list[tuple[Any, ...]] = self._attempt(lambda connection: connection.execute(query).fetchall(), [])
        return {name: number for name, number in rows if isinstance(name, str) and isinstance(number, int)}

    def _give_up(self, error: Exception) -> None:
        self.trouble = str(error)
        close(self._connection)
        self._connection = None
        if is_damage(error):
            with suppress(OSError):  # the next run tries again
                remove(self._path)

    def _open(self) -> sqlite3.Connection:
        """Open the file; one that is damaged or of another version is made anew."""
        try:
            return opened(self._path)
        except TROUBLE as error:
            if not is_damage(error):
                raise
            if not isinstance(error, OtherVersion):
                self.trouble = f'{error}; it was made anew'
            remove(self._path)
        return opened(self._path)

    def _take_pending(self) -> tuple[list[Row], list[LabelRow], dict[str, int]]:
        with self._pending_lock:
            taken = self._pending, self._pending_labels, self._looks
            self._pending, self._pending_labels, self._looks = [], [], {}
            return taken

    def _write(self, connection: sqlite3.Connection) -> None:
        rows, labels, looks = self._take_pending()
        if not rows and not labels and not looks:
            return
        with connection:
            connection.execute('BEGIN IMMEDIATE')
            self._uses_noted += connection.executemany(
                'UPDATE repository SET used = ? WHERE name = ?', [(moment, name) for name, moment in looks.items()]
            ).rowcount
            connection.executemany('INSERT OR IGNORE INTO repository (name, used) VALUES (?, ?)', looks.items())
            connection.executemany(
                'INSERT OR REPLACE INTO manifest (repository, digest, checksum, content) '
                'SELECT id, ?, ?, ? FROM repository WHERE name = ?',
                rows,
            )
            connection.executemany(
                'UPDATE manifest SET labels = ? WHERE digest = ? AND repository = '
                '(SELECT id FROM repository WHERE name = ?)',
                labels,
            )
        _evict(connection, self._max_bytes)


def _forget_repositories(connection: sqlite3.Connection, present: Collection[str]) -> None:
    known = connection.execute('SELECT id, name FROM repository').fetchall()
    gone = [(number,) for number, name in known if name not in present]
    if gone:
        with connection:
            connection.execute('BEGIN IMMEDIATE')
            connection.executemany('DELETE FROM manifest WHERE repository = ?', gone)
            connection.executemany('DELETE FROM repository WHERE id = ?', gone)


def _note_failures(
    connection: sqlite3.Connection, read: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str]]
) -> None:
    if read or failed:
        with connection:
            connection.execute('BEGIN IMMEDIATE')
            connection.executemany('DELETE FROM failure WHERE name = ? AND digest = ?', read)
            connection.executemany('INSERT OR IGNORE INTO failure (name, digest) VALUES (?, ?)', failed)


def _forget_manifest(connection: sqlite3.Connection, repository: str, key: bytes) -> None:
    with connection:
        connection.execute('BEGIN IMMEDIATE')
        connection.execute(
            'DELETE FROM manifest WHERE digest = ? AND repository IN (SELECT id FROM repository WHERE name = ?)',
            (key, repository),
        )


def _forget_manifests(connection: sqlite3.Connection, numbers: Iterable[tuple[int]]) -> None:
    with connection:
        connection.execute('BEGIN IMMEDIATE')
        connection.executemany('DELETE FROM manifest WHERE id = ?', numbers)


def _evict(connection: sqlite3.Connection, max_bytes: int) -> None:
    """Delete rows when the file is too large. The file does not shrink; SQLite uses the free pages again."""
    pages, free, size = (
        connection.execute(f'PRAGMA {name}').fetchone()[0] for name in ('page_count', 'freelist_count', 'page_size')
    )
    used = (pages - free) * size
    if used <= max_bytes:
        return
    with connection:
        connection.execute('BEGIN IMMEDIATE')
        (rows,) = connection.execute('SELECT count(*) FROM manifest').fetchone()
        connection.execute(
            'DELETE FROM manifest WHERE id IN (SELECT manifest.id FROM manifest JOIN repository '
            'ON repository.id = manifest.repository ORDER BY used, manifest.id LIMIT ?)',
            (int(rows * (1 - _ROOM_AFTER_EVICTION * max_bytes / used)) + 1,),
        )
