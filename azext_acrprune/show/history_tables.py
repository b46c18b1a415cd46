"""What earlier runs did, as rows for `-o table`: a row for each run, or one run on one screen."""

from __future__ import annotations

import shutil
import textwrap
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from ..decide.reasons import TOLD
from .money import since_line
from .sizes import count, freed_size, human_size, short_digest
from .table import Table, command_lines

_LINES = 21
"""What is left of a screen of 24 lines: a table has two lines of heading, and the prompt needs one."""
_LABEL = 11
_MOST = 4
_LEAST_WIDTH = 40

_DONE = {
    'deleteManifest': ('manifest', 'deleted'),
    'deleteTag': ('tag', 'removed'),
    'lock': ('lock', 'set'),
    'unlock': ('lock', 'taken off'),
    'putManifest': ('manifest', 'pushed'),
    'restoreDeleted': ('manifest', 'brought back from soft delete'),
}
"""What became of the things that a request was sent for, where it was done."""


_RUNS = ('RUN', 'COMMAND', 'DONE', 'FREED', 'ENDED_UTC', 'NOT_DONE', 'WHO', 'REGISTRY')
_REQUESTS = ('REPOSITORY', 'WHAT', 'OUTCOME', 'REQUEST', 'AT')


def runs_rows(runs: list[dict[str, Any]]) -> Table:
    """A row for each run, the last one first."""
    rows = (
        OrderedDict(
            RUN=run['run'],
            WHO=run['who'],
            COMMAND=str(run['command'] or '').removeprefix('az acr prune '),
            REGISTRY=run['registry'],
            DONE=run['done'],
            NOT_DONE=run['notDone'] + run['unknown'],
            FREED='' if run['freedBytes'] is None else human_size(run['freedBytes']),
            ENDED_UTC=_end_of(run),
        )
        for run in runs
    )
    return Table(rows, columns=_RUNS)


def _end_of(run: dict[str, Any]) -> str:
    ended = run['error'] or (run['endedAt'] or '')[:16].replace('T', ' ') or 'was killed, or is not over'
    return f'{ended}; left {len(run["leftUnlocked"])} unlocked' if run['leftUnlocked'] else str(ended)


def run_rows(story: dict[str, Any]) -> Table:
    """One run on one screen of 24 lines, as wide as the terminal; or a row for each request, where that is asked."""
    if 'command' not in story:
        return Table(map(_request_row, story['requests']), columns=_REQUESTS)
    width = max(shutil.get_terminal_size().columns - _LABEL - 2, _LEAST_WIDTH)
    undo = list(_undo(story['undo'], width))
    lines = [line for label, text in _told(story) for line in _fitting(label, text, width)]
    lines = lines[: _LINES - len(undo)]
    return Table(OrderedDict(WHAT=label, TOLD=text) for label, text in [*lines, *undo])


def _request_row(entry: dict[str, Any]) -> dict[str, Any]:
    return OrderedDict(
        AT=entry['at'],
        REQUEST=entry['request'],
        REPOSITORY=entry['repository'],
        WHAT=short_digest(entry.get('tag') or entry.get('digest', '')),
        OUTCOME=entry['outcome'],
    )


