"""An archive in a container of an Azure storage account, through the storage client that azure-cli ships.

A blob is committed only after all its bytes came and have their digest; it carries that digest as metadata, so that a
blob which somebody else wrote under such a name is not taken for it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from ..decide.manifests import is_digest
from ..spelling import one_line, printable
from .azure_calls import FIRST_PART, PART, AzureCalls
from .pure.layout import COPY_FILE, INDEX_FILE, JOURNAL_FOLDER, LAYOUT, LAYOUT_FILE, blob_path, check_index_size
from .target import RUN_AGAIN, ArchiveError, NotKept

BLOCK = 8 * 1024 * 1024
"""A blob has at most 50,000 blocks: enough for layers of 400 GB."""
SMALL = 32 * 1024
"""What is smaller is sent in one request instead of two."""
BLOBS_AT_A_TIME = 16
"""Blobs that are looked up or removed at a time: about as many as the client keeps connections for."""

_DIGEST, _WRITE = 'acrprune_digest', 'acrprune_write'
UNLOGGED = {'logging_enable': False}
"""For each call: az's log shows bodies."""
_CHECK_NAMES = 'Check the names of the storage account and the container, and try again.'
_ADVICE: dict[int | None, str] = {
    403: 'It needs the role Storage Blob Data Contributor on the container.',
    404: "Create the container with 'az storage container create --name {0.container_name} --account-name "
    "{0.account_name} --auth-mode login', or give another one.",
}
_MODIFIED = 412
_BLOCKS_GONE = 'InvalidBlockList'
"""What the service says of blocks that it dropped because somebody else has written the same blob since."""


