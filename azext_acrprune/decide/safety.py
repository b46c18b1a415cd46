"""Which manifests of a repository may go, and for each other one the reason why it stays.

A manifest stays when a root needs it, directly or through any chain of children, referrers, attachments and subjects. A
root is a manifest with a reason of its own to stay. A manifest whose content is not known stays, and so does all that
it may need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from ..model import Ghost, Manifest, Repository, Unreadable, time_text
from ..policy.rules import CREATED, GHOSTS, KEEP, ORPHANS, PARTIAL, UNTAG, Age, Policy, Rule, When
from .bonds import falling, kept_by, opaque
from .claims import Claim, Labels, Place, age_is_over, claims_on_untagged, has_aged, is_settling, untagged_at
from .conditions import due
from .graph import Graph, attached_subjects, build_graph, missing_children, missing_subject, user_tags
from .owners import carried_by, claim_of, inherited_claims
from .ranks import ranked
from .reasons import EXCLUDED, LOCKED, NOT_DUE, PINNED, QUARANTINED, TAGGED, UNKNOWN, UNREADABLE, UNTAGGED, YOUNG
from .reports import reports_in, without_links
from .returned import is_back_lately
from .tags import judge_tags
from .verdicts import Verdict, kept_by_rule, lock_on
from .wholes import still_staying

_NO_RULE = Rule()

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

    `staying` are the user tags that stay, of the manifests that have some; `protected` is what protects all of them.
    `inherited` are the parts and referrers whose claim is that of what they belong to, `carried` those that share the
    fate of an image whose tags all go, however young they are. `held` stay because of their parts, `ranked` because
    of their rank.
    """

    place: Place
    policy: Policy
    selected: bool
    tags: Mapping[str, Verdict]
    staying: Mapping[str, Sequence[str]]
    protected: str | None
    claims: Mapping[str, Claim]
    inherited: AbstractSet[str]
    carried: AbstractSet[str]
    held: Mapping[str, Verdict]
    ranked: Mapping[str, Verdict]
    opaque: str | None
    pinned: Mapping[str, str]

    def rule(self, manifest: Manifest) -> Rule | None:
        """The rule that claims a manifest of which no user tag stays."""
        return self.claims[manifest.digest].rule

    def rule_that_takes(self, manifest: Manifest) -> Rule:
        """The rule that claims a manifest which goes. There is one, because what no rule claims stays."""
        rule = self.rule(manifest)
        assert rule is not None
        return rule


def judge(
    repository: Repository,
    policy: Policy,
    now: int,
    selected: bool = True,
    labels: Labels | None = None,
    present: AbstractSet[str] | None = None,
    spared: Mapping[str, Verdict] | None = None,
) -> Judgement:
    """Judge every tag and every manifest of a repository.

    `now` is in ticks. `selected` is false for a repository in which nothing may be deleted. `present` are the digests
    of all manifests that exist in the registry; without them no attachment is known to be an orphan.
    `spared` are manifests that stay because a rule with `until` has taken enough.
    """
    place = Place(repository, build_graph(repository), labels or {}, now, present, policy.facts)
    tags = judge_tags(policy, place) if policy.takes_tags and selected else {}
    tags = {**tags, **dict(_spared_tags(repository, tags, spared or {}))}
    reports = reports_in(policy, place, bool(opaque(repository)))
    whole, place = place.graph, replace(place, graph=without_links(place.graph, reports.superseded.keys()))
    held: dict[str, Verdict] = {**reports.unranked, **(spared or {})}
    while True:
        case = _case(place, policy, selected, tags, held)
        case = replace(case, ranked=_ranked(case))
        roots = _roots(case)
        verdicts = {**roots, **kept_by(roots, place.graph)}
        holding, staying = ({}, {}) if policy.by_itself else still_staying(place, case.claims, roots, verdicts, held)
        if not (holding or staying):
            break
        held, tags = {**held, **holding}, {**tags, **staying}
    superseded = {
        digest: verdict
        for digest, verdict in reports.superseded.items()
        if digest not in verdicts and whole.subjects[digest][0] in verdicts
    }
    case = replace(case, place=replace(place, graph=without_links(whole, superseded.keys())))
    verdicts.update(_doomed(sorted(set(repository.manifests) - set(verdicts)), case))
    verdicts.update(superseded)
    return Judgement(dict(sorted(verdicts.items())), tags, case.place.graph)


