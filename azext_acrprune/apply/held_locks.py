"""Locks on what was brought back, so that no run takes it again; until a date, or until they are released.

They are no pins: `pins lock` leaves them as it leaves anybody's locks. Which of them are ours is kept on this machine.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..model import Failed, Locks
from ..prune_error import PruneError
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..state_files import file_of_registry, transaction
from ..workers import Task, run_tasks
from .pin_locks import NOT_DONE

_TABLES = (
    'CREATE TABLE IF NOT EXISTS held (repository TEXT NOT NULL, digest TEXT NOT NULL, until INTEGER, '
    'PRIMARY KEY (repository, digest))',
    'CREATE TABLE IF NOT EXISTS not_written (repository TEXT NOT NULL, digest TEXT NOT NULL, '
    'PRIMARY KEY (repository, digest))',
)
"""A file of an earlier version has the first table alone."""

_FATAL = (Kind.UNREACHABLE, Kind.UNAUTHENTICATED, Kind.STOPPED)


class HeldUnreadable(PruneError):
    """The file that says which locks hold what came back cannot be used; the text says why."""

    kind = Kind.FILE
    sentence = 'Not all could be locked or unlocked: {message}.'
    advice = "Make the file usable, or delete it: locks set until now then count as somebody else's."


@dataclass(frozen=True)
class Held:
    """A lock on a manifest that came back, until an instant in ticks; None is until it is released.

    `write_enabled` is what the manifest had when it was locked.
    """

    repository: str
    digest: str
    until: int | None = None
    write_enabled: bool = field(default=True, compare=False)

    def is_as_set(self, locks: Locks) -> bool:
        """Whether a manifest has the locks that it was given, and no others."""
        return locks.flags == Locks(False, self.write_enabled).flags


@dataclass
class HeldOutcome:
    """What became of locks that were to be set, or taken off. Of `left` that is not known, or not yet.

    Some are left at the end where somebody `interrupted` the run. `kept` have a lock of somebody else.
    """

    done: list[Held] = field(default_factory=list)
    kept: list[Held] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    interrupted: bool = False
    left: int = 0


class HeldLocks:
    """Which of these locks one registry has. Every change is on disk when a method returns."""

    def __init__(self, folder: str, host: str, changed: Callable[[Path], None] = lambda _: None) -> None:
        """Keep them below az's configuration folder; `changed` is told after each change."""
        self._path = file_of_registry(folder, host, '.held')
        self._changed = changed

    def all(self) -> list[Held]:
        locked = set(self._run(('SELECT repository, digest FROM not_written', ())))
        rows = self._run(('SELECT repository, digest, until FROM held ORDER BY 1, 2', ()))
        return [Held(name, digest, until, (name, digest) not in locked) for name, digest, until in rows]

    def add(self, held: Held) -> None:
        key = held.repository, held.digest
        forget_or_note = 'DELETE FROM not_written WHERE repository = ? AND digest = ?'
        if not held.write_enabled:
            forget_or_note = 'INSERT OR REPLACE INTO not_written VALUES (?, ?)'
        self._run((forget_or_note, key), ('INSERT OR REPLACE INTO held VALUES (?, ?, ?)', (*key, held.until)))

    def remove(self, held: Held) -> None:
        self._run(('DELETE FROM held WHERE repository = ? AND digest = ?', (held.repository, held.digest)))

    def _run(self, *statements: tuple[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Run statements with their values, as one change; gives the rows of the last one. Raises HeldUnreadable."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with transaction(self._path, _TABLES) as connection:
                rows = [connection.execute(*statement).fetchall() for statement in statements][-1]
                has_changed = connection.total_changes > 0
        except (sqlite3.Error, OSError) as error:
            raise HeldUnreadable(f"the file '{self._path}' cannot be used: {error}") from error
        if has_changed:
            self._changed(self._path)
        return rows


async def hold(
    registry: Reads,
    door: Changes,
    wanted: Sequence[Held],
    locks: HeldLocks,
    concurrency: int,
    outcome: HeldOutcome,
    ours: Container[tuple[str, str]] = (),
) -> None:
    """Lock manifests against deletion; `outcome` is filled in with what is locked now by us, and what could not be.

    What somebody else has locked is left alone; what is locked by us already, for it is pinned, is held from now on.
    `ours` are those, as (repository, digest). A lock is written down before it is set, and only while it may be set.
    Raises HeldUnreadable, and RegistryError when the registry cannot be reached any more, or somebody stopped the run.
    """
    outcome.left = len(wanted)

    async def one(held: Held) -> Iterable[Task]:
        try:
            now = (await registry.manifest_properties(held.repository, held.digest)).locks
            held = replace(held, write_enabled=now.write_enabled)
            if not now.delete_enabled and (held.repository, held.digest) in ours:
                await asyncio.to_thread(locks.add, held)
                outcome.done.append(held)
            elif now.delete_enabled:
                await asyncio.to_thread(locks.add, held)
                try:
                    await door.set_delete_enabled(held.repository, held.digest, False)
                except RegistryError as error:
                    if error.kind in NOT_DONE:
                        await asyncio.to_thread(locks.remove, held)
                    raise
                outcome.done.append(held)
        except RegistryError as error:
            _raise_if_fatal(error)
            outcome.failed.append(Failed(held.repository, held.digest, f'it could not be locked: {error}'))
        outcome.left -= 1
        return []

    await run_tasks([partial(one, held) for held in wanted], concurrency)


async def release(
    registry: Reads, door: Changes, wanted: Sequence[Held], locks: HeldLocks, concurrency: int, outcome: HeldOutcome
) -> None:
    """Unlock manifests; `outcome` is filled in with what is unlocked, or gone, and what could not be.

    What has other locks than `hold` sets, somebody else has locked since: that stays, and is not ours any more. With
    the errors of `hold`.
    """
    outcome.left = len(wanted)

    async def one(held: Held) -> Iterable[Task]:
        became = outcome.done
        try:
            now = (await registry.manifest_properties(held.repository, held.digest)).locks
            if held.is_as_set(now):
                await door.set_delete_enabled(held.repository, held.digest, True)
            elif now.locked:
                became = outcome.kept
        except RegistryError as error:
            _raise_if_fatal(error)
            if error.kind is not Kind.NOT_FOUND:
                outcome.failed.append(Failed(held.repository, held.digest, str(error)))
                outcome.left -= 1
                return []
        await asyncio.to_thread(locks.remove, held)
        became.append(held)
        outcome.left -= 1
        return []

    await run_tasks([partial(one, held) for held in wanted], concurrency)


def _raise_if_fatal(error: RegistryError) -> None:
    if error.kind in _FATAL:
        raise error
