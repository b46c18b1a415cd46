"""Lock what is pinned, and unlock what we once locked. Which locks are ours is kept on this machine.

A lock is marked after it was set: after a crash in between it counts as somebody else's, and stays.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..decide.lock_plan import LockPlan, Mark
from ..prune_error import PruneError
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..workers import Task, run_tasks

_BUSY_SECONDS = 10
_TABLE = (
    'CREATE TABLE IF NOT EXISTS lock (repository TEXT NOT NULL, digest TEXT NOT NULL, '
    'write_enabled INTEGER NOT NULL, PRIMARY KEY (repository, digest))'
)


class MarksUnreadable(PruneError):
    """The file that says which locks are ours cannot be used; the text says why."""

    kind = Kind.FILE
    sentence = 'Not all could be locked or unlocked: {message}.'
    advice = "Make the file usable, or delete it: locks set until now then count as somebody else's."


class Marks:
    """Which locks of one registry we set. Every change is on disk when a method returns. Safe with many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def all(self) -> Mapping[tuple[str, str], Mark]:
        rows = self._run('SELECT repository, digest, write_enabled FROM lock')
        return {(repository, digest): Mark(repository, digest, bool(enabled)) for repository, digest, enabled in rows}

    def add(self, mark: Mark) -> None:
        self._run('INSERT OR REPLACE INTO lock VALUES (?, ?, ?)', mark.repository, mark.digest, mark.write_enabled)

    def remove(self, mark: Mark) -> None:
        self._run('DELETE FROM lock WHERE repository = ? AND digest = ?', mark.repository, mark.digest)

    def _run(self, statement: str, *values: Any) -> list[tuple]:
        try:
            with self._lock, closing(self._opened()) as connection, connection:
                return connection.execute(statement, values).fetchall()
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise MarksUnreadable(
                f"the file '{self._path}', which says which locks are ours, cannot be used: {error}"
            ) from error

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
        connection.execute(_TABLE)
        return connection


def marks_path(folder: str, host: str) -> Path:
    """Where the marks of the registry with this login server are, below az's configuration folder."""
    return Path(folder) / 'acrprune' / (re.sub(r'[^a-z0-9.-]', '_', host.lower()) + '.locks')


@dataclass
class LockOutcome:
    """What became of a plan: (repository, digest, who pins it) and marks, and {(repository, digest): error}."""

    locked: list[tuple[str, str, str]] = field(default_factory=list)
    unlocked: list[Mark] = field(default_factory=list)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)


async def carry_out(registry: Reads, door: Changes, plan: LockPlan, marks: Marks, concurrency: int) -> LockOutcome:
    """Lock and unlock. Raises MarksUnreadable, and RegistryError when the registry cannot be reached any more."""
    run = _LockRun(registry, door, marks)
    for mark in plan.forget:
        await asyncio.to_thread(marks.remove, mark)
    tasks: list[Task] = [partial(run.attempt, target[:2], partial(run.lock, target)) for target in plan.lock]
    tasks += [partial(run.attempt, (mark.repository, mark.digest), partial(run.unlock, mark)) for mark in plan.unlock]
    await run_tasks(tasks, concurrency)
    return run.outcome


class _LockRun:
    """One run of locking and unlocking. `outcome` is what became of it so far."""

    def __init__(self, registry: Reads, door: Changes, marks: Marks) -> None:
        self.outcome = LockOutcome()
        self._registry = registry
        self._door = door
        self._marks = marks

    async def attempt(self, key: tuple[str, str], work: Callable[[], Awaitable[None]]) -> Iterable[Task]:
        """Do one thing; a failure that is its own leaves the others alone."""
        try:
            await work()
        except RegistryError as error:
            if error.kind in (Kind.UNREACHABLE, Kind.UNAUTHENTICATED):
                raise
            self.outcome.failed[key] = str(error)
        return []

    async def lock(self, target: tuple[str, str, str]) -> None:
        """Look again first: what somebody else locked meanwhile is not ours."""
        repository, digest, _ = target
        now = (await self._registry.manifest_properties(repository, digest)).locks
        if now.delete_enabled:
            await self._door.set_delete_enabled(repository, digest, False)
            await asyncio.to_thread(self._marks.add, Mark(repository, digest, now.write_enabled))
            self.outcome.locked.append(target)

    async def unlock(self, mark: Mark) -> None:
        await self._door.set_delete_enabled(mark.repository, mark.digest, True)
        await asyncio.to_thread(self._marks.remove, mark)
        self.outcome.unlocked.append(mark)
