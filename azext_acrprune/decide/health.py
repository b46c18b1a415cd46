"""What is wrong in a registry: one definition, for the warnings of a plan and for `az acr prune check`."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import AbstractSet, Any, Callable, Dict, Iterable, Iterator, Mapping, Optional

from ..model import Content, Ghost, Inventory, Manifest, Repository, Unreadable
from ..pins.pinned import printable
from .graph import Graph, attached_subjects, missing_children
from .impact import Ledger

BROKEN = 'broken'
"""Pulling it fails, or it can never be cleaned up as it is."""
HINT = 'hint'
"""Worth knowing, and nothing that anybody pulls is broken by it."""

GHOST = 'ghost'
UNREADABLE = 'unreadable'
MISSING_CHILDREN = 'missingChildren'
ORPHAN_ATTACHMENT = 'orphanAttachment'
SIZE_MISMATCH = 'sizeMismatch'


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a manifest, or with `tag` of it. `code` is stable, `message` is for people.

    `data` is JSON-ready: what a program wants to know of it.
    """

    code: str
    severity: str
    repository: str
    digest: str
    message: str
    tag: Optional[str] = None
    data: Mapping[str, Any] = field(default_factory=dict)


def content_findings(inventory: Inventory, graph_of: Callable[[Repository], Graph],
                     stays: Callable[[str, str], bool], ledger: Ledger) -> Iterator[Finding]:
    """What is wrong with the content of manifests.

    An index without all its children is BROKEN where it `stays` (repository, digest), else it goes with the next
    clean-up and is a HINT.
    """
    for repository in inventory.repositories:
        orphans = graph_of(repository).orphans
        for digest, manifest in repository.manifests.items():
            if isinstance(manifest.content, Content):
                yield from _partial(repository, digest, stays)
            else:
                yield from _without_content(repository, manifest)
            if digest in orphans and not _are_elsewhere(inventory, attached_subjects(manifest)):
                yield Finding(ORPHAN_ATTACHMENT, HINT, repository.name, digest,
                              f'The subject {orphans[digest]} of this attachment does not exist.',
                              data={'subject': orphans[digest]})
    if not ledger.consistent:
        yield from _disputed(inventory)


def _without_content(repository: Repository, manifest: Manifest) -> Iterator[Finding]:
    if isinstance(manifest.content, Ghost):
        yield Finding(GHOST, BROKEN, repository.name, manifest.digest,
                      'The registry lists this manifest but does not have it; it frees nothing and protects nothing.')
    if isinstance(manifest.content, Unreadable):
        yield Finding(UNREADABLE, BROKEN, repository.name, manifest.digest,
                      f'The manifest could not be read: {printable(manifest.content.reason)}.')


def _partial(repository: Repository, digest: str, stays: Callable[[str, str], bool]) -> Iterator[Finding]:
    missing = missing_children(repository, digest)
    if missing:
        severity = BROKEN if stays(repository.name, digest) else HINT
        yield Finding(MISSING_CHILDREN, severity, repository.name, digest,
                      f'The index names {len(missing)} manifests that are not there: {missing[0]}.')


def _are_elsewhere(inventory: Inventory, subjects: Iterable[str]) -> bool:
    """Whether any of these exists in any repository: cosign can keep signatures in one of their own."""
    return any(digest in repository.manifests and not isinstance(repository.manifests[digest].content, Ghost)
               for digest in subjects for repository in inventory.repositories)


def _disputed(inventory: Inventory) -> Iterator[Finding]:
    """The manifests that say another size of a layer than most; where there is no majority, all of them."""
    said = _sizes_said(inventory)
    for repository in inventory.repositories:
        for digest, manifest in repository.manifests.items():
            blobs = [blob for blob in manifest.content.blobs if blob.digest in said
                     and _usual(said[blob.digest]) != {blob.size}] if isinstance(manifest.content, Content) else []
            if blobs:
                first = blobs[0]
                other = next(size for size in sorted(said[first.digest]) if size != first.size)
                yield Finding(
                    SIZE_MISMATCH, BROKEN, repository.name, digest,
                    f'It says that the layer {printable(first.digest)} has {first.size:,} bytes, and other manifests '
                    f'say {other:,}; the larger size counts.',
                    data={'blobs': [{'digest': printable(blob.digest), 'size': blob.size} for blob in blobs]})


def _sizes_said(inventory: Inventory) -> Mapping[str, Counter]:
    """{blob: how many manifests say which size} of the blobs whose sizes manifests do not agree about."""
    said: Dict[str, Counter] = {}
    for repository in inventory.repositories:
        for manifest in repository.manifests.values():
            for blob in manifest.content.blobs if isinstance(manifest.content, Content) else ():
                said.setdefault(blob.digest, Counter())[blob.size] += 1
    return {blob: sizes for blob, sizes in said.items() if len(sizes) > 1}


def _usual(sizes: Counter) -> AbstractSet[int]:
    most = max(sizes.values())
    return {size for size, count in sizes.items() if count == most}
