"""Is the plan still true? Between plan and delete the registry lives on."""
from __future__ import annotations

from dataclasses import dataclass
from typing import AbstractSet, Dict, FrozenSet, List, Mapping, Optional

from ..model import Ghost, Manifest, Repository, Unreadable
from .graph import Graph, build_graph, spread
from .manifests import has_no_edges
from .safety import LOCKED, UNREADABLE, Verdict, lock_on

TAGS_CHANGED = 'tagsChanged'
UPDATED = 'updated'


@dataclass(frozen=True)
class Drift:
    """What a fresh listing of one repository says about the manifests that a plan dooms.

    `valid` may go now. `skipped` must stay, each with its reason. `gone` are there no more, which counts as done.
    """

    valid: FrozenSet[str]
    skipped: Mapping[str, Verdict]
    gone: FrozenSet[str]
    graph: Graph


def check_drift(planned: AbstractSet[str], seen: Repository, fresh: Optional[Repository]) -> Drift:
    """Compare the repository as the plan saw it with how it is now; `fresh` is None when it is gone.

    Whatever the plan did not name survives, and with it all that it needs: a new index keeps its children, a new
    referrer its subject (which would otherwise take the referrer with it).
    """
    if fresh is None:
        return Drift(frozenset(), {}, frozenset(planned), build_graph(Repository(seen.name, {})))
    graph = build_graph(fresh)
    present = sorted(digest for digest in planned if digest in fresh.manifests)
    skipped = _changed(present, seen, fresh)
    valid = set(present) - set(skipped)
    skipped.update(needed(graph, valid, set(fresh.manifests) - valid))
    opaque = _opaque(seen, fresh)
    if opaque:
        skipped.update({digest: Verdict(True, UNREADABLE, opaque) for digest in valid})
    return Drift(frozenset(present) - set(skipped), skipped, frozenset(planned) - set(present), graph)


def needed(graph: Graph, doomed: AbstractSet[str], survivors: AbstractSet[str]) -> Dict[str, Verdict]:
    """Those of `doomed` that some survivor needs, with the relation."""
    return {digest: Verdict(True, relation, source)
            for digest, (relation, source) in spread(sorted(survivors), graph.neighbours).items()
            if digest in doomed}


def _changed(present: List[str], seen: Repository, fresh: Repository) -> Dict[str, Verdict]:
    changes = {digest: _change(seen.manifests[digest], fresh.manifests[digest], fresh) for digest in present}
    return {digest: change for digest, change in changes.items() if change}


def _change(before: Manifest, now: Manifest, fresh: Repository) -> Optional[Verdict]:
    if set(now.tags) != set(before.tags):
        return Verdict(True, TAGS_CHANGED, ', '.join(now.tags) or 'untagged')
    lock = lock_on(fresh, now)
    if lock:
        return Verdict(True, LOCKED, lock)
    if now.last_update_time != before.last_update_time:
        return Verdict(True, UPDATED, now.last_update_time or 'no readable time')
    return None


def _opaque(seen: Repository, fresh: Repository) -> Optional[str]:
    """A manifest of unknown content that may need any other one.

    A plan dooms nothing beside an unreadable manifest, so that any one of them is news. A ghost that is new, or no
    longer as it was, may be an index whose push is under way.
    """
    return next((digest for digest, manifest in sorted(fresh.manifests.items())
                 if not has_no_edges(manifest.media_type)
                 and (isinstance(manifest.content, Unreadable)
                      or isinstance(manifest.content, Ghost) and seen.manifests.get(digest) != manifest)), None)
