"""Asks a Log Analytics workspace for the events of a registry, by the query client that azure-cli ships.

Answers are summarized by the service, and a question whose answer is too large is asked again for each half of the
time. An answer that is not whole is an error: what it lacks might be the pull that keeps an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError
from azure.core.pipeline.policies import RetryPolicy
from azure.monitor.query import LogsQueryClient, LogsQueryPartialResult

from ..pins.changed import Changed, changed_of
from ..pins.pulls import OUR_USER_AGENT, SEND_THE_LOGS, Pulled, Puller, Pushed, instant, pulled_of, puller_of, pushed_of
from .failure import AskError

MOST_ROWS = 500_000
"""The service gives no more rows than these, and leaves out the rest."""

_UNLIKE_THE_API = (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError)
"""What the client, which trusts an answer, raises for one that is something else."""

_SHORTEST = timedelta(hours=1)
_SHORTEST_FOR_TIME = timedelta(days=7)  # each answer that never comes takes minutes
_TIMED_OUT = 504
_SECONDS_FOR_ALL = 900
_SECONDS_FOR_AN_ANSWER = 200  # the service gives up after 180

_SPANS = 'summarize First = min(TimeGenerated), Last = max(TimeGenerated) by bin(TimeGenerated, 1d)'
_PULLS = (
    f"where OperationName contains 'pull' and UserAgent !contains '{OUR_USER_AGENT}' and isnotempty(Repository)\n"
    '| extend Day = iff(isempty(Digest), bin(TimeGenerated, 1d), datetime(null))\n'
    '| summarize First = min(TimeGenerated), Last = max(TimeGenerated) by Repository, Digest, Tag, Day'
)
_PULLERS = (
    f"where OperationName contains 'pull' and UserAgent !contains '{OUR_USER_AGENT}' and isnotempty(Repository)\n"
    '| summarize Last = max(TimeGenerated) by Repository, Digest, Tag, Identity, UserAgent, CallerIpAddress'
)
_PUSHES = (
    "where OperationName contains 'push' and isnotempty(Repository) and isnotempty(Tag) and isnotempty(Digest)\n"
    '| summarize by Repository, Tag, Digest, At = TimeGenerated'
)
_CHANGES = (
    "where OperationName !contains 'pull' and isnotempty(Repository)\n"
    '| summarize At = max(TimeGenerated) by Repository, Digest, Tag, OperationName'
)

_ADVICE = {
    400: SEND_THE_LOGS,
    401: "Sign in again with 'az login'.",
    403: 'Reading needs the role Log Analytics Reader on the workspace.',
    404: "Check the workspace with 'az monitor log-analytics workspace list'.",
    429: 'Too much is asked of the workspace; try again later.',
}


def open_logs(endpoint: str, credential: Any, options: dict[str, Any]) -> LogsQueryClient:
    """The client of a cloud's query API; `options` are az's own (user agent, logging)."""
    return LogsQueryClient(
        credential,
        endpoint=f'{endpoint.rstrip("/")}/v1',
        audience=endpoint,
        retry_policy=RetryPolicy(retry_total=3, retry_backoff_factor=0.4, timeout=_SECONDS_FOR_ALL),
        read_timeout=_SECONDS_FOR_AN_ANSWER,
        **options,
    )


class RegistryLog:
    """The events of one registry in one workspace, given by its GUID. Every method raises AskError and BadLog."""

    def __init__(self, client: LogsQueryClient, workspace: str, login_server: str) -> None:
        self._client = client
        self._workspace = workspace
        self._events = f'ContainerRegistryRepositoryEvents\n| where LoginServer =~ {_quoted(login_server)}'

    def spans(self) -> list[tuple[int, int]]:
        """The first and last event of each day on which there was one, as far back as the workspace remembers."""
        try:
            rows = self._ask(f'{_SPANS}\n| project {_text("First", "Last")}', 2, None)
        except _TooMuch as error:
            raise self._error(str(error)) from error
        return [(instant(first), instant(last)) for first, last in rows]

    def pulls(
        self, start: datetime, end: datetime, identities: Sequence[str] = (), user_agents: Sequence[str] = ()
    ) -> list[Pulled]:
        """Pulls in a time by anybody but this program, these identities, and user agents with these words."""
        columns = f'Repository, Digest, Tag, {_text("First", "Last")}'
        query = _heeding(_PULLS, identities, user_agents)
        return [pulled_of(row) for row in self._rows(f'{query}\n| project {columns}', 5, start, end)]

    def pullers(
        self, start: datetime, end: datetime, identities: Sequence[str] = (), user_agents: Sequence[str] = ()
    ) -> list[Puller]:
        """Who pulled what in a time, or tried to, with the last time; without those that `pulls` leaves out."""
        columns = f'Repository, Digest, Tag, Identity, UserAgent, CallerIpAddress, {_text("Last")}'
        query = _heeding(_PULLERS, identities, user_agents)
        return [puller_of(row) for row in self._rows(f'{query}\n| project {columns}', 7, start, end)]

    def pushes(self, start: datetime, end: datetime) -> list[Pushed]:
        """Pushes of tags in a time."""
        columns = f'Repository, Tag, Digest, {_text("At")}'
        return [pushed_of(row) for row in self._rows(f'{_PUSHES}\n| project {columns}', 4, start, end)]

    def changes(self, start: datetime, end: datetime) -> list[Changed]:
        """All but pulls in a time, in whichever region; of equal ones the last."""
        columns = f'Repository, Digest, Tag, OperationName, {_text("At")}'
        return [changed_of(row) for row in self._rows(f'{_CHANGES}\n| project {columns}', 5, start, end)]

    def _rows(self, query: str, width: int, start: datetime, end: datetime) -> Iterator[Sequence[Any]]:
        try:
            yield from self._ask(query, width, (start, end))
        except _TooMuch as error:
            if end - start <= error.shortest:
                raise self._error(f'{error}, even for {end - start}') from error
            middle = start + (end - start) / 2
            yield from self._rows(query, width, start, middle)
            yield from self._rows(query, width, middle, end)

    def _ask(self, query: str, width: int, timespan: tuple[datetime, datetime] | None) -> list[Sequence[Any]]:
        text = f'{self._events}\n| {query}'
        answer = self._answered(lambda: self._client.query_workspace(self._workspace, text, timespan=timespan))
        if isinstance(answer, LogsQueryPartialResult):
            raise _TooMuch(f'it gives only a part of the answer ({_reason(answer.partial_error)})')
        if len(answer.tables) != 1 or len(answer.tables[0].columns) != width:
            raise self._error('its answer is not a table of what was asked for')
        rows: list[Sequence[Any]] = [list(row) for row in answer.tables[0].rows]
        if len(rows) >= MOST_ROWS:
            raise _TooMuch('its answer is longer than it can give at once')
        return rows

    def _answered(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except HttpResponseError as error:
            if error.status_code == _TIMED_OUT:
                raise _TooMuch('it takes too long to answer', _SHORTEST_FOR_TIME) from error
            raise self._error(_message(error), _ADVICE.get(error.status_code or 0)) from error
        except ServiceRequestError as error:
            raise self._error(
                str(error.message), 'Check the network, a proxy, and the certificate of the server.'
            ) from error
        except AzureError as error:
            raise self._error(str(error.message)) from error
        except _UNLIKE_THE_API as error:
            raise self._error('its answer is not one of the query API') from error

    def _error(self, why: str, advice: str | None = None) -> AskError:
        return AskError(f'the Log Analytics workspace {self._workspace}', why, advice)


class _TooMuch(Exception):
    """The answer is not whole, because there is too much in it; it is no use to ask for less than `shortest`."""

    def __init__(self, why: str, shortest: timedelta = _SHORTEST) -> None:
        super().__init__(why)
        self.shortest = shortest


def _text(*names: str) -> str:
    """Times as text: with all their digits, whatever a client makes of a datetime."""
    return ', '.join(f'{name} = tostring({name})' for name in names)


def _heeding(query: str, identities: Sequence[str], user_agents: Sequence[str]) -> str:
    """A query without the events of some identities and user agents."""
    ignored = [f'| where Identity !~ {_quoted(each)}\n' for each in identities]
    ignored += [f'| where UserAgent !contains {_quoted(each)}\n' for each in user_agents]
    return query.replace('\n', f'\n{"".join(ignored)}', 1)


def _quoted(text: str) -> str:
    """A string of the query language."""
    escaped = text.replace('\\', '\\\\').replace("'", "\\'")
    return f"'{escaped}'"


def _reason(error: Any) -> str:
    """What a partial error says."""
    texts = [_innermost(detail) for detail in getattr(error, 'details', None) or ()]
    return next(filter(None, texts), '') or str(getattr(error, 'message', None) or 'it does not say why')


def _message(error: HttpResponseError) -> str:
    """What an error says, in one line; the client's own text has the whole answer in it."""
    if error.status_code == 200:
        return 'its answer is cut off, or is not JSON'
    response: Any = error.response
    try:
        text = _innermost(response.json()['error'])
    except _UNLIKE_THE_API:
        text = ''
    return f'{text or error.reason} ({error.status_code})'


def _innermost(error: Any) -> str:
    """The text that tells the reason is the innermost one."""
    while isinstance(error, dict) and isinstance(error.get('innererror'), dict):
        error = error['innererror']
    text = error.get('message') if isinstance(error, dict) else None
    return ' '.join(str(text or '').split()).rstrip('.')
