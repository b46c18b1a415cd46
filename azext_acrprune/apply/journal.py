"""What each run that deletes or locks sent and what came of it: an append-only file of JSON lines for each run.

A request is written down, on the disk, before it is sent. So whatever happens to the process, nothing was deleted
that the journal does not name; and where nothing can be written, nothing is deleted. Requests that go side by side
share one wait for the disk, which is a thread's; their outcomes are there no later than the next request.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar
from uuid import uuid4

from ..decide.content_json import content_as_json
from ..decide.graph import walk
from ..decide.owed import OwedLocks
from ..model import BOUNDS, Content, Locks, OwedLock, Repository, counted_time, parse_ticks
from ..prune_error import PruneError
from ..registry.changes import Changes
from ..registry.permit import Permit
from ..registry.protocol.refusals import Kind, RegistryError
from ..spelling import json_line
from ..state_files import sync_directory
from .unsettled import SUFFIX, OpenMark, has_open_mark

_NAMES = ('repository', 'digest', 'tag', 'subject', 'to')
_SAID = ('request', 'outcome', 'mediaType', 'at', 'error', 'reason', 'because', 'source')
_OF_RUN = ('registry', 'command', 'who', 'host', 'pipeline', 'archive', 'planChecksum')
_TIMES = ('createdTime', 'lastUpdateTime', 'nowTime')
_DOCUMENTS = ('policy', 'given', 'promised', 'summary', 'owed', 'content')
_TYPES: Mapping[str, type] = {
    **dict.fromkeys((*_NAMES, *_SAID, *_OF_RUN, *_TIMES), str),
    **dict.fromkeys(_DOCUMENTS, dict),
    **dict.fromkeys(('usedBytes', 'softDeleteDays'), int),
}
"""What a line has under a key, if it has anything there."""
_LISTS = ('locks', 'repositoryLocks')
_SUMS = ('freedBytes', 'freedLaterBytes', 'manifests', 'tags', 'manifestsDeleted', 'tagsDeleted', 'skipped', 'failed')
"""What is a number in the sums of a run, and in what was promised."""
_RUN = re.compile(r'[\w.-]{1,200}\Z')
"""How the name of a run is spelled: it is that of a file."""

Result = TypeVar('Result')


class JournalError(PruneError):
    """A journal that cannot be written or read; the text says why."""

    kind = Kind.FILE
    sentence = '{message}.'
    advice = 'A run that changes a registry has to write its journal, below the configuration folder of az.'


class NoSuchRun(JournalError):
    """No journal tells of the run that is asked for; the text says of which."""

    kind = Kind.NOT_FOUND
    advice = "'az acr prune history list' shows which there are."


class Copy(Protocol):
    """Where the lines of a journal are kept, too. Its methods raise PruneError."""

    def append(self, lines: bytes) -> None:
        """Have these lines there when this returns."""

    def end(self, settled: bool) -> None:
        """The run is over; `settled` when it owes nothing."""


class Journal:
    """The journal of one run."""

    def __init__(
        self, folder: Path, header: Mapping[str, Any], begin_copy: Callable[[str], Copy] | None = None
    ) -> None:
        """Begin it, and its copy, by the name of the run; only its owner may read it.

        Raises JournalError, and what `begin_copy` raises.
        """
        self.run = f'{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}-{uuid4().hex[:8]}'
        self._path = journal_path(folder, self.run)
        self._mark = OpenMark(folder, self.run)
        self._owed = OwedLocks(self.run)
        self._syncing = asyncio.Lock()
        self._written = self._on_disk = 0
        self._lines: list[bytes] = []
        self._copy = begin_copy(self.run) if begin_copy else None
        self._broken: str | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._mark.acquire()
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            sync_directory(folder)
        except OSError as error:
            raise JournalError(f"The journal '{self._path}' cannot be written: {error.strerror}") from error
        self.write('start', run=self.run, **header)

    def write(self, event: str, **fields: Any) -> None:
        """Append a line, on the disk when this returns. Raises JournalError, from the first time on always."""
        self.note(event, **fields)
        self._sync()

    async def write_with_others(self, event: str, **fields: Any) -> None:
        """Append a line, on the disk when this returns; all that write at a time share a wait for the disk.

        Raises JournalError, from the first time on always.
        """
        self.note(event, **fields)
        line = self._written
        async with self._syncing:
            if self._on_disk < line:  # else it was there with those of somebody else
                await asyncio.to_thread(self._sync)

    def note(self, event: str, **fields: Any) -> None:
        """Append a line that is on the disk no later than the next one that is written. Raises JournalError."""
        entry = {'event': event, 'at': _now(), **fields}
        line = json_line(entry).encode() + b'\n'
        self._check()
        try:
            if os.write(self._file, line) < len(line):
                self._broken = os.strerror(errno.ENOSPC)
        except OSError as error:
            self._broken = error.strerror or str(error)
        self._check()
        self._owed.take(entry)
        if self._copy:
            self._lines.append(line)
        self._written += 1  # last: a thread that sees this number copies as many lines

    def _sync(self) -> None:
        """Have on the disk what is written until now."""
        self._check()
        written = self._written
        try:
            os.fsync(self._file)
            self._copy_lines()
        except OSError as error:
            self._broken = error.strerror or str(error)
        except PruneError as error:
            self._broken = error.message.rstrip('.')
        self._check()
        self._on_disk = written

    def _copy_lines(self) -> None:
        number = len(self._lines)  # others may come while these are sent
        if self._copy and number:
            self._copy.append(b''.join(self._lines[:number]))
            del self._lines[:number]

    def _check(self) -> None:
        if self._broken is not None:
            raise JournalError(f"The journal '{self._path}' cannot be written: {self._broken}")

    def so_far(self) -> bytes:
        """All lines until now, for a copy of the journal. Raises JournalError."""
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise JournalError(f"The journal '{self._path}' cannot be read: {error.strerror}") from error

    def owed(self) -> tuple[OwedLock, ...]:
        """The locks that this run took off until now and that are not set again."""
        return self._owed.all()

    def close(self) -> None:
        settled = not self._owed.all()
        if self._copy:
            with suppress(PruneError):  # the next run finds out what is missing
                if self._broken is None:
                    self._copy_lines()
                self._copy.end(settled)
        os.close(self._file)
        self._mark.release(settled)


class JournaledRegistry:
    """A registry whose changes are written to the journal, each before and after it is sent.

    `why` gives what is written down of the reason for which a digest or a tag of a repository goes.
    """

    def __init__(
        self,
        door: Changes,
        journal: Journal,
        repositories: Mapping[str, Repository],
        later: Collection[tuple[str, str]] = (),
        why: Callable[[str, str], Mapping[str, str]] = lambda *_: {},
    ) -> None:
        """`later` are the (repository, digest) that the registry itself deletes when they lose their last tag."""
        self._door = door
        self._journal = journal
        self._repositories = repositories
        self._later = set(later)
        self._why = why
        self._referrers: dict[str, Mapping[str, list[str]]] = {}

    async def delete_manifest(self, repository: str, digest: str, permit: Permit) -> None:
        self._note_falling(repository, digest)
        call = partial(self._door.delete_manifest, repository, digest, permit)
        await self._send('deleteManifest', call, **self._manifest(repository, digest))

    async def delete_tag(self, repository: str, tag: str, digest: str, permit: Permit) -> None:
        self._note_later(repository, digest)
        call = partial(self._door.delete_tag, repository, tag, digest, permit)
        said = {**_tag(self._repositories[repository], tag), **self._why(repository, tag)}
        await self._send('deleteTag', call, repository=repository, digest=digest, **said)

    async def set_manifest_locks(
        self, repository: str, digest: str, locks: Locks, permit: Permit | None = None, owed: OwedLock | None = None
    ) -> None:
        call = partial(self._door.set_manifest_locks, repository, digest, locks, permit, owed)
        what = {'repository': repository, 'digest': digest, 'locks': list(locks.flags), 'owed': _owing(owed)}
        await self._send('setLocks', call, **what)

    async def set_tag_locks(
        self, repository: str, tag: str, locks: Locks, permit: Permit | None = None, owed: OwedLock | None = None
    ) -> None:
        call = partial(self._door.set_tag_locks, repository, tag, locks, permit, owed)
        what = {'repository': repository, 'tag': tag, 'locks': list(locks.flags), 'owed': _owing(owed)}
        await self._send('setLocks', call, **what)

    async def set_delete_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        call = partial(self._door.set_delete_enabled, repository, digest, enabled)
        await self._send('unlock' if enabled else 'lock', call, repository=repository, **_named(digest))

    async def set_read_enabled(self, repository: str, digest: str, enabled: bool) -> None:
        """With what a manifest says: once pulls of it fail, nothing else can tell that."""
        call = partial(self._door.set_read_enabled, repository, digest, enabled)
        if enabled:
            await self._send('unretire', call, repository=repository, digest=digest)
            return
        content = content_as_json(self._repositories[repository].manifests[digest].content)
        await self._send('retire', call, **self._manifest(repository, digest), content=content)

    async def lock(self, repository: str, reference: str, locks: Locks) -> None:
        call = partial(self._door.lock, repository, reference, locks)
        await self._send('setLocks', call, repository=repository, **_named(reference), locks=list(locks.switched_off))

    async def lock_repository(self, repository: str, locks: Locks) -> None:
        call = partial(self._door.lock_repository, repository, locks)
        await self._send('setLocks', call, repository=repository, locks=list(locks.switched_off))

    async def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> None:
        call = partial(self._door.put_manifest, repository, reference, data, media_type)
        await self._send('putManifest', call, repository=repository, **_named(reference), mediaType=media_type)

    async def mount_blob(self, repository: str, digest: str, source: str) -> bool:
        call = partial(self._door.mount_blob, repository, digest, source)
        return await self._send('mountBlob', call, repository=repository, digest=digest, source=source)

    async def upload_blob(self, repository: str, digest: str, file: BinaryIO) -> None:
        call = partial(self._door.upload_blob, repository, digest, file)
        await self._send('uploadBlob', call, repository=repository, digest=digest)

    async def restore_deleted(self, repository: str, digest: str, tag: str | None = None) -> None:
        call = partial(self._door.restore_deleted, repository, digest, tag)
        await self._send('restoreDeleted', call, repository=repository, digest=digest, tag=tag)

    def _manifest(self, repository: str, digest: str) -> dict[str, Any]:
        manifest = self._repositories[repository].manifests[digest]
        tags = [_tag(self._repositories[repository], tag) for tag in manifest.tags]
        return {
            'repository': repository,
            'digest': digest,
            'mediaType': manifest.media_type,
            'tags': tags,
            'locks': list(manifest.locks.switched_off),
            'repositoryLocks': list(self._repositories[repository].locks.switched_off),
            'createdTime': counted_time(manifest.created_time, manifest.created_at),
            'lastUpdateTime': counted_time(manifest.last_update_time, manifest.updated_at),
            **self._why(repository, digest),
        }

    def _falling(self, repository: str, digest: str) -> list[str]:
        """What refers to a manifest, and what refers to that."""
        if repository not in self._referrers:
            self._referrers[repository] = _referrers(self._repositories[repository])
        referrers = self._referrers[repository]
        return walk([digest], lambda each: referrers.get(each, ()))[1:]

    def _note_falling(self, repository: str, digest: str) -> None:
        """Note the referrers of a manifest: the service deletes them with it, perhaps before we ask for that."""
        for referrer in self._falling(repository, digest):
            with _not_sent_unwritten():
                self._journal.note('falls', subject=digest, **_said(self._manifest(repository, referrer)))

    def _note_later(self, repository: str, digest: str) -> None:
        """Note what the registry itself deletes without this tag, once for each manifest."""
        gone = [digest, *self._falling(repository, digest)] if (repository, digest) in self._later else []
        for each in gone:
            if (repository, each) in self._later:
                self._later.discard((repository, each))
                with _not_sent_unwritten():
                    self._journal.note('later', **_said(self._manifest(repository, each)))

    async def _send(self, request: str, call: Callable[[], Awaitable[Result]], **what: Any) -> Result:
        what = {'request': request, **what}
        with _not_sent_unwritten():
            await self._journal.write_with_others('request', **_said(what))
        with self._outcome(what):
            return await call()

    @contextmanager
    def _outcome(self, what: Mapping[str, Any]) -> Iterator[None]:
        """Write down the outcome of a request. An error of the journal does not change that outcome."""
        names = ('request', 'repository', 'digest', 'tag', *(['locks'] if what['request'] == 'setLocks' else []))
        fields = {name: what[name] for name in names if what.get(name)}
        try:
            yield
        except RegistryError as error:
            with suppress(JournalError):
                self._journal.note('outcome', **fields, outcome=error.kind.name.lower(), error=str(error))
            raise
        with suppress(JournalError):
            self._journal.note('outcome', **fields, outcome='done')


@contextmanager
def _not_sent_unwritten() -> Iterator[None]:
    """Write down a request before it is sent. When that fails, neither this request nor a later one is sent."""
    try:
        yield
    except JournalError as error:
        raise RegistryError(Kind.FORBIDDEN, f'{error}; so nothing more was sent') from error


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value not in (None, [])}


def _owing(owed: OwedLock | None) -> dict[str, Any] | None:
    return {'digest': owed.digest, 'locks': list(owed.locks.flags)} if owed else None


def journal_path(folder: Path, run: str) -> Path:
    """The file of one run."""
    return folder / f'{run}{SUFFIX}'


def journal_folder(config_dir: str) -> Path:
    """Where the journals are, below az's configuration folder."""
    return Path(config_dir) / 'acrprune' / 'journal'


