"""What a run did, as far as it came: what its summary and its metrics are written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EndedRun:
    """A run of `plan`, or of a command that deletes, after its end.

    `plan` is the plan document, None where an error came first; `result` that of what was deleted, None where nothing
    was tried. `error` is the sentence of the error that ended the run, empty without one, and `advice` what to do then.
    `target` names the registry in commands. `plan_file` is where the plan was written, and `archive` where a copy of
    what went is. `undo` is the command that brings back what was deleted, and how. `ended_at` is in seconds since 1970;
    `calls` were sent, and `refused` of them answered with 429. `interrupted` says that somebody stopped the run, before
    or while it deleted.
    """

    command: str
    registry: str
    target: tuple[str, ...]
    plan: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: str = ''
    advice: str = ''
    plan_file: str | None = None
    archive: str | None = None
    undo: dict[str, Any] | None = None
    ended_at: float = 0.0
    seconds: float = 0.0
    calls: int = 0
    refused: int = 0
    interrupted: bool = False
    exit_code: int = 0
