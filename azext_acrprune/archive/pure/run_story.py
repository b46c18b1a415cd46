"""What the journal of a run tells of it, in few words. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from ...decide.owed import owed_in
from ...model import Document, OwedLock
from ...spelling import printable
from .lost import Lost, is_deletion, lost_in

_DONE = ('done', 'not_found')
"""Outcomes of a deletion after which the thing is gone: a referrer goes with its subject, before its own turn."""

_STAYED = 'stayed'
"""What became of a thing that the registry listed still, or again, after it had said that it is gone."""

_ASIDE = ('setLocks', 'mountBlob', 'uploadBlob')
"""Requests that only help others: what became of these says what became of the run."""

_HEADER = ('at', 'who', 'command', 'registry', 'planChecksum', 'archive', 'host', 'pipeline', 'versions')
_MOST_FAILURES = 50

Lines = Sequence[Mapping[str, Any]]


def summary_of(run: str, lines: Lines) -> Document:
    """One run: how it began and ended. A run without an end was killed, or is not over.

    `done` and `notDone` count manifests and tags, however often each was asked for; `unknown` those of which nothing
    was heard.
    """
    start, end = _start(lines), _last(lines, 'end')
    outcomes = list(_by_thing(lines).values())
    return {
        'run': run,
        **{key: start.get(key) for key in _HEADER},
        'endedAt': end.get('at'),
        'error': end.get('error'),
        'requests': sum(1 for line in lines if line['event'] == 'request'),
        'done': outcomes.count('done'),
        'notDone': len(outcomes) - outcomes.count('done') - outcomes.count('unknown'),
        'unknown': outcomes.count('unknown'),
        'deletes': any(map(is_deletion, lines)),
        'untags': any(line.get('request') == 'deleteTag' for line in lines),
        'restores': any(line['event'] in ('was', 'restored') for line in lines),
        'moves': any(line['event'] == 'moves' for line in lines),
        'freedBytes': (end.get('summary') or {}).get('freedBytes'),
        'usedBytesBefore': start.get('usedBytes'),
        'leftUnlocked': [_left_unlocked(each) for each in owed_in(run, lines)],
    }


def _left_unlocked(owed: OwedLock) -> Document:
    return {'repository': owed.repository, 'digest': owed.digest, 'tag': owed.tag, 'locks': list(owed.locks.flags)}


def story_of(run: str, lines: Lines, state: str | None = None) -> Document:
    """What a run did and why, in sums; and how it can be undone, with the `state` that was named for it."""
    start, end = _start(lines), _last(lines, 'end')
    stayed = {thing for thing, outcome in _by_thing(lines).items() if outcome == _STAYED}
    lost = [each for each in lost_in(lines) if not (each.later or stayed & _things_of(each))]
    return {
        **summary_of(run, lines),
        'policy': start.get('policy'),
        'options': [*options_of(start.get('policy')), *_options(start.get('given') or {})],
        'promised': _promised(start.get('promised')),
        'summary': end.get('summary'),
        'doneByRequest': _done_by_request(lines),
        'manifestsDeleted': sum(1 for each in lost if not each.untagged),
        'tagsDeleted': sum(len(each.tags) for each in lost),
        'reasons': _reasons(lost),
        'repositories': _repositories(lost),
        'failed': list(_failed(lines))[:_MOST_FAILURES],
        'deletedLater': deleted_later(lines),
        'undo': undo_of(run, lines, state=state),
    }


def _promised(promised: Mapping[str, Any] | None) -> Document | None:
    if not promised or None in (promised.get('manifests'), promised.get('tags'), promised.get('freedBytes')):
        return None
    return {
        'manifestsToDelete': promised.get('manifests'),
        'tagsToDelete': promised.get('tags'),
        'freedBytes': promised.get('freedBytes'),
        'impact': promised.get('impact'),
    }


def undo_of(run: str, lines: Lines, elsewhere: Sequence[str] = (), state: str | None = None) -> Document:
    """The command that brings back what a run took, or None; and from where, or why there is no such command.

    It is for this machine, or, with the words that name the registry there, for whoever reads it `elsewhere`. What the
    run sent is written down in the `state`, where it is named.
    """
    start, lost = _start(lines), lost_in(lines)
    days, archive = start.get('softDeleteDays'), start.get('archive')
    words = ['az', 'acr', 'prune', 'undo', '-r', *(elsewhere or [str(start.get('registry'))])]
    words += ['--state', state] if state else []
    words += [*(['--archive', str(archive)] if archive and elsewhere else []), '--run', run]
    command = ' '.join(quote(printable(word, None)) for word in words)
    if any(line['event'] == 'moves' for line in lines):
        return {'command': command, 'how': 'Tags that were moved go back to where they were.'}
    if not lost:
        return {'command': None, 'how': 'It deleted nothing.'}
    if archive:
        return {'command': command, 'how': f'From the archive {archive}.'}
    if all(each.untagged for each in lost):
        return {'command': command, 'how': 'The tags go back to their manifests, while these are there.'}
    if days:
        return {'command': command, 'how': f'From soft delete, which keeps it for {days} days.'}
    if 'softDeleteDays' in start:
        return {'command': None, 'how': 'It cannot be undone: there was no archive, and soft delete was off.'}
    return {'command': command, 'how': 'From soft delete, if it was on: there is no archive.'}


def undo_of_image(undo: Document, image: str) -> Document:
    """The same for one image of the run."""
    return {**undo, 'command': f'{undo["command"]} --image {quote(image)}'} if undo['command'] else undo


def is_by_rules(lines: Lines) -> bool:
    """Whether rules chose what a run took, so that the same options choose again: nothing was named."""
    return any((_start(lines).get('policy') or {}).get(key) for key in ('tags', 'untagged', 'file'))


def requests_of(lines: Lines) -> list[Document]:
    """Each request with its outcome; one without was sent, and nothing is known of it."""
    requests: list[Document] = []
    open_ones: dict[tuple[object, ...], Document] = {}
    for line in lines:
        key = tuple(line.get(name) for name in ('request', 'repository', 'digest', 'tag'))
        if line['event'] == 'request':
            said = {name: value for name, value in line.items() if name not in ('event', 'content')}
            open_ones[key] = {**said, 'outcome': 'unknown'}
            requests.append(open_ones[key])
        elif line['event'] == 'outcome' and key in open_ones:
            open_ones.pop(key).update({name: line[name] for name in ('outcome', 'error') if name in line})
    return requests


def deleted_later(lines: Lines) -> list[Document]:
    """What the registry itself deletes, because the run removed the last tag, each with the tags that it had."""
    return [
        {
            **{name: line.get(name) for name in ('repository', 'digest', 'mediaType')},
            'tags': [entry['tag'] for entry in line.get('tags', ())],
        }
        for line in lines
        if line['event'] == 'later'
    ]


def ends_of(lines: Lines) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The first line of a journal, and the last one; each is empty where it is missing."""
    return _start(lines), _last(lines, 'end')


