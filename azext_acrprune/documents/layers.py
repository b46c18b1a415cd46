"""Who uses a layer."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Collection, Dict, List, Optional, Tuple

from ..decide.graph import user_tags
from ..decide.impact import Node
from ..model import Content
from .names import Names
from .stakes import View

USERS_LISTED = 5


@dataclass
class LayerUse:
    """The images that use one layer, counted while they are walked through, repository by repository."""

    images: int = 0
    repositories: int = 0
    to_delete: int = 0
    _listed: Dict[Tuple[bool, bool], List[Node]] = field(default_factory=dict)
    _repository: Optional[str] = None

    def add(self, node: Node, doomed: bool, tagged: bool) -> None:
        self.images += 1
        self.to_delete += doomed
        self.repositories += node[0] != self._repository
        self._repository = node[0]
        listed = self._listed.setdefault((doomed, not tagged), [])
        if len(listed) < USERS_LISTED:
            listed.append(node)

    @property
    def users(self) -> List[Node]:
        """Some of the images, those that stay first, and of these those with a tag of their own."""
        return [node for _, listed in sorted(self._listed.items()) for node in listed][:USERS_LISTED]


def layer_uses(view: View, wanted: Collection[str]) -> Dict[str, LayerUse]:
    """Who uses each of the wanted blobs."""
    uses = {digest: LayerUse() for digest in wanted}
    for repository in view.repositories:
        for digest, manifest in sorted(repository.manifests.items()):
            for blob in manifest.content.blobs if isinstance(manifest.content, Content) else ():
                if blob.digest in uses:
                    node = repository.name, digest
                    uses[blob.digest].add(node, node in view.doomed, bool(user_tags(manifest)))
    return uses


def layer_row(view: View, digest: str, use: LayerUse, names: Names) -> Dict[str, Any]:
    """A layer, and who shares it; `users` are some of its images."""
    return {'digest': digest, 'size': view.ledger.sizes[digest], 'images': use.images,
            'repositories': use.repositories, 'users': [names.text(*node) for node in use.users]}
