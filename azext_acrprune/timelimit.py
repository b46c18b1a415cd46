"""A time limit: until when requests are sent, and how long their answers are waited for."""
from __future__ import annotations

import math
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

SHARE_OF_DELETING = 0.25
"""Of the time, when something will be deleted: what is read in the rest has to be deleted in this part."""

SHARE_OF_ANSWERING = 0.05
LONGEST_ANSWERING_SECONDS = 120
"""For what is in flight when nothing new is sent any more, and for the answer to the user."""


class TimeLimit:
    """So many `seconds` from now on, in the time of `clock`; without them there is no end."""

    def __init__(self, seconds: Optional[float], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds = seconds or math.inf
        self._end = clock() + self._seconds
        self._kept = 0.0
        self.answering = min(SHARE_OF_ANSWERING * self._seconds, LONGEST_ANSWERING_SECONDS)

    @property
    def left(self) -> float:
        """For how many seconds new requests may still be sent; 0 or less when the time is over."""
        return self._end - self.answering - self._kept - self._clock()

    def is_over(self) -> bool:
        return self.left <= 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Within it the time for deleting is kept back."""
        self._kept = SHARE_OF_DELETING * self._seconds if self._seconds < math.inf else 0.0
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
