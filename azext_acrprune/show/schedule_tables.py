"""Schedules as rows for `-o table`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from .fleet_tables import registry_rows
from .sizes import human_size
from .table import BELOW, Table

_SCHEDULES = ('SCHEDULE', 'REGISTRY', 'NEXT_RUN_UTC', 'LAST_RUN_UTC', 'ENDED', 'FREED', 'DELETES', 'CRON')


def schedules_rows(schedules: list[dict[str, Any]]) -> Table:
    """A row for each schedule."""
    return Table((_schedule_row(schedule) for schedule in schedules), columns=_SCHEDULES)


def _schedule_row(schedule: dict[str, Any]) -> dict[str, Any]:
    last = schedule['lastRun'] or {}
    freed = last.get('freedBytes')
    return OrderedDict(
        SCHEDULE=schedule['schedule'],
        REGISTRY=schedule['registry'],
        CRON=schedule['cron'] or '',
        DELETES='yes' if schedule['enforce'] else 'no',
        LAST_RUN_UTC=_minute(last.get('startedAt')),
        ENDED=last.get('exitReason') or last.get('state') or 'has not run',
        FREED='' if freed is None else human_size(freed),
        NEXT_RUN_UTC=_minute(schedule['nextRun']) or ('is off' if schedule['cron'] else 'no timer'),
    )


def schedule_rows(schedule: dict[str, Any]) -> Table:
    """One schedule on one screen, or what creating it would do; of several registries a row for each."""
    if 'registries' in schedule:
        return registry_rows(schedule)
    task = OrderedDict({'WHAT': 'task', 'TOLD': 'as YAML, below', BELOW: schedule['yaml'].splitlines()})
    return Table([*(OrderedDict(WHAT=label, TOLD=text) for label, text in _told(schedule)), task], below=('TOLD',))


def _told(schedule: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield 'schedule', f'{schedule["schedule"]} on {schedule["registry"]}'
    yield 'when', f'{schedule["cron"]} (UTC)' if schedule['cron'] else 'never: the task has no timer'
    yield 'next run', _minute(schedule['nextRun']) or ('none: it is off' if schedule['cron'] else 'none')
    yield 'deletes', 'yes, after a first run that only previews' if schedule['enforce'] else 'no, it plans and reports'
    yield 'identity', schedule['identity'] or 'none: the task has lost it'
    if schedule.get('artifact'):
        yield 'artifact', f'{schedule["artifact"]["reference"]} {schedule["artifact"]["digest"]}'
    if schedule.get('reportArtifact'):
        yield 'reports', str(schedule['reportArtifact'])
    last = schedule.get('lastRun')
    if last:
        yield 'last run', f'{last["runId"]} {_minute(last["startedAt"])} {last["exitReason"] or last["state"]}'
    for role in schedule.get('roles') or ():
        state = {'assigned': 'assigned', 'wasAssigned': 'was assigned', 'notAssigned': 'not assigned'}[role['state']]
        yield 'role', f'{role["role"]} ({state}) at {role["scope"]}'


def log_rows(document: dict[str, Any]) -> Table:
    """The log, line by line."""
    return Table(OrderedDict(LOG=line) for line in document['log'])


def _minute(time: str | None) -> str:
    return (time or '')[:16].replace('T', ' ')
