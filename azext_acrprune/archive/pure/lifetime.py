"""What of an archive is older than somebody wants it, and what in it is needed by nothing any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from ...decide.graph import walk
from ...decide.manifests import is_digest
from ...model import parse_ticks
from .layout import Index, Kept, Record


def expired(index: Index, before: int) -> tuple[Index, tuple[Record, ...]]:
    """(the index without what was archived before an instant in ticks, what that is).

    What has no readable time stays. The runs of that time go too.
    """
    gone = tuple(record for record in index.records if _is_before(record.archived_at, before))
    left = tuple(record for record in index.records if not _is_before(record.archived_at, before))
    runs = tuple(run for run in index.runs if not _is_before(run.archived_at, before))
    return (replace(index, records=left, runs=runs), gone) if gone else (index, ())


def _is_before(time: str | None, before: int) -> bool:
    ticks = parse_ticks(time)
    return ticks is not None and ticks < before


def needed_blobs(index: Index, kept: Mapping[str, Kept]) -> frozenset[str]:
    """The digests that something in an archive needs; `kept` are its manifests, as far as they can be read."""
    inside = walk(sorted(manifests_of(index)), lambda each: kept[each].content.children if each in kept else ())
    contents = [kept[digest].content for digest in inside if digest in kept]
    blobs = {blob.digest for content in contents for blob in (*content.blobs, *content.unmeasured)}
    return frozenset(inside) | blobs | {run.digest for run in index.runs}


def manifests_of(index: Index) -> frozenset[str]:
    """The manifests that an index names, in damaged entries and in those of other tools too."""
    entries = (*index.others, *(damaged.entry for damaged in index.damaged))
    named = (str(entry.get('digest')) for entry in entries if isinstance(entry, dict))
    return frozenset(digest for digest in named if is_digest(digest)) | {record.digest for record in index.records}


def without(index: Index, lost: AbstractSet[str]) -> tuple[Index, tuple[Record, ...]]:
    """(the index without records of manifests that are lost, these records)."""
    gone = tuple(record for record in index.records if record.digest in lost)
    return replace(index, records=tuple(record for record in index.records if record.digest not in lost)), gone


def merged(indexes: Iterable[Index], runs: Iterable[Index]) -> Index:
    """One index of all that any of these has; of what several have the later one, as `Index.with_records` takes it."""
    found = Index()
    earlier = sorted(runs, key=lambda run: max((record.archived_at for record in run.records), default=''))
    for each in (*earlier, *indexes):
        newer = {record.key: record.archived_at for record in found.records}
        found = found.with_records(record for record in each.records if record.archived_at >= newer.get(record.key, ''))
        known = [other.get('digest') for other in found.others if isinstance(other, dict)]
        others = [other for other in each.others if not (isinstance(other, dict) and other.get('digest') in known)]
        found = replace(found, others=(*found.others, *others))
        for run in each.runs:
            found = found.with_run(run)
    return found
