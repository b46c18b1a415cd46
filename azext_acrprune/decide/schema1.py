"""Docker's first image format: such a manifest is signed, and its digest is over what was signed."""

from __future__ import annotations

import base64
import json
from typing import Any

SCHEMA_1_TYPES = (
    'application/vnd.docker.distribution.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
)


def signed_payload(data: bytes) -> bytes | None:
    """The bytes that were signed, None where these are not signed like that.

    Docker's libtrust puts `signatures` in front of the last brace. Each has a `protected` header, which says how many
    bytes of the payload come first (`formatLength`), and which bytes follow them there (`formatTail`). Every signature
    has to say the same.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    signatures = document.get('signatures') if isinstance(document, dict) else None
    if not isinstance(signatures, list) or not signatures:
        return None
    payloads = {_payload(data, signature) for signature in signatures}
    return payloads.pop() if len(payloads) == 1 else None


def _payload(data: bytes, signature: Any) -> bytes | None:
    try:
        protected = json.loads(_decoded(signature['protected']))
        length, tail = protected['formatLength'], _decoded(protected['formatTail'])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    whole = isinstance(length, int) and not isinstance(length, bool) and 0 <= length <= len(data)
    return data[:length] + tail if whole else None


def _decoded(text: str) -> bytes:
    """JWS leaves the padding of base64url out."""
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))
