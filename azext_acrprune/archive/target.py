"""What can go wrong with an archive as a whole; what goes wrong with one manifest only keeps that manifest."""

from __future__ import annotations


class ArchiveError(Exception):
    """The archive cannot be used; the text says why, `advice` what to do."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


class NotKept(Exception):
    """Something was not archived: bytes that are not those of their digest, or no time was left."""
