"""What manifests say, kept on disk from one run to the next: a manifest never changes under its digest.

One SQLite file for each registry. It holds only contents, and the labels in their configs where a policy asked for
them, verified against their digests when they were read; tags, locks, times and the listing itself are asked for every
time. A content is known for the repository that it was read
in, never for another one: the same digest may be a ghost there. Each row carries a checksum over its repository,
digest and value, so that whatever happened to the file, a row is right or it is missing. Any trouble with the file
switches the cache off for the rest of the run; nothing but time is lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import struct
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..decide.manifests import is_digest
from ..model import Blob, Content

SCHEMA_VERSION = 3
"""To be raised whenever `read_manifest` understands a manifest in another way, or the tables change."""

MAX_BYTES = 1024**3
"""Room for two million manifests of eight layers."""

_BATCH = 500
_BUSY_SECONDS = 10
_ROOM_AFTER_EVICTION = 0.9
_CHECKSUM_BYTES = 16
_HEAD = struct.Struct('>QHI')
"""Size of the manifest, place of its config among the blobs, bytes of what else there is to say."""
_BLOB = struct.Struct('>32sQ')
_RUN = 4
_NO_PLACE = 0xFFFF
_SAID_BY_FEW = ('children', 'subject', 'annotations', 'attestations', 'inlined', 'unmeasured')
_WORTH_COMPRESSING = 256
_ALGORITHMS = {32: 'sha256:', 48: 'sha384:', 64: 'sha512:'}
_PLAIN_DIGEST = re.compile('sha256:[0-9a-f]{64}')
_PLAIN_SIZES = range(2**64)
_FILES_OF_ONE = ('', '-wal', '-shm')

_TABLES = (
    'CREATE TABLE repository (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, used INTEGER NOT NULL)',
    'CREATE TABLE manifest (id INTEGER PRIMARY KEY, repository INTEGER NOT NULL, digest BLOB NOT NULL, '
    'checksum BLOB NOT NULL, content BLOB NOT NULL, labels BLOB, UNIQUE (repository, digest))',
    f'PRAGMA user_version = {SCHEMA_VERSION}',
)

# sqlite3 decodes its own messages strictly, and those quote whatever a damaged file calls its tables.
_TROUBLE = (sqlite3.Error, OSError, UnicodeError)

Result = TypeVar('Result')
Row = tuple[bytes, bytes, bytes, str]
"""Key, checksum, packed content, and the repository that it was read in."""
LabelRow = tuple[bytes, bytes, str]
"""Labels with their checksum, key, and the repository that they were read in."""


class Cache(Protocol):
    """What is known of manifests from earlier runs.

    `trouble` says what was wrong with the cache, None when nothing was.
    """

    trouble: str | None

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
        """Write what is to be kept; it may take a moment."""

    def forget(self, repository: str, digest: str) -> None:
        """Know nothing of a manifest any more: it turned out to be a ghost."""

    def remember_labels(self, repository: str, digest: str, labels: Mapping[str, str]) -> bool:
        """Keep the labels in the config of this manifest, read in this repository and verified; as `remember`."""

    def close(self) -> None:
        """Write what is still to be written."""


class NoCache:
    """A cache that knows nothing and keeps nothing."""

    # pylint: disable=unused-argument

    trouble: str | None = None

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

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class CacheFacts:
    """What is on disk for one registry; what a file that cannot be read does not tell is None."""

    path: str
    size: int
    readable: bool
    manifests: int | None = None
    schema_version: int | None = None


class ManifestCache:
    """The cache of one registry. Safe with many threads and with other processes on the same file.

    What was not used for longest goes first when the file is full. A repository was last used when it was listed, or
    when the last manifest of it was read. These moments are numbered from `moment` on, which has to grow from run to
    run, and faster than that, as microseconds do.
    """

    def __init__(self, path: Path, moment: int, max_bytes: int = MAX_BYTES) -> None:
        self.trouble: str | None = None
        self._path = path
        self._moments = count(moment)
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._pending_lock = threading.Lock()  # nobody who has something to keep waits until other things are written
        self._pending: list[Row] = []
        self._pending_labels: list[LabelRow] = []
        self._looks: dict[str, int] = {}
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = self._open()
        except _TROUBLE as error:
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
        blobs, seal = blobs or Blobs(), _seal(repository)
        known: dict[str, Content] = {}
        stale = []
        for number, key, checksum, packed in rows:
            digest = _digest(key)
            if digest is None or digest not in listed:
                stale.append((number,))
            elif isinstance(packed, bytes) and checksum == _checksum(seal, key, packed):
                known[digest] = _unpacked(packed, blobs)
        if stale:
            self._attempt(lambda connection: _forget_manifests(connection, stale), None)
        return known

    def recall_labels(self, repository: str, digests: Collection[str]) -> dict[str, dict[str, str]]:
        keys = {_key(digest): digest for digest in digests}
        rows: list[tuple] = self._attempt(
            lambda connection: connection.execute(
                'SELECT digest, labels FROM manifest JOIN repository ON repository.id = manifest.repository '
                'WHERE name = ? AND labels IS NOT NULL',
                (repository,),
            ).fetchall(),
            [],
        )
        whole = (
            (key, kept[:_CHECKSUM_BYTES], kept[_CHECKSUM_BYTES:])
            for key, kept in rows
            if key in keys and isinstance(kept, bytes)
        )
        return {
            keys[key]: json.loads(packed)
            for key, checksum, packed in whole
            if checksum == _checksum(_seal(repository), _of_labels(key), packed)
        }

    def remember(self, repository: str, digest: str, content: Content) -> bool:
        key, packed = _key(digest), _packed(content)
        row = (key, _checksum(_seal(repository), key, packed), packed, repository)
        with self._pending_lock:
            self._pending.append(row)
            self._looks[repository] = next(self._moments)
            return len(self._pending) % _BATCH == 0

    def write(self) -> None:
        self._attempt(self._write, None)

    def forget(self, repository: str, digest: str) -> None:
        if is_digest(digest):
            self._attempt(lambda connection: _forget_manifest(connection, repository, _key(digest)), None)

    def remember_labels(self, repository: str, digest: str, labels: Mapping[str, str]) -> bool:
        key, packed = _key(digest), json.dumps(labels, separators=(',', ':')).encode()
        row = (_checksum(_seal(repository), _of_labels(key), packed) + packed, key, repository)
        with self._pending_lock:
            self._pending_labels.append(row)
            return len(self._pending_labels) % _BATCH == 0

    def close(self) -> None:
        self.write()
        _close(self._connection)
        self._connection = None

    def _attempt(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """Do work on the file, one thread at a time; the first failure switches the cache off."""
        with self._lock:
            if not self._connection:
                self._take_pending()
                return otherwise
            try:
                return work(self._connection)
            except _TROUBLE as error:
                self._give_up(error)
                return otherwise

    def _numbers(self, query: str) -> dict[str, int]:
        rows: list[tuple[Any, ...]] = self._attempt(lambda connection: connection.execute(query).fetchall(), [])
        return {name: number for name, number in rows if isinstance(name, str) and isinstance(number, int)}

    def _give_up(self, error: Exception) -> None:
        self.trouble = str(error)
        _close(self._connection)
        self._connection = None
        if _is_damage(error):
            with suppress(OSError):  # the next run tries again
                remove(self._path)

    def _open(self) -> sqlite3.Connection:
        """Open the file; one that is damaged or of another version is made anew."""
        try:
            return _opened(self._path)
        except _TROUBLE as error:
            if not _is_damage(error):
                raise
            if not isinstance(error, _OtherVersion):
                self.trouble = f'{error}; it was made anew'
            remove(self._path)
        return _opened(self._path)

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
            connection.executemany(
                'UPDATE repository SET used = ? WHERE name = ?', [(moment, name) for name, moment in looks.items()]
            )
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


def cache_path(folder: str, host: str) -> Path:
    """Where the cache of the registry with this login server is, below az's configuration folder."""
    return Path(folder) / 'acrprune' / (re.sub(r'[^a-z0-9.-]', '_', host.lower()) + '.sqlite')


