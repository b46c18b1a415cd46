"""Walk a registry: catalog, listings, and each manifest once, many requests in flight across repositories."""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..decide.graph import user_tags
from ..decide.manifests import has_no_edges, read_manifest
from ..model import UNLOCKED, Content, Ghost, Inventory, Locks, Manifest, NotRead, Repository, Unreadable, Notice
from ..policy.patterns import is_literal, repository_pattern
from ..registry.client import Registry
from ..registry.errors import Kind, RegistryError
from ..reporter import Reporter
from ..workers import Task, run_tasks
from .cache import NoCache

UNREAD_REPOSITORY = 'repositoryNotRead'
"""Code of the warning about a repository that could not be read."""


class UnknownRepository(Exception):
    """A repository was asked for by name and is not in the registry."""


@dataclass(frozen=True)
class Extent:
    """How much is read. `patterns` are globs over repositories, none means all.

    With `bound`, only what the safety of the selected repositories needs is read.
    """

    patterns: Tuple[str, ...] = ()
    bound: bool = False
    concurrency: int = 32


@dataclass
class _Draft:
    """A repository while it is being read."""

    name: str
    manifests: Dict[str, Manifest] = field(default_factory=dict)
    locks: Locks = UNLOCKED
    locked_tags: Dict[str, Locks] = field(default_factory=dict)
    failure: Optional[RegistryError] = None
    gone: bool = False

    def finished(self) -> Repository:
        return Repository(self.name, dict(sorted(self.manifests.items())), self.locks, self.locked_tags)


def scan(registry: Registry, host: str, extent: Extent, reporter: Reporter, cache: NoCache = NoCache()) -> Inventory:
    """Read the registry into an inventory; what the cache knows of listed manifests is not read again.

    Repositories that cannot be read are left out and named in its warnings. Raises RegistryError when the registry
    itself cannot be read, UnknownRepository when a repository asked for by name is not there.
    """
    names, warnings = _catalog(registry, extent)
    selected = select(names, extent.patterns)
    if not warnings:
        cache.keep_only(names)
    walk = _Walk(registry, extent, selected, reporter, cache)
    drafts = [_Draft(name) for name in (selected if extent.bound else names)]
    registry.announce(draft.name for draft in drafts)
    reporter.repositories_found(len(drafts))
    run_tasks([partial(walk.list, draft) for draft in drafts], extent.concurrency)
    warnings += [_unread(draft.name, draft.failure) for draft in drafts if draft.failure]
    return Inventory(
        registry=host,
        repositories=tuple(draft.finished() for draft in drafts
                           if draft.manifests and not draft.failure and not draft.gone),
        selected=frozenset(selected),
        complete=not warnings and not extent.bound,
        warnings=tuple(warnings))


def rescan(registry: Registry, seen: Repository, planned: Set[str]) -> Optional[Repository]:
    """The repository as it is now, None when it is gone; only what was not read in `seen` is read.

    A ghost is asked for again: pushed anew, it needs its children. Raises RegistryError.
    """
    try:
        draft = _Draft(seen.name, _listing(registry, seen.name))
        draft.locks = registry.repository_locks(seen.name)
        if any(draft.manifests[digest].tags for digest in planned if digest in draft.manifests):
            draft.locked_tags = _locked_tags(registry, seen.name)
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return None
        raise
    for digest, manifest in draft.manifests.items():
        known = seen.manifests.get(digest)
        immutable = known and isinstance(known.content, (Content, NotRead))
        content = known.content if immutable else read(registry, seen.name, digest)
        draft.manifests[digest] = replace(manifest, content=content)
    return draft.finished()


def select(names: Sequence[str], patterns: Sequence[str]) -> List[str]:
    """The names that some pattern matches; all of them without patterns.

    Raises UnknownRepository for a pattern that is a plain name and matches nothing.
    """
    if not patterns:
        return list(names)
    known = set(names)
    for pattern in patterns:
        if is_literal(pattern) and pattern not in known:
            raise UnknownRepository(pattern)
    compiled = [repository_pattern(pattern) for pattern in patterns]
    return [name for name in names if any(pattern.match(name) for pattern in compiled)]


def read(registry: Registry, repository: str, digest: str):
    """The content of one manifest: Content, Ghost or Unreadable.

    Raises RegistryError when the identity may not read the repository, or the registry cannot be reached.
    """
    try:
        return read_manifest(digest, registry.manifest(repository, digest))
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return Ghost()
        if error.status == 401 or error.kind is Kind.UNREACHABLE:
            raise
        return Unreadable(str(error))


