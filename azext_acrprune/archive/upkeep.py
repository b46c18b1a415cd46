"""Look after an archive: verify, expire, compact and repair it. None of this asks a registry.

Killed at any moment, an archive is as it was or as it will be: an index is replaced whole, and blobs are removed after
no index names them. While they are, the index says so, and nobody adds to it: what is about to be removed looks as if
it were there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from shlex import quote
from uuid import uuid4

from ..decide.graph import walk
from ..decide.manifests import MAX_MANIFEST_BYTES, read_manifest
from ..model import Content
from .catalog import Catalog, catalog_of, index_to_change
from .patience import NO_PATIENCE, Patience, writing
from .pure.layout import (
    RUN_BEGINS,
    Index,
    Kept,
    NotAnArchive,
    Record,
    index_pieces,
    nameless_descriptor,
    parse_index,
    run_of,
    salvaged_index,
)
from .pure.lifetime import expired, manifests_of, merged, needed_blobs, without
from .stored import READERS, manifest_bytes, read_kept, type_of
from .target import ArchiveError, Target

_BATCH = 256


@dataclass(frozen=True)
class Verified:
    """What reading every byte of an archive gave.

    `damaged` says of digests why they are no good; `broken` are the records of images that cannot come back whole, with
    the reason; `bare` those of which only manifests were archived.
    """

    sizes: Mapping[str, int]
    index: Index
    damaged: Mapping[str, str]
    broken: tuple[tuple[Record, str], ...]
    bare: tuple[Record, ...]
    troubles: tuple[str, ...]


def verify(target: Target, heard: Callable[[int], None] = lambda _: None) -> Verified:
    """Read every blob and compare it with its digest. Raises ArchiveError or NotAnArchive."""
    catalog = catalog_of(target)
    sizes = target.sizes()

    def why(digest: str) -> str | None:
        try:
            return _damage(target, digest)
        except ArchiveError as error:
            return f'it cannot be read: {error}'
        finally:
            heard(sizes[digest])

    with ThreadPoolExecutor(READERS) as threads:
        ordered = sorted(sizes)
        damaged = {digest: told for digest, told in zip(ordered, threads.map(why, ordered), strict=True) if told}
    images = [record for record in catalog.index.records if record.tag is None]
    with_blobs: dict[str, bool] = {}
    for record in images:
        if record.image_size is not None:  # what has no blobs lacks none
            with_blobs[record.digest] = with_blobs.get(record.digest, False) or record.image_size != record.size
    kept = read_kept(target, (record.digest for record in images))
    present = set(sizes) - set(damaged)
    broken: list[tuple[Record, str]] = []
    bare: list[Record] = []
    for record in images:
        told, is_bare = _image(record, kept, present, with_blobs)
        if is_bare:
            bare.append(record)
        elif told:
            broken.append((record, told))
    return Verified(sizes, catalog.index, damaged, tuple(broken), tuple(bare), catalog.troubles)


def _damage(target: Target, digest: str) -> str | None:
    """Why the bytes of a blob are no good."""
    algorithm, _, expected = digest.partition(':')
    content = hashlib.new(algorithm)
    size = 0
    for chunk in target.chunks(digest):
        content.update(chunk)
        size += len(chunk)
    return None if content.hexdigest() == expected else f'its {size} bytes are not those of its digest'


def _image(
    record: Record, kept: Mapping[str, Kept], present: set[str], with_blobs: Mapping[str, bool]
) -> tuple[str | None, bool]:
    """(why an image cannot come back from the archive alone, whether only manifests of it were archived)

    What is inside an index counts, too. `with_blobs` says of digests whether they were archived with their blobs; of
    others only the manifest was, where all blobs are missing.
    """
    if record.digest not in kept:
        return ('its manifest is missing or damaged', False)

    def inside(digest: str) -> list[str]:
        content = kept[digest].content if digest in kept else Content(0)
        return [child for child in content.children if child in kept or child not in content.inlined]

    is_bare = False
    for digest in walk([record.digest], inside):
        if digest not in kept:
            return (f'its child {digest} is missing or damaged', False)
        blobs = [blob.digest for blob in kept[digest].content.blobs]
        lost = [blob for blob in blobs if blob not in present]
        if lost and with_blobs.get(digest, len(lost) < len(blobs)):
            return (f'its blob {lost[0]} is missing or damaged', False)
        is_bare = is_bare or bool(lost)
    return (None, is_bare)


@dataclass(frozen=True)
class Expiry:
    """What expires: the records, and the index without them."""

    gone: tuple[Record, ...]
    index: Index


def find_expired(target: Target, before: int) -> Expiry:
    """What was archived before an instant in ticks. Raises ArchiveError or NotAnArchive."""
    index, gone = expired(index_to_change(target) or Index(), before)
    return Expiry(gone, index)


def expire(target: Target, before: int, patience: Patience = NO_PATIENCE) -> Expiry:
    """Take out of the index what was archived before an instant; its blobs stay until the archive is compacted.

    Raises ArchiveBusy while a run writes to the archive.
    """
    with writing(target, patience):
        found = find_expired(target, before)
        if found.gone:
            target.replace_index(index_pieces(found.index))
        return found


@dataclass(frozen=True)
class Garbage:
    """The blobs that nothing in an archive needs, with their bytes."""

    sizes: Mapping[str, int]

    @property
    def size(self) -> int:
        return sum(self.sizes.values())


def find_garbage(target: Target) -> Garbage:
    """What compacting would remove. Raises ArchiveError where it is not known what is needed, and NotAnArchive."""
    return _garbage(target, catalog_of(target))


def compact(target: Target, patience: Patience = NO_PATIENCE) -> Garbage:
    """Remove the blobs that nothing in the archive needs; an interrupted compaction goes on.

    Raises ArchiveBusy while a run writes to the archive.
    """
    with writing(target, patience):
        catalog = catalog_of(target)
        index, garbage = catalog.index, _garbage(target, catalog)
        if garbage.sizes or index.compacting:
            target.replace_index(index_pieces(replace(index, compacting=uuid4().hex)))
            for batch in _batches(sorted(garbage.sizes)):
                target.remove(batch)
            target.replace_index(index_pieces(replace(index, compacting=None)))
        return garbage


def _batches(digests: list[str]) -> Iterator[list[str]]:
    return (digests[start : start + _BATCH] for start in range(0, len(digests), _BATCH))


def _garbage(target: Target, catalog: Catalog) -> Garbage:
    """Raises ArchiveError where an entry or a manifest cannot be read: what it needs is not known, and stays."""
    index = catalog.index
    if catalog.troubles:
        raise ArchiveError(
            f"The index of the archive '{target.name}' is damaged, so it is not known which blobs it needs: "
            f'{catalog.troubles[0]} Nothing was removed.',
            f"'az acr prune archive repair --archive {quote(target.name)}' makes it anew from what is in the archive.",
        )
    sizes = target.sizes()
    roots = manifests_of(index)
    kept = read_kept(target, roots)
    needed = needed_blobs(index, kept)
    manifests = {record.digest for record in index.records}
    manifests |= {child for each in kept.values() for child in each.content.children if child in sizes}
    unknown = sorted(manifests - set(kept)) + sorted(_others_unread(target, index, kept, sizes))
    if unknown:
        raise ArchiveError(
            f"The archive '{target.name}' has {len(unknown)} manifests that cannot be read, so it is not known which "
            f'blobs they need: {", ".join(unknown[:3])}. Nothing was removed.',
            f"'az acr prune archive verify --archive {quote(target.name)}' says what is damaged, and 'az acr prune "
            f"archive repair --archive {quote(target.name)}' takes out what cannot come back.",
        )
    return Garbage({digest: size for digest, size in sizes.items() if digest not in needed})


def _others_unread(target: Target, index: Index, kept: Mapping[str, Kept], sizes: Mapping[str, int]) -> Iterator[str]:
    """What other tools put in that says it is a manifest and cannot be read as one."""
    named = manifests_of(index) - {record.digest for record in index.records}
    for digest in named - set(kept):
        if digest in sizes and manifest_bytes(target, digest)[:1] == b'{':
            yield digest


@dataclass(frozen=True)
class Repair:
    """What an index is after it was made anew, and what was done for that.

    `lost` are records whose manifests are missing or damaged, `found` those that the old index did not have, and
    `nameless` manifests of which nothing says where they were. `changes` is whether the index or its copy is another.
    """

    index: Index
    changes: bool
    lost: tuple[Record, ...]
    found: tuple[Record, ...]
    nameless: tuple[str, ...]


def find_repair(target: Target) -> Repair:
    """The index as it can be made from the old one, its copy, and what each run wrote of itself.

    Raises ArchiveError.
    """
    before = [index for index in (_salvaged(target, copy) for copy in (False, True)) if index]
    sizes = target.sizes()
    runs, manifests = _looked_into(target, sizes)
    index = merged(before, runs.values())
    for digest, run in runs.items():
        index = index.with_run(run_of(run, digest))
    index, lost = without(index, {record.digest for record in index.records} - set(manifests))
    nameless = () if any(each.records for each in before) or runs else tuple(sorted(_tops(index, manifests)))
    others = [nameless_descriptor(digest, manifests[digest]) for digest in nameless]
    known = {record.key for each in before for record in each.records}
    found = tuple(record for record in index.records if record.key not in known)
    index = replace(index, others=(*index.others, *others), compacting=None)
    written = b''.join(index_pieces(index))
    changes = any(_bytes_of_index(target, copy) != written for copy in (False, True))
    return Repair(index, changes, lost, found, nameless)


def repair(target: Target, patience: Patience = NO_PATIENCE) -> Repair:
    """Replace the index by one that is made anew. Raises ArchiveBusy while a run writes to the archive."""
    with writing(target, patience):
        found = find_repair(target)
        target.replace_index(index_pieces(found.index))
        return found


def _salvaged(target: Target, copy: bool) -> Index | None:
    """What can be read of an index, or of its copy."""
    data = _bytes_of_index(target, copy)
    if data is None:
        return None
    try:
        return parse_index(data)
    except NotAnArchive:
        return salvaged_index(data)


def _bytes_of_index(target: Target, copy: bool) -> bytes | None:
    chunks = target.index(copy)
    return None if chunks is None else b''.join(chunks)


def _looked_into(target: Target, sizes: Mapping[str, int]) -> tuple[dict[str, Index], dict[str, Kept]]:
    """(what runs wrote of themselves, manifests), by digest: all that is whole among the blobs."""
    runs: dict[str, Index] = {}
    manifests: dict[str, Kept] = {}

    def look(digest: str) -> Index | Kept | None:
        try:
            return _looked_at(target, digest, sizes[digest])
        except (ArchiveError, NotAnArchive):
            return None

    ordered = sorted(sizes)
    with ThreadPoolExecutor(READERS) as threads:
        for digest, found in zip(ordered, threads.map(look, ordered), strict=True):
            if isinstance(found, Index):
                runs[digest] = found
            elif found:
                manifests[digest] = found
    return runs, manifests


def _looked_at(target: Target, digest: str, size: int) -> Index | Kept | None:
    """A blob as what it is: of others not more than the first chunk is read."""
    chunks = target.chunks(digest)
    data = next(chunks, b'')
    is_run = data.startswith(RUN_BEGINS)
    if not data.startswith(b'{') or not (is_run or size <= MAX_MANIFEST_BYTES):
        return None
    data += b''.join(chunks)
    if is_run:
        algorithm, _, expected = digest.partition(':')
        whole = hashlib.new(algorithm, data).hexdigest() == expected
        return parse_index(data) if whole else None
    content = read_manifest(digest, data)
    is_manifest = isinstance(content, Content) and bool(content.config or content.children or content.blobs)
    return Kept(content, type_of(data)) if isinstance(content, Content) and is_manifest else None


def _tops(index: Index, manifests: Mapping[str, Kept]) -> set[str]:
    """The manifests that neither an index nor another manifest names."""
    inside = {child for each in manifests.values() for child in each.content.children}
    return set(manifests) - inside - manifests_of(index)
