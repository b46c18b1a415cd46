"""When images were last pulled, as the registry's event log tells. What the log cannot tell is taken for pulled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import TICKS_PER_SECOND, Content, Inventory, Repository, parse_ticks, time_text
from ..prune_error import Kind, PruneError
from .pinned import Pin
from .references import Reference

SOURCE = 'Log Analytics'
_SECONDS_PER_DAY = 86_400

LONGEST_SILENCE = 7 * _SECONDS_PER_DAY
"""Seconds without any event after which the registry is taken for not having been logged: nobody can tell a registry
that nobody used from one whose diagnostic setting was taken away for a while."""

OUR_USER_AGENT = 'acrprune'
"""Our own reads of manifests are events too, and no sign of use: this part of the user agent tells them."""

LONGEST_PERIOD = 4_383 * _SECONDS_PER_DAY
"""Seconds: no workspace keeps its logs for more than twelve years."""

_SLACK = 300 * TICKS_PER_SECOND
"""Clocks of the service differ: of a push and a pull so close together nobody knows which came first."""


SEND_THE_LOGS = (
    "Send the logs of the registry there: 'az monitor diagnostic-settings create --name acrprune --resource "
    'RESOURCE_ID_OF_THE_REGISTRY --workspace WORKSPACE --logs '
    '"[{category:ContainerRegistryRepositoryEvents,enabled:true}]"\'.'
)


class BadLog(PruneError):
    """The log answered with something that has not the form of its events."""

    kind = Kind.UNAVAILABLE
    sentence = 'Nothing was deleted, because the log of pulls cannot be read: {message}.'
    advice = 'Leave out --pulled-within or --workspace, or try again later.'


class LogTooShort(PruneError):
    """The log does not cover the whole time that it is asked about.

    `since` is the instant from which on it has no hole, in ticks, None when it says nothing of late.
    """

    def __init__(self, since: int | None, seconds: int) -> None:
        days = LONGEST_SILENCE // _SECONDS_PER_DAY
        super().__init__(
            f'Nothing was deleted, because the workspace has no event of this registry in the last {days} days.',
            SEND_THE_LOGS,
        )
        self.since = since
        self.works_from = None
        if since is not None:
            self.works_from = _day_after(since + seconds * TICKS_PER_SECOND)
            self.message = (
                f'Nothing was deleted, because the logs have no hole of {days} days only since {day_of(since)}: they '
                'cannot tell what was pulled before.'
            )
            self.advice = f'This --pulled-within works from {self.works_from} on. Until then, give a shorter one.'


@dataclass(frozen=True)
class Pulled:
    """Pulls of one name in a repository, from the `first` to the `last` one, in ticks.

    The log tells the digest, or the tag that was asked for, or both.
    """

    repository: str
    digest: str | None
    tag: str | None
    first: int
    last: int


@dataclass(frozen=True)
class Pushed:
    """A push that made a tag point to a digest."""

    repository: str
    tag: str
    digest: str
    at: int


@dataclass(frozen=True)
class Puller:
    """Somebody who pulled a digest or a tag, or tried to, the last time `at` an instant; `who` is for people."""

    repository: str
    digest: str | None
    tag: str | None
    who: str
    at: int


@dataclass(frozen=True)
class UnresolvedPull:
    """Pulls of a tag that pointed to what the log does not know; `moved` when it was pushed to since."""

    tag: str | None
    first: int
    last: int
    moved: bool


@dataclass(frozen=True)
class Wish:
    """What was pulled `seconds` ago or later stays; `text` and `workspace` as the user said them."""

    text: str
    seconds: int
    workspace: str | None = None


WhoPulled = Mapping[str, Mapping[str, str]]
"""{repository: {digest: who}}."""


@dataclass(frozen=True)
class Pulls:
    """The last pull of each digest and of each tag, by repository, in ticks; `since` is where the log begins."""

    since: int = 0
    digests: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tags: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unresolved: Mapping[str, Sequence[UnresolvedPull]] = field(default_factory=dict)


def check_period(seconds: int) -> int:
    """The seconds, checked against how far a log may reach back. Raises ValueError when they are too many."""
    if not 0 < seconds <= LONGEST_PERIOD:
        raise ValueError('a log tells of the last twelve years at most, and of more than nothing')
    return seconds


def pulled_of(row: Sequence[Any]) -> Pulled:
    """A row of repository, digest, tag, first and last time. Raises BadLog."""
    repository, digest, tag, first, last = row
    return Pulled(name_of(repository), name_of(digest) if digest else None, text_of(tag), instant(first), instant(last))


def pushed_of(row: Sequence[Any]) -> Pushed:
    """A row of repository, tag, digest and time. Raises BadLog."""
    repository, tag, digest, at = row
    return Pushed(name_of(repository), str(tag), name_of(digest), instant(at))


def puller_of(row: Sequence[Any]) -> Puller:
    """A row of repository, digest, tag, identity, user agent, address and time. Raises BadLog."""
    repository, digest, tag, identity, agent, address, at = row
    by = ', '.join(str(part) for part in (agent, address) if part)
    who = f'{identity or "somebody"} ({by})' if by else str(identity or 'somebody')
    return Puller(name_of(repository), name_of(digest) if digest else None, text_of(tag), who, instant(at))


def instant(value: Any) -> int:
    """A time of the log, in ticks. Raises BadLog."""
    ticks = parse_ticks(value)
    if ticks is None:
        raise BadLog(f"'{value}' is no time")
    return ticks


def covered_since(spans: Iterable[tuple[int, int]], now: int) -> int | None:
    """The instant from which the log has no hole up to `now`; None when it has said nothing of late.

    `spans` are the first and last event of each day that has any. All instants are in ticks.
    """
    since, begun = now, False
    for first, last in sorted(spans, key=lambda span: -span[1]):
        if since - last > LONGEST_SILENCE * TICKS_PER_SECOND:
            break
        since, begun = min(since, first), True
    return since if begun else None


def check_coverage(since: int | None, seconds: int, now: int) -> int:
    """The instant, checked: the log must cover the last `seconds`. Raises LogTooShort when it does not."""
    if since is None or since > now - seconds * TICKS_PER_SECOND:
        raise LogTooShort(since, seconds)
    return since


def last_pulls(since: int, pulled: Iterable[Pulled], pushed: Iterable[Pushed]) -> Pulls:
    """The last pulls; pulls by a tag alone count for what the pushes before them made of the tag."""
    history: dict[tuple[str, str], list[Pushed]] = {}
    for push in sorted(pushed, key=lambda each: each.at):
        history.setdefault((push.repository, push.tag), []).append(push)
    digests: dict[str, dict[str, int]] = {}
    tags: dict[str, dict[str, int]] = {}
    unresolved: dict[str, list[UnresolvedPull]] = {}
    for pull in pulled:
        if pull.tag:
            _latest(tags.setdefault(pull.repository, {}), pull.tag, pull.last)
        pushes = history.get((pull.repository, pull.tag or ''), ())
        for digest in [pull.digest] if pull.digest else _digests_at(pull, pushes):
            _latest(digests.setdefault(pull.repository, {}), digest, pull.last)
        if not pull.digest and not _before(pull, pushes):
            moved = any(push.at > pull.first - _SLACK for push in pushes)
            unresolved.setdefault(pull.repository, []).append(UnresolvedPull(pull.tag, pull.first, pull.last, moved))
    return Pulls(since, digests, tags, unresolved)


def pins_of(pulls: Pulls, inventory: Inventory, after: int) -> tuple[Pin, ...]:
    """A pin for everything that was pulled at or after an instant, in ticks, or may have been."""
    return tuple(pin for repository in inventory.repositories for pin in _pins_in(pulls, repository, after))


def last_uses(pulls: Pulls, inventory: Inventory) -> Mapping[str, Mapping[str, int]]:
    """{repository: {digest: the last instant at which it, a part or a tag of it was pulled, or may have been}}."""
    found: dict[str, dict[str, int]] = {}
    for repository in inventory.repositories:
        digests = dict(pulls.digests.get(repository.name, {}))
        tags = pulls.tags.get(repository.name, {})
        perhaps = [pull for pull in pulls.unresolved.get(repository.name, ()) if not _is_still(pull, repository)]
        if not (digests or tags or perhaps):
            continue
        uses: dict[str, int] = {}
        for digest, manifest in repository.manifests.items():
            for part in _parts(repository, digest):
                if part in digests:
                    _latest(uses, digest, digests[part])
            for tag in manifest.tags:
                if tag in tags:
                    _latest(uses, digest, tags[tag])
            for pull in perhaps:
                if manifest.created_at is None or manifest.created_at <= pull.last:
                    _latest(uses, digest, pull.last)
        found[repository.name] = uses
    return found


def _pins_in(pulls: Pulls, repository: Repository, after: int) -> Iterator[Pin]:
    name = repository.name
    digests = {digest: at for digest, at in pulls.digests.get(name, {}).items() if at >= after}
    tags = {tag: at for tag, at in pulls.tags.get(name, {}).items() if at >= after}
    for digest, at in digests.items():
        yield Pin(Reference(name, digest=digest), _said(at))
    for tag, at in {**_tags_of_images(repository, digests), **tags}.items():
        yield Pin(Reference(name, tag=tag), _said(at))
    for pull in pulls.unresolved.get(name, ()):
        if pull.last >= after and not _is_still(pull, repository):
            yield from _anything_pulled(pull, repository)


def _tags_of_images(repository: Repository, digests: Mapping[str, int]) -> Mapping[str, int]:
    """Tags of images of which anything was pulled: a client that has the index asks for its platform image alone."""
    tags: dict[str, int] = {}
    if digests:
        for manifest in repository.manifests.values():
            pulls = [digests[part] for part in _parts(repository, manifest.digest) if part in digests]
            for tag in manifest.tags if pulls else ():
                _latest(tags, tag, max(pulls))
    return tags


def who_pulled(pullers: Iterable[Puller], inventory: Inventory, since: Mapping[tuple[str, str], int]) -> WhoPulled:
    """Who pulled each of these last, after an instant, as far as the log names them.

    `since` has that instant, {(repository, digest): ticks}. A pull of a part or of a tag counts for the image.
    """
    latest_first = sorted(pullers, key=lambda each: -each.at)
    found: dict[str, dict[str, str]] = {}
    for repository in inventory.repositories:
        for digest, manifest in repository.manifests.items():
            begin = since.get((repository.name, digest))
            if begin is not None:
                parts = _parts(repository, digest)
                who = (
                    each.who
                    for each in latest_first
                    if each.at > begin and each.repository == repository.name.lower()
                    if each.digest in parts or each.tag in manifest.tags
                )
                found.setdefault(repository.name, {})[digest] = next(who, 'somebody')
    return found


def _parts(repository: Repository, digest: str) -> set[str]:
    """An image and everything below it."""
    found, waiting = {digest}, [digest]
    while waiting:
        manifest = repository.manifests.get(waiting.pop())
        content = manifest.content if manifest else None
        for child in content.children if isinstance(content, Content) else ():
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def _is_still(pull: UnresolvedPull, repository: Repository) -> bool:
    """Whether the tag points now to what it pointed to then, so that the pin on the tag pins it."""
    if pull.moved or not pull.tag:
        return False
    listed = repository.tags.get(pull.tag)
    if listed:  # a tag can move without a push, as by an import
        return listed.updated_at is not None and listed.updated_at <= pull.first
    return any(pull.tag in manifest.tags for manifest in repository.manifests.values())


def _anything_pulled(pull: UnresolvedPull, repository: Repository) -> Iterator[Pin]:
    """A pin for each manifest that was there at the time of a pull, because any of them may be what was pulled."""
    what = f"as '{pull.tag}' " if pull.tag else ''
    for digest, manifest in repository.manifests.items():
        if manifest.created_at is None or manifest.created_at <= pull.last:
            yield Pin(Reference(repository.name, digest=digest), f'perhaps {what}{_said(pull.last)}')


def _before(pull: Pulled, pushes: Sequence[Pushed]) -> Sequence[Pushed]:
    return [push for push in pushes if push.at <= pull.first - _SLACK][-1:]


def _digests_at(pull: Pulled, pushes: Sequence[Pushed]) -> Sequence[str]:
    """Everything that a tag pointed to from the first pull to the last one."""
    during = [push for push in pushes if pull.first - _SLACK < push.at <= pull.last + _SLACK]
    return [push.digest for push in (*_before(pull, pushes), *during)]


def _latest(instants: dict[str, int], key: str, at: int) -> None:
    instants[key] = max(at, instants.get(key, at))


def _said(at: int) -> str:
    return f'pulled {day_of(at)} ({SOURCE})'


def day_of(at: int) -> str:
    return time_text(at)[:10]


def _day_after(at: int) -> str:
    """The first day on which a whole period is over, however early in the day it is."""
    return day_of(at + _SECONDS_PER_DAY * TICKS_PER_SECOND)


def name_of(value: Any) -> str:
    """A repository or digest of the log, in small letters. Raises BadLog where there is none."""
    if not isinstance(value, str) or not value:
        raise BadLog(f"'{value}' names nothing")
    return value.lower()


def text_of(value: Any) -> str | None:
    """A tag or digest of the log, None for the empty text that it has where there is none. Raises BadLog."""
    if value is not None and not isinstance(value, str):
        raise BadLog(f"'{value}' is no text")
    return value or None
