"""Texts and mappings that say nothing about images, so that no reader has to look at them: most of a list of pods.

Such a list says few texts, and has few kinds of mappings, many times. What was found out of one is kept for the next.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from .around import group_and_part, is_name_and_place, is_name_and_tag
from .declarations import LOOP_KEYS
from .filling import has_holes
from .parts import keys_are_enough
from .references import TEMPLATE, RegistryNames, find_references, mentions, split_repository
from .scopes import DECLARING, HOISTING, Scope

CHILD_PARTS = {
    'ref': {'tag': 'tag', 'semver': 'semver', 'digest': 'digest'},
    'digest': {'sha256': 'digest', 'sha-256': 'digest'},
    'hashes': {'sha-256': 'digest', 'sha256': 'digest', 'content': 'digest'},
    'checksums': {'checksumValue': 'digest'},
    'identity': {'docker-reference': 'repository'},
    'image': {'docker-manifest-digest': 'digest'},
    'artifact': {'digest': 'digest', 'revision': 'digest'},
}
"""{key of a child: {key in it: what that is for its parent}}: of Flux, SLSA, CycloneDX, SPDX, VEX and cosign."""

FILLED_IN = re.compile(rf'\s*{TEMPLATE}/(?:[\w./-]|{TEMPLATE}){{1,300}}(?:[:@]{TEMPLATE})?\s*\Z')
"""An image whose registry another tool fills in."""

_SHORT = 300
_MAY_HOLD_MORE = re.compile(r'[\n={\[]| --|.{40}')
"""A document, names with values, or something that is packed."""

_GIVING = DECLARING | HOISTING | {'substitute', 'environments'}
_PLACES = frozenset(('url', 'chart', 'hub', 'newName'))
"""Keys that mean something for other mappings of a document."""


def is_silent(text: str, names: RegistryNames) -> bool:
    """Whether a text, wherever it stands in a document, names neither an image nor this registry, and takes no value
    from elsewhere.
    """
    return len(text) <= _SHORT and _is_silent(text, names)


@lru_cache(maxsize=10_000)
def _is_silent(text: str, names: RegistryNames) -> bool:
    may_be_image = '/' in text and (
        split_repository(text, names) is not None
        or is_name_and_tag(text)
        or is_name_and_place(text)
        or FILLED_IN.match(text) is not None
    )
    return not may_be_image and not (has_holes(text) or mentions(text, names) or find_references(text, names))


def is_plain(scope: Scope, names: RegistryNames) -> bool:
    """Whether a mapping, by its keys, makes no image of parts, and means nothing for what stands around it."""
    if scope.pairs or scope.items or scope.parent is None:
        return False
    keys = tuple(scope.entries)
    return _is_plain(scope.key, keys, tuple(scope.children), scope.listed) and (
        not _has_dots(keys)
        or _makes_plain_ones(keys)
        and all(is_silent(value.text, names) for values in scope.entries.values() for value in values)
    )


@lru_cache(maxsize=10_000)
def _is_plain(key: str, entries: tuple[str, ...], children: tuple[str, ...], listed: bool) -> bool:
    given = frozenset(entries)
    means_more = (
        key.lower() in _GIVING
        or key in CHILD_PARTS
        or key.startswith('images')
        or 'source' in children
        or not LOOP_KEYS.isdisjoint(given)
        or not _PLACES.isdisjoint(given)
        or listed
        and len(entries) == 1
        and group_and_part(entries[0])[1] != ''
    )
    is_pair = not given.isdisjoint(('name', 'key')) and not given.isdisjoint(('value', 'default'))
    return not (means_more or is_pair or keys_are_enough(entries, children))


def _has_dots(keys: tuple[str, ...]) -> bool:
    return '.' in ''.join(keys)


@lru_cache(maxsize=10_000)
def _makes_plain_ones(keys: tuple[str, ...]) -> bool:
    """Whether the mappings that names with dots stand for are plain too: `image.tag` is the key `tag` in `image`."""
    made: dict[str, list[str]] = {}
    for key in keys:
        place, _, last = key.rpartition('.')
        made.setdefault(place, []).append(last)
    return all(_is_plain(place, tuple(lasts), (), False) for place, lasts in made.items())


def is_dull(key: str, mapping: str, names: RegistryNames) -> bool:
    """Whether an item of the list under a key, as the JSON of a mapping of texts, is plain and all in it silent."""
    return len(mapping) <= _SHORT and _is_dull(key, mapping, names)


@lru_cache(maxsize=10_000)
def _is_dull(key: str, mapping: str, names: RegistryNames) -> bool:
    try:
        pairs = json.loads(mapping, object_pairs_hook=list)
    except ValueError:
        return False
    keys = tuple(dict.fromkeys(name for name, _ in pairs))
    texts = [text for pair in pairs for text in pair if isinstance(text, str)]
    return (
        _is_plain(key, keys, (), True)
        and (not _has_dots(keys) or _makes_plain_ones(keys))
        and not any(_MAY_HOLD_MORE.search(text) for text in texts)
        and all(is_silent(text, names) for text in texts)
    )
