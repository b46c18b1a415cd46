"""An archive in a directory. What is in it under its final name is whole, verified and on the disk."""
from __future__ import annotations

import hashlib
import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, Optional
from uuid import uuid4

from .errors import ArchiveError, NotKept
from .layout import INDEX_FILE, LAYOUT, LAYOUT_FILE, blob_path

CHUNK = 1024 * 1024
_PARTIAL = '.partial'
_LOCK = '.lock'
_BLOB = re.compile(r'[0-9a-f]{64,128}\Z')
_BLOCK = 4096


class DirectoryArchive:
    """One OCI image layout in a directory. Every method raises ArchiveError and may be called from many threads."""

    def __init__(self, path: str) -> None:
        self.name = path
        self._root = Path(path)

    def check(self) -> None:
        """Find out, without a trace, whether this is an archive or can become one."""
        with self._usable():
            if self._root.exists():
                found = {entry.name for entry in self._root.iterdir()} - {_PARTIAL, _LOCK}
                if found and LAYOUT_FILE not in found:
                    raise ArchiveError(f"The directory '{self.name}' is neither empty nor an OCI image layout.",
                                       'Give a new directory, or one that an earlier run archived to.')
            place = self._place()
            if not os.access(place, os.W_OK | os.X_OK):
                raise ArchiveError(f"The archive '{self.name}' cannot be written: no permission on '{place}'.",
                                   'Give a directory that you may write to.')

    def free_bytes(self) -> Optional[int]:
        """How much still fits, None where that is not known."""
        with self._usable():
            return shutil.disk_usage(self._place()).free

    def sizes(self) -> Dict[str, int]:
        """What is there, by digest, unverified."""
        with self._usable():
            found: Dict[str, int] = {}
            for folder in sorted(self._root.glob('blobs/*')):
                found.update({f'{folder.name}:{file.name}': file.stat().st_size for file in folder.iterdir()
                              if _BLOB.match(file.name)})
            return found

    @staticmethod
    def taken_by(size: int) -> int:
        """How much of the free space a file of this size takes."""
        return -(-size // _BLOCK) * _BLOCK + _BLOCK

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have the archive for this process alone; makes it when it is not there yet.

        The system lets go of the lock when the process dies, however it does.
        """
        import portalocker
        with self._usable():
            place = self._place()
            (self._root / _PARTIAL).mkdir(parents=True, exist_ok=True)
            self._sync_down_from(place)
            try:
                lock = portalocker.Lock(str(self._root / _LOCK), 'a', timeout=0, fail_when_locked=True)
                lock.acquire()
            except portalocker.exceptions.LockException as error:
                raise ArchiveError(f"Another process is writing to the archive '{self.name}'.",
                                   'Wait for it, or give another directory.') from error
        try:
            with self._usable():
                for left in (self._root / _PARTIAL).iterdir():  # of a run that was killed
                    left.unlink()
                if not (self._root / LAYOUT_FILE).exists():
                    self._replace(self._root / LAYOUT_FILE, [LAYOUT])
            yield
        finally:
            lock.release()

    def holds(self, digest: str) -> bool:
        """Whether this blob is there, every byte of it verified."""
        with self._usable():
            try:
                algorithm, _, expected = digest.partition(':')
                content = hashlib.new(algorithm)
                for chunk in self._chunks(digest):
                    content.update(chunk)
                return content.hexdigest() == expected
            except FileNotFoundError:
                return False

    def put(self, digest: str, chunks: Iterable[bytes], heard: Callable[[int], None]) -> None:
        """Keep these bytes under their digest, on the disk when this returns. Raises NotKept.

        `heard` is told of each number of bytes that was written.
        """
        with self._usable():
            self._replace(self._root / blob_path(digest), chunks, digest, heard)

    def read(self, digest: str) -> bytes:
        """All bytes of a blob, unverified; for manifests."""
        return b''.join(self.chunks(digest))

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob, unverified."""
        with self._usable():
            yield from self._chunks(digest)

    def index(self) -> Optional[bytes]:
        """`index.json`, None where there is none yet."""
        with self._usable():
            try:
                return (self._root / INDEX_FILE).read_bytes()
            except FileNotFoundError:
                return None

    def replace_index(self, data: bytes) -> None:
        """Put another `index.json` in place of the old one; whoever reads sees one or the other, whole."""
        with self._usable():
            self._replace(self._root / INDEX_FILE, [data])

    def _chunks(self, digest: str) -> Iterator[bytes]:
        with open(self._root / blob_path(digest), 'rb') as file:
            while True:
                chunk = file.read(CHUNK)
                if not chunk:
                    return
                yield chunk

    def _replace(self, target: Path, chunks: Iterable[bytes], digest: Optional[str] = None,
                 heard: Callable[[int], None] = lambda _: None) -> None:
        """Write a file aside, verify it, and rename it; neither a crash nor a kill leaves half of it in its place."""
        aside = self._root / _PARTIAL / uuid4().hex
        algorithm, _, expected = (digest or 'sha256:').partition(':')
        content = hashlib.new(algorithm)
        try:
            with open(aside, 'wb') as file:
                for chunk in chunks:
                    file.write(chunk)
                    content.update(chunk)
                    heard(len(chunk))
                file.flush()
                os.fsync(file.fileno())
            if digest and content.hexdigest() != expected:
                raise NotKept(f'what came is not {digest}')
            made = not target.parent.exists()
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(aside, target)
            _sync_directory(target.parent)
            if made:
                _sync_directory(target.parent.parent)
                _sync_directory(self._root)
        finally:
            with suppress(OSError):
                aside.unlink()

    def _sync_down_from(self, place: Path) -> None:
        """Make new directories last: those between `place`, which was there, and this one."""
        path = self._root.absolute()
        for each in (path, *path.parents):
            _sync_directory(each)
            if each == place:
                return

    def _place(self) -> Path:
        """The directory itself, or what is there of its path."""
        path = self._root.absolute()
        return next(each for each in (path, *path.parents) if each.exists())

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArchiveError(f"The archive '{self.name}' cannot be used: {error.strerror or error}.",
                               'Make room there, or give another directory; what was archived so far is not '
                               'fetched again.') from error


def _sync_directory(path: Path) -> None:
    """Make a rename last through a loss of power, on systems that can."""
    if os.name == 'posix':
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
