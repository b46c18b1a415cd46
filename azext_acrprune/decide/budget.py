"""Rules that take one image after the other until that is enough: the shortest row that suffices, exact in bytes.

What is not known of the registry makes the freed bytes an upper bound, and so the row shorter, never longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..model import Content, Ghost, Inventory, Manifest
from ..policy.rules import LARGEST_FREED, NOT_PULLED_LONGEST, Policy, Rule, Until
from .claims import instant_of, instant_of_tag
from .graph import falls_with, user_tags
from .impact import Ledger, Node, open_ledger
from .reasons import ENOUGH, UNKNOWN
from .safety import Judgement
from .verdicts import Verdict, kept_by_rule

Judgements = Mapping[str, Judgement]
Spared = Mapping[str, Mapping[str, Verdict]]
"""{repository: {digest: why it stays}} of what may go and is not needed for so many bytes."""
Judge = Callable[[Spared], Judgements]


def within_budgets(inventory: Inventory, policy: Policy, judged: Judge) -> Judgements:
    """The judgements of a registry, where each rule with `until` takes no more than it needs, in order of the rules."""
    limited = [rule for rule in policy.rules if rule.until]
    found = judged({})
    if not limited:
        return found
    ledger = open_ledger(inventory)
    spared: dict[str, dict[str, Verdict]] = {}
    taken = {
        rule.name: [node for node in _taken(found, ledger) if _takes(rule, found, ledger, node)] for rule in limited
    }
    ordered = {rule.name: _in_order(rule, taken[rule.name], found, ledger, policy) for rule in limited}
    for rule in limited:
        placed = frozenset(ordered[rule.name])
        for node in taken[rule.name]:
            _spare(spared, node, rule, node in placed)
    for rule in limited:
        for row in _rows(rule, ordered[rule.name]):
            spared = _without(spared, row[: _enough(rule, row, spared, ledger, judged)])
    return judged(spared)


def _rows(rule: Rule, row: Sequence[Node]) -> list[Sequence[Node]]:
    """The images that are counted together: those of each repository where that is what has to be small enough."""
    if rule.until is None or rule.until.repository_under is None:
        return [row]
    names = sorted({name for name, _ in row})
    return [[node for node in row if node[0] == name] for name in names]


def _enough(rule: Rule, row: Sequence[Node], spared: Spared, ledger: Ledger, judged: Judge) -> int:
    """How many of a row have to go at least; more of them never free less."""
    low, high = 0, len(row)
    while low < high:
        middle = (low + high) // 2
        doomed = _doomed(judged(_without(spared, row[:middle])))
        if rule.until and _suffices(rule.until, row[0][0], doomed, ledger):
            high = middle
        else:
            low = middle + 1
    return low


def _suffices(until: Until, repository: str, doomed: Sequence[Node], ledger: Ledger) -> bool:
    if until.repository_under is not None:
        gone = {digest for name, digest in doomed if name == repository}
        left = [(repository, digest) for digest in ledger.repositories[repository].manifests if digest not in gone]
        return ledger.holding(left).stored <= until.repository_under
    freed = ledger.bytes_freed_by(doomed)
    if until.freed is not None:
        return freed >= until.freed or _may_free_more(doomed, ledger)
    return ledger.registry_bytes - freed <= (until.registry_under or 0)


def _may_free_more(doomed: Sequence[Node], ledger: Ledger) -> bool:
    """Whether something goes of which nobody knows all bytes: perhaps these are enough."""
    contents = (ledger.repositories[name].manifests[digest].content for name, digest in doomed)
    return any(
        bool(content.unmeasured) if isinstance(content, Content) else not isinstance(content, Ghost)
        for content in contents
    )


def _in_order(rule: Rule, nodes: Iterable[Node], found: Judgements, ledger: Ledger, policy: Policy) -> list[Node]:
    """The images in the order in which a rule takes them, without those that have no place in it."""
    nodes = list(nodes)
    ranks = {node: _rank(rule, node, found, ledger, policy) for node in nodes}
    return sorted((node for node in nodes if ranks[node] is not None), key=lambda node: (ranks[node], node))


def _takes(rule: Rule, found: Judgements, ledger: Ledger, node: Node) -> bool:
    """Whether a rule takes a tag of an image, or the image itself where it has no tag."""
    name, digest = node
    tags = user_tags(ledger.repositories[name].manifests[digest])
    verdicts = [found[name].tags[tag] for tag in tags if tag in found[name].tags]
    verdicts = verdicts or [found[name].manifests[digest]]
    return any(not verdict.kept and verdict.rule == rule.name for verdict in verdicts)


def _taken(found: Judgements, ledger: Ledger) -> Iterable[Node]:
    return (
        (name, digest)
        for name, judgement in found.items()
        for digest, verdict in judgement.manifests.items()
        if not verdict.kept or user_tags(ledger.repositories[name].manifests[digest])
    )


def _rank(rule: Rule, node: Node, found: Judgements, ledger: Ledger, policy: Policy) -> int | None:
    """The smaller, the earlier it goes; None for what cannot be ranked and so stays."""
    name, digest = node
    manifest = ledger.repositories[name].manifests[digest]
    if rule.until and rule.until.order == NOT_PULLED_LONGEST:
        return policy.facts.last_pull(name, digest, manifest.created_at)
    if rule.until and rule.until.order == LARGEST_FREED:
        doomed = {gone for gone, verdict in found[name].manifests.items() if not verdict.kept}
        fallen = falls_with(digest, found[name].graph, doomed)
        return -ledger.bytes_freed_by((name, each) for each in fallen)
    return _age_rank(rule, name, manifest, ledger)


def _age_rank(rule: Rule, name: str, manifest: Manifest, ledger: Ledger) -> int | None:
    tags = ledger.repositories[name].tags
    instants = [instant_of_tag(tags[tag], manifest, rule.age) for tag in user_tags(manifest) if tag in tags]
    known = [instant for instant in instants or [instant_of(manifest, rule.age)] if instant is not None]
    return max(known, default=None)


def _spare(spared: dict[str, dict[str, Verdict]], node: Node, rule: Rule, has_place: bool) -> None:
    name, digest = node
    verdict = (
        kept_by_rule(rule, ENOUGH, "what goes before it is enough for its 'until'")
        if has_place
        else kept_by_rule(rule, UNKNOWN, 'it has no place in the order of its rule: its last pull is not known')
    )
    spared.setdefault(name, {})[digest] = verdict


def _without(spared: Spared, nodes: Iterable[Node]) -> dict[str, dict[str, Verdict]]:
    going = set(nodes)
    return {
        name: {digest: verdict for digest, verdict in digests.items() if (name, digest) not in going}
        for name, digests in spared.items()
    }


def _doomed(found: Judgements) -> list[Node]:
    return [
        (name, digest)
        for name, judgement in found.items()
        for digest, verdict in judgement.manifests.items()
        if not verdict.kept
    ]
