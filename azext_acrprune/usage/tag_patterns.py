"""Patterns of tags (`pr-123` and `pr-7` are both `pr-*`), and the rows of a usage document for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import groupby

from ..decide.graph import build_graph, user_tags, walk
from ..decide.impact import kind_of_freed, unread_referrers
from ..model import APPROXIMATE, Repository
from .attribution import Share, shares
from .fields import TAGS_LISTED, push_times
from .usage_rows import Holdings, Row, Rows

PatternKey = tuple[str, str | None]
"""(repository, pattern); the pattern is None for what no tag keeps."""

_BOUNDS = r'(?<![0-9A-Za-z]){}(?![0-9A-Za-z])'
_UUID = re.compile(_BOUNDS.format('[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'), re.IGNORECASE)
_COMMIT = re.compile(_BOUNDS.format('(g?)(?=[a-f]*[0-9])[0-9a-f]{7,}'), re.IGNORECASE)
_NUMBER = re.compile('[0-9]+')


def pattern_of(tag: str) -> str:
    """The tag with `*` for each UUID, then for each commit, then for each run of digits.

    A commit is a word of seven or more hex digits. A `g` before it stays, as in the tags of `git describe`.
    """
    return _NUMBER.sub('*', _COMMIT.sub(r'\1*', _UUID.sub('*', tag)))


def patterns_in(repository: Repository) -> dict[str, tuple[str, ...]]:
    """The patterns of each manifest, in order. Manifests that no tag keeps are left out.

    A manifest with tags has the patterns of its own tags. A manifest without tags has those of all tags that keep it:
    of the indexes that it is a part of, of its subjects and of its referrers, over any number of untagged manifests
    between them.
    """
    tagged: dict[str, set[str]] = {}
    for digest, manifest in repository.manifests.items():
        for tag in user_tags(manifest):
            tagged.setdefault(pattern_of(tag), set()).add(digest)
    graph = build_graph(repository)

    def untagged_neighbours(digest: str) -> Iterator[str]:
        return (other for other, _ in graph.neighbours(digest) if not user_tags(repository.manifests[other]))

    found: dict[str, list[str]] = {}
    for pattern, digests in sorted(tagged.items()):
        for digest in walk(digests, untagged_neighbours):
            found.setdefault(digest, []).append(pattern)
    return {digest: tuple(patterns) for digest, patterns in found.items()}


def pattern_rows(known: Holdings, number: int) -> Rows:
    """Rows for patterns. The bytes of a manifest are divided evenly over its patterns, but each of them stores it."""
    of_pattern = shares(known.view, known.appeared, _patterns_of)
    listed = nsmallest(number, of_pattern, key=lambda key: (-of_pattern[key].size, key[0], key[1] or ''))
    rows: dict[PatternKey, Row] = {}
    for name, same in groupby(sorted(listed, key=lambda key: key[0]), key=lambda key: key[0]):
        rows.update(_rows_in(known, known.ledger.repositories[name], {key: of_pattern[key] for key in same}))
    others = [share for key, share in of_pattern.items() if key not in rows]
    return [rows[key] for key in listed], {'rowsLeftOut': len(others), **known.share_fields(others)} if others else None


def _patterns_of(repository: Repository) -> Mapping[str, Sequence[PatternKey]]:
    found = patterns_in(repository)
    return {
        digest: [(repository.name, pattern) for pattern in found.get(digest, (None,))]
        for digest in repository.manifests
    }


def _rows_in(
    known: Holdings, repository: Repository, wanted: Mapping[PatternKey, Share]
) -> Iterator[tuple[PatternKey, Row]]:
    members: dict[PatternKey, list[str]] = {key: [] for key in wanted}
    alone: dict[PatternKey, list[str]] = {key: [] for key in wanted}
    tags: dict[PatternKey, list[str]] = {key: [] for key in wanted}
    for digest, keys in _patterns_of(repository).items():
        for key in wanted.keys() & set(keys):
            members[key].append(digest)
            alone[key].extend([digest] if len(keys) == 1 else ())
        for tag in user_tags(repository.manifests[digest]):
            tags.get((repository.name, pattern_of(tag)), []).append(tag)
    for key, share in wanted.items():
        yield key, _row(known, repository, key[1], members[key], alone[key], sorted(tags[key]), share)


def _row(
    known: Holdings,
    repository: Repository,
    pattern: str | None,
    digests: list[str],
    alone: list[str],
    tags: list[str],
    share: Share,
) -> Row:
    """The row of one pattern. `uniqueBytes` would be freed if the manifests went that only this pattern keeps."""
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
        'impact': _kind(known, repository, digests),
        **push_times(repository, digests),
        **known.pulled(repository.name, digests, tags),
    }


def _kind(known: Holdings, repository: Repository, digests: Iterable[str]) -> str:
    """What the bytes of a pattern are. What was not read, or not listed, may give its pattern to anything here."""
    if repository.unseen is not None or unread_referrers(repository):
        return APPROXIMATE
    return kind_of_freed(known.view.inventory, known.ledger, [(repository.name, each) for each in digests])
