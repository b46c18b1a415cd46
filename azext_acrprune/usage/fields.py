"""Fields and rows that several documents share. A field means the same in all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from heapq import nlargest
from typing import Any, TypeVar

from ..decide.graph import user_tags
from ..decide.impact import Holding, Node, kind_of_repository
from ..documents.layers import Names
from ..documents.plan import warnings_of
from ..model import UNREAD_REPOSITORY, Repository, Unreadable
from .stakes import View

TAGS_LISTED = 10
WARNINGS_LISTED = 300

Key = TypeVar('Key', str, Node)


def registry_counts(view: View) -> dict[str, int]:
    """Counts over the whole registry."""
    manifests = sum(len(repository.manifests) for repository in view.repositories)
    tagged = sum(map(_tagged, view.repositories))
    return {
        'repositories': len(view.repositories),
        'manifests': manifests,
        'manifestsTagged': tagged,
        'manifestsUntagged': manifests - tagged,
        'layers': len(view.ledger.sizes),
        'registryBytes': view.ledger.registry_bytes,
        'manifestsUnneeded': len(view.unneeded),
    }


def repository_row(view: View, repository: Repository, attributed: int) -> dict[str, Any]:
    """What a repository has and holds, and when its oldest and its newest manifest were pushed."""
    tagged = _tagged(repository)
    holding = view.ledger.holding((repository.name, digest) for digest in repository.manifests)
    return {
        'repository': repository.name,
        'manifests': len(repository.manifests),
        'manifestsTagged': tagged,
        'manifestsUntagged': len(repository.manifests) - tagged,
        **holding_fields(holding),
        'attributedBytes': attributed,
        'impact': kind_of_repository(view.inventory, view.ledger, repository),
        **push_times(repository, repository.manifests),
    }


def holding_fields(holding: Holding) -> dict[str, int]:
    """`storedBytes` are `uniqueBytes`, which would be freed if all of it went, and `sharedBytes`, which would stay."""
    return {
        'totalBytes': holding.total,
        'storedBytes': holding.stored,
        'uniqueBytes': holding.unique,
        'sharedBytes': holding.shared,
    }


def push_times(repository: Repository, digests: Collection[str]) -> dict[str, str | None]:
    """When the oldest and the newest of some manifests were pushed. Manifests without a readable time are left out."""
    manifests = map(repository.manifests.__getitem__, digests)
    created = sorted(
        ((manifest.created_at, manifest.created_time) for manifest in manifests if manifest.created_at is not None),
        key=lambda pair: pair[0],
    )
    return {'oldest': created[0][1] if created else None, 'newest': created[-1][1] if created else None}


def image_fields(view: View, names: Names, node: Node) -> dict[str, Any]:
    """The names and the times of an image."""
    manifest = view.ledger.repositories[node[0]].manifests[node[1]]
    return {
        **names.fields(*node),
        'tags': list(manifest.tags[:TAGS_LISTED]),
        'tagCount': len(manifest.tags),
        'lastUpdateTime': manifest.last_update_time,
    }


def sums(rows: Sequence[Mapping[str, Any]], adding: Sequence[str]) -> dict[str, int]:
    """The sum of each field in `adding` that the rows have."""
    return {key: sum(row[key] for row in rows) for key in adding if rows and key in rows[0]}


def largest(sizes: Mapping[Key, int], number: int) -> list[Key]:
    """The keys with the largest sizes. Of equal sizes, the first keys."""
    return nlargest(number, sorted(sizes), key=sizes.__getitem__)


def shown_warnings(view: View, own: Collection[dict[str, Any]] = ()) -> dict[str, Any]:
    """The first warnings, those about the whole registry before the others, and the number of those left out."""
    warnings = sorted([*own, *warnings_of(view.bare, view.ledger)], key=lambda warning: warning['digest'] is not None)
    return {'warnings': warnings[:WARNINGS_LISTED], 'otherWarnings': len(warnings[WARNINGS_LISTED:])}


def not_read(view: View) -> list[str]:
    """What is known to be there and was not read: repositories, and `repository@digest`."""
    inventory = view.inventory
    unread = {notice.repository for notice in inventory.warnings if notice.code == UNREAD_REPOSITORY}
    names = [f'{name} (whole repository)' for name in sorted({*filter(None, unread), *inventory.late})]
    names += [f'{each.name} ({each.unseen})' for each in view.repositories if each.unseen]
    return names + [
        f'{repository.name}@{digest}'
        for repository in view.repositories
        for digest, manifest in sorted(repository.manifests.items())
        if isinstance(manifest.content, Unreadable)
    ]


def _tagged(repository: Repository) -> int:
    return sum(1 for manifest in repository.manifests.values() if user_tags(manifest))
