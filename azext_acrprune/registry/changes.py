"""All verbs that change a registry. A class that wraps a registry implements each of them."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from ..model import Locks, OwedLock
from .permit import Permit


class Changes(Protocol):
    """What can be changed in a registry. Every verb raises RegistryError, those with a permit Late when it is over.

    Three classes implement every verb: the registry itself, its journal, and the check against the archive. If one of
    them lacked a verb, a change could be sent without a line in the journal, or before it is in the archive.
    """

    async def delete_manifest(self, repository: str, digest: str, permit: Permit) -> None:
        """Delete a manifest and every tag on it; the service then deletes its referrers itself."""

    async def delete_tag(self, repository: str, tag: str, digest: str, permit: Permit) -> None:
        """Remove a tag from the manifest `digest`, and nothing but the tag."""

    async def set_manifest_locks(
        self, repository: str, digest: str, locks: Locks, permit: Permit | None = None, owed: OwedLock | None = None
    ) -> None:
        """Set the locks that `locks` has, or take locks off; with a permit only while that is good.

        `owed` is what this takes off for a deletion, and nothing else; without it both locks are taken off.
        """

    async def set_tag_locks(
        self, repository: str, tag: str, locks: Locks, permit: Permit | None = None, owed: OwedLock | None = None
    ) -> None:
        """Set the locks of a tag, or take locks off; `permit` and `owed` as above."""

    async def set_delete_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        """Lock a digest or a tag against deletion, or unlock it; its other flags stay as they are."""

    async def set_read_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        """Make pulls of a manifest fail, or let them through; its other flags stay as they are."""

    async def lock(self, repository: str, reference: str, locks: Locks) -> None:
        """Switch off what `locks` has switched off of a digest or a tag, and switch nothing on."""

    async def lock_repository(self, repository: str, locks: Locks) -> None:
        """Switch off what `locks` has switched off of a repository itself, and switch nothing on."""

    async def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> None:
        """Push the bytes of a manifest under its digest or a tag."""

    async def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        """Mount a blob of another repository in this one; false when the registry wants it uploaded instead."""

    async def upload_blob(self, repository: str, digest: str, file: BinaryIO) -> None:
        """Upload a blob from a file; its digest is verified."""

    async def restore_deleted(self, repository: str, digest: str, tag: str | None = None) -> None:
        """Bring a soft-deleted manifest back, under a tag if one is given."""
