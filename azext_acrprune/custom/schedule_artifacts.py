"""Our own artifacts in a registry: pushed, locked, read again, and taken away.

A tag of ours can be on anything, because others may move it. Only what this extension pushed under a tag is deleted,
and only when no other tag is on it.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from knack.log import get_logger

from ..model import UNLOCKED, Locks
from ..prune_error import Kind, PruneError

if TYPE_CHECKING:
    from ..model import Document
    from ..registry.client import Registry
    from ..schedules.artifact import Artifact
    from ..schedules.task import Schedule

logger = get_logger(__name__)

_STAYS = "The tag '%s' stays, because it is on something else than this schedule: %s."
_LOCKED = Locks(delete_enabled=False, write_enabled=False)
_NO_ARTIFACT = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading something else as an artifact of ours raises."""


async def publish(registry: Registry, tag: str, artifact: Artifact, locks: bool) -> bool:
    """Have an artifact under a tag, locked if it shall be; whether anything had to be changed for it.

    What the tag was on before is deleted as `delete_own` does it. Raises RegistryError.
    """
    from ..schedules.artifact import REPOSITORY

    before = await registry.tag_digest(REPOSITORY, tag)
    if before != artifact.digest:
        if before:
            await registry.set_tag_locks(REPOSITORY, tag, UNLOCKED)
        await push(registry, REPOSITORY, tag, artifact)
        if before:
            await delete_own(registry, REPOSITORY, tag, before, unlocks=True)
    locked = locks and await _lock(registry, REPOSITORY, artifact.digest, tag)
    return locked or before != artifact.digest


async def push(registry: Registry, repository: str, tag: str, artifact: Artifact) -> None:
    """Push an artifact under a tag. Raises RegistryError."""
    from ..schedules.artifact import MANIFEST_TYPE

    for digest, data in artifact.blobs.items():
        if not await registry.has_blob(repository, digest):
            await registry.upload_blob(repository, digest, io.BytesIO(data))
    await registry.put_manifest(repository, tag, artifact.manifest, MANIFEST_TYPE)


async def lock_image(registry: Registry, repository: str, reference: str) -> bool:
    """Lock the image that a task runs in, where that is in the same registry. Raises RegistryError."""
    digest = reference if ':' in reference else await registry.tag_digest(repository, reference)
    return await _lock(registry, repository, digest or reference)


async def _lock(registry: Registry, repository: str, digest: str, tag: str | None = None) -> bool:
    changed = False
    if not (await registry.manifest_properties(repository, digest)).locks.locked:
        await registry.lock(repository, digest, _LOCKED)
        changed = True
    if tag and not (await registry.tag_properties(repository, tag)).locks.locked:
        await registry.lock(repository, tag, _LOCKED)
        changed = True
    return changed


async def withdraw_schedule(registry: Registry, name: str) -> bool:
    """Take away the tags of a schedule, and what they are on as `delete_own` does it; whether there were any.

    The tag with its name stays where it is on something else, and a warning says so. Raises RegistryError.
    """
    from ..schedules.artifact import REPOSITORY, preview_tag

    tags = [name, preview_tag(name)]
    digest = await registry.tag_digest(REPOSITORY, name)
    if digest and not await _is_own(registry, REPOSITORY, name, digest):
        logger.warning(_STAYS, f'{REPOSITORY}:{name}', digest)
        tags.remove(name)
    return any([await withdraw(registry, REPOSITORY, tag, unlocks=True) for tag in tags])


async def withdraw(registry: Registry, repository: str, tag: str, unlocks: bool = False) -> bool:
    """Take away a tag of ours, and what it is on as `delete_own` does it; whether there was such a tag.

    Raises RegistryError.
    """
    digest = await registry.tag_digest(repository, tag)
    if digest is None:
        return False
    if unlocks:
        await registry.set_tag_locks(repository, tag, UNLOCKED)
    await _take_off(registry, repository, tag, digest, unlocks)
    return True


async def withdraw_preview(registry: Registry, repository: str, tag: str, artifact: str) -> None:
    """As `withdraw`, but only where the tag is on the preview of this very artifact. Raises RegistryError."""
    from ..schedules.artifact import artifact_in

    digest = await registry.tag_digest(repository, tag)
    if digest is None:
        return
    try:
        of_artifact = artifact_in(json.loads(_verified(await registry.manifest(repository, digest), digest)))
    except _NO_ARTIFACT:
        return
    if of_artifact == artifact:
        await _take_off(registry, repository, tag, digest)


async def _take_off(registry: Registry, repository: str, tag: str, digest: str, unlocks: bool = False) -> None:
    from ..registry.permit import Permit

    if not await delete_own(registry, repository, tag, digest, unlocks):
        await registry.delete_tag(repository, tag, digest, Permit(time.monotonic))


