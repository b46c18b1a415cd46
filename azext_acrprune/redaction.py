"""Text from elsewhere without secrets in it: a server, a proxy or a library may say back what it was sent.

What this process was told is a secret is hidden wherever it stands. What looks like one is hidden too: tokens, what
follows the name of a header, a field or a parameter for secrets, and who signs in by an address.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import quote, quote_plus

HIDDEN = '***'
_SHORTEST = 6
"""A shorter secret would be found in words that have nothing to do with it; the service gives out none so short."""

_QUOTED = r'"(?:\\.|[^"\\])*"?|\'(?:\\.|[^\'\\])*\'?'
_NAME = r'(?:token|password|passwd|pwd|secret|assertion|api[-_]?key|account[-_]?key|credential)s?'
_SHAPES = (
    (re.compile(r'eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}'), HIDDEN),
    (re.compile(r'(://)[^/\s\'"<>]*@'), rf'\1{HIDDEN}@'),
    (
        re.compile(rf'((?:set-cookie2?|cookie|authorization)["\']?\s*[:=]\s*)(?:{_QUOTED}|[^\r\n]+)', re.IGNORECASE),
        rf'\1{HIDDEN}',
    ),
    (
        re.compile(
            r'\b(basic|bearer|sharedkey)\s+(?:[\w.~+/-]{16,}|(?=[\w.~+/-]*[\d=])[\w.~+/-]{8,})=*(?![\w"=])', re.I
        ),
        rf'\1 {HIDDEN}',
    ),
    (re.compile(r'(?<![\w.-])(sig(?:nature)?(?:=|%3d))[^\s"\'&;,<>]+', re.IGNORECASE), rf'\1{HIDDEN}'),
    (
        re.compile(
            rf'({_NAME}(?:["\']\s*[:=]\s*|(?==|%3d)(?:=|%3d)|\s*:\s*(?=["\'])))(?:{_QUOTED}|[^\s"\'&;,<>}}]+)',
            re.IGNORECASE,
        ),
        rf'\1{HIDDEN}',
    ),
    (re.compile(rf'((?<=[-_]){_NAME}\s*:\s*)[^\s"\'&;,<>}}]+', re.IGNORECASE), rf'\1{HIDDEN}'),
)

_secrets: set[str] = set()


def keep_secret(secret: str | None, username: str | None = None) -> None:
    """From now on hide this secret, and with a name also what both are in the header of basic authentication."""
    if secret and len(secret) >= _SHORTEST:
        _secrets.update((secret, quote(secret, safe=''), quote_plus(secret)))
        if username is not None:
            _secrets.add(base64.b64encode(f'{username}:{secret}'.encode()).decode())


def redacted(text: str) -> str:
    """The text with `***` in the place of each secret."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for shape, hidden in _SHAPES:
        text = shape.sub(hidden, text)
    return text
