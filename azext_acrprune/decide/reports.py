"""Reports on images, such as those of nightly scans: of what refers to the same image, the newest stay.

All else that refers to an image stays and goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from ..model import Content, Manifest
from ..policy.rules import OLD, Policy, Rule
from .claims import Place, claim_on_manifest, claims_on_untagged, has_aged, instant_of, is_settling
from .conditions import due
from .graph import Graph, user_tags, walk
from .reasons import SUPERSEDED, UNRANKED
from .verdicts import Verdict, kept_by_rule, lock_on


@dataclass(frozen=True)
class Reports:
    """What rules with `perSubject` decide: `superseded` may go although their subjects stay, `unranked` have none."""

    superseded: Mapping[str, Verdict]
    unranked: Mapping[str, Verdict]


def without_links(graph: Graph, digests: AbstractSet[str]) -> Graph:
    """The graph without the edges between these manifests and what they refer to."""
    if not digests:
        return graph
    referrers = {
        subject: tuple(each for each in others if each not in digests) for subject, others in graph.referrers.items()
    }
    return replace(
        graph,
        referrers={subject: others for subject, others in referrers.items() if others},
        subjects={digest: subjects for digest, subjects in graph.subjects.items() if digest not in digests},
    )


def reports_in(policy: Policy, place: Place, opaque: bool) -> Reports:
    """The reports of a repository that a rule with `perSubject` claims. Where it is `opaque`, all of them stay."""
    groups: dict[tuple[int, str], list[Manifest]] = {}
    unranked: dict[str, Verdict] = {}
    for manifest, rule in _claimed(policy, place):
        subjects = place.graph.subjects.get(manifest.digest, ())
        if len(subjects) == 1:
            groups.setdefault((policy.rules.index(rule), subjects[0]), []).append(manifest)
        elif not subjects:
            unranked[manifest.digest] = kept_by_rule(rule, UNRANKED, 'what it refers to is not there')
    superseded: dict[str, Verdict] = {}
    for (number, subject), manifests in groups.items() if not opaque else ():
        rule = policy.rules[number]
        text = rule.says(f'the newest {rule.keep.per_subject} of {subject} stay')
        for digest in _superseded(rule, policy, place, manifests):
            superseded[digest] = Verdict(False, SUPERSEDED, text, rule.name)
    return Reports(superseded, unranked)


def _claimed(policy: Policy, place: Place) -> Iterator[tuple[Manifest, Rule]]:
    if not any(rule.keep.per_subject for rule in policy.rules):
        return
    claims = claims_on_untagged(policy, place.repository.name)
    for digest, manifest in sorted(place.repository.manifests.items()):
        content = manifest.content
        refers = isinstance(content, Content) and content.subject is not None
        if refers and not user_tags(manifest) and digest not in place.graph.parents:
            claim = claim_on_manifest(claims, place, manifest)
            if claim.rule and claim.certain and claim.rule.keep.per_subject:
                yield manifest, claim.rule


def _superseded(rule: Rule, policy: Policy, place: Place, manifests: Iterable[Manifest]) -> Iterator[str]:
    """Those that are not among the newest; what is locked, pinned or protected stays, and takes no place."""
    free = [
        manifest for manifest in manifests if instant_of(manifest, rule.age) and not _is_held(policy, place, manifest)
    ]
    old = [
        manifest
        for manifest in free
        if has_aged(place, manifest, rule, rule.age.seconds) and not due(rule.when, place, manifest, None)
    ]
    ranked = sorted(
        old if rule.keep.of == OLD else free,
        key=lambda manifest: (-(instant_of(manifest, rule.age) or 0), manifest.digest),
    )
    newest = {manifest.digest for manifest in ranked[: rule.keep.per_subject]}
    yield from (manifest.digest for manifest in old if manifest.digest not in newest)


def _is_held(policy: Policy, place: Place, manifest: Manifest) -> bool:
    """Whether a report, or something that would go with it, stays for a reason of its own."""
    repository = place.repository
    if policy.protects_repository(repository.name):
        return True
    known = {*policy.pins.on(repository), *policy.digests, *repository.hidden}
    falling = walk([manifest.digest], lambda each: (other for other, _ in place.graph.consequences(each)))
    return any(digest in known or _stays_itself(policy, place, repository.manifests[digest]) for digest in falling)


def _stays_itself(policy: Policy, place: Place, manifest: Manifest) -> bool:
    return bool(
        lock_on(place.repository, manifest, policy.include_locked)
        or user_tags(manifest)
        or manifest.quarantine
        or is_settling(manifest, policy.settling, place.now)
    )
