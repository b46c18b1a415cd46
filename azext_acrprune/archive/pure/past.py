"""The times that things had before they were brought back, and what journals of such runs tell of them. Pure.

A run that brings things back writes down what it is about to bring back (`was`), and afterwards the time that the
registry gives each of them since (`restored`). While a thing has just that time, nobody has touched it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...model import CameBack, parse_ticks

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


@dataclass
class Begun:
    """What runs had begun to bring back, and did not end: `things`; and the manifests that they left unreadable.

    It hears the lines of journals, those of the oldest run first.
    """

    things: set[Key] = field(default_factory=set)
    veiled: set[tuple[str, str]] = field(default_factory=set)

    def hear(self, lines: Iterable[Mapping[str, Any]]) -> None:
        for line in lines:
            event, node = line['event'], (str(line.get('repository')), str(line.get('digest')))
            if event == 'was':
                self.things.add(_key(line))
            elif event == 'restored':
                self.things.discard(_key(line))
            elif event == 'veils':
                self.veiled.add(node)
            elif event == 'unveils':
                self.veiled.discard(node)


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
