"""Which user tags go. One rule claims each tag, and some are spared because they are among the newest."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import semver

from ..model import Manifest, Repository, Tag
from ..policy.rules import KEEP, Keep, Policy, Rule
from .claims import Place, age_is_over, claim_on_tag, counts, instant_of
from .graph import user_tags
from .reasons import EXCLUDED, KEEP_NEWEST, LOCKED, MATCHED, PINNED, TAGGED, UNREADABLE, YOUNG
from .verdicts import Verdict, lock_on_tag


@dataclass(frozen=True)
class _Candidate:
    """A tag that goes unless its rule spares it. `counts` is false for a tag that a number to keep leaves out."""

    tag: Tag
    manifest: Manifest
    rule: Rule
    counts: bool

    @property
    def instant(self) -> int:
        return instant_of(self.tag, self.rule.age) or 0


def judge_tags(policy: Policy, place: Place) -> dict[str, Verdict]:
    """A verdict for each user tag of the repository, in order of name. A tag that goes has the reason `matched`."""
    verdicts: dict[str, Verdict] = {}
    candidates: list[_Candidate] = []
    for _, manifest in sorted(place.repository.manifests.items()):
        for tag in user_tags(manifest):
            found = _spared_at_once(policy, place, manifest, tag)
            if isinstance(found, Verdict):
                verdicts[tag] = found
            else:
                candidates.append(found)
    for rule in {id(candidate.rule): candidate.rule for candidate in candidates}.values():
        verdicts.update(_spared_by_keep([each for each in candidates if each.rule is rule], rule))
    going = [candidate for candidate in candidates if candidate.tag.name not in verdicts]
    verdicts.update(_spared_by_floor(policy, verdicts, going, place))
    for candidate in going:
        verdicts.setdefault(candidate.tag.name, _going(candidate.rule))
    return dict(sorted(verdicts.items()))


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
    return _spared_by_itself(policy, place, manifest, name, claim.rule)


def _spared_by_itself(policy: Policy, place: Place, manifest: Manifest, name: str, rule: Rule) -> Verdict | _Candidate:
    """The verdict for a tag that is locked or too young, or else the tag as a candidate."""
    tag = _listed(place.repository, name, manifest.digest)
    lock = lock_on_tag(place.repository, manifest, name, policy.include_locked)
    if lock:
        return _kept(rule, LOCKED, name, lock)
    if tag is None or not age_is_over(instant_of(tag, rule.age), rule.age.seconds, place.now):
        return _kept(rule, YOUNG, name, tag.last_update_time if tag and tag.last_update_time else 'no readable time')
    return _Candidate(tag, manifest, rule, counts(policy, place, manifest))


def _listed(repository: Repository, name: str, digest: str) -> Tag | None:
    """The tag in the tag listing. None when that listing has it on another manifest, or not at all."""
    tag = repository.tags.get(name)
    return tag if tag and tag.digest == digest else None


def _kept(rule: Rule, reason: str, tag: str, text: str) -> Verdict:
    return Verdict(True, reason, rule.says(f'tag {tag}: {text}'), rule.name)


def _going(rule: Rule) -> Verdict:
    return Verdict(False, MATCHED, rule.says(f'matched, and untouched for {rule.age.text} or longer'), rule.name)


def _spared_by_keep(candidates: Sequence[_Candidate], rule: Rule) -> Iterator[tuple[str, Verdict]]:
    for text, spared in _spared(candidates, rule.keep):
        for candidate in spared:
            yield candidate.tag.name, _kept(rule, KEEP_NEWEST, candidate.tag.name, text)


def _spared(candidates: Sequence[_Candidate], keep: Keep) -> Iterator[tuple[str, Sequence[_Candidate]]]:
    candidates = [candidate for candidate in candidates if candidate.counts]
    newest = _newest_first(candidates)
    yield f'among the newest {keep.newest}', newest[: keep.newest]
    for kind, versions in zip(('releases', 'pre-releases'), _by_version(candidates)):
        yield f'among the newest {keep.semver} {kind} by version', versions[: keep.semver]
    for number, pattern in keep.groups:
        groups: dict[tuple[str, ...], list[_Candidate]] = {}
        for candidate in newest:
            groups.setdefault(pattern.group_of(candidate.tag.name), []).append(candidate)
        for group, members in groups.items():
            if group:
                yield f'among the newest {number} of {"/".join(group)}', members[:number]


def _newest_first(candidates: Iterable[_Candidate]) -> list[_Candidate]:
    return sorted(candidates, key=lambda candidate: (-candidate.instant, candidate.tag.name))


def _by_version(candidates: Iterable[_Candidate]) -> tuple[list[_Candidate], list[_Candidate]]:
    """Tags that are semantic versions, with or without a leading `v`, the newest first: releases, pre-releases."""
    versions = [
        (version, candidate)
        for candidate in sorted(candidates, key=lambda each: each.tag.name)
        for version in [_version(candidate.tag.name)]
        if version
    ]
    versions.sort(key=lambda pair: pair[0], reverse=True)
    return (
        [candidate for version, candidate in versions if not version.prerelease],
        [candidate for version, candidate in versions if version.prerelease],
    )


def _version(tag: str) -> semver.VersionInfo | None:
    try:
        return semver.VersionInfo.parse(tag[1:] if tag.startswith('v') else tag)
    except ValueError:
        return None


def _spared_by_floor(
    policy: Policy, staying_tags: Container[str], going: Sequence[_Candidate], place: Place
) -> dict[str, Verdict]:
    """Verdicts for tags that stay so that the repository keeps `min_keep` images: the newest tag of each image."""
    staying = {
        digest
        for digest, manifest in place.repository.manifests.items()
        if any(tag in staying_tags for tag in user_tags(manifest)) and counts(policy, place, manifest)
    }
    spared: dict[str, Verdict] = {}
    for candidate in _newest_first(going):
        if len(staying) >= policy.min_keep:
            break
        if candidate.counts and candidate.manifest.digest not in staying:
            staying.add(candidate.manifest.digest)
            spared[candidate.tag.name] = _kept(
                candidate.rule, KEEP_NEWEST, candidate.tag.name, f'limits.minKeepPerRepository {policy.min_keep}'
            )
    return spared
