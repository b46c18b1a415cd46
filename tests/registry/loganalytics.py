"""The query API of Log Analytics, with the events of registries in one table.

It answers the four questions that are asked of it, from the single events, in the shape of recorded answers of the
service: times with seven digits, empty text where there is none, a partial answer over the limit of rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from .answers import Answer, Call, json_answer

WORKSPACE = '44444444-4444-4444-4444-444444444444'
_TABLE = 'ContainerRegistryRepositoryEvents'
_SERVER = re.compile(r"\| where LoginServer =~ '([^']*)'")
_AGENT = re.compile(r"UserAgent !contains '([^']*)'")
_IDENTITY = re.compile(r"Identity !~ '([^']*)'")


_PULLER = ('Repository', 'Digest', 'Tag', 'Identity', 'UserAgent', 'CallerIpAddress', 'Last')


@dataclass(frozen=True)
class Event:
    """A row of the table; `at` is in seconds since 1970."""

    at: float
    operation: str = 'Pull'
    repository: str = ''
    digest: str = ''
    tag: str = ''
    agent: str = 'containerd/1.7.15'
    server: str | None = None
    identity: str = ''
    address: str = ''


@dataclass
class Logs:
    """One workspace. `most_rows` is where answers are cut off; `body` and `status` take the place of an answer."""

    server: str = ''
    events: list[Event] = field(default_factory=list)
    has_table: bool = True
    most_rows: int = 500_000
    tells: bool = True
    status: int = 200
    body: bytes | None = None
    queries: list[dict[str, Any]] = field(default_factory=list)

    def query(self, storage: Any, call: Call, workspace: str) -> Answer:
        asked = json.loads(call.body)
        self.queries.append(asked)
        if not call.headers.get('Authorization', '').startswith('Bearer '):
            return _error(401, 'InvalidTokenError', 'The provided authentication is not valid')
        if self.status != 200 or self.body is not None:
            return Answer(self.status, self.body or b'', {'Content-Type': 'application/json; charset=utf-8'})
        if workspace != WORKSPACE:
            return _error(404, 'WorkspaceNotFoundError', f'The workspace {workspace} could not be found')
        if not self.has_table:
            return _error(
                400,
                'BadArgumentError',
                'The request had some invalid properties',
                'SemanticError',
                (f"'where' operator: Failed to resolve table or column expression named '{_TABLE}'"),
            )
        return self._answer(asked['query'], list(self._seen(asked)))

    def _seen(self, asked: dict[str, Any]) -> Iterable[Event]:
        start, end = _span(asked.get('timespan'))
        server = _SERVER.search(asked['query'])[1].lower()
        for event in self.events:
            if (event.server or self.server).lower() == server and start <= event.at <= end:
                yield event

    def _answer(self, query: str, events: list[Event]) -> Answer:
        assert query.startswith(f'{_TABLE}\n| where LoginServer =~ ')
        if 'CallerIpAddress' in query:
            names, rows = _PULLER, _pullers(_heeded(events, query))
        elif "!contains 'pull'" in query:
            names = ('Repository', 'Digest', 'Tag', 'OperationName', 'At')
            rows = _changes(events)
        elif "contains 'pull'" in query:
            names, rows = ('Repository', 'Digest', 'Tag', 'First', 'Last'), _pulls(_heeded(events, query))
        elif "contains 'push'" in query:
            names, rows = ('Repository', 'Tag', 'Digest', 'At'), _pushes(events)
        else:
            names, rows = ('First', 'Last'), _days(events)
        columns = [{'name': name, 'type': 'string'} for name in names]
        document = {'tables': [{'name': 'PrimaryResult', 'columns': columns, 'rows': rows[: self.most_rows]}]}
        if len(rows) > self.most_rows and self.tells:
            document['error'] = _PARTIAL
        return json_answer(document)


_PARTIAL = {
    'code': 'PartialError',
    'message': 'There were some errors when processing your query.',
    'details': [
        {
            'code': 'EngineError',
            'message': 'Something went wrong processing your query on the server.',
            'innererror': {
                'code': '-2133196797',
                'severity': 2,
                'severityName': 'Error',
                'message': (
                    'The results of this query exceed the set limit of 64000000 bytes, so not all records were '
                    'returned '
                    '(E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003).'
                ),
            },
        }
    ],
}


def _days(events: list[Event]) -> list[list[str]]:
    days: dict[int, list[float]] = {}
    for event in events:
        days.setdefault(int(event.at // 86_400), []).append(event.at)
    return [[_text(min(times)), _text(max(times))] for times in days.values()]


def _heeded(events: list[Event], query: str) -> list[Event]:
    """The events that a query does not leave out by their user agent or their identity."""
    agents = [agent.lower() for agent in _AGENT.findall(query)]
    identities = [identity.lower() for identity in _IDENTITY.findall(query)]
    return [
        event
        for event in events
        if not any(agent in event.agent.lower() for agent in agents) and event.identity.lower() not in identities
    ]


def _pulls(events: list[Event]) -> list[list[str]]:
    groups: dict[tuple[Any, ...], list[float]] = {}
    for event in events:
        if 'pull' in event.operation.lower() and event.repository:
            day = None if event.digest else int(event.at // 86_400)
            groups.setdefault((event.repository, event.digest, event.tag, day), []).append(event.at)
    return [[*key[:3], _text(min(times)), _text(max(times))] for key, times in groups.items()]


def _pullers(events: list[Event]) -> list[list[str]]:
    groups: dict[tuple[str, ...], float] = {}
    for event in events:
        if 'pull' in event.operation.lower() and event.repository:
            key = (event.repository, event.digest, event.tag, event.identity, event.agent, event.address)
            groups[key] = max(event.at, groups.get(key, event.at))
    return [[*key, _text(at)] for key, at in groups.items()]


def _pushes(events: list[Event]) -> list[list[str]]:
    return [
        [event.repository, event.tag, event.digest, _text(event.at)]
        for event in events
        if 'push' in event.operation.lower() and event.repository and event.tag and event.digest
    ]


def _changes(events: list[Event]) -> list[list[str]]:
    last: dict[tuple[str, ...], float] = {}
    for event in events:
        if 'pull' not in event.operation.lower() and event.repository:
            key = (event.repository, event.digest, event.tag, event.operation)
            last[key] = max(event.at, last.get(key, 0.0))
    return [[*key, _text(at)] for key, at in last.items()]


def _span(text: str | None) -> tuple[float, float]:
    if not text:
        return float('-inf'), float('inf')
    start, end = (datetime.fromisoformat(part.replace('Z', '+00:00')) for part in text.split('/'))
    return start.timestamp(), end.timestamp()


def _text(at: float) -> str:
    moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=at)
    return moment.strftime('%Y-%m-%dT%H:%M:%S.%f') + '0Z'


def _error(status: int, code: str, message: str, inner: str = '', innermost: str = '') -> Answer:
    error: dict[str, Any] = {'code': code, 'message': message}
    if inner:
        error['innererror'] = {
            'code': inner,
            'message': 'A semantic error occurred.',
            'innererror': {'code': 'SEM0100', 'message': innermost},
        }
    return json_answer({'error': error}, status)
