"""What the work tells the world while it runs: empty methods, for whoever shows progress to fill in.

All of them may be called from many threads at once and must return quickly.
"""

from __future__ import annotations


class Reporter:
    """Hears of progress and does nothing with it."""

    def repositories_found(self, count: int) -> None:
        """The catalog is known: `count` repositories will be looked at."""

    def manifests_found(self, count: int) -> None:
        """A listing is complete: `count` more manifests will be read."""

    def manifest_read(self) -> None:
        """One of the manifests found was read, or turned out to be unreadable."""

    def repository_done(self) -> None:
        """A repository was listed."""

    def transfer_planned(self, size: int) -> None:
        """`size` bytes of manifests and layers are about to be archived, or restored."""

    def transferred(self, size: int) -> None:
        """`size` more of these bytes are where they belong, or were there already."""

    def deletes_planned(self, count: int) -> None:
        """`count` manifests are about to be deleted."""

    def deleted(self) -> None:
        """One of the planned manifests was deleted, skipped, or could not be deleted."""

    def throttled(self, per_second: float) -> None:
        """The registry refused a call; from now on at most so many are sent."""
