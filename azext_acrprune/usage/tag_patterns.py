"""Tags by their shape: `pr-123` and `pr-7` are both `pr-*`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..decide.graph import build_graph, spread, user_tags
from ..model import Repository

_BOUNDS = r'(?<![0-9A-Za-z]){}(?![0-9A-Za-z])'
_UUID = re.compile(_BOUNDS.format('[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'), re.IGNORECASE)
_COMMIT = re.compile(_BOUNDS.format('(g?)(?=[a-f]*[0-9])[0-9a-f]{7,}'), re.IGNORECASE)
_NUMBER = re.compile('[0-9]+')


def pattern_of(tag: str) -> str:
    """The tag with `*` for each UUID, each commit (seven or more hex digits by themselves, `g` before them as in
    `git describe` or not), and then for each run of digits."""
    return _NUMBER.sub('*', _COMMIT.sub(r'\1*', _UUID.sub('*', tag)))


def patterns_in(repository: Repository) -> dict[str, tuple[str, ...]]:
    """The patterns that each manifest belongs to, in order; what no tag keeps is not in it.

    They are those of its own tags; for a manifest without one, of all tags that keep it: those of the indexes that it
    is a part of, of what it refers to, and of what refers to it, by any number of steps over others without a tag.
    """
    tagged: dict[str, set[str]] = {}
    for digest, manifest in repository.manifests.items():
        for tag in user_tags(manifest):
            tagged.setdefault(pattern_of(tag), set()).add(digest)
    graph = build_graph(repository)

    def untagged_neighbours(digest: str) -> Iterator[tuple[str, str]]:
        return (
            (other, relation)
            for other, relation in graph.neighbours(digest)
            if not user_tags(repository.manifests[other])
        )

    found: dict[str, list[str]] = {}
    for pattern, digests in sorted(tagged.items()):
        for digest in (*digests, *spread(digests, untagged_neighbours)):
            found.setdefault(digest, []).append(pattern)
    return {digest: tuple(patterns) for digest, patterns in found.items()}
