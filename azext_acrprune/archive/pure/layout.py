"""The index of an archive: an OCI image layout (image-spec 1.0 and 1.1) with a descriptor for each manifest and tag.

A descriptor names its manifest for other tools (`org.opencontainers.image.ref.name`), and for the way back it says in
annotations which registry, repository and tag that was, which locks were on it, and when it was pushed. A seal over all
of these says whether the index is as it was written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any, NamedTuple

from ...decide.manifests import is_digest
from ...model import UNLOCKED, Content, Locks
from ...prune_error import Kind, PruneError
from ...registry.protocol.listings import is_tag
from ...spelling import printable
from .notes import OURS, checked_names, locks_of, notes_of, number_of, text_of, text_or_none, time_of
from .streamed import items_of, salvaged

LAYOUT_FILE = 'oci-layout'
INDEX_FILE = 'index.json'
COPY_FILE = 'index.copy.json'
"""What is written before the index, and is the same: it has all that the index has when that one is damaged."""
JOURNAL_FOLDER = 'journal'
MAX_INDEX_BYTES = 2**30
"""Enough for a million manifests and tags; what is larger would take all memory."""
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
RUN_TYPE = 'application/vnd.acrprune.run.v1+json'
"""The artifact type of an index that has the descriptors of one run alone."""
_READ_AS = {
    'application/vnd.docker.distribution.manifest.v2+json': OCI_IMAGE,
    'application/vnd.docker.distribution.manifest.list.v2+json': OCI_INDEX,
}
"""Docker's types have the form of these. skopeo finds nothing else in a layout before its version 1.14."""
_REF_NAME = 'org.opencontainers.image.ref.name'
_REGISTRY, _REPOSITORY, _TAG = f'{OURS}registry', f'{OURS}repository', f'{OURS}tag'
_LOCKS, _REPOSITORY_LOCKS = f'{OURS}locks', f'{OURS}repositoryLocks'
_ARCHIVED_AT, _CREATED, _UPDATED = f'{OURS}archivedAt', f'{OURS}createdTime', f'{OURS}lastUpdateTime'
_MEDIA_TYPE, _SUBJECT, _IMAGE_SIZE = f'{OURS}mediaType', f'{OURS}subject', f'{OURS}imageSize'
_PIECE = 1024


class NotAnArchive(PruneError):
    """Something that is no OCI image layout, or whose index cannot be read; the text says why."""

    kind = Kind.FILE
    sentence = 'The archive cannot be read: {message}.'
    advice = 'Give an archive that a deleting command wrote.'


@dataclass(frozen=True)
class Kept:
    """A manifest in an archive, verified against its digest."""

    content: Content
    media_type: str


class Record(NamedTuple):
    """A manifest that was in a repository, or with `tag` a tag that was on it. `archived_at` is a time in UTC.

    `created` and `updated` are its times as the registry gave them, None where that is not known; of a tag only the
    second is kept. `repository_locks` are those of its repository. `subject` is the digest that the manifest names as
    its subject, empty where it names none. `image_size` are the bytes of the manifest and of those of its own blobs
    that the archive holds for it. Archives of earlier versions tell neither.
    """

    registry: str
    repository: str
    digest: str
    media_type: str
    size: int
    archived_at: str
    tag: str | None = None
    locks: Locks = UNLOCKED
    created: str | None = None
    updated: str | None = None
    repository_locks: Locks = UNLOCKED
    subject: str | None = None
    image_size: int | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.registry, self.repository, self.digest, self.tag or ''

    @property
    def name(self) -> str:
        """As a person names it: `repository:tag` or `repository@digest`."""
        return f'{self.repository}:{self.tag}' if self.tag else f'{self.repository}@{self.digest}'


@dataclass(frozen=True)
class Damaged:
    """An entry of an index that names nothing that can be restored: how it is told, why, and the entry itself."""

    name: str
    why: str
    entry: Any


class Run(NamedTuple):
    """A run that archived something: the digest of the blob with its records, when it was, and its name."""

    digest: str
    archived_at: str
    name: str


@dataclass(frozen=True)
class Index:
    """What is in an archive; `others` are descriptors that other tools wrote, kept as they are.

    `seal` is what the bytes said that it is, None where an earlier version wrote them. `compacting` names a compaction
    that was begun and is not done. `run` names the run whose records alone these are.
    """

    records: tuple[Record, ...] = ()
    others: tuple[Any, ...] = ()
    damaged: tuple[Damaged, ...] = ()
    compacting: str | None = None
    runs: tuple[Run, ...] = ()
    seal: str | None = field(default=None, compare=False)
    run: str | None = field(default=None, compare=False)

    @property
    def is_whole(self) -> bool:
        """Whether each of our entries is as it was written, as far as that can be known."""
        return not self.damaged and self.seal in (None, seal_of(self.records))

    def with_records(self, records: Iterable[Record]) -> Index:
        """The index with more records. One that was there already is replaced, and keeps its locks against deletion.

        A run takes off such a lock before it deletes: where it was killed after that, a second one archives the
        manifest without the lock. No run makes anything readable or listed, so these flags are as they were last.
        """
        merged = {record.key: record for record in self.records}
        for record in records:
            known = merged.get(record.key)
            merged[record.key] = record._replace(locks=record.locks.and_locks_of(known.locks)) if known else record
        return replace(self, records=tuple(merged[key] for key in sorted(merged)))

    def with_run(self, run: Run) -> Index:
        """The index with one run more."""
        runs = {each.digest: each for each in (*self.runs, run)}
        return replace(self, runs=tuple(sorted(runs.values(), key=lambda each: (each.archived_at, each.digest))))


