"""One repository as several replicas show it: the union of what any of them shows.

Replicas are eventually consistent: a push, a tag or a lock of another region may not have arrived yet, and what was
deleted there may still be here. So nothing goes on the word of one replica alone: what not all of them show has no
time that could be trusted, and is young for as long as that is so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from ..model import Content, Inventory, Locks, Manifest, Repository, Tag
from ..pins.changed import Changed

NOT_EVERYWHERE = 'not every region shows it alike'
IN_THE_LOG = 'changed within a day, as the log says'
"""What stands for the time of a manifest that has none which could be trusted."""


def merged_manifests(views: Sequence[Mapping[str, Manifest]]) -> dict[str, Manifest]:
    """Each manifest that some replica shows, with the tags and locks that any of them gives it, and its newest time.

    What not every replica shows is without a time.
    """
    found: dict[str, list[Manifest]] = {}
    for view in views:
        for digest, manifest in view.items():
            found.setdefault(digest, []).append(manifest)
    return {digest: _one(copies, len(copies) == len(views)) for digest, copies in found.items()}


def merged_tags(views: Sequence[Mapping[str, Tag]]) -> dict[str, Tag]:
    """Each tag that some replica shows, locked where any of them locks it.

    A tag that not every replica shows on the same manifest is without a time.
    """
    found: dict[str, list[Tag]] = {}
    for view in views:
        for name, tag in view.items():
            found.setdefault(name, []).append(tag)
    return {name: _one_tag(copies, len(copies) == len(views)) for name, copies in found.items()}


def merged_locks(all_locks: Iterable[Locks]) -> Locks:
    """What any replica has switched off."""
    return reduce(Locks.and_those, all_locks, Locks())


def with_changes(inventory: Inventory, changes: Iterable[Changed]) -> Inventory:
    """The inventory with all that a log of the whole registry says was changed of late as new: without a time.

    What was changed and is not listed here may need any manifest of its repository, unless its last change removed it.
    """
    by_repository: dict[str, list[Changed]] = {}
    for change in sorted(changes, key=lambda each: each.at):
        by_repository.setdefault(change.repository, []).append(change)
    listed = {repository.name for repository in inventory.repositories}
    repositories = tuple(
        _changed(each, by_repository[each.name]) if each.name in by_repository else each
        for each in inventory.repositories
    )
    complete = inventory.complete and listed.issuperset(by_repository)
    return replace(inventory, repositories=repositories, complete=complete)


def _one(copies: Sequence[Manifest], everywhere: bool) -> Manifest:
    newest = max(copies, key=lambda copy: copy.updated_at or 0)
    whole = next((copy for copy in copies if isinstance(copy.content, Content)), newest)
    timed = everywhere and all(copy.updated_at is not None for copy in copies)
    one = newest._replace(
        content=whole.content,
        tags=tuple(sorted({tag for copy in copies for tag in copy.tags})),
        locks=merged_locks(copy.locks for copy in copies),
        quarantine=next((copy.quarantine for copy in copies if copy.quarantine), None),
    )
    return one if timed else _timeless(one, NOT_EVERYWHERE)


def _one_tag(copies: Sequence[Tag], everywhere: bool) -> Tag:
    newest = max(copies, key=lambda copy: copy.updated_at or 0)
    agreed = everywhere and len({copy.digest for copy in copies}) == 1
    one = newest._replace(locks=merged_locks(copy.locks for copy in copies))
    return one if agreed and all(copy.updated_at is not None for copy in copies) else _timeless_tag(one)


def _timeless(manifest: Manifest, why: str) -> Manifest:
    return manifest._replace(created_time=why, last_update_time=why, created_at=None, updated_at=None)


def _timeless_tag(tag: Tag) -> Tag:
    return tag._replace(last_update_time=None, created_at=None, updated_at=None)


def _changed(repository: Repository, changes: Sequence[Changed]) -> Repository:
    digests = {change.digest for change in changes if change.digest}
    names = {change.tag for change in changes if change.tag}
    manifests = {
        digest: _timeless(manifest, IN_THE_LOG) if digest in digests or names.intersection(manifest.tags) else manifest
        for digest, manifest in repository.manifests.items()
    }
    tags = {name: _timeless_tag(tag) if name in names else tag for name, tag in repository.tags.items()}
    last = {change.digest or change.tag: change for change in changes}
    unlisted = (_unlisted(repository, change) for change in last.values())
    unseen = repository.unseen or next(filter(None, unlisted), None)
    return replace(repository, manifests=manifests, tags=tags, unseen=unseen)


def _unlisted(repository: Repository, change: Changed) -> str | None:
    """What was changed and is not listed here, as a sentence. What was removed needs nothing any more."""
    if change.removes:
        return None
    if change.digest:
        known = change.digest in repository.manifests
        return None if known else f'the log has a change of {change.digest}, which is not listed'
    if change.tag:
        known = any(change.tag in manifest.tags for manifest in repository.manifests.values())
        return None if known else f'the log has a change of the tag {change.tag}, which is not listed'
    return 'the log has a change of the repository'
