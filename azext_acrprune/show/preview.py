"""The preview before a question: what goes, what that frees, what stays and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..decide.reasons import TOLD, sentence_of
from ..exit_reasons import changes_nothing
from ..model import TICKS_PER_SECOND, UNREAD_REPOSITORY, parse_ticks, time_text
from ..spelling import escaped
from .money import saving_line
from .sizes import blob_digest, count, freed_size, human_age, human_size, short_digest, used_by
from .wrapping import wrapped

_DAY = 86_400 * TICKS_PER_SECOND
_LISTED = 10
_LISTED_LAYERS = 3
_SCREEN_LINES = 24
_LEAST_OF_A_NAME = 16


@dataclass(frozen=True)
class _Part:
    """Lines of the preview. Where there are too many for a screen, `more` says how many are left out of a list.

    What is `spare` is left out altogether where all the rest would not fit.
    """

    lines: Sequence[str]
    more: str = ''
    spare: bool = False

    def shown(self, most: int) -> list[str]:
        left = len(self.lines) - most
        if not self.more or left <= 0:
            return list(self.lines)
        return [*self.lines[:most], self.more.format(f'{left:,}')]


@dataclass(frozen=True)
class Screen:
    """Where the preview is shown: columns, None where lines may be of any length; what is shown before and after it."""

    width: int | None = None
    columns_before: int = 0
    lines_after: int = 0


@dataclass(frozen=True)
class Left:
    """What of a plan that was made before would go as the registry is now."""

    manifests: int
    tags: int


def preview_lines(plan: dict[str, Any], screen: Screen = Screen(), left: Left | None = None) -> list[str]:
    """The preview of a plan document, as lines of text that fit a screen. Images that the user named are listed.

    Of a plan that was made before, they say so, and what is `left` of it.
    """
    named = 'images' in plan['policy'] or 'untag' in plan['policy']
    going = full_list(plan) if named else ''
    rows = (going if screen.width is None else short_digest(going)).split('\n') if going else ()
    of_named = _Part(rows, 'And {} more of them: see the document.')
    parts = [
        *_as_made(plan, left),
        *_going(plan),
        of_named,
        _locked(plan),
        _stays_with(plan),
        *(() if named else _staying(plan)),
    ]
    return _fitted([*parts, _notes(plan)], screen)


def _fitted(parts: Sequence[_Part], screen: Screen) -> list[str]:
    """The lines of all parts; of those that can be cut, as many as fit, and at most ten."""
    height = _SCREEN_LINES - screen.lines_after
    lines: list[str] = []
    for most, spared in [(most, False) for most in range(_LISTED, -1, -1)] + [(0, True)]:
        shown = [text for part in parts if not (spared and part.spare) for text in part.shown(most)]
        lines = [line for number, text in enumerate(shown) for line in _broken(text, screen, is_first=not number)]
        if len(lines) <= height:
            return lines
    return [*lines[: height - 1], f'And {len(lines) - height + 1} more lines: see the document.']


def _broken(text: str, screen: Screen, is_first: bool) -> list[str]:
    """The text in lines; a row of a list loses the middle of its longest word, if that is enough."""
    text, width = escaped(text), screen.width
    if width is None:
        return [text]
    if text.startswith('  '):
        text = _shorter(text, width)
    before = ' ' * screen.columns_before if is_first else ''
    first, *others = wrapped(before + text, width, indent='  ')
    return [first[len(before) :], *others]


def _shorter(text: str, width: int) -> str:
    longest = max((word for word in text.split() if 'sha256' not in word), key=len)
    kept = len(longest) - (len(text) - width) - 1
    if len(text) <= width or kept < _LEAST_OF_A_NAME:
        return text
    return text.replace(longest, f'{longest[: kept // 2]}…{longest[len(longest) - (kept - kept // 2) :]}', 1)


def full_list(plan: dict[str, Any]) -> str:
    """Every manifest and tag that goes, one on a line, the largest first: the answer to `?` at the question."""
    going = sorted(plan['delete'], key=lambda entry: (-entry['uniqueBytes'], entry['repository'], entry['digest']))
    lines = [
        f'{human_size(entry["uniqueBytes"]):>10}{_age(plan, entry):>6}  {entry["repository"]}@{entry["digest"]}'
        f'{_tags(entry)}{_its_locks(entry)} ({entry["reason"]}: {entry["because"]})'
        for entry in going
    ]
    lines += [
        f'{"tag":>10}{_age(plan, entry):>6}  {entry["repository"]}:{entry["tag"]}{_its_locks(entry)} '
        f'({entry["reason"]}: {entry["because"]})'
        for entry in plan['untag']
    ]
    lines += [
        f'{"later":>10}{"":>6}  {entry["repository"]}@{entry["digest"]} by the registry '
        f'({entry["reason"]}: {entry["because"]})'
        for entry in plan.get('deleteLater', ())
    ]
    lines += [
        f'{kind:>10}{_age(plan, entry):>6}  {entry["repository"]}@{entry["digest"]}{_tags(entry)} ({entry["because"]})'
        for kind in ('retire', 'unretire')
        for entry in plan.get(kind, ())
    ]
    return '\n'.join(map(escaped, lines))


def _age(plan: dict[str, Any], entry: dict[str, Any]) -> str:
    return human_age(parse_ticks(entry['lastUpdateTime']), parse_ticks(plan['createdAt']) or 0)


def _its_locks(entry: dict[str, Any]) -> str:
    return f', locked: {", ".join(entry["locks"])}' if entry.get('locks') else ''


def has_locked(plan: dict[str, Any]) -> bool:
    """Whether something locked goes."""
    return any('locks' in entry for entry in (*plan['delete'], *plan['untag']))


def _as_made(plan: dict[str, Any], left: Left | None) -> Iterator[_Part]:
    if not left:
        return
    made = f'{time_text(parse_ticks(plan["createdAt"]) or 0)[:16].replace("T", " ")} UTC'
    manifests, tags = plan['summary']['manifestsToDelete'], len(plan['untag'])
    yield _Part([f'The plan of {made} says:'])
    if left != Left(manifests, tags):
        parts = [
            f'{there:,} of its {count(planned, noun)}'
            for noun, there, planned in (('manifest', left.manifests, manifests), ('tag', left.tags, tags))
            if planned
        ]
        yield _Part([f'(As the registry is now, {" and ".join(parts)} would go: the rest changed since, or is gone.)'])


def _going(plan: dict[str, Any]) -> Iterator[_Part]:
    summary = plan['summary']
    if changes_nothing(plan):
        yield _Part([f'Nothing to delete in {plan["registry"]}: {count(summary["manifests"], "manifest")} looked at.'])
    if plan['delete']:
        yield from _deleting(plan)
        yield _Part([_bytes_line(plan)])
        yield _Part([saving_line(plan['cost'], plan['impact'])] if 'cost' in plan else (), spare=True)
        yield _Part(
            [
                f'  {human_size(layer["size"])} stay because of {blob_digest(layer)}, {used_by(layer)}'
                for layer in plan.get('sharedLayers', ())[:_LISTED_LAYERS]
            ],
            spare=True,
        )
    if plan['untag']:
        tags = (
            f'{count(len(plan["untag"]), "tag")} will be removed from manifests that stay in {plan["registry"]}; '
            'that frees 0 bytes.'
        )
        yield _Part([tags, *_later(plan)])
    yield _Part([*_retiring(plan), *_locking(plan)])


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
    return time_text((parse_ticks(plan['createdAt']) or 0) + days * _DAY)[:10]


def _retiring(plan: dict[str, Any]) -> Iterator[str]:
    """What is gone for good, and what can be taken back until when."""
    gone = sum(1 for entry in plan['delete'] if 'retiredTime' in entry)
    if gone:
        yield f'{gone} of them retired before, and nobody took them back: they go for good now.'
    if plan.get('retire'):
        yield (
            f'{count(len(plan["retire"]), "manifest")} will be retired: pulls of them fail from now on, and nothing '
            f'is lost yet. {_sentence(plan["retire"][0]["because"])}'
        )
    if plan.get('retire') or plan['summary'].get('retiredBytes'):
        yield (
            f'What is retired frees {human_size(plan["summary"]["retiredBytes"])} when it goes, and nothing before. '
            f"'az acr prune restore -r {plan['registry']} --retired' takes it back."
        )
    if plan.get('unretire'):
        yield f'{count(len(plan["unretire"]), "manifest")} that were retired are wanted, and can be pulled again.'


def _locking(plan: dict[str, Any]) -> Iterator[str]:
    if plan.get('lock'):
        what = f'{len(plan["lock"])} tags and manifests'
        yield f'{what} that the policy keeps locked will be locked against deletion by anybody.'
    if plan.get('unlock'):
        yield f'{len(plan["unlock"])} that were locked so, and that it does not name any more, will be unlocked.'


def _sentence(because: str) -> str:
    text = because.rpartition(': ')[2]
    return f'{text[:1].upper()}{text[1:]}.'


def _deleting(plan: dict[str, Any]) -> Iterator[_Part]:
    """What goes from each repository, those first where most is freed."""
    summary = plan['summary']
    touched = [entry for entry in plan['repositories'] if entry['manifestsToDelete']]
    touched.sort(key=lambda entry: (-entry['freedBytes'], -entry['manifestsToDelete'], entry['name']))
    where = count(len(touched), 'repository')
    deleted = f'{count(summary["manifestsToDelete"], "manifest")} of {summary["manifests"]}'
    yield _Part([f'{deleted} will be deleted from {where} of {plan["registry"]}:'])
    yield _Part(
        [
            f'  {entry["name"]}: {entry["manifestsToDelete"]} of {entry["manifests"]}, '
            f'{freed_size(entry["freedBytes"], entry.get("impact", plan["impact"]))}'
            for entry in touched
        ],
        '  and {} more repositories',
    )
    tags = sum(len(entry['tags']) for entry in plan['delete'])
    them = 'it' if summary['manifestsToDelete'] == 1 else 'them'
    yield _Part([f'{count(tags, "tag")} will go with {them}.'] if tags else ())
    copies = sum(1 for entry in plan['delete'] if entry.get('streamingCopy'))
    among = f'Among them {"is" if copies == 1 else "are"} {count(copies, "streaming copy")} of images that go.'
    yield _Part([among] if copies else (), spare=True)


def _locked(plan: dict[str, Any]) -> _Part:
    number = sum(1 for entry in (*plan['delete'], *plan['untag']) if 'locks' in entry)
    return _Part([f'{number} of them locked, and will be unlocked to go.'] if number else ())


def _stays_with(plan: dict[str, Any]) -> _Part:
    """Of images that the user named: what of them stays, and what keeps it."""
    rows = [
        f'{row["repository"]}@{row["digest"]} stays, because {sentence_of(True, row["reason"], row["because"])}.'
        for row in plan.get('staysWith', ())
    ]
    return _Part(rows, 'And {} more of their parts and referrers stay.')


def _tags(entry: dict[str, Any]) -> str:
    plural = 's' if len(entry['tags']) > 1 else ''
    return f' with its tag{plural} {", ".join(entry["tags"])}' if entry['tags'] else ''


def _bytes_line(plan: dict[str, Any]) -> str:
    summary = plan['summary']
    line = f'This frees {freed_size(summary["freedBytes"], plan["impact"])} ({summary["freedBytes"]:,} bytes)'
    if summary['sharedBytes']:
        shared = freed_size(summary['sharedBytes'], summary['heldImpact'])
        line += f'; {shared} of their layers stay, because other images use them'
    line += '.'
    days = summary['softDeleteRetentionDays']
    if days:
        line += f' Soft delete is on: nothing is freed before {_day_after(plan, days)}.'
        line += f" Until then 'az acr prune undo -r {plan['registry']}' brings all of it back, without an archive."
    return line


def _staying(plan: dict[str, Any]) -> Iterator[_Part]:
    kept = sorted(plan['summary']['keptByReason'].items(), key=lambda item: (-item[1], item[0]))
    yield _Part([f'Kept: {count(plan["summary"]["manifestsKept"], "manifest")}.'] if kept else ())
    yield _Part(
        [f'  {number} {TOLD[reason].kept} ({reason})' for reason, number in kept], '  and those of {} more reasons'
    )


def _notes(plan: dict[str, Any]) -> _Part:
    ranked = sorted(plan['warnings'], key=lambda warning: warning['code'] != UNREAD_REPOSITORY)
    notes = [f'Note: {_warning(warning)}' for warning in ranked]
    return _Part(notes, 'And {} more notes: see "warnings" in the document.')


def _warning(warning: dict[str, Any]) -> str:
    where = '@'.join(short_digest(part) for part in (warning['repository'], warning['digest']) if part)
    return f'{where}: {warning["message"]}' if where else warning['message']
