"""The bytes of a registry divided over groups of its images. The sums are exact for any groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from ..decide.graph import user_tags
from ..decide.portions import split
from ..model import Repository
from .stakes import View
from .timeline import Appearances

Group = TypeVar('Group', bound=Hashable)


@dataclass
class Share:
    """The bytes that are attributed to a group.

    `new` has them by the month in which they appeared. `untagged` are those of images without a tag, and `unneeded`
    those of images that nothing needs. `total` is the size of all images if nothing were shared.
    """

    new: list[int]
    untagged: int = 0
    unneeded: int = 0
    total: int = 0

    @property
    def size(self) -> int:
        return sum(self.new)


def shares(
    view: View, appeared: Appearances, groups_in: Callable[[Repository], Mapping[str, Sequence[Group]]]
) -> dict[Group, Share]:
    """The share of each group; `groups_in` tells the groups of each manifest in a repository, by digest.

    What is attributed to one image, of each month, is split evenly over its groups; the bytes that cannot be split go
    to the first ones. So all shares add up to the registry, and so do those of each month.
    """
    found: dict[Group, Share] = {}
    parts = groupby(split(view.inventory, view.ledger), key=lambda part: part[0][0])
    name, images = next(parts, (None, iter(())))
    for repository in view.repositories:
        groups = groups_in(repository)
        for of_image in groups.values():
            for group in of_image:
                found.setdefault(group, Share([0] * len(appeared.months)))
        if name == repository.name:
            _give(
                view,
                appeared,
                images,
                {digest: [found[group] for group in of_image] for digest, of_image in groups.items()},
            )
            name, images = next(parts, (None, iter(())))
    return found


def _give(view: View, appeared: Appearances, images: Iterable[Any], takers: Mapping[str, Sequence[Share]]) -> None:
    """Add the bytes of each image to the shares in `takers`."""
    for node, content, own, parts in images:
        new = Counter({appeared.manifests[node[1]]: own})
        for blob, part in zip(content.blobs, parts):
            new[appeared.blobs[blob.digest]] += part
        untagged = not user_tags(view.ledger.repositories[node[0]].manifests[node[1]])
        total = content.size + sum(view.ledger.sizes[blob.digest] for blob in content.blobs)
        number = len(takers[node[1]])
        for place, share in enumerate(takers[node[1]]):
            mine = {month: size // number + (place < size % number) for month, size in new.items()}
            _add(share, mine, untagged, node in view.unneeded)
            share.total += total


def _add(share: Share, new: Mapping[int, int], untagged: bool, unneeded: bool) -> None:
    for month, size in new.items():
        share.new[month] += size
    size = sum(new.values())
    share.untagged += size if untagged else 0
    share.unneeded += size if unneeded else 0
