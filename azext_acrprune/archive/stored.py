"""The manifests that are in an archive, and its journals. Pure, but for the target that they are read from.

Whoever may write to an archive says what is in it: nothing of it is believed that its digest does not prove.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from shlex import quote

from ..decide.graph import spread
from ..decide.manifests import MAX_MANIFEST_BYTES, attachment_subject, is_digest, read_manifest
from ..decide.named import ImageName
from ..model import Content, Document
from ..registry.protocol.listings import is_media_type
from .catalog import catalog_of
from .pure.layout import MAX_INDEX_BYTES, OCI_IMAGE, OCI_INDEX, Kept, Record, parse_index
from .target import ArchiveError, NotKept, Target

READERS = 16
"""Manifests that are read at a time: most of the time is waiting, for a disk or a storage account."""


@dataclass(frozen=True)
class Archived:
    """What an archive holds of one registry: records, manifests by digest, and the digests of its blobs.

    `troubles` are sentences on what is wrong with its index.
    """

    records: tuple[Record, ...]
    kept: Mapping[str, Kept]
    blobs: frozenset[str]
    troubles: tuple[str, ...] = ()


class HoldsOthers(ArchiveError):
    """An archive that holds nothing of the registry that is asked for, but of `registries`, if of any."""

    def __init__(self, why: str, advice: str, registries: tuple[str, ...]) -> None:
        super().__init__(why, advice)
        self.registries = registries


IsAsked = Callable[[Record], bool]
"""Whether somebody asked for the manifest, or the tag, of a record."""


def named(images: Iterable[ImageName]) -> IsAsked:
    """What asks for images by name; of a tag for each manifest that ever had it."""
    names = {(image.repository, image.tag or image.digest) for image in images}
    return lambda record: (record.repository, record.tag or record.digest) in names


def read_archive(target: Target, registry: str, is_asked: IsAsked | None = None) -> Archived:
    """What was archived of a registry. Raises ArchiveError, HoldsOthers or NotAnArchive.

    With `is_asked` no more is read than that and what belongs to it. Records of other manifests are left out then, but
    those of tags in the same repositories are not: which one of a tag is the newest is judged later.
    """
    catalog = catalog_of(target)
    records = tuple(record for record in catalog.index.records if record.registry == registry)
    if not records:
        others = tuple(sorted({record.registry for record in catalog.index.records}))
        raise HoldsOthers(
            f"The archive '{target.name}' holds nothing of '{registry}'"
            f'{", only of " + ", ".join(others) if others else ""}.',
            f"'az acr prune archive list --archive {quote(target.name)}' shows what it holds. Name the registry "
            f'that was archived with --from-registry{" " + others[0] if others else ""}.',
            others,
        )
    if is_asked is None:
        kept = read_kept(target, (record.digest for record in records))
        return Archived(records, kept, frozenset(target.sizes()), catalog.troubles)
    records, kept = _near(target, records, is_asked)
    return Archived(
        records, kept, frozenset(target.held(_blobs_in(kept) | {record.digest for record in records})), catalog.troubles
    )


def _near(
    target: Target, records: Iterable[Record], is_asked: IsAsked
) -> tuple[tuple[Record, ...], Mapping[str, Kept]]:
    """The records, and the manifests, of what is asked for and of all that belongs to it."""
    asked: dict[str, set[str]] = {}
    here: dict[str, list[Record]] = {}
    for record in records:
        here.setdefault(record.repository, []).append(record)
        if is_asked(record):
            asked.setdefault(record.repository, set()).add(record.digest)
    kept: dict[str, Kept] = {}
    near: list[Record] = []
    for name, digests in sorted(asked.items()):
        digests, found = _belonging(target, here[name], digests)
        kept.update(found)
        near += [record for record in here[name] if record.tag or record.digest in digests]
    return tuple(near), kept


def _belonging(target: Target, records: list[Record], digests: set[str]) -> tuple[set[str], dict[str, Kept]]:
    """The digests in one repository that belong to some, each with what the archive keeps of it."""
    kept = dict(read_kept(target, {record.digest for record in records if record.subject is None}))
    edges = _edges(records, kept)
    while True:
        kept.update(read_kept(target, digests - set(kept)))
        for digest in digests & set(kept):
            content = kept[digest].content
            for other in (*content.children, *([content.subject] if content.subject else [])):
                edges.setdefault(digest, set()).add(other)
        near = {*digests, *spread(sorted(digests), lambda each: ((other, '') for other in edges.get(each, ())))}
        if near == digests:
            return digests, {digest: each for digest, each in kept.items() if digest in digests}
        digests = near


def _edges(records: list[Record], kept: Mapping[str, Kept]) -> dict[str, set[str]]:
    """From each manifest to those that refer to it, and to what its own tags attach it to, as the records tell."""
    edges: dict[str, set[str]] = {}
    for record in records:
        subject = record.subject
        if subject is None and record.digest in kept:
            subject = kept[record.digest].content.subject
        attached = attachment_subject(record.tag) if record.tag else None
        for other in (subject, attached):
            if other:
                edges.setdefault(other, set()).add(record.digest)
                edges.setdefault(record.digest, set()).add(other)
    return edges


def _blobs_in(kept: Mapping[str, Kept]) -> set[str]:
    return {blob.digest for each in kept.values() for blob in each.content.blobs if is_digest(blob.digest)}


def read_kept(target: Target, digests: Iterable[str]) -> Mapping[str, Kept]:
    """These manifests and all that they need to be pulled, by digest; what is missing or damaged is left out."""
    found: dict[str, Kept] = {}
    seen: set[str] = set()
    wave = sorted(digests)
    with ThreadPoolExecutor(READERS) as threads:
        while wave:
            seen.update(wave)
            read = threads.map(lambda digest: _kept(target, digest), wave)
            found.update((digest, kept) for digest, kept in zip(wave, read, strict=True) if kept)
            children = {child for digest in wave if digest in found for child in found[digest].content.children}
            wave = sorted(children - seen)
    return found


def _kept(target: Target, digest: str) -> Kept | None:
    with suppress(ArchiveError):
        data = manifest_bytes(target, digest)
        content = read_manifest(digest, data)
        if isinstance(content, Content):
            return Kept(_with_foreign_layers(target, content), type_of(data))
    return None


def _with_foreign_layers(target: Target, content: Content) -> Content:
    """The content with the foreign layers that the archive holds among its blobs; the others are stored elsewhere."""
    if not content.unmeasured:
        return content
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


def journal_bytes(target: Target, run: str) -> bytes:
    """The journal of a run as it is in an archive. Raises ArchiveError, also for one that nobody can hold in memory."""
    data = bytearray()
    for chunk in target.journal(run):
        data += chunk
        if len(data) > MAX_INDEX_BYTES:
            raise ArchiveError(
                f"The journal of the run '{run}' in the archive '{target.name}' is too large to be read.",
                f"Restore what is missing by name, with 'az acr prune restore -r {{target}} "
                f"--archive {quote(target.name)} --image REPOSITORY:TAG'.",
            )
    return bytes(data)


def records_of_run(target: Target, run: str) -> tuple[Record, ...]:
    """What one run archived, by what it wrote beside its blobs. Raises ArchiveError or NotAnArchive."""
    blobs = [each.digest for each in catalog_of(target).index.runs if each.name == run]
    return tuple(record for digest in blobs for record in _run_records(target, digest))


def _run_records(target: Target, digest: str) -> tuple[Record, ...]:
    data = b''.join(target.chunks(digest))
    whole = f'sha256:{hashlib.sha256(data).hexdigest()}' == digest
    return parse_index(data).records if whole else ()


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
    return OCI_INDEX if 'manifests' in document else OCI_IMAGE
