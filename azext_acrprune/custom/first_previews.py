"""A tag in the registry that says that a run has still to show what it would do, before another one does it.

`az acr prune schedule create` sets it, on a manifest of its own. The run that shows its preview removes it, for which
it needs no other permission than for deleting.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from knack.log import get_logger

from .command import Command
from .options import RegistryOptions
from .schedule_artifacts import withdraw
from .session import open_session

if TYPE_CHECKING:
    from ..registry.client import Registry

logger = get_logger(__name__)

_PREVIEWS = (
    'This run only previews, because the tag %s is in the registry. It is removed then, and the next run deletes.'
)


def tag_is_there(cmd: Command, options: RegistryOptions, reference: str) -> bool:
    """Whether the registry has the tag, in any region that is asked. One that cannot be asked is an error."""
    repository, _, tag = reference.partition(':')
    with open_session(cmd, _plain(options)) as session:
        is_there = session.run(_is_there(session.registry, repository, tag))
    if is_there:
        logger.warning(_PREVIEWS, reference)
    return is_there


def remove_tag(cmd: Command, options: RegistryOptions, reference: str) -> None:
    """Remove the tag, and delete what `az acr prune schedule create` put there for it."""
    repository, _, tag = reference.partition(':')
    with open_session(cmd, _plain(options)) as session:
        session.run(withdraw(session.door, repository, tag))


async def _is_there(registry: Registry, repository: str, tag: str) -> bool:
    found = [await replica.tag_digest(repository, tag) for replica in registry.replicas]
    return any(digest is not None for digest in found)


def _plain(options: RegistryOptions) -> RegistryOptions:
    """The same registry, without the cache of manifests, for which no state has to be fetched."""
    return replace(options, scan=replace(options.scan, no_cache=True), state=replace(options.state, no_cache=True))
