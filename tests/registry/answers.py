"""A request as handlers see it, and what they answer with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .records import time_order

TOKEN_HEADERS = {'Strict-Transport-Security': 'max-age=31536000; includeSubDomains', 'Server': 'AzureContainerRegistry'}
PLAIN_TEXT_HEADERS = {
    **TOKEN_HEADERS,
    'Docker-Distribution-Api-Version': 'registry/2.0',
    'X-Content-Type-Options': 'nosniff',
}
COMMON_HEADERS = {
    **PLAIN_TEXT_HEADERS,
    'Access-Control-Expose-Headers': 'Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id',
}
DEFAULT_PAGE = 100
JSON_TYPE = 'application/json; charset=utf-8'


@dataclass
class Call:
    """One request: decoded path, query and form parameters, body; `raw_path` as the client spelled it.

    `host` is the endpoint that it came in at.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    raw_path: str = ''
    host: str = ''


@dataclass
class Answer:
    status: int = 200
    body: bytes = b''
    headers: dict[str, str] = field(default_factory=dict)


def common_headers(path: str, answer: Answer) -> dict[str, str]:
    """What comes with every answer of this kind."""
    if path.startswith('/oauth2/'):
        return TOKEN_HEADERS
    plain = answer.headers.get('Content-Type', '').startswith('text/plain')
    return PLAIN_TEXT_HEADERS if plain else COMMON_HEADERS


def json_answer(document: Any, status: int = 200, **headers: str) -> Answer:
    """Compact JSON with a final newline, as the service writes it."""
    body = json.dumps(document, separators=(',', ':')).encode() + b'\n'
    return Answer(status, body, {'Content-Type': JSON_TYPE, **{key.replace('_', '-'): headers[key] for key in headers}})


def after_last(call: Call, names: Iterable[str], updated: Callable[[str], str]) -> list[str]:
    """Names in the order that the call wants, those after its `last`, which may be gone meanwhile."""
    orderby, last = call.query.get('orderby'), call.query.get('last')
    by_time, descending = orderby in ('timeasc', 'timedesc'), orderby == 'timedesc'

    def place(name: str) -> Any:
        return (time_order(updated(name)), name) if by_time else name

    ordered = sorted(names, key=place, reverse=descending)
    if not last:
        return ordered
    mark = place(last)
    return [name for name in ordered if (place(name) < mark if descending else place(name) > mark)]


def page(call: Call, items: list, key: Any, cap: int) -> tuple:
    """One page of ordered items and the headers with the link to the next.

    A full page has a link even if nothing follows; the empty page is null.
    """
    asked = call.query.get('n', '')
    size = min(int(asked) if asked.isdigit() and int(asked) else DEFAULT_PAGE, cap)
    shown = items[:size]
    if len(shown) < size:
        return shown or None, {}
    orderby = quote(call.query.get('orderby', ''))
    link = f'<{call.raw_path}?last={quote(key(shown[-1]), safe="")}&n={size}&orderby={orderby}>; rel="next"'
    return shown, {'Link': link}
