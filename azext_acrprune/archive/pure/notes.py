"""Values in the annotations of a descriptor, as far as they can be believed. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...model import UNLOCKED, Locks, parse_ticks
from ...registry.protocol.listings import is_host, is_media_type, is_repository

OURS = 'io.acrprune.'
"""How the names of our annotations begin."""
_DIGITS = 20


def locks_of(annotations: dict[str, Any], key: str) -> Locks:
    """The locks that are written down under a key, none where there is no such key."""
    flags = annotations.get(f'{OURS}{key}')
    return Locks.from_flags(str(flags).split(',')) if flags else UNLOCKED


def time_of(annotations: dict[str, Any], key: str) -> str | None:
    """A time as it was written down. One that cannot be read says nothing."""
    text = annotations.get(f'{OURS}{key}')
    return text if parse_ticks(text) is not None else None


def number_of(annotations: dict[str, Any], key: str) -> int | None:
    """A number as it was written down, for an annotation is text. One that cannot be read says nothing."""
    text = annotations.get(f'{OURS}{key}')
    return int(text) if isinstance(text, str) and len(text) < _DIGITS and text.isascii() and text.isdigit() else None


def notes_of(descriptor: Any) -> dict[str, Any]:
    """The annotations of a descriptor, whatever that is."""
    found = descriptor.get('annotations') if isinstance(descriptor, dict) else None
    return found if isinstance(found, dict) else {}


def text_of(annotations: dict[str, Any], key: str) -> str:
    """A text that has to be there. Raises KeyError and TypeError."""
    value = annotations[f'{OURS}{key}']
    if not isinstance(value, str):
        raise TypeError(f'its {key} is no text')
    return value


def text_or_none(value: Any) -> str | None:
    """A text, or None for anything else."""
    return value if isinstance(value, str) else None


def check_names(registry: Any, repository: Any, media_type: Any) -> None:
    """Raise ValueError for names that nothing in a registry can have."""
    for name, checked, what in (
        (registry, _is_host, 'registry'),
        (repository, _is_repository, 'repository'),
        (media_type, _is_media_type, 'media type'),
    ):
        if not (isinstance(name, str) and checked(name)):
            raise ValueError(f'its {what} is none')


# An index has the same few names in all its entries.
_is_host = lru_cache(64)(is_host)
_is_repository = lru_cache(4096)(is_repository)
_is_media_type = lru_cache(256)(is_media_type)
