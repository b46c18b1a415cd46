"""Look at repositories again, right before something is deleted in them or after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial

from ..decide.depth import TOO_DEEP
from ..decide.manifests import has_no_edges
from ..decide.wholeness import unlisted
from ..model import Content, Ghost, Manifest, NotRead, Repository, Tag, Unreadable
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..workers import Task, run_tasks
from .cache import Cache, NoCache
from .drafts import Draft, list_repository, look_up, read

_READS_AT_A_TIME = 32

State = Content | Ghost | Unreadable | NotRead


@dataclass(frozen=True)
class Before:
    """What is known of a repository before it is looked at again: as it was `seen`, and what was `read` since.

    `cache` may know more. `going` are the manifests that are to go: what stays and can have no edges has no say in
    that, and is not read. None where all is wanted, and the empty set where nothing goes but tags. What was `deleted`
    through the first replica by this run is gone, and so are the tags that were `untagged`, although others may show
    them for a while.
    """

    seen: Repository
    going: AbstractSet[str] | None = None
    read: Mapping[str, Content | Unreadable] = field(default_factory=dict)
    cache: Cache = NoCache()
    deleted: AbstractSet[str] = frozenset()
    untagged: AbstractSet[str] = frozenset()

    def state(self, manifest: Manifest) -> State | None:
        """What need not be read of a manifest, None where it has to be.

        A ghost has: pushed anew, it needs its children.
        """
        known = self.seen.manifests.get(manifest.digest)
        settled = known and (isinstance(known.content, (Content, NotRead)) or known.content == TOO_DEEP)
        if known and (settled or self.going == frozenset()):
            return known.content
        if manifest.digest in self.read:
            return self.read[manifest.digest]
        if self.going is None or manifest.digest in self.going:
            return None
        return NotRead() if has_no_edges(manifest.media_type) or not self.going else None


async def rescan(registry: Reads, before: Before) -> Repository | None:
    """The repository as it is now, None when it is gone. Raises RegistryError.

    Only what is not known is read, much of it at a time. What was missing before is not asked for again.
    """
    seen = before.seen
    draft = Draft(seen.name, asked=set(unlisted(seen.manifests, seen.tags.values())), cached=seen.cached)
    try:
        await list_repository(registry, draft, lambda _: True)
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return None
        raise
    if draft.views:
        _forget_manifests(draft, before)
        _forget_tags(draft, before)
    look = _Unknown(registry, before, draft)
    await look.read(draft.manifests)
    while named := draft.unlisted():
        await look.find(named)
    return draft.finished()


def _forget_manifests(draft: Draft, before: Before) -> None:
    """Take off what was deleted and is shown as it was before: the deletion has not arrived there yet."""
    first, *others = draft.views
    for digest in {*before.deleted}.intersection(draft.manifests).difference(first.manifests):
        copies = [view.manifests[digest] for view in others if digest in view.manifests]
        known = before.seen.manifests.get(digest)
        if known is None or _none_is_later(copies, known):
            del draft.manifests[digest]
            draft.asked.add(digest)


def _forget_tags(draft: Draft, before: Before) -> None:
    """Take off the tags of what was deleted, and those that were removed, where they are shown as they were before."""
    first, *others = draft.views
    gone = before.deleted - draft.manifests.keys()
    for name in draft.tags.keys() - first.tags.keys():
        copies = [view.tags[name] for view in others if name in view.tags]
        known = before.seen.tags.get(name)
        if known is None or not (name in before.untagged or known.digest in gone):
            continue
        if _none_is_later(copies, known) and all(copy.digest == known.digest for copy in copies):
            del draft.tags[name]


def _none_is_later(copies: Iterable[Manifest | Tag], known: Manifest | Tag) -> bool:
    """Whether nobody pushed or tagged it since: each replica has times of its own, and the newest one is `known`."""
    if known.updated_at is None:
        return all(copy.last_update_time == known.last_update_time for copy in copies)
    return all(copy.updated_at is not None and copy.updated_at <= known.updated_at for copy in copies)


class _Unknown:
    """What is read of one repository; each task writes to the draft under keys that no other one writes."""

    def __init__(self, registry: Reads, before: Before, draft: Draft) -> None:
        self._registry = registry
        self._before = before
        self._draft = draft

    async def read(self, digests: Iterable[str]) -> None:
        """Take what is known, and read the rest."""
        states = {digest: self._before.state(self._draft.manifests[digest]) for digest in digests}
        new = {
            digest for digest, state in states.items() if state is None and digest not in self._before.seen.manifests
        }
        if new:
            cached = self._before.cache.recall(self._draft.name, self._draft.manifests)
            states.update((digest, cached[digest]) for digest in new.intersection(cached))
        for digest, state in states.items():
            if state is not None:
                self._set(digest, state)
        wanted = sorted(digest for digest, state in states.items() if state is None)
        await run_tasks([partial(self._read, digest) for digest in wanted], _READS_AT_A_TIME)

    async def find(self, named: Sequence[str]) -> None:
        """Ask for what is named and was not listed, and read what of it is there."""
        await run_tasks([partial(self._find, digest) for digest in named], _READS_AT_A_TIME)
        await self.read(digest for digest in named if digest in self._draft.manifests)

    async def _read(self, digest: str) -> Iterable[Task]:
        known = self._before.seen.manifests.get(digest)
        patient = not (known and isinstance(known.content, Unreadable))
        self._set(digest, await read(self._registry, self._draft.name, digest, patient))
        return []

    async def _find(self, digest: str) -> Iterable[Task]:
        await look_up(self._registry, self._draft, digest)
        return []

    def _set(self, digest: str, state: State) -> None:
        self._draft.manifests[digest] = self._draft.manifests[digest].having(state)


async def look_again(
    registry: Reads, seen: Sequence[Repository], concurrency: int, deleted: Mapping[str, AbstractSet[str]]
) -> tuple[Repository, ...]:
    """The repositories as they are now, with their tags, without those that are gone. Raises RegistryError.

    What was read in `seen` is not read again. What this run `deleted`, by repository, other replicas may still show.
    """
    found: dict[str, Repository] = {}

    async def look(repository: Repository) -> Iterable[Task]:
        gone = deleted.get(repository.name, frozenset())
        now = await rescan(registry, Before(repository, deleted=gone))
        if now and now.manifests:
            found[now.name] = now
        return []

    await run_tasks([partial(look, repository) for repository in seen], concurrency)
    return tuple(repository for _, repository in sorted(found.items()))
