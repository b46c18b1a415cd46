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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..decide.manifests import is_digest
from ..spelling import printable
from ..state_files import HELD, sync_directory
from .plain_files import NOT_PLAIN, checksum_of, chunks_of, opened, sync_down, write_files
from .pure.layout import COPY_FILE, INDEX_FILE, JOURNAL_FOLDER, LAYOUT, LAYOUT_FILE, blob_path, check_index_size
from .target import RUN_AGAIN, ArchiveBusy, ArchiveError

_PARTIAL = '.partial'
_LOCK = '.lock'
_BLOBS = 'blobs'
_ASIDE = re.compile(r'[0-9a-f]{32}\Z')
_JOURNAL = re.compile(r'([\w.-]{1,100})\.jsonl\Z')
_BLOCK = 4096
_MAKE_ROOM = 'Make room there, or give another directory; what was archived so far is not fetched again.'
_GET_PERMISSION = 'Run the command as a user who may read and write there.'
_LOOK_AT_DISK = 'Look at the disk, or at the mount; what was archived so far is not fetched again.'
_ADVICE = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EFBIG: _MAKE_ROOM,
    errno.EACCES: _GET_PERMISSION,
    errno.EPERM: _GET_PERMISSION,
    errno.EROFS: 'It is mounted so that nobody can write there; give another directory.',
}


