"""The base image that a layer belongs to. Images that build on the same base image begin with the same layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from ..decide.graph import user_tags
from ..decide.impact import Node
from ..documents.layers import Names
from ..model import Content, Manifest
from .stakes import View

Layers = tuple[str, ...]


@dataclass
class _Chain:
    """The layers that all images with one layer begin with. `longest` is the number of layers of the longest image."""

    layers: Layers
    longest: int
    base: tuple[Any, ...] | None = None

    def add(self, layers: Layers) -> None:
        self.longest = max(self.longest, len(layers))
        same = next(
            (place for place, (one, other) in enumerate(zip(self.layers, layers)) if one != other),
            min(len(self.layers), len(layers)),
        )
        self.layers = self.layers[:same]


def chain_fields(view: View, wanted: Collection[str], names: Names) -> dict[str, dict[str, Any]]:
    """For each wanted layer its chain: the layers that all images with this layer begin with.

    `layersBelow` is None when these images have different layers below it, or when it is no layer of any image.
    `baseImage` is an image that has exactly the layers of the chain and on which others build: the oldest one with a
    tag. It is None when there is no such image.
    """
    chains = _chains(view, wanted)
    _find_bases(view, chains, names)
    return {digest: _fields(view, digest, chains.get(digest), names) for digest in wanted}


def _chains(view: View, wanted: Collection[str]) -> dict[str, _Chain]:
    chains: dict[str, _Chain] = {}
    looked_for = frozenset(wanted)
    for _, _, layers in _layered(view):
        for layer in looked_for.intersection(layers):
            if layer in chains:
                chains[layer].add(layers)
            else:
                chains[layer] = _Chain(layers, len(layers))
    return {digest: chain for digest, chain in chains.items() if digest in chain.layers}


def _find_bases(view: View, chains: dict[str, _Chain], names: Names) -> None:
    sought: dict[Layers, list[_Chain]] = {}
    for chain in chains.values():
        if chain.longest > len(chain.layers):
            sought.setdefault(chain.layers, []).append(chain)
    for node, manifest, layers in _layered(view) if sought else ():
        for chain in sought.get(layers, ()):
            rank = _rank(node, manifest, names)
            if rank and (chain.base is None or rank < chain.base):
                chain.base = rank


def _rank(node: Node, manifest: Manifest, names: Names) -> tuple[Any, ...] | None:
    """A sort key; the image with the least one gives the base image its name. None for an image without any name."""
    tagged = bool(user_tags(manifest))
    if not tagged and names.fields(*node)['name'] is None:
        return None
    created = manifest.created_at
    return not tagged, created is None, created or 0, node


def _fields(view: View, digest: str, chain: _Chain | None, names: Names) -> dict[str, Any]:
    if chain is None:
        return {'layersBelow': None, 'chainLayers': None, 'chainBytes': None, 'baseImage': None}
    return {
        'layersBelow': chain.layers.index(digest),
        'chainLayers': len(chain.layers),
        'chainBytes': sum(view.ledger.sizes[layer] for layer in chain.layers),
        'baseImage': names.text(*chain.base[-1]) if chain.base else None,
    }


def _layered(view: View) -> Iterator[tuple[Node, Manifest, Layers]]:
    """(node, manifest, layers) of every image with layers, in the order of its manifest and without the config."""
    for repository in view.repositories:
        for digest, manifest in sorted(repository.manifests.items()):
            content = manifest.content
            if isinstance(content, Content) and content.blobs:
                yield (
                    (repository.name, digest),
                    manifest,
                    tuple(blob.digest for blob in content.blobs if blob.digest != content.config),
                )
