"""The safe set: which manifests of a repository may go, and for every other one why it stays.

The rules are those of acr-purge's users: a manifest stays when a root needs it, directly or through any chain of
children, referrers, attachments and subjects. Unknown means kept.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, Iterator, List, Optional, Tuple

from ..model import TICKS_PER_SECOND, Content, Ghost, Locks, Manifest, Repository, Unreadable
from ..policy.rules import UntaggedPolicy
from .graph import CHILD_OF, REFERRER_OF, Graph, build_graph, spread, user_tags
from .manifests import has_no_edges

TAGGED = 'tagged'
LOCKED = 'locked'
YOUNG = 'young'
KEEP_NEWEST = 'keepNewest'
EXCLUDED = 'excluded'
UNREADABLE = 'unreadable'
UNTAGGED = 'untagged'


@dataclass(frozen=True)
class Verdict:
    """Whether a manifest stays; `because` is the digest, tag or rule behind `reason`."""

    kept: bool
    reason: str
    because: str


@dataclass(frozen=True)
class _Case:
    """All that a rule may look at."""

    repository: Repository
    graph: Graph
    policy: UntaggedPolicy
    now: int
    selected: bool
    newest: FrozenSet[str]
    opaque: Optional[str]


def judge(repository: Repository, policy: UntaggedPolicy, now: int, selected: bool = True) -> Dict[str, Verdict]:
    """One verdict for each manifest of the repository, in order of digest.

    `now` is in ticks. `selected` is false for a repository in which nothing may be deleted.
    """
    graph = build_graph(repository)
    case = _Case(repository, graph, policy, now, selected,
                 newest=_newest_images(repository, graph, policy.keep), opaque=_opaque(repository))
    verdicts = dict(_roots(case))
    for digest, (relation, source) in spread(list(verdicts), graph.neighbours).items():
        verdicts[digest] = Verdict(True, relation, source)
    doomed = sorted(set(repository.manifests) - set(verdicts))
    verdicts.update(_doomed(doomed, graph, policy))
    return dict(sorted(verdicts.items()))


def age_is_over(updated_at: Optional[int], ago_seconds: int, now: int) -> bool:
    """Whether something is old enough to go. Without a readable time, or dated in the future, it is young."""
    if updated_at is None or updated_at > now:
        return False
    return now - updated_at >= ago_seconds * TICKS_PER_SECOND


def lock_on(repository: Repository, manifest: Manifest) -> Optional[str]:
    """The lock that protects a manifest: its own, that of one of its tags, or that of the repository."""
    if manifest.locks.locked:
        return f'manifest {manifest.locks.because}'
    for tag in manifest.tags:
        locks: Optional[Locks] = repository.locked_tags.get(tag)
        if locks:
            return f'tag {tag} {locks.because}'
    if repository.locks.locked:
        return f'repository {repository.locks.because}'
    return None


def _roots(case: _Case) -> Iterator[Tuple[str, Verdict]]:
    for digest, manifest in sorted(case.repository.manifests.items()):
        for reason, rule in _RULES:
            because = rule(case, manifest)
            if because is not None:
                yield digest, Verdict(True, reason, because)
                break


def _tagged(_: _Case, manifest: Manifest) -> Optional[str]:
    return next(iter(user_tags(manifest)), None)


def _locked(case: _Case, manifest: Manifest) -> Optional[str]:
    return lock_on(case.repository, manifest)


def _young(case: _Case, manifest: Manifest) -> Optional[str]:
    """Pushes in flight: platform images come first, untagged, and their index last."""
    if age_is_over(manifest.updated_at, case.policy.ago_seconds, case.now):
        return None
    return manifest.last_update_time or 'no readable time'


def _keep_newest(case: _Case, manifest: Manifest) -> Optional[str]:
    return f'keep {case.policy.keep}' if manifest.digest in case.newest else None


def _excluded(case: _Case, manifest: Manifest) -> Optional[str]:
    if not case.selected:
        return 'repository not selected'
    if isinstance(manifest.content, Ghost):
        return 'ghost'
    if manifest.digest in case.graph.orphans:
        return f'orphan attachment of {case.graph.orphans[manifest.digest]}'
    return None


def _unreadable(case: _Case, manifest: Manifest) -> Optional[str]:
    if isinstance(manifest.content, Unreadable):
        return manifest.content.reason
    return case.opaque


_RULES: Tuple[Tuple[str, Callable[[_Case, Manifest], Optional[str]]], ...] = (
    (TAGGED, _tagged),
    (LOCKED, _locked),
    (YOUNG, _young),
    (KEEP_NEWEST, _keep_newest),
    (EXCLUDED, _excluded),
    (UNREADABLE, _unreadable),
)


def _opaque(repository: Repository) -> Optional[str]:
    """A manifest of unknown content that may need any other one, so that none may go (fail closed).

    It may be an index, or the referrer of any manifest, which the service would delete with its subject.
    """
    return next((digest for digest, manifest in sorted(repository.manifests.items())
                 if isinstance(manifest.content, Unreadable) and not has_no_edges(manifest.media_type)), None)


def _newest_images(repository: Repository, graph: Graph, keep: int) -> FrozenSet[str]:
    """The newest `keep` untagged images: neither parts of an index nor referrers, which stay with their image."""
    images: List[Manifest] = [
        manifest for digest, manifest in repository.manifests.items()
        if not manifest.tags and not isinstance(manifest.content, (Ghost, Unreadable))
        and digest not in graph.parents and not _refers(manifest)]
    images.sort(key=lambda manifest: (-(manifest.updated_at or 0), manifest.digest))
    return frozenset(manifest.digest for manifest in images[:keep])


def _refers(manifest: Manifest) -> bool:
    return isinstance(manifest.content, Content) and manifest.content.subject is not None


def _doomed(doomed: List[str], graph: Graph, policy: UntaggedPolicy) -> Iterator[Tuple[str, Verdict]]:
    going = set(doomed)
    for digest in doomed:
        subject = next((other for other in graph.subjects.get(digest, ()) if other in going and other != digest), None)
        parent = next((other for other in graph.parents.get(digest, ()) if other in going and other != digest), None)
        if subject:
            yield digest, Verdict(False, REFERRER_OF, subject)
        elif parent:
            yield digest, Verdict(False, CHILD_OF, parent)
        else:
            yield digest, Verdict(False, UNTAGGED, f'untagged for {policy.ago} or longer')
