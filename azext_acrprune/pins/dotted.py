"""Settings by names with dots, as `--set image.tag=2` has them -> the mappings that they stand for."""

from __future__ import annotations

from collections.abc import Sequence

from .scopes import Scope, Use, Value


def tree(settings: Scope, pairs: Sequence[tuple[str, Value]]) -> list[Scope]:
    """`image.tag` is the tag in the scope `image`; names without dots stand beside each other, in `settings`."""
    parent = settings.parent
    scopes = {'': settings}
    for name, value in pairs:
        place, _, last = name.rpartition('.')
        if place not in scopes:
            scopes[place] = Scope(parent, place)
            if parent and place.partition('.')[0] == 'global':  # it is for the images of the other names too
                parent.children.setdefault('global', []).append(scopes[place])
        scopes[place].add(last, value)
        if '/' in value.text:
            scopes[place].uses.append(Use(last, value))
    for place, scope in scopes.items():
        head, _, last = place.rpartition('.')
        if head in scopes and head:  # `docker.image` beside `docker.image.registry`
            scopes[head].children.setdefault(last, []).append(scope)
    return list(scopes.values())
