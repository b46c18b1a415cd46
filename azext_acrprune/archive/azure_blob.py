"""An archive in a container of an Azure storage account, through the storage client that azure-cli ships.

A blob is committed only after all its bytes came and have their digest; it carries that digest as metadata, so that a
blob which somebody else wrote under such a name is not taken for it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from ..spelling import one_line
from .pure.layout import INDEX_FILE, LAYOUT, LAYOUT_FILE, blob_path, check_index_size
from .target import ArchiveError, NotKept

BLOCK = 8 * 1024 * 1024
"""A blob has at most 50,000 blocks: enough for layers of 400 GB."""

_DIGEST = 'acrprune_digest'
_UNLOGGED = {'logging_enable': False}
_ADVICE: dict[int | None, str] = {
    403: 'It needs the role Storage Blob Data Contributor on the container.',
    404: "Create the container with 'az storage container create', or give another one.",
}


class BlobArchive:
    """One OCI image layout in a container. Every method raises ArchiveError and may be called from many threads.

    `container` is a ContainerClient of the storage SDK; `block_type` its class of a block in a list of blocks.
    """

    def __init__(self, name: str, container: Any, block_type: Callable[[str], Any]) -> None:
        self.name = name
        self._container = container
        self._block_type = block_type
        self._etag: str | None = None

    @staticmethod
    def is_new() -> bool:
        """A container is never made here: somebody made it for this."""
        return False

    def check(self) -> None:
        """Find out whether this is an archive or can become one."""
        with self._usable():
            names = next(self._container.list_blobs(**_UNLOGGED).by_page(), ())
            if any(True for _ in names) and not self._container.get_blob_client(LAYOUT_FILE).exists():
                raise ArchiveError(
                    f"The container '{self.name}' is neither empty nor an OCI image layout.",
                    'Give a new container, or one that an earlier run archived to.',
                )

    @staticmethod
    def free_bytes() -> int | None:
        """A storage account has no limit that is known here."""
        return None

    @staticmethod
    def taken_by(size: int) -> int:
        return size

    def sizes(self) -> dict[str, int]:
        """What is there, by digest."""
        with self._usable():
            listed = [
                (blob.name.split('/'), blob.size)
                for blob in self._container.list_blobs(name_starts_with='blobs/', **_UNLOGGED)
            ]
            return {f'{path[1]}:{path[2]}': size for path, size in listed if len(path) == 3}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make it an OCI image layout. Two that write are told apart when they replace the index."""
        with self._usable():
            if not self._container.get_blob_client(LAYOUT_FILE).exists():
                self._container.upload_blob(LAYOUT_FILE, LAYOUT, overwrite=True, **_UNLOGGED)
        yield

    def holds(self, digest: str) -> bool:
        """Whether this blob is there, committed after it was verified."""
        with self._usable():
            try:
                properties = self._container.get_blob_client(blob_path(digest)).get_blob_properties()
            except ResourceNotFoundError:
                return False
            return (properties.metadata or {}).get(_DIGEST) == digest

    def put(self, digest: str, chunks: Iterable[bytes], heard: Callable[[int], None]) -> None:
        """Keep these bytes under their digest. Raises NotKept; then nothing of them is there."""
        algorithm, _, expected = digest.partition(':')
        content = hashlib.new(algorithm)
        with self._usable():
            blob = self._container.get_blob_client(blob_path(digest))
            blocks: list[Any] = []
            for block in _blocks(chunks):
                content.update(block)
                identifier = base64.b64encode(b'%08d' % len(blocks)).decode()
                blob.stage_block(identifier, block, length=len(block), validate_content=True, **_UNLOGGED)
                blocks.append(self._block_type(identifier))
                heard(len(block))
            if content.hexdigest() != expected:
                raise NotKept(f'what came is not {digest}')
            blob.commit_block_list(blocks, metadata={_DIGEST: digest})

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob, unverified."""
        with self._usable():
            blob = self._container.get_blob_client(blob_path(digest))
            yield from blob.download_blob(**_UNLOGGED).chunks()

    def file(self, digest: str) -> None:
        """No blob of a storage account is a file of this machine."""

    def index(self) -> bytes | None:
        """`index.json`, None where there is none yet."""
        with self._usable():
            try:
                download = self._container.get_blob_client(INDEX_FILE).download_blob(**_UNLOGGED)
            except ResourceNotFoundError:
                self._etag = None
                return None
            self._etag = download.properties.etag
            check_index_size(download.size)
            return download.readall()

    def replace_index(self, data: bytes) -> None:
        """Put another `index.json` in place of the one that was read, unless somebody else did so meanwhile."""
        condition = (
            {'etag': self._etag, 'match_condition': MatchConditions.IfNotModified}
            if self._etag
            else {'match_condition': MatchConditions.IfMissing}
        )
        with self._usable():
            try:
                self._container.upload_blob(INDEX_FILE, data, overwrite=True, **condition, **_UNLOGGED)
            except (ResourceModifiedError, ResourceExistsError) as error:
                raise ArchiveError(
                    f"Another process is writing to the archive '{self.name}'.",
                    'Run the command again: what was archived is not fetched again.',
                ) from error

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except AzureError as error:
            status = error.status_code if isinstance(error, HttpResponseError) else None
            reason = one_line(str(error.message).split('\n', maxsplit=1)[0])
            raise ArchiveError(
                f"The archive '{self.name}' cannot be used: {reason}",
                _ADVICE.get(status, 'Check the names of the storage account and the container, and try again.'),
            ) from error


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes in blocks of one size; the last block may be smaller."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= BLOCK:
            yield bytes(waiting[:BLOCK])
            del waiting[:BLOCK]
    if waiting:
        yield bytes(waiting)