def _told(story: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(label, sentence) of what there is to say, the most important first."""
    where = ' on '.join(part for part in (story['who'], story['host']) if part)
    yield 'run', f'{story["run"]} of {where or "nobody knows who"}'
    if story.get('image'):
        yield from _image(story)
    yield (
        'when',
        f'{_minute(story["at"])} to {_minute(story["endedAt"]) or "nobody knows when: it was killed, or is not over"}',
    )
    yield 'where', story['registry'] or 'unknown'
    yield 'command', ' '.join([str(story['command']), *story['options']])
    for row in story['leftUnlocked'][:_MOST]:
        name = (
            f'{row["repository"]}:{row["tag"]}' if row['tag'] else f'{row["repository"]}@{short_digest(row["digest"])}'
        )
        yield 'unlocked', f'{name} was left without its lock; the next command that deletes sets it again'
    if story['pipeline']:
        yield 'pipeline', story['pipeline']
    yield from _bytes(story)
    yield 'did', _did(story)
    for row in story['reasons'][:_MOST]:
        yield 'why', _reason(row)
    for row in story['repositories'][:_MOST]:
        yield (
            'from',
            f'{row["repository"]}: {count(row["manifestsDeleted"], "manifest")}, {count(row["tagsDeleted"], "tag")}',
        )
    if len(story['repositories']) > _MOST:
        yield 'from', f'and {len(story["repositories"]) - _MOST} more repositories'
    if story['error']:
        yield 'error', story['error']
    failed, number = story['failed'], story['notDone'] + story['unknown']
    for row in failed[: _MOST - (number > _MOST)]:
        yield (
            'not done',
            f'{row["repository"]} {short_digest(row.get("tag") or row.get("digest") or "")}: {row["error"]}',
        )
    if number > _MOST:
        yield 'not done', f'and {number - _MOST + 1} more'


def _image(story: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield 'image', f'{story["image"]}, {short_digest(story["digest"])}'
    for entry in story['requests'][:1]:
        why = TOLD[entry['reason']].label if entry.get('reason') in TOLD else ''
        yield 'it went', f'{_minute(entry["at"])}: {why} ({short_digest(entry.get("because") or "")})'


def _minute(time: str | None) -> str:
    return time[:16].replace('T', ' ') + ' UTC' if time else ''


def _bytes(story: dict[str, Any]) -> Iterator[tuple[str, str]]:
    promised, freed = story['promised'], story['freedBytes']
    if promised:
        yield (
            'promised',
            f'{freed_size(promised["freedBytes"], promised["impact"])}, '
            f'{count(promised["manifestsToDelete"], "manifest")}, {count(promised["tagsToDelete"], "tag")}',
        )
    if freed is not None:
        yield 'freed', freed_size(freed, story['summary']['impact'])
    if story.get('since'):
        yield 'Azure', since_line(story['since'])


def _did(story: dict[str, Any]) -> str:
    went = f'{count(story["manifestsDeleted"], "manifest")} and {count(story["tagsDeleted"], "tag")} went'
    deleted = bool(story['manifestsDeleted'] or story['tagsDeleted'])
    parts = [went] if deleted else []
    parts += [
        f'{count(number, _DONE[request][0])} {_DONE[request][1]}'
        for request, number in story['doneByRequest'].items()
        if request in _DONE and not (deleted and request.startswith('delete'))
    ]
    parts += [f'{story["notDone"]} not done'] if story['notDone'] else []
    parts += [f'nothing was heard of {story["unknown"]}'] if story['unknown'] else []
    skipped = (story['summary'] or {}).get('skipped')
    return '; '.join(parts + ([f'{skipped} skipped'] if skipped else [])) or 'nothing'


def _reason(row: dict[str, Any]) -> str:
    label = TOLD[row['reason']].label if row['reason'] in TOLD else row['reason']
    because = f' ({short_digest(row["because"])})' if row['because'] else ''
    return f'{count(row["manifestsDeleted"], "manifest")}, {count(row["tagsDeleted"], "tag")}: {label}{because}'


def _undo(undo: dict[str, Any], width: int) -> Iterator[tuple[str, str]]:
    """How it is undone; a command is never cut: it goes on with `\\` on the next line."""
    yield from _fitting('undo', undo['how'], width)
    for line in command_lines(undo['command'], width) if undo['command'] else ():
        yield '', line


def _fitting(label: str, text: str, width: int) -> Iterable[tuple[str, str]]:
    """Two lines at most."""
    lines = textwrap.wrap(text, width, max_lines=2, placeholder=' …') or ['']
    return [(label if not number else '', line) for number, line in enumerate(lines)]
