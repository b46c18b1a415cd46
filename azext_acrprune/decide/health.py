"""What is wrong in a registry. The warnings of a plan and `az acr prune check` both use these findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from ..model import Blob, Content, Ghost, Inventory, Locks, Manifest, Repository, Unreadable
from ..spelling import printable
from .graph import Graph, absent_children, attached_subjects, subject_of_tag, user_tags
from .manifests import INDEX_TYPES

BROKEN = 'broken'
"""Pulling it fails, or it stops every clean-up of its repository."""
HINT = 'hint'
"""Worth knowing. Everything that people pull by a tag is whole."""

GHOST = 'ghost'
UNREADABLE_MANIFEST = 'unreadable'
MISSING_CHILDREN = 'missingChildren'
EMPTY_INDEX = 'emptyIndex'
SIZE_MISMATCH = 'sizeMismatch'
ORPHAN_ATTACHMENT = 'orphanAttachment'
ORPHAN_REFERRER = 'orphanReferrer'
ORPHAN_TAG = 'attachmentTagWithoutSubject'
TAG_LOCKED_ALONE = 'tagLockedAlone'
MANIFEST_LOCKED_ALONE = 'manifestLockedAlone'
LEFT_UNLOCKED = 'leftUnlocked'
"""Also the code of the warning of a plan."""
LOCK_CODES = (TAG_LOCKED_ALONE, MANIFEST_LOCKED_ALONE)

MOST_LISTED = 100
"""The number of missing children or of layers that a finding lists: a manifest may name tens of thousands."""

GraphOf = Callable[[Repository], Graph]
Stays = Callable[[str, str], bool]
"""Whether a manifest (repository, digest) stays in every clean-up, because something needs it."""
IsOurs = Callable[[str, str], bool]
"""Whether `az acr prune pins lock` locked a manifest (repository, digest)."""


@dataclass(frozen=True)
class Everywhere:
    """All repositories that were read. With `whole`, there are no others, and nothing in them is hidden.

    With `chosen`, the others are those that nobody asked for.
    """

    repositories: Sequence[Repository]
    whole: bool
    chosen: bool = False

    @classmethod
    def of(cls, inventory: Inventory) -> Everywhere:
        read = inventory.repositories
        hidden = any(repository.unseen for repository in read)
        chosen = not (inventory.whole or hidden or inventory.warnings)
        return cls(read, inventory.whole and not hidden, chosen)

    def has_any(self, digests: Sequence[str]) -> bool:
        """Whether any of these digests is in any repository. Cosign can keep signatures in another repository."""
        return any(_exists(repository, digest) for repository in self.repositories for digest in digests)

    @property
    def absence(self) -> str:
        """What is said of something that none of them has."""
        return 'does not exist' if self.whole else 'is in none of the repositories that were read'


def _exists(repository: Repository, digest: str) -> bool:
    if digest in repository.hidden:
        return True
    return digest in repository.manifests and not isinstance(repository.manifests[digest].content, Ghost)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a manifest, or with its `tag`.

    `code` is stable, `message` is for people, and `data` has JSON-ready details for programs.
    """

    code: str
    severity: str
    repository: str
    digest: str
    message: str
    tag: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def content_findings(
    repositories: Sequence[Repository], graph_of: GraphOf, stays: Stays, everywhere: Everywhere, consistent: bool
) -> Iterator[Finding]:
    """What is wrong with the content of manifests.

    An index without all its children is BROKEN when it stays. When it does not stay, the next clean-up takes it, and it
    is a HINT. The subject of an attachment may be anywhere. Sizes of layers are compared when they are not
    `consistent`.
    """
    for repository in repositories:
        orphans = graph_of(repository).orphans
        for digest, manifest in repository.manifests.items():
            if isinstance(manifest.content, Content):
                if manifest.content.children:
                    yield from _partial(repository, digest, stays)
            else:
                yield from _without_content(repository, manifest)
            if digest in orphans and not everywhere.has_any(attached_subjects(manifest)):
                yield Finding(
                    ORPHAN_ATTACHMENT,
                    HINT,
                    repository.name,
                    digest,
                    f'The subject {orphans[digest]} of this attachment {everywhere.absence}.',
                    data={'subject': orphans[digest]},
                )
    if not consistent:
        yield from _disputed(repositories)


def other_findings(
    repositories: Sequence[Repository], graph_of: GraphOf, everywhere: Everywhere, is_ours: IsOurs
) -> Iterator[Finding]:
    """What else is worth knowing: empty indexes, referrers and tags without a subject, locks that do not agree.

    What `pins lock` locked is as it is to be: it locks manifests and no tags.
    """
    for repository in repositories:
        graph = graph_of(repository)
        for digest, manifest in repository.manifests.items():
            if isinstance(manifest.content, Content):
                yield from _empty(repository, manifest, manifest.content)
                yield from _without_subject(repository, manifest, manifest.content, everywhere)
                if digest not in graph.orphans:
                    yield from _orphan_tags(repository, manifest, everywhere)
            if not is_ours(repository.name, digest):
                yield from _locks_that_differ(repository, manifest)


def _without_content(repository: Repository, manifest: Manifest) -> Iterator[Finding]:
    if isinstance(manifest.content, Ghost):
        yield Finding(
            GHOST,
            BROKEN,
            repository.name,
            manifest.digest,
            'The registry lists this manifest but does not have it; it frees nothing and protects nothing.',
        )
    if isinstance(manifest.content, Unreadable):
        yield Finding(
            UNREADABLE_MANIFEST,
            BROKEN,
            repository.name,
            manifest.digest,
            f'The manifest could not be read: {printable(manifest.content.reason)}.',
        )