class BlobArchive:
    """One OCI image layout in a container. Every method raises ArchiveError and may be called from many threads.

    `container` is a ContainerClient of the storage SDK; `block_type` its class of a block in a list of blocks. `calls`
    makes the calls.
    """

    def __init__(
        self, name: str, container: Any, block_type: Callable[[str], Any], calls: AzureCalls = AzureCalls()
    ) -> None:
        self.name = name
        self._call = calls
        self._container = container
        self._block_type = block_type
        self.made_of_index: object = None
        self._etag: str | None = None
        self._since: Any = None

    @staticmethod
    def is_new() -> bool:
        """A container is never made here: somebody made it for this."""
        return False

    def check(self) -> None:
        """Find out whether this is an archive or can become one."""
        with self._usable():
            names = next(self._call.each(self._container.list_blobs(**UNLOGGED).by_page()), ())
            if any(True for _ in names) and not self._has_layout():
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
        """What is there, by digest; what has another name is of somebody else."""
        with self._usable():
            listed = {blob.name.removeprefix('blobs/').replace('/', ':'): blob.size for blob in self._listed('blobs/')}
            return {digest: size for digest, size in listed.items() if is_digest(digest)}

    def held(self, digests: Iterable[str]) -> dict[str, int]:
        """Which of these are there, committed after they were verified, and how large; some are asked for at a time."""
        wanted = list(digests)
        with ThreadPoolExecutor(BLOBS_AT_A_TIME) as threads:
            found = zip(wanted, threads.map(self._size, wanted), strict=True)
            return {digest: size for digest, size in found if size is not None}

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make it an OCI image layout. Two that write are told apart when they replace the index."""
        with self._usable():
            if not self._has_layout():
                self._call(self._container.upload_blob, LAYOUT_FILE, LAYOUT, overwrite=True, **UNLOGGED)
        yield

    def holds(self, digest: str, size: int | None = None) -> bool:
        """Whether this blob is there, committed after it was verified, and has this size if one is given.

        Other tools copy what says so together with other bytes: these mostly have another size.
        """
        found = self._size(digest)
        return found is not None and size in (None, found)

    def put(self, digest: str, chunks: Iterable[bytes], heard: Callable[[int], None]) -> None:
        """Keep these bytes under their digest. Raises NotKept; then nothing of them is there."""
        algorithm, _, expected = digest.partition(':')
        content = hashlib.new(algorithm)

        def verified(block: bytes) -> None:
            content.update(block)
            heard(len(block))

        with self._usable(digest):
            blob = self._container.get_blob_client(blob_path(digest))
            staged = self._staged([blob], chunks, verified)
            if content.hexdigest() != expected:
                raise NotKept(f'what came is not {digest}')
            try:
                self._commit(blob, staged, metadata={_DIGEST: digest})
            except HttpResponseError as error:
                if code_of(error) != _BLOCKS_GONE:
                    raise
                if self._size(digest) is None:
                    raise NotKept(f'others wrote {digest} at the same time') from error

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob, unverified."""
        with self._usable(digest):
            blob = self._container.get_blob_client(blob_path(digest))
            yield from self._parts(self._download(blob))

    def file(self, digest: str) -> None:
        """No blob of a storage account is a file of this machine."""

    def remove(self, digests: Iterable[str]) -> None:
        """Remove these blobs, some at a time; what was written since the index was last read or replaced stays."""
        with ThreadPoolExecutor(BLOBS_AT_A_TIME) as threads:
            for _ in threads.map(self._remove, digests):
                pass

    def index(self, copy: bool = False) -> Iterator[bytes] | None:
        """The bytes of `index.json`, or of its copy; None where there is none."""
        name = COPY_FILE if copy else INDEX_FILE
        with self._usable(name):
            try:
                download = self._download(self._container.get_blob_client(name))
            except ResourceNotFoundError as error:
                hold_to_container(error)
                if not copy:
                    self._etag = None
                return None
            if not copy:
                self._etag, self._since = download.properties.etag, download.properties.last_modified
            check_index_size(download.size)
            return self._read(name, download)

    def is_as_read(self) -> bool:
        """Whether `index.json` is still the one that was read, or written, last."""
        with self._usable(INDEX_FILE):
            try:
                properties = self._call(self._container.get_blob_client(INDEX_FILE).get_blob_properties)
                return bool(properties.etag == self._etag)
            except ResourceNotFoundError as error:
                hold_to_container(error)
                return self._etag is None

    def replace_index(self, pieces: Iterable[bytes]) -> None:
        """Put another `index.json` in place of the one that was read, unless somebody else did so meanwhile.

        A copy of it is written before.
        """
        condition = (
            {'etag': self._etag, 'match_condition': MatchConditions.IfNotModified}
            if self._etag
            else {'match_condition': MatchConditions.IfMissing}
        )
        index, copy = (self._container.get_blob_client(name) for name in (INDEX_FILE, COPY_FILE))
        mark = write_mark()
        with self._usable(INDEX_FILE):
            staged = self._staged([index, copy], pieces, lambda _: None)
            try:
                self._commit(copy, staged)
            except HttpResponseError as error:
                if code_of(error) == _BLOCKS_GONE:
                    raise self._disputed() from error
                raise
            try:
                written = self._commit(index, staged, metadata=mark, **condition)
            except HttpResponseError as error:
                is_other = isinstance(error, (ResourceModifiedError, ResourceExistsError))
                if not is_other and code_of(error) != _BLOCKS_GONE:
                    raise
                written = written_with(index, mark, self._call)
                if not written:
                    self._copy_anew(index, copy)
                    raise self._disputed() from error
            self._etag, self._since = written['etag'], written['last_modified']
            self.made_of_index = None

    def journals(self) -> list[str]:
        """The runs whose journals are here, oldest first."""
        begin, end = f'{JOURNAL_FOLDER}/', '.jsonl'
        with self._usable(JOURNAL_FOLDER):
            names = [blob.name for blob in self._listed(begin)]
            return sorted(name[len(begin) : -len(end)] for name in names if name.endswith(end))

    def journal(self, run: str) -> Iterator[bytes]:
        """The bytes of the journal of a run."""
        name = f'{JOURNAL_FOLDER}/{run}.jsonl'
        with self._usable(name):
            yield from self._parts(self._download(self._container.get_blob_client(name)))

    def put_journal(self, run: str, pieces: Iterable[bytes]) -> None:
        """Keep the journal of a run, in place of what was kept of it."""
        name = f'{JOURNAL_FOLDER}/{run}.jsonl'
        with self._usable(name):
            blob = self._container.get_blob_client(name)
            self._commit(blob, self._staged([blob], pieces, lambda _: None))

    def _size(self, digest: str) -> int | None:
        """How large a blob is; None where it is not there, or not by us."""
        with self._usable(digest):
            try:
                properties = self._call(self._container.get_blob_client(blob_path(digest)).get_blob_properties)
            except ResourceNotFoundError as error:
                hold_to_container(error)
                return None
            return int(properties.size) if (properties.metadata or {}).get(_DIGEST) == digest else None

    def _remove(self, digest: str) -> None:
        with self._usable(digest):
            try:
                self._call(self._container.delete_blob, blob_path(digest), if_unmodified_since=self._since)
            except ResourceNotFoundError as error:
                hold_to_container(error)
            except HttpResponseError as error:
                if error.status_code != _MODIFIED:
                    raise

    def _staged(self, blobs: list[Any], chunks: Iterable[bytes], told: Callable[[bytes], None]) -> bytes | list[Any]:
        """Send these bytes as blocks of each blob, and tell each block; gives what `_commit` takes.

        A few bytes are not sent yet. The names of the blocks are of this call alone: of two that write the same blob,
        neither commits what the other one sent.
        """
        blocks: list[Any] = []
        begin = uuid4().hex[:16]
        coming = _blocks(chunks)
        first = next(coming, b'')
        told(first)
        if len(first) < SMALL:
            return first
        self._stage(blobs, first, blocks, begin)
        for block in coming:
            self._stage(blobs, block, blocks, begin)
            told(block)
        return blocks

    def _stage(self, blobs: list[Any], block: bytes, blocks: list[Any], begin: str) -> None:
        identifier = base64.b64encode(f'{begin}{len(blocks):08}'.encode()).decode()
        options = {'length': len(block), 'validate_content': True, **UNLOGGED}
        for blob in blobs:
            self._call(blob.stage_block, identifier, block, size=len(block), **options)
        blocks.append(self._block_type(identifier))

    def _disputed(self) -> ArchiveError:
        return ArchiveError(f"Another process is writing to the archive '{self.name}'.", RUN_AGAIN)

    def _copy_anew(self, index: Any, copy: Any) -> None:
        """Make the copy that of the index that is there."""
        self._commit(copy, self._staged([copy], self._parts(self._download(index)), lambda _: None))

    def _read(self, name: str, download: Any) -> Iterator[bytes]:
        with self._usable(name):
            yield from self._parts(download)

    def _has_layout(self) -> bool:
        return bool(self._call(self._container.get_blob_client(LAYOUT_FILE).exists))

    def _listed(self, prefix: str) -> Iterator[Any]:
        return self._call.listed(self._container.list_blobs(name_starts_with=prefix, **UNLOGGED))

    def _download(self, blob: Any) -> Any:
        """The first part of a blob, and how to get the others: see `_parts`."""
        return self._call(blob.download_blob, size=FIRST_PART, **UNLOGGED)

    def _parts(self, download: Any) -> Iterator[bytes]:
        return self._call.each(download.chunks(), size=PART)

    def _commit(self, blob: Any, staged: bytes | list[Any], **options: Any) -> Any:
        """Make what was sent a blob, whole or not at all; gives what the service says of it."""
        if isinstance(staged, bytes):
            options = {'overwrite': True, 'validate_content': True, **options, **UNLOGGED}
            return self._call(blob.upload_blob, staged, **options)
        return self._call(blob.commit_block_list, staged, **options)

    @contextmanager
    def _usable(self, what: str = '') -> Iterator[None]:
        """`what` is the blob, by its digest or its name, that is worked on."""
        try:
            yield
        except AzureError as error:
            where = f" at '{printable(blob_path(what) if ':' in what else what)}'" if what else ''
            raise ArchiveError(
                f"The archive '{self.name}' cannot be used{where}: {reason_of(error)}",
                advice_on(error, self._container),
            ) from error


