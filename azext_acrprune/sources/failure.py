"""What went wrong with asking somebody. A failure to ask is never an empty answer."""

from __future__ import annotations

from ..prune_error import Kind, PruneError


class AskError(PruneError):
    """`source` could not be asked, or its answer cannot be trusted to be whole.

    `status` is that of an answer over HTTP, if there was one.
    """

    kind = Kind.UNAVAILABLE
    advice = 'Try again later, or leave this source out.'

    def __init__(self, source: str, why: str, advice: str | None = None, status: int | None = None) -> None:
        super().__init__(why, advice)
        self.source = source
        self.status = status

    def told(self, registry: str, target: str = '') -> tuple[str, str]:
        return f'Nothing was deleted, because {self.source} could not be asked: {str(self).rstrip(".")}.', self.advice
