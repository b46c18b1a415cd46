"""Bring back what one run deleted from a registry that keeps deleted content for some days (soft delete).

The calls are those of `az acr manifest list-deleted` and `az acr manifest restore`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ..decide.impact import Node
from ..decide.manifests import read_manifest
from ..model import UNLOCKED, Content, Failed, Locks, Skipped, parse_ticks
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..workers import Task, run_tasks
from .afterwards import Note, unheard
from .present import has_more
from .pure.choose import EXISTS, TAG_EXISTS
from .pure.lost import KeptDeleted, Lost
from .pure.past import Key, Past
from .push import Restored
from .stored import type_of, verified
from .tags_now import TagsNow
from .target import NotKept
from .write import TRANSFERS

_NOT_KEPT = 'the registry does not keep it, or not any more'


async def undelete(
    registry: Reads,
    door: Changes,
    lost: list[Lost],
    around: Mapping[Node, Lost],
    dry_run: bool,
    overwrite: bool,
    note: Note = unheard,
    begun: Container[Key] = (),
    pushed: Restored | None = None,
) -> Restored:
    """Restore manifests, their tags and their locks; with `dry_run` only say which.

    With an index comes what is inside it, which is known when it is back: as `around` says that it was, if it does.

    What is there already is left alone, its locks too, unless it is in `begun`, which an earlier run had begun to bring
    back. A manifest all of whose tags are on others now is left alone unless they may be overwritten: the service would
    move them. `note` is told what comes back and what a moved tag was on, before that is done. `pushed` is filled in as
    it goes on. Raises RegistryError when the registry cannot be asked, or somebody stopped the run.
    """
    run = _Undeletion(registry, door, around, dry_run, overwrite, note, begun, pushed or Restored())
    by_repository: dict[str, list[Lost]] = {}
    for each in lost:
        by_repository.setdefault(each.repository, []).append(each)
    for repository, here in sorted(by_repository.items()):
        await run.repository(repository, here)
    return run.pushed


async def what_is_kept(registry: Reads, repositories: Iterable[str], concurrency: int) -> list[KeptDeleted]:
    """What some repositories lost that the registry keeps, with its tags. Raises RegistryError."""
    found: list[KeptDeleted] = []

    async def look(name: str) -> Iterable[Task]:
        deleted = await _deleted_in(registry, name)
        tags: dict[str, list[str]] = {}
        for tag in await registry.deleted_tags(name) if deleted else ():
            tags.setdefault(tag.digest, []).append(tag.name)
        found.extend(
            KeptDeleted(name, digest, parse_ticks(at), tuple(tags.get(digest, ()))) for digest, at in deleted.items()
        )
        return []

    await run_tasks([partial(look, name) for name in repositories], concurrency)
    return found


async def _deleted_in(registry: Reads, repository: str) -> Mapping[str, str]:
    """When something was deleted that the registry keeps, by digest."""
    try:
        return await registry.deleted_manifests(repository)
    except RegistryError as error:
        if error.kind is Kind.NOT_FOUND:
            return {}
        raise


def _raise_if_stopped(error: Exception) -> None:
    if isinstance(error, RegistryError) and error.kind is Kind.STOPPED:
        raise error


def _bare(repository: str, digest: str) -> Lost:
    """A manifest of which no journal tells what it was."""
    return Lost(repository, digest, None, (), UNLOCKED)


@dataclass
class _Present:
    """What a repository has: each manifest and each tag with its locks, and what each tag is on.

    `is_new` says that there is nothing in it but what an earlier run had begun to bring back.
    """

    is_new: bool
    manifests: dict[str, Locks]
    tags: dict[str, str]
    tag_locks: dict[str, Locks]


class _Undeletion:
    """One restoration. `pushed` is what became of it so far."""

    def __init__(
        self,
        registry: Reads,
        door: Changes,
        around: Mapping[Node, Lost],
        dry_run: bool,
        overwrite: bool,
        note: Note,
        begun: Container[Key],
        pushed: Restored,
    ) -> None:
        self.pushed = pushed
        self._registry = registry
        self._door = door
        self._around = around
        self._note = note
        self._begun = begun
        self._dry_run = dry_run
        self._overwrite = overwrite
        self._tags_now = TagsNow(registry)
        self._came: set[Key] = set()

    async def repository(self, name: str, lost: list[Lost]) -> None:
        """Bring back what one repository lost. A tag that exists now is never moved unless that was asked for.

        Locks come last: a manifest that is locked takes no tag.
        """
        deleted, here = await self._deleted(name), await self._present(name, lost)
        self._note_past(lost, deleted, here)
        await self._manifests([each for each in lost if not each.untagged], deleted, here)
        lost = [*lost, *await self._inside(name, lost, deleted, here)]
        await self._lock_repository(name, lost, here)
        for each in sorted(lost, key=lambda one: one.digest):
            await self._tags(each, here)
        for each in lost:
            await self._locks(each, here)

    def _note_past(self, lost: list[Lost], deleted: Container[str], here: _Present) -> None:
        """Write down the times of what is about to come back, and of what an earlier run had begun to bring back."""
        found: list[Past] = []
        for each in lost:
            manifest = Past(each.repository, each.digest, None, each.created, each.updated)
            comes = each.digest in deleted and each.digest not in here.manifests
            if not each.untagged and (manifest.key in self._begun or comes):
                found.append(manifest)
            for tag, _ in each.tags:
                past = Past(each.repository, each.digest, tag, None, each.tag_times.get(tag))
                if past.key in self._begun or here.tags.get(tag) != each.digest:
                    found.append(past)
        self.pushed.past += found
        for past in found if not self._dry_run else ():
            self._note('was', **past.fields)

    async def _inside(self, name: str, lost: list[Lost], deleted: Container[str], here: _Present) -> list[Lost]:
        """Bring back what is inside the indexes that are back, and was not asked for by itself; gives that."""
        found: list[Lost] = []
        known = {each.digest for each in lost if not each.untagged}
        waiting = [each for each in lost if each.digest in known and each.digest in here.manifests]
        while waiting and not self._dry_run:
            children = await self._children(waiting.pop())
            more = [self._around.get((name, digest)) or _bare(name, digest) for digest in children - known]
            more = [each for each in more if each.digest in deleted and each.digest not in here.manifests]
            known |= children
            await self._look_up(name, more, here)
            self._note_past(more, frozenset(each.digest for each in more), here)
            await self._manifests(more, {each.digest for each in more}, here)
            found += more
            waiting += [each for each in more if each.digest in here.manifests]
        return found

    async def _children(self, lost: Lost) -> set[str]:
        if lost.media_type and not ('index' in lost.media_type or 'list' in lost.media_type):
            return set()
        try:
            content = read_manifest(lost.digest, await self._registry.manifest(lost.repository, lost.digest))
        except RegistryError as error:
            _raise_if_stopped(error)
            self.pushed.failed.append(Failed(lost.repository, lost.digest, f'what is inside it is not known: {error}'))
            return set()
        return set(content.children) if isinstance(content, Content) else set()

    async def _lock_repository(self, name: str, lost: list[Lost], here: _Present) -> None:
        """Set the flags of a repository that comes back whole; those of any other one are somebody's wish since."""
        locks = UNLOCKED
        for each in lost:
            locks = locks.and_those(each.repository_locks)
        if not (here.is_new and here.manifests and locks.switched_off):
            return
        try:
            if not self._dry_run:
                await self._door.lock_repository(name, locks)
            self.pushed.locked.append(name)
        except RegistryError as error:
            _raise_if_stopped(error)
            self.pushed.failed.append(Failed(name, '', f'the repository could not be locked: {error}'))

    async def _manifests(self, lost: list[Lost], deleted: Container[str], here: _Present) -> None:
        """Restore in this order; what is refused is tried again as long as others come back.

        The service refuses a referrer before its subject, and the journal does not tell the subject of each.
        """
        waiting = [each for each in lost if self._can_come_back(each, deleted, here)]
        refused: dict[str, str] = {}
        while waiting:
            again = []
            for each in waiting:
                try:
                    await self._manifest(each, here)
                except RegistryError as error:
                    _raise_if_stopped(error)
                    refused[each.digest] = str(error)
                    again.append(each)
            if len(again) == len(waiting):
                break
            waiting = again
        self.pushed.failed += [Failed(each.repository, each.digest, refused[each.digest]) for each in waiting]

    def _can_come_back(self, lost: Lost, deleted: Container[str], here: _Present) -> bool:
        if lost.digest in here.manifests:
            self._skip(lost, EXISTS, 'it is there')
        elif lost.digest not in deleted:
            self.pushed.failed.append(Failed(lost.repository, lost.digest, _NOT_KEPT))
        else:
            return True
        return False

    def _free(self, lost: Lost, here: _Present) -> list[str]:
        """The tags that are on nothing else now; first those that anybody may pull: the service sets one of them."""
        tags = sorted(lost.tags, key=lambda each: not each[1].read_enabled)
        return [tag for tag, _ in tags if here.tags.get(tag, lost.digest) == lost.digest]

    def _note_move(self, lost: Lost, tag: str | None, here: _Present) -> None:
        """Write down what a tag is on that is about to be moved, so that it can be moved back."""
        now = here.tags.get(tag or '', lost.digest)
        if tag and now != lost.digest:
            self.pushed.moved.append((lost.repository, tag, now))
            if not self._dry_run:
                self._note('moves', repository=lost.repository, tag=tag, digest=now, to=lost.digest)

    async def _hide(self, lost: Lost, tag: str | None) -> None:
        """Switch off at once what lets others read or list something. What fails is tried again with the locks."""
        for reference, locks in ((tag, dict(lost.tags).get(tag or '', UNLOCKED)), (lost.digest, lost.locks)):
            hidden = Locks(read_enabled=locks.read_enabled, list_enabled=locks.list_enabled)
            later = reference == lost.digest and len(lost.tags) > 1  # its bytes are read for the other tags
            if reference and hidden.switched_off and not later:
                with suppress(RegistryError):
                    await self._door.lock(lost.repository, reference, hidden)

    async def _taken(self, lost: Lost, here: _Present) -> list[str]:
        """The tags because of which a manifest stays away: the service would take one of them from others."""
        if not lost.tags:
            return await self._tags_now.taken_by_itself(lost.repository, lost.digest)
        for tag, _ in lost.tags if not self._dry_run else ():
            await self._look(lost.repository, tag, here)
        return [] if self._overwrite or self._free(lost, here) else [tag for tag, _ in lost.tags]

    async def _look(self, name: str, tag: str, here: _Present) -> None:
        """Know what a tag is on right now: others may have pushed since the tags were listed."""
        now = await self._tags_now.on(name, tag)
        if now:
            here.tags[tag] = now
        else:
            here.tags.pop(tag, None)

    async def _manifest(self, lost: Lost, here: _Present) -> None:
        taken = await self._taken(lost, here)
        if taken:
            self._skip(lost, TAG_EXISTS, f'its tags are on others now: {", ".join(taken)}')
            return
        tag = next(iter(self._free(lost, here) or [tag for tag, _ in lost.tags]), None)
        self._note_move(lost, tag, here)
        if not self._dry_run:
            await self._restore(lost, tag)
            await self._tags_now.came(lost.repository, lost.digest, tag)
            await self._hide(lost, tag)
        locks = UNLOCKED if self._dry_run else await self._locks_of(lost)
        is_tagged = tag is not None and await self._is_on(lost, tag)
        here.manifests[lost.digest] = locks
        self.pushed.manifests.append((lost.repository, lost.digest))
        self._came.add((lost.repository, lost.digest, None))
        if tag and is_tagged:
            self._is_tagged(lost, tag, here)

    async def _restore(self, lost: Lost, tag: str | None) -> None:
        """What is not deleted any more may be there again: a registry may restore an index with its children."""
        try:
            await self._door.restore_deleted(lost.repository, lost.digest, tag)
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            await self._locks_of(lost)

    async def _locks_of(self, lost: Lost) -> Locks:
        return (await self._registry.manifest_properties(lost.repository, lost.digest)).locks

    async def _is_on(self, lost: Lost, tag: str) -> bool:
        """Whether the service set the tag: it does not where somebody else restored the manifest."""
        return self._dry_run or await self._registry.tag_digest(lost.repository, tag) == lost.digest

    def _is_tagged(self, lost: Lost, tag: str, here: _Present) -> None:
        set_now = lost.repository, tag, lost.digest
        self.pushed.tags += [] if set_now in self.pushed.tags else [set_now]
        self._came.add((lost.repository, lost.digest, tag))
        here.tags[tag] = lost.digest
        here.tag_locks.pop(tag, None)

    async def _tags(self, lost: Lost, here: _Present) -> None:
        for tag, _ in lost.tags:
            if lost.digest in here.manifests:
                await self._tag(lost, tag, here)
            elif lost.untagged:
                self.pushed.failed.append(Failed(lost.repository, lost.digest, 'its manifest is not there', tag))

    async def _tag(self, lost: Lost, tag: str, here: _Present) -> None:
        """Set a tag, unless it is there, or on another manifest by now."""
        try:
            if not self._dry_run:
                await self._look(lost.repository, tag, here)
            if here.tags.get(tag) == lost.digest:
                return
            if tag in here.tags and not self._overwrite:
                self._skip(lost, TAG_EXISTS, f'it is on {here.tags[tag]} now', tag)
                return
            self._note_move(lost, tag, here)
            if not self._dry_run:
                await self._put_tag(lost, tag)
                await self._hide_tag(lost, tag)
            self._is_tagged(lost, tag, here)
        except (RegistryError, NotKept) as error:
            _raise_if_stopped(error)
            self.pushed.failed.append(Failed(lost.repository, lost.digest, str(error), tag))

    async def _put_tag(self, lost: Lost, tag: str) -> None:
        media_type = lost.media_type
        if not media_type:
            media_type = (await self._registry.manifest_properties(lost.repository, lost.digest)).media_type
        data = verified(lost.digest, await self._registry.manifest(lost.repository, lost.digest))
        await self._door.put_manifest(lost.repository, tag, data, type_of(data, media_type))

    async def _hide_tag(self, lost: Lost, tag: str) -> None:
        locks = dict(lost.tags)[tag]
        hidden = Locks(read_enabled=locks.read_enabled, list_enabled=locks.list_enabled)
        if hidden.switched_off:
            await self._door.lock(lost.repository, tag, hidden)

    async def _locks(self, lost: Lost, here: _Present) -> None:
        """Set the locks that the manifest and its tags had: those of what did not come back are somebody's wish."""
        if lost.digest in here.manifests and self._is_coming(lost, None):
            await self._lock(lost, None, lost.locks, here.manifests[lost.digest])
        for tag, locks in lost.tags:
            if here.tags.get(tag) == lost.digest and self._is_coming(lost, tag):
                await self._lock(lost, tag, locks, here.tag_locks.get(tag, UNLOCKED))

    def _is_coming(self, lost: Lost, tag: str | None) -> bool:
        """Whether it came back in this run, or in one that began and did not end."""
        key = lost.repository, lost.digest, tag
        return key in self._came or key in self._begun

    async def _lock(self, lost: Lost, tag: str | None, locks: Locks, now: Locks) -> None:
        if set(locks.switched_off) <= set(now.switched_off):
            return
        reference = tag or lost.digest
        try:
            if not self._dry_run:
                await self._door.lock(lost.repository, reference, locks)
            self.pushed.locked.append(f'{lost.repository} {reference}')
        except RegistryError as error:
            _raise_if_stopped(error)
            self.pushed.failed.append(Failed(lost.repository, lost.digest, f'it could not be locked: {error}', tag))

    async def _deleted(self, repository: str) -> frozenset[str]:
        return frozenset(await _deleted_in(self._registry, repository))

    async def _present(self, repository: str, lost: list[Lost]) -> _Present:
        try:
            listed = [manifest async for page in self._registry.manifests(repository) for manifest in page]
            tags = [tag async for page in self._registry.tags(repository) for tag in page]
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            listed, tags = [], []
        here = _Present(
            all((repository, manifest.digest, None) in self._begun for manifest in listed),
            {manifest.digest: manifest.locks for manifest in listed},
            {tag.name: tag.digest for tag in tags},
            {tag.name: tag.locks for tag in tags},
        )
        if any(each.repository_locks.switched_off for each in lost):
            here.is_new = here.is_new and not await has_more(self._registry, repository, len(listed))
        await self._look_up(repository, lost, here)
        return here

    async def _look_up(self, name: str, lost: list[Lost], here: _Present) -> None:
        """Know what tags are on that were not listed: no listing has a hidden one, nor one in quarantine."""

        async def look(tag: str) -> Iterable[Task]:
            await self._look(name, tag, here)
            return []

        unlisted = sorted({tag for each in lost for tag, _ in each.tags} - set(here.tags))
        await run_tasks([partial(look, tag) for tag in unlisted], TRANSFERS)

    def _skip(self, lost: Lost, reason: str, because: str, tag: str | None = None) -> None:
        self.pushed.skipped.append(Skipped(lost.repository, lost.digest, reason, because, tag))
