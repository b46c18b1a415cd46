"""Plain files of an archive: no link is followed, nothing that waits is opened, and what is made is on the disk."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from ..state_files import sync_directory
from .target import NotKept

CHUNK = 1024 * 1024
_NO_LINK_NO_WAIT = getattr(os, 'O_NOFOLLOW', 0) | getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_BINARY', 0)


NOT_PLAIN = (errno.ELOOP, errno.EINVAL)
"""The error numbers of a path that should be a plain file and is something else."""


def opened(path: Path) -> BinaryIO:
    """A plain file, to be read. Raises OSError: neither what follows a link, nor what waits or never ends."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_LINK_NO_WAIT)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, 'a link is in the place of a file', str(path)) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, 'something is in the place of a file', str(path))
    return os.fdopen(descriptor, 'rb')


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of an open file, which is closed after them."""
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


def checksum_of(file: BinaryIO) -> str:
    """The SHA-256 of an open file, which is at its start again after that."""
    content = hashlib.sha256()
    while chunk := file.read(CHUNK):
        content.update(chunk)
    file.seek(0)
    return content.hexdigest()


def write_files(
    aside: Path,
    targets: Iterable[Path],
    chunks: Iterable[bytes],
    digest: str | None = None,
    heard: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the same bytes to files in the folder `aside`, verify them, and rename each, one after the other.

    Neither a crash nor a kill leaves half of a file in its place. Raises NotKept, and OSError.
    """
    algorithm, _, expected = (digest or 'sha256:').partition(':')
    content = hashlib.new(algorithm)
    places = {target: aside / uuid4().hex for target in targets}
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(open(place, 'xb')) for place in places.values()]
            for chunk in chunks:
                content.update(chunk)
                for file in files:
                    file.write(chunk)
                heard(len(chunk))
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        if digest and content.hexdigest() != expected:
            raise NotKept(f'what came is not {digest}')
        for target, place in places.items():
            _rename(place, target)
    finally:
        for place in places.values():
            with suppress(OSError):
                place.unlink()


def _rename(place: Path, target: Path) -> None:
    above = next(folder for folder in target.parents if folder.exists())
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(place, target)
    sync_down(above, target.parent)


def sync_down(above: Path, folder: Path) -> None:
    """Make new folders last: those between `above`, which was there, and this one."""
    for each in (folder, *folder.parents):
        sync_directory(each)
        if each == above:
            return
