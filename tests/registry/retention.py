"""The retention policy of a registry: what it has scheduled for deletion (retention-policy, August 2026)."""

from __future__ import annotations

DAY = 86_400
_TYPES = 'application/vnd.docker.'


class Retention:
    """Which manifests the service deletes by itself, and when.

    It takes a manifest of a Docker type when that loses its last tag, and after so many `days` deletes it, unless it
    has a tag again. What was untagged before it was switched on is left alone; switching it off cancels all.
    """

    def __init__(self) -> None:
        self._days: int | None = None
        self._due: dict[tuple[str, str], float] = {}

    @property
    def days(self) -> int | None:
        return self._days

    @days.setter
    def days(self, days: int | None) -> None:
        self._days = days
        if days is None:
            self._due.clear()

    def lost_its_last_tag(self, repository: str, digest: str, media_type: str, now: float) -> None:
        if self._days is not None and media_type.startswith(_TYPES):
            self._due[repository, digest] = now + self._days * DAY

    def has_a_tag(self, repository: str, digest: str) -> None:
        self._due.pop((repository, digest), None)

    def take_due(self, now: float) -> list[tuple[str, str]]:
        """What is to be deleted by now; it is not scheduled any more."""
        due = sorted(node for node, at in self._due.items() if at <= now)
        for node in due:
            del self._due[node]
        return due