def describe(path: Path) -> CacheFacts:
    """What is there; changes nothing. Raises OSError when the file cannot even be looked at."""
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


class _OtherVersion(sqlite3.DatabaseError):
    """The file is sound, and was written by another version of the extension."""


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a file that has our tables; it is ours alone from its first byte on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('PRAGMA synchronous = NORMAL')
        with connection:
            connection.execute('BEGIN IMMEDIATE')
            _prepare(connection)
        return connection
    except BaseException:
        _close(connection)
        raise


def _prepare(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute('PRAGMA user_version').fetchone()
    if version == SCHEMA_VERSION:
        return
    if version or connection.execute('SELECT 1 FROM sqlite_master').fetchone():
        raise _OtherVersion
    for statement in _TABLES:
        connection.execute(statement)


def _forget_repositories(connection: sqlite3.Connection, present: Collection[str]) -> None:
    known = connection.execute('SELECT id, name FROM repository').fetchall()
    gone = [(number,) for number, name in known if name not in present]
    if gone:
        with connection:
            connection.execute('BEGIN IMMEDIATE')
            connection.executemany('DELETE FROM manifest WHERE repository = ?', gone)
            connection.executemany('DELETE FROM repository WHERE id = ?', gone)


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
    """Make room once the file is too large. It does not shrink; what is free in it is used again."""
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


def _is_damage(error: Exception) -> bool:
    """Whether the file itself is broken, and not what is around it: a full disk, a lock, a missing permission."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith('no such')  # it lacks our tables
    return isinstance(error, (sqlite3.DatabaseError, UnicodeError))


def _close(connection: sqlite3.Connection | None) -> None:
    if connection:
        with suppress(sqlite3.Error):  # SQLite finishes what is unfinished when the file is opened again
            connection.close()


def _files(path: Path) -> Iterable[Path]:
    files = (path.with_name(path.name + suffix) for suffix in _FILES_OF_ONE)
    return [file for file in files if file.exists()]


def _key(digest: str) -> bytes:
    """The hash alone: its length tells the algorithm."""
    return bytes.fromhex(digest.partition(':')[2])


def _digest(key: Any) -> str | None:
    """The digest of such a hash; None of what is none."""
    algorithm = _ALGORITHMS.get(len(key)) if isinstance(key, bytes) else None
    return algorithm and algorithm + key.hex()


def _of_labels(key: bytes) -> bytes:
    """What stands for a key in the checksum of labels, so that they never pass for a content."""
    return b'labels ' + key


def _seal(repository: str) -> Any:
    """What the checksums of all values of a repository begin with."""
    return hashlib.blake2b(repository.encode() + b'\n', digest_size=_CHECKSUM_BYTES)


def _checksum(seal: Any, key: bytes, packed: bytes) -> bytes:
    """Binds a value to its repository and digest."""
    checksum = seal.copy()
    checksum.update(key + packed)
    return checksum.digest()


def _packed(content: Content) -> bytes:
    """All fields: a head, what few manifests have in JSON, and 40 bytes for each blob, its digest and its size.

    A million manifests are read like this in a third of the time that JSON takes. What is not as most blobs are, is in
    the JSON.
    """
    places = (place for place, blob in enumerate(content.blobs) if blob.digest == content.config)
    place = next(places, _NO_PLACE)
    blobs = list(map(_packed_blob, content.blobs))
    plain = len(blobs) < _NO_PLACE and content.size in _PLAIN_SIZES and all(blobs)
    said = {'config': content.config} if place == _NO_PLACE and content.config is not None else {}
    rest = b''
    if not plain:
        rest = _json({**content._asdict(), 'blobs': [blob._asdict() for blob in content.blobs]})
    elif any(getattr(content, name) for name in _SAID_BY_FEW) or said:
        rest = _json({**{name: getattr(content, name) for name in _SAID_BY_FEW}, **said})
    parts = [_HEAD.pack(content.size if plain else 0, place if plain else _NO_PLACE, len(rest)), rest]
    return b''.join(parts + blobs if plain else parts)


@lru_cache(4096)
def _packed_blob(blob: Blob) -> bytes:
    """Nothing of one that is not as most blobs are."""
    if not _PLAIN_DIGEST.fullmatch(blob.digest) or blob.size not in _PLAIN_SIZES:
        return b''
    return _BLOB.pack(bytes.fromhex(blob.digest[7:]), blob.size)


def _unpacked(packed: bytes, known: Blobs) -> Content:
    size, config, length = _HEAD.unpack_from(packed)
    blobs = _unpacked_blobs(packed, _HEAD.size + length, config, known)
    config_digest = blobs[config].digest if config != _NO_PLACE else None
    if not length:  # as most are
        return Content(size, blobs=blobs, config=config_digest)
    rest = _from_json(packed[_HEAD.size : _HEAD.size + length])
    if 'blobs' in rest:
        size, blobs = rest['size'], tuple(Blob(blob['digest'], blob['size']) for blob in rest['blobs'])
    return Content(
        size,
        tuple(rest.get('children', ())),
        rest.get('subject'),
        blobs,
        rest.get('config') if config_digest is None else config_digest,
        tuple(map(tuple, rest.get('annotations', ()))),
        tuple(rest.get('attestations', ())),
        tuple(rest.get('inlined', ())),
        tuple(Blob(*blob) for blob in rest.get('unmeasured', ())),
    )


def _unpacked_blobs(packed: bytes, start: int, config: int, known: Blobs) -> tuple[Blob, ...]:
    """Run by run, and the last few one by one: images share their first layers, and nearly never their configs."""
    layout, runs = _layout((len(packed) - start) // _BLOB.size)
    parts = layout.unpack_from(packed, start)
    blobs: list[Blob] = []
    for run in parts[:runs]:
        blobs += known.runs.get(run) or known.run(run)
    for key, size in zip(parts[runs::2], parts[runs + 1 :: 2]):
        digest = 'sha256:' + key.hex()
        blobs.append(Blob._make((digest, size)) if len(blobs) == config else known.one(digest, size))
    return tuple(blobs)


@lru_cache(1024)
def _layout(blobs: int) -> tuple[struct.Struct, int]:
    """What divides so many blobs into runs, and the digests and sizes of the rest; and the number of runs."""
    runs, rest = divmod(blobs, _RUN)
    return struct.Struct('>' + f'{_RUN * _BLOB.size}s' * runs + '32sQ' * rest), runs


class Blobs:
    """One blob for all that hold it: images share most of their layers. `runs` are by the bytes that pack them."""

    def __init__(self) -> None:
        self._known: dict[str, Blob] = {}
        self.runs: dict[bytes, tuple[Blob, ...]] = {}

    def one(self, digest: str, size: int) -> Blob:
        blob = self._known.get(digest)
        if blob is None:
            blob = self._known[digest] = Blob._make((digest, size))
        return blob if blob.size == size else Blob(digest, size)

    def run(self, key: bytes) -> tuple[Blob, ...]:
        """A run is kept from the second time on: what is new in one is mostly in no other."""
        known = len(self._known)
        run = tuple(self.one('sha256:' + digest.hex(), size) for digest, size in _BLOB.iter_unpack(key))
        if len(self._known) == known:
            self.runs[key] = run
        return run


def _json(document: Mapping[str, Any]) -> bytes:
    text = json.dumps(document, separators=(',', ':')).encode()
    return zlib.compress(text, 1) if len(text) > _WORTH_COMPRESSING else text


def _from_json(text: bytes) -> dict[str, Any]:
    return json.loads((text if text.startswith(b'{') else zlib.decompress(text)).decode())
