"""The bytes of a registry, divided over its images in whole bytes that add up exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..model import Content, Inventory, in_order
from .impact import Ledger, Node


@dataclass(frozen=True, slots=True)
class Portion:
    """The bytes that are attributed to one image: those that a deletion frees, and those that stay."""

    node: Node
    freed: int
    staying: int

    @property
    def size(self) -> int:
        return self.freed + self.staying


def portions(inventory: Inventory, ledger: Ledger, doomed: AbstractSet[Node]) -> Iterator[Portion]:
    """The portion of every manifest that was read, in order of repository and digest.

    All portions add up to `ledger.registry_bytes`, and their freed parts to the bytes that deleting `doomed` frees.
    """
    freed = ledger.freed_by(doomed)
    gone = Counter(digest for name, digest, _ in _contents(inventory) if (name, digest) in doomed)
    for node, content, own, parts in split(inventory, ledger):
        sizes = {True: 0, False: 0}
        sizes[gone[node[1]] == ledger.copies(node[1])] += own
        for blob, part in zip(content.blobs, parts):
            sizes[blob.digest in freed] += part
        yield Portion(node, sizes[True], sizes[False])


def split(inventory: Inventory, ledger: Ledger) -> Iterator[tuple[Node, Content, int, list[int]]]:
    """(image, its content, its part of its manifest, its part of each of its blobs), by repository and digest.

    Each blob is split evenly over the manifests that hold it, and the bytes of a manifest over the repositories that
    hold it; the bytes that cannot be split go to the first ones. So all parts add up to `ledger.registry_bytes`.
    """
    blobs_taken: dict[str, int] = {}
    copies_taken: dict[str, int] = {}
    for name, digest, content in _contents(inventory):
        own = _next_part(content.size, ledger.copies(digest), digest, copies_taken)
        yield (
            (name, digest),
            content,
            own,
            [
                _next_part(ledger.sizes[blob.digest], ledger.holders(blob.digest), blob.digest, blobs_taken)
                for blob in content.blobs
            ],
        )


def _contents(inventory: Inventory) -> Iterator[tuple[str, str, Content]]:
    """(repository, digest, content) of every manifest that was read, in order."""
    for repository in in_order(inventory.repositories):
        for digest, manifest in sorted(repository.manifests.items()):
            if isinstance(manifest.content, Content):
                yield repository.name, digest, manifest.content


def _next_part(size: int, holders: int, digest: str, taken: dict[str, int]) -> int:
    """The part of the next holder of a digest. `taken` counts the holders that have got theirs."""
    position = taken.get(digest, 0)
    taken[digest] = position + 1
    return size // holders + (position < size % holders)
