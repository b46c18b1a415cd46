"""A place of images with the tag of them all, and the names of images that stand below: of Istio and its cousins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from .around import texts_of
from .references import Finding, RegistryNames, find_references, split_repository
from .scopes import Place, Scope, Value

_MOST = 50
_NAME = re.compile(r'[a-z0-9][a-z0-9._-]*\Z')


class Hubs:
    """Mappings with a `hub` and a `tag`: `spec` of an IstioOperator, `global` in values of Helm."""

    def __init__(self, names: RegistryNames) -> None:
        self._names = names
        self._noted: list[Scope] = []

    def note(self, scope: Scope) -> None:
        if 'hub' in scope.entries and 'tag' in scope.entries and len(self._noted) < _MOST:
            self._noted.append(scope)

    def used(self) -> Iterator[tuple[Finding, Value, frozenset[Place]]]:
        """Each image whose name stands below, with the value that names it, and the lines of its other parts."""
        for scope in self._noted:
            top = scope.parent if scope.key == 'global' and scope.parent else scope
            images = [
                value for each in top.below(items=True) for value in each.entries.get('image', ()) if _is_name(value)
            ]
            hubs, tags = ([t for v in scope.entries[key] for t in texts_of(v, scope)] for key in ('hub', 'tag'))
            for hub, tag, image in product(hubs, tags, images):
                text = f'{hub.text.rstrip("/")}/{image.text}'
                if split_repository(text, self._names):
                    for finding in find_references(f'{text}:{tag.text}', self._names):
                        yield finding, image, hub.lines | tag.lines


def _is_name(value: Value) -> bool:
    return _NAME.match(value.text) is not None
