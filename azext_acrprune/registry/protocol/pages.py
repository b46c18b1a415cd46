"""What answers say, and where the pages of a listing lead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import quote

from ...model import Locks, Manifest, Tag
from . import listings as wire
from .refusals import Kind, RegistryError, from_answer

PAGE_SIZE = 1000
_FRUITLESS_PAGES = 10
"""In a row: a page may be empty, since what was on it is gone."""
_MOST_PAGES = 100_000

Parsed = TypeVar('Parsed')


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
            self.url = wire.next_page(link, page)
        except ValueError as error:
            raise RegistryError(Kind.NOT_A_REGISTRY, f'A listing cannot be followed: {error}') from error
        endless = self._fruitless > _FRUITLESS_PAGES or len(self._visited) > _MOST_PAGES
        if self.url in self._visited or self.url and endless:
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The pages of a listing lead in a circle')


def manifests_path(repository: str) -> str:
    return f'/acr/v1/{quote(repository)}/_manifests?n={PAGE_SIZE}'


def tags_path(repository: str) -> str:
    return f'/acr/v1/{quote(repository)}/_tags?n={PAGE_SIZE}'


def locks_in(answer: Any) -> Locks:
    return wire.parse_locks(parsed(answer, lambda document: document['changeableAttributes']))


def _name(entry: str | Manifest | Tag) -> str:
    """What tells an entry of a listing from the others."""
    return entry if isinstance(entry, str) else entry.name if isinstance(entry, Tag) else entry.digest


def good(response: Any) -> Any:
    if response.status_code >= 300:
        raise from_answer(response.status_code, response.headers.get('WWW-Authenticate'), response.content)
    return response


def parsed(answer: Any, parse: Callable[[Any], Parsed]) -> Parsed:
    try:
        return parse(answer.json())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(
            Kind.NOT_A_REGISTRY, 'The answer is not one of a container registry', answer.status_code
        ) from error
