"""Lock what a policy keeps locked, and unlock what it locked and wants no more. Marks say which locks are its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..decide.kept_locked import KeptLocked, Reference
from ..decide.lock_plan import Mark
from ..model import Failed, Locks
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..workers import Task, run_tasks
from .pin_locks import NOT_DONE, Marks, marks_path


@dataclass
class KeptLockedOutcome:
    """What became of it, as (repository, tag or digest)."""

    locked: list[Reference] = field(default_factory=list)
    unlocked: list[Reference] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


def policy_marks(folder: str, host: str, changed: Callable[[Path], None]) -> Marks:
    """The marks of locks that policies set: others than those of `pins lock`, which it would take for its own."""
    return Marks(policy_marks_path(folder, host), changed=changed)


def policy_marks_path(folder: str, host: str) -> Path:
    return marks_path(folder, host).with_suffix('.policy-locks')


async def keep_locked(
    registry: Reads, door: Changes, work: KeptLocked, marks: Marks, concurrency: int, outcome: KeptLockedOutcome
) -> None:
    """Look again, then lock and unlock. `outcome` is filled in as it goes on.

    Raises MarksUnreadable, and RegistryError when the registry is not there, or somebody stopped the run.
    """

    async def lock(name: str, reference: str) -> None:
        now = await _locks(registry, name, reference)
        if now.delete_enabled:  # else somebody else locked it meanwhile
            mark = Mark(name, reference, now.write_enabled)
            await asyncio.to_thread(marks.add, mark)  # before the lock, or it stays for ever where the run is killed
            try:
                await door.set_delete_enabled(name, reference, False)
            except RegistryError as error:
                if error.kind in NOT_DONE:
                    await asyncio.to_thread(marks.remove, mark)
                raise
            outcome.locked.append((name, reference))

    async def unlock(name: str, reference: str) -> None:
        mark = Mark(name, reference, work.unlock[name, reference])
        if (await _locks(registry, name, reference)).flags == Locks(False, mark.write_enabled).flags:
            await door.set_delete_enabled(name, reference, True)
            outcome.unlocked.append((name, reference))
        await asyncio.to_thread(marks.remove, mark)

    async def attempt(call: Callable[[str, str], Awaitable[None]], name: str, reference: str) -> Iterable[Task]:
        try:
            await call(name, reference)
        except RegistryError as error:
            if error.kind in (Kind.UNREACHABLE, Kind.UNAUTHENTICATED, Kind.STOPPED):
                raise
            if error.kind is not Kind.NOT_FOUND:
                tag = None if ':' in reference else reference
                outcome.failed.append(Failed(name, '' if tag else reference, str(error), tag))
        return []

    tasks: list[Task] = [partial(attempt, lock, *each) for each in work.lock]
    tasks += [partial(attempt, unlock, *each) for each in work.unlock]
    await run_tasks(tasks, concurrency)


async def _locks(registry: Reads, name: str, reference: str) -> Locks:
    if ':' in reference:
        return (await registry.manifest_properties(name, reference)).locks
    return (await registry.tag_properties(name, reference)).locks
