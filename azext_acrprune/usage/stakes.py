"""What happens to each byte of a registry: the image that it is attributed to, and why it goes or stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..decide.decision import Decision, decide
from ..decide.impact import Ledger, Node, open_ledger
from ..decide.portions import Portion, portions
from ..decide.reasons import NOT_IN_PLAN, TOLD, UNTAGGED
from ..decide.verdicts import Verdict
from ..documents.planned import Plan
from ..model import Inventory, Repository, in_order
from ..policy.rules import Age, untagged_policy

FREED = 'freed'
SHARED = 'shared'
UNNEEDED = 'unneeded'

STATES = (FREED, SHARED, UNNEEDED, 'tagged', 'needed', 'protected', 'recent', 'excluded', 'unreadable')
"""FREED bytes go by the plan. SHARED bytes stay although the plan deletes their image, because others have them too.
Without a plan, UNNEEDED bytes are untagged, and nothing needs them. All others stay, for a reason of their group."""


@dataclass(frozen=True, slots=True)
class Stake:
    """Bytes of one image that go or stay together. A doomed image may have freed bytes and shared bytes."""

    repository: str
    digest: str
    state: str
    reason: str
    because: str
    size: int


class View:
    """A registry as a plan leaves it, or as it is without a plan.

    `bare` is a decision that takes every untagged manifest which nothing needs, whatever its age. It says why the
    others are needed, and `unneeded` are those that it takes. `doomed` are the manifests of the plan that are still
    there, and `gone` is the number of those that are not.
    """

    def __init__(self, inventory: Inventory, plan: Plan | None, now: int) -> None:
        self.inventory = inventory
        self.plan = plan
        self.ledger: Ledger = open_ledger(inventory)
        self.bare: Decision = decide(inventory, untagged_policy(Age('0', 0)), now)
        self.repositories: list[Repository] = in_order(inventory.repositories)
        named = _verdicts(plan, 'delete', False)
        self._kept = _verdicts(plan, 'kept', True)
        self._doomed = {node: verdict for node, verdict in named.items() if self._is_there(node)}
        self.gone = len(named) - len(self._doomed)
        self.doomed: frozenset[Node] = frozenset(self._doomed)
        self.unneeded: frozenset[Node] = self.bare.doomed

    def stakes(self) -> Iterator[Stake]:
        """All bytes of the registry, by repository and digest. The FREED ones are what the plan frees."""
        for portion in portions(self.inventory, self.ledger, self.doomed):
            for state, reason, because, size in self._fates(portion):
                if size:
                    yield Stake(*portion.node, state, reason, because, size)

    def _fates(self, portion: Portion) -> Iterator[tuple[str, str, str, int]]:
        doomed = self._doomed.get(portion.node)
        if doomed:
            yield FREED, doomed.reason, doomed.because, portion.freed
            yield SHARED, doomed.reason, doomed.because, portion.staying
            return
        verdict = self._kept.get(portion.node) or self._bare_verdict(portion.node)
        state = _state_of(verdict.reason) if verdict.kept else UNNEEDED
        yield state, verdict.reason, verdict.because, portion.size

    def _bare_verdict(self, node: Node) -> Verdict:
        repository, digest = node
        verdict = self.bare.verdicts[repository][digest]
        if verdict.kept:
            return verdict
        if self.plan:
            return Verdict(True, NOT_IN_PLAN, 'its age, its number or the selection keeps it')
        return Verdict(False, verdict.reason, '' if verdict.reason == UNTAGGED else verdict.because)

    def _is_there(self, node: Node) -> bool:
        repository = self.ledger.repositories.get(node[0])
        return repository is not None and node[1] in repository.manifests


def _state_of(reason: str) -> str:
    """The state of what stays for a reason. A plan of another version may have reasons that are not known here."""
    return TOLD[reason].state if reason in TOLD else 'excluded'


def _verdicts(plan: Plan | None, kind: str, kept: bool) -> dict[Node, Verdict]:
    entries: list[Mapping[str, Any]] = plan.document.get(kind, []) if plan else []
    return {
        (entry['repository'], entry['digest']): Verdict(kept, entry['reason'], entry['because']) for entry in entries
    }