def runs(folder: Path) -> list[str]:
    """The runs that have a journal, oldest first. Raises JournalError."""
    try:
        return sorted(path.stem for path in folder.glob(f'*{SUFFIX}'))
    except OSError as error:
        raise JournalError(f"The journals in '{folder}' cannot be read: {error.strerror}") from error


def remove_before(folder: Path, moment: datetime) -> list[str]:
    """Remove the journals of runs that began before a moment, but for those with an owed lock; gives those runs.

    What cannot be removed stays.
    """
    gone = []
    for run in runs(folder):
        if run < f'{moment:%Y%m%dT%H%M%S.%fZ}' and not has_open_mark(folder, run):
            with suppress(OSError):
                journal_path(folder, run).unlink()
                gone.append(run)
    return gone


def read_run(folder: Path, run: str) -> list[dict[str, Any]]:
    """The lines of one journal; one that was cut off or damaged is left out. Raises JournalError, and NoSuchRun."""
    if not _RUN.match(run):
        raise NoSuchRun(f"There is no journal of a run '{run}'")
    try:
        data = journal_path(folder, run).read_bytes()
    except FileNotFoundError as error:
        raise NoSuchRun(f"There is no journal of a run '{run}'") from error
    except OSError as error:
        raise JournalError(f"The journal of the run '{run}' cannot be read: {error.strerror}") from error
    if data.startswith(b'\0'):
        raise JournalError(f"The journal of the run '{run}' was not fetched from the state")
    return lines_in(data)


