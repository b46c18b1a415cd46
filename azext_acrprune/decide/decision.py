"""The decision over a whole registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..model import Ghost, Inventory, Repository
from ..pins.pinned import Pins
from ..policy.rules import ORPHANS, Policy
from .graph import Graph
from .impact import Node
from .safety import judge
from .verdicts import Verdict

Verdicts = Mapping[str, Mapping[str, Verdict]]
"""{repository: {digest or tag: verdict}}, in stable order."""


@dataclass(frozen=True)
class Decision:
    """What goes and what stays: every manifest, and each user tag that some rule might take.

    `given` is what the user asked for, as the plan document shows it. `pins` are asked again right before deleting.
    `graphs` are those of repositories by name, as far as they were built.
    """

    inventory: Inventory
    given: Mapping[str, Any]
    verdicts: Verdicts
    tags: Verdicts = field(default_factory=dict)
    include_locked: bool = False
    pins: Pins = Pins()
    graphs: Mapping[str, Graph] = field(default_factory=dict)

    @property
    def doomed(self) -> frozenset[Node]:
        return frozenset(self.doomed_in_order())

    def doomed_in_order(self) -> list[Node]:
        """The same by repository and digest."""
        return [
            (name, digest)
            for name, verdicts in self.verdicts.items()
            for digest, verdict in verdicts.items()
            if not verdict.kept
        ]

    def doomed_in(self, repository: str) -> frozenset[str]:
        return self._doomed[repository]

    @cached_property
    def _doomed(self) -> Mapping[str, frozenset[str]]:
        return {
            name: frozenset([digest for digest, verdict in verdicts.items() if not verdict.kept])
            for name, verdicts in self.verdicts.items()
        }

    def untagged_in(self, repository: Repository) -> Iterator[tuple[str, str, Verdict]]:
        """(tag, digest, verdict) of each tag that is removed from a manifest that stays, in order of digest."""
        tags = self.tags.get(repository.name, {})
        for digest, manifest in sorted(repository.manifests.items()) if tags else ():
            if self.verdicts[repository.name][digest].kept:
                yield from ((tag, digest, tags[tag]) for tag in manifest.tags if tag in tags and not tags[tag].kept)


def decide(inventory: Inventory, policy: Policy, now: int) -> Decision:
    """Judge every manifest of the registry; `now` is in ticks."""
    present = _present(inventory) if ORPHANS in policy.include and inventory.complete else None
    judgements = {
        repository.name: judge(
            repository, policy, now, repository.name in inventory.selected, inventory.labels, present
        )
        for repository in sorted(inventory.repositories, key=lambda repository: repository.name)
    }
    return Decision(
        inventory,
        policy.given,
        verdicts={name: judgement.manifests for name, judgement in judgements.items()},
        tags={name: judgement.tags for name, judgement in judgements.items() if judgement.tags},
        include_locked=policy.include_locked,
        pins=policy.pins,
        graphs={name: judgement.graph for name, judgement in judgements.items()},
    )


def _present(inventory: Inventory) -> frozenset[str]:
    """The digests of all manifests that exist, in whatever repository."""
    return frozenset(
        digest
        for repository in inventory.repositories
        for digest, manifest in repository.manifests.items()
        if not isinstance(manifest.content, Ghost)
    )