class _Walk:
    """The tasks of one scan. Each writes to one draft, under keys that no other task writes."""

    def __init__(self, registry: Registry, extent: Extent, selected: Iterable[str], reporter: Reporter,
                 cache: NoCache) -> None:
        self._registry = registry
        self._extent = extent
        self._selected = set(selected)
        self._reporter = reporter
        self._cache = cache
        self._unreachable = 0

    def list(self, draft: _Draft) -> Iterable[Task]:
        """List one repository; gives the tasks that read the rest of it."""
        if not self._attempt(draft, lambda: draft.manifests.update(_listing(self._registry, draft.name))):
            return []
        self._reporter.repository_done()
        wanted = self._unknown(draft, self._wanted(draft))
        self._reporter.manifests_found(len(wanted))
        return [*self._lock_tasks(draft), *(partial(self._read, draft, digest) for digest in wanted)]

    def _lock_tasks(self, draft: _Draft) -> List[Task]:
        """Locks are asked for where they can save a manifest: a user tag keeps its manifest anyway."""
        candidates = _candidates(draft.manifests) if draft.name in self._selected else []
        tasks: List[Task] = []
        if candidates:
            tasks.append(partial(self._read_locks, draft))
        if any(manifest.tags for manifest in candidates):
            tasks.append(partial(self._read_tags, draft))
        return tasks

    def _wanted(self, draft: _Draft) -> List[str]:
        if not self._extent.bound:
            return list(draft.manifests)
        if not _candidates(draft.manifests):
            return []
        return [digest for digest, manifest in draft.manifests.items()
                if not (has_no_edges(manifest.media_type) and user_tags(manifest))]

    def _unknown(self, draft: _Draft, wanted: List[str]) -> List[str]:
        """Take from the cache what it knows of the wanted manifests; gives those that are left to read."""
        known = self._cache.recall(draft.name, draft.manifests)
        for digest in wanted:
            if digest in known:
                draft.manifests[digest] = replace(draft.manifests[digest], content=known[digest])
        return [digest for digest in wanted if digest not in known]

    def _read(self, draft: _Draft, digest: str) -> Iterable[Task]:
        if not draft.failure and not draft.gone:
            self._attempt(draft, lambda: self._read_one(draft, digest))
        self._reporter.manifest_read()
        return []

    def _read_one(self, draft: _Draft, digest: str) -> None:
        try:
            content = read(self._registry, draft.name, digest)
            self._unreachable = 0
        except RegistryError as error:
            # One manifest may break every connection; a whole row of them is a network that is down.
            self._unreachable += 1
            if error.kind is not Kind.UNREACHABLE or self._unreachable > self._extent.concurrency:
                raise
            content = Unreadable(str(error))
        if isinstance(content, Content):
            self._cache.remember(draft.name, digest, content)
        draft.manifests[digest] = replace(draft.manifests[digest], content=content)

    def _read_locks(self, draft: _Draft) -> Iterable[Task]:
        def ask() -> None:
            draft.locks = self._registry.repository_locks(draft.name)
        self._attempt(draft, ask)
        return []

    def _read_tags(self, draft: _Draft) -> Iterable[Task]:
        def ask() -> None:
            draft.locked_tags = _locked_tags(self._registry, draft.name)
        self._attempt(draft, ask)
        return []

    @staticmethod
    def _attempt(draft: _Draft, work: Callable[[], None]) -> bool:
        """Do work for one repository; a failure that is its own leaves the others alone."""
        try:
            work()
            return True
        except RegistryError as error:
            if error.kind is Kind.NOT_FOUND:  # deleted since the catalog was read
                draft.gone = True
                return False
            if error.kind not in (Kind.FORBIDDEN, Kind.UNAVAILABLE, Kind.BUSY):
                raise
            draft.failure = error
            return False


def _catalog(registry: Registry, extent: Extent) -> Tuple[List[str], List[Notice]]:
    """Every repository, in order. Repositories given by name can do without the right to list the catalog."""
    try:
        return sorted({name for page in registry.repositories() for name in page}), []
    except RegistryError as error:
        if error.kind is not Kind.FORBIDDEN or not extent.patterns or not all(map(is_literal, extent.patterns)):
            raise
        message = 'This identity may not list the repositories: others may use the same layers.'
        return sorted(set(extent.patterns)), [Notice('catalogForbidden', message)]


def _listing(registry: Registry, repository: str) -> Dict[str, Manifest]:
    return {manifest.digest: manifest for page in registry.manifests(repository) for manifest in page}


def _locked_tags(registry: Registry, repository: str) -> Dict[str, Locks]:
    return {tag: locks for page in registry.locked_tags(repository) for tag, locks in page.items()}


def _candidates(manifests: Mapping[str, Manifest]) -> List[Manifest]:
    return [manifest for manifest in manifests.values() if not user_tags(manifest)]


def _unread(repository: str, error: RegistryError) -> Notice:
    lacking = f" It needs the permission {' and '.join(error.actions)}." if error.actions else ''
    return Notice(UNREAD_REPOSITORY, f'The repository could not be read: {error}.{lacking}', repository)