def _spared_tags(
    repository: Repository, tags: Mapping[str, Verdict], spared: Mapping[str, Verdict]
) -> Iterator[tuple[str, Verdict]]:
    """The tags that stay because the rule that takes them has taken enough."""
    for digest, verdict in spared.items():
        for tag in user_tags(repository.manifests[digest]):
            if tag in tags and not tags[tag].kept:
                yield tag, verdict


def _case(
    place: Place, policy: Policy, selected: bool, tags: Mapping[str, Verdict], held: Mapping[str, Verdict]
) -> _Case:
    repository = place.repository
    staying = dict(_staying_tags(repository, tags))
    on_untagged = claims_on_untagged(policy, repository.name)
    claims = {
        digest: claim_of(policy, on_untagged, place, manifest)
        for digest, manifest in repository.manifests.items()
        if digest not in staying
    }
    inherited = dict(inherited_claims(claims, place, policy.by_itself)) if place.graph.has_edges else {}
    claims.update(inherited)
    return _Case(
        place,
        policy,
        selected,
        tags,
        staying,
        policy.protects_repository(repository.name),
        claims,
        frozenset(inherited),
        frozenset() if policy.by_itself else frozenset(carried_by(claims, place)),
        held,
        ranked={},
        opaque=opaque(repository),
        pinned=policy.pins.on(repository),
    )


def _ranked(case: _Case) -> Mapping[str, Verdict]:
    """What stays for its rank, of the images that do not stay anyway. One that is young, or waits, may take a place."""
    if not any(rule.keep.spares_some for rule in case.policy.rules) and not case.policy.keep_untagged:
        return {}
    staying: frozenset[str] = frozenset()
    if not case.policy.by_itself:
        roots = _roots(case)
        verdicts = {**roots, **kept_by(roots, case.place.graph)}
        staying = frozenset(digest for digest, verdict in verdicts.items() if verdict.reason not in _WAITING)
    return ranked(case.policy, case.place, case.claims, case.inherited, staying)


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


def _settling(case: _Case, left: Sequence[Manifest]) -> Roots:
    """What may not be known in every region yet stays, however little age was asked for."""
    settling = case.policy.settling
    for manifest in left if settling else ():
        came_back = case.place.came_back(manifest.digest)
        lately = settling and is_back_lately(came_back, settling.seconds, case.place.now)
        if settling and (lately or is_settling(manifest, settling, case.place.now)):
            yield manifest.digest, Verdict(True, YOUNG, settling.text)


def _young(case: _Case, left: Sequence[Manifest]) -> Roots:
    """Young manifests stay. A client pushes the platform images first, without a tag, and their index last."""
    for manifest in left:
        rule = case.rule(manifest) or _NO_RULE
        seconds = _seconds_of(case, manifest.digest, rule.age)
        if seconds is not None and not has_aged(case.place, manifest, rule, seconds):
            yield manifest.digest, kept_by_rule(rule, YOUNG, _why_young(case.place, manifest, rule, seconds))
        elif seconds is not None and is_back_lately(case.place.came_back(manifest.digest), seconds, case.place.now):
            yield manifest.digest, kept_by_rule(rule, YOUNG, f'it came back {manifest.last_update_time}')


def _seconds_of(case: _Case, digest: str, age: Age) -> int | None:
    """How old something has to be; None where its own age does not count."""
    if case.policy.by_itself:
        return age.seconds
    if digest in case.carried:
        return None
    return min(age.seconds, Age().seconds) if digest in case.inherited else age.seconds


