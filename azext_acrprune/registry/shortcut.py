"""The way past the pipeline for requests that nothing in it would hold up: a run makes thousands of them.

Such a request has no body, and its token, an open connection and its turn are there at once. Its answer is taken from
here if that is the end of the matter. Whatever else comes of it is given to the pipeline, as the outcome of its own
first try.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Union

from azure.core.exceptions import ServiceResponseTimeoutError

from .answers import Answer
from .heads import first_line, header_bytes
from .lane import Lane
from .protocol.pacing import Calls
from .retries import BEGUN_OPTION, REMAINING, Begun, PacingPolicy
from .transport import Transport, address_of, all_headers, seconds_to_answer

Outcome = Union[Answer, Exception]


class Small(NamedTuple):
    """A request without a body."""

    method: str
    url: str
    headers: Mapping[str, str]


class Shortcut:
    """Where small requests are begun. `held` gives the token for a repository, if there is one."""

    def __init__(
        self, transport: Transport, headers: Mapping[str, str], held: Callable[[str], str | None], pacing: PacingPolicy
    ) -> None:
        self._transport = transport
        self._headers = headers
        self._held = held
        self._pacing = pacing
        self._last: tuple[Any, bytes] = (None, b'')

    def begin(self, request: Small, repository: str, lanes: list[Lane]) -> OnItsWay | None:
        """Send it on one of these lanes, or on a new one; None, and nothing is sent, if that cannot be at once."""
        token = self._held(repository)
        if token is None:
            return None
        host, target = address_of(request.url)
        lane = lanes.pop() if lanes else self._transport.lane(host)
        if lane is None:
            return None
        calls = Calls.READS if request.method == 'GET' else Calls.WRITES
        sent_at = self._pacing.take_turn(calls) if lane.host == host else None
        if sent_at is None:
            lanes.append(lane)
            return None
        begun = OnItsWay(request, lane, calls, sent_at, token, self._pacing)
        begun.send(first_line(request.method, target) + self._header_bytes(host, token, request.headers))
        return begun

    def _header_bytes(self, host: str, token: str, headers: Mapping[str, str]) -> bytes:
        """They are the same for thousands of requests."""
        asked, found = (host, token, headers), self._last
        if found[0] != asked:
            own = {**self._headers, **headers, 'Authorization': f'Bearer {token}'}
            found = self._last = asked, header_bytes(all_headers(own, host))
        return found[1]


class OnItsWay:
    """A request that was sent, and what comes of it: an answer, or the error in its place.

    It is `settled` when the outcome is the end of the matter. So is that something is not there: a delete takes others
    with it. Whatever else it is, the pipeline goes on from there.
    """

    def __init__(
        self, request: Small, lane: Lane, calls: Calls, sent_at: float, token: str, pacing: PacingPolicy
    ) -> None:
        self.request = request
        self.lane = lane
        self.outcome: Outcome | None = None
        self.settled = False
        self._calls = calls
        self._sent_at = sent_at
        self._token = token
        self._pacing = pacing

    def send(self, data: bytes) -> None:
        self._take(lambda: self.lane.send(data))

    @property
    def seconds(self) -> float:
        """How long the answer is waited for."""
        return seconds_to_answer(self._pacing.answer_seconds(self._calls))

    def look(self) -> bool:
        """Take the outcome, if it is there; gives whether there is more to see by looking again."""
        self._take(lambda: self.lane.receive(self.request))
        return self.outcome is None and not self.lane.needs_a_thread

    def wait(self) -> None:
        """Wait for the outcome."""
        self._take(lambda: self.lane.wait(self.request, self.seconds))

    def give_up(self) -> None:
        """It took too long."""
        self.lane.close()
        self.outcome = ServiceResponseTimeoutError('The answer did not come in time')

    def for_the_pipeline(self) -> tuple[Mapping[str, str], dict[str, Any]]:
        """Headers and options that tell the pipeline what was sent, and what came of it."""
        headers = {**self.request.headers, 'Authorization': f'Bearer {self._token}'}
        return headers, {BEGUN_OPTION: Begun(self._sent_at, self.outcome)}

    def _take(self, work: Callable[[], Answer | None]) -> None:
        try:
            answer = self.outcome = work()
            if answer is not None:
                status, headers = answer.status_code, answer.headers
                self.settled = status < 300 or status == 404 and 'Retry-After' not in headers
                if self.settled:  # else the pipeline learns from it
                    self._pacing.accepted(self._calls, status, headers.get(REMAINING), self._sent_at)
        except Exception as error:  # pylint: disable=broad-exception-caught  # the pipeline raises it again
            self.outcome = error
