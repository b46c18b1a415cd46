"""The files that a schedule runs with: this extension as a wheel again, the policy, and the pins."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .._errors import file_error
from ..prune_error import Kind, PruneError

_NOT_IN_A_WHEEL = {'INSTALLER', 'REQUESTED', 'RECORD', 'direct_url.json'}
"""What the installer wrote into the folder with the notes on the wheel."""
_COMPILED = '__pycache__'
_MOST_PIN_BYTES = 100 << 20


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
        try:
            files.update(_pin_files(Path(given), name))
        except OSError as error:
            raise file_error(given, error) from error
    if sum(map(len, files.values())) > _MOST_PIN_BYTES:
        raise PruneError('The pins are more than 100 MiB.', 'Name the files and folders with pins only.', Kind.INVALID)
    return names, files


def _pin_files(path: Path, name: str) -> dict[str, bytes]:
    if not path.is_dir():
        return {name: path.read_bytes()}
    inside = [each for each in path.rglob('*') if each.is_file() and '.git' not in each.relative_to(path).parts]
    return {f'{name}/{each.relative_to(path).as_posix()}': each.read_bytes() for each in inside}
