"""Where a state is, as the rest of this room sees it, and what can go wrong with a state as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..prune_error import Kind, PruneError

WHATEVER = '*'
"""In place of a version: the file may be there or not, as anybody left it."""


@dataclass(frozen=True)
class StoredFile:
    """A file of a state: its bytes, its version, which every write changes, and its last change in seconds since 1970.

    `held` says that a process has a lease on it.
    """

    size: int
    version: str
    changed: float
    held: bool = False


class Lease(Protocol):
    """A file that this process alone may write. It ends when it is not renewed for a minute, as when a process dies."""

    def renew(self) -> None:
        """Have it for another minute. Raises StateError when it is lost."""

    def release(self) -> None:
        """Give it up. A lease that cannot be given up ends by itself."""


class StateStore(Protocol):
    """A place for a state: files under names with slashes. Every method may raise StateError.

    All but one process at a time may be at the same file, so each write says which version it replaces.
    """

    @property
    def name(self) -> str:
        """The place as the user gave it."""

    def entries(self, prefix: str) -> Mapping[str, StoredFile]:
        """The files whose names begin with this, by name."""

    def read(self, name: str) -> tuple[bytes, str] | None:
        """(bytes, version) of a file; None where there is none."""

    def put(self, name: str, data: bytes, version: str | None, lease: Lease | None = None) -> str:
        """Replace a file, or make it where `version` is None; gives its new version. Raises OutOfDate."""

    def append(self, name: str, data: bytes, size: int, lease: Lease | None = None) -> None:
        """Add to a file of this many bytes, to last when this returns; 0 makes it. Raises OutOfDate, Full.

        A call that is sent again after its answer was lost adds nothing twice.
        """

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def lease(self, name: str) -> Lease:
        """A lease on a file, which is made where it lacks. Raises Leased."""


class StateError(PruneError):
    """A state that cannot be used; the text says why, in a sentence, and `advice` what to do."""

    kind = Kind.FILE

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why, advice)


class OutOfDate(Exception):
    """A file is not in the version that was to be replaced: another process wrote it meanwhile."""


class Full(Exception):
    """Nothing more can be added to a file."""


class Leased(Exception):
    """Another process has the lease."""
