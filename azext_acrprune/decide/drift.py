"""Compares a plan with a fresh listing, right before deleting: the registry may have changed since the plan."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..model import Ghost, Locks, Manifest, Repository, Tag, Unreadable
from ..pins.pinned import Pins
from .graph import Graph, absent_children, build_graph, spread
from .manifests import has_no_edges
from .reasons import LOCKED, PINNED, QUARANTINED, TAGS_CHANGED, UNREADABLE, UPDATED
from .reports import without_links
from .verdicts import Verdict, lock_on, lock_on_tag, locks_of


@dataclass(frozen=True)
class Drift:
    """What a fresh listing of one repository says about the manifests that a plan dooms.

    `valid` may go now. `skipped` must stay, each with its reason. `gone` are no longer there, which counts as done.
    """

    valid: frozenset[str]
    skipped: Mapping[str, Verdict]
    gone: frozenset[str]
    graph: Graph


@dataclass(frozen=True)
class TagDrift:
    """What a fresh listing of one repository says about the tags that a plan removes from manifests that stay.

    `valid` may go now. `skipped` must stay, each with its reason. `gone` are no longer there, which counts as done.
    """

    valid: frozenset[str]
    skipped: Mapping[str, Verdict]
    gone: frozenset[str]


def check_drift(
    planned: AbstractSet[str],
    seen: Repository,
    fresh: Repository | None,
    include_locked: bool = False,
    pins: Pins = Pins(),
    superseded: AbstractSet[str] = frozenset(),
) -> Drift:
    """Compare the repository as the plan saw it with how it is now; `fresh` is None when it is gone.

    What is pinned now stays: a tag that is pinned may have moved since, and a plan may be older than its pins.

    Whatever the plan did not name survives, and with it all that it needs: a new index keeps its children, a new
    referrer its subject (which would otherwise take the referrer with it). What is `superseded` goes although what it
    refers to stays.
    """
    if fresh is None:
        return Drift(frozenset(), {}, frozenset(planned), build_graph(Repository(seen.name, {})))
    graph = build_graph(fresh)
    present = sorted(digest for digest in planned if digest in fresh.manifests)
    pinned = pins.on(fresh)
    skipped = {digest: Verdict(True, PINNED, pinned[digest]) for digest in present if digest in pinned}
    skipped.update(
        {
            digest: change
            for digest in present
            if digest not in pinned
            for change in [_change(digest, seen, fresh, include_locked)]
            if change
        }
    )
    valid = set(present) - set(skipped)
    opaque = _opaque(valid, seen, fresh)
    graph, spared = _needed_but_for(graph, valid, set(fresh.manifests) - valid, superseded & valid)
    skipped.update(spared)
    if opaque:
        skipped.update({digest: Verdict(True, UNREADABLE, opaque) for digest in valid})
    return Drift(frozenset(present) - set(skipped), skipped, frozenset(planned) - set(present), graph)


def _needed_but_for(
    graph: Graph, valid: AbstractSet[str], survivors: AbstractSet[str], superseded: AbstractSet[str]
) -> tuple[Graph, dict[str, Verdict]]:
    """(the graph without the links of what is superseded, what survivors need); what they need has its links again."""
    while True:
        cut = without_links(graph, superseded)
        spared = needed(cut, valid, survivors)
        if not superseded & spared.keys():
            return cut, spared
        superseded = superseded - spared.keys()


def needed(graph: Graph, doomed: AbstractSet[str], survivors: AbstractSet[str]) -> dict[str, Verdict]:
    """The manifests of `doomed` that a survivor needs, each with the relation and the digest that keep it."""
    return {
        digest: Verdict(True, relation, source)
        for digest, (relation, source) in spread(sorted(survivors), graph.neighbours).items()
        if digest in doomed
    }


def check_tags(
    planned: Mapping[str, str],
    seen: Repository,
    fresh: Repository | None,
    include_locked: bool = False,
    pins: Pins = Pins(),
) -> TagDrift:
    """Compare tags with how they are now. `planned` has the digest that each of them was on. A pinned tag stays."""
    fresh = fresh or Repository(seen.name, {})
    present = sorted(tag for tag in planned if tag in fresh.tags)
    pinned = pins.by_tag(seen.name)
    changes = {
        tag: Verdict(True, PINNED, pinned[tag])
        if tag in pinned
        else _tag_change(planned[tag], seen, fresh.tags[tag], fresh, include_locked)
        for tag in present
    }
    skipped = {tag: change for tag, change in changes.items() if change}
    return TagDrift(frozenset(present) - frozenset(skipped), skipped, frozenset(planned) - frozenset(present))


def _tag_change(digest: str, seen: Repository, now: Tag, fresh: Repository, include_locked: bool) -> Verdict | None:
    before = seen.tags.get(now.name)
    if now.digest != digest:
        return Verdict(True, TAGS_CHANGED, f'it is on {now.digest} now')
    if digest not in fresh.manifests:  # the manifests and the tags are two listings
        return Verdict(True, TAGS_CHANGED, f'{digest} is not listed')
    lock = lock_on_tag(
        fresh, fresh.manifests[digest], now.name, include_locked and not _new_locks(digest, seen, fresh, now.name)
    )
    if lock:
        return Verdict(True, LOCKED, lock)
    if before is None or now.last_update_time != before.last_update_time:
        return Verdict(True, UPDATED, now.last_update_time or 'no readable time')
    return _new_quarantine(seen.manifests.get(digest), fresh.manifests[digest])


def _new_quarantine(before: Manifest | None, now: Manifest) -> Verdict | None:
    known = before.quarantine if before else None
    return Verdict(True, QUARANTINED, now.quarantine) if now.quarantine and now.quarantine != known else None


def _change(digest: str, seen: Repository, fresh: Repository, include_locked: bool) -> Verdict | None:
    before, now = seen.manifests[digest], fresh.manifests[digest]
    if set(now.tags) != set(before.tags):
        return Verdict(True, TAGS_CHANGED, ', '.join(now.tags) or 'untagged')
    lock = lock_on(fresh, now, include_locked and not _new_locks(digest, seen, fresh))
    if lock:
        return Verdict(True, LOCKED, lock)
    if now.last_update_time != before.last_update_time:
        return Verdict(True, UPDATED, now.last_update_time or 'no readable time')
    pushed = _pushed_again(now, seen, fresh)
    if pushed:
        return Verdict(True, UPDATED, f'the tag {pushed} was pushed again')
    if now.locks.read_enabled and not before.locks.read_enabled:
        return Verdict(True, UPDATED, 'it can be pulled again')
    quarantined = _new_quarantine(before, now)
    if quarantined:
        return quarantined
    if isinstance(before.content, Ghost) and not isinstance(now.content, Ghost):
        return Verdict(True, UPDATED, 'it was a ghost, and is there now')
    came = sorted({*absent_children(seen, digest)}.difference(absent_children(fresh, digest)))
    return Verdict(True, UPDATED, f'it lacked {came[0]}, which is there now') if came else None


def _pushed_again(now: Manifest, seen: Repository, fresh: Repository) -> str | None:
    """A tag of a manifest that has another time than before: to push it again moves no time of the manifest."""
    both = (tag for tag in now.tags if tag in seen.tags and tag in fresh.tags)
    return next((tag for tag in both if fresh.tags[tag].last_update_time != seen.tags[tag].last_update_time), None)


def _new_locks(
    digest: str, seen: Repository, fresh: Repository, tag: str | None = None
) -> AbstractSet[tuple[str, Locks]]:
    """The locks that the plan did not see. Somebody has locked the manifest or the tag since then."""
    return set(locks_of(fresh, fresh.manifests[digest], tag)) - set(locks_of(seen, seen.manifests[digest], tag))


def _opaque(going: AbstractSet[str], seen: Repository, fresh: Repository) -> str | None:
    """What is not known and may need any manifest: one that stays and could not be read, or what is not listed.

    A plan dooms nothing beside an unreadable manifest that stays, so every one that is found here is new. A ghost that
    is new or has changed may be an index that is being pushed.
    """
    return (
        fresh.unseen
        or seen.unseen
        or next(
            (
                digest
                for digest, manifest in sorted(fresh.manifests.items())
                if digest not in going
                and not has_no_edges(manifest.media_type)
                and (
                    isinstance(manifest.content, Unreadable)
                    or isinstance(manifest.content, Ghost)
                    and seen.manifests.get(digest) != manifest
                )
            ),
            None,
        )
    )