def write_mark() -> dict[str, str]:
    """Metadata by which one write can be told from all others."""
    return {_WRITE: uuid4().hex}


def written_with(blob: Any, mark: dict[str, str], calls: AzureCalls) -> Any:
    """What the service says of a blob that was written with this mark; None for one that others wrote.

    The client sends a write again when its answer was lost, and is told then that the blob is not the one any more that
    was to be replaced.
    """
    properties = calls(blob.get_blob_properties, **UNLOGGED)
    return properties if (properties.metadata or {}).get(_WRITE) == mark[_WRITE] else None


def hold_to_container(error: ResourceNotFoundError) -> None:
    """Raise the error again where it is the container that is not there, and not a blob in it."""
    if code_of(error) == 'ContainerNotFound':
        raise error


def code_of(error: HttpResponseError) -> str:
    """How the service calls what went wrong, empty where it does not say."""
    code = getattr(error, 'error_code', None) or ''
    return str(getattr(code, 'value', code))


def reason_of(error: AzureError) -> str:
    """Why a container cannot be used, on one line."""
    return one_line(str(error.message).split('\n', maxsplit=1)[0])


def advice_on(error: AzureError, container: Any) -> str:
    """What to do about a container that cannot be used."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    return _ADVICE.get(status, _CHECK_NAMES).format(container)


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
