"""Rows of a usage document: repositories, images and layers, those with the most bytes first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import nsmallest
from itertools import groupby
from typing import Any

from ..decide.ghosts import with_doubtful_ghosts
from ..decide.graph import user_tags
from ..decide.impact import Ledger, Node, kind_of_freed
from ..decide.named import Alone, Fallout, Unsettled
from ..decide.portions import split
from ..documents.layers import Names, layer_row, layer_uses
from ..documents.staying import staying_rows
from ..model import Inventory, Repository, time_text
from ..pins.pulls import Pulls
from .attribution import Share, shares
from .base_images import chain_fields
from .fields import holding_fields, image_fields, largest, repository_row
from .stakes import View
from .timeline import appearances, growth_rows

STAYING_LISTED = 10
"""So many parts and referrers of an image are named that stay when it is deleted."""

Row = dict[str, Any]
Rows = tuple[list[Row], Row | None]
"""The rows, and the sum of those that are not among them."""


@dataclass(frozen=True)
class Log:
    """The pulls that a workspace knows. Its log has no gap from `since` on; None means no recent events."""

    workspace: str
    pulls: Pulls
    since: int | None


class Holdings:
    """A registry with everything that the rows look up."""

    def __init__(self, inventory: Inventory, now: int, log: Log | None, unsettled: Unsettled = lambda _: None) -> None:
        self.view = View(inventory, None, now)
        self.ledger: Ledger = self.view.ledger
        self.appeared = appearances(inventory, now)
        self.names = Names(self.view.repositories)
        self._pulls = log.pulls if log else Pulls()
        self._certain = {each.name: each for each in with_doubtful_ghosts(inventory, None, now).repositories}
        self._unsettled = unsettled

    def fallout(self, repository: str) -> Fallout:
        """What deleting single images of a repository would take, as `az acr prune image` would have it."""
        return Fallout(self._certain[repository], unsettled=self._unsettled)

    @cached_property
    def of_repository(self) -> Mapping[str, Share]:
        """The share of each repository, also of those without a manifest."""
        nothing = {repository.name: Share([0] * len(self.appeared.months)) for repository in self.view.repositories}
        return {
            **nothing,
            **shares(
                self.view, self.appeared, lambda repository: dict.fromkeys(repository.manifests, (repository.name,))
            ),
        }

    def share_fields(self, parts: Iterable[Share]) -> Row:
        """The sums of some shares, as fields."""
        parts = list(parts)
        return {
            'attributedBytes': sum(share.size for share in parts),
            'untaggedBytes': sum(share.untagged for share in parts),
            'unneededBytes': sum(share.unneeded for share in parts),
            'growth': growth_rows(self.appeared, [sum(each) for each in zip(*(share.new for share in parts))]),
        }

    def pulled(self, repository: str, digests: Iterable[str] | None = None, tags: Iterable[str] = ()) -> Row:
        """The last pull in a repository, or of some digests and tags in it. None when no log has one."""
        by_digest, by_tag = self._pulls.digests.get(repository, {}), self._pulls.tags.get(repository, {})
        times = (
            [*by_digest.values(), *by_tag.values()]
            if digests is None
            else [
                *(by_digest[digest] for digest in digests if digest in by_digest),
                *(by_tag[tag] for tag in tags if tag in by_tag),
            ]
        )
        return {'lastPulledTime': time_text(max(times)) if times else None}


def repository_rows(known: Holdings, number: int) -> Rows:
    listed = largest(
        {repository.name: known.of_repository[repository.name].size for repository in known.view.repositories}, number
    )
    rows = {name: _repository(known, name) for name in listed}
    others = [repository for repository in known.view.repositories if repository.name not in rows]
    return list(rows.values()), _other_repositories(known, others) if others else None


def _repository(known: Holdings, name: str) -> Row:
    share = known.of_repository[name]
    return {
        **repository_row(known.view, known.ledger.repositories[name], share.size),
        **known.share_fields([share]),
        **known.pulled(name),
    }


def _other_repositories(known: Holdings, others: Sequence[Repository]) -> Row:
    """The sums over some repositories. Only numbers that add up: repositories share layers."""
    manifests = [manifest for repository in others for manifest in repository.manifests.values()]
    tagged = sum(1 for manifest in manifests if user_tags(manifest))
    parts = [known.of_repository[repository.name] for repository in others]
    return {
        'rowsLeftOut': len(others),
        'manifests': len(manifests),
        'manifestsTagged': tagged,
        'manifestsUntagged': len(manifests) - tagged,
        'totalBytes': sum(share.total for share in parts),
        **known.share_fields(parts),
    }


def image_rows(known: Holdings, number: int) -> Rows:
    """Rows for images. Each counts what goes when it alone is deleted, but `attributedBytes` are its own."""
    listed = nsmallest(
        number, ((-own - sum(parts), node) for node, _, own, parts in split(known.view.inventory, known.ledger))
    )
    rows: dict[Node, Row] = {}
    for name, same in groupby(sorted(listed, key=lambda each: each[1]), key=lambda each: each[1][0]):
        rows.update(_images(known, known.ledger.repositories[name], {node: -size for size, node in same}))
    shown = [rows[node] for _, node in listed]
    return shown, rest(known.ledger.manifests - len(shown), known.ledger.registry_bytes - attributed(shown))


def _images(known: Holdings, repository: Repository, sizes: Mapping[Node, int]) -> Iterator[tuple[Node, Row]]:
    fallout = known.fallout(repository.name)
    for node, size in sizes.items():
        yield node, _image(known, node, size, fallout.of(node[1]))


def _image(known: Holdings, node: Node, size: int, alone: Alone) -> Row:
    """The row of one image: itself and what would go with it; an image that has to stay frees nothing."""
    name, digest = node
    going = [(name, each) for each in sorted(alone.goes)]
    created = known.ledger.repositories[name].manifests[digest].created_time
    return {
        **image_fields(known.view, known.names, node),
        'createdTime': created,
        'manifests': len(going) or 1,
        **holding_fields(known.ledger.holding_alone(node, going)),
        'attributedBytes': size,
        'impact': kind_of_freed(known.view.inventory, known.ledger, going),
        'staysWith': staying_rows(alone.stays)[:STAYING_LISTED],
        **known.pulled(name, (digest,)),
    }


def layer_rows(known: Holdings, number: int) -> Rows:
    sizes = known.ledger.sizes
    uses = layer_uses(largest(sizes, number), known.view.repositories, known.view.doomed.__contains__)
    chains = chain_fields(known.view, uses, known.names)
    rows = [
        {
            **layer_row(sizes[digest], digest, use, known.names),
            'totalBytes': use.images * sizes[digest],
            'attributedBytes': sizes[digest],
            'firstSeen': known.appeared.months[known.appeared.blobs[digest]],
            **chains[digest],
        }
        for digest, use in uses.items()
    ]
    return rows, rest(len(sizes) - len(rows), sum(sizes.values()) - attributed(rows))


def attributed(rows: Iterable[Row]) -> int:
    return sum(row['attributedBytes'] for row in rows)


def rest(number: int, size: int) -> Row | None:
    return {'rowsLeftOut': number, 'attributedBytes': size} if number else None
