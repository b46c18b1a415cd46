"""What stays, or falls, because of another manifest, and what keeps all of a repository."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from ..model import Repository, Unreadable
from .graph import Graph, spread
from .manifests import has_no_edges
from .reasons import CHILD_OF, REFERRER_OF
from .verdicts import Verdict


def kept_by(roots: Iterable[str], graph: Graph) -> dict[str, Verdict]:
    """The manifests that stay because `roots` stay, each with the relation and the digest that keep it."""
    if not graph.has_edges:  # as in most repositories
        return {}
    return {
        digest: Verdict(True, relation, source)
        for digest, (relation, source) in spread(list(roots), graph.neighbours).items()
    }


def opaque(repository: Repository) -> str | None:
    """What is not known and may need any manifest of a repository, so that nothing may go from it.

    That is an unreadable manifest, which may be an index or a referrer (the service deletes a referrer with its
    subject), or something that is there and not listed.
    """
    return repository.unseen or min(
        (
            digest
            for digest, manifest in repository.manifests.items()
            if isinstance(manifest.content, Unreadable) and not has_no_edges(manifest.media_type)
        ),
        default=None,
    )


def falling(digest: str, going: AbstractSet[str], graph: Graph) -> Verdict | None:
    """The verdict for a manifest that goes because its subject or its index goes. None when neither goes."""
    above = (
        Verdict(False, relation, other)
        for relation, others in ((REFERRER_OF, graph.subjects), (CHILD_OF, graph.parents))
        for other in others.get(digest, ())
        if other in going
    )
    return next(above, None)