class DirectoryArchive:
    """One OCI image layout in a directory. Every method raises ArchiveError and may be called from many threads."""

    def __init__(self, path: str) -> None:
        self.name = path
        self._root = Path(path)
        self.made_of_index: object = None
        self._seen: str | None = None

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
        """What is there, by digest, unverified; what has another name is of somebody else."""
        with self._usable():
            found: dict[str, int] = {}
            for folder in self._blob_folders():
                with os.scandir(folder) as files:
                    found.update(
                        {
                            f'{folder.name}:{file.name}': file.stat(follow_symlinks=False).st_size
                            for file in files
                            if is_digest(f'{folder.name}:{file.name}') and file.is_file(follow_symlinks=False)
                        }
                    )
            return found

    def held(self, digests: Iterable[str]) -> dict[str, int]:
        """Which of these are there, and how large, unverified."""
        found: dict[str, int] = {}
        for digest in digests:
            with suppress(OSError):  # what cannot be looked at is not there
                path = self._root / blob_path(digest)
                if path.is_file() and not path.is_symlink():
                    found[digest] = path.stat().st_size
        return found

    @staticmethod
    def taken_by(size: int) -> int:
        """How much of the free space a file of this size takes."""
        return -(-size // _BLOCK) * _BLOCK + _BLOCK

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have the archive for this process alone; makes it when it is not there yet. Raises ArchiveBusy.

        The system lets go of the lock when the process dies, however it does.
        """
        with self._usable():
            place = self._place()
            self._refuse_links()
            (self._root / _PARTIAL).mkdir(parents=True, exist_ok=True)
            sync_down(place, self._root.absolute())
            lock = self._locked()
        try:
            with self._usable():
                for left in (self._root / _PARTIAL).iterdir():  # of a run that was killed
                    if _ASIDE.match(left.name):
                        left.unlink()
                if not (self._root / LAYOUT_FILE).exists():
                    self._write([LAYOUT_FILE], [LAYOUT])
            yield
        finally:
            lock.close()

    def _locked(self) -> BinaryIO:
        """The open lock file, which is this process's alone until it is closed."""
        import portalocker

        file = open(self._root / _LOCK, 'ab')  # noqa: SIM115  # pylint: disable=consider-using-with  # kept open
        try:
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.exceptions.LockException as error:
            file.close()
            reason = error.args[0] if error.args else error
            if isinstance(reason, OSError) and reason.errno in HELD:
                raise ArchiveBusy(self.name) from error
            raise ArchiveError(
                f"The archive '{self.name}' cannot be locked, so another run could write to it at the same time: "
                f"'{_LOCK}' in it: {getattr(reason, 'strerror', None) or reason}.",
                'Mount its file system so that it has locks (NFS without the option nolock), or give a directory of '
                'another one.',
            ) from error
        return file

    def holds(self, digest: str, size: int | None = None) -> bool:  # pylint: disable=unused-argument
        """Whether this blob is there, every byte of it verified; so a size adds nothing."""
        with self._usable():
            try:
                algorithm, _, expected = digest.partition(':')
                content = hashlib.new(algorithm)
                for chunk in chunks_of(opened(self._root / blob_path(digest))):
                    content.update(chunk)
                return content.hexdigest() == expected
            except OSError as error:
                if error.errno in (errno.ENOENT, *NOT_PLAIN):
                    return False
                raise

    def put(self, digest: str, chunks: Iterable[bytes], heard: Callable[[int], None]) -> None:
        """Keep these bytes under their digest, on the disk when this returns. Raises NotKept.

        `heard` is told of each number of bytes that was written.
        """
        with self._usable():
            self._write([blob_path(digest)], chunks, digest, heard)

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob, unverified."""
        with self._usable():
            yield from chunks_of(opened(self._root / blob_path(digest)))

    def file(self, digest: str) -> BinaryIO:
        """A blob as a file to be read, unverified."""
        with self._usable():
            return opened(self._root / blob_path(digest))

    def remove(self, digests: Iterable[str]) -> None:
        """Remove these blobs; one that is gone already is no error."""
        with self._usable():
            folders = set()
            for digest in digests:
                path = self._root / blob_path(digest)
                path.unlink(missing_ok=True)
                folders.add(path.parent)
            for folder in folders:
                if folder.exists():
                    sync_directory(folder)

    def index(self, copy: bool = False) -> Iterator[bytes] | None:
        """The bytes of `index.json`, or of its copy; None where there is none."""
        with self._usable():
            try:
                file = opened(self._root / (COPY_FILE if copy else INDEX_FILE))
            except FileNotFoundError:
                self._seen = self._seen if copy else None
                return None
            try:
                check_index_size(os.fstat(file.fileno()).st_size)
                if not copy:
                    self._seen = checksum_of(file)
            except BaseException:
                file.close()
                raise
            return self._read(file)

    def is_as_read(self) -> bool:
        """Whether `index.json` is still the one that was read, or written, last."""
        with self._usable():
            return self._checksum() == self._seen

    def replace_index(self, pieces: Iterable[bytes]) -> None:
        """Put another `index.json` in place of the one that was read, and its copy before it.

        Whoever reads sees one or the other, whole. The lock of `writing` does not reach everywhere: on some shares
        each machine has its own.
        """
        with self._usable():
            if not self.is_as_read():
                raise ArchiveError(f"Another process is writing to the archive '{self.name}'.", RUN_AGAIN)
            self._write([COPY_FILE, INDEX_FILE], pieces)
            self._seen = self._checksum()
            self.made_of_index = None

    def journals(self) -> list[str]:
        """The runs whose journals are here, oldest first."""
        with self._usable():
            try:
                names = [path.name for path in (self._root / JOURNAL_FOLDER).iterdir()]
            except FileNotFoundError:
                return []
            return sorted(match.group(1) for match in map(_JOURNAL.match, names) if match)

    def journal(self, run: str) -> Iterator[bytes]:
        """The bytes of the journal of a run."""
        with self._usable():
            yield from chunks_of(opened(self._root / JOURNAL_FOLDER / f'{run}.jsonl'))

    def put_journal(self, run: str, pieces: Iterable[bytes]) -> None:
        """Keep the journal of a run, in place of what was kept of it."""
        with self._usable():
            self._write([f'{JOURNAL_FOLDER}/{run}.jsonl'], pieces)

    def _checksum(self) -> str | None:
        """That of the index that is there now, None where there is none."""
        try:
            with opened(self._root / INDEX_FILE) as file:
                check_index_size(os.fstat(file.fileno()).st_size)
                return checksum_of(file)
        except FileNotFoundError:
            return None

    def _read(self, file: BinaryIO) -> Iterator[bytes]:
        with self._usable():
            yield from chunks_of(file)

    def _write(
        self,
        names: list[str],
        chunks: Iterable[bytes],
        digest: str | None = None,
        heard: Callable[[int], None] = lambda _: None,
    ) -> None:
        write_files(self._root / _PARTIAL, [self._root / name for name in names], chunks, digest, heard)

    def _blob_folders(self) -> Iterator[Path]:
        try:
            with os.scandir(self._root / _BLOBS) as folders:
                yield from sorted(Path(each.path) for each in folders if each.is_dir())
        except FileNotFoundError:
            pass

    def _refuse_links(self) -> None:
        """Raise ArchiveError for a link in the archive: nothing outside of it may be written or removed."""
        blobs = self._root / _BLOBS
        inside = [self._root / name for name in (_PARTIAL, _LOCK, JOURNAL_FOLDER)] + [blobs]
        if blobs.is_dir() and not blobs.is_symlink():
            inside += blobs.iterdir()
        for path in inside:
            if path.is_symlink():
                raise ArchiveError(
                    f"The archive '{self.name}' cannot be used: '{printable(path.name)}' in it is a link.",
                    'Give a directory in which there are no links; it may be behind one itself.',
                )

    def _place(self) -> Path:
        """The directory itself, or what is there of its path."""
        path = self._root.absolute()
        return next(each for each in (path, *path.parents) if each.exists())

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = f" at '{self._inside(error.filename)}'" if error.filename else ''
            raise ArchiveError(
                f"The archive '{self.name}' cannot be used{where}: {error.strerror or error}.",
                _ADVICE.get(error.errno or 0, _LOOK_AT_DISK),
            ) from error

    def _inside(self, path: str | bytes) -> str:
        """A path as it is called inside the archive."""
        name = os.fsdecode(path)
        with suppress(ValueError):
            name = str(Path(name).absolute().relative_to(self._root.absolute()))
        return printable(name)
