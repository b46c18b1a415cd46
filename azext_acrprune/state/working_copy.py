"""The copy of a state on this machine, in the layout of the configuration folder, so that all readers are the same.

It belongs to one process at a time. It can always be deleted: the state is what counts.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from uuid import uuid4

import portalocker

from ..state_files import has_no_locks, name_of_registry

SYNCED = 'synced.json'


@contextmanager
def working_copy(config_dir: str, state: str, host: str) -> Iterator[Path]:
    """A folder for the copy of what a state has of one registry, which no other process uses meanwhile.

    Raises OSError.
    """
    known = hashlib.sha256(state.encode()).hexdigest()[:12]
    place = f'{re.sub("[^A-Za-z0-9]+", "-", state).strip("-")[:40]}-{known}'
    above = Path(config_dir) / 'acrprune' / 'states' / place
    above.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in count(1):
        folder = above / (name_of_registry(host, '') + (f'.{number}' if number > 1 else ''))
        lock = portalocker.Lock(f'{folder}.lock', 'a', timeout=0, fail_when_locked=True)
        try:
            lock.acquire()
        except portalocker.exceptions.AlreadyLocked as refusal:
            if has_no_locks(refusal):
                raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK), f'{folder}.lock') from refusal
            continue
        try:
            (folder / 'acrprune' / 'journal').mkdir(mode=0o700, parents=True, exist_ok=True)
            yield folder
        finally:
            lock.release()
        return


class Synced:
    """Which files of a working copy are as they are in the state, and in which version."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SYNCED
        self._known: dict[str, list[object]] = {}
        with suppress(OSError, ValueError, RecursionError):
            known = json.loads(self._path.read_bytes())
            if isinstance(known, dict):
                self._known = {name: each for name, each in known.items() if isinstance(each, list)}

    def is_as(self, name: str, path: Path, version: str) -> bool:
        """Whether a file is that version of what the state has under a name."""
        return path.exists() and self._known.get(name) == [version, *_looks(path)]

    def is_unchanged(self, name: str, path: Path) -> bool:
        """Whether a file is as it was when it was last the same as in the state."""
        return self._known.get(name, [None])[1:] == _looks(path)

    def version(self, name: str) -> str | None:
        """The version that this copy was made of; None where the state had none."""
        known = self._known.get(name)
        return str(known[0]) if known else None

    def note(self, name: str, path: Path, version: str | None) -> None:
        """A file is that version now. Raises OSError."""
        self._known.pop(name, None)
        if version is not None:
            self._known[name] = [version, *_looks(path)]
        self.write()

    def is_there(self) -> bool:
        """Whether the working copy still has what was noted of it: nobody has deleted it meanwhile."""
        return self._path.exists()

    def write(self) -> None:
        """Have on the disk what is noted. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._path, json.dumps(self._known).encode())


def replace_file(path: Path, data: bytes) -> None:
    """Put other bytes in a file, whole or not at all. Raises OSError."""
    aside = path.with_name(f'{path.name}.{uuid4().hex}')
    try:
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as file:
            file.write(data)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _looks(path: Path) -> list[object]:
    """The size and time of a file, by which a change of it is seen; nothing where it is not there."""
    try:
        known = path.stat()
    except FileNotFoundError:
        return []
    return [known.st_size, known.st_mtime_ns]
