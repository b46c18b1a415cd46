"""Until when a deletion may leave: what a listing showed is soon no longer so."""

from __future__ import annotations

from collections.abc import Callable

from .protocol.refusals import Kind, RegistryError

PERMIT_OPTION = 'acr_permit'
"""Option of a request: the permit that has to be good when it leaves, each try of it."""

LISTING_SECONDS = 10
"""Nothing is deleted by a listing that was begun longer ago."""


class Late(RegistryError):
    """A request that was not sent, because its permit was over, or would be before its turn came.

    `seconds` is for how long the registry wants to be left alone. One that was `tried` left before, and was refused or
    not answered. Where an earlier try is `unanswered`, it may have been carried out, and the kind is UNAVAILABLE
    instead of LATE.
    """

    def __init__(self, seconds: float = 0.0, unanswered: bool = False, tried: bool = False) -> None:
        why = 'its turn did not come in time'
        if unanswered:
            super().__init__(Kind.UNAVAILABLE, f'{why}, and an earlier try had no answer')
        else:
            super().__init__(Kind.LATE, why)
        self.seconds = seconds
        self.unanswered = unanswered
        self.tried = tried or unanswered


class Permit:
    """What one listing allows: until ten seconds after it was begun, deletions may leave.

    It has to be made before the listing is begun. `clock` gives seconds. `oldest` is the age of the listing, in
    seconds, when the last request left by it; None when none did.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.oldest: float | None = None
        self._clock = clock
        self._begun = clock()

    @property
    def age(self) -> float:
        """For how many seconds the listing has been there, counted from its begin."""
        return self._clock() - self._begun

    @property
    def left(self) -> float:
        """For how many seconds deletions may still leave; 0 or less when it is over."""
        return LISTING_SECONDS - self.age

    def leave(self) -> None:
        """Let a request leave at this moment. Raises Late."""
        age = self.age
        if age >= LISTING_SECONDS:
            raise Late
        self.oldest = age
