"""Which layers of doomed images stay, and who keeps them: why a deletion frees less than the images are large."""
from __future__ import annotations

from heapq import nsmallest
from typing import Any, Dict, FrozenSet, Iterator, List

from ..decide.decision import Decision
from ..decide.graph import user_tags
from ..decide.impact import Ledger, Node
from ..model import Content, Manifest
from .names import Names

LAYERS_LISTED = 10
USERS_LISTED = 5
_MOST = 0.9
"""Of the bytes that stay: the layers beyond that are not worth a line."""


def shared_layers(decision: Decision, ledger: Ledger, staying: FrozenSet[str]) -> List[Dict[str, Any]]:
    """The largest of `staying`, the blobs of doomed images that others keep, up to nine tenths of it; ten at most.

    `images` are the manifests that stay and use it, in so many `repositories`; `users` are the names of some of them,
    those with a tag of their own first.
    """
    layers = list(_largest(ledger, staying))
    users = _users(decision, frozenset(layers))
    names = Names(decision.inventory.repositories)
    return [{'digest': layer, 'size': ledger.sizes[layer], 'imagesToDelete': ledger.holders[layer] - len(users[layer]),
             'images': len(users[layer]), 'repositories': len({name for name, _ in users[layer]}),
             'users': _named(users[layer], names, ledger)} for layer in layers]


def _largest(ledger: Ledger, staying: FrozenSet[str]) -> Iterator[str]:
    most, listed = _MOST * sum(map(ledger.sizes.__getitem__, staying)), 0
    for layer in nsmallest(LAYERS_LISTED, staying, key=lambda layer: (-ledger.sizes[layer], layer)):
        if listed < most:
            yield layer
        listed += ledger.sizes[layer]


def _users(decision: Decision, layers: FrozenSet[str]) -> Dict[str, List[Node]]:
    """{layer: the manifests that stay and use it}, in whatever order."""
    users: Dict[str, List[Node]] = {layer: [] for layer in layers}
    for repository in decision.inventory.repositories if layers else ():
        verdicts = decision.verdicts[repository.name]
        for digest, manifest in repository.manifests.items():
            if verdicts[digest].kept and isinstance(manifest.content, Content):
                for blob in manifest.content.blobs:
                    if blob.digest in layers:
                        users[blob.digest].append((repository.name, digest))
    return users


def _named(users: List[Node], names: Names, ledger: Ledger) -> List[str]:
    shown = nsmallest(USERS_LISTED, users, key=lambda node: (not user_tags(_manifest(ledger, node)), node))
    return list(dict.fromkeys(names.text(*node) for node in shown))


def _manifest(ledger: Ledger, node: Node) -> Manifest:
    return ledger.repositories[node[0]].manifests[node[1]]
