"""Blobs of an archive as files of this machine: verified first, a temporary file where the archive is elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tempfile
import threading

import pytest

from azext_acrprune.archive import blob_files
from azext_acrprune.archive.blob_files import blob_file
from azext_acrprune.archive.directory import DirectoryArchive
from azext_acrprune.archive.target import ArchiveError, NotKept

DATA = b'layer' * 1_000_000
DIGEST = f'sha256:{hashlib.sha256(DATA).hexdigest()}'
OTHER = f'sha256:{"0" * 64}'


class Elsewhere:
    """An archive that is not on this machine."""

    def __init__(self, data: bytes = DATA) -> None:
        self._data = data
        self.read_on: set[int] = set()

    def file(self, digest: str) -> None:
        return None

    def chunks(self, digest: str):
        for start in range(0, len(self._data), 1 << 20):
            self.read_on.add(threading.get_ident())
            yield self._data[start : start + (1 << 20)]


def bytes_of(target, digest=DIGEST) -> bytes:
    async def read() -> bytes:
        async with blob_file(target, digest) as file:
            return file.read()

    return asyncio.run(read())


def folder_with(tmp_path, data):
    target = DirectoryArchive(str(tmp_path / 'archive'))
    with target.writing():
        target.put(DIGEST, [DATA], lambda _: None)
    (path,) = [each for each in tmp_path.rglob('*') if each.name == DIGEST.partition(':')[2]]
    path.write_bytes(data)
    return target


def test_a_blob_of_a_folder_is_read_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(blob_files.tempfile, 'TemporaryFile', None)
    assert bytes_of(folder_with(tmp_path, DATA)) == DATA


def test_a_blob_that_is_elsewhere_is_copied_on_threads():
    target = Elsewhere()
    assert bytes_of(target) == DATA
    assert threading.get_ident() not in target.read_on


@pytest.mark.parametrize('data', [b'', DATA[:-1], DATA + b'!'])
def test_damaged_bytes_are_not_given(tmp_path, data):
    for target in (Elsewhere(data), folder_with(tmp_path, data)):
        with pytest.raises(NotKept, match=f'the bytes of {DIGEST} are damaged'):
            bytes_of(target)


def test_bytes_of_another_digest_are_not_given():
    with pytest.raises(NotKept):
        bytes_of(Elsewhere(), OTHER)


def test_without_room_for_a_copy_the_error_says_where_to_make_some(monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, 'No space left on device')

    monkeypatch.setattr(tempfile, 'TemporaryFile', Full)
    with pytest.raises(ArchiveError, match='No space left') as raised:
        bytes_of(Elsewhere())
    assert 'TMPDIR' in raised.value.advice


def test_what_is_cancelled_ends_at_the_next_chunk():
    class Endless(Elsewhere):
        def chunks(self, digest):
            while True:
                loop.call_soon_threadsafe(task.cancel)
                yield b'more'

    async def read() -> None:
        nonlocal loop, task
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        async with blob_file(Endless(), DIGEST):
            raise AssertionError('it has an end')

    loop = task = None
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(read())
