"""Who uses a layer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..decide.graph import user_tags
from ..documents.layer_use import LayerUse
from ..documents.names import Names
from ..model import Content
from .stakes import View


def layer_uses(view: View, wanted: Collection[str]) -> dict[str, LayerUse]:
    """Who uses each of the wanted blobs."""
    uses = {digest: LayerUse() for digest in wanted}
    for repository in view.repositories:
        for digest, manifest in sorted(repository.manifests.items()):
            for blob in manifest.content.blobs if isinstance(manifest.content, Content) else ():
                if blob.digest in uses:
                    node = repository.name, digest
                    uses[blob.digest].add(node, node in view.doomed, bool(user_tags(manifest)))
    return uses


def layer_row(view: View, digest: str, use: LayerUse, names: Names) -> dict[str, Any]:
    """A layer, and who shares it; `users` are some of its images."""
    return {
        'digest': digest,
        'size': view.ledger.sizes[digest],
        'images': use.images,
        'repositories': use.repositories,
        'users': [names.text(*node) for node in use.users],
    }
