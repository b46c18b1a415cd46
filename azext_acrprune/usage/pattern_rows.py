"""Rows of a usage document: tags of a repository by their shape, and what no tag keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import groupby

from ..decide.graph import user_tags
from ..model import Repository
from .attribution import Share, shares
from .fields import TAGS_LISTED, push_times
from .tag_patterns import pattern_of, patterns_in
from .usage_rows import Known, Row, Rows

Pattern = tuple[str, str | None]
"""(repository, pattern); the pattern is None for what no tag keeps."""


def pattern_rows(known: Known, number: int) -> Rows:
    """Patterns; a manifest that several of them keep is attributed to these evenly, and stored in each."""
    of_pattern = shares(known.view, known.appeared, _patterns_of)
    listed = nsmallest(number, of_pattern, key=lambda key: (-of_pattern[key].size, key[0], key[1] or ''))
    rows: dict[Pattern, Row] = {}
    for name, same in groupby(sorted(listed, key=lambda key: key[0]), key=lambda key: key[0]):
        rows.update(_rows_in(known, known.ledger.repositories[name], {key: of_pattern[key] for key in same}))
    others = [share for key, share in of_pattern.items() if key not in rows]
    return [rows[key] for key in listed], {'rows': len(others), **known.share_fields(others)} if others else None


def _patterns_of(repository: Repository) -> Mapping[str, Sequence[Pattern]]:
    found = patterns_in(repository)
    return {
        digest: [(repository.name, pattern) for pattern in found.get(digest, (None,))]
        for digest in repository.manifests
    }


def _rows_in(known: Known, repository: Repository, wanted: Mapping[Pattern, Share]) -> Iterator[tuple[Pattern, Row]]:
    members: dict[Pattern, list[str]] = {key: [] for key in wanted}
    alone: dict[Pattern, list[str]] = {key: [] for key in wanted}
    tags: dict[Pattern, list[str]] = {key: [] for key in wanted}
    for digest, keys in _patterns_of(repository).items():
        for key in wanted.keys() & set(keys):
            members[key].append(digest)
            alone[key].extend([digest] if len(keys) == 1 else ())
        for tag in user_tags(repository.manifests[digest]):
            tags.get((repository.name, pattern_of(tag)), []).append(tag)
    for key, share in wanted.items():
        yield key, _row(known, repository, key[1], members[key], alone[key], sorted(tags[key]), share)


def _row(
    known: Known,
    repository: Repository,
    pattern: str | None,
    digests: list[str],
    alone: list[str],
    tags: list[str],
    share: Share,
) -> Row:
    """`uniqueBytes` would be freed if all that this pattern alone keeps went."""
    holding = known.ledger.holding((repository.name, digest) for digest in digests)
    unique = known.ledger.bytes_freed_by((repository.name, digest) for digest in alone)
    return {
        'repository': repository.name,
        'pattern': pattern,
        'tags': tags[:TAGS_LISTED],
        'tagCount': len(tags),
        'manifests': len(digests),
        'totalBytes': holding.total,
        'storedBytes': holding.stored,
        'uniqueBytes': unique,
        'sharedBytes': holding.stored - unique,
        **known.share_fields([share]),
        **push_times(repository, digests),
        **known.pulled(repository.name, digests, tags),
    }
