"""The heads of requests and answers.

They are written and read here: http.client's way, and the mail parser that it has for headers, take four fifths of the
time of a small answer.
"""

from __future__ import annotations

import http.client
import io
import re
from collections.abc import Mapping
from typing import Any

_LONGEST_LINE, _MOST_HEADERS = 1 << 16, 100
_NO_CONTENT, _NOT_MODIFIED = 204, 304
END_OF_LINES = re.compile(rb'\n\r?\n')
_HEADERS = re.compile(r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n]*)\r?$", re.MULTILINE)


def first_line(method: str, target: str) -> bytes:
    """What a request begins with."""
    return f'{method} {target} HTTP/1.1\r\n'.encode('iso-8859-1')


def header_bytes(headers: Mapping[str, str]) -> bytes:
    """Headers as they are sent, and the empty line after them. Raises ValueError."""
    text = '\r\n'.join(map(': '.join, headers.items()))
    if not text.count('\r') == text.count('\n') == len(headers) - 1:
        raise ValueError('a header has a line break in it')
    return f'{text}\r\n\r\n'.encode('iso-8859-1')


def _header_lines(stream: Any) -> bytes:
    """All of them, without the empty line after them."""
    at_hand = stream.peek(1)
    end = END_OF_LINES.search(at_hand)
    if end and not at_hand.startswith((b'\r\n', b'\n')):  # as most answers are: it is there as a whole
        if at_hand.count(b'\n', 0, end.start() + 1) <= _MOST_HEADERS:
            lines = stream.read(end.start() + 1)
            stream.readline()
            return lines
    return b''.join(_lines_until_an_empty_one(stream))


def _lines_until_an_empty_one(stream: Any) -> list[bytes]:
    lines: list[bytes] = []
    while True:
        line = stream.readline(_LONGEST_LINE + 1)
        if line in (b'\r\n', b'\n'):
            return lines
        if len(line) > _LONGEST_LINE or len(lines) >= _MOST_HEADERS:
            raise http.client.HTTPException('the headers of the answer have no end')
        if not line:
            raise http.client.RemoteDisconnected('the connection ended in the middle of the headers')
        lines.append(line)


def headers_in(lines: bytes) -> Headers:
    """Header lines as a mapping. Raises http.client.HTTPException."""
    headers = Headers([(name.lower(), value.strip()) for name, value in _HEADERS.findall(lines.decode('iso-8859-1'))])
    return headers if len(headers) == lines.count(b'\n') else _unusualheaders_in(lines)


def _unusualheaders_in(lines: bytes) -> Headers:
    """The same where some header is folded, is no header or comes twice, read as http.client reads them."""
    message = http.client.parse_headers(io.BytesIO(lines + b'\r\n'))
    return Headers({name.lower(): ', '.join(map(str.strip, message.get_all(name, ()))) for name in message})


class Response(http.client.HTTPResponse):
    """http.client's, with its headers in a mapping and not in a mail."""

    def begin(self) -> None:
        version, self.status, reason = self._read_status()
        while self.status == http.client.CONTINUE:
            _header_lines(self.fp)
            version, self.status, reason = self._read_status()
        if not version.startswith('HTTP/1.'):
            raise http.client.UnknownProtocol(version)
        self.reason = reason.strip()
        self.version = 10 if version == 'HTTP/1.0' else 11
        self.headers = self.msg = headers_in(_header_lines(self.fp))  # type: ignore[assignment]
        self.chunked = self.headers.get('transfer-encoding', '').lower() == 'chunked'
        self.chunk_left = None
        self.length = self._body_bytes()
        self.will_close = self._check_close() or (self.length is None and not self.chunked)

    def _body_bytes(self) -> int | None:
        if self.status in (_NO_CONTENT, _NOT_MODIFIED) or self._method == 'HEAD':
            return 0
        length = self.headers.get('content-length', '')
        return int(length) if length.isdecimal() and not self.chunked else None


class Headers(dict[str, str]):
    """Headers by name, in whatever case one asks for it."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: Any) -> bool:
        return super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)
