"""A plan in sums by repository, by reason or by rule; and what each rule of its policy does."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..decide.decision import Decision
from ..decide.graph import user_tags
from ..decide.impact import Ledger, Node, is_seen, kind_of_freed
from ..decide.portions import portions
from ..decide.reasons import RELATIONS, YOUNG
from ..decide.verdicts import Verdict
from ..model import APPROXIMATE, in_order

BY_REPOSITORY, BY_REASON, BY_RULE = 'repository', 'reason', 'rule'

GroupName = str | None


def grouped(decision: Decision, ledger: Ledger, group_by: str) -> list[dict[str, Any]]:
    """A row for each group, those that free most first. Every manifest and every tag that goes is in one group.

    `freedBytes` are what a group frees if it goes alone. `attributedFreedBytes` add up to the `freedBytes` of the plan,
    and `attributedBytes` to `registryBytes`: a blob counts in equal parts for the images that use it. By rule, `group`
    is the name of a rule, or for what goes by options what they say. It is None for what stays without a rule.

    `impact` says what the freed bytes of a group are, both of them, and `heldImpact` what its `attributedBytes` are.
    """
    group_of = {BY_REPOSITORY: _repository, BY_REASON: _reason, BY_RULE: _rule}[group_by]
    counts: dict[GroupName, Counter] = {}
    groups: dict[Node, GroupName] = {}
    going: dict[GroupName, list[Node]] = {}
    for node, verdict in _manifests(decision):
        group = groups[node] = group_of(decision, node, verdict)
        counted = counts.setdefault(group, Counter())
        counted.update(['manifests', 'manifestsKept' if verdict.kept else 'manifestsToDelete'])
        if not verdict.kept:
            going.setdefault(group, []).append(node)
            counted['tagsToDelete'] += len(ledger.repositories[node[0]].manifests[node[1]].tags)
    for node, verdict in _removed_tags(decision):
        counts.setdefault(group_of(decision, node, verdict), Counter())['tagsToDelete'] += 1
    for portion in portions(decision.inventory, ledger, decision.doomed):
        counts[groups[portion.node]].update(attributedBytes=portion.size, attributedFreedBytes=portion.freed)
    kinds = _kinds(decision, ledger, groups, going, group_by == BY_REPOSITORY)
    rows = [
        {**_row(group, counted, ledger.bytes_freed_by(going.get(group, ()))), **kinds[group]}
        for group, counted in counts.items()
    ]
    return sorted(
        rows,
        key=lambda row: (
            -row['attributedFreedBytes'],
            -row['manifestsToDelete'],
            -row['tagsToDelete'],
            row['group'] is None,
            row['group'] or '',
        ),
    )


def _row(group: GroupName, counted: Mapping[str, int], freed: int) -> dict[str, Any]:
    numbers = (
        'manifests',
        'manifestsToDelete',
        'tagsToDelete',
        'manifestsKept',
        'attributedBytes',
        'attributedFreedBytes',
    )
    return {'group': group, **{number: counted[number] for number in numbers}, 'freedBytes': freed}


def _kinds(
    decision: Decision,
    ledger: Ledger,
    groups: Mapping[Node, GroupName],
    going: Mapping[GroupName, list[Node]],
    by_repository: bool,
) -> Mapping[GroupName, dict[str, str]]:
    """What the freed bytes and the attributed bytes of each group are; a group may have tags alone.

    What is in a repository that was not seen belongs to other groups than that repository too.
    """
    missing = not by_repository and (not is_seen(decision.inventory, ledger) or ledger.hidden)
    members: defaultdict[GroupName, list[Node]] = defaultdict(list)
    for node, group in groups.items():
        members[group].append(node)

    def kind(nodes: Sequence[Node]) -> str:
        return kind_of_freed(decision.inventory, ledger, nodes)

    def held(nodes: Sequence[Node]) -> str:
        return APPROXIMATE if missing else kind(nodes)

    nobody = {'impact': kind(()), 'heldImpact': held(())}
    return defaultdict(
        lambda: nobody,
        {group: {'impact': kind(going.get(group, ())), 'heldImpact': held(nodes)} for group, nodes in members.items()},
    )


def _manifests(decision: Decision) -> Iterator[tuple[Node, Verdict]]:
    for name, verdicts in decision.verdicts.items():
        for digest, verdict in verdicts.items():
            yield (name, digest), verdict


def _removed_tags(decision: Decision) -> Iterator[tuple[Node, Verdict]]:
    """The tags that are removed from manifests that stay, each with its manifest."""
    for repository in decision.inventory.repositories:
        for _, digest, verdict in decision.untagged_in(repository):
            yield (repository.name, digest), verdict


def _repository(_: Decision, node: Node, __: Verdict) -> GroupName:
    return node[0]


def _reason(_: Decision, __: Node, verdict: Verdict) -> GroupName:
    return verdict.reason


def _rule(decision: Decision, node: Node, verdict: Verdict) -> GroupName:
    """The name of the rule of a verdict, or what the options say."""
    verdict = _behind(decision, node[0], verdict)
    return verdict.rule or (None if verdict.kept or verdict.reason in RELATIONS else verdict.because)


def rule_rows(decision: Decision, ledger: Ledger) -> list[dict[str, Any]]:
    """A row for each rule, in their order; a rule that does nothing is there with zeros.

    `claimed` counts tags, and manifests without a tag that are no part of others; of them `young` are too young,
    `kept` stay for another reason and `takes` go. `freedBytes` are what a rule frees alone, with all that falls with
    what it takes; `impact` says which kind of number that is.
    """
    claimed: dict[str, list[Verdict]] = {rule: [] for rule in decision.rules}
    for verdict in _claimed(decision):
        if verdict.rule in claimed:
            claimed[verdict.rule].append(verdict)
    taken: dict[str, list[Node]] = {rule: [] for rule in decision.rules}
    for node in decision.doomed_in_order():
        verdict = _behind(decision, node[0], decision.verdicts[node[0]][node[1]])
        taken.setdefault(verdict.rule, []).append(node)
    return [
        {
            'name': rule,
            'claimed': len(verdicts),
            'young': sum(verdict.kept and verdict.reason == YOUNG for verdict in verdicts),
            'kept': sum(verdict.kept and verdict.reason != YOUNG for verdict in verdicts),
            'takes': sum(not verdict.kept for verdict in verdicts),
            'freedBytes': ledger.bytes_freed_by(taken[rule]),
            'impact': kind_of_freed(decision.inventory, ledger, taken[rule]),
        }
        for rule, verdicts in claimed.items()
    ]


def _claimed(decision: Decision) -> Iterator[Verdict]:
    for repository in in_order(decision.inventory.repositories):
        yield from decision.tags.get(repository.name, {}).values()
        for digest, verdict in decision.verdicts[repository.name].items():
            if not user_tags(repository.manifests[digest]):
                yield verdict


def _behind(decision: Decision, repository: str, verdict: Verdict) -> Verdict:
    """The verdict that led to this one: what stays or goes with another manifest has the rule of that manifest."""
    seen: set[str] = set()
    while verdict.reason in RELATIONS and verdict.because not in seen:
        seen.add(verdict.because)
        verdict = decision.verdicts[repository][verdict.because]
    return verdict