def _waiting(case: _Case, left: Sequence[Manifest]) -> Roots:
    """What a rule waits for beside the age; a tag has answered that for its image already."""
    if not any(rule.when != When() for rule in case.policy.rules):
        return
    for manifest in left:
        rule = case.rule(manifest)
        if rule and rule.action != KEEP and manifest.digest not in case.inherited and not user_tags(manifest):
            found = due(rule.when, case.place, manifest, None)
            if found:
                yield manifest.digest, kept_by_rule(rule, found.reason, found.text)


def _held(case: _Case, left: Sequence[Manifest]) -> Roots:
    for manifest in left if case.held else ():
        if manifest.digest in case.held:
            yield manifest.digest, case.held[manifest.digest]


def _keep_newest(case: _Case, left: Sequence[Manifest]) -> Roots:
    for manifest in left if case.ranked else ():
        if manifest.digest in case.ranked:
            yield manifest.digest, case.ranked[manifest.digest]


def _excluded(case: _Case, left: Sequence[Manifest]) -> Roots:
    for manifest in left:
        rule = case.rule(manifest)
        why = _why_excluded(case, manifest, rule)
        if why:
            yield manifest.digest, kept_by_rule(rule, EXCLUDED, why)


def _why_excluded(case: _Case, manifest: Manifest, rule: Rule | None) -> str | None:
    if not case.selected:
        return 'repository not selected'
    if manifest.digest in case.place.repository.hidden:
        return 'it is hidden from lists'
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
            yield manifest.digest, kept_by_rule(case.rule(manifest), UNREADABLE, why)


def _quarantined(case: _Case, left: Sequence[Manifest]) -> Roots:
    """Such an image may be listed without its tag. Only a rule that names the state takes it."""
    for manifest in left:
        rule = case.rule(manifest) if manifest.quarantine else None
        if manifest.quarantine and not (rule and rule.match.names_quarantine(manifest.quarantine)):
            yield manifest.digest, Verdict(True, QUARANTINED, manifest.quarantine)


_WAITING = frozenset({YOUNG, NOT_DUE, UNKNOWN})

_ROOTS: tuple[Callable[[_Case, Sequence[Manifest]], Roots], ...] = (
    _tagged,
    _locked,
    _pinned,
    _young,
    _settling,
    _held,
    _waiting,
    _keep_newest,
    _excluded,
    _unreadable,
    _quarantined,
)


def _why_young(place: Place, manifest: Manifest, rule: Rule, seconds: int) -> str:
    untagged = untagged_at(place, manifest, rule)
    if untagged is not None and not age_is_over(untagged, seconds, place.now):
        return f'it lost its last tag {time_text(untagged)}'
    time = manifest.created_time if rule.age.by == CREATED else manifest.last_update_time
    return time or 'no readable time'


def _doomed(doomed: list[str], case: _Case) -> Iterator[tuple[str, Verdict]]:
    going = frozenset(doomed)
    untagged: dict[tuple[str, str], Verdict] = {}
    for digest in doomed:
        manifest = case.place.repository.manifests[digest]
        tags = user_tags(manifest)
        if tags:
            yield digest, case.tags[tags[0]]
        else:
            yield digest, falling(digest, going, case.place.graph) or _untagged(case, manifest, untagged)


def _untagged(case: _Case, manifest: Manifest, known: dict[tuple[str, str], Verdict]) -> Verdict:
    """The verdict for an untagged manifest. Equal verdicts are one object in `known`: there may be a million."""
    rule, included = case.rule_that_takes(manifest), _included(case, manifest)
    asked = f'include {included}, ' if included else ''
    key = rule.says(f'{asked}untagged {rule.age.said}'), rule.name
    if key not in known:
        known[key] = Verdict(False, UNTAGGED, *key)
    return known[key]


def _included(case: _Case, manifest: Manifest) -> str | None:
    """The word after `--include` without which a manifest would stay."""
    if isinstance(manifest.content, Ghost):
        return GHOSTS
    if missing_subject(case.place.graph, manifest):
        return ORPHANS
    is_partial = PARTIAL in case.policy.include and missing_children(case.place.repository, manifest.digest)
    return PARTIAL if is_partial else None
