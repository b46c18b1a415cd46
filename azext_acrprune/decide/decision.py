"""The decision over a whole registry."""
from __future__ import annotations

from dataclasses import dataclass
from typing import FrozenSet, Mapping, Set

from ..model import Inventory
from ..policy.rules import UntaggedPolicy
from .impact import Node
from .safety import Verdict, judge


@dataclass(frozen=True)
class Decision:
    """What goes and what stays, {repository: {digest: verdict}}, in stable order."""

    inventory: Inventory
    policy: UntaggedPolicy
    verdicts: Mapping[str, Mapping[str, Verdict]]

    @property
    def doomed(self) -> FrozenSet[Node]:
        return frozenset((name, digest) for name, verdicts in self.verdicts.items()
                         for digest, verdict in verdicts.items() if not verdict.kept)

    def doomed_in(self, repository: str) -> Set[str]:
        return {digest for digest, verdict in self.verdicts[repository].items() if not verdict.kept}


def decide(inventory: Inventory, policy: UntaggedPolicy, now: int) -> Decision:
    """Judge every manifest of the registry; `now` is in ticks."""
    repositories = sorted(inventory.repositories, key=lambda repository: repository.name)
    return Decision(inventory, policy, {
        repository.name: judge(repository, policy, now, repository.name in inventory.selected)
        for repository in repositories})
