"""JSON of the metadata API -> model. Empty lists are `null`, keys may be absent, times have up to 7 digits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from re import Pattern
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from requests.utils import parse_header_links

from ...model import UNLOCKED, Locks, Manifest, NotRead, Tag, parse_ticks
from ...spelling import printable, visible
from .refusals import Kind, RegistryError

PAGE_SIZE = 1000
_FRUITLESS_PAGES = 10
"""How many pages in a row may be empty: what was on a page may have been deleted meanwhile."""
_MOST_PAGES = 100_000

# The grammar of the distribution specification. What does not follow it was not written by a registry, and would
# reach a terminal and a URL.
_NAME = re.compile(r'[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z')
_TAG = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z')
_DIGEST = re.compile(r'(?:sha256|[a-z0-9]+(?:[+._-][a-z0-9]+)*):[0-9a-zA-Z=_-]+\Z')  # sha256 first, as most are
_HOST = re.compile(r'[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?\Z')
_MEDIA_TYPE = re.compile(r'[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\Z')  # RFC 6838
_NOT_READ = NotRead()


# Keys of entries. Go reads them in any case: an entry that another client reads in another way has no shape.
_ENTRY_KEYS = frozenset(
    (
        *('digest', 'name', 'tags', 'imageSize', 'createdTime', 'lastUpdateTime', 'mediaType', 'configMediaType'),
        *('artifactType', 'architecture', 'os', 'changeableAttributes', 'references', 'signed', 'quarantineState'),
    )
)
_FLAG_KEYS = frozenset(
    ('deleteEnabled', 'writeEnabled', 'readEnabled', 'listEnabled', 'quarantineState', 'quarantineDetails')
)
_FOLDED_KEYS = frozenset(key.casefold() for key in _ENTRY_KEYS | _FLAG_KEYS)
_EARLIEST = parse_ticks('2015-01-01T00:00:00Z') or 0
"""There was no such registry before: what is dated earlier has no time."""
_PASSED = 'Passed'


def parse_locks(attributes: Any) -> Locks:
    """`changeableAttributes`; what is not said is not locked, and what is said in another way than `true` is.

    Raises ValueError when they are no object, or have keys in another case.
    """
    flags = _flags(attributes)
    enabled = tuple(_enabled(flags.get(f'{name}Enabled')) for name in ('delete', 'write', 'read', 'list'))
    return UNLOCKED if all(enabled) else Locks(*enabled)


@dataclass(frozen=True)
class RepositoryFacts:
    """What a repository says of itself: its locks, and how many manifests and tags it has, None where it is silent."""

    locks: Locks = UNLOCKED
    manifests: int | None = None
    tags: int | None = None


def parse_repository(document: Mapping[str, Any]) -> RepositoryFacts:
    """The properties of a repository.

    Raises RegistryError for odd ones, KeyError or TypeError when they have not the shape of some.
    """
    attributes, manifests, tags = document['changeableAttributes'], *map(document.get, ('manifestCount', 'tagCount'))
    with _well_formed():
        return RepositoryFacts(parse_locks(attributes), _count(manifests), _count(tags))


def listed_manifests(pages: Iterable[Iterable[Manifest]]) -> dict[str, Manifest]:
    """The manifests of a whole listing by digest; of one that is listed twice, all that either entry says holds."""
    found: dict[str, Manifest] = {}
    for page in pages:
        for manifest in page:
            known = found.get(manifest.digest)
            found[manifest.digest] = _both(known, manifest) if known else manifest
    return found


def listed_tags(pages: Iterable[Iterable[Tag]]) -> dict[str, Tag]:
    """The tags of a whole listing by name. Of one that is listed twice the newer place counts, and every lock."""
    found: dict[str, Tag] = {}
    for page in pages:
        for tag in page:
            known = found.get(tag.name)
            if known:
                newer = max(known, tag, key=lambda each: (each.updated_at is None, each.updated_at or 0))
                tag = newer._replace(locks=known.locks.and_those(tag.locks))
            found[tag.name] = tag
    return found


class OddName(NamedTuple):
    """An entry of the catalog that is no name of a repository, as people may see it. It cannot be asked for."""

    shown: str


def parse_repositories(page: Mapping[str, Any]) -> list[str | OddName]:
    """The names of a catalog page, and what is there in place of a name.

    Raises KeyError, TypeError or ValueError when the page has not the shape of one.
    """
    return [
        name if is_repository(name) else OddName(visible(name if isinstance(name, str) else json.dumps(name)))
        for name in _entries(page, 'repositories')
    ]


def parse_manifests(page: Mapping[str, Any]) -> list[Manifest]:
    """The entries of a manifest listing, their content not read yet.

    Raises RegistryError for an odd entry, KeyError, TypeError or ValueError when the page has not the shape of one.
    """
    entries = _entries(page, 'manifests')
    with _well_formed():
        return [_manifest(entry) for entry in entries]


def parse_tags(page: Mapping[str, Any]) -> list[Tag]:
    """The entries of a tag listing.

    Raises as `parse_manifests` does: no list is not an empty list.
    """
    entries = _entries(page, 'tags')
    with _well_formed():
        return [_tag(entry) for entry in entries]


def parse_deleted(page: Mapping[str, Any]) -> dict[str, str]:
    """The soft-deleted manifests of a page: when they were deleted, by digest.

    Raises as `parse_manifests` does.
    """
    entries = _entries(page, 'manifests')
    with _well_formed():
        return {_spelled(_DIGEST, entry['digest']): _text(entry.get('deletedAt')) or '' for entry in entries}


def parse_deleted_tags(page: Mapping[str, Any]) -> list[Tag]:
    """The soft-deleted tags of a page, each with its digest alone. Raises as `parse_manifests` does."""
    entries = _entries(page, 'tags')
    with _well_formed():
        return [Tag(_spelled(_TAG, entry['tag']), _spelled(_DIGEST, entry['digest'])) for entry in entries]


def parse_manifest(document: Mapping[str, Any]) -> Manifest:
    """One manifest, as a listing has it. Raises as `parse_manifests` does."""
    entry = document['manifest']
    with _well_formed():
        return _manifest(entry)


def parse_tag(document: Mapping[str, Any]) -> Tag:
    """One tag, as a listing has it. Raises as `parse_manifests` does."""
    entry = document['tag']
    with _well_formed():
        return _tag(entry)


def next_page(link: str | None, page_url: str) -> str | None:
    """The URL of the next page, None after the last one.

    Raises ValueError when the link leads to another host, where our token must not follow it, and when the header
    cannot be read: a list is never cut in silence.
    """
    found = _next_target(link) if link else None
    if found is None:
        return None
    target = found.replace('{', '%7B').replace('}', '%7D')  # azure-core would fill them in
    url = urljoin(page_url, unquote(target) if target.startswith('%2F') else target)
    if urlsplit(url)[:2] != urlsplit(page_url)[:2]:
        raise ValueError(f"the next page is on another host: '{urlsplit(url).netloc}'")
    return url


def _next_target(link: str) -> str | None:
    """The target of the link whose relation is `next`, in any spelling of RFC 8288. Raises ValueError."""
    links = [{key.strip().lower(): value for key, value in each.items()} for each in parse_header_links(link)]
    if not links or not all(each.get('url') and each.get('rel') for each in links):
        raise ValueError('the header Link cannot be read')
    return next((each['url'].strip() for each in links if 'next' in each['rel'].lower().split()), None)


def seconds_ahead(date: str | None, now: float, known: float = 0.0) -> float:
    """By how many seconds a clock that says `now` is ahead of the one that wrote a `Date` header.

    0 within a minute, which the network may take. Where there is no readable date, what was `known` before holds.
    """
    try:
        ahead = now - parsedate_to_datetime(date or '').timestamp()
    except (ValueError, OverflowError):
        return known
    return ahead if ahead > 60 else 0.0


def _entries(page: Mapping[str, Any], key: str) -> list[Any]:
    """What a page lists: an empty list is `null`, and anything else that is no list is an answer of something else."""
    entries = page[key]
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise ValueError(f'{key} is not a list')
    return entries


@contextmanager
def _well_formed() -> Iterator[None]:
    """Within it what an entry lacks, or has in a wrong place, is raised as RegistryError."""
    try:
        yield
    except KeyError as error:
        raise malformed(f'an entry has no {error}') from error
    except (ValueError, TypeError, AttributeError) as error:
        raise malformed(str(error)) from error


def malformed(what: str) -> RegistryError:
    """The error of an answer in which this is not as a registry writes it."""
    return RegistryError(Kind.MALFORMED, f'something in its lists is not as a registry writes it ({printable(what)})')


def _checked(entry: Any, keys: frozenset[str]) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError('an entry is not an object')
    for key in entry.keys() - keys:
        if key.casefold() in _FOLDED_KEYS:
            raise ValueError(f'{key!r} is not spelled as the service spells it')
    return entry


def _flags(attributes: Any) -> Mapping[str, Any]:
    return {} if attributes is None else _checked(attributes, _FLAG_KEYS)


def _enabled(flag: Any) -> bool:
    return flag is None or flag is True


def _quarantine(state: Any) -> str | None:
    """A state of quarantine that holds an image back; what cannot be read is one."""
    if state is None or state == _PASSED:
        return None
    return _text(state) or 'no readable state'


def _text(value: Any) -> str | None:
    """The value as it came, if it is text: who shows it makes it safe."""
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError('a count is no number')
    return value


def _both(one: Manifest, other: Manifest) -> Manifest:
    """Join two entries of one manifest that was listed twice."""
    newer = max(one, other, key=lambda each: (each.updated_at is None, each.updated_at or 0))
    return newer._replace(
        tags=tuple(sorted({*one.tags, *other.tags})),
        media_type=one.media_type if one.media_type == other.media_type else None,
        locks=one.locks.and_those(other.locks),
        quarantine=one.quarantine or other.quarantine,
    )


def _manifest(entry: dict[str, Any]) -> Manifest:
    """A manifest of an entry. Its fields are given by position, which is faster: there are millions of entries."""
    get = _checked(entry, _ENTRY_KEYS).get
    tags, created_time, last_update_time = get('tags'), get('createdTime'), get('lastUpdateTime')
    created = _instant(created_time)
    updated = created if last_update_time == created_time else _instant(last_update_time)  # as most are
    kind = get('mediaType'), get('artifactType'), get('os'), get('architecture')
    flags = get('changeableAttributes')
    try:
        media_type, artifact_type, platform = _known_kind(*kind)
    except TypeError:  # a list or an object, which a hostile answer may have in place of a text, is no key
        media_type, artifact_type, platform = _kind(*kind)
    return Manifest._make(
        (
            _spelled(_DIGEST, entry['digest']),
            _NOT_READ,
            tuple(sorted([_spelled(_TAG, tag) for tag in _entries(entry, 'tags')])) if tags else (),
            media_type,
            artifact_type,
            created[0],
            updated[0],
            created[1],
            updated[1],
            _size(get('imageSize')),
            platform,
            parse_locks(flags),
            _quarantine(flags.get('quarantineState')) if flags else None,
        )
    )


def _instant(value: Any) -> tuple[str | None, int | None]:
    """A time as it is written, and in ticks."""
    ticks = parse_ticks(value)
    return _text(value), ticks if ticks is not None and ticks >= _EARLIEST else None


def _kind(media_type: Any, artifact_type: Any, system: Any, architecture: Any) -> tuple[str | None, ...]:
    """Media type, artifact type and platform."""
    system, architecture = _text(system), _text(architecture)
    platform = f'{system}/{architecture}' if system and architecture else None
    return _text(media_type), _text(artifact_type), platform


_known_kind = lru_cache(1024)(_kind)
"""One object for each kind of manifest: there are few kinds, and millions of manifests."""


def _size(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _tag(entry: dict[str, Any]) -> Tag:
    _checked(entry, _ENTRY_KEYS)
    last_update_time, updated_at = _instant(entry.get('lastUpdateTime'))
    return Tag(
        name=_spelled(_TAG, entry['name']),
        digest=_spelled(_DIGEST, entry['digest']),
        last_update_time=last_update_time,
        created_at=_instant(entry.get('createdTime'))[1],
        updated_at=updated_at,
        locks=parse_locks(entry.get('changeableAttributes')),
    )


def is_repository(text: Any) -> bool:
    """Whether this is spelled as the name of a repository."""
    return isinstance(text, str) and bool(_NAME.match(text))


def is_digest(text: Any) -> bool:
    """Whether this is spelled as a digest."""
    return isinstance(text, str) and bool(_DIGEST.match(text))


def is_tag(text: Any) -> bool:
    """Whether this is spelled as a tag."""
    return isinstance(text, str) and bool(_TAG.match(text))


def is_host(text: Any) -> bool:
    """Whether this is spelled as the name of a host, perhaps with a port."""
    return isinstance(text, str) and bool(_HOST.match(text))


def is_media_type(text: Any) -> bool:
    """Whether this is spelled as a media type: it will be the value of a header."""
    return isinstance(text, str) and bool(_MEDIA_TYPE.match(text))


def _spelled(pattern: Pattern[str], text: Any) -> str:
    if not isinstance(text, str) or not pattern.match(text):
        raise ValueError(f'{text!r} is not spelled as the specification says')
    return text


class Pages:
    """Where the pages of a listing lead. A registry that leads from page to page for ever is none."""

    def __init__(self, url: str) -> None:
        self.url: str | None = url
        self._visited: set[str] = set()
        self._seen: set[str] = set()
        self._fruitless = 0

    def turn(self, found: Iterable[Any], link: str | None) -> None:
        """Go on to the next page, by what was found on this one. Raises RegistryError."""
        page = str(self.url)
        self._visited.add(page)
        known = len(self._seen)
        self._seen.update(map(_name, found))
        self._fruitless = 0 if len(self._seen) > known else self._fruitless + 1
        try:
            self.url = next_page(link, page)
        except ValueError as error:
            raise RegistryError(Kind.NOT_A_REGISTRY, f'A listing cannot be followed: {error}') from error
        endless = self._fruitless > _FRUITLESS_PAGES or len(self._visited) > _MOST_PAGES
        if self.url in self._visited or self.url and endless:
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The pages of a listing lead in a circle')


def _name(entry: str | OddName | Manifest | Tag) -> str:
    """What tells an entry of a listing from the others."""
    if isinstance(entry, Manifest):
        return entry.digest
    if isinstance(entry, Tag):  # of what is deleted, many may have had one tag
        return f'{entry.name} {entry.digest}'
    return entry if isinstance(entry, str) else entry.shown
