"""A blob of an archive as a file of this machine, verified: the SDK uploads files."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import BinaryIO

from ..workers import from_thread
from .pure.layout import blob_path
from .target import ArchiveError, NotKept, Target


@asynccontextmanager
async def blob_file(target: Target, digest: str) -> AsyncIterator[BinaryIO]:
    """A blob as a file to be read from its start; a temporary one where the archive is not on this machine.

    All of it is read on a thread, and verified. Cancelled, that ends at the next chunk. Raises ArchiveError, and
    NotKept for bytes that are not those of the digest: the SDK would upload them under a digest of their own.
    """
    there = await asyncio.to_thread(target.file, digest)
    with _file_errors(digest), there or tempfile.TemporaryFile() as file:
        async for _ in from_thread(_verified(digest, target.chunks(digest), None if there else file)):
            pass
        file.seek(0)
        yield file


def _verified(digest: str, chunks: Iterator[bytes], copy: BinaryIO | None) -> Iterator[bytes]:
    content = hashlib.sha256()  # the service knows no other one
    for chunk in chunks:
        content.update(chunk)
        if copy:
            copy.write(chunk)
        yield chunk
    if digest != f'sha256:{content.hexdigest()}':
        raise NotKept(
            f'the bytes of {digest} are damaged: {blob_path(digest)} of the archive is not what its name says'
        )


@contextmanager
def _file_errors(digest: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f'The blob {digest} cannot be read here, or copied to a file: {error.strerror or error}.',
            'Make room in the folder for temporary files, or give another folder in TMPDIR.',
        ) from error
