"""An archive in a directory. A file under its final name is complete, verified and on the disk.

Others may write there too. Only plain files count, and no link is followed inside: it may lead out of the archive,
or to something that can be read without end.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from ..spelling import printable
from .pure.layout import INDEX_FILE, LAYOUT, LAYOUT_FILE, blob_path, check_index_size
from .target import ArchiveError, NotKept

CHUNK = 1024 * 1024
_PARTIAL = '.partial'
_LOCK = '.lock'
_BLOBS = 'blobs'
_ASIDE = re.compile(r'[0-9a-f]{32}\Z')
_NO_LINK_NO_WAIT = getattr(os, 'O_NOFOLLOW', 0) | getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_BINARY', 0)
_BLOB = re.compile(r'[0-9a-f]{64,128}\Z')
_BLOCK = 4096


class DirectoryArchive:
    """One OCI image layout in a directory. Every method raises ArchiveError and may be called from many threads."""

    def __init__(self, path: str) -> None:
        self.name = path
        self._root = Path(path)
        self._seen: bytes | None = None

    def is_new(self) -> bool:
        """Whether there is nothing here yet: a volume that is not mounted is an empty directory."""
        with self._usable():
            return not (self._root.is_dir() and {entry.name for entry in self._root.iterdir()} - {_PARTIAL, _LOCK})

    def check(self) -> None:
        """Find out, without a trace, whether this is an archive or can become one."""
        with self._usable():
            if self._root.exists():
                found = {entry.name for entry in self._root.iterdir()} - {_PARTIAL, _LOCK}
                if found and LAYOUT_FILE not in found:
                    raise ArchiveError(
                        f"The directory '{self.name}' is neither empty nor an OCI image layout.",
                        'Give a new directory, or one that an earlier run archived to.',
                    )
                self._refuse_links()
            place = self._place()
            if not os.access(place, os.W_OK | os.X_OK):
                raise ArchiveError(
                    f"The archive '{self.name}' cannot be written: no permission on '{place}'.",
                    'Give a directory that you may write to.',
                )

    def free_bytes(self) -> int | None:
        """How much still fits, None where that is not known."""
        with self._usable():
            return shutil.disk_usage(self._place()).free

    def sizes(self) -> dict[str, int]:
        """What is there, by digest, unverified."""
        with self._usable():
            found: dict[str, int] = {}
            for folder in self._blob_folders():
                with os.scandir(folder) as files:
                    found.update(
                        {
                            f'{folder.name}:{file.name}': file.stat(follow_symlinks=False).st_size
                            for file in files
                            if _BLOB.match(file.name) and file.is_file(follow_symlinks=False)
                        }
                    )
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
            self._refuse_links()
            (self._root / _PARTIAL).mkdir(parents=True, exist_ok=True)
            self._sync_down_from(place)
            try:
                lock = portalocker.Lock(str(self._root / _LOCK), 'a', timeout=0, fail_when_locked=True)
                lock.acquire()
            except portalocker.exceptions.LockException as error:
                raise ArchiveError(
                    f"Another process is writing to the archive '{self.name}'.",
                    'Wait for it, or give another directory.',
                ) from error
        try:
            with self._usable():
                for left in (self._root / _PARTIAL).iterdir():  # of a run that was killed
                    if _ASIDE.match(left.name):
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
            except (FileNotFoundError, _NoFile):
                return False

    def put(self, digest: str, chunks: Iterable[bytes], heard: Callable[[int], None]) -> None:
        """Keep these bytes under their digest, on the disk when this returns. Raises NotKept.

        `heard` is told of each number of bytes that was written.
        """
        with self._usable():
            self._replace(self._root / blob_path(digest), chunks, digest, heard)

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob, unverified."""
        with self._usable():
            yield from self._chunks(digest)

    def file(self, digest: str) -> BinaryIO:
        """A blob as a file to be read, unverified."""
        with self._usable():
            return self._opened(self._root / blob_path(digest))

    def index(self) -> bytes | None:
        """`index.json`, None where there is none yet."""
        with self._usable():
            self._seen = self._index()
            return self._seen

    def replace_index(self, data: bytes) -> None:
        """Put another `index.json` in place of the one that was read; whoever reads sees one or the other, whole.

        The lock of `writing` does not reach everywhere: on some shares each machine has its own.
        """
        with self._usable():
            if self._index() != self._seen:
                raise ArchiveError(
                    f"Another process is writing to the archive '{self.name}'.",
                    'Run the command again: what was archived is not fetched again.',
                )
            self._replace(self._root / INDEX_FILE, [data])
            self._seen = data

    def _index(self) -> bytes | None:
        try:
            with self._opened(self._root / INDEX_FILE) as file:
                check_index_size(os.fstat(file.fileno()).st_size)
                return file.read()
        except FileNotFoundError:
            return None

    def _chunks(self, digest: str) -> Iterator[bytes]:
        with self._opened(self._root / blob_path(digest)) as file:
            while True:
                chunk = file.read(CHUNK)
                if not chunk:
                    return
                yield chunk

    @staticmethod
    def _opened(path: Path) -> BinaryIO:
        """A plain file, to be read. Raises OSError: neither what follows a link, nor what waits or never ends."""
        try:
            descriptor = os.open(path, os.O_RDONLY | _NO_LINK_NO_WAIT)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _NoFile(error.errno, 'a link is in the place of a file') from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _NoFile(errno.EINVAL, 'something is in the place of a file')
        return os.fdopen(descriptor, 'rb')

    def _blob_folders(self) -> Iterator[Path]:
        try:
            with os.scandir(self._root / _BLOBS) as folders:
                yield from sorted(Path(each.path) for each in folders if each.is_dir())
        except FileNotFoundError:
            pass

    def _refuse_links(self) -> None:
        """Raise ArchiveError for a link in the archive: nothing outside of it may be written or removed."""
        blobs = self._root / _BLOBS
        inside = [self._root / _PARTIAL, self._root / _LOCK, blobs]
        if blobs.is_dir() and not blobs.is_symlink():
            inside += blobs.iterdir()
        for path in inside:
            if path.is_symlink():
                raise ArchiveError(
                    f"The archive '{self.name}' cannot be used: '{printable(path.name)}' in it is a link.",
                    'Give a directory in which there are no links; it may be behind one itself.',
                )

    def _replace(
        self,
        target: Path,
        chunks: Iterable[bytes],
        digest: str | None = None,
        heard: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Write a file aside, verify it, and rename it; neither a crash nor a kill leaves half of it in its place."""
        aside = self._root / _PARTIAL / uuid4().hex
        algorithm, _, expected = (digest or 'sha256:').partition(':')
        content = hashlib.new(algorithm)
        try:
            with open(aside, 'xb') as file:
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
            raise ArchiveError(
                f"The archive '{self.name}' cannot be used: {error.strerror or error}.",
                'Make room there, or give another directory; what was archived so far is not fetched again.',
            ) from error


class _NoFile(OSError):
    """A path that should be a plain file is something else."""


def _sync_directory(path: Path) -> None:
    """Make a rename last through a loss of power, on systems that can."""
    if os.name == 'posix':
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
