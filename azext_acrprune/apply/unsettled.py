"""Runs that are not over, and those that ended without setting again what they unlocked.

Beside the journal of a run that is under way lies its mark, `RUN.open`, a file that its process holds locked. A run
that ends and owes nothing takes its mark away. So what a killed run owes is found without reading all journals.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import portalocker

from ..decide.owed import owed_in
from ..model import OwedLock
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..state_files import has_no_locks

SUFFIX, OPEN_SUFFIX = '.jsonl', '.open'
"""Of the files of a run, after the name of the run."""


class OpenMark:
    """The mark of a run that is under way."""

    def __init__(self, folder: Path, run: str) -> None:
        self._path = folder / f'{run}{OPEN_SUFFIX}'
        self._lock = portalocker.Lock(str(self._path), 'a', timeout=0, fail_when_locked=True)
        self.is_locked = False

    def acquire(self) -> bool:
        """Hold it; false when another process does. Where files cannot be locked, nobody is known to."""
        try:
            with suppress(OSError):
                self._lock.acquire()
                self.is_locked = True
        except portalocker.exceptions.AlreadyLocked as refusal:
            return has_no_locks(refusal)
        except portalocker.exceptions.LockException:
            pass
        return True

    def release(self, settled: bool) -> None:
        """Let go of it, and take it away when nothing is owed."""
        with suppress(OSError, portalocker.exceptions.LockException):
            self._lock.release()
            if settled:
                self._path.unlink()


def has_open_mark(folder: Path, run: str) -> bool:
    """Whether a run is under way, or may have an owed lock."""
    return (folder / f'{run}{OPEN_SUFFIX}').exists()


def is_under_way(folder: Path, run: str) -> bool:
    """Whether another process is at this run."""
    mark = OpenMark(folder, run)
    if not has_open_mark(folder, run):
        return False
    held = mark.acquire()
    if held:
        mark.release(settled=False)
    return not held


@contextmanager
def settling(
    folder: Path,
    registry: str,
    read: Callable[[Path, str], Sequence[dict[str, Any]]],
    settled: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[OwedLock, ...]]:
    """Gives what runs on this registry owe that no process is at; while it lasts, no other process settles these.

    `read` gives the lines of a run. What is settled then is left out the next time; `settled` is told of these runs.
    """
    marks: list[tuple[str, OpenMark]] = []
    owed: list[OwedLock] = []
    for path in sorted(folder.glob(f'*{OPEN_SUFFIX}')):
        mark = OpenMark(folder, path.stem)
        if not mark.acquire():
            continue
        lines = read(folder, path.stem) if path.with_suffix(SUFFIX).exists() else ()
        mine = owed_in(path.stem, lines)
        if not mine:
            _release(mark, _is_over(mark, lines), lines, partial(settled, path.stem))
        elif lines[0].get('registry') != registry:
            mark.release(settled=False)
        else:
            marks.append((path.stem, mark))
            owed += mine
    try:
        yield tuple(owed)
    finally:
        for run, mark in marks:
            lines = read(folder, run)
            _release(mark, not owed_in(run, lines) and _is_over(mark, lines), lines, partial(settled, run))


def _release(mark: OpenMark, settled: bool, lines: Sequence[dict[str, Any]], tell: Callable[[], None]) -> None:
    """Let go of a mark. A journal that is missing says nothing of what a run owes elsewhere."""
    mark.release(settled)
    if settled and lines:
        tell()


def _is_over(mark: OpenMark, lines: Sequence[dict[str, Any]]) -> bool:
    """Whether no process is at a run for sure: where files cannot be locked, only its journal tells."""
    return mark.is_locked or any(line.get('event') == 'end' for line in lines)


async def lock_again(registry: Reads, door: Changes, owed: OwedLock) -> str:
    """Set what is owed, where it is still to be set; gives what was found: `unlocked`, `locked`, `moved` or `gone`.

    Raises RegistryError.
    """
    try:
        if owed.tag:
            tag = await registry.tag_properties(owed.repository, owed.tag)
            digest, locks = tag.digest, tag.locks
        else:
            digest, locks = owed.digest, (await registry.manifest_properties(owed.repository, owed.digest)).locks
        if digest != owed.digest:
            return 'moved'
        if set(owed.locks.switched_off) <= set(locks.switched_off):
            return 'locked'
        await door.lock(owed.repository, owed.tag or owed.digest, owed.locks)
        return 'unlocked'
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return 'gone'
        raise


def write_settled(path: Path, owed: OwedLock, found: str, by: str) -> None:
    """Append to the journal of a run that something is not owed any more, which the run `by` found. Raises OSError."""
    line = {
        'event': 'settled',
        'at': datetime.now(timezone.utc).isoformat(timespec='microseconds').replace('+00:00', 'Z'),
        'repository': owed.repository,
        'digest': owed.digest,
        'tag': owed.tag,
        'found': found,
        'by': by,
    }
    said = {key: value for key, value in line.items() if value is not None}
    is_whole = path.read_bytes()[-1:] in (b'', b'\n')  # a run may be killed in the middle of a line
    with path.open('ab') as file:
        file.write((b'' if is_whole else b'\n') + json.dumps(said, separators=(',', ':')).encode() + b'\n')
