"""The nouns of a container registry, as frozen data. What crosses a module border is one of these.

Sizes are bytes. Instants are integers that count ticks of 100 ns since 1970, the precision of the service. Those of
which there are millions are named tuples: making a frozen dataclass takes five times as long.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

TICKS_PER_SECOND = 10_000_000

EXACT, UPPER_BOUND, LOWER_BOUND, APPROXIMATE = 'exact', 'upperBound', 'lowerBound', 'unknown'
"""What a number of bytes is. An APPROXIMATE one may be too large or too small."""
BOUNDS = {EXACT: '', UPPER_BOUND: 'at most ', LOWER_BOUND: 'at least ', APPROXIMATE: 'about '}
"""What is said before such a number."""

UNREAD_REPOSITORY = 'repositoryNotRead'
"""Code of the warning about a repository that could not be read."""
CATALOG_FORBIDDEN = 'catalogForbidden'
"""Code of the warning that the repositories could not be listed."""

Document = dict[str, Any]
"""JSON-ready data with names for its parts, as commands answer with it and files hold it."""

_TIME = re.compile(
    r'(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3])):([0-5]\d):([0-5]\d)(?:\.(\d{1,7})\d*)?(Z|[+-]\d\d:\d\d)\Z', re.ASCII
)


def registry_name(login_server: str) -> str:
    """The name of a registry: its login server may have a hash behind it (`contoso-d7fnbjd6.azurecr.io`)."""
    return re.split('[.:-]', login_server.lower(), maxsplit=1)[0]


def parse_ticks(text: Any) -> int | None:
    """The instant of a time string, in ticks. None when there is no readable time."""
    match = _TIME.match(text) if isinstance(text, str) else None
    if not match:
        return None
    hour, minutes, seconds, fraction, zone = match.groups()
    start = _start(hour, zone)
    if start is None:
        return None
    whole = start + 60 * int(minutes) + int(seconds)
    return whole * TICKS_PER_SECOND + (int(fraction.ljust(7, '0')) if fraction else 0)


_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""The first second of the year 1, and the last one of the year 9999, since 1970."""


@lru_cache(65_536)
def _start(hour: str, zone: str) -> int | None:
    """The begin of an hour, in seconds since 1970. It is cached: many manifests of a registry share an hour."""
    try:
        moment = datetime.fromisoformat(f'{hour}:00:00{"+00:00" if zone == "Z" else zone}')
    except ValueError:
        return None
    whole = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return whole.days * 86_400 + whole.seconds


