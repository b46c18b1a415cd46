"""What each rule of a policy does, in numbers: a rule that does nothing is there with zeros."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..decide.decision import Decision
from ..decide.graph import user_tags
from ..decide.impact import Ledger, Node
from ..decide.reasons import RELATIONS, YOUNG
from ..decide.verdicts import Verdict
from ..model import in_order


def rule_rows(decision: Decision, ledger: Ledger) -> list[dict[str, Any]]:
    """A row for each rule, in their order.

    `claimed` counts tags, and manifests without a tag that are no part of others; of them `young` are too young,
    `kept` stay for another reason and `takes` go. `freedBytes` are what a rule frees alone, with all that falls with
    what it takes.
    """
    claimed: dict[str, list[Verdict]] = {rule: [] for rule in decision.rules}
    for verdict in _claimed(decision):
        if verdict.rule in claimed:
            claimed[verdict.rule].append(verdict)
    taken: dict[str, list[Node]] = {rule: [] for rule in decision.rules}
    for node in decision.doomed_in_order():
        taken.setdefault(_rule_behind(decision, node), []).append(node)
    return [
        {
            'name': rule,
            'claimed': len(verdicts),
            'young': sum(verdict.kept and verdict.reason == YOUNG for verdict in verdicts),
            'kept': sum(verdict.kept and verdict.reason != YOUNG for verdict in verdicts),
            'takes': sum(not verdict.kept for verdict in verdicts),
            'freedBytes': ledger.bytes_freed_by(taken[rule]),
        }
        for rule, verdicts in claimed.items()
    ]


def _claimed(decision: Decision) -> Iterator[Verdict]:
    for repository in in_order(decision.inventory.repositories):
        yield from decision.tags.get(repository.name, {}).values()
        for digest, verdict in decision.verdicts[repository.name].items():
            if not user_tags(repository.manifests[digest]):
                yield verdict


def _rule_behind(decision: Decision, node: Node) -> str:
    """The rule that takes a manifest, or what it goes with."""
    repository, digest = node
    seen: set[str] = set()
    verdict = decision.verdicts[repository][digest]
    while verdict.reason in RELATIONS and verdict.because not in seen:
        seen.add(verdict.because)
        verdict = decision.verdicts[repository][verdict.because]
    return verdict.rule
