"""The tags and digests among the parts of an image."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .around import inherited_tags, texts_of
from .scopes import Filled, Scope, Value

TAG_PARTS = ('newtag', 'tag', 'targetrevision', 'semver')
VERSION_PARTS = ('version', 'versioninfo', 'revision')
DIGEST_PARTS = ('digest', 'sha256', 'sha')
_HEX = re.compile(r'[0-9a-fA-F]{64}\Z')
_NO_TAG = frozenset(('', 'null', '~', 'none', '<none>', 'nil', 'undefined'))

Parts = Mapping[str, list[Value]]
"""{key in plain letters: its values}, of what stands beside each other."""


def without_digest(tag: str) -> tuple[str | None, str | None]:
    """A tag and a digest, of what stands in the place of a tag: `v1`, `v1@sha256:...` or `sha256:...`."""
    name, _, digest = tag.partition('@')
    if not digest and name.startswith('sha256:'):
        name, digest = '', name
    return name or None, digest or None


def tags_of(parts: Parts, scope: Scope) -> list[Filled]:
    """The tags of an image; where it has none and no digest either, those that are said around it."""
    for key in (*TAG_PARTS, *VERSION_PARTS):
        found = [each for value in parts.get(key, ()) for each in texts_of(value, scope)]
        said = [
            Filled(text.strip().replace('+', '_'), each.lines, each.origin)
            for each in found
            for text in re.split('[,;]', each.text)
        ]
        said = [each for each in said if each.text.lower() not in _NO_TAG]
        if said:
            return said
    if 'repository' in parts and not any(part in parts for part in (*DIGEST_PARTS, *VERSION_PARTS)):
        return inherited_tags(scope)
    return []


def digests_of(parts: Parts, scope: Scope) -> list[Filled]:
    """The digests of an image, each with its algorithm."""
    for key in DIGEST_PARTS:
        found = [each for value in parts.get(key, ()) for each in texts_of(value, scope)]
        said = [each for each in found if each.text.strip().lower() not in _NO_TAG]
        if said:
            texts = [(each, each.text.strip()) for each in said]
            return [
                Filled(f'sha256:{text}' if _HEX.match(text) else text, each.lines, each.origin) for each, text in texts
            ]
    return []
