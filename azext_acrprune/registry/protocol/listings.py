"""JSON of the metadata API -> model. Empty lists are `null`, keys may be absent, times have up to 7 digits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from re import Pattern
from typing import Any, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

from ...model import UNLOCKED, Locks, Manifest, NotRead, Tag, parse_ticks
from .refusals import Kind, RegistryError, from_answer, text_or_none

PAGE_SIZE = 1000
_FRUITLESS_PAGES = 10
"""In a row: a page may be empty, since what was on it is gone."""
_MOST_PAGES = 100_000

Parsed = TypeVar('Parsed')

# The grammar of the distribution specification. What does not follow it was not written by a registry, and would
# reach a terminal and a URL.
_NAME = re.compile(r'[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z')
_TAG = re.compile(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z')
_DIGEST = re.compile(r'(?:sha256|[a-z0-9]+(?:[+._-][a-z0-9]+)*):[0-9a-zA-Z=_-]+\Z')  # sha256 first, as most are
_HOST = re.compile(r'[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?\Z')
_MEDIA_TYPE = re.compile(r'[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\Z')  # RFC 6838
_NOT_READ = NotRead()
_LINK = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


def parse_locks(attributes: Any) -> Locks:
    """`changeableAttributes`; what is not said is not locked, and the registry still refuses what it locks."""
    flags = attributes if isinstance(attributes, dict) else {}
    delete_enabled, write_enabled = flags.get('deleteEnabled') is not False, flags.get('writeEnabled') is not False
    return UNLOCKED if delete_enabled and write_enabled else Locks(delete_enabled, write_enabled)


def parse_repositories(page: Mapping[str, Any]) -> list[str]:
    """The names of a catalog page.

    Raises KeyError, TypeError or ValueError when the page has not the shape of one.
    """
    return [_spelled(_NAME, name) for name in page['repositories'] or []]


def parse_manifests(page: Mapping[str, Any]) -> list[Manifest]:
    """The entries of a manifest listing, their content not read yet.

    Raises KeyError, TypeError or ValueError when the page has not the shape of one.
    """
    return [_manifest(entry) for entry in page['manifests'] or []]


def parse_tags(page: Mapping[str, Any]) -> list[Tag]:
    """The entries of a tag listing.

    Raises KeyError, TypeError or ValueError when the page has not the shape of one: no list is not an empty list.
    """
    return [_tag(entry) for entry in page['tags'] or []]


def parse_deleted(page: Mapping[str, Any]) -> dict[str, str]:
    """The soft-deleted manifests of a page: when they were deleted, by digest.

    Raises KeyError, TypeError or ValueError when the page has not the shape of one.
    """
    return {
        _spelled(_DIGEST, entry['digest']): text_or_none(entry.get('deletedAt')) or ''
        for entry in page['manifests'] or []
    }


def parse_manifest(document: Mapping[str, Any]) -> Manifest:
    """One manifest, as a listing has it. Raises as `parse_manifests` does."""
    return _manifest(document['manifest'])


def parse_tag(document: Mapping[str, Any]) -> Tag:
    """One tag, as a listing has it. Raises as `parse_tags` does."""
    return _tag(document['tag'])


def next_page(link: str | None, page_url: str) -> str | None:
    """The URL of the next page, None after the last one.

    Raises ValueError when the link leads to another host: our token must not follow it there.
    """
    match = _LINK.search(link or '')
    if not match:
        return None
    target = match.group(1).replace('{', '%7B').replace('}', '%7D')  # azure-core would fill them in
    url = urljoin(page_url, unquote(target) if target.startswith('%2F') else target)
    if urlsplit(url)[:2] != urlsplit(page_url)[:2]:
        raise ValueError(f"the next page is on another host: '{urlsplit(url).netloc}'")
    return url


def seconds_ahead(date: str | None, now: float) -> float:
    """By how many seconds a clock that says `now` is ahead of the one that wrote a `Date` header.

    0 within a minute, which the network may take, and where there is no readable date.
    """
    try:
        ahead = now - parsedate_to_datetime(date or '').timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return ahead if ahead > 60 else 0.0


def _manifest(entry: dict[str, Any]) -> Manifest:
    """By place and not by name: there are millions of them."""
    get = entry.get
    tags, created_time, last_update_time = get('tags'), get('createdTime'), get('lastUpdateTime')
    created = _instant(created_time)
    updated = created if last_update_time == created_time else _instant(last_update_time)  # as most are
    kind = get('mediaType'), get('artifactType'), get('os'), get('architecture')
    try:
        media_type, artifact_type, platform = _known_kind(*kind)
    except TypeError:  # a list or an object, which a hostile answer may have in place of a text, is no key
        media_type, artifact_type, platform = _kind(*kind)
    return Manifest._make(
        (
            _spelled(_DIGEST, entry['digest']),
            _NOT_READ,
            tuple(sorted([_spelled(_TAG, tag) for tag in tags])) if tags else (),
            media_type,
            artifact_type,
            created[0],
            updated[0],
            created[1],
            updated[1],
            _size(get('imageSize')),
            platform,
            parse_locks(get('changeableAttributes')),
        )
    )


def _instant(value: Any) -> tuple[str | None, int | None]:
    """A time as it is written, and in ticks; one that can be read can be shown."""
    ticks = parse_ticks(value)
    return value if ticks is not None else text_or_none(value), ticks


def _kind(media_type: Any, artifact_type: Any, system: Any, architecture: Any) -> tuple[str | None, ...]:
    """Media type, artifact type and platform."""
    system, architecture = text_or_none(system), text_or_none(architecture)
    platform = f'{system}/{architecture}' if system and architecture else None
    return text_or_none(media_type), text_or_none(artifact_type), platform


_known_kind = lru_cache(1024)(_kind)
"""One object for each kind of manifest: there are few kinds, and millions of manifests."""


def _size(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _tag(entry: dict[str, Any]) -> Tag:
    return Tag(
        name=_spelled(_TAG, entry['name']),
        digest=_spelled(_DIGEST, entry['digest']),
        last_update_time=text_or_none(entry.get('lastUpdateTime')),
        created_at=parse_ticks(entry.get('createdTime')),
        updated_at=parse_ticks(entry.get('lastUpdateTime')),
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


def locks_in(answer: Any) -> Locks:
    """The locks of a repository, by the answer about it. Raises RegistryError."""
    return parse_locks(parsed(answer, lambda document: document['changeableAttributes']))


def _name(entry: str | Manifest | Tag) -> str:
    """What tells an entry of a listing from the others."""
    return entry if isinstance(entry, str) else entry.name if isinstance(entry, Tag) else entry.digest


def good(response: Any) -> Any:
    """The answer, if it is no failing one. Raises RegistryError."""
    if response.status_code >= 300:
        raise from_answer(response.status_code, response.headers.get('WWW-Authenticate'), response.content)
    return response


def parsed(answer: Any, parse: Callable[[Any], Parsed]) -> Parsed:
    """What an answer says. Raises RegistryError when it is none of a registry."""
    try:
        return parse(answer.json())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(
            Kind.NOT_A_REGISTRY, 'The answer is not one of a container registry', answer.status_code
        ) from error