def run_of(index: Index, digest: str) -> Run:
    """The run whose records alone an index is, which is the blob `digest`."""
    archived_at = max((record.archived_at for record in index.records), default='')
    return Run(digest, archived_at, index.run or archived_at)


def nameless_descriptor(digest: str, kept: Kept) -> dict[str, Any]:
    """A descriptor by which other tools find a manifest of which nobody knows where it was: by its digest."""
    read_as = _READ_AS.get(kept.media_type, kept.media_type)
    return {'mediaType': read_as, 'digest': digest, 'size': kept.content.size, 'annotations': {_REF_NAME: digest}}


def seal_of(records: Iterable[Record]) -> str:
    """The checksum of records, whatever their order."""
    seal = hashlib.sha256()
    lines = ['\0'.join(map(str, _sealed(record))) for record in sorted(records, key=_key)]
    for start in range(0, len(lines), _PIECE):
        piece = ''.join([f'{line}\n' for line in lines[start : start + _PIECE]])
        seal.update(piece.encode('utf-8', 'surrogatepass'))
    return f'sha256:{seal.hexdigest()}'


def index_pieces(index: Index) -> Iterator[bytes]:
    """`index.json` of an archive in pieces; the same index gives the same bytes, each entry on a line of its own."""
    notes = {f'{OURS}seal': seal_of(index.records)} if index.records else {}
    if index.compacting:
        notes[f'{OURS}compacting'] = index.compacting
    if index.runs:
        notes[f'{OURS}runs'] = ','.join(map(' '.join, index.runs))
    return _document(index, {'schemaVersion': 2, 'mediaType': OCI_INDEX, **({'annotations': notes} if notes else {})})


def run_bytes(records: Iterable[Record], run: str) -> bytes:
    """The records of one run as an index of their own, from which the index of the archive can be made anew."""
    head = {'artifactType': RUN_TYPE, 'schemaVersion': 2, 'mediaType': OCI_INDEX, 'annotations': {f'{OURS}run': run}}
    return b''.join(_document(Index(tuple(sorted(records, key=_key))), head))


RUN_BEGINS = f'{{"artifactType": "{RUN_TYPE}"'.encode()
"""How the bytes of such an index begin, so that they are found among other blobs."""


def index_bytes(index: Index) -> bytes:
    """`index.json` of an archive. Raises NotAnArchive when it is too large."""
    data = b''.join(index_pieces(index))
    check_index_size(len(data))
    return data


def _document(index: Index, head: dict[str, Any]) -> Iterator[bytes]:
    yield json.dumps(head)[:-1].encode() + b', "manifests": [\n'
    entries = _entries(index)
    lines: list[str] = []
    separator = ''
    try:
        for entry in entries:
            lines.append(separator + json.dumps(entry, separators=(',', ':')))
            separator = ',\n'
            if len(lines) == _PIECE:
                yield ''.join(lines).encode()
                lines = []
    except RecursionError as error:
        raise NotAnArchive(f'{INDEX_FILE} is nested too deeply') from error
    yield ''.join(lines).encode() + b'\n]}\n'


def _entries(index: Index) -> Iterator[Any]:
    """Every descriptor. Of those with one name for other tools only the one that was archived last keeps it."""
    newest: dict[str, Record] = {}
    for record in index.records:
        known = newest.get(record.name)
        if not known or (known.archived_at, known.key) < (record.archived_at, record.key):
            newest[record.name] = record
    for record in index.records:
        yield _descriptor(record, newest[record.name] is record)
    yield from index.others
    yield from (damaged.entry for damaged in index.damaged)


def parse_index(data: bytes | Iterable[bytes]) -> Index:
    """The index in these bytes, whole or in pieces. An entry of ours that cannot be used is among its `damaged`.

    Raises NotAnArchive.
    """
    records: list[Record] = []
    others: list[Any] = []
    damaged: list[Damaged] = []
    notes: dict[str, Any] = {}
    try:
        for key, value in items_of(_bounded(data), 'manifests'):
            if key == 'annotations' and isinstance(value, dict):
                notes = value
            elif key == 'manifests':
                _sort_in(value, records, others, damaged)
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise NotAnArchive(f'{INDEX_FILE} is damaged ({error})') from error
    return Index(
        tuple(records),
        tuple(others),
        tuple(damaged),
        text_or_none(notes.get(f'{OURS}compacting')),
        _runs(notes.get(f'{OURS}runs')),
        text_or_none(notes.get(f'{OURS}seal')),
        text_or_none(notes.get(f'{OURS}run')),
    )


