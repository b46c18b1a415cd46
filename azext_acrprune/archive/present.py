"""What is in a registry now of what an archive may bring back: a call for each manifest and tag, and no listing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ..decide.graph import walk
from ..decide.impact import Node
from ..decide.manifests import read_manifest
from ..model import Content, Inventory, Manifest, NotRead, Repository
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..workers import Task, run_tasks
from .stored import Archived

_OTHERS = 'others are in it'


async def present(
    registry: Reads, host: str, archived: Archived, concurrency: int, is_cached: Callable[[str], bool] = lambda _: False
) -> Inventory:
    """Those manifests and tags of the archive that are in the registry now. Raises RegistryError.

    A cached repository is asked without a pull, which would bring what is not there. What is there and cannot be
    pulled is not read. Of repositories that had flags it also says whether they are empty, or have something else.
    """
    nodes = nodes_of(archived)
    tags = {
        (each.repository, each.tag) for each in archived.records if each.tag and (each.repository, each.digest) in nodes
    }
    manifests: dict[Node, Manifest] = {}
    on: dict[Node, list[str]] = {}

    async def manifest(node: Node) -> Iterable[Task]:
        try:
            if is_cached(node[0]):
                await registry.manifest_properties(*node)
            manifests[node] = Manifest(node[1], read_manifest(node[1], await registry.manifest(*node)))
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND and await is_there(node):
                manifests[node] = Manifest(node[1], NotRead())
        return []

    async def is_there(node: Node) -> bool:
        """Whether what could not be read is there: one image that nobody may pull is no reason to fail."""
        try:
            await registry.manifest_properties(*node)
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            return False
        return True

    async def tag(repository: str, name: str) -> Iterable[Task]:
        digest = await registry.tag_digest(repository, name)
        if digest:
            on.setdefault((repository, digest), []).append(name)
        return []

    registry.announce(sorted({name for name, _ in nodes}))
    await run_tasks([partial(manifest, node) for node in sorted(nodes)], concurrency)
    await run_tasks([partial(tag, *each) for each in sorted(tags)], concurrency)
    found = {node: manifests.get(node) or Manifest(node[1], NotRead()) for node in {*manifests, *on}}
    by_name: dict[str, dict[str, Manifest]] = {name: {} for name in _flagged(archived)}
    for node, each in sorted(found.items()):
        by_name.setdefault(node[0], {})[node[1]] = each._replace(tags=tuple(sorted(on.get(node, ()))))
    unseen: dict[str, str] = {}

    async def others(name: str) -> Iterable[Task]:
        if await has_more(registry, name, len(by_name[name])):
            unseen[name] = _OTHERS
        return []

    await run_tasks([partial(others, name) for name in _flagged(archived)], concurrency)
    repositories = tuple(Repository(name, each, unseen=unseen.get(name)) for name, each in sorted(by_name.items()))
    return Inventory(host, repositories, frozenset(), complete=False, whole=False)


async def has_more(registry: Reads, repository: str, known: int) -> bool:
    """Whether a repository may have more manifests than those that are known. Raises RegistryError."""
    try:
        count = (await registry.repository_facts(repository)).manifests
    except RegistryError as error:
        if error.kind is not Kind.NOT_FOUND:
            raise
        return False
    return count is None or count > known


def _flagged(archived: Archived) -> list[str]:
    """The repositories that had flags when something of them was archived."""
    return sorted({record.repository for record in archived.records if record.repository_locks.switched_off})


def nodes_of(archived: Archived) -> set[Node]:
    """The manifests that the archive may bring back: those that were read of it, with all that is inside them."""
    kept = archived.kept
    named: dict[str, set[str]] = {}
    for record in archived.records:
        if record.digest in kept:
            named.setdefault(record.repository, set()).add(record.digest)
    return {
        (name, digest)
        for name, digests in named.items()
        for digest in walk(sorted(digests), lambda each: kept[each].content.children if each in kept else ())
    }


def lacks_blobs(archived: Archived, inventory: Inventory) -> bool:
    """Whether blobs are in neither: only a scan of the whole registry tells whether another repository has them."""
    known = {
        blob.digest
        for repository in inventory.repositories
        for manifest in repository.manifests.values()
        if isinstance(manifest.content, Content)
        for blob in manifest.content.blobs
    }
    there = {(repository.name, digest) for repository in inventory.repositories for digest in repository.manifests}
    needed = {
        blob.digest
        for node in nodes_of(archived) - there
        if node[1] in archived.kept
        for blob in archived.kept[node[1]].content.blobs
    }
    return not needed <= archived.blobs | known
