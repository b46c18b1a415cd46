"""The index of an archive: an OCI image layout (image-spec 1.0 and 1.1) with a descriptor for each manifest and tag.

A descriptor names its manifest for other tools (`org.opencontainers.image.ref.name`), and for the way back it says in
annotations which registry, repository and tag that was, and which locks were on it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ...decide.manifests import is_digest
from ...model import UNLOCKED, Content, Locks
from ...prune_error import Kind, PruneError
from ...registry.protocol.listings import is_host, is_media_type, is_repository, is_tag

LAYOUT_FILE = 'oci-layout'
INDEX_FILE = 'index.json'
MAX_INDEX_BYTES = 2**30
"""Enough for a million manifests and tags; what is larger would take all memory."""
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'
_REF_NAME = 'org.opencontainers.image.ref.name'
_OURS = 'io.acrprune.'


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


@dataclass(frozen=True)
class Record:
    """A manifest that was in a repository, or with `tag` a tag that was on it. `archived_at` is a time in UTC."""

    registry: str
    repository: str
    digest: str
    media_type: str
    size: int
    archived_at: str
    tag: str | None = None
    locks: Locks = UNLOCKED

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.registry, self.repository, self.digest, self.tag or ''

    @property
    def name(self) -> str:
        """As a person names it: `repository:tag` or `repository@digest`."""
        return f'{self.repository}:{self.tag}' if self.tag else f'{self.repository}@{self.digest}'


@dataclass(frozen=True)
class Index:
    """What is in an archive; `others` are descriptors that other tools wrote, kept as they are."""

    records: tuple[Record, ...] = ()
    others: tuple[Any, ...] = ()

    def with_records(self, records: Iterable[Record]) -> Index:
        """The index with more records. One that was there already takes the later time and keeps its locks too.

        A run that was killed after it had taken off a lock archives the manifest a second time, without the lock.
        """
        merged = {record.key: record for record in self.records}
        for record in records:
            known = merged.get(record.key)
            merged[record.key] = replace(record, locks=known.locks.and_those(record.locks)) if known else record
        return Index(tuple(merged[key] for key in sorted(merged)), self.others)


def index_bytes(index: Index) -> bytes:
    """`index.json` of an archive; the same index gives the same bytes. Raises NotAnArchive when it is too large."""
    document = {
        'schemaVersion': 2,
        'mediaType': _INDEX_TYPE,
        'manifests': [*map(_descriptor, index.records), *index.others],
    }
    try:
        data = json.dumps(document, indent=1, sort_keys=True).encode()
    except RecursionError as error:
        raise NotAnArchive(f'{INDEX_FILE} is nested too deeply') from error
    check_index_size(len(data))
    return data


def parse_index(data: bytes) -> Index:
    """The index in these bytes. Raises NotAnArchive."""
    check_index_size(len(data))
    try:
        descriptors = json.loads(data)['manifests']
        if not isinstance(descriptors, list):
            raise TypeError('its manifests are no list')
        return Index(
            tuple(_record(each) for each in descriptors if _is_ours(each)),
            tuple(each for each in descriptors if not _is_ours(each)),
        )
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise NotAnArchive(f'{INDEX_FILE} cannot be read: {error}') from error


def check_index_size(size: int) -> None:
    """Raises NotAnArchive for an index that is too large to be read."""
    if size > MAX_INDEX_BYTES:
        raise NotAnArchive(f'{INDEX_FILE} is larger than {MAX_INDEX_BYTES // 2**20} MiB')


def blob_path(digest: str) -> str:
    """Where a blob or manifest is inside the layout, with forward slashes."""
    algorithm, _, encoded = digest.partition(':')
    return f'blobs/{algorithm}/{encoded}'


def _descriptor(record: Record) -> dict[str, Any]:
    annotations = {
        _REF_NAME: record.name,
        f'{_OURS}registry': record.registry,
        f'{_OURS}repository': record.repository,
        f'{_OURS}archivedAt': record.archived_at,
    }
    if record.tag:
        annotations[f'{_OURS}tag'] = record.tag
    if record.locks.switched_off:
        annotations[f'{_OURS}locks'] = ','.join(record.locks.switched_off)
    return {'mediaType': record.media_type, 'digest': record.digest, 'size': record.size, 'annotations': annotations}


def _is_ours(descriptor: Any) -> bool:
    return f'{_OURS}repository' in _annotations(descriptor)


def _record(descriptor: dict[str, Any]) -> Record:
    annotations = _annotations(descriptor)
    registry, repository = _text(annotations, 'registry'), _text(annotations, 'repository')
    tag, media_type, size = annotations.get(f'{_OURS}tag'), descriptor['mediaType'], descriptor['size']
    if not (
        is_digest(descriptor['digest'])
        and is_host(registry)
        and is_repository(repository)
        and (tag is None or is_tag(tag))
        and is_media_type(media_type)
    ):
        raise ValueError('a descriptor names nothing that can be in a registry')
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ValueError('a descriptor has no size')
    locks = str(annotations.get(f'{_OURS}locks', '')).split(',')
    return Record(
        registry=registry,
        repository=repository,
        digest=descriptor['digest'],
        media_type=media_type,
        size=size,
        archived_at=_text(annotations, 'archivedAt'),
        tag=tag,
        locks=Locks.from_flags(locks),
    )


def _annotations(descriptor: Any) -> dict[str, Any]:
    found = descriptor.get('annotations') if isinstance(descriptor, dict) else None
    return found if isinstance(found, dict) else {}


def _text(annotations: dict[str, Any], key: str) -> str:
    value = annotations[f'{_OURS}{key}']
    if not isinstance(value, str):
        raise TypeError(f'{key} is no text')
    return value
