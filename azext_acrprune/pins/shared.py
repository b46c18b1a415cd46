"""Images whose names stand in mappings of their own, below the registry and the tag that all of them share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from .around import group_and_part
from .scopes import Scope, Value

_NAMES = ('repository', 'repo', 'image', 'name')
_TAGS = ('newtag', 'tag', 'version')
_SAYING_MORE = frozenset((*_TAGS, 'registry', 'digest', 'sha256', 'sha', 'chart'))
_OF_IMAGES = ('image', 'images', 'container', 'containers', 'docker')
_OF_OTHERS = re.compile(r'secret|account|port|env|volume|mount|config|class', re.IGNORECASE)
"""Keys below which names are those of other things than images."""

_MOST = 200


def sharing(scope: Scope) -> Iterator[Scope]:
    """`image: {registry: myreg.azurecr.io/mirror, tag: 5, controller: {name: a}, ping: {name: b}}`: each name as a
    mapping with the tag beside it. What is only called a `name` counts where images are told of.
    """
    shared = _parts(scope)
    tag = next((shared[part] for part in _TAGS if part in shared), None)
    if tag is None or 'registry' not in shared or any(part in shared for part in _NAMES):
        return
    of_images = scope.key.rpartition('.')[2].lower() in _OF_IMAGES
    wanted = _NAMES if of_images else _NAMES[:-1]
    for place in islice(_below(scope), _MOST):
        own = _parts(place)
        if _SAYING_MORE.isdisjoint(own):
            for part in wanted:
                if part in own:
                    yield Scope(scope, place.key, place.line, entries={part: own[part], 'tag': tag})
                    break


def _below(scope: Scope) -> Iterator[Scope]:
    """The mappings in a mapping and in its lists, and those of images in them."""
    for key, children in (*scope.children.items(), *(scope.items or {}).items()):
        for child in children if not _OF_OTHERS.search(key) else ():
            yield child
            yield from (each for of_images in _OF_IMAGES for each in child.children.get(of_images, ()))


def _parts(scope: Scope) -> dict[str, list[Value]]:
    """The parts of an image under keys without a prefix."""
    found: dict[str, list[Value]] = {}
    for key, values in scope.entries.items():
        group, part = group_and_part(key)
        if part and not group:
            found.setdefault(part, []).extend(values)
    return found
