"""What a repository holds: manifests, tags, locks and times, as plain data."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

FLAGS = ('deleteEnabled', 'writeEnabled', 'readEnabled', 'listEnabled')
MANIFEST_TYPES = (
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.oci.artifact.manifest.v1+json',
    'application/vnd.cncf.oras.artifact.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
    'application/vnd.docker.distribution.manifest.v2+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
)
SCHEMA_1_TYPES = MANIFEST_TYPES[4:6]
INDEX_TYPES = ('application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json')


def digest_of(data: bytes) -> str:
    return 'sha256:' + hashlib.sha256(data).hexdigest()


def manifest_digest(data: bytes) -> str:
    """The digest of a manifest: that of its bytes, and of Docker schema 1 that of the payload which was signed."""
    signatures = _listed(parse_document(data), 'signatures')
    if not signatures:
        return digest_of(data)
    protected = json.loads(_base64url(signatures[0]['protected']))
    return digest_of(data[: protected['formatLength']] + _base64url(protected['formatTail']))


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))


def wire_time(seconds: float) -> str:
    """A time as the service writes it: up to 7 fractional digits, trailing zeros cut."""
    whole, ticks = divmod(round(seconds * 10_000_000), 10_000_000)
    fraction = f'{ticks:07d}'.rstrip('0')
    return time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole)) + (f'.{fraction}' if fraction else '') + 'Z'


def time_order(text: str) -> tuple[str, str]:
    """Sorts times as the service writes them: as text `…13.7Z` would come after `…13.75Z`."""
    seconds, _, fraction = text.rstrip('Z').partition('.')
    return seconds, fraction


def unlocked() -> dict[str, bool]:
    return dict.fromkeys(FLAGS, True)


def is_locked(flags: dict[str, bool]) -> bool:
    """A write lock blocks deletes too (Azure/acr-cli#70)."""
    return not (flags['deleteEnabled'] and flags['writeEnabled'])


@dataclass
class Tag:
    digest: str
    created: str
    updated: str
    flags: dict[str, bool] = field(default_factory=unlocked)


@dataclass
class Record:
    """A manifest in a repository. `blobs` are sizes by digest, `ghost` means listed but not to be had.

    Deleting a ghost gives 404 for ever too, or with `deletable` it takes it off the listing. While `quarantine` is a
    state other than `Passed` it is listed without its tags.
    """

    digest: str
    data: bytes
    media_type: str
    document: dict[str, Any]
    blobs: dict[str, int]
    created: str
    updated: str
    ghost: bool = False
    deletable: bool = False
    quarantine: str | None = None
    flags: dict[str, bool] = field(default_factory=unlocked)

    @property
    def subject(self) -> str | None:
        subject = self.document.get('subject')
        return subject.get('digest') if isinstance(subject, dict) else None

    @property
    def children(self) -> list[dict[str, Any]]:
        return children_of(self.document)

    @property
    def config_type(self) -> str | None:
        config = self.document.get('config')
        return config.get('mediaType') if isinstance(config, dict) else None


@dataclass
class RepositoryState:
    """`departed` keeps the times of names that are gone: a page by time may start after one of them."""

    created: str
    updated: str
    manifests: dict[str, Record] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=unlocked)
    departed: dict[str, str] = field(default_factory=dict)


@dataclass
class Deleted:
    """A soft-deleted manifest with the tags that it had."""

    record: Record
    tags: list[str]
    seconds: float


def parse_document(data: bytes) -> dict[str, Any]:
    """The JSON object in these bytes; empty for anything else."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def children_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The manifests that an index names; what does not name a digest, or is a blob, is no child."""
    return [child for child in _descriptors(document, 'manifests') if _is_manifest(child)]


def blobs_of(document: dict[str, Any]) -> dict[str, int]:
    """Sizes by digest of what a manifest uses, foreign layers apart. Docker schema 1 says no sizes: 0."""
    found: dict[str, int] = {}
    for descriptor in _blob_descriptors(document):
        if not descriptor.get('urls'):
            size = descriptor.get('size')
            found[descriptor['digest']] = size if isinstance(size, int) else 0
    for layer in _listed(document, 'fsLayers'):
        found[layer['blobSum']] = 0
    return found


def foreign_of(document: dict[str, Any]) -> set[str]:
    """The layers that have `urls`: they are stored elsewhere, unless somebody pushed them."""
    return {descriptor['digest'] for descriptor in _blob_descriptors(document) if descriptor.get('urls')}


def _blob_descriptors(document: dict[str, Any]) -> list[dict[str, Any]]:
    in_index = [each for each in _descriptors(document, 'manifests') if not _is_manifest(each)]
    config = document.get('config')
    config = [config] if isinstance(config, dict) and isinstance(config.get('digest'), str) else []
    return [*_descriptors(document, 'layers'), *_descriptors(document, 'blobs'), *config, *in_index]


def _is_manifest(descriptor: dict[str, Any]) -> bool:
    return descriptor.get('mediaType', MANIFEST_TYPES[0]) in MANIFEST_TYPES


def _descriptors(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [entry for entry in _listed(document, key) if isinstance(entry.get('digest'), str)]


def _listed(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = document.get(key)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
