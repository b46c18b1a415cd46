"""One request and its answer on an open connection, without waiting: for a loop that watches many of them.

Imported inside a command only: azure-core is heavy.
"""
from __future__ import annotations

import http.client
import io
import re
import ssl
from typing import Any, Callable, NamedTuple, Optional

from .answers import FAILURES, Answer, not_answered
from .heads import Headers, first_line, headers_in

_BYTES, _MOST_LOOKS = 1 << 16, 4
_EMPTY_LINE = b'\r\n\r\n'
_STATUS = re.compile(rb'HTTP/1\.1 ([2-5][0-9][0-9]) ([^\r\n]*)\r\n')
_LENGTH = re.compile(rb'\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n', re.IGNORECASE)
_SPECIAL = frozenset(('transfer-encoding', 'content-encoding', 'connection'))


class Lane:
    """A connection that is open and was idle, for one request to it.

    Small answers, as nearly all are, are there as a whole when the first of their bytes is. What is not, is read by a
    thread that may wait.
    """

    def __init__(self, host: str, target: str, connection: Any, keep: Callable[[Any], None]) -> None:
        self.host = host
        self._target = target
        self._connection = connection
        self._keep = keep
        self._data = b''
        self._looks = 0

    def fileno(self) -> int:
        return self._connection.sock.fileno()

    def give_back(self) -> None:
        """Nothing was sent on it."""
        self._keep(self._connection)

    def close(self) -> None:
        self._connection.close()

    def send(self, method: str, headers: bytes) -> None:
        """Send a request without a body. Raises azure-core's errors."""
        try:
            self._connection.sock.settimeout(0)
            self._connection.ask(first_line(method, self._target) + headers)
        except FAILURES as error:
            self.close()
            raise not_answered(error) from error

    def receive(self, request: Any) -> Optional[Answer]:
        """The answer if all of it is there; None when one has to wait for more. Raises azure-core's errors."""
        try:
            while True:
                chunk = self._connection.sock.recv(_BYTES)
                if not chunk:
                    raise http.client.RemoteDisconnected('the connection ended before the answer did')
                self._data += chunk
                answer = self._small(request)
                if answer:
                    return answer
                self._looks += 1
                if self.needs_a_thread:
                    return None
        except (ssl.SSLWantReadError, BlockingIOError):
            return None
        except FAILURES as error:
            self.close()
            raise not_answered(error) from error

    @property
    def needs_a_thread(self) -> bool:
        """Whether the answer is not a small one that comes in one piece or two."""
        return self._looks >= _MOST_LOOKS

    def wait(self, request: Any, seconds: float) -> Answer:
        """The answer, waited for. Raises azure-core's errors."""
        try:
            self._connection.sock.settimeout(seconds)
            raw = self._connection.answer(_AndMore(self._data, self._connection.sock), request.method)
            answer = Answer(request, raw, self._connection, self._keep)
        except FAILURES as error:
            self.close()
            raise not_answered(error) from error
        answer.read()
        return answer

    def _small(self, request: Any) -> Optional[Answer]:
        """The answer, if it is a whole and a plain one: of a length that it says, as it is, and not the last one."""
        data = self._data
        end = data.find(_EMPTY_LINE) + 2
        length = _LENGTH.search(data, 0, end) if end > 1 else None
        if not length or len(data) != end + 2 + int(length[1]):
            return None
        status = _STATUS.match(data)
        headers = headers_in(data[status.end():end]) if status else Headers()
        if not status or not _SPECIAL.isdisjoint(headers) or headers['content-length'] != length[1].decode():
            self._looks = _MOST_LOOKS
            return None
        answer = Answer(request, _Small(int(status[1]), status[2].decode('iso-8859-1'), headers, data[end + 2:]),
                        self._connection, self._keep)
        answer.read()
        return answer


class _Small(NamedTuple):
    """What is asked of http.client's answers."""

    status: int
    reason: str
    headers: Headers
    body: bytes

    @property
    def length(self) -> int:
        return len(self.body)

    def read(self) -> bytes:
        return self.body


class _AndMore(io.RawIOBase):
    """The bytes that came and then those that come, for http.client, which takes it for a socket."""

    def __init__(self, data: bytes, sock: Any) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._more = sock.makefile('rb', buffering=0)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._data.readinto(buffer) or self._more.readinto(buffer)

    def close(self) -> None:
        self._more.close()
        super().close()
