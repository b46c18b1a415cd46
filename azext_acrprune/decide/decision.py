"""The decision over a whole registry, and the limits on how much may go. Over a limit, nothing at all is deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from ..model import Ghost, Inventory, Notice, Repository, Retention, in_order
from ..pins.pinned import Pins
from ..policy.facts import Retired
from ..policy.rules import ORPHANS, Limits, Policy
from ..policy.service import with_protected_service_artifacts
from .budget import Spared, within_budgets
from .ghosts import with_doubtful_ghosts
from .graph import Graph, user_tags
from .health import Everywhere
from .impact import Node
from .kept_locked import KeptLocked, kept_locked
from .reasons import SUPERSEDED, TO_RETIRE
from .remarks import remarks
from .retirement import judged_with_retirements, returning
from .safety import Judgement, judge
from .verdicts import Verdict

Verdicts = Mapping[str, Mapping[str, Verdict]]
"""{repository: {digest or tag: verdict}}, in stable order."""


@dataclass(frozen=True)
class Decision:
    """A verdict for every manifest, and for each user tag that some rule might take.

    `given` is what the user asked for, as the plan document shows it. `pins` are asked again right before deleting.
    `graphs` has the graphs that were built already, by name of repository. `rules` names the rules of a policy file,
    and `remarks` are what its author should know. `retention` is the policy of a registry that deletes by itself, and
    `later` are the manifests that it will delete because this decision takes their last tag, with what falls with them.
    Where some rule `retires`, `retired` has how what was retired stands, and `returning` says why some of it can be
    pulled again. `kept_locked` is what is done about locks.
    """

    inventory: Inventory
    given: Mapping[str, Any]
    verdicts: Verdicts
    tags: Verdicts = field(default_factory=dict)
    include_locked: bool = False
    pins: Pins = Pins()
    graphs: Mapping[str, Graph] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    remarks: tuple[Notice, ...] = ()
    retention: Retention | None = None
    later: frozenset[Node] = frozenset()
    retires: bool = False
    retired: Mapping[str, Mapping[str, Retired]] = field(default_factory=dict)
    returning: Mapping[Node, Verdict] = field(default_factory=dict)
    kept_locked: KeptLocked | None = None

    @property
    def doomed(self) -> frozenset[Node]:
        return frozenset(self.doomed_in_order())

    def doomed_in_order(self) -> list[Node]:
        """The manifests that go, by repository and digest."""
        return [
            (name, digest)
            for name, verdicts in self.verdicts.items()
            for digest, verdict in verdicts.items()
            if not verdict.kept
        ]

    def doomed_in(self, repository: str) -> frozenset[str]:
        """The digests that go from one repository."""
        return self._doomed[repository]

    @cached_property
    def _doomed(self) -> Mapping[str, frozenset[str]]:
        return {
            name: frozenset([digest for digest, verdict in verdicts.items() if not verdict.kept])
            for name, verdicts in self.verdicts.items()
        }

    def later_in(self, repository: str) -> frozenset[str]:
        """The digests that the registry itself deletes later from one repository."""
        return frozenset(digest for name, digest in self.later if name == repository) if self.later else frozenset()

    def superseded_in(self, repository: str) -> frozenset[str]:
        """The digests that go from one repository although what they refer to stays."""
        verdicts = self.verdicts[repository]
        return frozenset(digest for digest in self.doomed_in(repository) if verdicts[digest].reason == SUPERSEDED)

    def retiring_in(self, repository: str) -> list[str]:
        """The digests of one repository of which pulls will fail from now on, in order."""
        if not self.retires:
            return []
        return [digest for digest, verdict in self.verdicts[repository].items() if verdict.reason == TO_RETIRE]

    def with_retiring_gone(self) -> Decision:
        """The decision as if what it retires went at once: what an archive has to have while it can be read."""
        if not self.retires:
            return self
        verdicts = {
            name: {digest: each._replace(kept=each.kept and each.reason != TO_RETIRE) for digest, each in found.items()}
            for name, found in self.verdicts.items()
        }
        return replace(self, verdicts=verdicts)

    def with_retiring_kept(self) -> Decision:
        """The reverse of `with_retiring_gone`."""
        if not self.retires:
            return self
        verdicts = {
            name: {digest: each._replace(kept=each.kept or each.reason == TO_RETIRE) for digest, each in found.items()}
            for name, found in self.verdicts.items()
        }
        return replace(self, verdicts=verdicts)

    def untagged_in(self, repository: Repository) -> Iterator[tuple[str, str, Verdict]]:
        """(tag, digest, verdict) of each tag that is removed from a manifest that stays, in order of digest."""
        tags = self.tags.get(repository.name, {})
        for digest, manifest in sorted(repository.manifests.items()) if tags else ():
            if self.verdicts[repository.name][digest].kept:
                yield from ((tag, digest, tags[tag]) for tag in manifest.tags if tag in tags and not tags[tag].kept)


def decide(inventory: Inventory, policy: Policy, now: int) -> Decision:
    """Judge every manifest of the registry; `now` is in ticks."""
    protected = with_protected_service_artifacts(policy)
    inventory = with_doubtful_ghosts(inventory, policy, now)
    whole = ORPHANS in policy.include and inventory.complete and Everywhere.of(inventory).whole
    present = _present(inventory) if whole else None
    judged = partial(_judged, inventory, protected, now, present)
    judgements = within_budgets(inventory, policy, partial(judged_with_retirements, inventory, protected, now, judged))
    tags = {name: judgement.tags for name, judgement in judgements.items() if judgement.tags}
    verdicts = {name: judgement.manifests for name, judgement in judgements.items()}
    return Decision(
        inventory,
        policy.given,
        verdicts=verdicts,
        tags=tags,
        include_locked=policy.include_locked,
        pins=policy.pins,
        graphs={name: judgement.graph for name, judgement in judgements.items()},
        rules=tuple(rule.name for rule in policy.rules if rule.name),
        remarks=remarks(policy, inventory, tags, verdicts),
        retires=policy.retires,
        retired=policy.facts.retired if policy.retires else {},
        returning=returning(policy, inventory, judgements),
        kept_locked=kept_locked(policy, inventory, {name: each.graph for name, each in judgements.items()}),
    )


def _judged(
    inventory: Inventory, policy: Policy, now: int, present: AbstractSet[str] | None, spared: Spared
) -> dict[str, Judgement]:
    return {
        repository.name: judge(
            repository,
            policy,
            now,
            repository.name in inventory.selected,
            inventory.labels,
            present,
            spared.get(repository.name),
        )
        for repository in in_order(inventory.repositories)
    }


def _present(inventory: Inventory) -> frozenset[str]:
    """The digests of all manifests that exist in any repository. A ghost does not exist, unless it is hidden."""
    return frozenset(
        digest
        for repository in inventory.repositories
        for digest, manifest in repository.manifests.items()
        if digest in repository.hidden or not isinstance(manifest.content, Ghost)
    )


@dataclass(frozen=True)
class Excess:
    """A limit that a decision breaks: `number` of `what` would go, and `limit` of them may."""

    what: str
    number: int
    limit: float

    def __str__(self) -> str:
        return f'{self.number:,} {self.what} would go and {self.limit:,} are allowed'


@dataclass(frozen=True)
class ShareExcess(Excess):
    """A limit in percent that a decision breaks in a repository; `untagged` of them only lose their last tag."""

    repository: str
    total: int
    untagged: int

    def __str__(self) -> str:
        fates = {'go': self.number - self.untagged, 'lose their last tag': self.untagged}
        return (
            f"{self.number:,} of {self.total:,} {self.what} in the repository '{self.repository}' "
            f'({self.number * 100 / self.total:.4g} percent) would {" or ".join(filter(fates.get, fates))}, '
            f'and no more than {self.limit:g} percent may'
        )


def first_excess(decision: Decision, limits: Limits) -> Excess | None:
    """The first limit that the decision breaks, in order of repository."""
    return next(_excesses(decision, limits), None)


def _excesses(decision: Decision, limits: Limits) -> Iterator[Excess]:
    retiring = sum(len(decision.retiring_in(name)) for name in decision.verdicts)
    manifests = len(decision.doomed) + len(decision.later) + retiring
    removed = [
        (repository.name, digest)
        for repository in decision.inventory.repositories
        for _, digest, _ in decision.untagged_in(repository)
    ]
    both = (
        len(decision.doomed) + retiring + len(removed) + len(decision.later.difference(removed))
    )  # each is counted once
    if limits.deletions is not None and both > limits.deletions:
        yield Excess('manifests and tags', both, limits.deletions)
    if limits.manifests is not None and manifests > limits.manifests:
        yield Excess('manifests', manifests, limits.manifests)
    for repository in in_order(decision.inventory.repositories):
        lost, untagged, total = _tagged(decision, repository)
        if limits.percent is not None and lost * 100 > limits.percent * total:
            yield ShareExcess('tagged manifests', lost, limits.percent, repository.name, total, untagged)


def _tagged(decision: Decision, repository: Repository) -> tuple[int, int, int]:
    """(manifests that lose their last user tag or go with it, those of them that stay, all with a user tag)."""
    tagged = {
        digest: set(user_tags(manifest)) for digest, manifest in repository.manifests.items() if user_tags(manifest)
    }
    going = {*decision.doomed_in(repository.name), *decision.retiring_in(repository.name)}
    lost = {digest for digest in going if digest in tagged}
    for tag, digest, _ in decision.untagged_in(repository):
        tagged[digest].discard(tag)
        if not tagged[digest]:
            lost.add(digest)
    return len(lost), len(lost - going), len(tagged)
