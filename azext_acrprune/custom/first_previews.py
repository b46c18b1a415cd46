"""A tag in the registry that says that a run has still to show what it would do, before another one does it.

`az acr prune schedule create` sets it, on a manifest of its own, which names the artifact of the schedule. The run that
shows its preview removes it, for which it needs no other permission than for deleting.

A schedule may be changed, switched off or deleted while a run of it is under way. So a run that names its artifact
deletes only while the schedule is on that artifact, and removes only the tag that was set for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from knack.log import get_logger

from .command import Command
from .options import RegistryOptions
from .schedule_artifacts import withdraw, withdraw_preview
from .session import open_session

if TYPE_CHECKING:
    from ..registry.client import Registry

logger = get_logger(__name__)

_PREVIEWS = (
    'This run only previews, because the tag %s is in the registry. It is removed then, and the next run deletes.'
)
_IS_OF_ANOTHER = (
    'This run only previews, because %s is not on %s, from which it was started: the schedule was changed or deleted.'
)


@dataclass(frozen=True)
class FirstPreview:
    """Where a preview is asked for: the tag, and the artifact that it is of; None where the run does not say it."""

    repository: str
    tag: str
    artifact: str | None

    @classmethod
    def of(cls, reference: str) -> FirstPreview:
        """`repository:tag` or `repository:tag@digest`."""
        name, _, artifact = reference.partition('@')
        repository, _, tag = name.partition(':')
        return cls(repository, tag, artifact or None)


def only_previews(cmd: Command, options: RegistryOptions, first: FirstPreview) -> bool:
    """Whether a run may only preview; says why. A region that cannot be asked is an error."""
    with open_session(cmd, _plain(options)) as session:
        why = session.run(_why_it_only_previews(session.registry, first))
    if why:
        logger.warning(*why)
    return bool(why)


def remove_tag(cmd: Command, options: RegistryOptions, first: FirstPreview) -> None:
    """Remove the tag, and delete what `az acr prune schedule create` put there for it; not that of another artifact."""
    with open_session(cmd, _plain(options)) as session:
        if first.artifact:
            session.run(withdraw_preview(session.door, first.repository, first.tag, first.artifact))
        else:
            session.run(withdraw(session.door, first.repository, first.tag))


async def _why_it_only_previews(registry: Registry, first: FirstPreview) -> tuple[str, ...]:
    """A message with its values; nothing where the run may delete."""
    from ..schedules.artifact import previewed_tag

    if any([await replica.tag_digest(first.repository, first.tag) for replica in registry.replicas]):
        return _PREVIEWS, f'{first.repository}:{first.tag}'
    if first.artifact:
        tag = previewed_tag(first.tag)
        found = [await replica.tag_digest(first.repository, tag) for replica in registry.replicas]
        if any(digest != first.artifact for digest in found):
            return _IS_OF_ANOTHER, f'{first.repository}:{tag}', first.artifact
    return ()


def _plain(options: RegistryOptions) -> RegistryOptions:
    """The same registry, without the cache of manifests, for which no state has to be fetched."""
    return replace(options, scan=replace(options.scan, no_cache=True), state=replace(options.state, no_cache=True))
