"""Which images without a tag stay because of their rank, or because they have none."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

from ..model import Content, Manifest, Unreadable
from ..policy.rules import OLD, SPARE, Policy, Rule
from .claims import Claim, Place, age_is_over, counts, has_aged, instant_of
from .conditions import due
from .graph import attached_subjects
from .owners import deleting
from .ranking import Entry, spared, unranked
from .reasons import KEEP_NEWEST, UNRANKED
from .verdicts import Verdict, kept_by_rule, lock_on


def ranked(
    policy: Policy, place: Place, claims: Mapping[str, Claim], inherited: Container[str], staying: Container[str]
) -> dict[str, Verdict]:
    """The untagged images that stay for their rank, or because they have none.

    `staying` take no place, and neither does what has no time, which stays as young.
    """
    keeping = [rule for rule in policy.rules if rule.keep.spares_some]
    images: dict[int, list[Manifest]] = {}
    for digest, claim in claims.items() if keeping else ():
        manifest = place.repository.manifests[digest]
        if claim.rule not in keeping or digest in inherited or digest in staying:
            continue
        if _is_image(policy, place, manifest) and (policy.by_itself or not _is_held(policy, place, claim, manifest)):
            images.setdefault(policy.rules.index(claim.rule), []).append(manifest)
    found: dict[str, Verdict] = {}
    for number, manifests in images.items():
        found.update(_ranked_by(policy.rules[number], manifests, place))
    if policy.keep_untagged:
        for digest in _newest_without_tags(policy, place, claims):
            found.setdefault(digest, Verdict(True, KEEP_NEWEST, f'keep {policy.keep_untagged} untagged'))
    return found


def _is_held(policy: Policy, place: Place, claim: Claim, manifest: Manifest) -> bool:
    """Whether it stays for a reason of its own, however young it is."""
    repository, digest = place.repository, manifest.digest
    quarantined = manifest.quarantine and not (claim.rule and claim.rule.match.names_quarantine(manifest.quarantine))
    return bool(
        not claim.certain
        or quarantined
        or digest in policy.digests
        or digest in policy.pins.on(repository)
        or digest in repository.hidden
        or lock_on(repository, manifest, policy.include_locked)
        or policy.protects_repository(repository.name)
    )


def _ranked_by(rule: Rule, manifests: Iterable[Manifest], place: Place) -> Iterator[tuple[str, Verdict]]:
    entries = [
        Entry(
            manifest.digest,
            manifest.digest,
            instant_of(manifest, rule.age) or 0,
            is_tag=False,
            pulled=place.facts.last_pull(place.repository.name, manifest.digest, manifest.created_at),
        )
        for manifest in manifests
        if rule.keep.of != OLD
        or has_aged(place, manifest, rule, rule.age.seconds)
        and not due(rule.when, place, manifest, None)
    ]
    without: dict[str, str] = {}
    if rule.keep.others == SPARE:
        without = {entry.name: why for why, entry in unranked(entries, rule.keep)}
    rankable = [entry for entry in entries if entry.name not in without and entry.instant]
    for text, chosen in spared(rankable, rule.keep):
        for entry in chosen:
            yield entry.name, kept_by_rule(rule, KEEP_NEWEST, text)
    for name, why in without.items():
        yield name, kept_by_rule(rule, UNRANKED, why)


def _newest_without_tags(policy: Policy, place: Place, claims: Mapping[str, Claim]) -> list[str]:
    """Of the images that have no tag left and are old enough, the newest."""
    found = [
        (-(instant_of(manifest, rule.age) or 0), digest)
        for digest, claim in claims.items()
        for rule, manifest in [(deleting(claim), place.repository.manifests[digest])]
        if rule and not attached_subjects(manifest) and _is_whole_image(policy, place, manifest)
        if age_is_over(instant_of(manifest, rule.age), rule.age.seconds, place.now)
    ]
    return [digest for _, digest in sorted(found)[: policy.keep_untagged]]


def _is_image(policy: Policy, place: Place, manifest: Manifest) -> bool:
    """Untagged, and neither a part of an index nor a referrer: those stay with their image."""
    return not manifest.tags and _is_whole_image(policy, place, manifest)


def _is_whole_image(policy: Policy, place: Place, manifest: Manifest) -> bool:
    return (
        not isinstance(manifest.content, Unreadable)
        and counts(policy, place, manifest)
        and manifest.digest not in place.graph.parents
        and not (isinstance(manifest.content, Content) and manifest.content.subject is not None)
    )