def time_text(ticks: int) -> str:
    """The instant as text, cut to the second. What no calendar has is the first or the last second of one."""
    seconds = min(max(ticks // TICKS_PER_SECOND, _FIRST_SECOND), _LAST_SECOND)
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')


def counted_time(text: str | None, ticks: int | None) -> str | None:
    """The time that something counts with, as text: that of the registry, or an older one from before it came back."""
    return text if ticks is None or parse_ticks(text) == ticks else time_text(ticks)


@dataclass(frozen=True, slots=True)
class Locks:
    """`changeableAttributes`: a write lock blocks deletes too (405), the other two only hide."""

    delete_enabled: bool = True
    write_enabled: bool = True
    read_enabled: bool = True
    list_enabled: bool = True

    @property
    def locked(self) -> bool:
        return not (self.delete_enabled and self.write_enabled)

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that lock, as the service names them."""
        flags = (('deleteEnabled=false', self.delete_enabled), ('writeEnabled=false', self.write_enabled))
        return tuple(flag for flag, enabled in flags if not enabled)

    @property
    def switched_off(self) -> tuple[str, ...]:
        """All that is not enabled: the flags that lock, and those that hide."""
        if self.delete_enabled and self.write_enabled and self.read_enabled and self.list_enabled:
            return ()  # as nearly all are
        flags = (('readEnabled=false', self.read_enabled), ('listEnabled=false', self.list_enabled))
        return (*self.flags, *(flag for flag, enabled in flags if not enabled))

    def and_those(self, other: Locks) -> Locks:
        """What is switched off here or there."""
        return Locks.from_flags((*self.switched_off, *other.switched_off))

    def and_locks_of(self, other: Locks) -> Locks:
        """What is switched off here, and what locks there; not what only hides there."""
        return Locks.from_flags((*self.switched_off, *other.flags))

    @classmethod
    def from_flags(cls, flags: Container[str]) -> Locks:
        """The locks that have these flags, as a document or an archive has them written down."""
        if not flags:
            return UNLOCKED
        names = ('deleteEnabled', 'writeEnabled', 'readEnabled', 'listEnabled')
        return cls(*(f'{name}=false' not in flags for name in names))


UNLOCKED = Locks()


@dataclass(frozen=True, slots=True)
class OwedLock:
    """Locks of a manifest, or of a tag of it, that a run took off to delete that, and has to set again otherwise."""

    repository: str
    digest: str
    tag: str | None
    locks: Locks
    run: str = ''

    @property
    def name(self) -> str:
        return f'{self.repository}:{self.tag}' if self.tag else f'{self.repository}@{self.digest}'


class Blob(NamedTuple):
    """A config or layer that the registry stores once, whatever the repositories."""

    digest: str
    size: int


class Content(NamedTuple):
    """What a manifest says, verified against its digest.

    `blobs` holds each stored blob once. `config` is the digest of that one of them which is no layer. `attestations`
    are the children that BuildKit's annotation names as statements on other children. `inlined` are the children whose
    bytes are in this manifest: they need not be in the registry. `unmeasured` are the blobs of which only the registry
    knows whether it has them, or how large they are: layers with `urls`, which are mostly stored elsewhere, and the
    layers of Docker schema 1, of which no size is said (0 here).
    """

    size: int
    children: tuple[str, ...] = ()
    subject: str | None = None
    blobs: tuple[Blob, ...] = ()
    config: str | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    attestations: tuple[str, ...] = ()
    inlined: tuple[str, ...] = ()
    unmeasured: tuple[Blob, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A manifest that is there and could not be read: it may need anything (fail closed).

    One that is `missing` answers 404: perhaps it is there in another replica, but it is no image that anybody can pull.
    """

    reason: str
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Ghost:
    """A manifest that is listed, but every GET answers 404. Nobody can pull it, and it protects nothing."""


@dataclass(frozen=True, slots=True)
class NotRead:
    """A manifest that was left unread on purpose: its media type has neither children nor a subject."""


class Manifest(NamedTuple):
    """A manifest in a repository, as the listing shows it, and what reading it gave.

    `platform` is `os/architecture`, as in `linux/arm64`. `quarantine` is a `quarantineState` that is not `Passed`.
    """

    digest: str
    content: Content | Unreadable | Ghost | NotRead
    tags: tuple[str, ...] = ()
    media_type: str | None = None
    artifact_type: str | None = None
    created_time: str | None = None
    last_update_time: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    image_size: int = 0
    platform: str | None = None
    locks: Locks = UNLOCKED
    quarantine: str | None = None

    def having(self, content: Content | Unreadable | Ghost | NotRead) -> Manifest:
        """A copy with another content. It is faster than `_replace`, which counts with millions of manifests."""
        fields = tuple(self)
        return Manifest._make((self.digest, content) + fields[2:])


class Tag(NamedTuple):
    """A tag, as the tag listing shows it: it has times and locks of its own."""

    name: str
    digest: str
    last_update_time: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    locks: Locks = UNLOCKED


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository with all its manifests. `tags` is empty where the tag listing was not asked for.

    `unseen` says what is known of the repository and was not listed; such a thing may need any of its manifests.
    `hidden` are the digests of manifests that are there and were not listed. A `cached` repository is behind a cache
    rule: the registry brings what is not there when somebody pulls it.
    """

    name: str
    manifests: Mapping[str, Manifest]
    locks: Locks = UNLOCKED
    tags: Mapping[str, Tag] = field(default_factory=dict)
    unseen: str | None = None
    hidden: frozenset[str] = frozenset()
    cached: bool = False


def in_order(repositories: Iterable[Repository]) -> list[Repository]:
    """The repositories by name: every document has them in this order."""
    return sorted(repositories, key=attrgetter('name'))


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the reader of a plan must know. `code` is stable, `message` is for people."""

    code: str
    message: str
    repository: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """A registry as one scan saw it.

    `complete` is false when some manifest that may use a layer was not read: impact is then an upper bound. `whole` is
    false when a repository is known, or may exist, that was not listed: what is not here may then be there.
    `selected` names the repositories in which something may be deleted. `labels` are those of image configs, by
    digest of the config, where a policy asked for them; what could not be read is not there. `late` names the
    repositories that were not read in time, of which nothing is known. `pulled` has the last pull of manifests,
    {repository: {digest: ticks}}, as far as a log of them was asked and knows. `stored` are the bytes that Azure says
    are stored, None where it does not say: where these are more than was read, something was not seen. `proven` is
    false where nobody could be asked that, so that the catalog may hide something. `owed` are locks that a run of this
    machine left off; what they were on counts as locked.
    """

    registry: str
    repositories: tuple[Repository, ...]
    selected: frozenset
    complete: bool = True
    whole: bool = True
    warnings: tuple[Notice, ...] = ()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    late: frozenset = frozenset()
    pulled: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    stored: int | None = None
    proven: bool = True
    owed: tuple[OwedLock, ...] = ()


class CameBack(NamedTuple):
    """Something that was deleted and brought back `at` an instant: the instants that it had before, as far as known.

    `now` is the time that the registry gave it then, as text.
    """

    created: int | None
    updated: int | None
    now: str
    at: int


@dataclass(frozen=True, slots=True)
class Account:
    """What the resource manager says of a registry; what it does not say is None.

    `used_bytes` are the real ones in its home region, `included_bytes` those that its SKU includes, and `limit_bytes`
    the most that it may store. `regions` counts the places where the registry is, its own included. `why` is a sentence
    on why `used_bytes` is not known.
    """

    sku: str | None = None
    soft_delete_days: int | None = None
    used_bytes: int | None = None
    included_bytes: int | None = None
    limit_bytes: int | None = None
    regions: int | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """The retention policy of a registry: after so many `days` without a tag it deletes a manifest.

    `days` is None where nobody could tell whether such a policy is on.
    """

    days: int | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A planned manifest, or with `tag` a tag, that was left alone: it is no longer as the plan saw it."""

    repository: str
    digest: str
    reason: str
    because: str
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A planned manifest that could not be deleted, or with `tag` a tag that could not be removed."""

    repository: str
    digest: str
    error: str
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """A planned manifest, or with `tag` a tag, that is gone, and not because this run deleted it; or nobody knows."""

    repository: str
    digest: str
    reason: str
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan. `deleted` are the (repository, digest) that this run deleted, and what fell with them.

    `untagged` are the (repository, tag) that were removed from manifests that stay. `left` counts the manifests and
    tags that were not touched because somebody interrupted the run or it was `out_of_time`. `retired` and `unretired`
    are (repository, digest) too, `locked` and `unlocked` (repository, tag or digest). `listing_age` is the age in
    seconds of the oldest listing by which something was deleted, None where nothing was. `unverified` has a notice for
    each repository that could not be listed after the run, of which only the answers to the deletions are known. These
    are `in_doubt`, and so are those that were not listed because the run was given up. With `more_may_be_gone` the
    registry may have deleted more in these, together with its subject.
    """

    deleted: tuple[tuple[str, str], ...]
    untagged: tuple[tuple[str, str], ...]
    skipped: tuple[Skipped, ...]
    failed: tuple[Failed, ...]
    interrupted: bool = False
    out_of_time: bool = False
    left: int = 0
    retired: tuple[tuple[str, str], ...] = ()
    unretired: tuple[tuple[str, str], ...] = ()
    locked: tuple[tuple[str, str], ...] = ()
    unlocked: tuple[tuple[str, str], ...] = ()
    gone: tuple[Gone, ...] = ()
    listing_age: float | None = None
    unverified: tuple[Notice, ...] = ()
    in_doubt: frozenset[str] = frozenset()
    more_may_be_gone: bool = False
