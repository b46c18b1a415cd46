"""Locks that a run took off to delete something, and neither deleted it nor set them again: they are owed.

A run that was killed leaves such locks, and one that was stopped three times. Its journal says which they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..model import Inventory, Locks, Notice, OwedLock, Repository
from .health import HINT, LEFT_UNLOCKED, Finding

_GONE_OR_DONE = ('done', 'not_found')


class OwedLocks:
    """What a run owes, as the lines of its journal come in."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._owed: dict[tuple[str, str], OwedLock] = {}

    def take(self, line: Mapping[str, Any]) -> None:
        """Take one more line. A request without an outcome may have been done."""
        if line['event'] == 'request' and isinstance(line.get('owed'), dict):
            self._add(line)
        elif line['event'] == 'settled' or self._makes_good(line):
            self._owed.pop(_key(line), None)
        elif line.get('request') in ('deleteManifest', 'deleteTag') and line.get('outcome') in _GONE_OR_DONE:
            self._drop(line)

    def all(self) -> tuple[OwedLock, ...]:
        return tuple(owed for _, owed in sorted(self._owed.items()))

    def _add(self, line: Mapping[str, Any]) -> None:
        repository, tag, owed = line.get('repository'), line.get('tag'), line['owed']
        digest, flags = owed.get('digest'), owed.get('locks')
        if isinstance(repository, str) and isinstance(digest, str) and isinstance(flags, list):
            name = tag if isinstance(tag, str) else None
            lock = OwedLock(repository, digest, name, Locks.from_flags(flags), self._run)
            self._owed.setdefault(_key(line), lock)

    @staticmethod
    def _makes_good(line: Mapping[str, Any]) -> bool:
        """Whether it says that locks were set, or that what had them is gone."""
        if line['event'] != 'outcome' or line.get('request') != 'setLocks':
            return False
        return line.get('outcome') == 'not_found' or bool(line.get('locks')) and line.get('outcome') == 'done'

    def _drop(self, line: Mapping[str, Any]) -> None:
        """A tag is gone, or a manifest with all its tags."""
        self._owed.pop(_key(line), None)
        if line.get('request') == 'deleteManifest':
            where = line.get('repository'), line.get('digest')
            for key in [key for key, owed in self._owed.items() if (owed.repository, owed.digest) == where]:
                del self._owed[key]


def owed_in(run: str, lines: Iterable[Mapping[str, Any]]) -> tuple[OwedLock, ...]:
    """What a run owes, by the lines of its journal."""
    owed = OwedLocks(run)
    for line in lines:
        owed.take(line)
    return owed.all()


def counted_as_locked(inventory: Inventory, owed: Iterable[OwedLock]) -> Inventory:
    """The inventory with what is owed counted as locked, as far as it is there, and with a warning of each."""
    by_repository: dict[str, list[OwedLock]] = {}
    for each in owed:
        by_repository.setdefault(each.repository, []).append(each)
    repositories, there = [], []
    for repository in inventory.repositories:
        mine = [each for each in by_repository.get(repository.name, ()) if _is_there(repository, each)]
        there += mine
        repositories.append(_with_locks(repository, mine) if mine else repository)
    warnings = (Notice(LEFT_UNLOCKED, told(each), each.repository, each.digest) for each in there)
    return replace(
        inventory, repositories=tuple(repositories), owed=tuple(there), warnings=(*inventory.warnings, *warnings)
    )


def told(owed: OwedLock) -> str:
    """A sentence on what is owed."""
    return (
        f'The run {owed.run} took a lock ({", ".join(owed.locks.flags)}) off {owed.name} to delete it, and ended '
        'before it did, or set the lock again. It counts as locked. The next command that deletes locks it first.'
    )


def owed_findings(inventory: Inventory) -> Iterator[Finding]:
    """What is owed, as findings."""
    for each in inventory.owed:
        data = {'locks': list(each.locks.flags), 'run': each.run}
        yield Finding(LEFT_UNLOCKED, HINT, each.repository, each.digest, told(each), each.tag, data)


def _is_there(repository: Repository, owed: OwedLock) -> bool:
    """A tag that is on another manifest now is not what was locked."""
    if owed.digest not in repository.manifests:
        return False
    tag = repository.tags.get(owed.tag) if owed.tag else None
    return tag is None or tag.digest == owed.digest


def _with_locks(repository: Repository, owed: Iterable[OwedLock]) -> Repository:
    manifests, tags = dict(repository.manifests), dict(repository.tags)
    for each in owed:
        manifest, tag = manifests[each.digest], tags.get(each.tag or '')
        if each.tag is None:
            manifests[each.digest] = manifest._replace(locks=manifest.locks.and_those(each.locks))
        elif tag:
            tags[tag.name] = tag._replace(locks=tag.locks.and_those(each.locks))
    return replace(repository, manifests=manifests, tags=tags)


def _key(line: Mapping[str, Any]) -> tuple[str, str]:
    return str(line.get('repository')), str(line.get('tag') or line.get('digest'))
