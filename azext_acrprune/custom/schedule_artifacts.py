"""The artifact of a schedule in its registry: pushed, locked, read again, and taken away."""

from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING

from ..model import UNLOCKED, Locks
from ..prune_error import Kind, PruneError

if TYPE_CHECKING:
    from ..registry.client import Registry
    from ..schedules.artifact import Artifact
    from ..schedules.task import Schedule

_LOCKED = Locks(delete_enabled=False, write_enabled=False)


async def publish(registry: Registry, tag: str, artifact: Artifact, locks: bool) -> bool:
    """Have an artifact under a tag, locked if it shall be; whether anything had to be changed for it.

    What the tag was on before is deleted: nothing else needs it. Raises RegistryError.
    """
    from ..schedules.artifact import REPOSITORY

    before = await registry.tag_digest(REPOSITORY, tag)
    if before != artifact.digest:
        if before:
            await registry.set_tag_locks(REPOSITORY, tag, UNLOCKED)
        await push(registry, REPOSITORY, tag, artifact)
        if before:
            await _delete(registry, before)
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


async def withdraw(registry: Registry, tag: str) -> bool:
    """Delete what a tag of a schedule is on, locked or not; whether there was anything. Raises RegistryError."""
    from ..schedules.artifact import REPOSITORY

    digest = await registry.tag_digest(REPOSITORY, tag)
    if digest is None:
        return False
    await registry.set_tag_locks(REPOSITORY, tag, UNLOCKED)
    await _delete(registry, digest)
    return True


async def _delete(registry: Registry, digest: str) -> None:
    from ..registry.permit import Permit
    from ..registry.protocol.refusals import RegistryError
    from ..schedules.artifact import REPOSITORY

    try:
        await registry.set_manifest_locks(REPOSITORY, digest, UNLOCKED)
        await registry.delete_manifest(REPOSITORY, digest, Permit(time.monotonic))
    except RegistryError as error:
        if error.kind is not Kind.NOT_FOUND:
            raise


async def fetch(registry: Registry, tag: str) -> tuple[Schedule, dict[str, bytes]] | None:
    """A schedule and its files as they were pushed; None where nothing has the tag.

    Every byte is verified. Raises RegistryError, and PruneError for what is no schedule.
    """
    from ..schedules.artifact import CHECKSUMS, REPOSITORY, files_in
    from ..schedules.task import Schedule

    digest = await registry.tag_digest(REPOSITORY, tag)
    if digest is None:
        return None
    try:
        manifest = json.loads(_verified(await registry.manifest(REPOSITORY, digest), digest))
        schedule = Schedule.of(json.loads(await _blob(registry, manifest['config']['digest'])))
        if schedule.name != tag:
            raise ValueError(f'it is {schedule.name}')
        names = files_in(manifest)
        names.pop(CHECKSUMS, None)
        return schedule, {name: await _blob(registry, layer) for name, layer in names.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        name = f'{REPOSITORY}:{tag}'
        unlock = f"'az acr repository update -n {{target}} --image {name} --delete-enabled true'"
        untag = f"'az acr repository untag -n {{target}} --image {name}'"
        raise PruneError(
            f"'{name}' is no longer the artifact of this schedule.",
            f'Take the tag off with {unlock} and {untag}, which deletes nothing, and create the schedule again.',
            Kind.INVALID,
        ) from error


async def _blob(registry: Registry, digest: str) -> bytes:
    from ..schedules.artifact import REPOSITORY

    return _verified(b''.join([chunk async for chunk in registry.blob(REPOSITORY, digest)]), digest)


def _verified(data: bytes, digest: str) -> bytes:
    from ..registry.protocol.refusals import RegistryError
    from ..schedules.artifact import digest_of

    if digest_of(data) != digest:
        raise RegistryError(Kind.NOT_A_REGISTRY, f'What came for {digest} has other bytes')
    return data
