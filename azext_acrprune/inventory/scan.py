"""Walk a registry: catalog, listings, and each manifest once, many requests in flight across repositories."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ..decide.graph import attached_subjects, user_tags
from ..decide.manifests import MAX_MANIFEST_BYTES, has_no_edges, read_labels
from ..decide.measures import to_measure, with_measures
from ..model import CATALOG_FORBIDDEN, UNREAD_REPOSITORY, Content, Ghost, Inventory, Manifest, Notice, Unreadable
from ..policy.rules import Selection
from ..prune_error import PruneError
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..reporter import Reporter
from ..workers import Task, run_tasks
from .cache import Blobs, Cache, NoCache
from .drafts import Draft, list_repository, look_up, read
from .existing import catalog

OUT_OF_TIME = 'timeLimit'
"""Code of the warning that some repositories were not read in time."""

_OF_A_REPOSITORY = (Kind.FORBIDDEN, Kind.UNAVAILABLE, Kind.BUSY, Kind.MALFORMED, Kind.NOT_A_REGISTRY)
"""Kinds of errors that leave other repositories alone."""

OLDEST_FIRST, LARGEST_FIRST, BY_NAME = 'oldest', 'largest', 'name'
"""Orders of repositories: longest not looked at, most manifests, both by what the cache knows; and by name."""


class UnknownRepository(PruneError):
    """A repository was asked for by name, which is the text, and is not in the registry."""

    kind = Kind.NOT_FOUND
    sentence = "The repository '{message}' is not in the registry '{registry}'."
    advice = "List the repositories with 'az acr repository list --name {target}'."


MOST_SUBJECTS_ASKED = 10_000
"""So many calls are made at most to find the subjects of attachments: a minute, at what the service allows."""


@dataclass(frozen=True)
class Extent:
    """How much is read.

    With `bound`, only what the safety of the selected repositories needs is read. With `tags`, any manifest may go and
    not only untagged ones, so that the selected repositories are read whole, their tag listings too. With `labels`,
    the configs of their images are read for them. `order` says which repositories come first. With `anew`, what the
    cache knows is read all the same: nothing else shows that it has become a ghost. `cached` are the targets of cache
    rules, each a repository or with `*` at its end a prefix. With `only` some repositories, no list of all of them is
    asked for. With `everywhere`, all repositories are read as the selected ones are. With `orphans`, attachments
    without a subject may go: so their subjects are asked for in every repository, which may hide them.
    """

    selection: Selection = Selection()
    bound: bool = False
    tags: bool = False
    labels: bool = False
    concurrency: int = 32
    order: str = BY_NAME
    anew: bool = False
    cached: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    everywhere: bool = False
    orphans: bool = False

    def is_cached(self, repository: str) -> bool:
        """Whether a repository is behind a cache rule."""
        return any(
            repository.startswith(target[:-1]) if target.endswith('*') else repository == target
            for target in self.cached
        )


async def scan(
    registry: Reads,
    host: str,
    extent: Extent,
    reporter: Reporter,
    cache: Cache = NoCache(),
    is_over: Callable[[], bool] = lambda: False,
) -> Inventory:
    """Read the registry into an inventory, in the order of the extent, and without what the cache knows.

    Repositories that cannot be read, or whose name is spelled as none is, are left out, with a warning. Once the time
    `is_over` nothing more is read, and the repositories that were not read as a whole are left out as `late`. Raises
    RegistryError when the registry itself cannot be read, UnknownRepository when a repository asked for by name is not
    there.
    """
    names, warnings = await _names(registry, extent, cache)
    selected = select(names, extent.selection, {str(warning.repository) for warning in warnings})
    wanted = selected if extent.bound and not extent.everywhere else names
    drafts = [
        Draft(name, cached=extent.is_cached(name))
        for name in _ordered(wanted, extent.order, cache, frozenset(selected))
    ]
    walk = _Walk(registry, extent, wanted if extent.everywhere else selected, reporter, cache, is_over)
    await walk.read(drafts)
    _raise_where_nothing_is_a_registry(drafts)
    # Without a catalog, only its own listing tells that a repository is not there.
    if any(warning.code == CATALOG_FORBIDDEN for warning in warnings):
        select(sorted({*names} - {draft.name for draft in drafts if draft.gone}), extent.selection)
    warnings += [*_failures(drafts), *_out_of_time(drafts)]
    silent = any(draft.is_silent for draft in drafts)
    inventory = Inventory(
        registry=host,
        repositories=tuple(draft.finished() for draft in drafts if draft.known),
        selected=frozenset(selected),
        complete=not (warnings or extent.bound or silent) and extent.only is None,
        whole=not (warnings or silent or any(draft.gone for draft in drafts) or walk.is_too_much)
        and extent.only is None
        and frozenset(wanted).issuperset(names),
        warnings=tuple(warnings),
        labels=walk.labels,
        late=frozenset(draft.name for draft in drafts if draft.late),
    )
    asked = {digest: name for digest, name in to_measure(inventory).items() if not extent.is_cached(name)}
    return with_measures(inventory, await _measured(registry, asked, extent.concurrency, is_over))


async def _names(registry: Reads, extent: Extent, cache: Cache) -> tuple[list[str], list[Notice]]:
    if extent.only is not None:
        return sorted(extent.only), []
    return await catalog(registry, extent.selection, cache, extent.cached)


async def _measured(
    registry: Reads, wanted: Mapping[str, str], concurrency: int, is_over: Callable[[], bool]
) -> dict[str, int]:
    """How large blobs are, 0 for those that are not stored; what could not be asked for is not there."""
    sizes: dict[str, int] = {}

    async def measure(digest: str, repository: str) -> Iterable[Task]:
        if not is_over():
            with suppress(RegistryError):
                sizes[digest] = await registry.blob_size(repository, digest)
        return []

    await run_tasks([partial(measure, digest, name) for digest, name in wanted.items()], concurrency)
    return sizes


def select(names: Sequence[str], selection: Selection, unread: AbstractSet[str] = frozenset()) -> list[str]:
    """The names that are selected.

    Raises UnknownRepository for one that is asked for, and is neither among them nor `unread`.
    """
    known = {*names, *unread}
    for pattern in selection.asked_for:
        if pattern.literal and pattern.text not in known:
            raise UnknownRepository(pattern.text)
    return selection.select(names)


class _Walk:
    """The tasks of one scan. Each writes to one draft, under keys that no other task writes."""

    def __init__(
        self,
        registry: Reads,
        extent: Extent,
        selected: Iterable[str],
        reporter: Reporter,
        cache: Cache,
        is_over: Callable[[], bool],
    ) -> None:
        self._registry = registry
        self._extent = extent
        self._selected = set(selected)
        self._reporter = reporter
        self._cache = cache
        self._is_over = is_over
        self._unreachable = 0
        self._blobs = Blobs()
        self._failed_before = cache.failures()
        self._failed: set[tuple[str, str]] = set()
        self.labels: dict[str, Mapping[str, str]] = {}
        self.is_too_much = False

    async def read(self, drafts: Sequence[Draft]) -> None:
        """Read these repositories: their listings, their manifests, and what these name and the listings do not."""
        self._registry.announce(draft.name for draft in drafts)
        self._reporter.repositories_found(len(drafts))
        await run_tasks([partial(self._list, draft) for draft in drafts], self._extent.concurrency)
        while unlisted_tasks := self._look_ups(drafts):
            await run_tasks(unlisted_tasks, self._extent.concurrency)
        if self._extent.orphans:
            await run_tasks(self._subjects_elsewhere(drafts), self._extent.concurrency)
        await asyncio.to_thread(self._note_failures, drafts)

    def _note_failures(self, drafts: Iterable[Draft]) -> None:
        """Tell the next run what could not be read, so that it asks less often; what is well now is forgotten."""
        well = {draft.name for draft in drafts if not (draft.failure or draft.late)}
        read = [key for key in self._failed_before - self._failed if key[0] in well]
        self._cache.note_failures(read, sorted(self._failed - self._failed_before))

    def _is_patient(self, draft: Draft, digest: str = '') -> bool:
        """Whether this is asked for again and again while it fails: not if it did so for all of the last run."""
        return (draft.name, digest) not in self._failed_before

    async def _list(self, draft: Draft) -> Iterable[Task]:
        """List one repository; gives the tasks that read the rest of it."""
        patient = self._is_patient(draft)
        listing = partial(list_repository, self._registry, wants_tags=self._wants_tags, patient=patient)
        if not await self._attempt(draft, listing):
            if draft.failure and draft.failure.kind is Kind.UNAVAILABLE:
                self._failed.add((draft.name, ''))
            return []
        self._reporter.repository_done()
        return self._rest(draft)

    def _rest(self, draft: Draft) -> Iterable[Task]:
        wanted = self._wanted(draft)
        unknown = self._unknown(draft, wanted)
        self._reporter.manifests_found(len(unknown))
        known = sorted(set(wanted) - set(unknown)) if self._wants_labels(draft) else []
        return [
            *(partial(self._read, draft, digest) for digest in unknown),
            *(task for digest in known for task in self._label_tasks(draft, digest)),
        ]

    def _look_ups(self, drafts: Iterable[Draft]) -> list[Task]:
        """The tasks that ask for what something names and was not listed, in repositories where something may go."""
        open_ = [draft for draft in drafts if not (draft.failure or draft.gone or draft.late)]
        return [
            partial(self._look_up, draft, digest)
            for draft in open_
            if self._wants_tags(draft)
            for digest in draft.unlisted()
        ]

    def _subjects_elsewhere(self, drafts: Iterable[Draft]) -> list[Task]:
        """The tasks that ask every repository for the subjects of attachments that no list shows.

        Where these are too many, none is asked for, and nothing counts as an orphan.
        """
        open_ = [draft for draft in drafts if not (draft.failure or draft.gone or draft.late)]
        manifests = [manifest for draft in open_ for manifest in draft.manifests.values()]
        named = {subject for manifest in manifests for subject in attached_subjects(manifest)}
        missing = sorted(named.difference(manifest.digest for manifest in manifests))
        self.is_too_much = len(missing) * len(open_) > MOST_SUBJECTS_ASKED
        if self.is_too_much:
            return []
        return [
            partial(self._look_up, draft, digest) for draft in open_ for digest in missing if digest not in draft.asked
        ]

    async def _look_up(self, draft: Draft, digest: str) -> Iterable[Task]:
        found: list[Task] = []

        async def look(_: Draft) -> None:
            if await look_up(self._registry, draft, digest):
                self._reporter.manifests_found(1)
                found.append(partial(self._read, draft, digest))

        draft.asked.add(digest)
        await self._attempt(draft, look)
        return found

    def _wants_tags(self, draft: Draft) -> bool:
        """Tags are asked for where something may go: a manifest listing may leave some out."""
        return self._extent.orphans or draft.name in self._selected and bool(self._candidates(draft))

    def _candidates(self, draft: Draft) -> list[Manifest]:
        return list(draft.manifests.values()) if self._extent.tags else _candidates(draft.manifests)

    def _wanted(self, draft: Draft) -> list[str]:
        if not self._extent.bound or self._extent.tags:
            return list(draft.manifests)
        if not _candidates(draft.manifests):
            return []
        return [
            digest
            for digest, manifest in draft.manifests.items()
            if not (has_no_edges(manifest.media_type) and user_tags(manifest))
        ]

    def _unknown(self, draft: Draft, wanted: list[str]) -> list[str]:
        """Take from the cache what it knows of the wanted manifests; gives those that are left to read."""
        known = self._cache.recall(draft.name, draft.manifests, self._blobs)
        if self._extent.anew:
            return wanted
        unknown = []
        for digest in wanted:
            content = known.get(digest)
            if content is None:
                unknown.append(digest)
            else:
                draft.manifests[digest] = draft.manifests[digest].having(content)
        if self._wants_labels(draft):
            self._recall_labels(draft.name, known)
        return unknown

    def _recall_labels(self, repository: str, known: Mapping[str, Content]) -> None:
        for digest, labels in self._cache.recall_labels(repository, known).items():
            self.labels[str(known[digest].config)] = labels

    def _shared(self, content: Content) -> Content:
        """The content, with one object for each blob, whoever holds it."""
        blobs = tuple(self._blobs.one(*blob) for blob in content.blobs)
        config = next((blob.digest for blob in blobs if blob.digest == content.config), content.config)
        return content._replace(blobs=blobs, config=config)

    async def _read(self, draft: Draft, digest: str) -> Iterable[Task]:
        if not draft.failure and not draft.gone:
            await self._attempt(draft, partial(self._read_one, digest=digest))
        self._reporter.manifest_read()
        return self._label_tasks(draft, digest)

    def _label_tasks(self, draft: Draft, digest: str) -> Iterable[Task]:
        content = draft.manifests[digest].content
        if (
            self._wants_labels(draft)
            and isinstance(content, Content)
            and content.config
            and content.config not in self.labels
        ):
            return [partial(self._do, draft, partial(self._read_labels, digest=digest, content=content))]
        return []

    def _wants_labels(self, draft: Draft) -> bool:
        return self._extent.labels and draft.name in self._selected

    async def _read_labels(self, draft: Draft, digest: str, content: Content) -> None:
        """Read the labels of an image. Where they cannot be read, a rule that asks for labels keeps the image."""
        config = str(content.config)
        if config in self.labels or not any(
            blob.digest == config and blob.size <= MAX_MANIFEST_BYTES for blob in content.blobs
        ):
            return
        try:
            data = await self._registry.config(draft.name, config)
            labels = read_labels(config, data)
        except RegistryError as error:
            if error.kind is Kind.OUT_OF_TIME:
                raise
            return
        if labels is not None:
            self.labels[config] = labels
            if self._cache.remember_labels(draft.name, digest, labels):
                await asyncio.to_thread(self._cache.write)

    async def _read_one(self, draft: Draft, digest: str) -> None:
        try:
            content = await read(self._registry, draft.name, digest, self._is_patient(draft, digest))
            self._unreachable = 0
        except RegistryError as error:
            # A single manifest may break its connection; when many in a row do, the network is down.
            self._unreachable += 1
            if error.kind is not Kind.UNREACHABLE or self._unreachable > self._extent.concurrency:
                raise
            content = Unreadable(str(error))
        if isinstance(content, Content):
            content = self._shared(content)
            if self._cache.remember(draft.name, digest, content):
                await asyncio.to_thread(self._cache.write)
        elif isinstance(content, Ghost) and self._extent.anew:
            await asyncio.to_thread(self._cache.forget, draft.name, digest)
        elif isinstance(content, Unreadable):
            self._failed.add((draft.name, digest))
        draft.manifests[digest] = draft.manifests[digest].having(content)

    async def _do(self, draft: Draft, work: Callable[[Draft], Awaitable[None]]) -> Iterable[Task]:
        await self._attempt(draft, work)
        return []

    async def _attempt(self, draft: Draft, work: Callable[[Draft], Awaitable[None]]) -> bool:
        """Do work for one repository; a failure that is its own leaves the others alone."""
        if not self._is_in_time(draft):
            return False
        try:
            await work(draft)
            return True
        except RegistryError as error:
            self._fail(draft, error)
            return False

    def _is_in_time(self, draft: Draft) -> bool:
        """What was not done because the time is over makes the repository late: it is known wholly or not at all."""
        draft.late = draft.late or self._is_over()
        return not draft.late

    @staticmethod
    def _fail(draft: Draft, error: RegistryError) -> None:
        """Note why a repository was not read; raise the error when it concerns the whole registry."""
        if error.kind is Kind.NOT_FOUND:  # deleted since the catalog was read
            draft.gone = True
        elif error.kind is Kind.OUT_OF_TIME:
            draft.late = True
        elif error.kind in _OF_A_REPOSITORY:
            draft.failure = error
        else:
            raise error


def _raise_where_nothing_is_a_registry(drafts: Sequence[Draft]) -> None:
    """Raise the error of a repository where each of them was answered by something that is no registry."""
    errors = [draft.failure for draft in drafts if draft.failure]
    if errors and len(errors) == len(drafts) and all(error.kind is Kind.NOT_A_REGISTRY for error in errors):
        raise errors[0]


def _ordered(names: Sequence[str], order: str, cache: Cache, selected: AbstractSet[str]) -> list[str]:
    """The selected repositories first: the others are read only to make the bytes exact."""
    looks = cache.looks() if order == OLDEST_FIRST else {}
    sizes = cache.sizes() if order == LARGEST_FIRST else {}
    return sorted(names, key=lambda name: (name not in selected, looks.get(name, -1), -sizes.get(name, 0), name))


def _out_of_time(drafts: Sequence[Draft]) -> list[Notice]:
    late = sum(draft.late for draft in drafts)
    if not late:
        return []
    return [
        Notice(
            OUT_OF_TIME,
            f'The time was over before {late} of {len(drafts)} repositories were read. The next '
            'run goes on from there; until then the freed bytes are an upper bound.',
        )
    ]


def _candidates(manifests: Mapping[str, Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests.values() if not user_tags(manifest)]


def _failures(drafts: Iterable[Draft]) -> Iterator[Notice]:
    for draft in drafts:
        if draft.failure:
            actions = draft.failure.actions
            lacking = f' It needs the permission {" and ".join(actions)}.' if actions else ''
            yield Notice(UNREAD_REPOSITORY, f'The repository could not be read: {draft.failure}.{lacking}', draft.name)
