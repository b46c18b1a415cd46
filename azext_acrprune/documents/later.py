"""What the registry will delete by itself once a decision has taken its last tags, as parts of documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..decide.decision import Decision
from ..decide.impact import Ledger, Node, kind_of, kind_of_freed
from ..decide.reasons import REFERRER_OF, RETENTION
from ..model import APPROXIMATE, LOWER_BOUND, Content, Manifest, in_order


def later_summary(decision: Decision, ledger: Ledger, deleted: Iterable[Node], later: Iterable[Node]) -> dict[str, Any]:
    """What a retention policy frees by deleting `later`, after `deleted` are gone.

    `retentionDays` is None where none is on, and where `retentionKnown` is false: then nobody could tell, and the bytes
    are at most those that one would free.
    """
    deleted, later = list(deleted), list(later)
    known = decision.retention is None or decision.retention.days is not None
    kind = kind_of_freed(decision.inventory, ledger, [*deleted, *later])
    if not known and later:
        kind = kind_of(at_most=True, at_least=kind in (LOWER_BOUND, APPROXIMATE))
    return {
        'retentionDays': decision.retention.days if decision.retention else None,
        'retentionKnown': known,
        'freedLaterBytes': ledger.bytes_freed_by([*deleted, *later]) - ledger.bytes_freed_by(deleted) if later else 0,
        'freedLaterImpact': kind,
    }


def later_entries(decision: Decision, later: Iterable[Node] | None = None) -> list[dict[str, Any]]:
    """Each manifest that the registry will delete, by repository and digest; of all, or of those given."""
    wanted = decision.later if later is None else frozenset(later)
    found = []
    for repository in in_order(decision.inventory.repositories) if wanted else ():
        removed: dict[str, list[str]] = {}
        for tag, digest, _ in decision.untagged_in(repository):
            removed.setdefault(digest, []).append(tag)
        for digest in sorted(decision.later_in(repository.name)):
            if (repository.name, digest) in wanted:
                found.append(_entry(repository.name, repository.manifests[digest], removed.get(digest)))
    return found


def _entry(repository: str, manifest: Manifest, removed: list[str] | None) -> dict[str, Any]:
    subject = manifest.content.subject if isinstance(manifest.content, Content) else None
    return {
        'repository': repository,
        'digest': manifest.digest,
        'tags': list(manifest.tags),
        'mediaType': manifest.media_type,
        'artifactType': manifest.artifact_type,
        'reason': RETENTION if removed else REFERRER_OF,
        'because': ', '.join(removed) if removed else subject or '',
    }
