"""What becomes, or became, of a restoration, as the document that `restore` answers with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ..decide.impact import Node
from ..model import Failed, Skipped
from .pure.choose import Restoration
from .push import Restored

Tags = Iterable[tuple[str, str, str]]


def preview_document(registry: str, source: str, chosen: Restoration) -> dict[str, Any]:
    """What would be restored."""
    nodes = sorted((image.repository, image.digest) for wave in chosen.waves for image in wave)
    tags = [(record.repository, str(record.tag), record.digest) for record in chosen.tags]
    return {
        'summary': {
            'registry': registry,
            'source': source,
            'manifestsToRestore': len(nodes),
            'tagsToRestore': len(tags),
            'skipped': len(chosen.skipped),
            'failed': len(chosen.failed),
        },
        'restore': _manifests(nodes, tags),
        'tags': _tags(nodes, tags),
        'skipped': _left(chosen.skipped),
        'failed': _left(chosen.failed),
    }


def result_document(
    registry: str, source: str, pushed: Restored, skipped: Iterable[Skipped] = (), failed: Iterable[Failed] = ()
) -> dict[str, Any]:
    """What was restored; `skipped` and `failed` are those of which that was known before."""
    left, lost = [*skipped, *pushed.skipped], [*failed, *pushed.failed]
    return {
        'summary': {
            'registry': registry,
            'source': source,
            'manifestsRestored': len(pushed.manifests),
            'tagsRestored': len(pushed.tags),
            'locksSet': len(pushed.locked),
            'uploadedBytes': pushed.uploaded,
            'mountedBytes': pushed.mounted,
            'skipped': len(left),
            'failed': len(lost),
        },
        'restored': _manifests(pushed.manifests, pushed.tags),
        'tags': _tags(pushed.manifests, pushed.tags),
        'skipped': _left(left),
        'failed': _left(lost),
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
    return [
        {'repository': repository, 'tag': tag, 'digest': digest}
        for repository, tag, digest in sorted(tags)
        if (repository, digest) not in nodes
    ]


def _left(items: Iterable[Skipped | Failed]) -> list[dict[str, Any]]:
    ordered = sorted(items, key=lambda item: (item.repository, item.digest, item.tag or ''))
    return [{key: value for key, value in asdict(item).items() if key != 'tag' or value} for item in ordered]
