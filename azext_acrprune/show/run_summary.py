"""What a run did, as a page of Markdown for people: the job summary of a pipeline."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ..decide.reasons import TOLD
from ..spelling import printable
from .ended_run import EndedRun
from .markdown import cell, table
from .sizes import count, freed_size, human_size, short_digest

_MOST_ROWS = 10
_MOST_NAMED = 20
_NAME = re.compile(r'[a-z0-9._/-]+@sha256:[0-9a-f]{64}')
_BESIDES = {
    'deleteLater': 'that the registry itself deletes later',
    'retire': 'to be retired, so that pulls of them fail',
    'unretire': 'retired, and can be pulled again',
    'lock': 'to be locked',
    'unlock': 'to be unlocked',
}
"""What a plan does beside deleting, by its key in the document."""
_NOT_DONE = {'goneBefore': 'gone before', 'skipped': 'skipped', 'failed': 'failed'}
_TAG = re.compile(r'\w[\w.-]{0,127}', re.A)


def summary_markdown(run: EndedRun) -> str:
    """What goes or went, how much that is, why, where, what was wrong, and the command that comes next."""
    lines = [f'## {cell(run.command)}: {cell(run.registry)}', '', f'**{_outcome(run)}**', '']
    if run.plan:
        lines += [*_numbers(run), *_reasons(run.plan), *_repositories(run.plan)]
        lines += _listed('Warnings', [_warning(each) for each in run.plan['warnings']])
    if run.result:
        lines += _listed('Warnings of the deletion', [_warning(each) for each in run.result['warnings']])
        lines += _listed('Skipped', [_left(each, each['because']) for each in run.result['skipped']])
        lines += _listed('Failed', [_left(each, each['error']) for each in run.result['failed']])
    lines += ['### What to do next', '', *_next(run)]
    return '\n'.join(lines) + '\n'


def _outcome(run: EndedRun) -> str:
    if run.error:
        return f'Failed: {cell(run.error)}'
    if run.result:
        done = run.result['summary']
        went = f'{count(done["manifestsDeleted"], "manifest")} and {count(done["tagsDeleted"], "tag")}'
        stopped = ' The run was interrupted.' if done['interrupted'] else ''
        return f'Deleted {went}; {freed_size(done["freedBytes"], done["impact"])} freed.{stopped}'
    if not run.plan:
        return 'Nothing was done.'
    plan = run.plan['summary']
    going = f'{count(plan["manifestsToDelete"], "manifest")} and {count(plan["tagsToDelete"], "tag")}'
    return f'Would delete {going}, and free {freed_size(plan["freedBytes"], run.plan["impact"])}. Nothing was deleted.'


def _numbers(run: EndedRun) -> Iterator[str]:
    assert run.plan
    plan = run.plan['summary']
    rows = [
        ('to delete by the plan', f'{count(plan["manifestsToDelete"], "manifest")} of {plan["manifests"]}'),
        ('tags that go by the plan', plan['tagsToDelete']),
        ('freed by the plan', f'{freed_size(plan["freedBytes"], run.plan["impact"])} ({plan["freedBytes"]} bytes)'),
        ('stays, shared with other images', human_size(plan['sharedBytes'])),
    ]
    rows += [(told, len(run.plan[kind])) for kind, told in _BESIDES.items() if run.plan.get(kind)]
    if run.result:
        done = run.result['summary']
        freed = f'{freed_size(done["freedBytes"], done["impact"])} ({done["freedBytes"]} bytes)'
        rows += [('deleted', count(done['manifestsDeleted'], 'manifest')), ('freed', freed)]
        rows += [(told, done[name]) for name, told in _NOT_DONE.items()]
    rows.append(('calls to the registry', f'{run.calls}, {run.refused} of them refused (429)'))
    rows.append(('time', f'{run.seconds:.0f} s'))
    yield from table(('what', 'how much'), rows)


def _reasons(plan: dict[str, Any]) -> Iterator[str]:
    """Why what goes does, and why all else stays: the reasons that most manifests have first."""
    going = Counter(entry['reason'] for entry in (*plan['delete'], *plan['untag']))
    kept = Counter(plan['summary']['keptByReason'])
    for title, found, told in (('Why it goes', going, _why_gone), ('Why the rest stays', kept, _why_kept)):
        if found:
            yield from (f'### {title}', '')
            ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
            yield from table(('reason', 'number', 'that is'), [(name, number, told(name)) for name, number in ranked])


def _why_gone(reason: str) -> str:
    told = TOLD.get(reason)
    return (told.gone or told.label) if told else ''


def _why_kept(reason: str) -> str:
    told = TOLD.get(reason)
    return (told.kept or told.label) if told else ''


def _repositories(plan: dict[str, Any]) -> Iterator[str]:
    touched = [row for row in plan['repositories'] if row['manifestsToDelete'] or row['tagsToDelete']]
    touched.sort(key=lambda row: (-row['freedBytes'], -row['manifestsToDelete'], row['name']))
    if not touched:
        return
    yield from ('### Where most is freed', '')
    heads = ('repository', 'manifests that go', 'of', 'tags that go', 'frees alone')
    rows = [
        (
            row['name'],
            row['manifestsToDelete'],
            row['manifests'],
            row['tagsToDelete'],
            freed_size(row['freedBytes'], row.get('impact', plan['impact'])),
        )
        for row in touched[:_MOST_ROWS]
    ]
    yield from table(heads, rows)
    if len(touched) > _MOST_ROWS:
        yield from (f'The plan takes something of {len(touched)} repositories in all.', '')


def _listed(title: str, items: list[str]) -> Iterator[str]:
    if items:
        yield from (f'### {title}: {len(items)}', '')
        yield from (f'- {item}' for item in items[:_MOST_ROWS])
        if len(items) > _MOST_ROWS:
            yield f'- and {len(items) - _MOST_ROWS} more: see the answer of the command'
        yield ''


def _warning(warning: dict[str, Any]) -> str:
    where = '@'.join(part for part in (warning['repository'], warning['digest']) if part)
    return cell(short_digest(f'{where}: {warning["message"]}' if where else warning['message']))


def _left(entry: dict[str, Any], why: str) -> str:
    tag = f':{entry["tag"]}' if entry.get('tag') else ''
    return cell(f'{entry["repository"]}{tag}@{short_digest(entry["digest"])}: {why}')


def _next(run: EndedRun) -> Iterator[str]:
    """Sentences, each with the command that it is about and an empty line after it."""
    if run.error:
        yield from (cell(run.advice) or 'Mend what the error says, and run the same command again.', '')
        yield from _command(run, 'See what may go now:', 'plan', ())
    elif run.result:
        yield from _after_deleting(run, run.result)
    elif not run.plan or not any(run.plan.get(kind) for kind in ('delete', 'untag', *_BESIDES)):
        yield from ('Nothing: there is nothing to delete.', '')
    elif run.plan_file:
        yield from _command(run, 'Carry out this plan:', 'apply', ('--plan', run.plan_file))
    elif run.command.endswith(' plan'):
        yield from ('Run the same command with `--out plan.json`, which writes the plan to a file.', '')
        yield from _command(run, 'Then carry it out:', 'apply', ('--plan', 'plan.json'))
    else:
        yield from ('Run the same command without `--dry-run` to do it.', '')


def _after_deleting(run: EndedRun, result: dict[str, Any]) -> Iterator[str]:
    summary = result['summary']
    if summary['failed'] or summary['interrupted'] or summary['timeLimitReached']:
        yield from ('Not all was done. Run the same command again: it goes on with what is left.', '')
    if result.get('retired'):
        yield from _command(run, 'Make what was retired pullable again:', 'restore', ('--retired',))
    if run.undo and result['deleted']:
        commands = [run.undo['command']] if run.undo['command'] else []
        yield from _block(f'{"Bring it back. " if commands else ""}{cell(run.undo["how"])}', commands)
    if result['untagged']:
        yield from _tagging_again(run, result['untagged'])
    if not result['deleted'] and not result['untagged']:
        yield from ('Nothing was deleted, so there is nothing to bring back.', '')


def _tagging_again(run: EndedRun, untagged: list[dict[str, Any]]) -> Iterator[str]:
    """Tags are in no archive: their manifests stay. Importing an image into its own registry gives it a tag."""
    assert run.plan
    named = [entry for entry in untagged if _NAME.fullmatch(_image(entry))]
    tags = [entry for entry in named if _TAG.fullmatch(entry['tag'])][:_MOST_NAMED]
    commands = [
        _line(
            *('az', 'acr', 'import', '-n', run.target[0], '--source', f'{run.plan["registry"]}/{_image(entry)}'),
            *('--image', f'{entry["repository"]}:{entry["tag"]}'),
        )
        for entry in tags
    ]
    all_of = '' if len(tags) == len(untagged) else f', the first {len(tags)} of {len(untagged)}'
    yield from _block(f'Set the removed tags again{all_of}, while their manifests are still there:', commands)


def _image(entry: dict[str, Any]) -> str:
    return f'{entry["repository"]}@{entry["digest"]}'


def _command(run: EndedRun, sentence: str, command: str, arguments: tuple[str, ...]) -> Iterator[str]:
    yield from _block(sentence, [_line('az', 'acr', 'prune', command, '-r', *run.target, *arguments)])


def _line(*words: str) -> str:
    return ' '.join(shlex.quote(printable(word, None)) for word in words)


def _block(sentence: str, commands: Sequence[str]) -> Iterator[str]:
    yield from (sentence, '', *(('```sh', *commands, '```', '') if commands else ()))
