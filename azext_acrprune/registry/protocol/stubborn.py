"""Repositories that refuse every call (429) while those to others are answered: no pause helps, and nobody waits.

The service counts calls of a registry and of an identity, so that a refusal is mostly one of all calls, and all wait.
But something on the way, or a repository that is being moved, may refuse what is about one repository alone. All times
are passed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ROUNDS = 8
"""How often a repository refuses calls after one to another was accepted, before it is given up. Where the registry
refuses half of all calls, whatever they are about, hardly any repository is refused so often in a row."""
ROUNDS_IN_TIME, SECONDS = 6, 30
"""Fewer are enough when it refused them for so long."""
_LONGEST_PAUSE_SECONDS = 4


@dataclass
class _Streak:
    """Refusals of one repository, without anything accepted in between: when they began, and which counted last."""

    since: float
    counted_at: float
    rounds: int = 0


class Stubborn:
    """Which repositories refuse every call while others accept them."""

    def __init__(self) -> None:
        self._streaks: dict[str, _Streak] = {}
        self._accepted_sent_at = -math.inf

    def accepted(self, repository: str | None, sent_at: float) -> None:
        """A call was answered otherwise than by a refusal."""
        self._accepted_sent_at = max(self._accepted_sent_at, sent_at)
        if repository in self._streaks:
            del self._streaks[repository]

    def refused(self, repository: str | None, sent_at: float, now: float) -> float | None:
        """A call was refused. None where that says something of all calls; else the seconds for which this one waits.

        A round counts when a call to another repository was accepted, and this one refused, both after the last round.
        """
        if repository is None:
            return None
        streak = self._streaks.get(repository)
        if streak is None:
            self._streaks[repository] = _Streak(now, now)
            return None
        if min(sent_at, self._accepted_sent_at) > streak.counted_at:
            streak.rounds += 1
            streak.counted_at = now
        return min(_LONGEST_PAUSE_SECONDS, 0.25 * 2.0**streak.rounds) if streak.rounds else None

    def is_given_up(self, repository: str | None, now: float) -> bool:
        """Whether nothing more is asked of a repository."""
        streak = self._streaks.get(repository) if repository is not None else None
        if streak is None:
            return False
        return streak.rounds >= ROUNDS or streak.rounds >= ROUNDS_IN_TIME and now - streak.since >= SECONDS
