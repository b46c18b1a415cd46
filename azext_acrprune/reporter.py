"""What the work tells while it runs, to whoever shows progress.

All of them may be called from many threads at once and must return quickly.
"""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Hears of progress."""

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


class Silent(Reporter):
    """Hears of progress and does nothing with it."""

    def repositories_found(self, count: int) -> None:
        pass

    def manifests_found(self, count: int) -> None:
        pass

    def manifest_read(self) -> None:
        pass

    def repository_done(self) -> None:
        pass

    def transfer_planned(self, size: int) -> None:
        pass

    def transferred(self, size: int) -> None:
        pass

    def deletes_planned(self, count: int) -> None:
        pass

    def deleted(self) -> None:
        pass

    def throttled(self, per_second: float) -> None:
        pass
