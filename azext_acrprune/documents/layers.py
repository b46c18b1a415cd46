"""Which images use a layer, and how people name an image.

Layers that other images use are the reason why a deletion frees less than the images are large.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

from ..decide.decision import Decision
from ..decide.graph import Graph, build_graph, user_tags, walk
from ..decide.impact import Ledger, Node
from ..decide.manifests import STREAMING_TYPE
from ..model import Content, Repository, in_order

USERS_LISTED = 5
SHARED_LISTED = 10
_MOST = 0.9
"""The listed layers have this part of the bytes that stay. The others are small."""


class Names:
    """Finds names for manifests: a tag of the manifest, or else a tag of the index or subject that it belongs to."""

    def __init__(self, repositories: Iterable[Repository]) -> None:
        self._repositories = {repository.name: repository for repository in repositories}
        self._graphs: dict[str, Graph] = {}

    def fields(self, repository: str, digest: str) -> dict[str, Any]:
        """Fields that name a manifest. `partOf` is true when `name` is the tag of another manifest."""
        manifest = self._repositories[repository].manifests[digest]
        own = user_tags(manifest)
        owner = None if own else self._owner(repository, digest)
        return {
            'repository': repository,
            'digest': digest,
            'name': own[0] if own else owner,
            'partOf': owner is not None,
            'platform': manifest.platform,
            'artifactType': manifest.artifact_type,
            'streamingCopy': manifest.artifact_type == STREAMING_TYPE,
        }

    def text(self, repository: str, digest: str) -> str:
        """`repository:tag`, or `repository@digest` for a manifest without a name."""
        fields = self.fields(repository, digest)
        return f'{repository}:{fields["name"]}' if fields['name'] else f'{repository}@{digest}'

    def _owner(self, name: str, digest: str) -> str | None:
        """The tag of the nearest index or subject that has one."""
        repository = self._repositories[name]
        if name not in self._graphs:
            self._graphs[name] = build_graph(repository)
        holders = walk([digest], self._graphs[name].holders)
        return next((tags[0] for each in holders for tags in [user_tags(repository.manifests[each])] if tags), None)


@dataclass
class LayerUse:
    """The images that use one layer. Repositories must be added one after the other, each as a whole."""

    images: int = 0
    repositories: int = 0
    to_delete: int = 0
    _listed: dict[tuple[bool, bool], list[Node]] = field(default_factory=dict)
    _repository: str | None = None

    def add(self, node: Node, doomed: bool, tagged: bool) -> None:
        self.images += 1
        self.to_delete += doomed
        self.repositories += node[0] != self._repository
        self._repository = node[0]
        listed = self._listed.setdefault((doomed, not tagged), [])
        if len(listed) < USERS_LISTED:
            listed.append(node)

    @property
    def users(self) -> list[Node]:
        """Some of the images, those that stay first, and of these those with a tag of their own."""
        return [node for _, listed in sorted(self._listed.items()) for node in listed][:USERS_LISTED]


def layer_uses(
    wanted: Collection[str],
    repositories: Iterable[Repository],
    is_doomed: Callable[[Node], bool],
    only_staying: bool = False,
) -> dict[str, LayerUse]:
    """The images that use each of the wanted blobs. With `only_staying` the doomed images are left out.

    The users are in the order of `repositories`, and in each of these in order of digest.
    """
    uses = {digest: LayerUse() for digest in wanted}
    for repository in repositories if uses else ():
        for digest, manifest in sorted(repository.manifests.items()):
            for blob in manifest.content.blobs if isinstance(manifest.content, Content) else ():
                if blob.digest in uses:
                    node = repository.name, digest
                    doomed = is_doomed(node)
                    if not (doomed and only_staying):
                        uses[blob.digest].add(node, doomed, bool(user_tags(manifest)))
    return uses


def layer_row(size: int, digest: str, use: LayerUse, names: Names) -> dict[str, Any]:
    """A layer, and who shares it; `users` are some of its images, each once: parts have the name of their index."""
    return {
        'digest': digest,
        'size': size,
        'images': use.images,
        'repositories': use.repositories,
        'users': list(dict.fromkeys(names.text(*node) for node in use.users)),
    }


def shared_layers(decision: Decision, ledger: Ledger, staying: frozenset[str]) -> list[dict[str, Any]]:
    """The largest of `staying`, the blobs of doomed images that others keep, up to nine tenths of it; ten at most.

    `imagesKept` are the manifests that stay and use it, in so many repositories (`keptInRepositories`); `users` are the
    names of some of them, those with a tag of their own first.
    """
    repositories = in_order(decision.inventory.repositories)
    uses = layer_uses(
        list(_largest(ledger, staying)),
        repositories,
        lambda node: node[1] in decision.doomed_in(node[0]),
        only_staying=True,
    )
    names = Names(repositories)
    return [
        {
            'digest': layer,
            'size': ledger.sizes[layer],
            'imagesToDelete': ledger.holders(layer) - use.images,
            'imagesKept': use.images,
            'keptInRepositories': use.repositories,
            'users': list(dict.fromkeys(names.text(*node) for node in use.users)),
        }
        for layer, use in uses.items()
    ]


def _largest(ledger: Ledger, staying: frozenset[str]) -> Iterator[str]:
    most, listed = _MOST * sum(map(ledger.sizes.__getitem__, staying)), 0
    for layer in nsmallest(SHARED_LISTED, staying, key=lambda layer: (-ledger.sizes[layer], layer)):
        if listed < most:
            yield layer
        listed += ledger.sizes[layer]
