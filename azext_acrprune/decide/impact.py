"""What a deletion frees: blobs are stored once per registry, so sizes of images do not add up."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import AbstractSet, Dict, FrozenSet, Iterable, Iterator, Mapping, Tuple

from ..model import Content, Inventory, Manifest
from .graph import REFERRER_OF, Graph

Node = Tuple[str, str]
"""(repository, digest)"""


@dataclass(frozen=True)
class Impact:
    """Bytes. `freed` includes `freed_manifests`; `shared` are bytes of doomed images that survive."""

    freed: int
    freed_manifests: int
    shared: int
    registry: int


@dataclass(frozen=True)
class Ledger:
    """Who holds which bytes, over the whole registry.

    `holdings` gives for each read manifest its stored things: its blobs and its own bytes, by digest.
    `holders` counts the manifests that hold a thing, `sizes` are bytes. Where manifests disagree about the size of
    a blob, the larger one counts and `consistent` is false.
    """

    holdings: Mapping[Node, Tuple[str, ...]]
    holders: Mapping[str, int]
    sizes: Mapping[str, int]
    consistent: bool

    def freed_by(self, doomed: Iterable[Node]) -> Iterator[str]:
        """The things that nobody holds once `doomed` are gone."""
        for thing, count in self._held_by(doomed).items():
            if count == self.holders[thing]:
                yield thing

    def bytes_freed_by(self, doomed: Iterable[Node]) -> int:
        return sum(self.sizes[thing] for thing in self.freed_by(doomed))

    def impact(self, doomed: FrozenSet[Node]) -> Impact:
        """What `doomed`, all gone at once, free and what of theirs survives."""
        freed = set(self.freed_by(doomed))
        own = {_own_bytes(digest) for _, digest in doomed}
        blobs = set(self._held_by(doomed)) - own
        return Impact(
            freed=self._sum(freed),
            freed_manifests=self._sum(freed & own),
            shared=self._sum(blobs - freed),
            registry=sum(self.sizes.values()))

    def _held_by(self, nodes: Iterable[Node]) -> Dict[str, int]:
        return Counter(thing for node in nodes for thing in self.holdings.get(node, ()))

    def _sum(self, things: Iterable[str]) -> int:
        return sum(self.sizes[thing] for thing in things)


def open_ledger(inventory: Inventory) -> Ledger:
    """Count every holder of every blob and manifest in the registry; ghosts and the unread hold nothing."""
    holdings: Dict[Node, Tuple[str, ...]] = {}
    holders: Dict[str, int] = Counter()
    sizes: Dict[str, int] = {}
    consistent = True
    for repository in inventory.repositories:
        for digest, manifest in repository.manifests.items():
            things = _things(manifest)
            holdings[repository.name, digest] = tuple(things)
            holders.update(things.keys())
            for thing, size in things.items():
                known = sizes.setdefault(thing, size)
                if known != size:
                    consistent = False
                    sizes[thing] = max(known, size)
    return Ledger(holdings, holders, sizes, consistent)


def falls_with(digest: str, graph: Graph, may_fall: AbstractSet[str]) -> FrozenSet[str]:
    """`digest` and what falls when it alone is deleted, all of it out of `may_fall`.

    Its referrers and attachments fall, and those of its children that nothing else keeps.
    """
    fallen = {digest}
    queue = [digest]
    while queue:
        node = queue.pop()
        for other, relation in graph.consequences(node):
            if other in fallen or other not in may_fall:
                continue
            if relation == REFERRER_OF or fallen.issuperset(graph.holders(other)):
                fallen.add(other)
                queue.append(other)
    return frozenset(fallen)


def _things(manifest: Manifest) -> Dict[str, int]:
    if not isinstance(manifest.content, Content):
        return {}
    things = {blob.digest: blob.size for blob in manifest.content.blobs}
    things[_own_bytes(manifest.digest)] = manifest.content.size
    return things


def _own_bytes(digest: str) -> str:
    """Names the bytes of a manifest, apart from a blob that might have the same digest."""
    return f'manifest {digest}'
