"""A seal on a document: an edited or truncated plan must not be carried out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

_KEY = 'checksum'
_UNSEALED = (_KEY, 'createdAt')
"""The same registry gives the same document, `createdAt` apart; so the checksum has to be the same too."""
_BATCH = 1_000
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(',', ':'), check_circular=False)


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its checksum."""
    return {**document, _KEY: _checksum(document)}


def is_sealed(document: dict[str, Any]) -> bool:
    """Whether a document is as it was when it was sealed."""
    return document.get(_KEY) == _checksum(document)


def _checksum(document: dict[str, Any]) -> str:
    seal = hashlib.sha256()
    for key in sorted(key for key in document if key not in _UNSEALED):
        seal.update(_canonical(key))
        for part in _parts(document[key]):
            seal.update(_canonical(part))
    return f'sha256:{seal.hexdigest()}'


def _parts(value: Any) -> Iterator[Any]:
    """A list in batches: the text of all of it may be larger than it ought to be, and each text takes long to begin."""
    if not isinstance(value, list):
        yield value
        return
    for start in range(0, len(value), _BATCH):
        yield value[start : start + _BATCH]


def _canonical(value: Any) -> bytes:
    """One line: a JSON text has no line breaks of its own."""
    return _ENCODER.encode(value).encode() + b'\n'
