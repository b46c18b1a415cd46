"""Why a command ended as it did, in one word, and the exit code that this word means.

Every document that says what became of something has the word as `exitReason`. The exit code comes from it and from
nothing else, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .model import UNREAD_REPOSITORY

DONE = 'done'
NOTHING_TO_DO = 'nothingToDo'
WOULD_CHANGE = 'wouldChange'
TIME_LIMIT = 'timeLimit'
INTERRUPTED = 'interrupted'
FAILED = 'failed'
SOMETHING_NOT_ARCHIVED = 'notArchived'
SOMETHING_UNREAD = 'unread'
UNVERIFIED = 'notVerified'
UNSETTLED = 'leftUnlocked'
SOMETHING_BROKEN = 'broken'
NAMED_STAYS = 'stays'
TAKES_MORE = 'takesMore'
NOT_WRITTEN = 'notWritten'

CODES: Mapping[str, int] = {
    DONE: 0,
    NOTHING_TO_DO: 0,
    WOULD_CHANGE: 0,
    TIME_LIMIT: 0,
    INTERRUPTED: 1,
    FAILED: 1,
    SOMETHING_NOT_ARCHIVED: 1,
    SOMETHING_UNREAD: 1,
    UNVERIFIED: 1,
    UNSETTLED: 1,
    SOMETHING_BROKEN: 1,
    NAMED_STAYS: 1,
    TAKES_MORE: 1,
    NOT_WRITTEN: 1,
}
"""The exit code of each word. Errors have no document, and so no word."""

_WORST_FIRST = (*(reason for reason, code in CODES.items() if code), TIME_LIMIT, WOULD_CHANGE, DONE, NOTHING_TO_DO)

_WOULD_CHANGE_IN_DETAIL = 2

_ACTIONS = ('delete', 'untag', 'deleteLater', 'retire', 'unretire', 'lock', 'unlock')
_ACTIONS_DONE = ('deleted', 'untagged', 'deletedLater', 'retired', 'unretired', 'locked', 'unlocked', 'goneBefore')


def code_of(reason: str, in_detail: bool = False) -> int:
    """The exit code; `in_detail` as Terraform has it, 2 where something would change."""
    return _WOULD_CHANGE_IN_DETAIL if in_detail and reason == WOULD_CHANGE else CODES[reason]


def is_unread(document: Mapping[str, Any]) -> bool:
    """Whether a document is not of all that was asked for, because a repository could not be read."""
    return any(warning['code'] == UNREAD_REPOSITORY for warning in document['warnings'])


def reason_of_reading(document: Mapping[str, Any]) -> str:
    """Of a command that only reads."""
    return SOMETHING_UNREAD if is_unread(document) else DONE


def changes_nothing(plan: Mapping[str, Any]) -> bool:
    """Whether a plan deletes, removes, retires and locks nothing."""
    return not any(plan.get(kind) for kind in _ACTIONS)


def reason_of_plan(plan: Mapping[str, Any]) -> str:
    """Of a plan and of a dry run."""
    if is_unread(plan):
        return SOMETHING_UNREAD
    return NOTHING_TO_DO if changes_nothing(plan) else WOULD_CHANGE


def reason_of_run(result: Mapping[str, Any], found: Mapping[str, object]) -> str:
    """Of a run that was to change a registry.

    `found` says of the words that the result does not tell whether they are true.
    """
    summary = result['summary']
    out_of_time = summary['timeLimitReached']
    told: dict[str, object] = {
        INTERRUPTED: summary['interrupted'],
        FAILED: summary['failed'],
        UNVERIFIED: result['warnings'] and not out_of_time,
    }
    worst = first_of({**told, **found})
    if worst:
        return worst
    if out_of_time:
        return TIME_LIMIT
    return DONE if any(result.get(kind) for kind in (*_ACTIONS_DONE, 'skipped')) else NOTHING_TO_DO


def reason_of_restoring(document: Mapping[str, Any], would_change: bool) -> str:
    """Of what brings back: `would_change` where it only says what it would do."""
    summary = document['summary']
    worst = first_of({INTERRUPTED: document['interrupted'], FAILED: summary['failed']})
    if worst:
        return worst
    if would_change:
        return WOULD_CHANGE if document['restore'] or document['tags'] or document.get('moved') else NOTHING_TO_DO
    is_changed = document['restored'] or document['tags'] or document['moved'] or summary['locksSet']
    return DONE if is_changed else NOTHING_TO_DO


def first_of(found: Mapping[str, object]) -> str | None:
    """The first word that is true, in the order of the table, failures first; None where none is."""
    return next((reason for reason in _WORST_FIRST if found.get(reason)), None)
