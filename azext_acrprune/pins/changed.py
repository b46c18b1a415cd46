"""What was changed in a registry of late, in whichever region, as its event log tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .pulls import instant, name_of, text_of


@dataclass(frozen=True)
class Changed:
    """A push, an untagging, a lock or a deletion; `at` is in ticks. The log tells the digest, the tag, or both.

    One that `removes` something leaves nothing behind that could need anything. A manifest whose tag was taken off is
    there still.
    """

    repository: str
    digest: str | None
    tag: str | None
    at: int
    removes: bool = False


def changed_of(row: Sequence[Any]) -> Changed:
    """A row of repository, digest, tag, operation and time. Raises BadLog."""
    repository, digest, tag, operation, at = row
    did = str(operation).lower()
    leaves_manifest = 'tag' in did and bool(digest)
    removes = any(word in did for word in ('delete', 'untag', 'purge')) and not leaves_manifest
    return Changed(name_of(repository), name_of(digest) if digest else None, text_of(tag), instant(at), removes)
