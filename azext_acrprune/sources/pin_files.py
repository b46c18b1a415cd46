"""Pins in files, in folders with all that is in them, and in standard input."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

from ..pins.pinned import PINS_NOT_READ, Found, Problem, merged
from ..pins.read import MAX_FILE_BYTES, STANDARD_INPUT, declared_values, module_values, read_pins
from ..pins.references import RegistryNames
from ..pins.scopes import Scope
from ..prune_error import Kind, PruneError
from ..spelling import printable

DASH = '-'
_NEVER_ENTERED = '.git'
_NOTHING = 'it names no image of this registry'
_MOST_FILES = 100
_LARGEST_MODULE = 1024 * 1024
_BESIDE = (
    (re.compile(r'\.(?:tf|tf\.json|hcl|nomad)\Z'), '.tfvars'),
    (re.compile(r'(?:compose|stack)[^/]*\.ya?ml\Z'), '.env'),
)
"""Which files take values from which others of their folder."""


class SourceError(PruneError):
    """A source that was named could not be read at all; `source` is its name."""

    kind = Kind.FILE
    advice = 'Give files and folders that exist, or - for what another command wrote.'

    def __init__(self, source: str, why: str) -> None:
        super().__init__(why)
        self.source = source

    def told(self, registry: str, target: str = '') -> tuple[str, str]:
        return f"Nothing was deleted, because the pins in '{self.source}' could not be read: {self}.", self.advice


def read_files(
    paths: Iterable[str], names: RegistryNames, stdin: BinaryIO | None = None
) -> tuple[Found, Mapping[str, int]]:
    """What files pin, and {file: number of its pins} of those that pin something.

    Raises SourceError for what was named and is not there, cannot be read, or names no image of the registry; for an
    empty folder; and for a standard input that is closed or ends in the middle, since the command before it may have
    failed, or asked the wrong cluster. What is found in a folder and cannot be read is a problem.
    """
    found: dict[str, Found] = {}
    for path in dict.fromkeys(paths):
        for source, result in _standard_input(stdin, names) if path == DASH else _path(path, names):
            found[source] = result
    return merged(found.values()), {source: len(each.pins) for source, each in sorted(found.items()) if each.pins}


def _standard_input(stdin: BinaryIO | None, names: RegistryNames) -> Iterator[tuple[str, Found]]:
    try:
        if stdin is None or stdin.closed:
            raise SourceError(STANDARD_INPUT, 'it is closed')
        if stdin.isatty():
            raise SourceError(STANDARD_INPUT, 'it is a terminal, and no file or other command')
        data = stdin.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise SourceError(STANDARD_INPUT, _reason(error)) from error
    if not data.strip():
        raise SourceError(STANDARD_INPUT, 'it is empty')
    found = read_pins(data, STANDARD_INPUT, names)
    broken = next((problem for problem in found.problems if problem.code == PINS_NOT_READ), None)
    if broken:
        raise SourceError(STANDARD_INPUT, broken.message)
    if not found.pins and not found.problems:
        raise SourceError(STANDARD_INPUT, _NOTHING)
    yield STANDARD_INPUT, found


def _path(path: str, names: RegistryNames) -> Iterator[tuple[str, Found]]:
    try:
        if not os.path.isdir(path):
            found = read_pins(_data(path), _shown(path), names, _beside(path))
            if not found.pins and not found.problems:
                raise SourceError(_shown(path), _NOTHING)
            yield _shown(path), found
            return
    except (OSError, ValueError) as error:
        raise SourceError(_shown(path), _reason(error)) from error
    empty = True
    for file, problem in _walk(path):
        empty = False
        source = _shown(file)
        yield source, Found(problems=(Problem(problem, source),)) if problem else _read(file, source, names)
    if empty:
        raise SourceError(_shown(path), 'there is no file in the folder')


def _read(file: str, source: str, names: RegistryNames) -> Found:
    try:
        return read_pins(_data(file), source, names, _beside(file))
    except (OSError, ValueError) as error:
        return Found(problems=(Problem(f'it could not be read: {_reason(error)}', source),))


def _beside(path: str) -> Scope | None:
    """The values that other files of its folder give to the names in a file of Terraform or Compose."""
    folder, name = os.path.split(path)
    wanted = next((suffix for beginning, suffix in _BESIDE if beginning.search(name)), None)
    if wanted is None:
        return None
    try:
        files = sorted(each for each in os.listdir(folder or '.') if each.endswith(wanted))
        paths = [os.path.join(folder, each) for each in files]
        values = declared_values(_data(each) for each in paths if os.path.isfile(each))
        if name.endswith('.tf'):  # its locals take what *.tfvars gives, too
            return Scope(values, declared=_module(folder).declared)
        return values
    except OSError:
        return None


def _module(folder: str) -> Scope:
    """The values that the files of a Terraform module share; nothing where they are too large to be one."""
    paths = [os.path.join(folder, each) for each in sorted(os.listdir(folder or '.')) if each.endswith('.tf')]
    sizes = [os.path.getsize(path) for path in paths if os.path.isfile(path)]
    if len(sizes) != len(paths) or len(paths) > _MOST_FILES or sum(sizes) > _LARGEST_MODULE:
        return Scope()
    return module_values(tuple(_data(path) for path in paths))


def _data(path: str) -> bytes:
    """A byte more than the limit tells that it is exceeded; a device may have no end."""
    with open(path, 'rb') as file:
        return file.read(MAX_FILE_BYTES + 1)


def _walk(top: str) -> Iterator[tuple[str, str | None]]:
    """(path, what is wrong with it) of each file below a folder, in order. Each folder is entered once.

    Links are followed, as the volumes of Kubernetes are made of them; pipes and devices would never end.
    """
    entered: set[tuple[int, int]] = set()
    waiting: list[str] = [top]
    while waiting:
        path = waiting.pop()
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) not in entered:
                    entered.add((status.st_dev, status.st_ino))
                    inside = sorted(name for name in os.listdir(path) if name != _NEVER_ENTERED)
                    waiting.extend(os.path.join(path, name) for name in reversed(inside))
            elif stat.S_ISREG(status.st_mode):
                yield path, None
        except OSError as error:
            yield path, f'it could not be read: {_reason(error)}'


def _shown(path: str) -> str:
    return printable(path)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or 'it cannot be read'
