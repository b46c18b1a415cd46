"""What a state has of one registry: checked out when a command begins, checked in when it ends.

What has to last at once does: each line of a journal before the request that it tells of, each mark of a lock before
the lock, and what live systems were seen to use.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ..prune_error import Kind
from ..state_files import file_of_registry, name_of_registry
from .journals import JournalCopy, Journals
from .leases import Leases
from .log import LineLog, sizes_of
from .merging import merge, snapshot
from .store import WHATEVER, Leased, OutOfDate, StateError, StateStore, StoredFile
from .working_copy import Synced, replace_file

_CACHE, _CACHE_NAME = '.sqlite', 'cache.sqlite'
_MARKS = {'.locks': 'locks.sqlite', '.policy-locks': 'policy-locks.sqlite', '.held': 'held.sqlite'}
_OF_SQLITE = ('-wal', '-shm', '-journal')
_RAN, _RAN_LOG = '.ran.jsonl', 'ran'
_INDEX = 'journal-index'
_LAYOUT, _LAYOUT_DATA = 'layout.json', b'{"version": 1}'
_LOCK, _HOLDER = 'lock', 'lock.json'
_SOMEBODY = 'another run'
_TRIES = 10
_ASK_EVERY_SECONDS = 2


class RegistryState:
    """The part of a state that is about one registry, with its working copy in `folder`.

    Every method may raise StateError.
    """

    def __init__(self, store: StateStore, host: str, folder: Path) -> None:
        self.folder = folder
        self.cache_changed = False
        self._store = store
        self._host = host
        self._prefix = f'{name_of_registry(host, "")}/'
        self._synced = Synced(folder)
        self._leases = Leases()
        self._keeping = threading.Lock()
        self._bases: dict[str, bytes] = {}
        self._journals = Journals(store, f'{self._prefix}journal/', folder / 'acrprune' / 'journal', self._leases)
        self._ran = LineLog(store, self._prefix + _RAN_LOG)
        self._seen = 0
        self._with_cache = self._has_layout = False

    def lock(self, holder: Mapping[str, str], seconds: float, waiting: Callable[[str], None]) -> None:
        """Keep others away that lock it, too; waits so long for one that is at work, and tells `waiting` who it is."""
        end, said = time.monotonic() + seconds, False
        while True:
            try:
                lease = self._store.lease(self._prefix + _LOCK)
                break
            except Leased as error:
                who, left = self._holder(), end - time.monotonic()
                if left <= 0:
                    raise StateInUse(self._store.name, self._host, who) from error
                if not said:
                    waiting(who)
                said = True
                time.sleep(min(left, _ASK_EVERY_SECONDS))
        self._leases.add(lease)
        self._store.put(self._prefix + _HOLDER, json.dumps(holder).encode(), WHATEVER)

    def check_out(self, with_cache: bool) -> None:
        """Make the working copy what the state has; without the cache where nobody asks for that."""
        entries = self._store.entries(self._prefix)
        self._with_cache = with_cache
        with self._file_errors():
            self._check_layout(entries)
            for suffix in (_CACHE, *_MARKS) if with_cache else _MARKS:
                self._mirror(self._name(suffix), self._path(suffix), entries)
            self._bases = {suffix: _snapshot_of(self._path(suffix)) for suffix in _MARKS}
            self._mirror(self._prefix + _INDEX, self._index, entries)
            self._journals.check_out(entries)
            self._ran = LineLog(
                self._store, self._prefix + _RAN_LOG, sizes_of(entries).get(self._prefix + _RAN_LOG, ())
            )
            if len(_bytes_of(self._path(_RAN))) != self._ran.size:
                replace_file(self._path(_RAN), self._ran.read())
            self._seen = self._ran.size

    def check_in(self) -> None:
        """Make the state what the working copy has become."""
        with self._file_errors():
            if not self._has_layout:
                with suppress(OutOfDate):
                    self._store.put(self._prefix + _LAYOUT, _LAYOUT_DATA, None)
            self.keep_seen()
            for suffix in _MARKS:
                self.keep(self._path(suffix))
            self._journals.check_in()
            if not self._synced.is_unchanged(self._prefix + _INDEX, self._index):
                self._put(self._prefix + _INDEX, self._index)
            if self.cache_changed:
                self._put(self._name(_CACHE), self._path(_CACHE))
            elif self._with_cache:  # which repositories were used when is all that changed
                name = self._name(_CACHE)
                self._synced.note(name, self._path(_CACHE), self._synced.version(name))

    def remove_cache(self) -> None:
        """Have no cache in the state."""
        self._store.remove(self._name(_CACHE))
        self._with_cache = False

    def close(self) -> None:
        """Let others in."""
        self._leases.close()
        self._journals.close()

    def fetch(self, run: str) -> None:
        """Have the journal of a run in the working copy."""
        with self._file_errors():
            self._journals.fetch(run)

    def remove_journals(self, runs: Iterable[str]) -> None:
        """Have no journals of these runs in the state any more when this command is over."""
        self._journals.remove(runs)

    def settle(self, run: str) -> None:
        """Have it in the state, when this command is over, that a run is over and owes nothing."""
        self._journals.settle(run)

    def begin_journal(self, run: str) -> JournalCopy:
        """The copy of the journal of a run that begins now."""
        return self._journals.begin(run)

    def keep_seen(self) -> None:
        """Have in the state what live systems were seen to use."""
        with self._keeping, self._file_errors():
            self._bring_back()
            lines = _bytes_of(self._path(_RAN))[self._seen :]
            if lines:
                self._ran.append(lines)
                self._seen += len(lines)

    def keep(self, path: Path) -> None:
        """Have a file of marks in the state as it is now, with what others changed of it meanwhile.

        Many threads may ask at once: what one sends is what all have changed by then. A file that is missing says
        nothing: somebody may have deleted the working copy.
        """
        suffix = path.name[len(name_of_registry(self._host, '')) :]
        name = self._name(suffix)
        with self._keeping, self._file_errors():
            self._bring_back()
            if not path.exists():
                return
            for _ in range(_TRIES):
                data = _snapshot_of(path)
                if data == self._bases[suffix]:
                    return
                try:
                    self._synced.note(name, path, self._store.put(name, data, self._synced.version(name)))
                    self._bases[suffix] = data
                    return
                except OutOfDate:
                    self._take_theirs(suffix, name, path)
        raise StateError(f"The state '{self._store.name}' cannot be used at '{name}': others change it.", 'Try again.')

    def _bring_back(self) -> None:
        """Where somebody has deleted the working copy: have in it again what marks the state had."""
        if self._synced.is_there():
            return
        self._seen = 0
        self.folder.joinpath('acrprune').mkdir(mode=0o700, parents=True, exist_ok=True)
        for suffix, base in self._bases.items():
            if base and self._path(suffix).exists():  # made anew meanwhile
                merge(b'', base, self._path(suffix))
            elif base:
                replace_file(self._path(suffix), base)
        self._synced.write()

    def _take_theirs(self, suffix: str, name: str, path: Path) -> None:
        theirs, version = self._store.read(name) or (b'', None)
        merge(self._bases[suffix], theirs, path)
        self._bases[suffix] = theirs
        self._synced.note(name, path, version)

    def _put(self, name: str, path: Path) -> None:
        """Put a file that can be made anew, unless somebody else did so meanwhile."""
        version = None
        with suppress(OutOfDate, FileNotFoundError):
            version = self._store.put(name, path.read_bytes(), self._synced.version(name))
        self._synced.note(name, path, version)

    def _mirror(self, name: str, path: Path, entries: Mapping[str, StoredFile]) -> None:
        """Have a file as the state has it, or not at all where it has none."""
        entry = entries.get(name)
        if entry and self._synced.is_as(name, path, entry.version):
            return
        for each in (path, *(path.with_name(path.name + suffix) for suffix in _OF_SQLITE)):
            each.unlink(missing_ok=True)
        found = self._store.read(name) if entry else None
        if found:
            replace_file(path, found[0])
        self._synced.note(name, path, found[1] if found else None)

    def _check_layout(self, entries: Mapping[str, StoredFile]) -> None:
        name = self._prefix + _LAYOUT
        found = self._store.read(name) if name in entries else None
        self._has_layout = found is not None
        if found and found[0] != _LAYOUT_DATA:
            raise StateError(
                f"The state '{self._store.name}' was written by another version of this extension.",
                "Update it with 'az extension update --name acrprune'.",
            )

    def _holder(self) -> str:
        """Who has the lock, and since when, as far as that is known."""
        found = self._store.read(self._prefix + _HOLDER)
        return told_holder(found[0]) if found else _SOMEBODY

    def _name(self, suffix: str) -> str:
        return self._prefix + (_CACHE_NAME if suffix == _CACHE else _MARKS[suffix])

    def _path(self, suffix: str) -> Path:
        return file_of_registry(str(self.folder), self._host, suffix)

    @property
    def _index(self) -> Path:
        return self.folder / 'acrprune' / 'journal' / 'index'

    @contextmanager
    def _file_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise StateError(
                f"The working copy of the state in '{self.folder}' cannot be used: {error}.",
                'Make the folder usable, or delete it: the next command makes it anew.',
            ) from error


def told_holder(data: bytes) -> str:
    """Who has a lock, by what the file beside it says."""
    with suppress(ValueError, RecursionError):
        said = json.loads(data)
        if isinstance(said, dict) and said.get('command'):
            return f'{said["command"]}, by {said.get("who")} on {said.get("machine")} since {said.get("since")}'
    return _SOMEBODY


class StateInUse(StateError):
    """Another run has the lock."""

    kind = Kind.REFUSED

    def __init__(self, name: str, host: str, who: str) -> None:
        super().__init__(
            f"Somebody is at work on '{host}' with the state '{name}': {who}. Nothing was changed.",
            'Wait for it with a longer --lock-timeout, such as 30m; a run that died gives up its lock after a minute. '
            'With --no-lock both go on side by side.',
        )


def plan_in_state(host: str, name: str) -> str:
    """The name of the file of a plan of a registry."""
    return f'{name_of_registry(host, "")}/plans/{name}.json'


def _snapshot_of(path: Path) -> bytes:
    return snapshot(path) if path.exists() else b''


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b''
