"""The manifests that are in an archive. Pure, but for the target that they are read from.

Whoever may write to an archive says what is in it: nothing of it is believed that its digest does not prove.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..decide.manifests import MAX_MANIFEST_BYTES, is_digest, read_manifest
from ..model import Content, Document
from ..registry.protocol.listings import is_media_type
from .pure.layout import Kept, Record, parse_index
from .target import ArchiveError, NotKept, Target

_OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
_OCI_INDEX = 'application/vnd.oci.image.index.v1+json'


@dataclass(frozen=True)
class Archived:
    """What an archive holds of one registry: records, manifests by digest, and the digests of all its blobs."""

    records: tuple[Record, ...]
    kept: Mapping[str, Kept]
    blobs: frozenset[str]


def read_archive(target: Target, registry: str) -> Archived:
    """What can be restored to a registry. Raises ArchiveError or NotAnArchive."""
    data = target.index()
    if data is None:
        raise ArchiveError(f"There is no archive '{target.name}'.", 'Give the archive that a deleting command wrote.')
    index = parse_index(data)
    records = tuple(record for record in index.records if record.registry == registry)
    if not records:
        others = sorted({record.registry for record in index.records})
        raise ArchiveError(
            f"The archive '{target.name}' holds nothing of '{registry}'"
            f'{", only of " + ", ".join(others) if others else ""}.',
            'Give the registry that was archived; skopeo copies from an archive to any other.',
        )
    return Archived(records, read_kept(target, (record.digest for record in records)), frozenset(target.sizes()))


def read_kept(target: Target, digests: Iterable[str]) -> Mapping[str, Kept]:
    """These manifests and all that they need to be pulled, by digest; what is missing or damaged is left out."""
    found: dict[str, Kept] = {}
    waiting, seen = sorted(digests), set()
    while waiting:
        digest = waiting.pop()
        if digest in seen:
            continue
        seen.add(digest)
        try:
            data = manifest_bytes(target, digest)
        except ArchiveError:
            continue
        content = read_manifest(digest, data)
        if isinstance(content, Content):
            content = _with_foreign_layers(target, content)
            found[digest] = Kept(content, type_of(data))
            waiting.extend(content.children)
    return found


def _with_foreign_layers(target: Target, content: Content) -> Content:
    """The content with the foreign layers that the archive holds among its blobs; the others are stored elsewhere."""
    held = tuple(blob for blob in content.unmeasured if is_digest(blob.digest) and target.holds(blob.digest))
    left = tuple(blob for blob in content.unmeasured if blob not in held)
    return content._replace(blobs=held + content.blobs, unmeasured=left)


def manifest_bytes(target: Target, digest: str) -> bytes:
    """What a target has under the digest of a manifest, unverified; not much more than a manifest may have.

    Raises ArchiveError.
    """
    data = bytearray()
    for chunk in target.chunks(digest):
        data += chunk
        if len(data) > MAX_MANIFEST_BYTES:
            break
    return bytes(data)


def verified(digest: str, data: bytes) -> bytes:
    """The bytes of a manifest. Raises NotKept when they are not those of its digest."""
    if not isinstance(read_manifest(digest, data), Content):
        raise NotKept(f'the bytes of {digest} are damaged')
    return data


def type_of(data: bytes, listed: str | None = None) -> str:
    """The media type that a registry lists, or that a manifest gives itself; an older one may give none."""
    document: Document = json.loads(data)
    for named in (listed, document.get('mediaType')):
        if named is not None and is_media_type(named):
            return named
    return _OCI_INDEX if 'manifests' in document else _OCI_IMAGE
