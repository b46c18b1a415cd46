"""The claims on manifests of which no user tag stays: a part goes with its index, a referrer with its subject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..model import Manifest
from ..policy.rules import UNTAG, Policy, Rule
from .claims import Claim, Place, claim_on_manifest, claim_on_tag, keeps_as_a_part
from .graph import user_tags, walk


def claim_of(policy: Policy, on_untagged: Sequence[Claim], place: Place, manifest: Manifest) -> Claim:
    """The claim on a manifest that loses its tags is that of the first rule which takes one of them."""
    tags = user_tags(manifest)
    if not tags:
        return claim_on_manifest(on_untagged, place, manifest)
    claims = [claim_on_tag(policy, place, manifest, tag) for tag in tags]
    only_untag = [claim for claim in claims if claim.rule and claim.rule.action == UNTAG]
    return min(only_untag or claims, key=lambda claim: policy.rules.index(claim.rule))


def inherited_claims(
    claims: Mapping[str, Claim], place: Place, only_unclaimed: bool = False
) -> Iterator[tuple[str, Claim]]:
    """A part goes with its index, and a referrer with its subject, by the rule that takes what they belong to.

    Of several rules that delete its owners the one that asks for the greatest age claims it. What a rule asks to be
    kept is no part in this sense. With `only_unclaimed`, what some rule claims by itself is left out.
    """
    graph = place.graph
    for digest in (graph.parents.keys() | graph.subjects.keys()) & claims.keys():
        if only_unclaimed and claims[digest].rule is not None:
            continue
        if _belongs(digest, claims, place):
            rules = [rule for owner in _owners(digest, claims, place) for rule in [deleting(owner)] if rule]
            if rules:
                yield digest, Claim(max(rules, key=lambda rule: rule.age.seconds))


def deleting(claim: Claim) -> Rule | None:
    """The rule of a claim that deletes for certain."""
    return claim.rule if claim.rule and claim.certain and claim.rule.takes_images else None


def _belongs(digest: str, claims: Mapping[str, Claim], place: Place) -> bool:
    """Whether something is a part or a referrer, and neither tagged nor to be kept by itself."""
    if digest not in place.graph.parents and digest not in place.graph.subjects:
        return False
    return not user_tags(place.repository.manifests[digest]) and not keeps_as_a_part(claims[digest])


def _owners(digest: str, claims: Mapping[str, Claim], place: Place) -> Iterator[Claim]:
    """The claims on the images that a part or referrer belongs to, through other parts and referrers."""
    graph = place.graph

    def above(below: str) -> Iterable[str]:
        if below != digest and not _belongs(below, claims, place):
            return ()
        owners = (*graph.parents.get(below, ()), *graph.subjects.get(below, ()))
        return [owner for owner in owners if owner in claims]

    for owner in walk([digest], above):
        if owner != digest and not _belongs(owner, claims, place):
            yield claims[owner]


def carried_by(claims: Mapping[str, Claim], place: Place) -> Iterator[str]:
    """What refers to images whose tags all go, or to parts of them, with its own parts and referrers."""
    graph = place.graph
    if not graph.referrers:
        return
    losing = [
        digest for digest, claim in claims.items() if deleting(claim) and user_tags(place.repository.manifests[digest])
    ]
    parts = walk(losing, lambda digest: graph.children.get(digest, ()))
    referrers = [referrer for part in parts for referrer in graph.referrers.get(part, ())]
    for digest in walk(referrers, lambda above: (other for other, _ in graph.consequences(above))):
        if digest in claims and _belongs(digest, claims, place):
            yield digest
