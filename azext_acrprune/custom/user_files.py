"""Files that a user names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .._errors import file_error

if TYPE_CHECKING:
    from ..model import Document


def read_text(path: str) -> str:
    try:
        with open(path, encoding='utf-8-sig') as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise file_error(path, error) from error


def write_json(document: Document, path: str) -> None:
    try:
        with open(path, 'w', encoding='utf-8') as file:
            json.dump(document, file, indent=2)
            file.write('\n')
    except OSError as error:
        raise file_error(path, error) from error


def write_text(text: str, path: str) -> None:
    try:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    except OSError as error:
        raise file_error(path, error) from error
