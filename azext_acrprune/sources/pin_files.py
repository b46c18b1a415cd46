"""Pins in files, in folders with all that is in them, and in standard input."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

from ..pins.pinned import NOT_LISTED, PINS_NOT_READ, Found, Problem, merged
from ..pins.read import MAX_FILE_BYTES, STANDARD_INPUT, read_pins
from ..pins.references import RegistryNames
from ..prune_error import Kind, PruneError
from ..spelling import printable
from .neighbours import Neighbours

DASH = '-'
_NEVER_ENTERED = '.git'
_ANY_REGISTRY = RegistryNames('registry.invalid')
"""Which files are looked at is the same for all registries."""
_MOST_WORDS = 2_000_000
"""In all files together: two hundred megabytes."""


class SourceError(PruneError):
    """A source that was named could not be read at all; `source` is its name."""

    kind = Kind.FILE
    advice = 'Give files and folders that exist, or - for what another command wrote.'

    def __init__(self, source: str, why: str) -> None:
        super().__init__(why)
        self.source = source

    def told(self, registry: str, target: str = '') -> tuple[str, str]:
        return f"Nothing was deleted, because the pins in '{self.source}' could not be read: {self}.", self.advice


class NothingPinned(SourceError):
    """What was named was read, and names no image of the registry: it is another file, or of another registry."""

    advice = 'Give what names images by the login server, or the folder that it is in; --alias says other domains.'

    def __init__(self, source: str) -> None:
        super().__init__(source, 'it names no image of this registry')

    def told(self, registry: str, target: str = '') -> tuple[str, str]:
        return f"Nothing was deleted, because '{self.source}' pins nothing: {self}.", self.advice


def read_files(
    paths: Iterable[str], names: RegistryNames, stdin: BinaryIO | None = None
) -> tuple[Found, Mapping[str, int]]:
    """What files pin, and {file: number of its pins} of those that pin something.

    Raises SourceError for what was named and is not there, cannot be read, or names no image of the registry; for an
    empty folder; and for a standard input that is closed or ends in the middle, since the command before it may have
    failed, or asked the wrong cluster. What is found in a folder and cannot be read is a problem.
    """
    found: dict[str, Found] = {}
    number = 0
    for path in dict.fromkeys(paths):
        for file, result in _standard_input(stdin, names) if path == DASH else _path(path, names):
            number += len(result.words[0].lines) if result.words and file not in found else 0
            found[file] = result if number <= _MOST_WORDS else _without_words(result)
    every = merged(found.values())
    problems = tuple(problem for problem in every.problems if not _is_used(problem, every.used))
    counts: Counter[str] = Counter()
    for file, each in sorted(found.items()):
        counts[file if file == STANDARD_INPUT else _shown(file)] += len(each.pins)
    return replace(every, problems=problems), {source: number for source, number in counts.items() if number}


def _without_words(found: Found) -> Found:
    """What was found in a file whose words do not fit into memory beside those of others; that is told."""
    told = (
        Problem(
            'it is not searched for images in pieces, because there are too many words', words.source, 0, NOT_LISTED
        )
        for words in found.words
    )
    return replace(found, words=(), problems=(*found.problems, *told))


def _is_used(problem: Problem, used: frozenset[tuple[str, int]]) -> bool:
    """Whether a name that leads to no image in its own file is used in another one."""
    return problem.unused and (os.path.abspath(problem.source), problem.line) in used


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
        raise NothingPinned(STANDARD_INPUT)
    yield STANDARD_INPUT, found


def _path(path: str, names: RegistryNames) -> Iterator[tuple[str, Found]]:
    try:
        if not os.path.isdir(path):
            neighbours = Neighbours(os.path.dirname(path) or '.', names)
            found = read_pins(_data(path), _shown(path), names, neighbours.beside(path))
            if not found.pins and all(problem.code == NOT_LISTED for problem in found.problems):
                raise NothingPinned(_shown(path))
            yield path, replace(found, problems=(*found.problems, *neighbours.problems))
            return
    except (OSError, ValueError) as error:
        raise SourceError(_shown(path), _reason(error)) from error
    empty = True
    neighbours = Neighbours(path, names)
    for file, problem in files_below(path):
        empty = False
        source = _shown(file)
        yield file, Found(problems=(Problem(problem, source),)) if problem else _read(file, source, names, neighbours)
    yield path, Found(problems=neighbours.problems)
    if empty:
        raise SourceError(_shown(path), 'there is no file in the folder')


def _read(file: str, source: str, names: RegistryNames, neighbours: Neighbours) -> Found:
    try:
        return read_pins(_data(file), source, names, neighbours.beside(file))
    except (OSError, ValueError) as error:
        return Found(problems=(Problem(f'it could not be read: {_reason(error)}', source),))


def _data(path: str) -> bytes:
    """A byte more than the limit tells that it is exceeded; a device may have no end."""
    with open(path, 'rb') as file:
        return file.read(MAX_FILE_BYTES + 1)


def files_below(top: str, by_each_link: bool = False) -> Iterator[tuple[str, str | None]]:
    """(path, what is wrong with it) of each file below a folder, in order.

    Links are followed, as the volumes of Kubernetes are made of them; pipes and devices would never end. Each folder is
    entered once, or `by_each_link` by every way to it that is no circle: so a copy without links looks the same.
    """
    entered: set[tuple[int, int]] = set()
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(top, frozenset())]
    while waiting:
        path, above = waiting.pop()
        try:
            status = os.stat(path)
            if stat.S_ISDIR(status.st_mode):
                place = (status.st_dev, status.st_ino)
                if place not in (above if by_each_link else entered):
                    entered.add(place)
                    inside = sorted(name for name in os.listdir(path) if name != _NEVER_ENTERED)
                    around = above | {place}
                    waiting.extend((os.path.join(path, name), around) for name in reversed(inside))
            elif stat.S_ISREG(status.st_mode):
                yield path, None
        except OSError as error:
            yield path, f'it could not be read: {_reason(error)}'


def files_beside(path: str) -> list[str]:
    """The files near a file that are looked at for its values where that file alone is named."""
    folder = os.path.dirname(path) or '.'
    return Neighbours(folder, _ANY_REGISTRY).looked_at(path)


def _shown(path: str) -> str:
    return printable(path)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or 'it cannot be read'
