"""The preview before a question: what goes, what that frees, what stays and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ..decide.reasons import TOLD, sentence_of
from .money import saving_line
from .sizes import blob_digest, count, freed_size, human_size, short_digest, used_by

_LISTED_REPOSITORIES = 10
_LISTED_LAYERS = 3


def preview_lines(plan: dict[str, Any]) -> list[str]:
    """The preview of a plan document, as lines of text. Images that the user named are listed one by one."""
    named = 'images' in plan['policy'] or 'untag' in plan['policy']
    going = [*_going(plan), *(full_list(plan).split('\n') if named else ()), *_locked(plan), *_stays_with(plan)]
    staying = () if named else _staying(plan)
    return [*going, *staying, *(f'Note: {_warning(warning)}' for warning in _told(plan))]


def full_list(plan: dict[str, Any]) -> str:
    """Every manifest and tag that goes, one on a line: the answer to `?` at the question."""
    lines = [
        f'{entry["repository"]}@{entry["digest"]}{_tags(entry)} ({entry["reason"]}: {entry["because"]})'
        for entry in plan['delete']
    ]
    lines += [
        f'tag {entry["repository"]}:{entry["tag"]} ({entry["reason"]}: {entry["because"]})' for entry in plan['untag']
    ]
    lines += [
        f'{entry["repository"]}@{entry["digest"]} later, by the registry ({entry["reason"]}: {entry["because"]})'
        for entry in plan.get('deleteLater', ())
    ]
    return '\n'.join(lines)


def is_empty(plan: dict[str, Any]) -> bool:
    """Whether a plan deletes nothing and removes no tag."""
    return not plan['delete'] and not plan['untag']


def has_locked(plan: dict[str, Any]) -> bool:
    """Whether something locked goes."""
    return any('locks' in entry for entry in (*plan['delete'], *plan['untag']))


def _going(plan: dict[str, Any]) -> Iterator[str]:
    summary = plan['summary']
    if is_empty(plan):
        yield f'Nothing to delete in {plan["registry"]}: {count(summary["manifests"], "manifest")} looked at.'
    if plan['delete']:
        yield from _deleting(plan)
        yield _bytes_line(plan)
        yield from [saving_line(plan['cost'], plan['impact'])] if 'cost' in plan else ()
        for layer in plan.get('sharedLayers', ())[:_LISTED_LAYERS]:
            yield f'  {human_size(layer["size"])} stay because of {blob_digest(layer)}, {used_by(layer)}'
    if plan['untag']:
        yield (
            f'{count(len(plan["untag"]), "tag")} will be removed from manifests that stay in {plan["registry"]}; '
            'that frees 0 bytes.'
        )
        yield from _later(plan)


def _later(plan: dict[str, Any]) -> Iterator[str]:
    """What the registry itself deletes of the images that lose their last tag."""
    going, summary = plan.get('deleteLater'), plan['summary']
    if not going:
        return
    freed = (
        f'{freed_size(summary["freedLaterBytes"], summary["freedLaterImpact"])} ({summary["freedLaterBytes"]:,} bytes)'
    )
    manifests = count(len(going), 'manifest')
    if not summary['retentionKnown']:
        yield (
            f'The registry may delete {manifests} of these by itself: it is not known whether its retention policy is '
            f"on, which 'az login' can tell. That would free {freed}, at once or later."
        )
    elif summary['retentionDays']:
        yield (
            f'The retention policy of the registry deletes {manifests} without a tag then, not before '
            f'{_day_after(plan, summary["retentionDays"])}. That frees {freed}. Until then a new tag keeps them.'
        )
    else:
        yield (
            f'The retention policy of the registry deletes {manifests} at once then, and frees {freed}. '
            'There is no way back.'
        )


def _day_after(plan: dict[str, Any], days: int) -> str:
    return f'{datetime.fromisoformat(plan["createdAt"].rstrip("Z")) + timedelta(days=days):%Y-%m-%d}'


def _deleting(plan: dict[str, Any]) -> Iterator[str]:
    summary = plan['summary']
    touched = [entry for entry in plan['repositories'] if entry['manifestsToDelete']]
    yield (
        f'{count(summary["manifestsToDelete"], "manifest")} of {summary["manifests"]} will be deleted '
        f'from {count(len(touched), "repository")} of {plan["registry"]}:'
    )
    touched.sort(key=lambda entry: (-entry['manifestsToDelete'], entry['name']))
    for entry in touched[:_LISTED_REPOSITORIES]:
        yield f'  {entry["name"]}: {entry["manifestsToDelete"]} of {entry["manifests"]}'
    if len(touched) > _LISTED_REPOSITORIES:
        yield f'  and {len(touched) - _LISTED_REPOSITORIES} more repositories'
    tags = sum(len(entry['tags']) for entry in plan['delete'])
    if tags:
        yield f'{count(tags, "tag")} will go with them.'


def _locked(plan: dict[str, Any]) -> Iterator[str]:
    number = sum(1 for entry in (*plan['delete'], *plan['untag']) if 'locks' in entry)
    if number:
        yield f'{number} of them locked, and will be unlocked to go.'


def _stays_with(plan: dict[str, Any]) -> Iterator[str]:
    """Of images that the user named: what of them stays, and what keeps it."""
    rows = plan.get('staysWith', ())
    for row in rows[:_LISTED_REPOSITORIES]:
        why = sentence_of(True, row['reason'], row['because'])
        yield f'{row["repository"]}@{row["digest"]} stays, because {why}.'
    if len(rows) > _LISTED_REPOSITORIES:
        yield f'And {len(rows) - _LISTED_REPOSITORIES:,} more of their parts and referrers stay.'


def _tags(entry: dict[str, Any]) -> str:
    return f' with its tags {", ".join(entry["tags"])}' if entry['tags'] else ''


def _bytes_line(plan: dict[str, Any]) -> str:
    summary = plan['summary']
    line = (
        f'This frees {freed_size(summary["freedBytes"], plan["impact"])} ({summary["freedBytes"]:,} bytes); '
        f'{human_size(summary["sharedBytes"])} of their layers stay, because other images use them.'
    )
    days = summary['softDeleteRetentionDays']
    if days:
        line += f' Soft delete is on: nothing is freed before {_day_after(plan, days)}.'
        line += " Until then 'az acr prune restore --soft-deleted' brings all of it back, without an archive."
    return line


def _staying(plan: dict[str, Any]) -> Iterator[str]:
    kept = plan['summary']['keptByReason']
    if kept:
        yield f'Kept: {count(plan["summary"]["manifestsKept"], "manifest")}.'
    for reason, number in sorted(kept.items(), key=lambda item: (-item[1], item[0])):
        yield f'  {number} {TOLD[reason].kept} ({reason})'


def _told(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return plan['warnings'][:_LISTED_REPOSITORIES]


def _warning(warning: dict[str, Any]) -> str:
    where = '@'.join(short_digest(part) for part in (warning['repository'], warning['digest']) if part)
    return f'{where}: {warning["message"]}' if where else warning['message']
