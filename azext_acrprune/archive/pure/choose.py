"""What of an archive comes back, in which order, over a registry as it is now. Pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from shlex import quote

from ...decide.asked import Asked, NothingAsked, Taken
from ...decide.graph import Graph, build_graph, spread, walk
from ...decide.impact import Node
from ...decide.manifests import is_digest
from ...decide.reasons import CHILD_OF, SUBJECT_OF
from ...model import (
    UNLOCKED,
    Content,
    Failed,
    Ghost,
    Inventory,
    Locks,
    Manifest,
    Repository,
    Skipped,
    in_order,
    parse_ticks,
)
from ...prune_error import Kind, PruneError
from .layout import Kept, Record, blob_path
from .past import Key, Past

EXISTS = 'exists'
TAG_EXISTS = 'tagExists'
NEWER_TAG = 'newerTag'


class NotInArchive(PruneError):
    """An image was asked for that the archive does not hold; the text is its name."""

    kind = Kind.NOT_FOUND
    sentence = "The archive does not hold '{message}'."

    def __init__(self, image: str, archive: str = 'ARCHIVE') -> None:
        super().__init__(image, f"See what it holds with 'az acr prune archive list --archive {quote(archive)}'.")


@dataclass(frozen=True)
class Image:
    """A manifest to push; `needs` are digests that have to be there before, of those that are pushed too.

    One that the registry keeps as `soft_deleted` is brought back from there. `locks` are those that it had.
    """

    repository: str
    digest: str
    media_type: str
    blobs: tuple[tuple[str, int], ...]
    needs: frozenset[str]
    locks: Locks = UNLOCKED
    soft_deleted: bool = False

    @property
    def node(self) -> Node:
        return self.repository, self.digest


@dataclass(frozen=True)
class Restoration:
    """What is pushed back.

    `waves` are pushed one after the other, the images of one wave at the same time. `tags` and `locks` are set on
    manifests that are in the registry after that. `moves` are the {(repository, tag): digest} that are on another
    manifest now and are to be moved. `holders` gives for each blob the repositories that have it. `repository_locks`
    are those of repositories that come back whole. `past` has the times that things had before they went.
    """

    waves: tuple[tuple[Image, ...], ...]
    tags: tuple[Record, ...]
    locks: tuple[Record, ...]
    moves: Mapping[tuple[str, str], str]
    holders: Mapping[str, tuple[str, ...]]
    skipped: tuple[Skipped, ...]
    failed: tuple[Failed, ...]
    repository_locks: Mapping[str, Locks] = field(default_factory=dict)
    past: tuple[Past, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be changed."""
        return not (self.waves or self.tags or self.locks or self.repository_locks)


def choose(
    records: Sequence[Record],
    kept: Mapping[str, Kept],
    blobs: AbstractSet[str],
    inventory: Inventory,
    asked: Asked | None,
    overwrite: bool = False,
    soft_deleted: AbstractSet[Node] = frozenset(),
    begun: Container[Key] = (),
) -> Restoration:
    """What to push of the records of one registry. Raises NotInArchive.

    `kept` are the manifests in the archive, `blobs` all digests in it; `asked` is None for all. What is there already
    is left alone. So is a tag that is on another manifest now, unless it is to `overwrite` that. What the registry
    keeps as `soft_deleted` need not be in the archive. `begun` is what an earlier run had begun to bring back. Locks
    come back on that, and on what comes back now: those of anything else are somebody's wish since.
    """
    if asked and asked.run is not None:
        records = [each for each in records if (each.repository, each.digest, each.tag) in asked.run]
    newest, outdated = _newest_tags(records)
    shelf = _Shelf(records, newest, kept, soft_deleted)
    found = shelf.everything if asked is None else shelf.find(asked)
    nodes = shelf.around(found)
    there, holders = _there(inventory), _holders(inventory)
    failed = shelf.failures(nodes - set(there), blobs, set(blobs) | set(holders))
    pushed = nodes - set(there) - set(failed)
    now = {(name, tag): digest for (name, digest), manifest in there.items() for tag in manifest.tags}
    meant = nodes | found
    settled, skipped, astray = _settle_tags(
        [tag for tag in newest if (tag.repository, tag.digest) in meant], now, set(there) | pushed, overwrite
    )
    images = shelf.images(nodes)
    skipped += [Skipped(*node, EXISTS, 'it is there') for node in images if node in there]
    skipped += [_outdated(old, new) for old, new in outdated if (old.repository, old.digest) in meant]
    tags = [tag for tag in settled if now.get((tag.repository, str(tag.tag))) != tag.digest]
    coming = _coming([*(record for node, record in images.items() if node in pushed), *tags], images, settled, begun)
    return Restoration(
        waves=tuple(shelf.waves(pushed)),
        tags=tuple(tags),
        locks=tuple(_locked(coming, failed)),
        moves={place: now[place] for place in ((tag.repository, str(tag.tag)) for tag in tags) if place in now},
        holders=holders,
        skipped=tuple(skipped),
        failed=(
            *(Failed(*node, error) for node, error in sorted(failed.items())),
            *(each for each in astray if (each.repository, each.digest) not in failed),
        ),
        repository_locks=_repository_locks(coming, inventory, there, begun),
        past=tuple(map(_past, coming)),
    )


