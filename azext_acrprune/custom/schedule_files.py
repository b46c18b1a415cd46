"""The files that a schedule runs with: this extension as a wheel again, the policy, and the pins."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .._errors import file_error
from ..prune_error import Kind, PruneError
from ..spelling import printable

_NOT_IN_A_WHEEL = {'INSTALLER', 'REQUESTED', 'RECORD', 'direct_url.json'}
"""What the installer wrote into the folder with the notes on the wheel."""
_COMPILED = '__pycache__'
_MOST_PIN_BYTES = 100 << 20
_MOST_PIN_FILES = 100_000


def installed_package() -> Path:
    """The folder of this extension's code."""
    return Path(__file__).parents[1]


def wheel_of(package: Path) -> tuple[str, str, bytes]:
    """(version, file name, bytes) of the wheel that a package was installed from, made of what is installed.

    The same files give the same bytes. Raises PruneError where the notes on the wheel are missing.
    """
    from ..schedules.artifact import zipped

    folders = [*package.parent.glob('acrprune-*.dist-info')]
    if len(folders) != 1:
        raise PruneError(
            'A schedule takes this extension along, and it was not installed from a wheel.',
            "Install it with 'az extension add --source acrprune.whl'.",
            Kind.FILE,
        )
    (notes,) = folders
    version = notes.name.removeprefix('acrprune-').removesuffix('.dist-info')
    files = {path: data for top in (package, notes) for path, data in _read(top, package.parent)}
    lines = [f'{path},sha256={_record_hash(data)},{len(data)}' for path, data in sorted(files.items())]
    record = f'{notes.name}/RECORD'
    files[record] = '\n'.join([*lines, f'{record},,', '']).encode()
    return version, f'acrprune-{version}-py3-none-any.whl', zipped(files)


def _read(top: Path, root: Path) -> Iterator[tuple[str, bytes]]:
    for path in top.rglob('*'):
        if path.is_file() and _COMPILED not in path.parts and path.name not in _NOT_IN_A_WHEEL:
            yield path.relative_to(root).as_posix(), path.read_bytes()


def _record_hash(data: bytes) -> str:
    """As RECORD has it: base64 for file names, without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')


def pins_of(paths: Iterable[str]) -> tuple[list[str], dict[str, bytes]]:
    """(the names of the paths among the files, the files) of files and folders with pins. Raises CLIError.

    Each path is in a folder of its own, so that two of the same name stay apart; what is inside keeps its place.
    """
    names: list[str] = []
    files: dict[str, bytes] = {}
    for number, given in enumerate(paths, 1):
        if given == '-':
            raise PruneError(
                'A schedule cannot read pins from standard input: nothing is there when it runs.',
                'Write them to a file, and name that.',
                Kind.INVALID,
            )
        name = f'pins-{number}/{os.path.basename(os.path.abspath(given))}'
        names.append(name)
        files.update(pin_files(given, name))
        _refuse_more(len(files), sum(map(len, files.values())))
    return names, files


def pin_files(given: str, name: str) -> dict[str, bytes]:
    """What is read where a file or a folder of pins is named, when it stands under another name. Raises CLIError.

    Of a folder that is all that is in it. With a file come those near it that its values may come from, such as `.env`.
    """
    from ..sources.pin_files import files_below, files_beside

    if os.path.isdir(given):
        found, top, place = files_below(given, by_each_link=True), given, name
    else:
        near = [(path, None) for path in (given, *files_beside(given))]
        found, top, place = iter(near), os.path.dirname(os.path.abspath(given)), os.path.dirname(name)
    files: dict[str, bytes] = {}
    size = 0
    for path, problem in found:
        if problem:
            raise PruneError(
                f"The schedule cannot take '{printable(path)}' along: {problem}.",
                'Name files and folders that can all be read.',
                Kind.FILE,
            )
        data = _content(path)
        size += len(data)
        files[_beneath(place, os.path.relpath(path, top))] = data
        _refuse_more(len(files), size)
    if not files:
        raise PruneError(f"There is no file in the folder '{printable(given)}'.", 'Name one with pins.', Kind.FILE)
    return files


def _content(path: str) -> bytes:
    """A byte more than the limit tells that it is exceeded; a device may have no end."""
    try:
        with open(path, 'rb') as file:
            return file.read(_MOST_PIN_BYTES + 1)
    except OSError as error:
        raise file_error(path, error) from error


def _beneath(place: str, path: str) -> str:
    """The name of a file in a zip file. Raises PruneError for one that it cannot hold."""
    name = os.path.normpath(os.path.join(place, path)).replace(os.sep, '/')
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise PruneError(
            f"The name of the file '{printable(path)}' is not in UTF-8.", 'Give it another name.', Kind.FILE
        ) from error
    return name


def _refuse_more(number: int, size: int) -> None:
    if number > _MOST_PIN_FILES or size > _MOST_PIN_BYTES:
        raise PruneError(
            f'The pins are more than 100 MiB, or more than {_MOST_PIN_FILES:,} files.',
            'Name the files and folders with pins only.',
            Kind.INVALID,
        )
