"""A state in a container of an Azure storage account, through the storage client that azure-cli ships."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from ..archive.azure_blob import UNLOGGED, advice_on, code_of, hold_to_container, reason_of, write_mark, written_with
from ..archive.azure_calls import FIRST_PART, AzureCalls
from .store import WHATEVER, Full, Lease, Leased, OutOfDate, StateError, StoredFile

LEASE_SECONDS = 60
"""The longest that the service knows."""
_LARGEST_APPEND = 4 * 1024 * 1024
_OTHER_VERSION = ('ConditionNotMet', 'BlobAlreadyExists', 'BlobNotFound')
_IS_THERE = ('BlobAlreadyExists', 'ConditionNotMet', 'LeaseIdMissing')
_OTHER_SIZE = 'AppendPositionConditionNotMet'
_FULL = ('BlockCountExceedsLimit', 'BlobSizeExceedsLimit')
_HELD = ('LeaseAlreadyPresent', 'LeaseIsBreakingAndCannotBeAcquired')
_NO_LEASE = ('LeaseLost', 'LeaseNotPresentWithBlobOperation')


class BlobStore:
    """A state in a container. `container` is a ContainerClient of the storage SDK; `folder` is empty or ends in `/`.

    `calls` makes the calls.
    """

    def __init__(self, name: str, container: Any, folder: str = '', calls: AzureCalls = AzureCalls()) -> None:
        self.name = name
        self.call = calls
        self._container = container
        self._folder = folder

    def entries(self, prefix: str) -> Mapping[str, StoredFile]:
        with self._usable():
            listed = self._container.list_blobs(name_starts_with=self._folder + prefix, **UNLOGGED)
            return {blob.name[len(self._folder) :]: _entry(blob) for blob in self.call.listed(listed)}

    def read(self, name: str) -> tuple[bytes, str] | None:
        with self._usable(name):
            try:
                download = self.call(self._blob(name).download_blob, size=FIRST_PART, **UNLOGGED)
                return self.call(download.readall, size=download.size), _version(download.properties.etag)
            except ResourceNotFoundError as error:
                hold_to_container(error)
                return None

    def put(self, name: str, data: bytes, version: str | None, lease: Lease | None = None) -> str:
        condition: dict[str, Any] = {'match_condition': MatchConditions.IfMissing}
        if version == WHATEVER:
            condition = {}
        elif version is not None:
            condition = {'etag': f'"{version}"', 'match_condition': MatchConditions.IfNotModified}
        if isinstance(lease, BlobLease):
            condition['lease'] = lease.sdk
        blob, mark = self._blob(name), write_mark()
        with self._usable(name):
            try:
                options = {'overwrite': True, 'validate_content': True, 'metadata': mark, **condition, **UNLOGGED}
                done = self.call(blob.upload_blob, data, size=len(data), **options)
            except HttpResponseError as error:
                if code_of(error) not in _OTHER_VERSION:
                    raise
                done = self._written_with(blob, mark)
                if not done:
                    raise OutOfDate from error
            return _version(done['etag'])

    def append(self, name: str, data: bytes, size: int, lease: Lease | None = None) -> None:
        with self._usable(name):
            if not size:
                self._make(name)
            for start in range(0, len(data), _LARGEST_APPEND):
                self._append(name, data[start : start + _LARGEST_APPEND], size + start, lease)

    def remove(self, name: str) -> None:
        with self._usable(name):
            try:
                self.call(self._blob(name).delete_blob, **UNLOGGED)
            except ResourceNotFoundError as error:
                hold_to_container(error)

    def lease(self, name: str) -> Lease:
        blob = self._blob(name)
        with self._usable(name):
            try:
                return BlobLease(self, name, self._leased(blob))
            except ResourceNotFoundError as error:
                hold_to_container(error)
            with suppress(OutOfDate):
                self.put(name, b'', None)
            return BlobLease(self, name, self._leased(blob))

    def _leased(self, blob: Any) -> Any:
        try:
            return self.call(blob.acquire_lease, LEASE_SECONDS, **UNLOGGED)
        except HttpResponseError as error:
            if code_of(error) in _HELD:
                raise Leased from error
            raise

    def _make(self, name: str) -> None:
        """Make an empty blob to append to, if it is not there."""
        try:
            self.call(self._blob(name).create_append_blob, match_condition=MatchConditions.IfMissing, **UNLOGGED)
        except HttpResponseError as error:
            if code_of(error) not in _IS_THERE:
                raise

    def _append(self, name: str, data: bytes, size: int, lease: Lease | None, again: bool = True) -> None:
        """Add one block. A lease that ran out is renewed, which works while nobody else had one."""
        options = {'appendpos_condition': size, 'validate_content': True, **UNLOGGED}
        if isinstance(lease, BlobLease):
            options['lease'] = lease.sdk
        blob = self._blob(name)
        try:
            self.call(blob.append_block, data, size=len(data), **options)
        except HttpResponseError as error:
            code = code_of(error)
            if code == _OTHER_SIZE and self._has(blob, data, size):
                return  # it came, and its answer was lost
            if code == _OTHER_SIZE:
                raise OutOfDate from error
            if code in _FULL:
                raise Full from error
            if code not in _NO_LEASE or not lease or not again:
                raise
            lease.renew()
            self._append(name, data, size, lease, again=False)

    def _written_with(self, blob: Any, mark: dict[str, str]) -> Any:
        try:
            return written_with(blob, mark, self.call)
        except ResourceNotFoundError as error:
            hold_to_container(error)
            return None

    def _has(self, blob: Any, data: bytes, start: int) -> bool:
        try:
            download = self.call(blob.download_blob, offset=start, length=len(data), size=len(data), **UNLOGGED)
            return bool(self.call(download.readall, size=len(data)) == data)
        except HttpResponseError:
            return False

    def _blob(self, name: str) -> Any:
        return self._container.get_blob_client(self._folder + name)

    @contextmanager
    def _usable(self, what: str = '') -> Iterator[None]:
        try:
            yield
        except AzureError as error:
            raise self.failure(error, what) from error

    def failure(self, error: AzureError, what: str = '') -> StateError:
        """The error that says what went wrong with a file of this state."""
        where = f" at '{self._folder}{what}'" if what else ''
        return StateError(
            f"The state '{self.name}' cannot be used{where}: {reason_of(error)}", advice_on(error, self._container)
        )


class BlobLease:
    """A lease on a blob; `sdk` is that of the storage client."""

    def __init__(self, store: BlobStore, name: str, sdk: Any) -> None:
        self.sdk = sdk
        self._store = store
        self._name = name

    def renew(self) -> None:
        try:
            self._store.call(self.sdk.renew, **UNLOGGED)
        except AzureError as error:
            raise self._store.failure(error, self._name) from error

    def release(self) -> None:
        with suppress(AzureError):
            self._store.call(self.sdk.release, **UNLOGGED)


def _entry(blob: Any) -> StoredFile:
    held = str(blob.lease.state) == 'leased'
    return StoredFile(int(blob.size), _version(blob.etag), blob.last_modified.timestamp(), held)


def _version(etag: str) -> str:
    """Lists give it without quotes, answers with them."""
    return etag.strip('"')
