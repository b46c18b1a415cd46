"""Which repositories there are: what the catalog lists, and what it hides."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..model import CATALOG_FORBIDDEN, UNREAD_REPOSITORY, Notice
from ..policy.rules import Selection
from ..registry.protocol.listings import OddName, is_repository
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from .cache import Cache

HIDDEN_REPOSITORY = 'hiddenRepository'
"""Code of the warning that the catalog does not list a repository."""

_ODD_NAME = 'The catalog names this repository, and it is spelled as no registry spells one: it was not read.'
_NOT_LISTED = 'The catalog does not list it, and it is there: others may be hidden too, and may use the same layers.'


async def catalog(
    registry: Reads, selection: Selection, cache: Cache, targets: Iterable[str] = ()
) -> tuple[list[str], list[Notice]]:
    """The names of all repositories, in order, and a warning for what is no name; the cache forgets all others.

    Without the right to list them, those that the selection asks for by name, and a warning. What is asked for by name,
    or named by the token or as one of the `targets` of cache rules, and is not listed, may be hidden from the catalog:
    then others may be hidden too.
    """
    try:
        listed = await in_catalog(registry)
    except RegistryError as error:
        by_name = selection.by_name()
        if error.kind is not Kind.FORBIDDEN or by_name is None:
            raise
        names = sorted({*by_name, *(pattern.text for pattern in selection.asked_for if pattern.literal)})
        message = 'This identity may not list the repositories: others may use the same layers.'
        return names, [Notice(CATALOG_FORBIDDEN, message)]
    names = sorted(name for name in listed if isinstance(name, str))
    odd = sorted(name.shown for name in listed if not isinstance(name, str))
    unlisted = _unlisted(registry, names, selection, targets)
    hidden = [name for name in unlisted if await _is_there(registry, name)]
    names = sorted((*names, *hidden))
    cache.keep_only(names)
    warnings = [Notice(UNREAD_REPOSITORY, _ODD_NAME, shown) for shown in odd]
    return names, [*warnings, *(Notice(HIDDEN_REPOSITORY, _NOT_LISTED, name) for name in hidden)]


async def in_catalog(registry: Reads) -> set[str | OddName]:
    """All that the catalog of any region names. Raises RegistryError."""
    return {name for each in registry.replicas async for page in each.repositories() for name in page}


def _unlisted(registry: Reads, names: Collection[str], selection: Selection, targets: Iterable[str]) -> list[str]:
    """The repositories that something names, and the catalog does not."""
    asked_for = {pattern.text for pattern in selection.asked_for if pattern.literal}
    named = asked_for.union(registry.named_by_tokens(), targets).difference(names)
    return sorted(filter(is_repository, named))


async def _is_there(registry: Reads, repository: str) -> bool:
    """Whether a repository is there, or may be: one that cannot be read is told by who tries to."""
    try:
        await registry.repository_facts(repository)
    except RegistryError as error:
        if error.kind in (Kind.NOT_FOUND, Kind.FORBIDDEN):
            return False
        if error.kind not in (Kind.UNAVAILABLE, Kind.BUSY):
            raise
    return True
