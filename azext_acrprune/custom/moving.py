"""Tags that a restoration moves from other manifests: what is said before, and what the registry would delete then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .scanning import retention_of
from .session import Session

if TYPE_CHECKING:
    from ..model import Manifest

_LISTED = 10

Moved = tuple[str, str, str]
"""(repository, tag, the digest that it is on now)"""


def moved_lines(session: Session, moved: Iterable[Moved]) -> list[str]:
    """What is said before tags are moved.

    Raises LastTag where the retention policy of the registry would delete a manifest that loses its last tag. Where it
    is not known whether such a policy is on, that is said too.
    """
    from ..show.sizes import count, short_digest

    moved = sorted(moved)
    if not moved:
        return []
    shown = [f'  {name}:{tag}, which is on {short_digest(digest)} now' for name, tag, digest in moved]
    more = [f'  and {len(shown) - _LISTED} more'] if len(shown) > _LISTED else []
    return [
        f'{count(len(moved), "tag")} will be moved from other manifests:',
        *shown[:_LISTED],
        *more,
        *_losing_lines(session, moved),
    ]


def _losing_lines(session: Session, moved: Iterable[Moved]) -> list[str]:
    """What is said of manifests that lose their last tag. Raises LastTag."""
    from ..decide.retention import LastTag
    from ..show.sizes import count

    retention = retention_of(session)
    losing = list(_losing(session, moved)) if retention else []
    if not retention or not losing:
        return []
    if retention.days is not None:
        name, manifest = losing[0]
        raise LastTag(f'{name}@{manifest.digest} would lose {manifest.tags[0]}')
    return [
        f'{count(len(losing), "manifest")} of a Docker type lose their last tag then. The registry may delete them: '
        "whether its retention policy is on is not known, which 'az login' can tell."
    ]


def _losing(session: Session, moved: Iterable[Moved]) -> Iterator[tuple[str, Manifest]]:
    """(repository, manifest) of each manifest that loses its last tag and that a retention policy takes."""
    from ..decide.retention import is_taken
    from ..registry.protocol.refusals import Kind, RegistryError

    going: dict[tuple[str, str], set[str]] = {}
    for name, tag, digest in moved:
        going.setdefault((name, digest), set()).add(tag)
    for (name, digest), tags in going.items():
        try:
            manifest = session.run(session.registry.manifest_properties(name, digest))
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            continue
        if is_taken(manifest) and tags.issuperset(manifest.tags):
            yield name, manifest._replace(tags=tuple(sorted(tags)))
