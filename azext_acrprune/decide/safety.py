"""Which manifests of a repository may go, and for each other one the reason why it stays.

A manifest stays when a root needs it, directly or through any chain of children, referrers, attachments and subjects. A
root is a manifest with a reason of its own to stay. A manifest whose content is not known stays, and so does all that
it may need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..model import Content, Ghost, Manifest, Repository, Unreadable
from ..policy.rules import CREATED, DELETE, GHOSTS, KEEP, ORPHANS, PARTIAL, UNTAG, Age, Policy, Rule
from .claims import (
    Claim,
    Labels,
    Place,
    age_is_over,
    claim_on_manifest,
    claim_on_tag,
    claims_on_untagged,
    counts,
    instant_of,
)
from .graph import Graph, attached_subjects, build_graph, missing_children, missing_subject, spread, user_tags, walk
from .manifests import has_no_edges
from .reasons import CHILD_OF, EXCLUDED, KEEP_NEWEST, LOCKED, PINNED, REFERRER_OF, TAGGED, UNREADABLE, UNTAGGED, YOUNG
from .tags import judge_tags
from .verdicts import Verdict, lock_on

Roots = Iterator[tuple[str, Verdict]]
"""Verdicts by digest."""


@dataclass(frozen=True)
class Judgement:
    """A verdict for each manifest of a repository, by digest, and for each user tag, by name, both in order.

    `tags` is empty when no rule may take a tag. `graph` has the edges that the verdicts are based on.
    """

    manifests: Mapping[str, Verdict]
    tags: Mapping[str, Verdict]
    graph: Graph


@dataclass(frozen=True)
class _Case:
    """All that a root rule needs to know.

    `staying` has the user tags that stay, by digest of their manifest. `protected` names the protection of the whole
    repository. `newest` are the untagged images that a number to keep spares. `opaque` is an unreadable manifest that
    may need any other one. `pinned` says who pins a digest.
    """

    place: Place
    policy: Policy
    selected: bool
    tags: Mapping[str, Verdict]
    staying: Mapping[str, Sequence[str]]
    protected: str | None
    claims: Mapping[str, Claim]
    newest: frozenset[str]
    opaque: str | None
    pinned: Mapping[str, str]

    def rule(self, manifest: Manifest) -> Rule | None:
        """The rule that claims a manifest of which no user tag stays."""
        return self.claims[manifest.digest].rule


def judge(
    repository: Repository,
    policy: Policy,
    now: int,
    selected: bool = True,
    labels: Labels | None = None,
    present: AbstractSet[str] | None = None,
) -> Judgement:
    """Judge every tag and every manifest of a repository.

    `now` is in ticks. `selected` is false for a repository in which nothing may be deleted. `present` are the digests
    of all manifests that exist in the registry; without them no attachment is known to be an orphan.
    """
    case = _case(Place(repository, build_graph(repository), labels or {}, now, present), policy, selected)
    graph = case.place.graph
    roots = _roots(case)
    verdicts = {**roots, **kept_by(roots, graph)}
    doomed = sorted(set(repository.manifests) - set(verdicts))
    verdicts.update(_doomed(doomed, case))
    return Judgement(dict(sorted(verdicts.items())), case.tags, graph)


def _case(place: Place, policy: Policy, selected: bool) -> _Case:
    """Judge the tags of a repository, and find the rules that claim the manifests of which no user tag stays."""
    repository = place.repository
    tags = judge_tags(policy, place) if policy.takes_tags and selected else {}
    staying = dict(_staying_tags(repository, tags))
    on_untagged = claims_on_untagged(policy, repository.name)
    claims = {
        digest: _claim(policy, on_untagged, place, manifest)
        for digest, manifest in repository.manifests.items()
        if digest not in staying
    }
    claims.update(_inherited(claims, place.graph))
    return _Case(
        place,
        policy,
        selected,
        tags,
        staying,
        policy.protects_repository(repository.name),
        claims,
        newest=_newest_images(policy, place, claims),
        opaque=opaque(repository),
        pinned=policy.pins.on(repository),
    )


def kept_by(roots: Iterable[str], graph: Graph) -> dict[str, Verdict]:
    """The manifests that stay because `roots` stay, each with the relation and the digest that keep it."""
    if not graph.has_edges:  # as in most repositories
        return {}
    return {
        digest: Verdict(True, relation, source)
        for digest, (relation, source) in spread(list(roots), graph.neighbours).items()
    }


def opaque(repository: Repository) -> str | None:
    """The digest of an unreadable manifest that may need any other one, so that nothing may go from its repository.

    It may be an index. It may also be a referrer, which the service deletes with its subject.
    """
    return min(
        (
            digest
            for digest, manifest in repository.manifests.items()
            if isinstance(manifest.content, Unreadable) and not has_no_edges(manifest.media_type)
        ),
        default=None,
    )


def falling(digest: str, going: Iterable[str], graph: Graph) -> Verdict | None:
    """The verdict for a manifest that goes because its subject or its index goes. None when neither goes."""
    going = frozenset(going)
    for relation, others in ((REFERRER_OF, graph.subjects), (CHILD_OF, graph.parents)):
        for other in others.get(digest, ()):
            if other in going:
                return Verdict(False, relation, other)
    return None


def _claim(policy: Policy, on_untagged: Sequence[Claim], place: Place, manifest: Manifest) -> Claim:
    """The claim on a manifest without a tag that stays: the first rule that takes one of its tags.

    A rule that only removes tags comes before the others.
    """
    tags = user_tags(manifest)
    if not tags:
        return claim_on_manifest(on_untagged, place, manifest)
    claims = [claim_on_tag(policy, place, manifest, tag) for tag in tags]
    only_untag = [claim for claim in claims if claim.rule and claim.rule.action == UNTAG]
    return min(only_untag or claims, key=lambda claim: policy.rules.index(claim.rule))


def _inherited(claims: Mapping[str, Claim], graph: Graph) -> Iterator[tuple[str, Claim]]:
    """Claims on manifests that no rule matches: by the rules that claim their indexes and subjects.

    If several rules delete its indexes and subjects, the rule with the greatest age claims it.
    """
    for digest, claim in claims.items():
        if claim.rule is None:
            rules = [
                owner.rule for owner in _owners(digest, claims, graph) if owner.certain and owner.rule.action == DELETE
            ]
            if rules:
                yield digest, Claim(max(rules, key=lambda rule: rule.age.seconds))


def _owners(digest: str, claims: Mapping[str, Claim], graph: Graph) -> Iterator[Claim]:
    """The claims on the nearest indexes and subjects above a manifest that a rule claims."""

    def above(below: str) -> Iterable[str]:
        if claims[below].rule is not None:
            return ()
        owners = (*graph.parents.get(below, ()), *graph.subjects.get(below, ()))
        return [owner for owner in owners if owner in claims]

    for owner in walk([digest], above):
        if claims[owner].rule is not None:
            yield claims[owner]


def _staying_tags(repository: Repository, tags: Mapping[str, Verdict]) -> Iterator[tuple[str, list[str]]]:
    """(digest, its user tags that stay) of each manifest that has such tags."""
    for digest, manifest in repository.manifests.items():
        staying = [tag for tag in user_tags(manifest) if tag not in tags or tags[tag].kept]
        if staying:
            yield digest, staying


def _roots(case: _Case) -> dict[str, Verdict]:
    """The manifests that stay for a reason of their own, in order of digest, each with its first reason."""
    roots: dict[str, Verdict] = {}
    left = list(case.place.repository.manifests.values())
    for rule in _ROOTS:
        found = dict(rule(case, left))
        if found:
            roots.update(found)
            left = [manifest for manifest in left if manifest.digest not in found]
    return dict(sorted(roots.items()))


def _tagged(case: _Case, left: Sequence[Manifest]) -> Roots:
    """A tag that stays keeps its manifest. The reason is that of the tag."""
    for manifest in left if case.staying else ():
        staying = case.staying.get(manifest.digest)
        if staying:
            yield manifest.digest, case.tags.get(staying[0]) or Verdict(True, TAGGED, staying[0])


def _locked(case: _Case, left: Sequence[Manifest]) -> Roots:
    for manifest in left:
        lock = lock_on(case.place.repository, manifest, case.policy.include_locked)
        if lock:
            yield manifest.digest, Verdict(True, LOCKED, lock)


def _pinned(case: _Case, left: Sequence[Manifest]) -> Roots:
    for manifest in left if case.policy.digests or case.pinned else ():
        who = 'protect.digests' if manifest.digest in case.policy.digests else case.pinned.get(manifest.digest)
        if who:
            yield manifest.digest, Verdict(True, PINNED, who)


def _young(case: _Case, left: Sequence[Manifest]) -> Roots:
    """Young manifests stay. A client pushes the platform images first, without a tag, and their index last."""
    for manifest in left:
        rule = case.rule(manifest)
        age = rule.age if rule else Age()
        if not age_is_over(instant_of(manifest, age), age.seconds, case.place.now):
            yield manifest.digest, _root(rule, YOUNG, _time_of(manifest, age) or 'no readable time')


def _keep_newest(case: _Case, left: Sequence[Manifest]) -> Roots:
    for manifest in left if case.newest else ():
        rule = case.rule(manifest)
        if rule and manifest.digest in case.newest:
            yield manifest.digest, _root(rule, KEEP_NEWEST, f'keep {rule.keep.newest}')


def _excluded(case: _Case, left: Sequence[Manifest]) -> Roots:
    for manifest in left:
        rule = case.rule(manifest)
        why = _why_excluded(case, manifest, rule)
        if why:
            yield manifest.digest, _root(rule, EXCLUDED, why)


def _why_excluded(case: _Case, manifest: Manifest, rule: Rule | None) -> str | None:
    if not case.selected:
        return 'repository not selected'
    if isinstance(manifest.content, Ghost):
        if GHOSTS not in case.policy.include:
            return 'ghost'
    else:
        orphan = _why_orphan_stays(case, manifest)
        if orphan:
            return orphan
    if case.protected:
        return case.protected
    if rule is None:
        return 'no rule matches'
    return _WHY_NO_DELETION.get(rule.action)


_WHY_NO_DELETION = {KEEP: 'the rule keeps it', UNTAG: 'only tags are removed'}


def _why_orphan_stays(case: _Case, manifest: Manifest) -> str | None:
    """Why an attachment without a subject stays. Cosign can keep signatures in another repository than their images."""
    missing = missing_subject(case.place.graph, manifest)
    if not missing:
        return None
    text = f'orphan attachment of {missing}'
    if ORPHANS not in case.policy.include:
        return text
    if case.place.present is None:
        return f'{text}, which may be in a repository that was not read'
    if not case.place.present.isdisjoint(attached_subjects(manifest)):
        return f'{text}, which is in another repository'
    return None


def _unreadable(case: _Case, left: Sequence[Manifest]) -> Roots:
    for manifest in left:
        if isinstance(manifest.content, Unreadable):
            why: str | None = manifest.content.reason
        else:
            certain = case.claims[manifest.digest].certain
            why = case.opaque if certain else 'what the rule asks for could not be read'
        if why is not None:
            yield manifest.digest, _root(case.rule(manifest), UNREADABLE, why)


_ROOTS: tuple[Callable[[_Case, Sequence[Manifest]], Roots], ...] = (
    _tagged,
    _locked,
    _pinned,
    _young,
    _keep_newest,
    _excluded,
    _unreadable,
)


def _root(rule: Rule | None, reason: str, text: str) -> Verdict:
    return Verdict(True, reason, rule.says(text) if rule else text, rule.name if rule else '')


def _time_of(manifest: Manifest, age: Age) -> str | None:
    return manifest.created_time if age.by == CREATED else manifest.last_update_time


def _newest_images(policy: Policy, place: Place, claims: Mapping[str, Claim]) -> frozenset[str]:
    """The newest untagged images, as many as the rule of each keeps."""
    images: dict[int, list[Manifest]] = {}
    for digest, claim in claims.items():
        manifest = place.repository.manifests[digest]
        if claim.rule and claim.rule.keep.newest and _is_image(policy, place, manifest):
            images.setdefault(policy.rules.index(claim.rule), []).append(manifest)
    return frozenset(
        manifest.digest for number, found in images.items() for manifest in _newest(found, policy.rules[number])
    )


def _newest(images: list[Manifest], rule: Rule) -> list[Manifest]:
    images.sort(key=lambda manifest: (-(instant_of(manifest, rule.age) or 0), manifest.digest))
    return images[: rule.keep.newest]


def _is_image(policy: Policy, place: Place, manifest: Manifest) -> bool:
    """Whether a manifest counts as an untagged image. Children and referrers do not: they stay with their image."""
    return (
        not manifest.tags
        and not isinstance(manifest.content, Unreadable)
        and counts(policy, place, manifest)
        and manifest.digest not in place.graph.parents
        and not (isinstance(manifest.content, Content) and manifest.content.subject is not None)
    )


def _doomed(doomed: list[str], case: _Case) -> Iterator[tuple[str, Verdict]]:
    going = frozenset(doomed)
    untagged: dict[tuple[int, str | None], Verdict] = {}
    for digest in doomed:
        manifest = case.place.repository.manifests[digest]
        tags = user_tags(manifest)
        if tags:
            yield digest, case.tags[tags[0]]
        else:
            yield digest, falling(digest, going, case.place.graph) or _untagged(case, manifest, untagged)


def _untagged(case: _Case, manifest: Manifest, known: dict[tuple[int, str | None], Verdict]) -> Verdict:
    """The verdict for an untagged manifest. Equal verdicts are one object in `known`: there may be a million."""
    rule, included = case.rule(manifest), _included(case, manifest)
    key = id(rule), included
    if key not in known:
        asked = f'include {included}, ' if included else ''
        known[key] = Verdict(False, UNTAGGED, rule.says(f'{asked}untagged for {rule.age.text} or longer'), rule.name)
    return known[key]


def _included(case: _Case, manifest: Manifest) -> str | None:
    """The word after `--include` without which a manifest would stay."""
    if isinstance(manifest.content, Ghost):
        return GHOSTS
    if missing_subject(case.place.graph, manifest):
        return ORPHANS
    is_partial = PARTIAL in case.policy.include and missing_children(case.place.repository, manifest.digest)
    return PARTIAL if is_partial else None
