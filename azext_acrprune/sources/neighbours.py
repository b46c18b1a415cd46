"""The values that a file takes from other files near it."""

from __future__ import annotations

import os
from functools import lru_cache

from ..pins.beside import LARGEST, gives_by_convention, gives_by_marks, handed, may_give, names, names_folder
from ..pins.read import decoded, read_scopes
from ..pins.references import RegistryNames
from ..pins.scopes import Scope

_MOST_FILES = 200
_MOST_FOLDERS = 30
_NEVER_ENTERED = ('.git', 'node_modules')


class Neighbours:
    """Answers what stands beside files; each small file near them is read once.

    `top` is the folder that the user named: nothing above it is looked at.
    """

    def __init__(self, top: str, registry: RegistryNames) -> None:
        self._top = os.path.abspath(top)
        self._registry = registry
        self._near = lru_cache(maxsize=64)(self._look_around)
        self._entries = lru_cache(maxsize=256)(_entries)
        self._text = lru_cache(maxsize=2_000)(self._read)
        self._scopes = lru_cache(maxsize=1_000)(self._parsed)

    def beside(self, path: str) -> Scope | None:
        """What the files near a file say, as the scope around it; None where there are none."""
        path = os.path.abspath(path)
        folder = os.path.dirname(path)
        others = [other for other in self._near(folder) if other != path]
        own = self._text(path) if others else None
        if own is None:
            return None
        called = (os.path.basename(path), os.path.basename(folder))
        found: list[Scope] = []
        callers: list[Scope] = []
        for other in others:
            text = self._text(other)
            if text is None:
                continue
            of_kind = gives_by_convention(self._from_top(path), _relative(other, folder)) or gives_by_marks(own, text)
            if of_kind or names(own, other):
                found += self._scopes(other)
            if names(text, path) or names_folder(text, called[1]):
                callers += self._scopes(other)
        if not found and not callers:
            return None
        given = handed(callers, called)
        given.others = found
        return given

    def _from_top(self, path: str) -> str:
        return os.path.relpath(path, self._top).replace(os.sep, '/')

    def _look_around(self, folder: str) -> tuple[str, ...]:
        """The files of a folder, of those in it, and, within what the user named, of the folder around it and the
        others in that one.
        """
        found = self._files(folder)
        inside = self._folders(folder)
        places = inside if len(inside) <= _MOST_FOLDERS else []
        above = os.path.dirname(folder)
        if folder != self._top and above.startswith(self._top):
            beside = [each for each in self._folders(above) if each != folder]
            found += self._files(above)
            places += beside if len(beside) <= _MOST_FOLDERS else []
            while above != self._top and above.startswith(self._top):
                above = os.path.dirname(above)
                found += self._files(above)
        for place in places:
            found += self._files(place)
        return tuple(found) if len(found) <= _MOST_FILES else ()

    def _files(self, folder: str) -> list[str]:
        return list(self._entries(folder)[0])

    def _folders(self, folder: str) -> list[str]:
        return list(self._entries(folder)[1])

    def _read(self, path: str) -> str | None:
        try:
            if os.path.getsize(path) > LARGEST:
                return None
            with open(path, 'rb') as file:
                return decoded(file.read(LARGEST))
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
