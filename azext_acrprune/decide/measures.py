"""Blobs of which only the registry knows whether it has them, or how large they are.

Layers with `urls` are mostly stored elsewhere, but may have been pushed (Azure's own FAQ says how). Docker schema 1
does not say how large its layers are. Another manifest may tell; else the registry is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..model import Blob, Content, Inventory, Manifest, Repository


def to_measure(inventory: Inventory) -> dict[str, str]:
    """The blobs that the registry has to be asked for, each with a repository whose manifests name it."""
    named = {blob.digest: name for name, content in _naming(inventory) for blob in content.unmeasured}
    said = _said(inventory, named)
    return {digest: name for digest, name in sorted(named.items()) if digest not in said}


def with_measures(inventory: Inventory, sizes: Mapping[str, int]) -> Inventory:
    """The inventory with every such blob that is stored among the blobs of its manifests.

    `sizes` has what the registry says, in bytes, 0 for what it does not have. What it was not asked for, and no
    manifest tells, stays unmeasured.
    """
    named = {blob.digest: '' for _, content in _naming(inventory) for blob in content.unmeasured}
    if not named:  # as in most registries
        return inventory
    known = {**sizes, **_said(inventory, named)}
    return replace(inventory, repositories=tuple(_measured(each, known) for each in inventory.repositories))


def _naming(inventory: Inventory) -> Iterator[tuple[str, Content]]:
    for repository in inventory.repositories:
        for manifest in repository.manifests.values():
            if isinstance(manifest.content, Content) and manifest.content.unmeasured:
                yield repository.name, manifest.content


def _said(inventory: Inventory, named: Mapping[str, str]) -> dict[str, int]:
    """The sizes of those of the blobs that some manifest says to be stored; the larger one where they differ."""
    found: dict[str, int] = {}
    for repository in inventory.repositories if named else ():
        for manifest in repository.manifests.values():
            for digest, size in manifest.content.blobs if isinstance(manifest.content, Content) else ():
                if digest in named:
                    found[digest] = max(size, found.get(digest, 0))
    return found


def _measured(repository: Repository, known: Mapping[str, int]) -> Repository:
    manifests = {
        digest: _with_blobs(manifest, manifest.content, known)
        for digest, manifest in repository.manifests.items()
        if isinstance(manifest.content, Content) and manifest.content.unmeasured
    }
    return replace(repository, manifests={**repository.manifests, **manifests}) if manifests else repository


def _with_blobs(manifest: Manifest, content: Content, known: Mapping[str, int]) -> Manifest:
    stored = tuple(Blob(blob.digest, known[blob.digest]) for blob in content.unmeasured if known.get(blob.digest))
    unknown = tuple(blob for blob in content.unmeasured if blob.digest not in known)
    # Foreign layers are base layers, so that they come first, as in the image.
    return manifest.having(content._replace(blobs=stored + content.blobs, unmeasured=unknown))
