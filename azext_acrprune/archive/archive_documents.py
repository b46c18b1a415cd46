"""What is in an archive, and what became of it, as the documents that `archive` commands answer with. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from ..exit_reasons import DONE, FAILED, NOTHING_TO_DO, WOULD_CHANGE
from ..model import Document
from .catalog import Catalog
from .pure.layout import Index, Kept, Record
from .upkeep import Expiry, Garbage, Repair, Verified


def list_document(archive: str, catalog: Catalog, is_wanted: Callable[[Record], bool]) -> Document:
    """The images of an archive that are wanted, by name, each with its tags, and how many there are.

    `imageSize` is None where an earlier version archived the image. Images share layers: their sizes do not add up.
    """
    tags: dict[tuple[str, str, str], list[str]] = {}
    rows: dict[tuple[str, str, str], Record] = {}
    for record in catalog.index.records:
        node = record.registry, record.repository, record.digest
        if record.tag:
            tags.setdefault(node, []).append(record.tag)
        if record.tag is None or node not in rows:
            rows[node] = record
    images = [_row(record, sorted(tags.get(node, ()))) for node, record in sorted(rows.items()) if is_wanted(record)]
    return {
        'summary': {
            'archive': archive,
            'images': len(images),
            'tags': sum(len(image['tags']) for image in images),
            **_span(image['archivedAt'] for image in images),
        },
        'images': images,
        'warnings': _warnings(catalog.troubles),
    }


def _warnings(troubles: Iterable[str]) -> list[Document]:
    """What is wrong with the index of an archive, as every document says its warnings."""
    return [{'code': 'archiveIndex', 'repository': None, 'digest': None, 'message': trouble} for trouble in troubles]


def _row(record: Record, tags: list[str]) -> Document:
    """`manifestDeleted` is false where only tags were removed, and the manifest stayed."""
    return {
        'registry': record.registry,
        'repository': record.repository,
        'digest': record.digest,
        'tags': tags,
        'mediaType': record.media_type,
        'archivedAt': record.archived_at,
        'createdTime': record.created,
        'lastUpdateTime': record.updated,
        'imageSize': record.image_size,
        'locks': list(record.locks.switched_off),
        'manifestDeleted': record.tag is None,
    }


def _span(times: Iterable[str]) -> Document:
    """The first and the last of some times."""
    known = sorted(times)
    return {'firstArchivedAt': known[0] if known else None, 'lastArchivedAt': known[-1] if known else None}


def show_document(
    archive: str, catalog: Catalog, sizes: Mapping[str, int], journals: Iterable[str], cost: Document
) -> Document:
    """An archive as a whole: what it holds, how much that takes and costs, and the runs that wrote it."""
    index, images = catalog.index, [record for record in catalog.index.records if record.tag is None]
    kept, by_run = set(journals), Counter(record.archived_at for record in images)
    names = {run.name for run in index.runs}
    runs = [
        {
            'run': run.name,
            'archivedAt': run.archived_at,
            'images': by_run[run.archived_at],
            'hasJournal': run.name in kept,
        }
        for run in index.runs
    ]
    runs += [{'run': name, 'archivedAt': None, 'images': None, 'hasJournal': True} for name in sorted(kept - names)]
    return {
        'summary': {
            'archive': archive,
            'images': len(images),
            'tags': len(index.records) - len(images),
            'blobs': len(sizes),
            'storedBytes': sum(sizes.values()),
            **_span(record.archived_at for record in index.records),
            'isCompacting': index.compacting is not None,
        },
        'cost': cost,
        'repositories': _repositories(images),
        'runs': runs,
        'warnings': _warnings(catalog.troubles),
    }


def _repositories(images: list[Record]) -> list[Document]:
    """How many images are of each repository, and from when to when they were archived."""
    times: dict[tuple[str, str], list[str]] = {}
    for record in images:
        times.setdefault((record.registry, record.repository), []).append(record.archived_at)
    return [
        {'registry': registry, 'repository': name, 'images': len(each), **_span(each)}
        for (registry, name), each in sorted(times.items())
    ]


def image_document(archive: str, index: Index, records: list[Record], kept: Kept, held: Mapping[str, int]) -> Document:
    """One image of an archive with its blobs; `records` are those of its manifest and its tags."""
    tags = sorted(record.tag for record in records if record.tag)
    image = next((record for record in records if record.tag is None), records[0])
    blobs = [
        {'digest': blob.digest, 'size': blob.size, 'inArchive': blob.digest in held} for blob in kept.content.blobs
    ]
    return {
        'archive': archive,
        **_row(image, tags),
        'size': image.size,
        'children': list(kept.content.children),
        'subject': kept.content.subject,
        'blobs': blobs,
        'isWhole': all(blob['inArchive'] for blob in blobs),
        'referrers': sorted(
            record.digest
            for record in index.records
            if record.tag is None and record.repository == image.repository and record.subject == image.digest
        ),
    }


def verify_document(archive: str, verified: Verified) -> Document:
    """What verifying found; `failed` counts what cannot come back."""
    images = [record for record in verified.index.records if record.tag is None]
    tags: dict[tuple[str, str, str], list[str]] = {}
    for record in verified.index.records:
        if record.tag:
            tags.setdefault((record.registry, record.repository, record.digest), []).append(record.tag)
    return {
        'summary': {
            'archive': archive,
            'blobs': len(verified.sizes),
            'storedBytes': sum(verified.sizes.values()),
            'damagedBlobs': len(verified.damaged),
            'images': len(images),
            'wholeImages': len(images) - len(verified.broken) - len(verified.bare),
            'manifestsAlone': len(verified.bare),
            'failed': len(verified.broken) + len(verified.index.damaged),
        },
        'damaged': [{'digest': digest, 'error': why} for digest, why in sorted(verified.damaged.items())],
        'failed': [
            {
                'repository': record.repository,
                'digest': record.digest,
                'tags': tags.get((record.registry, record.repository, record.digest), []),
                'error': why,
            }
            for record, why in verified.broken
        ],
        'warnings': _warnings(verified.troubles),
        'exitReason': FAILED if verified.broken or verified.index.damaged or verified.damaged else DONE,
    }


def expire_document(archive: str, expiry: Expiry, is_dry_run: bool) -> Document:
    """What was, or would be, taken out of the index."""
    images = [record for record in expiry.gone if record.tag is None]
    return {
        'summary': {
            'archive': archive,
            'dryRun': is_dry_run,
            'imagesExpired': len(images),
            'tagsExpired': len(expiry.gone) - len(images),
            'imagesLeft': sum(1 for record in expiry.index.records if record.tag is None),
        },
        'expired': _named(expiry.gone),
        'exitReason': _changed(bool(expiry.gone), is_dry_run),
    }


def compact_document(archive: str, garbage: Garbage, is_dry_run: bool) -> Document:
    """What was, or would be, removed."""
    return {
        'summary': {
            'archive': archive,
            'dryRun': is_dry_run,
            'blobsRemoved': len(garbage.sizes),
            'removedBytes': garbage.size,
        },
        'removed': [{'digest': digest, 'size': size} for digest, size in sorted(garbage.sizes.items())],
        'exitReason': _changed(bool(garbage.sizes), is_dry_run),
    }


def repair_document(archive: str, repaired: Repair, is_dry_run: bool) -> Document:
    """What the new index has, and what came to it or is lost."""
    return {
        'summary': {
            'archive': archive,
            'dryRun': is_dry_run,
            'images': sum(1 for record in repaired.index.records if record.tag is None),
            'found': len(repaired.found),
            'lost': len(repaired.lost),
            'nameless': len(repaired.nameless),
        },
        'found': _named(repaired.found),
        'lost': _named(repaired.lost),
        'nameless': list(repaired.nameless),
        'exitReason': _changed(repaired.changes, is_dry_run),
    }


def _changed(is_changed: bool, is_dry_run: bool) -> str:
    if not is_changed:
        return NOTHING_TO_DO
    return WOULD_CHANGE if is_dry_run else DONE


def _named(records: Iterable[Record]) -> list[Document]:
    return [
        {'repository': record.repository, 'digest': record.digest, 'tag': record.tag, 'archivedAt': record.archived_at}
        for record in records
    ]
