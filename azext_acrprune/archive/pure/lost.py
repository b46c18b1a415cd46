"""What a run deleted, as its journal tells. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...model import Locks

_NOT_DONE = ('locked', 'late', 'forbidden', 'unauthenticated', 'busy', 'moved')
"""Outcomes of requests that took nothing from the manifest that they name."""


@dataclass(frozen=True)
class Lost:
    """A manifest that a run deleted, with the tags and locks that it had, or with `untagged` tags that it lost."""

    repository: str
    digest: str
    media_type: str | None
    tags: tuple[tuple[str, Locks], ...]
    locks: Locks
    untagged: bool = False


def is_deletion(line: Mapping[str, Any]) -> bool:
    """Whether a line of a journal is a request to delete something: runs lock and unlock, too."""
    return line['event'] == 'request' and line.get('request') in ('deleteManifest', 'deleteTag')


def lost_in(lines: Iterable[Mapping[str, Any]]) -> list[Lost]:
    """What a run deleted, the last first: what was deleted after something else is needed by it.

    What the service deleted together with a subject comes after that subject. A request may be sent more than once;
    it took nothing only when each of them was refused, for one without an outcome may have been done.
    """
    lines = list(lines)
    maybe_done = _maybe_done(lines)
    requests: dict[Any, Mapping[str, Any]] = {}
    falling: dict[Any, list[Mapping[str, Any]]] = {}
    for line in lines:
        if line['event'] == 'falls':
            falling.setdefault((line.get('repository'), line.get('subject')), []).append(line)
        elif is_deletion(line) and _key(line) in maybe_done:
            requests.setdefault(_key(line), line)
    return [lost for line in _newest_first(requests, falling) for lost in _lost(line)]


def _maybe_done(lines: Iterable[Mapping[str, Any]]) -> set[Any]:
    """The requests that were sent more often than they were refused."""
    sent: Counter[Any] = Counter()
    for line in lines:
        if is_deletion(line):
            sent[_key(line)] += 1
        elif line['event'] == 'outcome' and line.get('outcome') in _NOT_DONE:
            sent[_key(line)] -= 1
    return {key for key, times in sent.items() if times > 0}


def _newest_first(
    requests: Mapping[Any, Mapping[str, Any]], falling: Mapping[Any, list[Mapping[str, Any]]]
) -> Iterator[Mapping[str, Any]]:
    """Each request once, and after it what fell with its manifest."""
    seen = set()
    for key, line in reversed(list(requests.items())):
        seen.add(key)
        yield line
        if line.get('request') == 'deleteManifest':
            for each in falling.get((line.get('repository'), line.get('digest')), ()):
                if _key(each) not in requests and _key(each) not in seen:
                    seen.add(_key(each))
                    yield each


def _lost(line: Mapping[str, Any]) -> Iterator[Lost]:
    if not line.get('digest'):
        return
    if line.get('request') == 'deleteTag':
        yield Lost(line['repository'], line['digest'], None, ((line['tag'], _locks(line)),), Locks(), True)
    else:
        tags = tuple((entry['tag'], _locks(entry)) for entry in line.get('tags', ()))
        yield Lost(line['repository'], line['digest'], line.get('mediaType'), tags, _locks(line))


def _key(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """A tag is told by its name, a manifest by its digest."""
    return line.get('request', 'deleteManifest'), line.get('repository'), line.get('tag') or line.get('digest')


def _locks(entry: Mapping[str, Any]) -> Locks:
    return Locks.from_flags(entry.get('locks', ()))
