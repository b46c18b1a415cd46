"""Values in the annotations of a descriptor, as far as they can be believed. Pure."""

from __future__ import annotations

from functools import lru_cache
from sys import intern
from typing import Any

from ...model import UNLOCKED, Locks, parse_ticks
from ...registry.protocol.listings import is_host, is_media_type, is_repository

OURS = 'io.acrprune.'
"""How the names of our annotations begin."""
_DIGITS = 20


def locks_of(flags: Any) -> Locks:
    """The locks that are written down, none where nothing is."""
    return Locks.from_flags(str(flags).split(',')) if flags else UNLOCKED


def time_of(text: Any) -> str | None:
    """A time as it was written down. One that cannot be read says nothing."""
    return text if text is not None and parse_ticks(text) is not None else None


def number_of(text: Any) -> int | None:
    """A number as it was written down, for an annotation is text. One that cannot be read says nothing."""
    return int(text) if isinstance(text, str) and len(text) < _DIGITS and text.isascii() and text.isdigit() else None


def notes_of(descriptor: Any) -> dict[str, Any]:
    """The annotations of a descriptor, whatever that is."""
    found = descriptor.get('annotations') if isinstance(descriptor, dict) else None
    return found if isinstance(found, dict) else {}


def text_of(annotations: dict[str, Any], key: str) -> str:
    """A text that has to be there. Raises KeyError and TypeError."""
    value = annotations[key]
    if not isinstance(value, str):
        raise TypeError(f'its {key.removeprefix(OURS)} is no text')
    return value


def text_or_none(value: Any) -> str | None:
    """A text, or None for anything else."""
    return value if isinstance(value, str) else None


def checked_names(registry: Any, repository: Any, media_type: Any) -> tuple[str, str, str]:
    """The names of a registry and a repository and a media type, each one object however often it comes.

    Raises ValueError for names that nothing in a registry can have.
    """
    for name, what in ((registry, 'registry'), (repository, 'repository'), (media_type, 'media type')):
        if not isinstance(name, str):
            raise ValueError(f'its {what} is none')
    return _checked(registry, repository, media_type)


@lru_cache(4096)  # an index has the same few names in all its entries
def _checked(registry: str, repository: str, media_type: str) -> tuple[str, str, str]:
    for is_right, what in (
        (is_host(registry), 'registry'),
        (is_repository(repository), 'repository'),
        (is_media_type(media_type), 'media type'),
    ):
        if not is_right:
            raise ValueError(f'its {what} is none')
    return intern(registry), intern(repository), intern(media_type)
