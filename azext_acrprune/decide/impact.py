"""The bytes that a deletion frees. A registry stores each blob once, so the sizes of images do not add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter

from ..model import (
    APPROXIMATE,
    EXACT,
    LOWER_BOUND,
    UPPER_BOUND,
    Blob,
    Content,
    Inventory,
    Manifest,
    NotRead,
    Repository,
    Unreadable,
)
from .manifests import has_no_edges

Node = tuple[str, str]
"""(repository, digest)"""

_blobs_of = attrgetter('blobs')
_digest_of = attrgetter('digest')
_size_of = attrgetter('size')


@dataclass(frozen=True)
class Impact:
    """The bytes that a decision frees.

    `freed` includes `freed_manifests`. `staying` has the blobs of doomed images that stay, and `shared` is their size.
    `alone` has for each repository the bytes that its part of the decision frees by itself. `unique` has, by repository
    and digest, the bytes that only this manifest holds.
    """

    freed: int
    freed_manifests: int
    shared: int
    registry: int
    staying: frozenset[str]
    alone: Mapping[str, int]
    unique: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Holding:
    """The bytes of some manifests of one repository and of their blobs.

    `total` counts a blob for each manifest that has it, `stored` counts each blob once, and `unique` counts the blobs
    that no other manifest holds.
    """

    total: int
    stored: int
    unique: int

    @property
    def shared(self) -> int:
        return self.stored - self.unique


@dataclass(frozen=True)
class Ledger:
    """Which manifests hold which bytes, over the whole registry.

    `manifests` counts those that were read, and `unread` those that were not and are no ghosts. With `hidden`,
    something is there that was not listed, or a blob of which nobody knows whether it is stored. `sizes` has the bytes
    of every blob. Where manifests give different sizes, the largest counts and `consistent` is false. `shared_by` has
    the number of holders of each blob with more than one. `copied` has the number of repositories of each manifest that
    is in more than one. What a manifest holds is not listed again: a million such lists take a gigabyte.
    """

    repositories: Mapping[str, Repository]
    manifests: int
    sizes: Mapping[str, int]
    shared_by: Mapping[str, int]
    copied: Mapping[str, int]
    registry_bytes: int
    consistent: bool
    unread: int = 0
    hidden: bool = False

    @property
    def whole(self) -> bool:
        """Whether all that may hold bytes was read."""
        return not self.unread and not self.hidden

    def unread_among(self, nodes: Iterable[Node]) -> int:
        """How many of the nodes were not read and are no ghosts."""
        if not self.unread:
            return 0
        manifests = (
            self.repositories[name].manifests.get(digest) for name, digest in nodes if name in self.repositories
        )
        return sum(manifest is not None and _is_unread(manifest) for manifest in manifests)

    def is_cut(self, nodes: Iterable[Node]) -> bool:
        """Whether something was not listed in a repository of these nodes."""
        if not self.hidden:
            return False
        repositories = {name for name, _ in nodes if name in self.repositories}
        return any(self.repositories[name].unseen is not None for name in repositories)

    def holders(self, blob: str) -> int:
        """How many read manifests hold a blob."""
        return self.shared_by.get(blob, 1)

    def copies(self, digest: str) -> int:
        """How many repositories hold a manifest that was read."""
        return self.copied.get(digest, 1)

    def freed_by(self, doomed: Iterable[Node]) -> frozenset[str]:
        """The blobs that no manifest holds any more once `doomed` are gone."""
        return self._freed(self._held_by(self._contents(doomed)))

    def bytes_freed_by(self, doomed: Iterable[Node]) -> int:
        """The bytes that are freed once `doomed` are gone.

        They are those of the blobs that no manifest holds any more, and of the manifests that no other repository has.
        """
        contents = list(self._contents(doomed))
        return self._sum(self._freed(self._held_by(contents))) + self._manifest_bytes(contents)

    def holding(self, nodes: Iterable[Node]) -> Holding:
        """What some manifests of one repository hold."""
        contents = list(self._contents(nodes))
        held = self._held_by(contents)
        manifests = sum(content.size for _, content in contents)
        return Holding(
            total=sum(self.sizes[blob] * times for blob, times in held.items()) + manifests,
            stored=self._sum(held) + manifests,
            unique=self._sum(self._freed(held)) + self._manifest_bytes(contents),
        )

    def holding_alone(self, node: Node, going: Sequence[Node]) -> Holding:
        """What an image holds with all that goes when it alone is deleted. Where nothing goes, nothing is freed."""
        holding = self.holding(going or [node])
        return holding if going else replace(holding, unique=0)

    def impact(self, doomed: Iterable[Node]) -> Impact:
        """The bytes that are freed when all of `doomed` go at once, and the blobs of theirs that stay."""
        unique: dict[str, dict[str, int]] = {}
        freed: dict[str, int] = {}
        manifests = 0
        held: dict[str, int] = {}
        copies: list[tuple[str, Content]] = []
        for name, digests in _by_repository(doomed).items():
            contents = list(self._contents((name, digest) for digest in digests))
            unique[name] = {digest: self._unique_bytes(digest, content) for digest, content in contents}
            freed[name] = sum(unique[name].values())
            for blob, count in self._held_by_several(contents).items():
                if count == self.shared_by[blob]:
                    freed[name] += self.sizes[blob]
                else:
                    held[blob] = held.get(blob, 0) + count
            manifests += sum(content.size for digest, content in contents if digest not in self.copied)
            copies += [(digest, content) for digest, content in contents if digest in self.copied]
        together = self._freed(held)  # what is in several repositories
        staying, last = frozenset(held) - together, self._manifest_bytes(copies)
        return Impact(
            freed=sum(freed.values()) + self._sum(together) + last,
            freed_manifests=manifests + last,
            shared=self._sum(staying),
            registry=self.registry_bytes,
            staying=staying,
            alone=freed,
            unique=unique,
        )

    def _contents(self, nodes: Iterable[Node]) -> Iterator[tuple[str, Content]]:
        """(digest, content) of each of the nodes that was read."""
        for name, digest in nodes:
            manifest = self.repositories[name].manifests.get(digest) if name in self.repositories else None
            if manifest and isinstance(manifest.content, Content):
                yield digest, manifest.content

    @staticmethod
    def _held_by(contents: Iterable[tuple[str, Content]]) -> dict[str, int]:
        return Counter(_digests_in(contents))

    def _unique_bytes(self, digest: str, content: Content) -> int:
        shared = self.shared_by
        blobs = sum(size for blob, size in content.blobs if blob not in shared)
        return blobs + (0 if digest in self.copied else content.size)

    def _held_by_several(self, contents: Iterable[tuple[str, Content]]) -> dict[str, int]:
        return Counter(filter(self.shared_by.__contains__, _digests_in(contents)))

    def _freed(self, held: Mapping[str, int]) -> frozenset[str]:
        return frozenset(blob for blob, count in held.items() if count == self.holders(blob))

    def _manifest_bytes(self, contents: Iterable[tuple[str, Content]]) -> int:
        sizes = {digest: content.size for digest, content in contents}
        gone = Counter(digest for digest, _ in contents)
        return sum(size for digest, size in sizes.items() if gone[digest] == self.copies(digest))

    def _sum(self, blobs: Iterable[str]) -> int:
        return sum(map(self.sizes.__getitem__, blobs))


def open_ledger(inventory: Inventory) -> Ledger:
    """Count every holder of every blob and manifest in the registry; ghosts and the unread hold nothing.

    Where something is there that was not listed, or a blob of which nobody knows, the ledger is not whole.
    """
    count = _Count()
    for repository in inventory.repositories:
        count.add(repository)
    return Ledger(
        {repository.name: repository for repository in inventory.repositories},
        count.manifests,
        count.sizes,
        count.shared_by,
        count.copied,
        count.manifest_bytes + sum(count.sizes.values()),
        count.consistent,
        count.unread,
        count.hidden,
    )


def kind_of_freed(inventory: Inventory, ledger: Ledger, going: Iterable[Node]) -> str:
    """What the bytes are that `going` free together.

    Others that were not read may hold the same blobs: then it is an upper bound. What some of `going` free that were
    not read is missing in it, and so is what goes with them and was not listed: then it is a lower bound. Where
    manifests give different sizes, the largest counts.
    """
    going = list(going)
    unread = ledger.unread_among(going)
    others = not (is_seen(inventory, ledger) and ledger.consistent) or ledger.hidden
    return kind_of(at_most=others or ledger.unread > unread, at_least=unread > 0 or ledger.is_cut(going))


def is_seen(inventory: Inventory, ledger: Ledger) -> bool:
    """Whether no repository is out of sight, as far as anybody can tell."""
    return inventory.complete and inventory.whole and inventory.proven and not bytes_unseen(inventory, ledger)


def kind_of_repository(inventory: Inventory, ledger: Ledger, repository: Repository) -> str:
    """What the bytes are that all of a repository holds, or frees."""
    kind = kind_of_freed(inventory, ledger, [(repository.name, digest) for digest in repository.manifests])
    return _also_at_least(kind, repository.unseen is not None)


def kind_of_falling(
    inventory: Inventory, ledger: Ledger, repository: str, fallen: Iterable[str], may_refer: AbstractSet[str]
) -> str:
    """What the bytes are that one image of a repository frees, with all that falls with it.

    `may_refer` are those of the `unread_referrers` of the repository that may fall: if one of them refers to the image,
    it falls too, and what it frees is missing.
    """
    fallen = list(fallen)
    kind = kind_of_freed(inventory, ledger, [(repository, each) for each in fallen])
    return _also_at_least(kind, not may_refer <= set(fallen))


def _also_at_least(kind: str, at_least: bool) -> str:
    return kind_of(kind in (UPPER_BOUND, APPROXIMATE), at_least or kind in (LOWER_BOUND, APPROXIMATE))


def unread_referrers(repository: Repository) -> frozenset[str]:
    """The manifests that were not read and may refer to others, or be a part of what others have."""
    return frozenset(
        digest
        for digest, manifest in repository.manifests.items()
        if _is_unread(manifest) and not has_no_edges(manifest.media_type)
    )


def kind_of_held(inventory: Inventory, ledger: Ledger) -> str:
    """What the bytes are that the registry holds: what was not read is missing in them."""
    return kind_of(at_most=not ledger.consistent, at_least=not (is_seen(inventory, ledger) and ledger.whole))


def bytes_unseen(inventory: Inventory, ledger: Ledger) -> int:
    """How many bytes Azure says are stored beyond those of all that was read; 0 where it does not say.

    A repository may be hidden from the catalog. They may also be of images that were soft-deleted, of uploads that no
    manifest uses yet, or of what was deleted a moment ago: nobody can tell.
    """
    return max(0, (inventory.stored or 0) - ledger.registry_bytes)


def kind_of(at_most: bool, at_least: bool) -> str:
    """The name of a bound; a number that is two bounds at once is none."""
    if at_most:
        return APPROXIMATE if at_least else UPPER_BOUND
    return LOWER_BOUND if at_least else EXACT


class _Count:
    """The numbers of a ledger while its repositories are read one after the other."""

    def __init__(self) -> None:
        self.manifests = self.manifest_bytes = 0
        self.sizes: dict[str, int] = {}
        self.shared_by: dict[str, int] = {}
        self.copied: dict[str, int] = {}
        self.consistent, self.hidden, self.unread = True, False, 0
        self._known: set[str] = set()

    def add(self, repository: Repository) -> None:
        contents = {
            digest: manifest.content
            for digest, manifest in repository.manifests.items()
            if isinstance(manifest.content, Content)
        }
        if len(contents) < len(repository.manifests):
            self.unread += sum(map(_is_unread, repository.manifests.values()))
        unknown = repository.unseen is not None or any(content.unmeasured for content in contents.values())
        self.hidden = self.hidden or unknown
        self.manifests += len(contents)
        self.manifest_bytes += sum(map(_size_of, contents.values()))
        for digest in self._known.intersection(contents):
            self.manifest_bytes -= contents[digest].size
            self.copied[digest] = self.copied.get(digest, 1) + 1
        self._known.update(contents)
        self._add_blobs(contents.values())

    def _add_blobs(self, contents: Iterable[Content]) -> None:
        sizes, shared = self.sizes, self.shared_by
        for (blob, size), count in Counter(_blobs_in(contents)).items():
            if blob not in sizes:
                sizes[blob] = size
                if count > 1:
                    shared[blob] = count
                continue
            shared[blob] = shared.get(blob, 1) + count
            if sizes[blob] != size:
                self.consistent, sizes[blob] = False, max(sizes[blob], size)


def _is_unread(manifest: Manifest) -> bool:
    return isinstance(manifest.content, (Unreadable, NotRead))


def _by_repository(nodes: Iterable[Node]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, digest in nodes:
        found.setdefault(name, []).append(digest)
    return found


def _blobs_in(contents: Iterable[Content]) -> Iterator[Blob]:
    return chain.from_iterable(map(_blobs_of, contents))


def _digests_in(contents: Iterable[tuple[str, Content]]) -> Iterator[str]:
    """The digest of each blob of each manifest; one that several hold comes several times."""
    return map(_digest_of, _blobs_in(content for _, content in contents))
