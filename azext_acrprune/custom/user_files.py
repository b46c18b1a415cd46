"""Files that a user names."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from .._errors import file_error
from ..spelling import json_chunks

if TYPE_CHECKING:
    from ..model import Document


def read_text(path: str) -> str:
    """The text of a file in UTF-8, or in what PowerShell writes, which is UTF-16."""
    from ..pins.encodings import encoding_of

    try:
        with open(path, 'rb') as file:
            data = file.read()
        encoding, mark = encoding_of(data) or ('utf-8', 0)
        return data[mark:].decode(encoding).replace('\r\n', '\n')
    except (OSError, UnicodeDecodeError) as error:
        raise file_error(path, error) from error


def write_json(document: Document, path: str) -> None:
    try:
        with open(path, 'w', encoding='utf-8') as file:
            file.writelines(json_chunks(document))
            file.write('\n')
    except OSError as error:
        raise file_error(path, error) from error


def write_text(text: str, path: str) -> None:
    try:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    except OSError as error:
        raise file_error(path, error) from error


def append_text(text: str, path: str) -> None:
    """Add text to the end of a file, which may be new. Raises azure-cli's error of the file."""
    try:
        with open(path, 'a', encoding='utf-8', errors='backslashreplace', newline='\n') as file:
            file.write(text)
    except OSError as error:
        raise file_error(path, error) from error


def beside(path: str) -> str:
    """Where `replace_text` writes before it puts that in the place of `path`."""
    return f'{path}.{os.getpid()}.new'


def replace_text(text: str, path: str) -> None:
    """Put text in place of what a file holds, so that who reads it meanwhile finds the old or the new one, whole.

    It is written beside the file first, with the permissions that a new file has. Raises azure-cli's error of the file.
    """
    try:
        with open(beside(path), 'w', encoding='utf-8', errors='backslashreplace', newline='\n') as file:
            file.write(text)
        os.replace(beside(path), path)
    except OSError as error:
        with suppress(OSError):
            os.remove(beside(path))
        raise file_error(path, error) from error


def refuse_unwritable(path: str) -> None:
    """Raise azure-cli's error of a file that cannot be appended to, or cannot be made in its folder."""
    try:
        known = os.path.exists(path)
        with open(path, 'a', encoding='utf-8'):
            pass
        if not known:
            os.remove(path)
    except OSError as error:
        raise file_error(path, error) from error
