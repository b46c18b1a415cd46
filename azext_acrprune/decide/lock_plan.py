"""What became of that which is pinned: is it still in the registry, and is it locked?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    """What the registry says of a tag or of a digest. `locks` are those of the manifest, where it was asked for."""

    status: str
    digest: str | None = None
    locks: Locks = UNLOCKED
    error: str | None = None


@dataclass(frozen=True)
class Mark:
    """A lock that we set: what it was set on, and whether that was open to writes then."""

    repository: str
    digest: str
    write_enabled: bool


@dataclass(frozen=True)
class LockPlan:
    """What is to be locked, each with who pins it, and which of our marks are to be unlocked or only forgotten."""

    lock: tuple[tuple[str, str, str], ...]
    locked: tuple[tuple[str, str, str], ...]
    unlock: tuple[Mark, ...]
    forget: tuple[Mark, ...]


def pulled_by(reference: Reference) -> Key:
    """What a runtime asks for: the digest where there is one."""
    return reference.repository, reference.digest or reference.tag or ''


def keys_of(pins: Pins) -> frozenset[Key]:
    """All tags and digests that are pinned: beside a digest, a tag still pins what it points to."""
    return frozenset(
        (pin.reference.repository, name)
        for pin in pins.pins
        for name in (pin.reference.tag, pin.reference.digest)
        if name
    )


def pins_document(registry: str, pins: Pins, standings: Mapping[Key, Standing]) -> dict[str, Any]:
    """Each image that is pinned, by whom, and whether it is there, as JSON-ready data in stable order.

    What is not there is left out where the reference may not mean an image of this registry.
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


def plan_locks(pins: Pins, standings: Mapping[Key, Standing], marks: Mapping[tuple[str, str], Mark]) -> LockPlan:
    """What to lock and to unlock. `standings` know every key of the pins and every mark, with their locks.

    What somebody else locked is never ours: neither what was locked when we came, nor what got more locks since.
    Nothing is unlocked while some pin may not be known.
    """
    wanted = _wanted(pins, standings)
    lock, locked = [], []
    for (repository, digest), who in sorted(wanted.items()):
        known = standings[repository, digest]
        if known.status == FOUND:
            (lock if known.locks.delete_enabled else locked).append((repository, digest, who))
    complete = not pins.problems and all(standing.status != NOT_READ for standing in standings.values())
    unlock, forget = [], []
    for key, mark in sorted(marks.items()):
        standing = standings[key]
        if standing.status != FOUND or standing.locks != Locks(False, mark.write_enabled):
            if standing.status != NOT_READ:
                forget.append(mark)
        elif complete and key not in wanted:
            unlock.append(mark)
    return LockPlan(tuple(lock), tuple(locked), tuple(unlock), tuple(forget))


def _wanted(pins: Pins, standings: Mapping[Key, Standing]) -> dict[tuple[str, str], str]:
    """{(repository, digest): who pins it} of what is there."""
    wanted: dict[tuple[str, str], str] = {}
    for repository, name in sorted(keys_of(pins)):
        standing = standings[repository, name]
        if standing.status == FOUND and standing.digest:
            who = {**pins.by_tag(repository), **pins.by_digest(repository)}[name]
            wanted.setdefault((repository, standing.digest), who)
    return wanted
