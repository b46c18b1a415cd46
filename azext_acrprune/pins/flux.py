"""What a Kustomization of Flux puts in the place of names in the files that it applies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .scopes import Scope, Value

FOLDERS = ('clusters', 'cluster', 'flux', 'flux-system', 'bootstrap')
"""Where the objects of Flux are, by custom."""


@dataclass(frozen=True)
class Substitution:
    """The folder that is applied, from the top, and the values of names in it."""

    path: str
    given: tuple[tuple[str, Value], ...]

    def is_for(self, folder: str) -> bool:
        """Whether a folder is applied, as such or in the one that is."""
        return not self.path or f'{folder}/'.startswith(f'{self.path}/')


def may_substitute(text: str) -> bool:
    """Whether a file has a Kustomization with substitutions, or what one takes them from."""
    return 'postBuild' in text or 'ConfigMap' in text


def substitutions(roots: Sequence[Scope]) -> Iterator[Substitution]:
    """The substitutions that documents say, with those of the ConfigMaps among them that they name."""
    for number, root in enumerate(roots):
        for spec in root.children.get('spec', ()):
            origin = frozenset((('substituted by Flux', number),))
            given = tuple((name, replace(value, origin=value.origin | origin)) for name, value in _given(spec, roots))
            for path in spec.entries.get('path', ()) if given else ():
                yield Substitution('/'.join(step for step in path.text.split('/') if step not in ('', '.')), given)


def _given(spec: Scope, roots: Iterable[Scope]) -> Iterator[tuple[str, Value]]:
    for built in spec.children.get('postBuild', ()):
        for place in built.children.get('substitute', ()):
            yield from _values(place, place)
        wanted = {value.text for item in (built.items or {}).get('substituteFrom', ()) for value in _names(item)}
        for root in roots if wanted else ():
            for about in root.children.get('metadata', ()):
                if wanted & {value.text for value in _names(about)}:
                    yield from (pair for data in root.children.get('data', ()) for pair in _values(data, root))


def _names(scope: Scope) -> Sequence[Value]:
    return scope.entries.get('name', ())


def _values(place: Scope, root: Scope) -> Iterator[tuple[str, Value]]:
    file = root.of_file()
    return ((name, replace(value, file=file)) for name, values in place.entries.items() for value in values)
