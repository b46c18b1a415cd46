"""A time limit: until when requests are sent, and how long their answers are waited for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHARE_AFTER_READING = 0.25
"""Of the time, when something will be deleted: what was read in the rest of it has to be archived and deleted in it."""

SHARE_AFTER_ARCHIVING = 0.15
"""Of the time, when what will be deleted is archived first."""

SHARE_OF_ENDING = 0.05
LONGEST_ENDING_SECONDS = 120
"""At the end, for what is in flight when nothing is sent any more, and for the answer to the user."""

FINISHING_PER_ENDING = 2
LONGEST_FINISHING_SECONDS = 120
"""Before the end, as a multiple of it, and never more: nothing new is begun, so that attachments go with the subject
that went. An orphan that is left by a time limit would stay until somebody asks for orphans."""


class TimeLimit:
    """So many `seconds` from now on, in the time of `clock`; without them there is no end."""

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds = seconds or math.inf
        self._end = clock() + self._seconds
        self._kept = 0.0
        self._given_up_at = math.inf
        self.answering = min(SHARE_OF_ENDING * self._seconds, LONGEST_ENDING_SECONDS)

    @property
    def left(self) -> float:
        """For how many seconds requests may still be sent; 0 or less when the time is over."""
        return self._end - max(self.answering, self._kept) - self._clock()

    @property
    def to_the_end(self) -> float:
        """For how many seconds anything is waited for; 0 or less when all has to be over."""
        return self._end - self._clock()

    @property
    def given_up_in(self) -> float:
        """In how many seconds all that is waited for is given up, whatever the limit is; without an end as a rule."""
        return self._given_up_at - self._clock()

    def give_up_in(self, seconds: float) -> None:
        """Have all that is waited for given up in so many seconds: a user who stopped a run twice wants its answer."""
        self._given_up_at = min(self._given_up_at, self._clock() + seconds)

    def is_over(self) -> bool:
        """Whether nothing may be sent any more."""
        return self.left <= 0

    def is_ending(self) -> bool:
        """Whether nothing should be begun any more that takes more than one request."""
        return self.left <= min(FINISHING_PER_ENDING * self.answering, LONGEST_FINISHING_SECONDS)

    @contextmanager
    def keeping(self, share: float) -> Iterator[None]:
        """Within it this share of the time is kept back for what comes after."""
        self._kept = share * self._seconds if self._seconds < math.inf else 0.0
        try:
            yield
        finally:
            self._kept = 0.0

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The time within it does not count: somebody was asked."""
        since = self._clock()
        try:
            yield
        finally:
            self._end += self._clock() - since


NO_LIMIT = TimeLimit(None, lambda: 0.0)
