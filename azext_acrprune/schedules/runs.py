"""What a run of a task says of itself, and what its log says that it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..model import Document

OVER = ('Succeeded', 'Failed', 'Canceled', 'Error', 'Timeout')


def run_document(run: Mapping[str, Any]) -> Document:
    """A run of ACR Tasks, in few words."""
    properties = run.get('properties') or run
    return {
        'runId': properties.get('runId') or run.get('name'),
        'state': properties.get('status'),
        'startedAt': properties.get('startTime'),
        'finishedAt': properties.get('finishTime'),
    }


def is_over(run: Mapping[str, Any]) -> bool:
    return run['state'] in OVER


def answer_in(log: str) -> Document | None:
    """The last document in a log that says what the last step did or would do; None where there is none."""
    decoder = json.JSONDecoder()
    lines = log.splitlines(keepends=True)
    place = len(log)
    for line in reversed(lines):
        place -= len(line)
        if not line.startswith('{'):
            continue
        try:
            found, _ = decoder.raw_decode(log, place)
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(found.get('summary'), dict):
            return {'exitReason': found.get('exitReason'), 'summary': found['summary']}
    return None
