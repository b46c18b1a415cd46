"""What went wrong with asking somebody. A failure to ask is never an empty answer."""

from __future__ import annotations


class AskError(Exception):
    """`source` could not be asked, or its answer cannot be trusted to be whole; `advice` says what to do."""

    def __init__(self, source: str, why: str, advice: str | None = None) -> None:
        super().__init__(why)
        self.source = source
        self.advice = advice
