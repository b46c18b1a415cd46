"""Files that a user names."""

from __future__ import annotations

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
