"""Lock what is pinned, and unlock what we once locked. Which locks are ours is kept in a file of marks.

The file is in the state folder of this machine, or in one that several machines share: then it also says what the pins
of each machine want. A lock is marked before it is set. A run that was killed in between left a mark without a lock,
which the next one takes away, or a lock with its mark, as any other.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..decide.lock_plan import Key, LockPlan, Mark
from ..prune_error import PruneError
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..state_files import file_of_registry, name_of_registry, transaction
from ..workers import Task, run_tasks

_TABLES = (
    'CREATE TABLE IF NOT EXISTS lock (repository TEXT NOT NULL, digest TEXT NOT NULL, '
    'write_enabled INTEGER NOT NULL, PRIMARY KEY (repository, digest))',
    'CREATE TABLE IF NOT EXISTS wanted (machine TEXT NOT NULL, repository TEXT NOT NULL, digest TEXT NOT NULL, '
    'PRIMARY KEY (machine, repository, digest))',
)
NOT_DONE = (
    Kind.NOT_FOUND,
    Kind.FORBIDDEN,
    Kind.UNAUTHENTICATED,
    Kind.LOCKED,
    Kind.BUSY,
    Kind.LATE,
    Kind.OUT_OF_TIME,
    Kind.STOPPED,
)
"""After these errors a lock was not set; after all others it may have been."""


class MarksUnreadable(PruneError):
    """The file that says which locks are ours cannot be used; the text says why."""

    kind = Kind.FILE
    sentence = 'Not all could be locked or unlocked: {message}.'
    advice = "Make the file usable, or delete it: locks set until now then count as somebody else's."


class Marks:
    """Which locks of one registry we set. Every change is on disk when a method returns. Safe with many threads.

    With a `machine` others share the file, and it is the name of this one. `changed` is told after each change.
    """

    def __init__(
        self, path: Path, machine: str | None = None, changed: Callable[[Path], None] = lambda _: None
    ) -> None:
        self._path = path
        self._machine = machine
        self._changed = changed
        self._lock = threading.Lock()

    def all(self) -> Mapping[Key, Mark]:
        rows = self._run('SELECT repository, digest, write_enabled FROM lock')
        return {(repository, digest): Mark(repository, digest, bool(enabled)) for repository, digest, enabled in rows}

    def add(self, mark: Mark) -> None:
        self._run('INSERT OR REPLACE INTO lock VALUES (?, ?, ?)', mark.repository, mark.digest, mark.write_enabled)

    def remove(self, mark: Mark) -> None:
        self._run('DELETE FROM lock WHERE repository = ? AND digest = ?', mark.repository, mark.digest)

    def elsewhere(self) -> Mapping[Key, str] | None:
        """What the pins of other machines want, with the name of one of them; None where nobody shares the file."""
        if self._machine is None:
            return None
        rows = self._run('SELECT repository, digest, machine FROM wanted WHERE machine <> ?', self._machine)
        return {(repository, digest): machine for repository, digest, machine in rows}

    def want(self, keys: Iterable[Key], complete: bool) -> None:
        """Write down what the pins of this machine want, and with `complete` that they want nothing else any more."""
        if self._machine is None:
            return
        rows = [(self._machine, *key) for key in keys]
        with self._changing() as connection:
            if complete:
                connection.execute('DELETE FROM wanted WHERE machine = ?', (self._machine,))
            connection.executemany('INSERT OR REPLACE INTO wanted VALUES (?, ?, ?)', rows)

    def _run(self, statement: str, *values: Any) -> list[tuple]:
        with self._changing() as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises MarksUnreadable."""
        try:
            if self._machine is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = 0o600 if self._machine is None else 0o666
            with self._lock, transaction(self._path, _TABLES, mode) as connection:
                yield connection
                has_changed = connection.total_changes > 0
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise MarksUnreadable(
                f"the file '{self._path}', which says which locks are ours, cannot be used: {error}"
            ) from error
        if has_changed:
            self._changed(self._path)


def marks_path(folder: str, host: str, shared: str | None = None) -> Path:
    """Where the marks of the registry with this login server are: in a shared folder, or below az's own."""
    if shared:
        return Path(shared).expanduser() / name_of_registry(host, '.locks')
    return file_of_registry(folder, host, '.locks')


@dataclass
class LockOutcome:
    """What became of a plan: (repository, digest, who pins it) and marks, and {(repository, digest): error}.

    `left` locks were neither set nor taken off because somebody `interrupted` the run.
    """

    locked: list[tuple[str, str, str]] = field(default_factory=list)
    unlocked: list[Mark] = field(default_factory=list)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    interrupted: bool = False
    left: int = 0


async def carry_out(
    registry: Reads, door: Changes, plan: LockPlan, marks: Marks, complete: bool, concurrency: int, outcome: LockOutcome
) -> None:
    """Lock and unlock; `complete` says that the plan has all that is pinned here. `outcome` is filled in as it goes on.

    What a stop dropped is in none of its lists.

    Raises MarksUnreadable, and RegistryError when the registry cannot be reached any more.
    """
    run = _LockRun(registry, door, marks, outcome)
    await asyncio.to_thread(marks.want, plan.wanted, complete)
    for mark in plan.forget:
        await asyncio.to_thread(marks.remove, mark)
    tasks: list[Task] = [partial(run.attempt, target[:2], partial(run.lock, target)) for target in plan.lock]
    tasks += [partial(run.attempt, (mark.repository, mark.digest), partial(run.unlock, mark)) for mark in plan.unlock]
    await run_tasks(tasks, concurrency)


class _LockRun:
    """One run of locking and unlocking. `outcome` is what became of it so far."""

    def __init__(self, registry: Reads, door: Changes, marks: Marks, outcome: LockOutcome) -> None:
        self.outcome = outcome
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
            if error.kind is not Kind.STOPPED:
                self.outcome.failed[key] = str(error)
        return []

    async def lock(self, target: tuple[str, str, str]) -> None:
        """Look again first: what somebody else locked meanwhile is not ours."""
        repository, digest, _ = target
        now = (await self._registry.manifest_properties(repository, digest)).locks
        if not now.delete_enabled:
            return
        mark = Mark(repository, digest, now.write_enabled)
        await asyncio.to_thread(self._marks.add, mark)
        try:
            await self._door.set_delete_enabled(repository, digest, False)
        except RegistryError as error:
            if error.kind in NOT_DONE or not await self._is_locked(mark):
                await asyncio.to_thread(self._marks.remove, mark)
                raise
        self.outcome.locked.append(target)

    async def _is_locked(self, mark: Mark) -> bool:
        """Whether a request without a good answer was carried out. Raises RegistryError where that cannot be known."""
        return not (await self._registry.manifest_properties(mark.repository, mark.digest)).locks.delete_enabled

    async def unlock(self, mark: Mark) -> None:
        """Look again first: the pins of another machine may want it by now."""
        elsewhere = await asyncio.to_thread(self._marks.elsewhere)
        if (mark.repository, mark.digest) in (elsewhere or ()):
            return
        await self._door.set_delete_enabled(mark.repository, mark.digest, True)
        await asyncio.to_thread(self._marks.remove, mark)
        self.outcome.unlocked.append(mark)
