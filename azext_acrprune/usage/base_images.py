"""Which base image a layer belongs to: layers lie one upon the other, and images that build on one begin alike."""

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
    """What all images that use a layer begin with, and how many layers the longest of them has."""

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
    """For each wanted layer the chain that it belongs to: the layers that all images using it begin with.

    `layersBelow` is None when these images do not agree about what lies below it, and for what is no layer of any.
    `baseImage` is an image with exactly the layers of the chain that others build on, the oldest one that has a tag,
    and None when there is none.
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
    """The less, the better as the name of a base image; None for an image that nobody can name."""
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
    """Every image that has layers, with them in the order of its manifest, the config left out."""
    for repository in view.repositories:
        for digest, manifest in sorted(repository.manifests.items()):
            content = manifest.content
            if isinstance(content, Content) and content.blobs:
                yield (
                    (repository.name, digest),
                    manifest,
                    tuple(blob.digest for blob in content.blobs if blob.digest != content.config),
                )
