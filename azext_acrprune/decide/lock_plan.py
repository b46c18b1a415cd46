"""Pinned images: whether the registry still has them, and which of them to lock or unlock."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..model import UNLOCKED, Locks
from ..pins.pinned import Pin, Pins
from ..pins.references import Reference

FOUND = 'found'
MISSING = 'missing'
REPOSITORY_MISSING = 'repositoryMissing'
NOT_READ = 'notRead'

Key = tuple[str, str]
"""A repository, and a tag or a digest in it."""


@dataclass(frozen=True)
class Standing:
    """What the registry says of a tag or a digest. `locks` are those of the manifest, if they were asked for."""

    status: str
    digest: str | None = None
    locks: Locks = UNLOCKED
    error: str | None = None


@dataclass(frozen=True)
class Mark:
    """A lock that this tool set. `write_enabled` is what the manifest had at that time."""

    repository: str
    digest: str
    write_enabled: bool


@dataclass(frozen=True)
class LockPlan:
    """The manifests to lock and those locked already, as (repository, digest, who pins it).

    `unlock` has the marks whose locks are to be removed, `stays` those whose locks no pin here wants any more, but
    perhaps one of another machine, and `forget` those that are no longer ours.
    """

    lock: tuple[tuple[str, str, str], ...]
    locked: tuple[tuple[str, str, str], ...]
    unlock: tuple[Mark, ...]
    stays: tuple[Mark, ...]
    forget: tuple[Mark, ...]

    @property
    def wanted(self) -> tuple[Key, ...]:
        """What the pins want to be locked."""
        return tuple(target[:2] for target in (*self.lock, *self.locked))


def pulled_by(reference: Reference) -> Key:
    """The repository and the name that a runtime pulls: the digest, or the tag when there is no digest."""
    return reference.repository, reference.digest or reference.tag or ''


def keys_of(pins: Pins) -> frozenset[Key]:
    """All tags and digests that are pinned. In `image:tag@digest` the tag is pinned too."""
    return frozenset(
        (pin.reference.repository, name)
        for pin in pins.pins
        for name in (pin.reference.tag, pin.reference.digest)
        if name
    )


def pins_document(registry: str, pins: Pins, standings: Mapping[Key, Standing]) -> dict[str, Any]:
    """Each pinned image, who pins it and whether it is there, as JSON-ready data in stable order.

    An image that is not there is left out when the reference may belong to another registry.
    """
    entries = list(_entries(pins, standings))
    counts = {
        status: sum(entry['status'] == status for entry in entries)
        for status in (FOUND, MISSING, REPOSITORY_MISSING, NOT_READ)
    }
    return {
        'registry': registry,
        'summary': {
            'images': len(entries),
            'found': counts[FOUND],
            'missing': counts[MISSING] + counts[REPOSITORY_MISSING],
            'notRead': counts[NOT_READ],
            'problems': len(pins.problems),
        },
        'pins': entries,
        'problems': [
            {'code': problem.code, 'source': problem.source, 'line': problem.line or None, 'message': problem.message}
            for problem in pins.problems
        ],
    }


def _entries(pins: Pins, standings: Mapping[Key, Standing]) -> Iterator[dict[str, Any]]:
    images: dict[tuple[str, str, str], list[Pin]] = {}
    for pin in pins.pins:
        reference = pin.reference
        images.setdefault((reference.repository, reference.tag or '', reference.digest or ''), []).append(pin)
    for (repository, tag, digest), users in sorted(images.items()):
        standing = standings[pulled_by(users[0].reference)]
        if standing.status in (FOUND, NOT_READ) or any(pin.reference.certain for pin in users):
            entry = {
                'repository': repository,
                'tag': tag or None,
                'digest': digest or standing.digest,
                'status': standing.status,
                'pinnedBy': sorted({pin.where for pin in users}),
            }
            yield {**entry, 'error': standing.error} if standing.error else entry


def plan_locks(
    pins: Pins,
    standings: Mapping[Key, Standing],
    marks: Mapping[Key, Mark],
    elsewhere: Container[Key] | None,
    held: Container[Key] = (),
) -> LockPlan:
    """What to lock and what to unlock. `standings` has every key of the pins and of the marks, with their locks.

    Other people's locks are left alone: those that were there before ours, and those that were changed since. Nothing
    is unlocked while some pins may not be known. `elsewhere` is what the pins of other machines want, None where that
    is not known: then nothing is unlocked either. `held` is what came back and is to stay locked.
    """
    wanted = _wanted(pins, standings)
    lock: list[tuple[str, str, str]] = []
    locked: list[tuple[str, str, str]] = []
    for (repository, digest), who in sorted(wanted.items()):
        known = standings[repository, digest]
        if known.status == FOUND:
            (lock if known.locks.delete_enabled else locked).append((repository, digest, who))
    complete = is_complete(pins, standings)
    unlock: list[Mark] = []
    stays: list[Mark] = []
    forget: list[Mark] = []
    for key, mark in sorted(marks.items()):
        standing = standings[key]
        if standing.status != FOUND or standing.locks.flags != Locks(False, mark.write_enabled).flags:
            if standing.status != NOT_READ:
                forget.append(mark)
        elif complete and key not in wanted:
            (stays if elsewhere is None or key in elsewhere or key in held else unlock).append(mark)
    return LockPlan(tuple(lock), tuple(locked), tuple(unlock), tuple(stays), tuple(forget))


def is_complete(pins: Pins, standings: Mapping[Key, Standing]) -> bool:
    """Whether all pins could be read, and all that they name."""
    return not pins.problems and all(standing.status != NOT_READ for standing in standings.values())


def _wanted(pins: Pins, standings: Mapping[Key, Standing]) -> dict[tuple[str, str], str]:
    """{(repository, digest): who pins it} of what is there."""
    wanted: dict[tuple[str, str], str] = {}
    for repository, name in sorted(keys_of(pins)):
        standing = standings[repository, name]
        if standing.status == FOUND and standing.digest:
            who = {**pins.by_tag(repository), **pins.by_digest(repository)}[name]
            wanted.setdefault((repository, standing.digest), who)
    return wanted
