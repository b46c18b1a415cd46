"""The values that a file takes from other files near it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache

from ..pins.beside import (
    LARGEST,
    command_arguments,
    gives_by_convention,
    gives_by_marks,
    handed,
    may_build,
    may_give,
    names,
    names_folder,
)
from ..pins.languages import DOCKERFILE
from ..pins.overlays import (
    Base,
    charts_in,
    dependencies,
    globals_in,
    globals_of,
    hosts_in,
    is_plain_values,
    is_values,
    overlaid,
    part_for,
    umbrella_of,
)
from ..pins.pinned import NOT_LISTED, Problem
from ..pins.read import decoded, read_scopes
from ..pins.references import RegistryNames
from ..pins.scopes import Scope, Value
from ..spelling import printable

_MOST_OWN = 500
"""In a folder and in those around it."""

_MOST_FILES = 200
"""With those in the folders beside and below it."""

_MOST_FOLDERS = 30
_OF_ALL = ('group_vars', 'host_vars')
_INVENTORIES = ('inventory', 'inventories', 'environments')
_NEVER_ENTERED = ('.git', 'node_modules')


class Neighbours:
    """Answers what stands beside files; each small file near them is read once.

    `top` is the folder that the user named: nothing above it is looked at. What was left out is in `problems`.
    """

    def __init__(self, top: str, registry: RegistryNames) -> None:
        self._top = os.path.abspath(top)
        self._registry = registry
        self._left_out: dict[str, str] = {}
        self._near = lru_cache(maxsize=64)(self._look_around)
        self._entries = lru_cache(maxsize=256)(_entries)
        self._text = lru_cache(maxsize=2_000)(self._read)
        self._scopes = lru_cache(maxsize=1_000)(self._parsed)
        self._looked_at: set[str] = set()

    def looked_at(self, path: str) -> list[str]:
        """The files that `beside` needs for a file: a copy of it with these beside it has the same values."""
        self._looked_at.clear()
        self.beside(path)
        return sorted(self._looked_at - {os.path.abspath(path)})

    @property
    def problems(self) -> tuple[Problem, ...]:
        """One for all folders near which there are too many files."""
        if not self._left_out:
            return ()
        folder, what = next(iter(self._left_out.items()))
        others = f', and so for {len(self._left_out) - 1} more folders' if len(self._left_out) > 1 else ''
        message = f'its files take no values from those {what}, because there are too many{others}'
        return (Problem(message, printable(folder), 0, NOT_LISTED),)

    def beside(self, path: str) -> Scope | None:
        """What the files near a file say, as the scope around it; None where there are none."""
        path = os.path.abspath(path)
        folder = os.path.dirname(path)
        others = [other for other in self._near(folder) if other != path]
        own = self._text(path)
        if own is None:
            return None
        called = (os.path.basename(path), os.path.basename(folder))
        is_build = DOCKERFILE.match(called[0]) is not None
        found: list[Scope] = []
        callers: list[Scope] = []
        given: list[tuple[str, Value]] = []
        for other in others:
            text = self._text(other)
            if text is None:
                continue
            of_kind = gives_by_convention(self._from_top(path), _relative(other, folder)) or gives_by_marks(own, text)
            if of_kind or names(own, other):
                found += self._scopes(other)
            if names(text, path) or names_folder(text, called[1]) or is_build and may_build(text):
                callers += self._scopes(other)
            given += command_arguments(text, other) if is_build else ()
        found += self._of_umbrella(path)
        bases = [*self._bases(path), *self._charts(own, folder)]
        hosts = self._hosts(path, others)
        if not (found or callers or bases or hosts or given):
            return None
        scope = handed(callers, called)
        scope.others, scope.bases = found, bases
        for name, value in given:
            scope.declare(name, value)
        for host in hosts:
            scope.children.setdefault('global', [Scope(scope, 'global')])[0].add('registry', host)
        return scope

    def _bases(self, path: str) -> list[Base]:
        """The values that a file of values is laid over: those of its chart, and, by their keys, of charts in it."""
        name = self._from_top(path)
        if not is_values(name):
            return []
        folder = os.path.dirname(path)
        charts = self._scopes(os.path.join(folder, 'Chart.yaml')) if self._is_file(folder, 'Chart.yaml') else ()
        own = [] if charts and os.path.basename(path) == 'values.yaml' else overlaid(name)
        below = next(
            (place for each in own if self._is_file(folder, each) and (place := self._joined(folder, each))), ''
        )
        if not below and not charts:
            near = {os.path.dirname(folder), self._top}
            around = [each for place in near for each in self._folders(place) if self._is_file(each, 'Chart.yaml')]
            below = self._joined(around[0], 'values.yaml') if len(set(around)) == 1 else ''
        found = [Base(root) for root in self._scopes(below)] if below else []
        inside = {key: place for chart in charts for key, place in dependencies(chart)}
        for sub in self._folders(os.path.join(folder, 'charts')):
            inside.setdefault(os.path.basename(sub), f'charts/{os.path.basename(sub)}')
        for key, place in inside.items():
            if self._is_file(folder, f'{place}/values.yaml'):
                found += [Base(root, (key,)) for root in self._scopes(self._joined(folder, f'{place}/values.yaml'))]
        return found

    def _of_umbrella(self, path: str) -> list[Scope]:
        """What the values of the chart around it say for the chart of a file."""
        around = umbrella_of(self._from_top(path))
        if around is None:
            return []
        files = [each for each in self._files(os.path.join(self._top, around[0])) if is_values(os.path.basename(each))]
        return [part_for(around[1], root) for each in files for root in self._scopes(each)]

    def _charts(self, text: str, folder: str) -> list[Base]:
        """The values of the charts whose folders a file names."""
        found: list[Base] = []
        for place in charts_in(text):
            for start in dict.fromkeys((folder, self._top)):
                if self._is_file(start, f'{place}/values.yaml'):
                    values = self._joined(start, f'{place}/values.yaml')
                    found += [Base(root, chart=os.path.basename(place)) for root in self._scopes(values)]
                    break
        return found

    def _hosts(self, path: str, others: Sequence[str]) -> list[Value]:
        """Where the templates of a chart, or who gives it values, put the registry before the names in its values; and
        where others name it for all images of the chart.
        """
        folder = os.path.dirname(path)
        templates = os.path.join(folder, 'templates')
        if not is_values(os.path.basename(path)):
            return []
        files = [each for place in (templates, *self._folders(templates)) for each in self._files(place)]
        name = os.path.basename(folder)
        texts = [(each, text) for each in files if (text := self._text(each))]
        texts += [(each, text) for each in others if (text := self._text(each)) and names_folder(text, name)]
        found = [host for each, text in texts for host in hosts_in(text, each, self._registry)]
        for other in others:
            text = self._text(other)
            if text and 'global' in text:
                if names_folder(text, name) or names(text, path):
                    found += globals_in(text, other, self._registry)
                if os.path.dirname(other) == folder and is_plain_values(path) and is_values(other):
                    found += [host for root in self._scopes(other) for host in globals_of(root, self._registry)]
        return found

    def _is_file(self, folder: str, relative: str) -> bool:
        path = self._joined(folder, relative)
        is_file = path.startswith(self._top) and os.path.isfile(path)
        if is_file:
            self._looked_at.add(path)
        return is_file

    @staticmethod
    def _joined(folder: str, relative: str) -> str:
        return os.path.normpath(os.path.join(folder, relative))

    def _from_top(self, path: str) -> str:
        return os.path.relpath(path, self._top).replace(os.sep, '/')

    def _look_around(self, folder: str) -> tuple[str, ...]:
        """The files of a folder, of those in it, and, within what the user named, of the folders around it and the
        others in the nearest of these. Where they are too many, those of the folder and around it count alone.
        """
        near = self._files(folder)
        inside = self._folders(folder)
        places = inside if len(inside) <= _MOST_FOLDERS else []
        is_cut = len(inside) > _MOST_FOLDERS
        above = os.path.dirname(folder)
        if folder != self._top and above.startswith(self._top):
            beside = [each for each in self._folders(above) if each != folder]
            near += self._files(above)
            places += beside if len(beside) <= _MOST_FOLDERS else []
            is_cut = is_cut or len(beside) > _MOST_FOLDERS
            while above != self._top and above.startswith(self._top):
                above = os.path.dirname(above)
                near += self._files(above)
                places += [each for each in self._folders(above) if os.path.basename(each) in _OF_ALL]
        if len(near) > _MOST_OWN:
            near = []
            self._left_out[folder] = 'beside them'
        for files in ([file for place in places for file in self._files(place)], self._of_inventories(folder)):
            more = [file for file in files if file not in near]
            is_cut = is_cut or bool(more) and len(near) + len(more) > _MOST_FILES
            near += more if len(near) + len(more) <= _MOST_FILES else []
        if is_cut:
            self._left_out.setdefault(folder, 'in folders beside and below it')
        return tuple(near)

    def _of_inventories(self, folder: str) -> list[str]:
        """The variables in the inventories of Ansible in a folder, and in those around it."""
        places: list[str] = []
        for _ in range(folder[len(self._top) :].count(os.sep) + 1):
            beside = [each for each in self._folders(folder) if os.path.basename(each) in _INVENTORIES]
            stages = [place for each in beside for place in (each, *self._folders(each))]
            own = [each for stage in stages for each in self._folders(stage) if os.path.basename(each) in _OF_ALL]
            places += [place for each in own for place in (each, *self._folders(each))]
            folder = os.path.dirname(folder)
        return [file for place in places for file in self._files(place)]

    def _files(self, folder: str) -> list[str]:
        return list(self._entries(folder)[0])

    def _folders(self, folder: str) -> list[str]:
        return list(self._entries(folder)[1])

    def _read(self, path: str) -> str | None:
        try:
            if not os.path.isfile(path) or os.path.getsize(path) > LARGEST:  # a pipe can be read once, and may wait
                return None
            with open(path, 'rb') as file:
                data = file.read(LARGEST)
            self._looked_at.add(path)
            return decoded(data)
        except OSError:
            return None

    def _parsed(self, path: str) -> tuple[Scope, ...]:
        scopes = read_scopes(self._text(path) or '', path, self._registry)
        for scope in scopes:
            scope.file = path
        return scopes


def _relative(path: str, folder: str) -> str:
    return os.path.relpath(path, folder).replace(os.sep, '/')


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """The files of a folder that may give values, and the folders in it."""
    try:
        with os.scandir(folder) as entries:
            every = sorted(entries, key=lambda entry: entry.name)
        files = [entry.path for entry in every if entry.is_file() and may_give(entry.path.replace(os.sep, '/'))]
        return files, [entry.path for entry in every if entry.is_dir() and entry.name not in _NEVER_ENTERED]
    except OSError:  # links that lead nowhere
        return [], []
