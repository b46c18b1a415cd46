"""What a policy keeps locked: the tags that match, their manifests and the parts of these.

Only what this program locked for a policy is ever unlocked, and only when nothing wants it locked any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..model import Inventory, Locks, Repository
from ..policy.rules import Policy
from .bonds import opaque
from .graph import Graph, user_tags

Reference = tuple[str, str]
"""A repository, and a tag or a digest in it."""


@dataclass(frozen=True)
class KeptLocked:
    """What to lock, each with the pattern that wants it, and what to unlock, each with its `writeEnabled` before."""

    lock: Mapping[Reference, str]
    unlock: Mapping[Reference, bool]


def kept_locked(policy: Policy, inventory: Inventory, graphs: Mapping[str, Graph]) -> KeptLocked | None:
    """What the policy wants done about locks; None where it says nothing of them.

    Nothing is unlocked in a repository that was not read as a whole.
    """
    if policy.kept_locked is None:
        return None
    lock: dict[Reference, str] = {}
    unlock: dict[Reference, bool] = {}
    for repository in inventory.repositories:
        if repository.name not in inventory.selected:
            continue
        wanted = dict(_wanted(policy, repository, graphs[repository.name]))
        locks = _locks(repository)
        lock.update(
            {
                (repository.name, name): why
                for name, why in wanted.items()
                if name in locks and locks[name].delete_enabled
            }
        )
        for (where, name), write_enabled in policy.facts.lock_marks.items() if not opaque(repository) else ():
            ours = name in locks and locks[name].flags == Locks(False, write_enabled).flags
            if where == repository.name and name not in wanted and ours:
                unlock[where, name] = write_enabled
    return KeptLocked(dict(sorted(lock.items())), dict(sorted(unlock.items())))


def _wanted(policy: Policy, repository: Repository, graph: Graph) -> Iterator[tuple[str, str]]:
    """(tag or digest, the pattern that wants it locked)."""
    for digest, manifest in repository.manifests.items():
        for tag in user_tags(manifest):
            for protection in policy.kept_locked or ():
                if protection.scope.has_repository(repository.name) and protection.scope.has_tag(tag):
                    yield tag, protection.text
                    yield from ((part, protection.text) for part in graph.parts(digest))


def _locks(repository: Repository) -> dict[str, Locks]:
    tags = {name: tag.locks for name, tag in repository.tags.items()}
    return {**tags, **{digest: manifest.locks for digest, manifest in repository.manifests.items()}}
