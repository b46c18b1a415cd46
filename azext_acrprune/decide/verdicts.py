"""A verdict: whether a manifest or a tag stays, and why. The locks that keep it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..model import Locks, Manifest, Repository
from ..policy.rules import Rule


class Verdict(NamedTuple):
    """Whether something stays, and why.

    `reason` is one of decide/reasons.py, and `because` gives the digest, tag, lock or rule behind it. `rule` is the
    name of the rule of a policy that claims it, or empty.
    """

    kept: bool
    reason: str
    because: str
    rule: str = ''


def kept_by_rule(rule: Rule | None, reason: str, text: str) -> Verdict:
    """Something stays for a reason that the rule has to do with that claims it, if one does."""
    return Verdict(True, reason, rule.says(text) if rule else text, rule.name if rule else '')


def lock_on(repository: Repository, manifest: Manifest, include_locked: bool = False) -> str | None:
    """The lock that protects a manifest: its own, that of one of its tags, or that of the repository.

    With `include_locked` only the lock of the repository protects, because removing that one would unlock everything in
    it.
    """
    own = () if include_locked else locks_of(repository, manifest)
    return _first(own or _of_repository(repository))


def lock_on_tag(repository: Repository, manifest: Manifest, tag: str, include_locked: bool = False) -> str | None:
    """The lock that protects a tag: its own, that of its manifest, or that of the repository.

    The service would remove a tag from a locked manifest. We do not: who locked the image wants to pull it by its tag.
    """
    own = () if include_locked else locks_of(repository, manifest, tag)
    return _first(own or _of_repository(repository))


def name_of_locked(repository: str, digest: str, lock: str) -> tuple[str, str]:
    """How az names what a lock is on, which is told as `manifest ...`, `tag NAME ...` or `repository ...`."""
    what, _, rest = lock.partition(' ')
    if what == 'repository':
        return '--repository', repository
    return '--image', f'{repository}:{rest.split(" ")[0]}' if what == 'tag' else f'{repository}@{digest}'


def locks_of(repository: Repository, manifest: Manifest, tag: str | None = None) -> tuple[tuple[str, Locks], ...]:
    """(what, locks) of each lock on the manifest itself and on its tags, or on that one tag."""
    if not (manifest.tags or manifest.locks.locked):  # as with most that may go
        return ()
    return tuple(_own_locks(repository, manifest, manifest.tags if tag is None else (tag,)))


def _first(found: tuple[tuple[str, Locks], ...]) -> str | None:
    return f'{found[0][0]} {found[0][1].flags[0]}' if found else None


def _own_locks(repository: Repository, manifest: Manifest, tags: Iterable[str]) -> Iterator[tuple[str, Locks]]:
    if manifest.locks.locked:
        yield 'manifest', manifest.locks
    for tag in tags:
        known = repository.tags.get(tag)
        if known and known.locks.locked:
            yield f'tag {tag}', known.locks


def _of_repository(repository: Repository) -> tuple[tuple[str, Locks], ...]:
    return (('repository', repository.locks),) if repository.locks.locked else ()
