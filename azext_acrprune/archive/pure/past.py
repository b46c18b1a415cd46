"""The times that things had before they were brought back, and what journals of such runs tell of them. Pure.

A run that brings things back writes down what it is about to bring back (`was`), and afterwards the time that the
registry gives each of them since (`restored`). While a thing has just that time, nobody has touched it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...model import TICKS_PER_SECOND, CameBack, parse_ticks

Key = tuple[str, str, str | None]
"""A repository, a digest, and a tag on it or None for the manifest itself."""


@dataclass(frozen=True)
class Past:
    """A manifest, or with `tag` a tag on it, and the times that it had, as the registry gave them."""

    repository: str
    digest: str
    tag: str | None = None
    created: str | None = None
    updated: str | None = None

    @property
    def key(self) -> Key:
        return self.repository, self.digest, self.tag

    @property
    def fields(self) -> dict[str, str | None]:
        """What a line of a journal says of it."""
        said = {'repository': self.repository, 'digest': self.digest, 'tag': self.tag}
        said.update(createdTime=self.created, lastUpdateTime=self.updated)
        return {name: value for name, value in said.items() if value is not None}


_LAST_REQUEST = 300 * TICKS_PER_SECOND
"""A run that is killed has written down its last request, which is done some time after that; clocks differ, too."""

Span = tuple[int, int]
"""Two instants in ticks, between which something was done."""


@dataclass
class Begun:
    """What runs had begun to bring back, and did not end: `things`, each with the spans of these runs.

    `veiled` are the manifests that they left unreadable. It hears the lines of journals, those of the oldest run first.
    """

    things: dict[Key, list[Span]] = field(default_factory=dict)
    veiled: set[tuple[str, str]] = field(default_factory=set)

    def hear(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Take in the lines of one run."""
        times = [ticks for ticks in (parse_ticks(line.get('at')) for line in lines) if ticks is not None]
        span = (min(times) - _LAST_REQUEST, max(times) + _LAST_REQUEST) if times else (0, 0)
        for line in lines:
            event, node = line['event'], (str(line.get('repository')), str(line.get('digest')))
            if event == 'was':
                spans = self.things.setdefault(_key(line), [])
                spans += [] if span in spans else [span]
            elif event == 'restored':
                self.things.pop(_key(line), None)
            elif event == 'veils':
                self.veiled.add(node)
            elif event == 'unveils':
                self.veiled.discard(node)

    def is_of_run(self, key: Key, updated: int | None) -> bool:
        """Whether a run that had begun to bring something back did so: nobody has touched it after that run."""
        return updated is not None and any(first <= updated <= last for first, last in self.things.get(key, ()))


def came_back_in(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Key, CameBack]]:
    """What a run brought back, with the times that it had."""
    for line in lines:
        at = parse_ticks(line.get('at'))
        if line['event'] == 'restored' and isinstance(line.get('nowTime'), str) and at is not None:
            created, updated = parse_ticks(line.get('createdTime')), parse_ticks(line.get('lastUpdateTime'))
            yield _key(line), CameBack(created, updated, line['nowTime'], at)


def _key(line: Mapping[str, Any]) -> Key:
    tag = line.get('tag')
    return str(line.get('repository')), str(line.get('digest')), None if tag is None else str(tag)
