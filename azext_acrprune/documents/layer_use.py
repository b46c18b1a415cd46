"""The images that use one layer: how many, and some of them by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..decide.impact import Node

USERS_LISTED = 5


@dataclass
class LayerUse:
    """The images that use one layer, counted while they are walked through, repository by repository."""

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
