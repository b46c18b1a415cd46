"""Where an archive is, as the rest of this room sees it, and what can go wrong with an archive as a whole.

What goes wrong with one manifest only keeps that manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from ..prune_error import Kind, PruneError

RUN_AGAIN = 'Run the command again: what was archived is not fetched again.'


class Target(Protocol):
    """A place for an archive: blobs under their digests, one index with its copy, and journals of runs.

    Every method may raise ArchiveError, and may be called from many threads at once.
    """

    made_of_index: object
    """What somebody made of the index that was read last, to be used again while `is_as_read`."""

    @property
    def name(self) -> str:
        """The place as the user gave it."""

    def is_new(self) -> bool:
        """Whether this is a place that nobody made for an archive, perhaps by a typo: it is empty, or not there."""

    def check(self) -> None:
        """Find out that nothing can be written here before anything is."""

    def free_bytes(self) -> int | None:
        """How many bytes there is room for; None when there is no such limit."""

    def taken_by(self, size: int) -> int:
        """How many bytes a blob of this size takes."""

    def sizes(self) -> Mapping[str, int]:
        """{digest: bytes} of every blob that is here."""

    def held(self, digests: Iterable[str]) -> Mapping[str, int]:
        """{digest: bytes} of those of these blobs that are here."""

    def writing(self) -> AbstractContextManager[None]:
        """Within it this run alone writes to the archive. Raises ArchiveBusy while another one does."""

    def holds(self, digest: str, size: int | None = None) -> bool:
        """Whether a blob is here, whole, by its digest, and has this size if one is given."""

    def put(self, digest: str, chunks: Iterable[bytes], heard: Callable[[int], None]) -> None:
        """Write a blob, and tell `heard` the bytes of each chunk. Raises NotKept when they do not have the digest."""

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob, unverified."""

    def file(self, digest: str) -> BinaryIO | None:
        """A blob as a file to be read; None where it is not on this machine."""

    def remove(self, digests: Iterable[str]) -> None:
        """Remove blobs, but none that was written since the index was last read or replaced."""

    def index(self, copy: bool = False) -> Iterator[bytes] | None:
        """The bytes of the index, or of its copy; None when there is none here."""

    def is_as_read(self) -> bool:
        """Whether the index is still the one that was read, or written, last."""

    def replace_index(self, pieces: Iterable[bytes]) -> None:
        """Put a new index in the place of the one that was read, and a copy beside it, whole or not at all."""

    def journals(self) -> list[str]:
        """The runs whose journals are here, oldest first."""

    def journal(self, run: str) -> Iterator[bytes]:
        """The bytes of the journal of a run: lines of JSON, the last one perhaps cut off."""

    def put_journal(self, run: str, pieces: Iterable[bytes]) -> None:
        """Keep the journal of a run, in place of what was kept of it."""


class ArchiveError(PruneError):
    """The archive cannot be used; the text says why, in a sentence, and `advice` what to do."""

    kind = Kind.FILE

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why, advice)


class ArchiveBusy(ArchiveError):
    """Another run has the archive; `name` is that of the archive."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Another process is writing to the archive '{name}'.", 'Wait for it, or give another directory.'
        )


class NotKept(Exception):
    """Something was not archived: bytes that are not those of their digest, or no time was left."""