def _coming(
    returning: Sequence[Record], images: Mapping[Node, Record], tags: Iterable[Record], begun: Container[Key]
) -> list[Record]:
    """What comes back now, and what of the images and tags an earlier run had begun to bring back."""
    now = {record.key for record in returning}
    resumed = (each for each in (*images.values(), *tags) if each.key not in now and _past(each).key in begun)
    return [*returning, *resumed]


def is_asked_by(asked: Asked) -> Callable[[Record], bool]:
    """Whether a record is asked for."""
    return lambda record: asked.means(_taken(record))


def _taken(record: Record) -> Taken:
    return Taken(record.repository, record.digest, record.tag, parse_ticks(record.archived_at))


def _past(record: Record) -> Past:
    return Past(record.repository, record.digest, record.tag, record.created, record.updated)


def _repository_locks(
    coming: Iterable[Record], inventory: Inventory, there: Iterable[Node], begun: Container[Key]
) -> dict[str, Locks]:
    """The flags of repositories that come back whole: of those that are known to have nothing but what is coming.

    Those of any other repository are somebody's wish since.
    """
    seen = {each.name for each in inventory.repositories}
    others = {each.name for each in inventory.repositories if each.unseen or each.hidden}
    others.update(name for name, digest in there if (name, digest, None) not in begun)
    found: dict[str, Locks] = {}
    for record in coming:
        name = record.repository
        if record.repository_locks.switched_off and name not in others and (inventory.whole or name in seen):
            found[name] = found.get(name, UNLOCKED).and_those(record.repository_locks)
    return found


def _there(inventory: Inventory) -> dict[Node, Manifest]:
    """The manifests that exist in the registry."""
    return {
        (repository.name, digest): manifest
        for repository in inventory.repositories
        for digest, manifest in repository.manifests.items()
        if not isinstance(manifest.content, Ghost)
    }


def _locked(records: Iterable[Record], failed: Container[Node]) -> Iterator[Record]:
    """The records that were locked when they were archived, without those that cannot be restored."""
    return (each for each in records if each.locks.switched_off and (each.repository, each.digest) not in failed)


def _outdated(old: Record, new: Record) -> Skipped:
    because = f'{new.digest} was archived later with it'
    return Skipped(old.repository, old.digest, NEWER_TAG, because, old.tag)


