"""Look at repositories again, right before something is deleted in them or after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from ..decide.depth import TOO_DEEP
from ..decide.wholeness import unlisted
from ..model import Content, Ghost, NotRead, Repository, Unreadable
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..workers import Task, run_tasks
from .drafts import Draft, list_repository, look_up, read


async def rescan(registry: Reads, seen: Repository, deleted: AbstractSet[str] = frozenset()) -> Repository | None:
    """The repository as it is now, None when it is gone; only what was not read in `seen` is read.

    What we `deleted` through the first replica ourselves is gone, although others may show it for a while. A ghost is
    asked for again: pushed anew, it needs its children. What was missing in `seen` is not. Raises RegistryError.
    """
    draft = Draft(seen.name, asked=set(unlisted(seen.manifests, seen.tags.values())))
    try:
        await list_repository(registry, draft, lambda _: True)
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return None
        raise
    if draft.views and deleted:
        _forget(draft, seen, deleted)
    for digest, manifest in draft.manifests.items():
        draft.manifests[digest] = manifest.having(await _reread(registry, seen, digest))
    while unlisted_now := draft.unlisted():
        for digest in unlisted_now:
            if await look_up(registry, draft, digest):
                content = await _reread(registry, seen, digest)
                draft.manifests[digest] = draft.manifests[digest].having(content)
    return draft.finished()


def _forget(draft: Draft, seen: Repository, deleted: AbstractSet[str]) -> None:
    """Take off what was deleted and is shown as it was before: the deletion has not arrived there yet."""
    first, *others = draft.views
    for digest in {*deleted}.intersection(draft.manifests).difference(first.manifests):
        copies = [view.manifests[digest] for view in others if digest in view.manifests]
        if all(copy.last_update_time == seen.manifests[digest].last_update_time for copy in copies):
            del draft.manifests[digest]
            draft.asked.add(digest)


async def _reread(registry: Reads, seen: Repository, digest: str) -> Content | Ghost | Unreadable | NotRead:
    known = seen.manifests.get(digest)
    if known and (isinstance(known.content, (Content, NotRead)) or known.content == TOO_DEEP):
        return known.content
    return await read(registry, seen.name, digest)


async def look_again(registry: Reads, seen: Sequence[Repository], concurrency: int) -> tuple[Repository, ...]:
    """The repositories as they are now, with their tags, without those that are gone. Raises RegistryError.

    What was read in `seen` is not read again.
    """
    found: dict[str, Repository] = {}

    async def look(repository: Repository) -> Iterable[Task]:
        now = await rescan(registry, repository)
        if now and now.manifests:
            found[now.name] = now
        return []

    await run_tasks([partial(look, repository) for repository in seen], concurrency)
    return tuple(repository for _, repository in sorted(found.items()))
