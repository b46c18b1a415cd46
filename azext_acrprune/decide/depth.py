"""How deep manifests are nested. Nobody nests deeper than a few levels; where they do, to follow edges takes long.

A manifest that is too deep counts as unreadable, so that it, and whatever it may need, stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..model import Content, Manifest, Unreadable
from .graph import attached_subjects

DEEPEST = 64
"""So many manifests may be below one: children of children, and subjects of subjects."""

TOO_DEEP = Unreadable(f'it is nested more than {DEEPEST} deep')


def within_depth(manifests: Mapping[str, Manifest]) -> Mapping[str, Manifest]:
    """The manifests of a repository, with those unreadable that have a longer way below them than is followed."""
    below = {digest: named for digest, manifest in manifests.items() if (named := tuple(_below(manifest)))}
    if len(below) <= DEEPEST:  # as in most repositories
        return manifests
    deep = {digest: manifests[digest].having(TOO_DEEP) for digest, depth in _depths(below).items() if depth > DEEPEST}
    return {**manifests, **deep} if deep else manifests


def _below(manifest: Manifest) -> Iterator[str]:
    if isinstance(manifest.content, Content):
        yield from manifest.content.children
        if manifest.content.subject is not None:
            yield manifest.content.subject
    yield from attached_subjects(manifest)


def _depths(below: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The length of the longest way down from each of these; each edge is followed once, and cycles end."""
    depths: dict[str, int] = {}
    for start in below:
        path = [] if start in depths else [(start, iter(below[start]))]
        depths.setdefault(start, 1)
        while path:
            digest, rest = path[-1]
            unseen = _next_unseen(digest, rest, below, depths)
            if unseen is not None:
                path.append((unseen, iter(below[unseen])))
                continue
            path.pop()
            if path:
                above = path[-1][0]
                depths[above] = max(depths[above], depths[digest] + 1)
    return depths


def _next_unseen(
    digest: str, rest: Iterator[str], below: Mapping[str, Sequence[str]], depths: dict[str, int]
) -> str | None:
    """The next one below that leads on and was not seen; those that were seen make this one deeper."""
    for other in rest:
        if other not in below:
            continue
        if other not in depths:
            depths[other] = 1
            return other
        depths[digest] = max(depths[digest], depths[other] + 1)
    return None
