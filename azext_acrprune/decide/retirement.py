"""Retired images: pulls of them fail, and those that stay so for as long as their rule says are deleted.

Which manifests this program retired, its journal tells. What somebody else hid from pulls is never taken for that, and
what somebody took back is not retired again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..model import TICKS_PER_SECOND, Content, Ghost, Inventory, Locks, Manifest, Repository, Unreadable, time_text
from ..policy.facts import CHANGED, FOREIGN, RETURNED, STILL_RETIRED, TAKEN_BACK, Facts, Retired
from ..policy.rules import RETIRE, Policy, Rule
from .graph import user_tags
from .reasons import (
    ENOUGH,
    EXCLUDED,
    KEEP_NEWEST,
    LOCKED,
    NOT_DUE,
    PINNED,
    RELATIONS,
    RETIRED,
    TAGGED,
    TO_RETIRE,
    UNKNOWN,
    UNRANKED,
    UNTAGGED,
    YOUNG,
)
from .safety import Judgement
from .verdicts import Verdict, kept_by_rule

Judgements = Mapping[str, Judgement]
Spared = Mapping[str, Mapping[str, Verdict]]

_WANTED = frozenset({TAGGED, PINNED, KEEP_NEWEST, EXCLUDED, NOT_DUE, ENOUGH, UNRANKED, LOCKED, YOUNG})
"""Reasons that say that an image is wanted, and not only that something about it is not known.