def lines_in(data: bytes) -> list[dict[str, Any]]:
    """The lines of a journal with these bytes; one that was cut off or damaged is left out."""
    lines: list[dict[str, Any]] = []
    for line in data.decode('utf-8', 'replace').split('\n')[:-1]:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if _is_line(entry):
            lines.append(_with_tags(entry))
    return lines


def _with_tags(entry: dict[str, Any]) -> dict[str, Any]:
    """The line with what it says of each tag, also where it says nothing but the name."""
    if 'tags' not in entry:
        return entry
    return {**entry, 'tags': [{'tag': tag} if isinstance(tag, str) else tag for tag in entry['tags']]}


def _is_line(entry: Any) -> bool:
    """Whether a line has what lines of a journal have, where it has it: a disk may have damaged it."""
    if not isinstance(entry, dict) or not isinstance(entry.get('event'), str):
        return False
    there = {key: value for key, value in entry.items() if value is not None}
    tags = entry.get('tags', [])
    return (
        all(isinstance(value, _TYPES.get(key, object)) for key, value in there.items())
        and all(_is_name(there[key]) for key in _NAMES if key in there)
        and all(_has_texts(entry[key]) for key in _LISTS if key in entry)
        and all(_has_sums(there[key]) for key in ('summary', 'promised') if key in there)
        and _has_texts(there.get('owed', {}).get('locks', []))
        and isinstance(tags, list)
        and all(map(_is_tag, tags))
    )


