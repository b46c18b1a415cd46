"""Charts that are named in one place and versioned in another: of helmfile and of Flux."""

from __future__ import annotations

from collections.abc import Iterator

from .scopes import Scope, Value

_MOST = 1_000


class Charts:
    """Where charts are, by the names of these places; and which chart of which place is used."""

    def __init__(self) -> None:
        self._places: dict[str, Value] = {}
        self._used: list[tuple[str, Value, Value]] = []

    def note(self, scope: Scope) -> None:
        """`repositories: [{name: acr, url: myreg.azurecr.io/charts}]` and `chart: acr/web`; HelmRepository and
        HelmRelease.
        """
        if 'url' in scope.entries:
            self._note_place(scope, scope.entries['url'][0])
        chart, version = scope.entries.get('chart'), scope.entries.get('version')
        if not chart or not version or scope.entries.get('repository') or len(self._used) > _MOST:
            return
        referred = [value for child in scope.children.get('sourceRef', ()) for value in child.entries.get('name', ())]
        place, slash, name = chart[0].text.partition('/')
        if referred:
            self._used.append((referred[0].text, chart[0], version[0]))
        elif slash:
            self._used.append((place, Value(name, chart[0].line), version[0]))

    def _note_place(self, scope: Scope, url: Value) -> None:
        around = scope.parent if scope.key == 'spec' else None
        metadata = around.children.get('metadata', ()) if around else ()
        names = scope.entries.get('name') if scope.key == 'repositories' else None
        for value in names or [value for child in metadata for value in child.entries.get('name', ())]:
            if len(self._places) < _MOST:
                self._places[value.text] = url

    def used(self) -> Iterator[tuple[str, int, int]]:
        """(reference, line of the chart, line of its place) of each chart in a known place."""
        for place, chart, version in self._used:
            url = self._places.get(place)
            if url:
                yield f'{url.text.rstrip("/")}/{chart.text}:{version.text.replace("+", "_")}', chart.line, url.line
