"""An open connection that a loop watches, for one request after the other, none of which waits.

Small answers, as nearly all are, are there as a whole soon after the first of their bytes is. What is not, is read by a
thread that may wait.

Imported inside a command only: azure-core is heavy.
"""

from __future__ import annotations

import http.client
import io
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .answers import FAILURES, Answer, not_answered
from .heads import END_OF_LINES, Headers, headers_in

_BYTES, _MOST_LOOKS = 1 << 16, 32
_EMPTY_LINE = b'\r\n\r\n'
_STATUS = re.compile(rb'HTTP/1\.1 ([2-5][0-9][0-9]) ([^\r\n]*)\r\n')
_LENGTH = re.compile(rb'\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n')
_SPECIAL = (b'\r\ntransfer-encoding:', b'\r\ncontent-encoding:', b'\r\nconnection:')


class Lane:
    """The connection. `ready` is what its loop calls when there is something to read."""

    def __init__(self, host: str, connection: Any, keep: Callable[[Any], None]) -> None:
        self.host = host
        self.number = connection.sock.fileno()
        self.ready: Callable[[], None] = lambda: None
        self.watched = False
        self._connection = connection
        self._connection.sock.settimeout(0)
        self._keep = keep
        self._data = b''
        self._looks = 0

    def give_back(self) -> None:
        """It is nobody's any more, and nothing is to come on it."""
        self._keep(self._connection)

    def close(self) -> None:
        self._connection.close()

    def send(self, request: bytes) -> None:
        """Raises azure-core's errors; then it is closed."""
        self._data, self._looks = b'', 0
        try:
            if self._connection.sock.send(request) < len(request):
                raise http.client.CannotSendRequest('the connection takes nothing')
        except FAILURES as error:
            self.close()
            raise not_answered(error) from error

    def receive(self, request: Any) -> Answer | None:
        """The answer if all of it is there; None when one has to wait for more.

        Raises azure-core's errors; then it is closed.
        """
        try:
            while not self.needs_a_thread:
                chunk = self._connection.sock.recv(_BYTES)
                if not chunk:
                    raise http.client.RemoteDisconnected('the connection ended before the answer did')
                self._data += chunk
                self._looks += 1
                answer = self._small(request)
                if answer:
                    return answer
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except FAILURES as error:
            self.close()
            raise not_answered(error) from error
        return None

    @property
    def needs_a_thread(self) -> bool:
        """Whether the answer is not a small and plain one, in a few pieces."""
        return self._looks >= _MOST_LOOKS

    def is_of_use(self) -> bool:
        """Whether it is still open, although it has something to say that nobody had asked for."""
        try:
            self._connection.sock.recv(1)
        except (ssl.SSLWantReadError, BlockingIOError):
            return True
        except FAILURES:
            pass
        self.close()
        return False

    def wait(self, request: Any, seconds: float) -> Answer:
        """The answer, waited for; the connection is nobody's then. Raises azure-core's errors."""
        try:
            self._connection.sock.settimeout(seconds)
            raw = self._connection.answer(_AndMore(self._data, self._connection.sock), request.method)
        except FAILURES as error:
            self.close()
            raise not_answered(error) from error
        answer = Answer(request, raw, self._connection, self._keep)
        answer.read()
        return answer

    def _small(self, request: Any) -> Answer | None:
        """The answer, if it is a whole and a plain one: of a length that it says, as it is, and not the last one."""
        end = self._data.find(_EMPTY_LINE) + 2
        if end < 2:
            return self._for_a_thread(END_OF_LINES.search(self._data) is not None)
        head = self._data[:end].lower()
        status, length = _STATUS.match(self._data), _LENGTH.search(head)
        if (
            not status
            or not length
            or head.count(b'\r\ncontent-length:') > 1
            or any(special in head for special in _SPECIAL)
        ):
            return self._for_a_thread(True)
        missing = end + 2 + int(length[1]) - len(self._data)
        if missing:
            return self._for_a_thread(missing < 0)
        raw = _Small(int(status[1]), status[2], _Headers(self._data[status.end() : end], head))
        return Answer(request, raw, content=self._data[end + 2 :])

    def _for_a_thread(self, is_one: bool) -> None:
        """Leave an answer to a thread, which waits for what no loop can know, if it is one for that."""
        if is_one:
            self._looks = _MOST_LOOKS


class _Small:
    """What is asked of http.client's answers."""

    def __init__(self, status: int, reason: bytes, headers: Mapping[str, str]) -> None:
        self.status = status
        self.reason = reason.decode('iso-8859-1')
        self.headers = headers


class _Headers(Mapping[str, str]):
    """Headers that are only read when they are asked for, and there; mostly they are not."""

    def __init__(self, lines: bytes, head: bytes) -> None:
        self._lines = lines
        self._head = head
        self._read: Headers | None = None

    def __getitem__(self, name: str) -> str:
        return self._whole[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole)

    def __len__(self) -> int:
        return len(self._whole)

    def __contains__(self, name: Any) -> bool:
        return b'\n%b:' % name.lower().encode() in self._head and name in self._whole

    def get(self, key: str, default: Any = None) -> Any:
        return self._whole.get(key, default) if key in self else default

    @property
    def _whole(self) -> Headers:
        if self._read is None:
            self._read = headers_in(self._lines)
        return self._read


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
