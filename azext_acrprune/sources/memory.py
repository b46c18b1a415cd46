"""What running systems were seen to use: a file of JSON lines to which each look adds one, and nothing is taken away.

A system that is down, or scaled to nothing, keeps so what it ran within some time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..pins.pinned import Pin, Problem
from ..pins.references import Reference
from ..prune_error import Kind, PruneError
from ..spelling import json_line, printable
from ..state_files import file_of_registry


class UnreadableMemory(PruneError):
    """What was seen cannot be written down or read."""

    kind = Kind.FILE
    sentence = '{message}.'
    advice = (
        'It is below the configuration folder of az. Move it away to begin anew with '
        "'az acr prune pins remember -r {target} --pins-from kubectl'."
    )


_CUT_OFF = b'\x18'
"""Ends a line whose writer died in it, so that what is written next stands in a line of its own."""


@dataclass(frozen=True)
class Seen:
    """What one system used at one time; `system` is how a user names it, such as `kubectl:production`.

    `open_problems` counts what could not be read or followed then.
    """

    at: datetime
    system: str
    pins: tuple[Pin, ...]
    open_problems: int = 0


def memory_path(folder: str, host: str) -> Path:
    """Where the memory of the registry with this login server is, below az's configuration folder."""
    return file_of_registry(folder, host, '.ran.jsonl')


class Memory:
    """What was seen of one registry. Every method raises UnreadableMemory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, seen: Seen) -> None:
        """Write a line down, on the disk; only its owner may read it."""
        line = (json_line(_line(seen)) + '\n').encode()
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            line = self._after_what_was_cut_off() + line
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                if os.write(file, line) != len(line):
                    raise UnreadableMemory(f"What runs cannot be written to '{self._path}' as a whole")
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise UnreadableMemory(f"What runs cannot be written to '{self._path}': {error.strerror}") from error

    def _after_what_was_cut_off(self) -> bytes:
        """What has to stand before a new line."""
        try:
            with self._path.open('rb') as file:
                file.seek(-1, os.SEEK_END)
                return b'' if file.read(1) == b'\n' else _CUT_OFF + b'\n'
        except OSError:  # there is no file, or nothing in it
            return b''

    def every(self) -> list[Seen]:
        """All that was seen, oldest first. A line that was cut off when its writer died is left out."""
        try:
            lines = self._path.read_bytes().split(b'\n')
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnreadableMemory(f"'{self._path}' cannot be read: {error.strerror}") from error
        return sorted(self._read(lines), key=lambda seen: seen.at)  # several machines may have written

    def _read(self, lines: list[bytes]) -> Iterator[Seen]:
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.endswith(_CUT_OFF):
                try:
                    yield _seen(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                    if number == len(lines):
                        return
                    raise UnreadableMemory(f"Line {number} of '{self._path}' cannot be read") from error


def within(seen: Iterable[Seen], since: datetime) -> tuple[Pin, ...]:
    """Each image that was seen since a time, once; its source says when it was seen last."""
    latest: dict[Reference, Pin] = {}
    for look in seen:
        if look.at >= since:
            for pin in look.pins:
                latest[pin.reference] = Pin(pin.reference, f'{pin.source}, seen {look.at:%Y-%m-%d %H:%M} UTC')
    return tuple(latest.values())


def seen_in_part(seen: Iterable[Seen], asked: Iterable[str]) -> Iterator[Problem]:
    """A problem for each system whose last look left something open; those that are `asked` now say so themselves."""
    last = {look.system: look for look in seen}
    for system, look in last.items():
        if look.open_problems and system not in asked:
            said = f'what it runs was not all known on {look.at:%Y-%m-%d %H:%M} UTC: look again with pins remember'
            yield Problem(said, printable(system))


def _line(seen: Seen) -> dict[str, Any]:
    return {
        'at': seen.at.astimezone(timezone.utc).isoformat(),
        'system': seen.system,
        'openProblems': seen.open_problems,
        'pins': [
            [pin.reference.repository, pin.reference.tag, pin.reference.digest, pin.reference.certain, pin.where]
            for pin in seen.pins
        ],
    }


def _seen(line: dict[str, Any]) -> Seen:
    pins = tuple(
        Pin(Reference(str(repository), tag, digest, bool(certain)), str(where))
        for repository, tag, digest, certain, where in line['pins']
    )
    at = datetime.fromisoformat(line['at']).astimezone(timezone.utc)
    return Seen(at, str(line['system']), pins, int(line.get('openProblems', 0)))
