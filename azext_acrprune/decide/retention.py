"""Registries that delete by themselves: removing the last tag of an image is a deletion there, now or later.

A retention policy asks for `deleteEnabled` alone, and takes Docker types alone (retention-policy, August 2026). It
knows no index that needs the image, and no pin. So a tag stays here whose image has to stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

from ..model import Content, Ghost, Manifest, Repository, Retention, Unreadable
from ..pins.pinned import Pins
from ..prune_error import Kind, PruneError
from .bonds import opaque
from .decision import Decision
from .drift import needed
from .graph import Graph, build_graph, deletion_waves, user_tags, walk
from .reasons import EXCLUDED, PINNED, RELATIONS, TAGGED, TAGS_CHANGED, UNREADABLE, sentence_of
from .verdicts import Verdict, lock_on

_TYPES = 'application/vnd.docker.'


def with_retention(decision: Decision, retention: Retention | None) -> Decision:
    """The decision for a registry with a retention policy, or perhaps with one; None where it has none.

    Of what loses its last tag, `later` has what the service will delete then, with what refers to it. The tags of what
    something needs, pins, or a rule keeps are not removed: that is what keeps it there.
    """
    if retention is None:
        return decision
    decision = replace(decision, retention=retention)
    verdicts, tags = dict(decision.verdicts), dict(decision.tags)
    later: set[tuple[str, str]] = set()
    for repository in decision.inventory.repositories:
        losing = _losing(decision, repository)
        if losing:
            kept = _kept_by_rules(decision, repository.name, losing)
            staying = {**must_stay(repository, losing - kept.keys(), decision), **kept}
            told = dict(_told(decision, repository, staying, retention))
            tags[repository.name] = {**tags[repository.name], **told}
            verdicts[repository.name] = {**verdicts[repository.name], **_of_images(repository, staying, told)}
            gone = with_referrers(repository, losing - staying.keys())
            later.update((repository.name, digest) for digest in gone - decision.doomed_in(repository.name))
    return replace(decision, verdicts=verdicts, tags=tags, later=frozenset(later))


class StillNeeded(PruneError):
    """A tag was to be removed, and the registry would delete its image then, which has to stay. The text says why."""

    kind = Kind.REFUSED
    sentence = 'Nothing was deleted: {message}.'
    advice = 'Leave the tag, or give the image another one first.'


class LastTag(PruneError):
    """A tag was to be moved, and the registry would delete then what it was on. The text says what."""

    kind = Kind.REFUSED
    sentence = 'Nothing was restored, because the retention policy deletes what has no tag: {message}.'
    advice = 'Give that manifest another tag first, or leave the tags where they are.'


def refused_if_needed(decision: Decision) -> Decision:
    """The decision on tags that were named. Raises StillNeeded when one of them keeps what has to stay."""
    for name, tags in decision.tags.items():
        for tag, verdict in tags.items():
            if verdict.kept and verdict.reason != TAGGED:
                raise StillNeeded(f'{name}:{tag} stays, because {verdict.because.partition(": ")[2]}')
    return decision


def is_taken(manifest: Manifest) -> bool:
    """Whether a retention policy deletes a manifest without a tag. One of an unknown type counts as taken."""
    docker = manifest.media_type is None or manifest.media_type.startswith(_TYPES)
    return docker and manifest.locks.delete_enabled and not isinstance(manifest.content, Ghost)


def must_stay(repository: Repository, losing: AbstractSet[str], decision: Decision) -> dict[str, Verdict]:
    """Of the manifests that lose their last tag, those that are pinned or that something needs which stays."""
    doomed, may_fall = decision.doomed_in(repository.name), set(_without_reason(decision, repository.name))
    return needed_by_others(repository, losing, doomed, may_fall, decision.pins, decision.include_locked)


def _without_reason(decision: Decision, repository: str) -> Iterator[str]:
    """What goes, or stays only because something else does or no rule takes it; a rule that keeps it is a reason."""
    for digest, verdict in decision.verdicts[repository].items():
        if not verdict.kept or verdict.reason in RELATIONS or (verdict.reason == EXCLUDED and not verdict.rule):
            yield digest


def needed_by_others(
    repository: Repository,
    losing: AbstractSet[str],
    doomed: AbstractSet[str],
    may_fall: AbstractSet[str],
    pins: Pins = Pins(),
    include_locked: bool = False,
) -> dict[str, Verdict]:
    """Why some of the manifests that lose their last tag have to stay, given that `doomed` go.

    What refers to them goes with them, as the service would have it, where it `may_fall`, and has no tag, lock, pin or
    quarantine of its own.
    """
    unread = opaque(repository)
    if unread:
        return dict.fromkeys(sorted(losing), Verdict(True, UNREADABLE, unread))
    graph, pinned = build_graph(repository), pins.on(repository)
    own = dict(_by_itself(repository, losing, pinned))
    falling = _falling(repository, graph, losing - own.keys(), may_fall, pinned, include_locked)
    staying = set(repository.manifests) - doomed - falling
    return {**needed(graph, losing - own.keys(), staying), **own}


def check_last_tags(
    planned: Mapping[str, str],
    later: AbstractSet[str],
    going: AbstractSet[str],
    fresh: Repository,
    pins: Pins = Pins(),
    include_locked: bool = False,
) -> dict[str, Verdict]:
    """Which of the tags that are about to go have to stay, as a fresh listing shows: else an image would go with them.

    `planned` has the digest that each of them is on. `later` are the manifests that may go without a tag, as the plan
    said; one that it did not name has lost its other tags since. `going` are those that are deleted themselves.
    """
    losing = _without_tags(planned, fresh)
    staying = {digest: Verdict(True, TAGS_CHANGED, 'it is the last one now') for digest in losing - later}
    if losing:
        staying.update(needed_by_others(fresh, losing & later, going, later, pins, include_locked))
    return {tag: staying[digest] for tag, digest in planned.items() if digest in staying}


def too_early(planned: Mapping[str, str], going: AbstractSet[str], fresh: Repository, graph: Graph) -> set[str]:
    """Which of the tags that are about to go have to wait for the next look at the repository.

    The registry may delete an image as soon as it has no tag. So an index has to be gone before that, or to have lost
    its own tags: if it stayed after all, it would be broken.
    """
    losing = _without_tags(planned, fresh)
    first: AbstractSet[str] = set(next(iter(deletion_waves(graph, losing | going)), ()))
    return {tag for tag, digest in planned.items() if digest in losing - first}


def _without_tags(planned: Mapping[str, str], fresh: Repository) -> set[str]:
    """The manifests that have no tag when those are gone, and that a retention policy takes then."""
    return {
        digest
        for digest in set(planned.values()) & fresh.manifests.keys()
        if is_taken(fresh.manifests[digest]) and all(planned.get(tag) == digest for tag in fresh.manifests[digest].tags)
    }


def with_referrers(repository: Repository, digests: AbstractSet[str]) -> frozenset[str]:
    """Some manifests with all that the service deletes with them: what names them as its subject, however far."""
    referrers: dict[str, list[str]] = {}
    for digest, manifest in sorted(repository.manifests.items()):
        if isinstance(manifest.content, Content) and manifest.content.subject:
            referrers.setdefault(manifest.content.subject, []).append(digest)
    return frozenset(walk(sorted(digests), lambda digest: referrers.get(digest, ())))


def _losing(decision: Decision, repository: Repository) -> frozenset[str]:
    """The manifests that lose their last tag, and that a retention policy takes then."""
    removed: dict[str, set[str]] = {}
    for tag, digest, _ in decision.untagged_in(repository):
        removed.setdefault(digest, set()).add(tag)
    manifests = repository.manifests
    return frozenset(
        digest
        for digest, tags in removed.items()
        if tags.issuperset(manifests[digest].tags) and is_taken(manifests[digest])
    )


def _by_itself(
    repository: Repository, losing: AbstractSet[str], pinned: Mapping[str, str]
) -> Iterator[tuple[str, Verdict]]:
    for digest in sorted(losing):
        content = repository.manifests[digest].content
        if digest in pinned:
            yield digest, Verdict(True, PINNED, pinned[digest])
        elif digest in repository.hidden:
            yield digest, Verdict(True, EXCLUDED, 'it is hidden from lists')
        elif isinstance(content, Unreadable):
            yield digest, Verdict(True, UNREADABLE, content.reason)


def _falling(
    repository: Repository,
    graph: Graph,
    losing: AbstractSet[str],
    may_fall: AbstractSet[str],
    pinned: Mapping[str, str],
    include_locked: bool,
) -> set[str]:
    """What loses its last tag, with what refers to it and has nothing of its own to stay for."""

    def falls(digest: str) -> bool:
        manifest = repository.manifests[digest]
        held = digest in pinned or digest in repository.hidden or manifest.quarantine or user_tags(manifest)
        return digest in may_fall and not held and not lock_on(repository, manifest, include_locked)

    return set(walk(sorted(losing), lambda digest: filter(falls, graph.referrers.get(digest, ()))))


def _kept_by_rules(decision: Decision, repository: str, losing: AbstractSet[str]) -> dict[str, Verdict]:
    """What stays for a reason that is not only that nothing but tags was to go: its age or its rank, for example."""
    verdicts = decision.verdicts[repository]
    return {
        digest: verdicts[digest]
        for digest in sorted(losing)
        if verdicts[digest].reason not in (EXCLUDED, TAGGED, *RELATIONS)
    }


def _told(
    decision: Decision, repository: Repository, staying: Mapping[str, Verdict], retention: Retention
) -> Iterator[tuple[str, Verdict]]:
    """The verdicts on the tags that stay because their images would go without them."""
    known = decision.tags[repository.name]
    policy = 'the retention policy' if retention.days is not None else 'a retention policy, if one is on,'
    for digest, verdict in staying.items():
        why = sentence_of(True, verdict.reason, verdict.because)
        for tag in repository.manifests[digest].tags:  # all of them were to go
            rule = known[tag].rule
            text = f'tag {tag}: without it {policy} would delete its image, and {why}'
            reason = EXCLUDED if verdict.reason in RELATIONS else verdict.reason
            yield tag, Verdict(True, reason, f'{rule}: {text}' if rule else text, rule)


def _of_images(
    repository: Repository, staying: Mapping[str, Verdict], told: Mapping[str, Verdict]
) -> dict[str, Verdict]:
    """The verdicts on images that stay because of a tag: that of the first one."""
    return {digest: told[repository.manifests[digest].tags[0]] for digest in staying}
