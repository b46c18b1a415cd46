"""A seal on a document: an edited or truncated plan must not be carried out."""
from __future__ import annotations

import hashlib
import json
from typing import Any, Dict

_KEY = 'checksum'
_UNSEALED = (_KEY, 'createdAt')
"""The same registry gives the same document, `createdAt` apart; so the checksum has to be the same too."""


def sealed(document: Dict[str, Any]) -> Dict[str, Any]:
    """The document with its checksum."""
    return {**document, _KEY: _checksum(document)}


def is_sealed(document: Dict[str, Any]) -> bool:
    """Whether a document is as it was when it was sealed."""
    return document.get(_KEY) == _checksum(document)


def _checksum(document: Dict[str, Any]) -> str:
    content = {key: value for key, value in document.items() if key not in _UNSEALED}
    text = json.dumps(content, sort_keys=True, separators=(',', ':'))
    return f'sha256:{hashlib.sha256(text.encode()).hexdigest()}'
