"""What stays for no other reason than that it is young, where the registry may be in several regions."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Skipped, in_order
from .decision import Decision
from .reasons import YOUNG


def held_by(decision: Decision, text: str) -> Iterator[Skipped]:
    """The manifests and tags that would go, did they not stay for this reason; in stable order."""
    for repository in in_order(decision.inventory.repositories):
        for digest, verdict in decision.verdicts[repository.name].items():
            if verdict.reason == YOUNG and verdict.because == text:
                yield Skipped(repository.name, digest, YOUNG, text)
        tags = decision.tags.get(repository.name, {})
        for digest, manifest in sorted(repository.manifests.items()) if tags else ():
            for tag in manifest.tags:
                if tag in tags and tags[tag].reason == YOUNG and tags[tag].because.endswith(text):
                    yield Skipped(repository.name, digest, YOUNG, text, tag)