def _start(lines: Lines) -> Mapping[str, Any]:
    return next((line for line in lines if line['event'] == 'start'), {})


def _last(lines: Lines, event: str) -> Mapping[str, Any]:
    return next((line for line in reversed(lines) if line['event'] == event), {})


def _thing(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return line.get('request'), line.get('repository'), line.get('tag') or line.get('digest')


def _things_of(lost: Lost) -> set[tuple[Any, ...]]:
    """What was asked for to lose this."""
    if lost.untagged:
        return {('deleteTag', lost.repository, tag) for tag, _ in lost.tags}
    return {('deleteManifest', lost.repository, lost.digest)}


def _stayed(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """The thing of which a line says that it is not gone."""
    request = 'deleteTag' if line.get('tag') else 'deleteManifest'
    return _thing({**line, 'request': request})


def _by_thing(lines: Lines) -> dict[tuple[Any, ...], str]:
    """What became of each manifest and tag that something was asked for: the last word of it, unless it was done.

    What the run itself found to be there in the end was not done.
    """
    found: dict[tuple[Any, ...], str] = {}
    for line in lines:
        if line['event'] == 'failed' and found.get(_stayed(line)) == 'done':
            found[_stayed(line)] = _STAYED
        if line.get('request') in _ASIDE or line['event'] not in ('request', 'outcome'):
            continue
        thing, outcome = _thing(line), line.get('outcome')
        if line['event'] == 'request':
            found.setdefault(thing, 'unknown')
        elif found.get(thing) != 'done':
            gone = str(line.get('request')).startswith('delete') and outcome in _DONE
            found[thing] = 'done' if gone else str(outcome)
    return found


def _done_by_request(lines: Lines) -> dict[str, int]:
    done = Counter(str(thing[0]) for thing, outcome in _by_thing(lines).items() if outcome == 'done')
    return dict(sorted(done.items()))


def _failed(lines: Lines) -> Iterator[Document]:
    """What was not done, with the last error."""
    errors = {_thing(line): line.get('error') for line in lines if line['event'] == 'outcome'}
    errors.update({_stayed(line): line.get('error') for line in lines if line['event'] == 'failed'})
    for thing, outcome in _by_thing(lines).items():
        if outcome != 'done':
            request, repository, name = thing
            error = errors.get(thing) or 'nothing was heard of it'
            what = {'digest' if ':' in str(name) else 'tag': name} if name else {}
            yield {'request': request, 'repository': repository, **what, 'outcome': outcome, 'error': error}


def _reasons(lost: Iterable[Lost]) -> list[Document]:
    """How many manifests and tags went for each reason, most manifests first."""
    manifests: Counter[tuple[str, str]] = Counter()
    tags: Counter[tuple[str, str]] = Counter()
    for each in lost:
        why = each.reason or 'unknown', each.because or ''
        manifests[why] += not each.untagged
        tags[why] += len(each.tags)
    by_reason: dict[str, Document] = {}
    for (reason, because), number in manifests.items():
        row = by_reason.setdefault(
            reason, {'reason': reason, 'because': because, 'manifestsDeleted': 0, 'tagsDeleted': 0}
        )
        row['manifestsDeleted'] += number
        row['tagsDeleted'] += tags[reason, because]
        row['because'] = because if row['because'] == because else None
    return sorted(by_reason.values(), key=lambda row: (-row['manifestsDeleted'], -row['tagsDeleted'], row['reason']))


def _repositories(lost: Iterable[Lost]) -> list[Document]:
    rows: dict[str, Document] = {}
    for each in lost:
        row = rows.setdefault(each.repository, {'repository': each.repository, 'manifestsDeleted': 0, 'tagsDeleted': 0})
        row['manifestsDeleted'] += not each.untagged
        row['tagsDeleted'] += len(each.tags)
    return sorted(rows.values(), key=lambda row: (-row['manifestsDeleted'], -row['tagsDeleted'], row['repository']))


def options_of(policy: Mapping[str, Any] | None) -> list[str]:
    """The options that select, as they are given to a command; of a policy file only that there was one."""
    policy = policy or {}
    file = policy.get('file')
    if isinstance(file, Mapping):
        rules = [
            str(rule.get('name', number + 1))
            for number, rule in enumerate(file.get('rules') or ())
            if isinstance(rule, Mapping)
        ]
        options = ['--policy', f'(a file with the rules {", ".join(rules)})']
    else:
        options = _options(_selecting(policy))
    return [*options, *_option('repository', policy.get('repositories') or [])]


def _selecting(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = next((policy[key] for key in ('tags', 'untagged', 'images', 'untag') if policy.get(key)), {})
    return found if isinstance(found, Mapping) else {'image': found}


def _options(given: Mapping[str, Any]) -> list[str]:
    return [text for name, value in given.items() for text in _option(name, value)]


def _option(name: str, value: Any) -> list[str]:
    """`ageBy` is `--age-by`. What is off, or no number, is not said."""
    option = '--' + re.sub('[A-Z]', lambda letter: f'-{letter[0].lower()}', name)
    if isinstance(value, list):
        many = name in ('repository', 'include', 'pins', 'pinsFrom', 'alias')
        return (
            [option, *map(str, value)] if many and value else [text for each in value for text in (option, str(each))]
        )
    return [] if value in (False, 0, None) else [option] if value is True else [option, str(value)]
