"""What a run deleted, as its journal tells. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...decide.asked import Asked, Taken
from ...decide.impact import Node
from ...decide.manifests import attachment_subject
from ...model import UNLOCKED, Locks, parse_ticks
from .layout import Record
from .past import Key

_NOT_DONE = ('locked', 'late', 'forbidden', 'unauthenticated', 'busy', 'moved', 'stopped')
"""Outcomes of requests that took nothing from the manifest that they name."""


@dataclass(frozen=True)
class Lost:
    """A manifest that a run deleted, with the tags and locks that it had, or with `untagged` tags that it lost.

    `created` and `updated` are its times and `tag_times` the last updates of its tags, as the registry gave them and as
    far as they are known. `repository_locks` are those of its repository. `subject` is the manifest with which the
    service deletes it. `reason` and `because` say why it went. With `later` it only lost its last tag, and the registry
    itself deletes it some time after that.
    """

    repository: str
    digest: str
    media_type: str | None
    tags: tuple[tuple[str, Locks], ...]
    locks: Locks
    untagged: bool = False
    created: str | None = None
    updated: str | None = None
    tag_times: Mapping[str, str] = field(default_factory=dict)
    repository_locks: Locks = UNLOCKED
    reason: str | None = None
    because: str | None = None
    later: bool = False
    subject: str | None = None

    @property
    def subjects(self) -> list[str]:
        """The digests that it is attached to, as far as that is known."""
        named = [attachment_subject(tag) for tag, _ in self.tags]
        return [digest for digest in (self.subject, *named) if digest]


@dataclass(frozen=True)
class Move:
    """A tag that a restoration moved, and the digests that it was on before and after that."""

    repository: str
    tag: str
    was_on: str
    moved_to: str


def moves_in(lines: Iterable[Mapping[str, Any]]) -> list[Move]:
    """The tags that a run moved, or was about to move, each once: where a tag was in the end is looked up."""
    found: dict[tuple[str, str], Move] = {}
    for line in lines:
        if line['event'] == 'moves':
            move = Move(*(str(line.get(key)) for key in ('repository', 'tag', 'digest', 'to')))
            found.setdefault((move.repository, move.tag), move)
    return list(found.values())


def is_deletion(line: Mapping[str, Any]) -> bool:
    """Whether a line of a journal is a request to delete something: runs lock and unlock, too."""
    return line['event'] == 'request' and line.get('request') in ('deleteManifest', 'deleteTag')


def lost_in(lines: Iterable[Mapping[str, Any]]) -> list[Lost]:
    """What a run deleted, the last first: what was deleted after something else is needed by it.

    What the service deleted together with a subject comes after that subject. A request may be sent more than once;
    it took nothing only when each of them was refused, for one without an outcome may have been done.
    """
    lines = list(lines)
    subjects = {(line.get('repository'), line.get('digest')): line.get('subject') for line in _falls(lines)}
    return [lost for line in _taking(lines) for lost in _lost(line, subjects)]


def images_taken(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(repository, digest, tags) of each manifest that a run deleted, and of each that lost a tag."""
    for line in _taking(list(lines)):
        if line.get('digest') and line.get('repository'):
            yield line['repository'], line['digest'], tuple(entry['tag'] for entry in _entries(line))


