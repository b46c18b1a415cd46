"""What is to be done in each repository, and what all of them share while it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from ..decide.decision import Decision
from ..inventory.cache import Cache
from ..model import Repository
from ..pins.pinned import Pins
from ..registry.changes import Changes
from ..registry.reads import Reads
from ..reporter import Reporter


class Stop:
    """Whether nothing more is begun: after it was `interrupted`, or when the time is over.

    When it is `given_up`, answers are not waited for. When it is `abandoned`, not even locks that were taken off are
    set again any more: the journal says which these are.
    """

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self.interrupted = self.given_up = self.abandoned = False
        self._is_over = is_over
        self._ran_out = False

    def run_out(self) -> None:
        self._ran_out = True

    def is_out_of_time(self) -> bool:
        return self._ran_out or self._is_over()

    def is_set(self) -> bool:
        return self.interrupted or self.is_out_of_time()


@dataclass(frozen=True)
class Work:
    """What is to be done in one repository: digests to delete, and {tag: digest} to remove.

    `later` are the digests that the registry itself deletes when their last tag is removed, and None where it deletes
    nothing by itself.
    """

    seen: Repository
    doomed: frozenset[str]
    untag: Mapping[str, str]
    include_locked: bool
    pins: Pins
    later: frozenset[str] | None = None
    superseded: frozenset[str] = frozenset()

    @classmethod
    def of(cls, decision: Decision, repository: Repository) -> Work:
        return cls(
            repository,
            frozenset(decision.doomed_in(repository.name)),
            {tag: digest for tag, digest, _ in decision.untagged_in(repository)},
            decision.include_locked,
            decision.pins,
            decision.later_in(repository.name) if decision.retention else None,
            decision.superseded_in(repository.name),
        )


@dataclass(frozen=True)
class Surroundings:
    """What all repositories of a run share.

    Repositories whose turn did not come in time take turns: each lists, and deletes by that, while the others wait.
    `pause` waits for some seconds, of which `clock` tells how many there are.
    """

    registry: Reads
    door: Changes
    cache: Cache
    turn: asyncio.Lock
    stop: Stop
    reporter: Reporter
    clock: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