async def delete_own(registry: Registry, repository: str, tag: str, digest: str, unlocks: bool = False) -> bool:
    """Delete what a tag is on, or was on; false where it stays.

    It stays when this extension did not push it under this tag, when it has another tag, and when it is locked, unless
    `unlocks`. Raises RegistryError.
    """
    from ..registry.permit import Permit
    from ..registry.protocol.refusals import RegistryError

    try:
        now = await registry.manifest_properties(repository, digest)
        if set(now.tags) - {tag} or (now.locks.locked and not unlocks):
            return False
        if not await _is_own(registry, repository, tag, digest):
            return False
        if now.locks.locked:
            await registry.set_manifest_locks(repository, digest, UNLOCKED)
        await registry.delete_manifest(repository, digest, Permit(time.monotonic))
    except RegistryError as error:
        if error.kind is not Kind.NOT_FOUND:
            raise
    return True


async def _is_own(registry: Registry, repository: str, tag: str, digest: str) -> bool:
    """Whether this extension pushed a manifest under this tag. Raises RegistryError."""
    from ..registry.protocol.refusals import RegistryError
    from ..schedules.artifact import ARTIFACT_TYPE, PREVIEW_TYPE, REPORT_TYPE, REPORTS, preview_tag, previewed_in

    try:
        manifest = json.loads(_verified(await registry.manifest(repository, digest), digest))
        kind = manifest['artifactType']
        if kind == ARTIFACT_TYPE:
            return (await _schedule_in(registry, repository, manifest)).name == tag
        if kind == PREVIEW_TYPE:
            return preview_tag(previewed_in(manifest)) == tag
        return bool(kind == REPORT_TYPE and repository == REPORTS)
    except _NO_ARTIFACT:
        return False
    except RegistryError as error:
        if error.kind in (Kind.NOT_FOUND, Kind.NOT_A_REGISTRY):  # a part of it is not there, or is another one
            return False
        raise


async def schedule_under(registry: Registry, tag: str) -> tuple[Schedule, Document] | None:
    """A schedule as it was pushed, and its manifest; None where nothing has the tag.

    Every byte is verified. Raises RegistryError, and PruneError for what is no schedule.
    """
    from ..schedules.artifact import REPOSITORY

    digest = await registry.tag_digest(REPOSITORY, tag)
    if digest is None:
        return None
    with _told_of(tag):
        manifest = json.loads(_verified(await registry.manifest(REPOSITORY, digest), digest))
        schedule = await _schedule_in(registry, REPOSITORY, manifest)
        if schedule.name != tag:
            raise ValueError(f'it is {schedule.name}')
        return schedule, manifest


async def fetch(registry: Registry, tag: str) -> tuple[Schedule, dict[str, bytes]] | None:
    """As `schedule_under`, with the files of the schedule in the place of the manifest."""
    from ..schedules.artifact import CHECKSUMS, files_in

    found = await schedule_under(registry, tag)
    if found is None:
        return None
    schedule, manifest = found
    with _told_of(tag):
        names = files_in(manifest)
        names.pop(CHECKSUMS, None)
        return schedule, {name: await _blob(registry, layer) for name, layer in names.items()}


@contextmanager
def _told_of(tag: str) -> Iterator[None]:
    """Raises PruneError, with what takes the tag off, where something else than a schedule is read."""
    from ..schedules.artifact import REPOSITORY

    try:
        yield
    except _NO_ARTIFACT as error:
        name = f'{REPOSITORY}:{tag}'
        unlock = f"'az acr repository update -n {{target}} --image {name} --delete-enabled true'"
        untag = f"'az acr repository untag -n {{target}} --image {name}'"
        raise PruneError(
            f"'{name}' is no longer the artifact of this schedule.",
            f'Take the tag off with {unlock} and {untag}, which deletes nothing, and create the schedule again.',
            Kind.INVALID,
        ) from error


async def _schedule_in(registry: Registry, repository: str, manifest: Any) -> Schedule:
    """The schedule of a manifest. Raises RegistryError, and for what is none what `_NO_ARTIFACT` names."""
    from ..schedules.task import Schedule

    digest = manifest['config']['digest']
    return Schedule.of(json.loads(_verified(await registry.config(repository, digest), digest)))


async def _blob(registry: Registry, digest: str) -> bytes:
    from ..schedules.artifact import REPOSITORY

    return _verified(b''.join([chunk async for chunk in registry.blob(REPOSITORY, digest)]), digest)


def _verified(data: bytes, digest: str) -> bytes:
    from ..registry.protocol.refusals import RegistryError
    from ..schedules.artifact import digest_of

    if digest_of(data) != digest:
        raise RegistryError(Kind.NOT_A_REGISTRY, f'What came for {digest} has other bytes')
    return data