class _Shelf:
    """The manifests of an archive by repository, as a graph each."""

    def __init__(
        self,
        records: Sequence[Record],
        tags: list[Record],
        kept: Mapping[str, Kept],
        soft_deleted: AbstractSet[Node] = frozenset(),
    ) -> None:
        self._soft_deleted = soft_deleted
        self.everything = {(record.repository, record.digest) for record in records}
        self._kept = kept
        self._tags = tags
        self._images = {(record.repository, record.digest): record for record in records if record.tag is None}
        tags_of: dict[str, dict[str, list[str]]] = {}
        for record in tags:
            tags_of.setdefault(record.repository, {}).setdefault(record.digest, []).append(str(record.tag))
        here = _by_repository(self._images)
        self._graphs = {name: self._graph(name, digests, tags_of.get(name, {})) for name, digests in here.items()}

    def find(self, asked: Asked) -> set[Node]:
        """The manifests that are asked for. Raises NotInArchive."""
        items = [_taken(each) for each in (*self._images.values(), *self._tags)]
        try:
            return {(item.repository, item.digest) for item in asked.find(items)}
        except NothingAsked as error:
            raise NotInArchive(str(error)) from error

    def around(self, asked: Iterable[Node]) -> set[Node]:
        """What was asked for, and all that belongs to it: what refers to it, its subject, and its children.

        Those children too that stayed when they were archived, wherever they are by now.
        """
        nodes: set[Node] = set()
        for name, digests in _by_repository(node for node in asked if node in self._images).items():
            graph = self._graphs[name]
            near = {*digests, *spread(digests, graph.neighbours)}
            archived = sorted(digest for digest in near if (name, digest) in self._images)
            nodes.update((name, digest) for digest in walk(archived, graph.below))
        return nodes

    def images(self, nodes: AbstractSet[Node]) -> dict[Node, Record]:
        """The records of those of these that were doomed when they were archived."""
        return {node: record for node, record in sorted(self._images.items()) if node in nodes}

    def failures(self, missing: AbstractSet[Node], held: AbstractSet[str], blobs: AbstractSet[str]) -> dict[Node, str]:
        """Why some of these cannot be pushed: by themselves, or because of what they need.

        `held` are the digests in the archive, `blobs` those that the registry has too.
        """
        alone = sorted(missing - self._soft_deleted)
        own = {node: why for node in alone for why in [self._obstacle(node[1], held, blobs)] if why}
        failed, waiting = dict(own), set(missing)
        for name, digests in _by_repository(own).items():
            above = spread(digests, partial(_above, self._graphs[name]))
            failed.update(
                {
                    (name, digest): f'what it needs cannot be restored: {below}'
                    for digest, (_, below) in above.items()
                    if (name, digest) in waiting and (name, digest) not in own
                }
            )
        return failed

    def waves(self, nodes: AbstractSet[Node]) -> Iterator[tuple[Image, ...]]:
        """Children before indexes, subjects before what refers to them; where these contradict, children first."""
        waiting = set(nodes)
        needs = {node: self._needs(node) for node in nodes}
        children = {node: self._needs(node, CHILD_OF) for node in nodes}
        while waiting:
            free = [node for node in waiting if waiting.isdisjoint(needs[node])]
            free = free or [node for node in waiting if waiting.isdisjoint(children[node])]
            wave = sorted(free or waiting)
            yield tuple(self._image(node) for node in wave)
            waiting.difference_update(wave)

    def _image(self, node: Node) -> Image:
        record, kept = self._images.get(node), self._kept.get(node[1])
        soft_deleted = node in self._soft_deleted
        blobs = kept.content.blobs if kept and not soft_deleted else ()
        return Image(
            *node,
            record.media_type if record else kept.media_type if kept else '',
            tuple((blob.digest, blob.size) for blob in blobs),
            frozenset(digest for _, digest in self._needs(node)),
            record.locks if record else UNLOCKED,
            soft_deleted,
        )

    def _needs(self, node: Node, *relations: str) -> set[Node]:
        name, digest = node
        return {
            (name, other)
            for other, relation in self._graphs[name].neighbours(digest)
            if relation in (relations or (CHILD_OF, SUBJECT_OF)) and other != digest
        }

    def _obstacle(self, digest: str, held: AbstractSet[str], blobs: AbstractSet[str]) -> str | None:
        if digest not in self._kept and digest in held:
            return f'the archive is damaged: {blob_path(digest)} is not what its name says'
        if digest not in self._kept:
            return f'the archive lacks its manifest: there is no {blob_path(digest)}'
        needed = [blob.digest for blob in self._kept[digest].content.blobs]
        if not all(map(is_digest, needed)):
            return 'it refers to a layer by something that is no digest'
        lost = [blob for blob in needed if blob not in blobs]
        return f'its blob {lost[0]} is neither in the archive nor in the registry' if lost else None

    def _graph(self, name: str, digests: Sequence[str], tags: Mapping[str, Sequence[str]]) -> Graph:
        inside = spread(
            digests,
            lambda digest: (
                (child, '') for child in (self._kept[digest].content.children if digest in self._kept else ())
            ),
        )
        return build_graph(
            Repository(
                name,
                {
                    digest: Manifest(
                        digest,
                        self._kept[digest].content if digest in self._kept else Content(0),
                        tuple(tags.get(digest, ())),
                    )
                    for digest in {*digests, *(child for child in inside if child in self._kept)}
                },
            )
        )


def _by_repository(nodes: Iterable[Node]) -> dict[str, list[str]]:
    """The digests of each repository, all in order."""
    found: dict[str, list[str]] = {}
    for name, digest in sorted(nodes):
        found.setdefault(name, []).append(digest)
    return found


def _newest_tags(records: Iterable[Record]) -> tuple[list[Record], list[tuple[Record, Record]]]:
    """Of each tag the record that was archived last; and (older, newest) for the others."""
    newest: dict[tuple[str, str], Record] = {}
    tags = sorted((record for record in records if record.tag), key=lambda record: (record.archived_at, record.digest))
    for record in tags:
        newest[record.repository, str(record.tag)] = record
    outdated = [(record, newest[record.repository, str(record.tag)]) for record in tags]
    return ([newest[key] for key in sorted(newest)], [(old, new) for old, new in outdated if old is not new])


def _settle_tags(
    tags: list[Record], now: Mapping[tuple[str, str], str], present: AbstractSet[Node], overwrite: bool
) -> tuple[list[Record], list[Skipped], list[Failed]]:
    """The tags that will be as they were, those that stay elsewhere, and those whose manifest will not be there.

    `now` are the digests that tags are on.
    """
    settled: list[Record] = []
    skipped: list[Skipped] = []
    astray: list[Failed] = []
    for record in tags:
        on = now.get((record.repository, str(record.tag)), record.digest)
        if (record.repository, record.digest) not in present:
            astray.append(Failed(record.repository, record.digest, 'its manifest is not there', record.tag))
        elif on != record.digest and not overwrite:
            skipped.append(Skipped(record.repository, record.digest, TAG_EXISTS, f'it is on {on} now', record.tag))
        else:
            settled.append(record)
    return settled, skipped, astray


def _above(graph: Graph, digest: str) -> Iterator[tuple[str, str]]:
    """(digest, empty text) of each manifest that can only be pushed after this one, as `spread` asks for them."""
    for other in (*graph.parents.get(digest, ()), *graph.referrers.get(digest, ())):
        yield other, ''


def _holders(inventory: Inventory) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for repository in in_order(inventory.repositories):
        for manifest in repository.manifests.values():
            for blob in manifest.content.blobs if isinstance(manifest.content, Content) else ():
                if repository.name not in found.setdefault(blob.digest, []):
                    found[blob.digest].append(repository.name)
    return {blob: tuple(names) for blob, names in found.items()}
