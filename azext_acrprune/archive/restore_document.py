"""What becomes, or became, of a restoration, as the document that `restore` and `undo` answer with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ..decide.impact import Node
from ..exit_reasons import reason_of_restoring
from ..model import Failed, Skipped
from .pure.choose import Restoration
from .push import Restored

Tags = Iterable[tuple[str, str, str]]


def expected(chosen: Restoration) -> Restored:
    """What would become of a restoration from an archive, if nothing more goes wrong."""
    return Restored(
        manifests=[image.node for wave in chosen.waves for image in wave],
        tags=[(record.repository, str(record.tag), record.digest) for record in chosen.tags],
        moved=[(name, tag, digest) for (name, tag), digest in chosen.moves.items()],
        locked=[*chosen.repository_locks, *(record.name for record in chosen.locks)],
        skipped=list(chosen.skipped),
        failed=list(chosen.failed),
    )


def preview_document(registry: str, source: str, expects: Restored, verified: int | None = None) -> dict[str, Any]:
    """What would be restored; `verified` are the bytes that were read for it and are what their digests say."""
    nodes = sorted(set(expects.manifests))
    document = {
        'summary': {
            'registry': registry,
            'restoredFrom': source,
            'manifestsToRestore': len(nodes),
            'tagsToRestore': len(expects.tags),
            'tagsToMove': len(expects.moved),
            **({} if verified is None else {'verifiedBytes': verified}),
            'skipped': len(expects.skipped),
            'failed': len(expects.failed),
        },
        'restore': _manifests(nodes, expects.tags),
        **_rest(expects, expects.skipped, expects.failed),
    }
    return {**document, 'exitReason': reason_of_restoring(document, True)}


def result_document(
    registry: str, source: str, pushed: Restored, skipped: Iterable[Skipped] = (), failed: Iterable[Failed] = ()
) -> dict[str, Any]:
    """What was restored; `skipped` and `failed` are those of which that was known before."""
    left, lost = [*skipped, *pushed.skipped], [*failed, *pushed.failed]
    document = {
        'summary': {
            'registry': registry,
            'restoredFrom': source,
            'manifestsRestored': len(pushed.manifests),
            'tagsRestored': len(pushed.tags),
            'tagsMoved': len(pushed.moved),
            'locksSet': len(pushed.locked),
            'uploadedBytes': pushed.uploaded,
            'mountedBytes': pushed.mounted,
            'skipped': len(left),
            'failed': len(lost),
            'interrupted': pushed.interrupted,
            'left': pushed.left,
        },
        'restored': _manifests(pushed.manifests, pushed.tags),
        **_rest(pushed, left, lost),
    }
    return {**document, 'exitReason': reason_of_restoring(document, False)}


def _rest(part: Restored, skipped: Iterable[Skipped], failed: Iterable[Failed]) -> dict[str, Any]:
    was_on = {(repository, tag): digest for repository, tag, digest in part.moved}
    return {
        'tags': _tags(part.manifests, part.tags),
        'moved': [
            {'repository': repository, 'tag': tag, 'digest': digest, 'digestBefore': was_on[repository, tag]}
            for repository, tag, digest in sorted(part.tags)
            if (repository, tag) in was_on
        ],
        'skipped': _left(skipped),
        'failed': _left(failed),
        'warnings': [],
        'interrupted': part.interrupted,
    }


def _manifests(nodes: list[Node], tags: Tags) -> list[dict[str, Any]]:
    """Each manifest with the tags that it gets back."""
    by_node: Mapping[Node, list[str]] = {node: [] for node in nodes}
    for repository, tag, digest in tags:
        if (repository, digest) in by_node:
            by_node[repository, digest].append(tag)
    return [{'repository': node[0], 'digest': node[1], 'tags': sorted(by_node[node])} for node in sorted(nodes)]


def _tags(nodes: list[Node], tags: Tags) -> list[dict[str, Any]]:
    """Tags that go back on manifests which were there all the time."""
    there = set(nodes)
    return [
        {'repository': repository, 'tag': tag, 'digest': digest}
        for repository, tag, digest in sorted(tags)
        if (repository, digest) not in there
    ]


def _left(items: Iterable[Skipped | Failed]) -> list[dict[str, Any]]:
    ordered = sorted(items, key=lambda item: (item.repository, item.digest, item.tag or ''))
    return [{key: value for key, value in asdict(item).items() if key != 'tag' or value} for item in ordered]