def _falls(lines: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (line for line in lines if line['event'] == 'falls')


def _taking(lines: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The lines that tell what a run deleted, each thing once, in the order of `lost_in`."""
    maybe_done = _maybe_done(lines)
    requests: dict[Any, Mapping[str, Any]] = {}
    falling: dict[Any, list[Mapping[str, Any]]] = {}
    for line in lines:
        if line['event'] == 'falls':
            falling.setdefault((line.get('repository'), line.get('subject')), []).append(line)
        elif is_deletion(line) and _key(line) in maybe_done:
            requests.setdefault(_key(line), line)
    later = [line for line in lines if line['event'] == 'later' and _key(line) not in requests]
    yield from _newest_first(requests, falling)
    yield from later


def keys_of_lost(lost: Iterable[Lost]) -> set[Key]:
    """Each manifest that was deleted, and each tag that went, with it or alone."""
    found: set[Key] = set()
    for each in lost:
        found.update((each.repository, each.digest, tag) for tag, _ in each.tags)
        if not each.untagged:
            found.add((each.repository, each.digest, None))
    return found


def not_held(lost: Iterable[Lost], records: Iterable[Record]) -> list[Lost]:
    """What an archive with these records does not hold of what was lost.

    A manifest that it does not hold takes its tags with it, for in the archive these are on nothing.
    """
    held = {(record.repository, record.digest, record.tag) for record in records}
    found = []
    for each in lost:
        if not (each.untagged or (each.repository, each.digest, None) in held):
            found.append(each)
            continue
        tags = tuple((tag, locks) for tag, locks in each.tags if (each.repository, each.digest, tag) not in held)
        if tags:
            found.append(replace(each, tags=tags, untagged=True))
    return found


def lost_at(lines: Sequence[Mapping[str, Any]]) -> list[tuple[Lost, int | None]]:
    """What a run deleted, and when that run began, in ticks."""
    at = next((parse_ticks(line.get('at')) for line in lines if line['event'] == 'start'), None)
    return [(each, at) for each in lost_in(lines)]


def asked_of(lost: Sequence[tuple[Lost, int | None]], asked: Asked) -> list[Lost]:
    """What is asked for of what was lost, each manifest once: as the first of several says. Raises NothingAsked.

    With an image comes what was attached to it: what fell with it, and signatures under a tag of cosign's form.
    """
    items = [Taken(*key, at) for each, at in lost for key in sorted(keys_of_lost([each]), key=str)]
    wanted = {(item.repository, item.digest) for item in asked.find(items)}
    if asked.images:
        attached: dict[Node, list[Node]] = {}
        for each, _ in lost:
            for subject in each.subjects:
                attached.setdefault((each.repository, subject), []).append((each.repository, each.digest))
        waiting = list(wanted)
        while waiting:
            more = [node for node in attached.get(waiting.pop(), ()) if node not in wanted]
            wanted.update(more)
            waiting += more
    found: dict[Any, Lost] = {}
    for each, _ in lost:
        if (each.repository, each.digest) in wanted:
            found.setdefault((each.repository, each.digest, each.untagged and each.tags), each)
    return list(found.values())


@dataclass(frozen=True)
class KeptDeleted:
    """A manifest that the registry keeps as deleted, since `at`, with the tags that it had."""

    repository: str
    digest: str
    at: int | None
    tags: tuple[str, ...] = ()


def by_node(lost: Iterable[Lost]) -> dict[Node, Lost]:
    """The manifests that were lost, each as the first of several says."""
    found: dict[Node, Lost] = {}
    for each in lost:
        if not each.untagged:
            found.setdefault((each.repository, each.digest), each)
    return found


def as_kept(kept: Iterable[KeptDeleted], known: Mapping[Node, Lost]) -> list[tuple[Lost, int | None]]:
    """What the registry keeps as deleted, each with when it went, the last first.

    Of each, what a journal has `known` counts, its locks and times: but its tags are those that the registry lists,
    unless that lists none, for it may have got others after that run. A tag is on what was deleted with it last; others
    that had it come before all else, for the service may set a tag by itself that nobody asked it for.
    """
    newest: set[tuple[str, str]] = set()
    found: list[tuple[Lost, int | None]] = []
    outdated: list[tuple[Lost, int | None]] = []
    for each in sorted(kept, key=lambda one: (-(one.at or 0), one.repository, one.digest)):
        lost = known.get((each.repository, each.digest), Lost(each.repository, each.digest, None, (), UNLOCKED))
        if each.tags:
            locks_of = dict(lost.tags)
            lost = replace(lost, tags=tuple((tag, locks_of.get(tag, UNLOCKED)) for tag in each.tags))
        tags = tuple((tag, locks) for tag, locks in lost.tags if (each.repository, tag) not in newest)
        newest.update((each.repository, tag) for tag, _ in tags)
        (found if tags == lost.tags else outdated).append((replace(lost, tags=tags), each.at))
    return outdated + found


def lost_of_records(records: Iterable[Record]) -> list[Lost]:
    """What an archive holds of a run, as if all of it had gone by that run."""
    records = list(records)
    tags: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.tag:
            tags.setdefault((record.repository, record.digest), []).append(record)
    images = {(record.repository, record.digest): record for record in records if not record.tag}
    found = [_lost_image(record, tags.get(node, [])) for node, record in sorted(images.items())]
    alone = [record for node, each in sorted(tags.items()) if node not in images for record in each]
    return found + [
        Lost(
            record.repository,
            record.digest,
            None,
            ((str(record.tag), record.locks),),
            UNLOCKED,
            True,
            tag_times=_tag_times([record]),
        )
        for record in alone
    ]


def _lost_image(record: Record, tags: Sequence[Record]) -> Lost:
    return Lost(
        record.repository,
        record.digest,
        record.media_type,
        tuple((str(tag.tag), tag.locks) for tag in tags),
        record.locks,
        created=record.created,
        updated=record.updated,
        tag_times=_tag_times(tags),
        repository_locks=record.repository_locks,
    )


def _tag_times(tags: Iterable[Record]) -> dict[str, str]:
    return {str(tag.tag): tag.updated for tag in tags if tag.updated}


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


def _lost(line: Mapping[str, Any], subjects: Mapping[Any, str | None]) -> Iterator[Lost]:
    if not line.get('digest') or not line.get('repository'):
        return
    entries = _entries(line)
    tags = tuple((entry['tag'], _locks(entry)) for entry in entries)
    times = {entry['tag']: entry['lastUpdateTime'] for entry in entries if 'lastUpdateTime' in entry}
    reason, because = line.get('reason'), line.get('because')
    if line.get('request') == 'deleteTag':
        yield Lost(
            line['repository'],
            line['digest'],
            None,
            tags,
            UNLOCKED,
            True,
            tag_times=times,
            reason=reason,
            because=because,
        )
        return
    yield Lost(
        line['repository'],
        line['digest'],
        line.get('mediaType'),
        tags,
        _locks(line),
        created=line.get('createdTime'),
        updated=line.get('lastUpdateTime'),
        tag_times=times,
        repository_locks=Locks.from_flags(line.get('repositoryLocks', ())),
        reason=reason,
        because=because,
        later=line['event'] == 'later',
        subject=subjects.get((line['repository'], line['digest'])),
    )


def _entries(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a line says of each tag that went."""
    entries = [line] if line.get('request') == 'deleteTag' else line.get('tags', ())
    return [entry for entry in entries if isinstance(entry, Mapping) and 'tag' in entry]


def _key(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """A tag is told by its name, a manifest by its digest."""
    return line.get('request', 'deleteManifest'), line.get('repository'), line.get('tag') or line.get('digest')


def _locks(entry: Mapping[str, Any]) -> Locks:
    return Locks.from_flags(entry.get('locks', ()))