def salvaged_index(data: bytes) -> Index:
    """What can be read of a damaged index."""
    records: list[Record] = []
    others: list[Any] = []
    damaged: list[Damaged] = []
    for entry in salvaged(data, ('digest', 'mediaType', 'size')):
        _sort_in(entry, records, others, damaged)
    return Index(tuple(records), tuple(others), tuple(damaged))


def check_index_size(size: int) -> None:
    """Raises NotAnArchive for an index that is too large to be read."""
    if size > MAX_INDEX_BYTES:
        raise NotAnArchive(f'{INDEX_FILE} is larger than {MAX_INDEX_BYTES // 2**20} MiB')


def blob_path(digest: str) -> str:
    """Where a blob or manifest is inside the layout, with forward slashes."""
    algorithm, _, encoded = digest.partition(':')
    return f'blobs/{algorithm}/{encoded}'


def _bounded(data: bytes | Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in [data] if isinstance(data, bytes) else data:
        size += len(chunk)
        check_index_size(size)
        yield chunk


def _sort_in(entry: Any, records: list[Record], others: list[Any], damaged: list[Damaged]) -> None:
    notes = notes_of(entry)
    if _REPOSITORY not in notes:
        others.append(entry)
        return
    try:
        records.append(_record(entry, notes))
    except (ValueError, KeyError, TypeError) as error:
        why = f'{error.args[0]} is missing' if isinstance(error, KeyError) else str(error)
        damaged.append(Damaged(_told(entry), why, entry))


def _told(entry: dict[str, Any]) -> str:
    """What an entry is called where it says that, else its digest."""
    named = notes_of(entry).get(_REF_NAME) or entry.get('digest') or 'an entry without a name'
    return printable(str(named))[:200]


def _descriptor(record: Record, is_named: bool) -> dict[str, Any]:
    notes = {_REF_NAME: record.name} if is_named else {}
    notes[_REGISTRY] = record.registry
    notes[_REPOSITORY] = record.repository
    notes[_ARCHIVED_AT] = record.archived_at
    read_as = _READ_AS.get(record.media_type, record.media_type)
    optional = {
        _TAG: record.tag,
        _LOCKS: ','.join(record.locks.switched_off) or None,
        _MEDIA_TYPE: record.media_type if read_as != record.media_type else None,
        _REPOSITORY_LOCKS: ','.join(record.repository_locks.switched_off) or None,
        _CREATED: record.created,
        _UPDATED: record.updated,
        _SUBJECT: record.subject,
        _IMAGE_SIZE: None if record.image_size is None else str(record.image_size),
    }
    notes.update({key: value for key, value in optional.items() if value is not None})
    return {'mediaType': read_as, 'digest': record.digest, 'size': record.size, 'annotations': notes}


def _record(descriptor: dict[str, Any], notes: dict[str, Any]) -> Record:
    """Raises ValueError, KeyError or TypeError for a descriptor that names nothing that can be in a registry."""
    tag, size, digest = notes.get(_TAG), descriptor['size'], descriptor['digest']
    media_type, subject = notes.get(_MEDIA_TYPE, descriptor['mediaType']), notes.get(_SUBJECT)
    names = checked_names(notes[_REGISTRY], notes[_REPOSITORY], media_type)
    if not is_digest(digest):
        raise ValueError('its digest is none')
    if not (tag is None or is_tag(tag)):
        raise ValueError('its tag is none that a registry can have')
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ValueError('it has no size')
    if subject and not is_digest(subject) or not (subject is None or isinstance(subject, str)):
        raise ValueError('its subject is no digest')
    registry, repository, media_type = names
    return Record(
        registry,
        repository,
        intern(digest),
        media_type,
        size,
        intern(text_of(notes, _ARCHIVED_AT)),
        tag,
        locks_of(notes.get(_LOCKS)),
        time_of(notes.get(_CREATED)),
        time_of(notes.get(_UPDATED)),
        locks_of(notes.get(_REPOSITORY_LOCKS)),
        subject,
        number_of(notes.get(_IMAGE_SIZE)),
    )


def _runs(text: Any) -> tuple[Run, ...]:
    """The runs as they were written down. What cannot be read is none."""
    parts = [part.split(' ') for part in text.split(',')] if isinstance(text, str) else []
    return tuple(Run(*part) for part in parts if len(part) == 3 and is_digest(part[0]))  # noqa: PLR2004


def _key(record: Record) -> tuple[str, str, str, str]:
    return record.registry, record.repository, record.digest, record.tag or ''


def _sealed(record: Record) -> tuple[Any, ...]:
    locks = ','.join(record.locks.switched_off), ','.join(record.repository_locks.switched_off)
    times = (record.archived_at, record.created, record.updated)
    return (*_key(record), record.media_type, record.size, *locks, *times, record.subject, record.image_size)
