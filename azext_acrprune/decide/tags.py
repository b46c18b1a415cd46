"""Which user tags go: each is claimed by one rule, and some are spared because of their rank."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..model import Manifest, Repository, Tag
from ..policy.rules import CREATED, KEEP, OLD, SPARE, Policy, Rule
from .claims import Place, age_is_over, claim_on_tag, counts, instant_of_tag, is_settling, time_of_tag
from .conditions import Due, due
from .graph import user_tags
from .ranking import Entry, spared, unranked
from .reasons import (
    EXCLUDED,
    KEEP_NEWEST,
    LOCKED,
    MATCHED,
    PINNED,
    QUARANTINED,
    RELATIONS,
    TAGGED,
    UNRANKED,
    UNREADABLE,
    YOUNG,
    sentence_of,
)
from .returned import is_back_lately
from .verdicts import Verdict, lock_on_tag


@dataclass(frozen=True)
class _Candidate:
    """A tag that may go unless its rule spares it; `counts` says whether that may be for a number that is kept.

    `waits` is why it does not go yet, whatever its rank is. `pulled` is the last pull of its image, as in `Entry`.
    """

    tag: Tag
    manifest: Manifest
    rule: Rule
    counts: bool
    waits: Verdict | None = None
    pulled: int | None = None

    @property
    def entry(self) -> Entry:
        instant = instant_of_tag(self.tag, self.manifest, self.rule.age)
        return Entry(self.tag.name, self.manifest.digest, instant or 0, pulled=self.pulled)


def judge_tags(policy: Policy, place: Place) -> dict[str, Verdict]:
    """A verdict for each user tag of the repository, in order of name. A tag that goes has the reason `matched`."""
    verdicts: dict[str, Verdict] = {}
    candidates: list[_Candidate] = []
    for _, manifest in sorted(place.repository.manifests.items()):
        tags = user_tags(manifest)
        protected = _protected_image(policy, place.repository.name, tags)
        for tag in tags:
            found = protected or _spared_at_once(policy, place, manifest, tag)
            if isinstance(found, Verdict):
                verdicts[tag] = found
            else:
                candidates.append(found)
    for rule in policy.rules:
        verdicts.update(_spared_by_rank([each for each in candidates if each.rule is rule], rule))
    going = [candidate for candidate in candidates if candidate.tag.name not in verdicts]
    verdicts.update(_spared_by_floor(policy, verdicts, going, place))
    for candidate in going:
        verdicts.setdefault(candidate.tag.name, _going(candidate.rule))
    return dict(sorted(verdicts.items()))


def stays_with_its_image(rule: Rule, tag: str, image: Verdict) -> Verdict:
    """Why a tag stays that would go if its image did."""
    why = sentence_of(True, image.reason, image.because)
    reason = EXCLUDED if image.reason in RELATIONS else image.reason
    return _kept(rule, reason, tag, f'its image stays: {why}')


def _protected_image(policy: Policy, repository: str, tags: Sequence[str]) -> Verdict | None:
    """What protects an image because of one of its tags, and so all of them."""
    for protection in policy.protections if tags else ():
        if protection.whole_image and protection.scope.has_repository(repository):
            for tag in tags:
                if protection.scope.has_tag(tag):
                    return Verdict(True, EXCLUDED, f'tag {tag}: {protection.text}')
    return None


def _spared_at_once(policy: Policy, place: Place, manifest: Manifest, name: str) -> Verdict | _Candidate:
    """The verdict for a tag that stays whatever the other tags are, or else the tag as a candidate."""
    protected = policy.protects_tag(place.repository.name, name)
    if protected:
        return Verdict(True, EXCLUDED, f'tag {name}: {protected}')
    who = policy.pins.by_tag(place.repository.name).get(name)
    if who:
        return Verdict(True, PINNED, f'tag {name}: {who}')
    claim = claim_on_tag(policy, place, manifest, name)
    if claim.rule is None:
        return Verdict(True, TAGGED, name)
    if not claim.certain:
        return _kept(claim.rule, UNREADABLE, name, 'what the rule asks for could not be read')
    if claim.rule.action == KEEP:
        return _kept(claim.rule, EXCLUDED, name, 'the rule keeps it')
    return _claimed(policy, place, manifest, name, claim.rule)


def _claimed(policy: Policy, place: Place, manifest: Manifest, name: str, rule: Rule) -> Verdict | _Candidate:
    """Why a tag that a rule wants to take is locked, or the candidate that it is, which may have to wait."""
    tag = _listed(place.repository, name, manifest.digest)
    lock = lock_on_tag(place.repository, manifest, name, policy.include_locked)
    if lock:
        return _kept(rule, LOCKED, name, lock)
    if manifest.quarantine and not rule.match.names_quarantine(manifest.quarantine):
        return _kept(rule, QUARANTINED, name, manifest.quarantine)
    if tag is None:
        return _kept(rule, YOUNG, name, 'no readable time')
    if is_back_lately(place.came_back(manifest.digest, name), rule.age.seconds, place.now):
        return _kept(rule, YOUNG, name, f'it came back {tag.last_update_time}')
    pulled = place.facts.last_pull(place.repository.name, manifest.digest, manifest.created_at)
    return _Candidate(
        tag, manifest, rule, counts(policy, place, manifest), _waits(policy, place, manifest, tag, rule), pulled
    )


def _waits(policy: Policy, place: Place, manifest: Manifest, tag: Tag, rule: Rule) -> Verdict | None:
    if not age_is_over(instant_of_tag(tag, manifest, rule.age), rule.age.seconds, place.now):
        return _kept(rule, YOUNG, tag.name, time_of_tag(tag, manifest, rule.age))
    if policy.settling and is_settling(tag, policy.settling, place.now):
        return _kept(rule, YOUNG, tag.name, policy.settling.text)
    found: Due | None = due(rule.when, place, manifest, tag.name)
    return None if found is None else _kept(rule, found.reason, tag.name, found.text)


def _listed(repository: Repository, name: str, digest: str) -> Tag | None:
    """The tag in the tag listing. None when that listing has it on another manifest, or not at all."""
    tag = repository.tags.get(name)
    return tag if tag and tag.digest == digest else None


def _kept(rule: Rule, reason: str, tag: str, text: str) -> Verdict:
    return Verdict(True, reason, rule.says(f'tag {tag}: {text}'), rule.name)


def _going(rule: Rule) -> Verdict:
    what = 'its image created, and the tag not moved,' if rule.age.by == CREATED else 'untouched'
    return Verdict(False, MATCHED, rule.says(f'matched, and {what} {rule.age.said}'), rule.name)


def _spared_by_rank(candidates: Sequence[_Candidate], rule: Rule) -> Iterator[tuple[str, Verdict]]:
    """Those that wait, and of the others those that stay for their rank, each with its first reason."""
    ranked = [
        each
        for each in candidates
        # What is not a report has no rank among reports, whether it counts as an image or not.
        if rule.keep.spares_some and (each.counts or rule.keep.per_subject) and not (rule.keep.of == OLD and each.waits)
    ]
    by_rank: dict[str, Verdict] = {}
    if rule.keep.others == SPARE:
        for why, entry in unranked((each.entry for each in ranked), rule.keep):
            by_rank.setdefault(entry.name, _kept(rule, UNRANKED, entry.name, why))
    rankable = [each.entry for each in ranked if each.tag.name not in by_rank and each.entry.instant]
    for text, entries in spared(rankable, rule.keep):
        for entry in entries:
            by_rank.setdefault(entry.name, _kept(rule, KEEP_NEWEST, entry.name, text))
    for candidate in candidates:
        verdict = candidate.waits or by_rank.get(candidate.tag.name)
        if verdict:
            yield candidate.tag.name, verdict


def _spared_by_floor(
    policy: Policy, staying_tags: Container[str], going: Sequence[_Candidate], place: Place
) -> dict[str, Verdict]:
    """Verdicts for tags that stay so that the repository keeps `min_keep` images: the newest tag of each image."""
    staying = {
        digest
        for digest, manifest in place.repository.manifests.items()
        if any(tag in staying_tags for tag in user_tags(manifest)) and counts(policy, place, manifest)
    }
    spared_tags: dict[str, Verdict] = {}
    for candidate in _newest_first(going):
        if len(staying) >= policy.min_keep:
            break
        if candidate.counts and candidate.manifest.digest not in staying:
            staying.add(candidate.manifest.digest)
            spared_tags[candidate.tag.name] = _kept(
                candidate.rule, KEEP_NEWEST, candidate.tag.name, f'limits.minKeepPerRepository {policy.min_keep}'
            )
    return spared_tags


def _newest_first(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    return sorted(candidates, key=lambda candidate: (-candidate.entry.instant, candidate.tag.name))
