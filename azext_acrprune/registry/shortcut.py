"""The way past the pipeline for requests that nothing in it would hold up: a run makes thousands of them.

Such a request has no body, and its token, an open connection and its turn are there at once. Its answer is taken from
here if that is the end of the matter. Whatever else comes of it is given to the pipeline, as the outcome of its own
first try.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple, Union

from azure.core.exceptions import ServiceResponseTimeoutError

from .answers import Answer
from .heads import header_bytes
from .lane import Lane
from .retries import BEGUN_OPTION, Begun, PacingPolicy
from .transport import Transport, all_headers, seconds_to_answer

Outcome = Union[Answer, Exception]


class Small(NamedTuple):
    """A request without a body."""

    method: str
    url: str
    headers: Mapping[str, str]


class Shortcut:
    """Where small requests are begun. `held` gives the token for a repository, if there is one."""

    def __init__(self, transport: Transport, headers: Mapping[str, str], held: Callable[[str], Optional[str]],
                 pacing: PacingPolicy) -> None:
        self._transport = transport
        self._headers = headers
        self._held = held
        self._pacing = pacing
        self._last: Tuple[Any, bytes] = (None, b'')

    def begin(self, request: Small, repository: str) -> Optional['OnItsWay']:
        """Send it; None, and nothing is sent, if that cannot be at once."""
        token = self._held(repository)
        lane = self._transport.lane(request.url) if token else None
        if token is None or lane is None:
            return None
        sent_at = self._pacing.take_turn(request)
        if sent_at is None:
            lane.give_back()
            return None
        begun = OnItsWay(request, lane, sent_at, token, self._pacing)
        begun.send(self._header_bytes(lane.host, token, request.headers))
        return begun

    def _header_bytes(self, host: str, token: str, headers: Mapping[str, str]) -> bytes:
        """They are the same for thousands of requests."""
        asked, found = (host, token, headers), self._last
        if found[0] != asked:
            own = {**self._headers, **headers, 'Authorization': f'Bearer {token}'}
            found = self._last = asked, header_bytes(all_headers(own, host))
        return found[1]


class OnItsWay:
    """A request that was sent, and what comes of it: an answer, or the error in its place."""

    def __init__(self, request: Small, lane: Lane, sent_at: float, token: str, pacing: PacingPolicy) -> None:
        self.request = request
        self.outcome: Optional[Outcome] = None
        self._lane = lane
        self._sent_at = sent_at
        self._token = token
        self._pacing = pacing

    def send(self, headers: bytes) -> None:
        self._take(lambda: self._lane.send(self.request.method, headers))

    @property
    def seconds(self) -> float:
        """How long the answer is waited for."""
        return seconds_to_answer(self._pacing.answer_options(self.request))

    @property
    def needs_a_thread(self) -> bool:
        return self._lane.needs_a_thread

    def fileno(self) -> int:
        return self._lane.fileno()

    def look(self) -> None:
        """Take the outcome, if it is there."""
        self._take(lambda: self._lane.receive(self.request))

    def wait(self) -> None:
        """Wait for the outcome."""
        self._take(lambda: self._lane.wait(self.request, self.seconds))

    def give_up(self) -> None:
        """It took too long."""
        self._lane.close()
        self.outcome = ServiceResponseTimeoutError('The answer did not come in time')

    def is_settled(self) -> bool:
        """Whether the outcome is the end of the matter; then the pacer has learned from it.

        So is that something is not there: a delete takes others with it.
        """
        if not isinstance(self.outcome, Answer):
            return False
        gone = self.outcome.status_code == 404 and 'Retry-After' not in self.outcome.headers
        if self.outcome.status_code < 300 or gone:
            self._pacing.accepted(self.request, self.outcome, self._sent_at)
            return True
        return False

    def for_the_pipeline(self) -> Tuple[Mapping[str, str], Dict[str, Any]]:
        """Headers and options that tell the pipeline what was sent, and what came of it."""
        headers = {**self.request.headers, 'Authorization': f'Bearer {self._token}'}
        return headers, {BEGUN_OPTION: Begun(self._sent_at, self.outcome)}

    def _take(self, work: Callable[[], Optional[Answer]]) -> None:
        try:
            self.outcome = work()
        except Exception as error:  # pylint: disable=broad-exception-caught  # the pipeline raises it again
            self.outcome = error
