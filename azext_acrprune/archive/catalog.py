"""The index of an archive as it can be used: from its copy, or without what is damaged, where it is not whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from shlex import quote

from .pure.layout import COPY_FILE, INDEX_FILE, Index, NotAnArchive, parse_index
from .target import ArchiveError, Target


@dataclass(frozen=True)
class Catalog:
    """An index, and a sentence on each thing that was wrong with the one that was read."""

    index: Index
    troubles: tuple[str, ...] = ()


def open_catalog(target: Target) -> Catalog | None:
    """The index of an archive, None where there is none yet. Raises ArchiveError, and NotAnArchive for a damaged one.

    Where the index cannot be read, its copy is used. Where it is not as it was written, what it lacks is taken from the
    copy.
    """
    if isinstance(target.made_of_index, Catalog) and target.is_as_read():
        return target.made_of_index
    target.made_of_index = None
    catalog = _opened(target)
    target.made_of_index = catalog
    return catalog


def _opened(target: Target) -> Catalog | None:
    index = _parsed(target)
    if index is None and _parsed(target, copy=True) is None:
        if target.journals():
            raise _unreadable(target, f'{INDEX_FILE} is missing')
        return None
    if isinstance(index, Index) and index.is_whole:
        return Catalog(index)
    copy = _parsed(target, copy=True)
    if not isinstance(index, Index):
        if not isinstance(copy, Index):
            raise _unreadable(target, str(index or f'{INDEX_FILE} is missing'))
        return Catalog(copy, (f'{_what_is_wrong(index)} Its copy {COPY_FILE} is used.',))
    return _without_damage(index, copy)


def catalog_of(target: Target) -> Catalog:
    """The index of an archive that is there. Raises ArchiveError or NotAnArchive."""
    catalog = open_catalog(target)
    if catalog is None:
        raise ArchiveError(
            f"There is no archive '{target.name}'.",
            'Give the archive that a deleting command wrote. Check its name, and that its volume is mounted.',
        )
    return catalog


def index_to_change(target: Target) -> Index | None:
    """The index of an archive that will be written, None where there is none yet.

    Raises ArchiveError while a compaction is not done: what it is about to remove looks as if it were there.
    """
    catalog = open_catalog(target)
    if catalog and catalog.index.compacting:
        raise ArchiveError(
            f"The archive '{target.name}' is being compacted, or that was interrupted.",
            f"Wait for it, or run 'az acr prune archive compact --archive {quote(target.name)}', which goes on.",
        )
    return catalog.index if catalog else None


def _unreadable(target: Target, why: str) -> NotAnArchive:
    return NotAnArchive(
        f"'{target.name}': {why}",
        f"'az acr prune archive repair --archive {quote(target.name)}' makes its index anew from what is in it. "
        'Give another archive if this is none.',
    )


def _parsed(target: Target, copy: bool = False) -> Index | NotAnArchive | None:
    try:
        chunks = target.index(copy)
        return None if chunks is None else parse_index(chunks)
    except NotAnArchive as error:
        return error


def _what_is_wrong(index: Index | NotAnArchive | None) -> str:
    if index is None:
        return f'{INDEX_FILE} is missing.'
    if isinstance(index, NotAnArchive):
        return f'{index}.'
    named = ', '.join(damaged.name for damaged in index.damaged[:3])
    more = f' and {len(index.damaged) - 3} more' if len(index.damaged) > 3 else ''
    return (
        f'{INDEX_FILE} has a damaged entry for {named}{more}.'
        if named
        else f'{INDEX_FILE} is not as it was written: its seal is broken.'
    )


def _without_damage(index: Index, copy: Index | NotAnArchive | None) -> Catalog:
    """What is whole of both; the entries of the index count where both have one."""
    records = copy.with_records(index.records).records if isinstance(copy, Index) else index.records
    names = {record.name for record in records}
    lost = tuple(damaged for damaged in index.damaged if damaged.name not in names)
    troubles = tuple(f'{each.name} is lost: its entry in {INDEX_FILE} is damaged ({each.why}).' for each in lost)
    return Catalog(replace(index, records=tuple(records), damaged=lost), troubles or (_what_is_wrong(index),))
