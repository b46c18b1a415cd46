"""Guard rails: how much may go in one run. Over a limit, nothing at all is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..model import Repository
from ..policy.rules import Limits
from .decision import Decision
from .graph import user_tags


@dataclass(frozen=True)
class Excess:
    """A limit that a decision breaks. `what` names it, `number` is the decision's and `limit` the one allowed."""

    what: str
    number: int
    limit: float
    repository: str | None = None

    def __str__(self) -> str:
        where = f"in the repository '{self.repository}' " if self.repository else ''
        return f'{self.number:,} {self.what} would go {where}and {self.limit:g} are allowed'


def first_excess(decision: Decision, limits: Limits) -> Excess | None:
    """The first limit that the decision breaks, in order of repository."""
    return next(_excesses(decision, limits), None)


def _excesses(decision: Decision, limits: Limits) -> Iterator[Excess]:
    manifests = len(decision.doomed)
    tags = sum(1 for repository in decision.inventory.repositories for _ in decision.untagged_in(repository))
    if limits.deletions is not None and manifests + tags > limits.deletions:
        yield Excess('manifests and tags', manifests + tags, limits.deletions)
    if limits.manifests is not None and manifests > limits.manifests:
        yield Excess('manifests', manifests, limits.manifests)
    for repository in sorted(decision.inventory.repositories, key=lambda each: each.name):
        lost, total = _tagged(decision, repository)
        if limits.percent is not None and lost * 100 > limits.percent * total:
            yield Excess(f'of {total:,} tagged manifests', lost, limits.percent * total / 100, repository.name)


def _tagged(decision: Decision, repository: Repository) -> tuple:
    """How many tagged manifests lose their last user tag, or go; and how many there are."""
    tagged = {
        digest: set(user_tags(manifest)) for digest, manifest in repository.manifests.items() if user_tags(manifest)
    }
    lost = {digest for digest in decision.doomed_in(repository.name) if digest in tagged}
    for tag, digest, _ in decision.untagged_in(repository):
        tagged[digest].discard(tag)
        if not tagged[digest]:
            lost.add(digest)
    return len(lost), len(tagged)