def _is_name(value: Any) -> bool:
    """Whether a registry may call something so: in one line, and of characters that can be sent."""
    return isinstance(value, str) and value.isprintable()


def _is_tag(tag: Any) -> bool:
    if isinstance(tag, str):
        return _is_name(tag)
    if not isinstance(tag, dict) or not isinstance(tag.get('lastUpdateTime', ''), str):
        return False
    return _is_name(tag.get('tag')) and _has_texts(tag.get('locks', []))


def _has_sums(document: Mapping[str, Any]) -> bool:
    numbers = (document[key] for key in _SUMS if document.get(key) is not None)
    return all(isinstance(number, int) for number in numbers) and (
        document.get('freedBytes') is None or document.get('impact') in tuple(BOUNDS)
    )


def _has_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def tags_taken_off(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, int]]:
    """(repository, digest, instant in ticks) of each tag that a run removed from a manifest."""
    for line in lines:
        if (line['event'], line.get('request'), line.get('outcome')) == ('outcome', 'deleteTag', 'done'):
            repository, digest, at = line.get('repository'), line.get('digest'), parse_ticks(line.get('at'))
            if isinstance(repository, str) and isinstance(digest, str) and at is not None:
                yield repository, digest, at


def _referrers(repository: Repository) -> Mapping[str, list[str]]:
    """The manifests that name another one as their subject, by that subject."""
    found: dict[str, list[str]] = {}
    for digest, manifest in repository.manifests.items():
        if isinstance(manifest.content, Content) and manifest.content.subject:
            found.setdefault(manifest.content.subject, []).append(digest)
    return found


def _named(reference: str) -> dict[str, str]:
    return {'digest' if ':' in reference else 'tag': reference}


def _tag(repository: Repository, tag: str) -> dict[str, Any]:
    seen = repository.tags.get(tag)
    time = counted_time(seen.last_update_time, seen.updated_at) if seen else None
    known = {'locks': list(seen.locks.switched_off), 'lastUpdateTime': time} if seen else {}
    return {'tag': tag, **_said(known)}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec='microseconds').replace('+00:00', 'Z')
