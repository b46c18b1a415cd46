"""Ask for single tags and manifests, a call for each, however large their repositories are; or list some of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from ..decide.lock_plan import FOUND, MISSING, NOT_READ, REPOSITORY_MISSING, Key, Standing
from ..model import Repository
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..workers import Task, run_tasks
from .drafts import Draft, list_repository
from .existing import in_catalog

_NO_REPOSITORY = 'NAME_UNKNOWN'
_OF_ONE = (Kind.FORBIDDEN, Kind.UNAVAILABLE, Kind.BUSY, Kind.MALFORMED)


async def look_up(registry: Reads, keys: Iterable[Key], concurrency: int) -> Mapping[Key, Standing]:
    """How each tag or digest stands. Raises RegistryError when the registry itself cannot be read.

    The service says of an unknown tag the same whether its repository exists or not, so that this is asked for once
    for each repository in which nothing was found.
    """
    found: dict[Key, Standing] = {}

    async def ask(key: Key) -> Iterable[Task]:
        found[key] = await _standing(registry, *key)
        return []

    wanted = sorted(set(keys))
    registry.announce(sorted({repository for repository, _ in wanted}))
    await run_tasks([partial(ask, key) for key in wanted], concurrency)
    for repository in sorted({repository for repository, _ in wanted}):
        mine = [key for key in wanted if key[0] == repository]
        missing = all(found[key].status == MISSING for key in mine)
        if missing and await _is_gone(registry, repository):
            found.update(dict.fromkeys(mine, Standing(REPOSITORY_MISSING)))
    return found


async def listed_names(registry: Reads) -> set[str] | None:
    """The names of all repositories in any region; None where they may not be listed. Raises RegistryError else."""
    try:
        return {name for name in await in_catalog(registry) if isinstance(name, str)}
    except RegistryError as error:
        if error.kind is not Kind.FORBIDDEN:
            raise
        return None


async def listed_in_full(
    registry: Reads, repositories: Iterable[str], concurrency: int
) -> dict[str, Repository | None]:
    """{name: the repository as it lists itself, without contents}; None where a part of it is missing in that.

    Raises RegistryError when the registry itself cannot be read. A repository that is gone has nothing.
    """
    found: dict[str, Repository | None] = {}

    async def ask(name: str) -> Iterable[Task]:
        draft = Draft(name)
        try:
            await list_repository(registry, draft, lambda _: True)
            found[name] = draft.finished() if draft.known and draft.unseen is None else None
        except RegistryError as error:
            if error.kind not in (*_OF_ONE, Kind.NOT_FOUND):
                raise
            found[name] = Repository(name, {}) if error.kind is Kind.NOT_FOUND else None
        return []

    wanted = sorted(repositories)
    registry.announce(wanted)
    await run_tasks([partial(ask, name) for name in wanted], concurrency)
    return found


async def _standing(registry: Reads, repository: str, name: str) -> Standing:
    try:
        if ':' in name:
            manifest = await registry.manifest_properties(repository, name)
            return Standing(FOUND, manifest.digest, manifest.locks)
        return Standing(FOUND, (await registry.tag_properties(repository, name)).digest)
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return Standing(REPOSITORY_MISSING if error.code == _NO_REPOSITORY else MISSING)
        if error.kind not in _OF_ONE:
            raise
        return Standing(NOT_READ, error=str(error))


async def _is_gone(registry: Reads, repository: str) -> bool:
    try:
        await registry.repository_facts(repository)
    except RegistryError as error:
        return error.kind is Kind.NOT_FOUND
    return False
