"""The edges between the manifests of one repository: children, referrers, and attachments by tag."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain

from ..model import Content, Ghost, Manifest, Repository
from .manifests import ATTACHMENT_PREFIX, INDEX_TYPES, attachment_subject, is_fallback_tag
from .reasons import CHILD_OF, REFERRER_OF, SUBJECT_OF


@dataclass(frozen=True)
class Graph:
    """The edges between manifests that exist. A ghost is no node: nobody can pull it.

    Each mapping goes from a digest to digests. `subjects` and `referrers` include attachments by tag. `orphans` has the
    attachments whose tags name no subject that exists, each with the missing digest. `ghosts` has (ghost, relation) for
    the ghosts that a manifest names as a child or a subject, and for those that their own tags attach to it. `named_by`
    is its reverse. Such a ghost stays while the manifest stays: the service deletes the referrers of a subject with it,
    even if the subject is a ghost.
    """

    children: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, tuple[str, ...]]
    referrers: Mapping[str, tuple[str, ...]]
    subjects: Mapping[str, tuple[str, ...]]
    orphans: Mapping[str, str]
    ghosts: Mapping[str, tuple[tuple[str, str], ...]]
    named_by: Mapping[str, tuple[str, ...]]

    @property
    def has_edges(self) -> bool:
        """Whether any manifest stays or goes because of another one."""
        return bool(self.children or self.referrers or self.subjects or self.ghosts)

    def below(self, digest: str) -> tuple[str, ...]:
        """The children of an index; nothing for any other manifest."""
        return self.children.get(digest, ())

    def neighbours(self, digest: str) -> Iterator[tuple[str, str]]:
        """(digest, relation) of each manifest that must stay when this one stays."""
        for child in self.children.get(digest, ()):
            yield child, CHILD_OF
        for referrer in self.referrers.get(digest, ()):
            yield referrer, REFERRER_OF
        for subject in self.subjects.get(digest, ()):
            yield subject, SUBJECT_OF
        yield from self.ghosts.get(digest, ())

    def consequences(self, digest: str) -> Iterator[tuple[str, str]]:
        """(digest, relation) of each manifest that may fall when this one goes."""
        for referrer in self.referrers.get(digest, ()):
            yield referrer, REFERRER_OF
        for child in self.children.get(digest, ()):
            yield child, CHILD_OF

    def parts(self, digest: str) -> list[str]:
        """The digest of an image, followed by those of its children at every depth."""
        return walk([digest], self.below)

    def holders(self, digest: str) -> tuple[str, ...]:
        """The manifests that keep this one while they stay: its indexes and its subjects.

        A ghost is kept by each manifest that names it, its referrers included.
        """
        return tuple(self._held_by(digest))

    def is_held_beyond(self, digest: str, fallen: AbstractSet[str]) -> bool:
        """Whether something keeps this manifest that is not among `fallen`."""
        return any(holder not in fallen for holder in self._held_by(digest))

    def _held_by(self, digest: str) -> Iterator[str]:
        return chain(self.parents.get(digest, ()), self.subjects.get(digest, ()), self.named_by.get(digest, ()))


def user_tags(manifest: Manifest) -> tuple[str, ...]:
    """The tags that people gave. An attachment tag alone keeps no manifest.

    A tag that names its own manifest is a user tag. Carvel's imgpkg gives such tags (`sha256-….imgpkg`) to the images
    of a bundle, so that a clean-up keeps them. A digest with nothing after it attaches only an index; on an image it is
    a user tag, as mirroring tools give it (openshift/oc-mirror#1130).
    """
    if not _has_attachment_tags(manifest):
        return manifest.tags
    return tuple(tag for tag in manifest.tags if subject_of_tag(manifest, tag) is None)


def attached_subjects(manifest: Manifest) -> tuple[str, ...]:
    """The digests that the attachment tags of a manifest name, in order of tag."""
    if not _has_attachment_tags(manifest):
        return ()
    named = (subject_of_tag(manifest, tag) for tag in manifest.tags)
    return tuple(subject for subject in named if subject)


def subject_of_tag(manifest: Manifest, tag: str) -> str | None:
    """The digest that a tag attaches this manifest to, None where it is a user tag."""
    subject = attachment_subject(tag)
    if subject is None or subject == manifest.digest or is_fallback_tag(tag) and not _is_index(manifest):
        return None
    return subject


def _is_index(manifest: Manifest) -> bool:
    """By what the listing calls it; one that has a config is an image, whatever it is called."""
    is_image = isinstance(manifest.content, Content) and manifest.content.config is not None
    return manifest.media_type in INDEX_TYPES and not is_image


def _has_attachment_tags(manifest: Manifest) -> bool:
    """Whether any tag might be an attachment tag. This is a quick check, since few manifests have one."""
    return ATTACHMENT_PREFIX in ' '.join(manifest.tags) if manifest.tags else False


def missing_subject(graph: Graph, manifest: Manifest) -> str | None:
    """The first digest that the attachment tags of a manifest name, when no subject of it exists."""
    attached = attached_subjects(manifest)
    return attached[0] if attached and manifest.digest not in graph.subjects else None


_NO_EDGES = Graph({}, {}, {}, {}, {}, {}, {})


def build_graph(repository: Repository) -> Graph:
    """The graph of one repository, edges in order of digest."""
    naming = sorted((digest, manifest) for digest, manifest in repository.manifests.items() if _names_others(manifest))
    if not naming:  # as with most repositories
        return _NO_EDGES
    edges = _Edges(repository)
    for digest, manifest in naming:
        if digest in edges.nodes:
            edges.add(digest, manifest)
        else:
            edges.add_ghost(digest, manifest)
    return edges.graph()


class _Edges:
    """The edges of a graph while it is built; `nodes` are the manifests that exist."""

    def __init__(self, repository: Repository) -> None:
        self._listed = repository.manifests
        self.nodes = {digest for digest, each in self._listed.items() if not isinstance(each.content, Ghost)}
        self._children: dict[str, list[str]] = {}
        self._parents: dict[str, list[str]] = {}
        self._referrers: dict[str, list[str]] = {}
        self._subjects: dict[str, list[str]] = {}
        self._orphans: dict[str, str] = {}
        self._ghosts: dict[str, list[tuple[str, str]]] = {}
        self._named_by: dict[str, list[str]] = {}

    def add(self, digest: str, manifest: Manifest) -> None:
        """Add all that a manifest names; what is not listed at all is left out."""
        attached = attached_subjects(manifest)
        for child in _children(manifest):
            if child in self.nodes:
                self._children.setdefault(digest, []).append(child)
                self._parents.setdefault(child, []).append(digest)
            elif child in self._listed:
                self._hold_ghost(digest, child, CHILD_OF)
        for subject in _subjects(manifest, attached):
            if subject in self.nodes:
                self._subjects.setdefault(digest, []).append(subject)
                self._referrers.setdefault(subject, []).append(digest)
            elif subject in self._listed:
                self._hold_ghost(digest, subject, SUBJECT_OF)
        if attached and not user_tags(manifest) and digest not in self._subjects:
            self._orphans[digest] = attached[0]

    def add_ghost(self, digest: str, manifest: Manifest) -> None:
        """A ghost needs nothing; what its tags attach it to holds it."""
        for subject in sorted(self.nodes.intersection(attached_subjects(manifest))):
            self._hold_ghost(subject, digest, REFERRER_OF)

    def _hold_ghost(self, digest: str, ghost: str, relation: str) -> None:
        self._ghosts.setdefault(digest, []).append((ghost, relation))
        self._named_by.setdefault(ghost, []).append(digest)

    def graph(self) -> Graph:
        return Graph(
            _frozen(self._children),
            _frozen(self._parents),
            _frozen(self._referrers),
            _frozen(self._subjects),
            self._orphans,
            {digest: tuple(named) for digest, named in self._ghosts.items()},
            _frozen(self._named_by),
        )


def spread(start: Iterable[str], neighbours: Callable[[str], Iterable[tuple[str, str]]]) -> dict[str, tuple[str, str]]:
    """Everything reachable from `start`, breadth first: {digest: (relation, the digest it was reached from)}.

    `start` itself is left out. Each digest is visited once, so cycles end.
    """
    seen = set(start)
    reached: dict[str, tuple[str, str]] = {}
    queue = deque(start)
    while queue:
        digest = queue.popleft()
        for other, relation in neighbours(digest):
            if other not in seen:
                seen.add(other)
                reached[other] = (relation, digest)
                queue.append(other)
    return reached


def walk(start: Iterable[str], onward: Callable[[str], Iterable[str]]) -> list[str]:
    """The digests in `start` and all that can be reached from them, breadth first, each digest once."""
    start = list(start)
    return [*start, *spread(start, lambda digest: ((other, '') for other in onward(digest)))]


def falls_with(digest: str, graph: Graph, may_fall: AbstractSet[str]) -> frozenset[str]:
    """`digest` and all that falls when it alone is deleted, out of `may_fall`.

    Its referrers and attachments fall, and theirs. A child falls with what refers to it when nothing else keeps any of
    them. So an index falls whose subject is its own child: the two keep only each other.
    """

    def referrers(above: str) -> Iterable[str]:
        return (other for other in graph.referrers.get(above, ()) if other in may_fall)

    def onward(above: str) -> Iterable[str]:
        return (other for other, _ in graph.consequences(above) if other in may_fall)

    sure = frozenset(walk([digest], referrers))
    reached = frozenset(walk(sure, onward))
    parts = reached - sure
    held = [other for other in parts if graph.is_held_beyond(other, reached)]
    kept = walk(held, lambda stays: (other for other, _ in graph.neighbours(stays) if other in parts))
    return reached.difference(kept)


def deletion_waves(graph: Graph, doomed: AbstractSet[str]) -> Iterator[list[str]]:
    """`doomed` in waves; the manifests of one wave may be deleted at the same time.

    An index goes before its children, and a subject before its referrers. Where these two orders contradict each other
    (an index whose subject is its own child, a cycle of attachment tags), only an index before its children counts.
    """
    waiting = set(doomed)
    while waiting:
        free = [digest for digest in waiting if not waiting.intersection(graph.holders(digest))]
        free = free or [digest for digest in waiting if not waiting.intersection(graph.parents.get(digest, ()))]
        wave = sorted(free or waiting)
        yield wave
        waiting.difference_update(wave)


def deletion_batches(graph: Graph, doomed: AbstractSet[str], at_least: int) -> Iterator[list[str]]:
    """`doomed` in batches without an edge between them, so that one can be finished before the next is begun.

    Manifests without any edge are one batch. Of the others, each batch has `at_least` digests, or a few more.
    """

    def tied(digest: str) -> Iterator[tuple[str, str]]:
        others = (
            *(other for other, _ in graph.consequences(digest)),
            *graph.holders(digest),
            *(ghost for ghost, _ in graph.ghosts.get(digest, ())),
        )
        return ((other, '') for other in others if other in waiting)

    waiting = set(doomed)
    alone: list[str] = []
    batch: list[str] = []
    for digest in sorted(doomed):
        if digest in waiting:
            group = [digest, *spread([digest], tied)]
            waiting.difference_update(group)
            (alone if len(group) == 1 else batch).extend(group)
        if len(batch) >= at_least:
            yield batch
            batch = []
    yield from (part for part in (batch, alone) if part)


def missing_children(repository: Repository, digest: str) -> tuple[str, ...]:
    """The children that an index lacks. Behind a cache rule it lacks none: a pull brings them (artifact-cache)."""
    return () if repository.cached else absent_children(repository, digest)


def absent_children(repository: Repository, digest: str) -> tuple[str, ...]:
    """The children that an index names and that are not there, or are ghosts; what it brings along is not missing."""
    content = repository.manifests[digest].content
    inlined = content.inlined if isinstance(content, Content) else ()
    return tuple(
        child
        for child in _children(repository.manifests[digest])
        if child not in inlined
        and (child not in repository.manifests or isinstance(repository.manifests[child].content, Ghost))
    )


def _children(manifest: Manifest) -> tuple[str, ...]:
    return manifest.content.children if isinstance(manifest.content, Content) else ()


def _names_others(manifest: Manifest) -> bool:
    content = manifest.content
    return _has_attachment_tags(manifest) or isinstance(content, Content) and bool(content.children or content.subject)


def _subjects(manifest: Manifest, attached: Sequence[str]) -> Sequence[str]:
    subject = manifest.content.subject if isinstance(manifest.content, Content) else None
    return sorted({*attached, subject}) if subject else sorted({*attached})


def _frozen(edges: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {digest: tuple(others) for digest, others in edges.items()}
