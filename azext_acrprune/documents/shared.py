"""Which layers of doomed images stay, and who keeps them: why a deletion frees less than the images are large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import nsmallest
from typing import Any

from ..decide.decision import Decision
from ..decide.graph import user_tags
from ..decide.impact import Ledger
from ..model import Content
from .layer_use import LayerUse
from .names import Names

LAYERS_LISTED = 10
_MOST = 0.9
"""Of the bytes that stay: the layers beyond that are not worth a line."""


def shared_layers(decision: Decision, ledger: Ledger, staying: frozenset[str]) -> list[dict[str, Any]]:
    """The largest of `staying`, the blobs of doomed images that others keep, up to nine tenths of it; ten at most.

    `images` are the manifests that stay and use it, in so many `repositories`; `users` are the names of some of them,
    those with a tag of their own first.
    """
    layers = list(_largest(ledger, staying))
    uses = _uses(decision, layers)
    names = Names(decision.inventory.repositories)
    return [
        {
            'digest': layer,
            'size': ledger.sizes[layer],
            'imagesToDelete': ledger.holders(layer) - uses[layer].images,
            'images': uses[layer].images,
            'repositories': uses[layer].repositories,
            'users': list(dict.fromkeys(names.text(*node) for node in uses[layer].users)),
        }
        for layer in layers
    ]


def _largest(ledger: Ledger, staying: frozenset[str]) -> Iterator[str]:
    most, listed = _MOST * sum(map(ledger.sizes.__getitem__, staying)), 0
    for layer in nsmallest(LAYERS_LISTED, staying, key=lambda layer: (-ledger.sizes[layer], layer)):
        if listed < most:
            yield layer
        listed += ledger.sizes[layer]


def _uses(decision: Decision, layers: Sequence[str]) -> dict[str, LayerUse]:
    """The manifests that stay and use each of the layers."""
    uses = {layer: LayerUse() for layer in layers}
    for repository in sorted(decision.inventory.repositories, key=lambda each: each.name) if layers else ():
        verdicts = decision.verdicts[repository.name]
        for digest, manifest in sorted(repository.manifests.items()):
            if verdicts[digest].kept and isinstance(manifest.content, Content):
                for blob in manifest.content.blobs:
                    if blob.digest in uses:
                        uses[blob.digest].add((repository.name, digest), False, bool(user_tags(manifest)))
    return uses
