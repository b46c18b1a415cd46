"""A state in a folder, which may be on a volume that several machines share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import portalocker

from ..state_files import has_no_locks, sync_directory
from .store import WHATEVER, Lease, Leased, OutOfDate, StateError, StoredFile

_HELD, _WRITING = '.held', '.writing'
_WRITE_SECONDS, _LOOKED_AT_SECONDS = 30, 0.3
_UNLIKE_NS = 2 * 10**9
"""Some file systems know times to two seconds only."""


class FolderStore:
    """A state in a folder that is there."""

    def __init__(self, folder: str) -> None:
        """Raises StateError: a folder that is not there may be a volume that is not mounted."""
        self.name = folder
        self._folder = Path(folder).expanduser().absolute()
        if not self._folder.is_dir():
            raise StateError(
                f"The folder '{folder}' for the state is not there.", 'Make it, or mount what it is on, and try again.'
            )

    def entries(self, prefix: str) -> Mapping[str, StoredFile]:
        with self._usable():
            below = self._folder / prefix.rpartition('/')[0]
            files = [path for path in sorted(below.rglob('*')) if path.is_file()]
            names = {path.relative_to(self._folder).as_posix(): path for path in files}
            return {
                name: self._entry(path)
                for name, path in names.items()
                if name.startswith(prefix) and not Path(name).name.endswith((_HELD, _WRITING))
            }

    def read(self, name: str) -> tuple[bytes, str] | None:
        with self._usable(name):
            try:
                with open(self._folder / name, 'rb') as file:
                    version = _version(os.fstat(file.fileno()))
                    return file.read(), version
            except FileNotFoundError:
                return None

    # A folder knows no leases of single files.
    # pylint: disable-next=unused-argument
    def put(self, name: str, data: bytes, version: str | None, lease: Lease | None = None) -> str:
        path = self._folder / name
        with self._writing(name):
            before = _version(path.stat()) if path.exists() else None
            if version not in (WHATEVER, before):
                raise OutOfDate
            aside = path.with_name(f'{path.name}.{uuid4().hex}{_WRITING}')
            try:
                _write(aside, data)
                if _version(aside.stat()) == before:
                    changed = aside.stat().st_mtime_ns + _UNLIKE_NS
                    os.utime(aside, ns=(changed, changed))
                os.replace(aside, path)
            finally:
                aside.unlink(missing_ok=True)
            sync_directory(path.parent)
            return _version(path.stat())

    # pylint: disable-next=unused-argument
    def append(self, name: str, data: bytes, size: int, lease: Lease | None = None) -> None:
        path = self._folder / name
        with self._writing(name):
            if (path.stat().st_size if path.exists() else 0) != size:
                raise OutOfDate
            _write(path, data)
            if not size:
                sync_directory(path.parent)

    def remove(self, name: str) -> None:
        with self._usable(name):
            (self._folder / name).unlink(missing_ok=True)

    def lease(self, name: str) -> Lease:
        path = self._folder / f'{name}{_HELD}'
        with self._usable(name):
            path.parent.mkdir(mode=0o777, parents=True, exist_ok=True)
            return _FileLease(path)

    def _entry(self, path: Path) -> StoredFile:
        known = path.stat()
        return StoredFile(known.st_size, _version(known), known.st_mtime, _is_held(path.with_name(path.name + _HELD)))

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """For a moment this process alone writes to the folder."""
        with self._usable(name):
            (self._folder / name).parent.mkdir(mode=0o777, parents=True, exist_ok=True)
            with portalocker.Lock(str(self._folder / _WRITING), 'a', timeout=_WRITE_SECONDS):
                yield

    @contextmanager
    def _usable(self, what: str = '') -> Iterator[None]:
        try:
            yield
        except (OSError, portalocker.exceptions.LockException) as error:
            where = f" at '{what}'" if what else ''
            why = error.strerror if isinstance(error, OSError) else 'it cannot be locked'
            raise StateError(
                f"The state '{self.name}' cannot be used{where}: {why or error}.",
                'Make the folder usable, or give another one.',
            ) from error


class _FileLease:
    """A lease by a lock on a file, which the system takes away when the process ends."""

    def __init__(self, path: Path) -> None:
        """Raises Leased, OSError, and LockException where files cannot be locked at all.

        Whoever only looks whether it is there has it for a moment.
        """
        self._path = path
        while True:
            self._lock = portalocker.Lock(str(path), 'a', timeout=_LOOKED_AT_SECONDS, check_interval=0.05)
            try:
                file = self._lock.acquire()
            except portalocker.exceptions.LockException as error:
                if has_no_locks(error):
                    raise
                raise Leased from error
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return
            self._lock.release()  # it was released, and so removed, between opening and locking

    def renew(self) -> None:
        """A file stays locked for as long as its process lives."""

    def release(self) -> None:
        with suppress(OSError, portalocker.exceptions.LockException):
            with suppress(PermissionError):  # Windows removes no open file
                self._path.unlink()
            self._lock.release()


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    lock = portalocker.Lock(str(path), 'a', timeout=0, fail_when_locked=True)
    try:
        lock.acquire()
    except (OSError, portalocker.exceptions.LockException):
        return True
    lock.release()
    return False


def _write(path: Path, data: bytes) -> None:
    with open(path, 'ab') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _version(known: os.stat_result) -> str:
    return f'{known.st_mtime_ns:x}-{known.st_size:x}'