def _partial(repository: Repository, digest: str, stays: Stays) -> Iterator[Finding]:
    missing = absent_children(repository, digest)
    if missing:
        content = repository.manifests[digest].content
        total = len(content.children) if isinstance(content, Content) else 0
        yield Finding(
            MISSING_CHILDREN,
            BROKEN if stays(repository.name, digest) and not repository.cached else HINT,
            repository.name,
            digest,
            f'The index lacks {len(missing)} of its {total} manifests: {missing[0]}.'
            + (' A cache rule brings them when somebody pulls them.' if repository.cached else ''),
            data={
                'missing': list(missing[:MOST_LISTED]),
                'lacking': len(missing),
                'children': total,
                'empty': len(missing) == total,
            },
        )


def _empty(repository: Repository, manifest: Manifest, content: Content) -> Iterator[Finding]:
    """An index without any child or blob, which people pull by a tag.

    With an artifact type, or with annotations, it may be an artifact that needs no more.
    """
    if (
        manifest.media_type in INDEX_TYPES
        and not (content.children or content.blobs or content.unmeasured)
        and user_tags(manifest)
        and manifest.artifact_type is None
        and not content.annotations
    ):
        yield Finding(
            EMPTY_INDEX,
            BROKEN,
            repository.name,
            manifest.digest,
            'The index names no manifest at all: there is nothing to pull by its tags.',
        )


def _without_subject(
    repository: Repository, manifest: Manifest, content: Content, everywhere: Everywhere
) -> Iterator[Finding]:
    if content.subject is not None and not everywhere.has_any((content.subject,)):
        yield Finding(
            ORPHAN_REFERRER,
            HINT,
            repository.name,
            manifest.digest,
            f'It refers to {content.subject}, which {everywhere.absence}.',
            data={'subject': content.subject},
        )


def _orphan_tags(repository: Repository, manifest: Manifest, everywhere: Everywhere) -> Iterator[Finding]:
    for tag in set(manifest.tags).difference(user_tags(manifest)):
        subject = subject_of_tag(manifest, tag)
        if subject and not everywhere.has_any((subject,)):
            yield Finding(
                ORPHAN_TAG,
                HINT,
                repository.name,
                manifest.digest,
                f'The tag attaches it to {subject}, which {everywhere.absence}.',
                tag,
                {'subject': subject},
            )


def _locks_that_differ(repository: Repository, manifest: Manifest) -> Iterator[Finding]:
    """A tag and its manifest of which only one is locked. Who locks one of them wants to keep both."""
    for tag in user_tags(manifest):
        known = repository.tags.get(tag)
        if known and known.digest == manifest.digest and known.locks.locked != manifest.locks.locked:
            if known.locks.locked:
                yield _lock_finding(
                    TAG_LOCKED_ALONE,
                    repository,
                    manifest,
                    tag,
                    known.locks,
                    'The tag is locked and its manifest is not',
                )
            else:
                yield _lock_finding(
                    MANIFEST_LOCKED_ALONE,
                    repository,
                    manifest,
                    tag,
                    manifest.locks,
                    'The manifest is locked and this tag of it is not, so that it can be moved',
                )


def _lock_finding(code: str, repository: Repository, manifest: Manifest, tag: str, locks: Locks, text: str) -> Finding:
    return Finding(
        code,
        HINT,
        repository.name,
        manifest.digest,
        f'{text} ({", ".join(locks.flags)}).',
        tag,
        {'locks': list(locks.flags)},
    )


def _disputed(repositories: Sequence[Repository]) -> Iterator[Finding]:
    """The manifests that give another size for a layer than most others do. Without a majority, all of them."""
    said = _sizes_said(repositories)
    usual = {blob: _usual(sizes) for blob, sizes in said.items()}
    for repository in repositories:
        for digest, manifest in repository.manifests.items():
            blobs = (
                [blob for blob in manifest.content.blobs if usual.get(blob.digest, {blob.size}) != {blob.size}]
                if isinstance(manifest.content, Content)
                else []
            )
            if blobs:
                first = blobs[0]
                other = min(size for size in said[first.digest] if size != first.size)
                yield Finding(
                    SIZE_MISMATCH,
                    BROKEN,
                    repository.name,
                    digest,
                    f'It says that the layer {printable(first.digest)} has {first.size:,} bytes, and other manifests '
                    f'say {other:,}; the larger size counts.',
                    data={'blobs': [{'digest': blob.digest, 'size': blob.size} for blob in blobs[:MOST_LISTED]]},
                )


def _sizes_said(repositories: Sequence[Repository]) -> Mapping[str, Counter[int]]:
    """{blob: {size: number of manifests that give it}} for the blobs with more than one size."""
    first: dict[str, int] = {}
    said: dict[str, Counter[int]] = {
        blob.digest: Counter() for blob in _blobs(repositories) if first.setdefault(blob.digest, blob.size) != blob.size
    }
    for blob in _blobs(repositories):
        if blob.digest in said:
            said[blob.digest][blob.size] += 1
    return said


def _blobs(repositories: Sequence[Repository]) -> Iterator[Blob]:
    """Each blob of each manifest that was read."""
    for repository in repositories:
        for manifest in repository.manifests.values():
            if isinstance(manifest.content, Content):
                yield from manifest.content.blobs


def _usual(sizes: Counter[int]) -> AbstractSet[int]:
    most = max(sizes.values())
    return {size for size, count in sizes.items() if count == most}
