"""The journals of a registry in a state, and in the working copy of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import portalocker

from .leases import Leases
from .log import LineLog, held_among, sizes_of
from .store import StateStore, StoredFile
from .working_copy import replace_file

_LINES, _OPEN = '.jsonl', '.open'
"""How the files of a run end in a folder of journals, and its mark in a state."""


class Journals:
    """What is known of the journals of a state. A journal is fetched when somebody reads it.

    Until then a file of the same size stands for it, so that the index of the journals need not read it. What runs left
    open is fetched at once. Every method may raise StateError and OSError.
    """

    def __init__(self, store: StateStore, prefix: str, folder: Path, leases: Leases) -> None:
        self._store = store
        self._prefix = prefix
        self._folder = folder
        self._leases = leases
        self._logs: dict[str, LineLog] = {}
        self._absent: set[str] = set()
        self._removed: set[str] = set()
        self._settled: set[str] = set()
        self._elsewhere: list[portalocker.Lock] = []

    def check_out(self, entries: Mapping[str, StoredFile]) -> None:
        """Make the folder of journals what the state has."""
        begin = len(self._prefix)
        sizes = {stem[begin:]: each for stem, each in sizes_of(entries).items() if stem.startswith(self._prefix)}
        held = {stem[begin:] for stem in held_among(entries)}
        self._logs = {run: LineLog(self._store, self._prefix + run, each) for run, each in sizes.items()}
        opened = {
            name[begin : -len(_OPEN)] for name in entries if name.startswith(self._prefix) and name.endswith(_OPEN)
        }
        self._remove_others(sizes, opened)
        for run, log in self._logs.items():
            changed = max(entry.changed for name, entry in entries.items() if name.startswith(self._prefix + run))
            self._stand_in(run, log.size, changed)
        for run in (opened - held) & sizes.keys():
            self.fetch(run)
            (self._folder / f'{run}{_OPEN}').touch(mode=0o600)
        for run in opened & held:
            self._mark_as_elsewhere(run)

    def check_in(self) -> None:
        """Make the state what became of its journals here: what was added to one, settled, or removed.

        A file that is missing says nothing: somebody may have deleted the working copy.
        """
        for run in self._removed & self._logs.keys():
            self._logs.pop(run).remove()
        for run in self._settled:
            self._store.remove(f'{self._prefix}{run}{_OPEN}')
        for run in self._logs.keys() - self._absent:
            log, path = self._logs[run], self._folder / f'{run}{_LINES}'
            with suppress(FileNotFoundError):
                if path.stat().st_size > log.size:
                    log.append(path.read_bytes()[log.size :])

    def remove(self, runs: Iterable[str]) -> None:
        """Have no journals of these runs in the state any more, from the next check-in on."""
        self._removed.update(runs)

    def settle(self, run: str) -> None:
        """Have no mark of this run in the state any more, from the next check-in on: it is over and owes nothing."""
        self._settled.add(run)

    def fetch(self, run: str) -> None:
        """Have the journal of a run in the folder."""
        if run in self._absent:
            replace_file(self._folder / f'{run}{_LINES}', self._logs[run].read())
            self._absent.discard(run)

    def begin(self, run: str) -> JournalCopy:
        """The copy of the journal of a run that begins now, on which no other process counts as being at work."""
        log = LineLog(self._store, self._prefix + run, leases=self._leases)
        log.begin()
        self._store.append(f'{self._prefix}{run}{_OPEN}', b'', 0)
        return JournalCopy(self._store, log, f'{self._prefix}{run}{_OPEN}')

    def close(self) -> None:
        """Let go of what stands for processes elsewhere."""
        for lock in self._elsewhere:
            lock.release()

    def _mark_as_elsewhere(self, run: str) -> None:
        """Hold the mark of a run in place of its process: whoever looks sees that it is under way."""
        lock = portalocker.Lock(str(self._folder / f'{run}{_OPEN}'), 'a', timeout=0, fail_when_locked=True)
        with suppress(portalocker.exceptions.LockException):
            lock.acquire()
            self._elsewhere.append(lock)

    def _remove_others(self, runs: Iterable[str], opened: Iterable[str]) -> None:
        """Remove what the state does not have, or does not have any more."""
        known = {f'{run}{_LINES}' for run in runs} | {f'{run}{_OPEN}' for run in opened} | {'index'}
        for path in self._folder.iterdir():
            if path.name not in known:
                path.unlink(missing_ok=True)

    def _stand_in(self, run: str, size: int, changed: float) -> None:
        path = self._folder / f'{run}{_LINES}'
        with suppress(FileNotFoundError):
            if path.stat().st_size == size and not _is_stand_in(path):
                return
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'wb') as file:
            file.truncate(size)
        os.utime(path, (changed, changed))
        self._absent.add(run)


class JournalCopy:
    """The copy of the journal of one run. Every method may raise StateError."""

    def __init__(self, store: StateStore, log: LineLog, mark: str) -> None:
        self._store = store
        self._log = log
        self._mark = mark

    def append(self, lines: bytes) -> None:
        """Have these lines in the state when this returns."""
        self._log.append(lines)

    def end(self, settled: bool) -> None:
        """The run is over; `settled` when it owes nothing."""
        try:
            if settled:
                self._store.remove(self._mark)
        finally:
            self._log.end()


def hosts_in(entries: Iterable[str]) -> list[str]:
    """The registries in a state, by the names of its files."""
    return sorted({name.partition('/')[0] for name in entries if '/' in name})


def run_in(entries: Iterable[str], run: str | None) -> str | None:
    """The registry with the journal of a run, or of the last run of all; None where there is no such journal."""
    found = [
        (name.rpartition('/')[2].rpartition('.jsonl')[0].rpartition('.')[0], name.partition('/')[0])
        for name in entries
        if name.endswith(_LINES) and '/journal/' in name
    ]
    wanted = [each for each in found if run in (None, each[0])]
    return max(wanted)[1] if wanted else None


def _is_stand_in(path: Path) -> bool:
    with open(path, 'rb') as file:
        return file.read(1) in (b'', b'\0')
