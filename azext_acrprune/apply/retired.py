"""What the journals of earlier runs say of retired manifests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..decide.content_json import content_from_json
from ..decide.graph import walk
from ..decide.name_errors import NotAnImage
from ..decide.named import ImageName, whole_digest
from ..decide.retirement import Retirement, Retirements
from ..model import Content, Locks, parse_ticks

_RESTORE = 'az acr prune restore'

Lines = Sequence[Mapping[str, Any]]
Records = dict[str, dict[str, Retirement]]


def retirements_in(runs: Iterable[Lines]) -> Records:
    """The last retirement of each manifest, by repository and digest. `runs` are the lines of journals, oldest first.

    Where a run did not learn what came of a request, nothing is said to be ours.
    """
    found: Records = {}
    for lines in runs:
        asked = bool(lines) and lines[0].get('command') == _RESTORE
        open_ones: dict[tuple[str, str], Retirement] = {}
        for line in lines:
            _read(line, found, open_ones, asked)
    return found


def _read(line: Mapping[str, Any], found: Records, open_ones: dict[tuple[str, str], Retirement], asked: bool) -> None:
    name, digest, at = line.get('repository'), line.get('digest'), parse_ticks(line.get('at'))
    if not isinstance(name, str) or not isinstance(digest, str) or at is None:
        return
    request, event = line.get('request'), line.get('event')
    known = found.setdefault(name, {})
    if (event, request) == ('request', 'retire'):
        known[digest] = open_ones[name, digest] = _begun(line, at)
    elif (event, request) == ('outcome', 'unretire') and line.get('outcome') == 'done' and digest in known:
        known[digest] = replace(known[digest], returned=True, asked=asked)
    elif event == 'retired' and (name, digest) in open_ones:
        locks = Locks.from_flags(line.get('locks', ()))
        known[digest] = replace(known[digest], at=at, seen_time=line.get('lastUpdateTime'), seen_locks=locks)


def _begun(line: Mapping[str, Any], at: int) -> Retirement:
    try:
        content = content_from_json(line['content'])
    except (KeyError, TypeError, ValueError, AttributeError):
        content = None
    tags = tuple(str(tag.get('tag')) for tag in line.get('tags', ()))
    return Retirement(
        at, content if isinstance(content, Content) else None, tags, parse_ticks(line.get('lastUpdateTime'))
    )


def chosen_of(records: Retirements, images: Sequence[ImageName] = ()) -> list[tuple[str, str]]:
    """(repository, digest) of what is retired by what the journal says, in order: all, or images with their parts.

    An image is named by its digest, or the beginning of it, or by a tag that it had. Raises NotAnImage for one that was
    never retired, and for the beginning of several digests.
    """
    retired = {
        (name, digest): record
        for name, known in records.items()
        for digest, record in known.items()
        if record.seen_locks and not record.returned
    }
    if not images:
        return sorted(retired)
    chosen: set[tuple[str, str]] = set()
    for image in images:
        here = {digest: record for (name, digest), record in retired.items() if name == image.repository}
        whole = whole_digest(image, here)
        tops = [digest for digest, record in here.items() if digest == whole or image.tag in record.tags]
        if not tops:
            raise NotAnImage(
                f"'{image.text}' was not retired by this program on this machine, or it was taken back.",
                image.repository,
            )
        chosen.update((image.repository, digest) for digest in _with_parts(tops, records[image.repository]))
    return sorted(chosen & retired.keys())


def _with_parts(tops: Iterable[str], known: Mapping[str, Retirement]) -> list[str]:
    return walk(tops, lambda digest: _children(known.get(digest)))


def _children(record: Retirement | None) -> tuple[str, ...]:
    return record.content.children if record and record.content else ()