What is young was pushed again, or something new needs it.
"""


@dataclass(frozen=True)
class Retirement:
    """What the journal says of a manifest that this program retired.

    `at` is the instant, in ticks. `content`, `tags` and `updated_at` are those that it had. `seen_time` and
    `seen_locks` are its `lastUpdateTime` and its locks right afterwards; None where the run did not come so far.
    `returned` says that this program let it be pulled again, and `asked` that somebody asked for just that.
    """

    at: int
    content: Content | None
    tags: tuple[str, ...] = ()
    updated_at: int | None = None
    seen_time: str | None = None
    seen_locks: Locks | None = None
    returned: bool = False
    asked: bool = False


Retirements = Mapping[str, Mapping[str, Retirement]]
"""{repository: {digest: the last retirement}}."""


def has_hidden_content(inventory: Inventory) -> bool:
    """Whether some manifest cannot be pulled because it was hidden from pulls."""
    return any(
        not manifest.locks.read_enabled
        for repository in inventory.repositories
        for manifest in repository.manifests.values()
    )


def with_retirements(inventory: Inventory, records: Retirements) -> tuple[Inventory, dict[str, dict[str, Retired]]]:
    """(the inventory with what is known of retired manifests, how they stand now).

    What a manifest says never changes under its digest: it is known, although it cannot be read any more. Its age is
    counted from before it was retired.
    """
    standings: dict[str, dict[str, Retired]] = {}
    repositories = []
    for repository in inventory.repositories:
        known = records.get(repository.name, {})
        hidden = [digest for digest, each in repository.manifests.items() if not each.locks.read_enabled]
        found = {
            digest: _standing(repository.manifests[digest], known.get(digest))
            for digest in {*hidden, *(known.keys() & repository.manifests.keys())}
        }
        if found:
            standings[repository.name] = found
        manifests = {
            digest: _known(repository.manifests[digest], known[digest], found[digest])
            for digest in found
            if digest in known
        }
        repositories.append(
            replace(repository, manifests={**repository.manifests, **manifests}) if manifests else repository
        )
    return replace(inventory, repositories=tuple(repositories)), standings


def _standing(manifest: Manifest, record: Retirement | None) -> Retired:
    if record is None:
        return Retired(FOREIGN)
    if record.seen_locks is None:  # nobody knows what came of it
        return Retired(RETURNED if manifest.locks.read_enabled else FOREIGN)
    if manifest.locks.read_enabled:
        state = RETURNED if record.returned and not record.asked else TAKEN_BACK
        return Retired(state, record.at, record.tags)
    if not is_ours(record, manifest.locks):
        return Retired(FOREIGN, record.at, record.tags)
    unchanged = record.seen_time == manifest.last_update_time
    return Retired(STILL_RETIRED if unchanged else CHANGED, record.at, record.tags)


def _known(manifest: Manifest, record: Retirement, standing: Retired) -> Manifest:
    if isinstance(manifest.content, Unreadable) and record.content:
        manifest = manifest.having(record.content)
    return manifest._replace(updated_at=record.updated_at) if standing.state == STILL_RETIRED else manifest


def is_ours(record: Retirement, locks: Locks) -> bool:
    """Whether a manifest is hidden from pulls just as this program left it."""
    return record.seen_locks == locks and not record.returned


def judged_with_retirements(
    inventory: Inventory, policy: Policy, now: int, judged: Callable[[Spared], Judgements], spared: Spared
) -> Judgements:
    """The judgements where what a rule retires stays, until it was retired for as long as the rule says."""
    found = judged(spared)
    if not policy.retires:
        return found
    waiting = {
        repository.name: dict(_waiting(_Scene(repository, found[repository.name], policy, now)))
        for repository in inventory.repositories
    }
    judgements = found
    while any(waiting.values()):
        spared = {name: {**spared.get(name, {}), **verdicts} for name, verdicts in waiting.items()}
        judgements = judged(spared)
        waiting = {
            repository.name: _losing_tags(repository, found[repository.name], judgements[repository.name], spared)
            for repository in inventory.repositories
        }
    return judgements


def _losing_tags(repository: Repository, before: Judgement, after: Judgement, spared: Spared) -> dict[str, Verdict]:
    """Verdicts for images that keep their tags where all goes at once, and would lose them where an owner waits."""
    return {
        digest: before.manifests[digest]
        for digest, manifest in repository.manifests.items()
        if digest not in spared.get(repository.name, {}) and before.manifests[digest].kept
        if any(_is_kept(before, tag) and not _is_kept(after, tag) for tag in user_tags(manifest))
    }


def _is_kept(judgement: Judgement, tag: str) -> bool:
    return tag not in judgement.tags or judgement.tags[tag].kept


@dataclass(frozen=True)
class _Scene:
    """One repository, in which `judgement` takes what rules retire as if they deleted it."""

    repository: Repository
    judgement: Judgement
    policy: Policy
    now: int

    @property
    def facts(self) -> Facts:
        return self.policy.facts

    def retired(self, digest: str) -> Retired | None:
        return self.facts.retired.get(self.repository.name, {}).get(digest)

    def last_pull(self, digest: str) -> int:
        return self.facts.pulled.get(self.repository.name, {}).get(digest, 0)

    def is_ghost(self, digest: str) -> bool:
        return isinstance(self.repository.manifests[digest].content, Ghost)

    def goes(self, digest: str) -> bool:
        return not self.judgement.manifests[digest].kept


def _waiting(scene: _Scene) -> Iterator[tuple[str, Verdict]]:
    """Verdicts for all manifests of each image that its rule does not delete yet: an image goes whole."""
    for top, rule in _images(scene):
        parts = [
            digest for digest in scene.judgement.graph.parts(top) if scene.goes(digest) and not scene.is_ghost(digest)
        ]
        if parts:
            yield from _why_waiting(scene, rule, parts).items()


def _images(scene: _Scene) -> Iterator[tuple[str, Rule]]:
    """(digest, rule) of each image that goes by a rule which retires. One such tag of an image is enough."""
    rules = {rule.name: rule for rule in scene.policy.rules if rule.action == RETIRE}
    for digest, verdict in scene.judgement.manifests.items():
        if verdict.kept:
            continue
        tags = user_tags(scene.repository.manifests[digest])
        names = [scene.judgement.tags[tag].rule for tag in tags]
        if not tags and verdict.reason == UNTAGGED:
            names = [verdict.rule]
        retiring = [rules[name] for name in names if name in rules]
        if retiring:
            yield digest, max(retiring, key=_seconds)


def _seconds(rule: Rule) -> int:
    return rule.retire_for.seconds if rule.retire_for else 0


def _why_waiting(scene: _Scene, rule: Rule, parts: list[str]) -> dict[str, Verdict]:
    """The verdicts for the manifests of an image; empty where it has waited for long enough."""
    whole = _why_not(scene, parts)
    if whole:
        return dict.fromkeys(parts, kept_by_rule(rule, *whole))
    standings = {digest: scene.retired(digest) for digest in parts}
    still = [each for each in standings.values() if each and each.state == STILL_RETIRED]
    begun = max(each.at for each in still) if len(still) == len(parts) else scene.now
    due = begun + _seconds(rule) * TICKS_PER_SECOND
    if due <= scene.now:
        unknown = _why_unknown(scene, min(each.at for each in still))
        return dict.fromkeys(parts, kept_by_rule(rule, UNKNOWN, unknown)) if unknown else {}
    goes = f'it goes for good on {time_text(due)[:10]} unless somebody takes it back'
    return {
        digest: kept_by_rule(rule, RETIRED, f'since {time_text(each.at)[:10]}, {goes}')
        if each and each.state == STILL_RETIRED
        else kept_by_rule(rule, TO_RETIRE, goes)
        for digest, each in standings.items()
    }


def _why_not(scene: _Scene, parts: list[str]) -> tuple[str, str] | None:
    """(reason, text) why an image is not retired, and does not go, whatever its age."""
    for digest in parts:
        retired = scene.retired(digest)
        if retired and retired.at and scene.last_pull(digest) > retired.at:
            who = scene.facts.pulled_by.get(scene.repository.name, {}).get(digest, 'somebody')
            day = time_text(scene.last_pull(digest))[:10]
            return NOT_DUE, f'{who} pulled it, or tried to, on {day}, after it was retired'
        if retired and retired.state == FOREIGN:
            return LOCKED, f'manifest readEnabled=false of {digest}, which is not as this program set it'
        if retired and retired.state == CHANGED:
            return NOT_DUE, f'it was changed after it was retired on {time_text(retired.at)[:10]}'
        if retired and retired.state == TAKEN_BACK:
            return NOT_DUE, f'it was retired on {time_text(retired.at)[:10]}, and somebody took it back'
    return None


def _why_unknown(scene: _Scene, since: int) -> str | None:
    """Where there is a log, it has to know of all pulls since an image was retired."""
    facts = scene.facts
    if not facts.has_log or facts.pulls_since is not None and facts.pulls_since <= since:
        return None
    return f'the log of pulls does not go back to {time_text(since)[:10]}, when it was retired'


def returning(policy: Policy, inventory: Inventory, judgements: Judgements) -> dict[tuple[str, str], Verdict]:
    """{(repository, digest): why} of what this program retired and is wanted now: pulls of it shall work again."""
    if not policy.retires:
        return {}
    return {
        (repository.name, digest): why
        for repository in inventory.repositories
        if repository.name in inventory.selected
        for digest, retired in sorted(policy.facts.retired.get(repository.name, {}).items())
        if retired.state in (STILL_RETIRED, CHANGED)
        for why in [_why_wanted(repository.manifests[digest], retired, judgements[repository.name], digest)]
        if why
    }


def _why_wanted(manifest: Manifest, retired: Retired, judgement: Judgement, digest: str) -> Verdict | None:
    verdict, seen = judgement.manifests[digest], {digest}
    new = set(manifest.tags) - set(retired.tags)
    if verdict.kept and new:
        return Verdict(True, TAGGED, f'{min(new)}, which is new')
    while verdict.reason in RELATIONS and verdict.because not in seen:
        seen.add(verdict.because)
        verdict = judgement.manifests[verdict.because]
    return verdict if verdict.kept and verdict.reason in _WANTED else None
