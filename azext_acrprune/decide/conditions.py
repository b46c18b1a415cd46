"""What a rule waits for beside the age: true lets go, false keeps, and so does what is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from ..model import TICKS_PER_SECOND, Content, Manifest, parse_ticks, time_text
from ..policy.ages import SECONDS_PER_DAY, is_date
from ..policy.rules import Period, When
from .claims import Place, age_is_over, images_of, labels_of
from .reasons import NOT_DUE, UNKNOWN

_DURATION = re.compile(r'(\d{1,9}) ?([a-zA-Z]+)\Z', re.ASCII)
_SECONDS = {
    's': 1,
    'h': 3_600,
    'd': SECONDS_PER_DAY,
    'w': 7 * SECONDS_PER_DAY,
    'm': 31 * SECONDS_PER_DAY,
    'mo': 31 * SECONDS_PER_DAY,
    'y': 366 * SECONDS_PER_DAY,
}
"""Units of labels that say how long an image is wanted. Tools differ on `m`: the longer meaning is the safe one."""
_DATE = re.compile(r'\d{4}-\d\d-\d\d\Z', re.ASCII)
NEVER = 2**62
"""The instant of what never ends."""


@dataclass(frozen=True)
class Due:
    """Why something does not go: what its rule waits for has not come, or is not known."""

    reason: str
    text: str


def due(when: When, place: Place, manifest: Manifest, tag: str | None) -> Due | None:
    """None when all is true that a rule waits for; else the first thing that is not."""
    return next(_open(when, place, manifest, tag), None)


def _open(when: When, place: Place, manifest: Manifest, tag: str | None) -> Iterator[Due]:
    if when.not_pulled_for:
        yield from _pulled(when.not_pulled_for, place, manifest)
    if when.never_pulled_after:
        yield from _ever_pulled(when.never_pulled_after, place, manifest)
    if when.untagged_for:
        yield from _untagged(when.untagged_for, place, manifest, tag)
    if when.expired:
        yield from _expired(when.expired, place, manifest)


def _pulled(period: Period, place: Place, manifest: Manifest) -> Iterator[Due]:
    facts = place.facts
    last = facts.pulled.get(place.repository.name, {}).get(manifest.digest)
    begin = place.now - period.seconds * TICKS_PER_SECOND
    if last is not None and last > begin:
        yield Due(NOT_DUE, f'pulled {time_text(last)[:10]}')
    elif facts.pulls_since is None:
        yield Due(UNKNOWN, 'no log of pulls was asked')
    elif facts.pulls_since > begin:
        of = f'alone, and not all {period.said}' if is_date(period.text) else f'of {period.text}'
        yield Due(UNKNOWN, f'the log of pulls covers {_days(place, facts.pulls_since)} {of}')


def _ever_pulled(period: Period, place: Place, manifest: Manifest) -> Iterator[Due]:
    last = place.facts.last_pull(place.repository.name, manifest.digest, manifest.created_at)
    if last:
        yield Due(NOT_DUE, f'pulled {time_text(last)[:10]}')
    elif last is None:
        since = place.facts.pulls_since
        covered = (
            'no log of pulls was asked' if since is None else f'the log of pulls covers {_days(place, since)} alone'
        )
        yield Due(UNKNOWN, f'{covered}, and the image is older')
    elif not age_is_over(manifest.created_at, period.seconds, place.now):
        yield Due(NOT_DUE, f'created {manifest.created_time}')


def _untagged(period: Period, place: Place, manifest: Manifest, tag: str | None) -> Iterator[Due]:
    since = place.facts.untagged.get(place.repository.name, {}).get(manifest.digest)
    if tag is not None:
        yield Due(NOT_DUE, f'it has the tag {tag}')
    elif since is None:
        yield Due(UNKNOWN, 'the day on which it lost its last tag is not in the journal of this machine')
    elif not age_is_over(max(since, manifest.updated_at or place.now), period.seconds, place.now):
        yield Due(NOT_DUE, f'it lost its last tag {time_text(since)}, and was changed {manifest.last_update_time}')


def _days(place: Place, since: int) -> str:
    return f'{(place.now - since) // (SECONDS_PER_DAY * TICKS_PER_SECOND)} days'


def _expired(keys: tuple[str, ...], place: Place, manifest: Manifest) -> Iterator[Due]:
    until = wanted_until(keys, place, manifest)
    if until is None:
        yield Due(UNKNOWN, f'until when it is wanted is not known ({", ".join(keys)})')
    elif until == NEVER:
        yield Due(NOT_DUE, f'nothing says that it expires ({", ".join(keys)})')
    elif until > place.now:
        yield Due(NOT_DUE, f'it expires on {time_text(until)}')


def wanted_until(keys: tuple[str, ...], place: Place, manifest: Manifest) -> int | None:
    """The instant until which an image is wanted, NEVER for good, None when that is not known.

    What refers to an image, or says it itself, counts for all of it. Of an index each image has to say it, and the
    latest counts.
    """
    said = list(_said_of(keys, place, manifest))
    images = [image for image in images_of(place, manifest) if image is not manifest]
    per_image = [list(_said_of(keys, place, image)) for image in images]
    if not said and not (per_image and all(per_image)):
        return None if _is_unknown(place, [manifest, *images]) else NEVER
    every = [*said, *(instant for instants in per_image for instant in instants)]
    if None in every or _is_unknown(place, [manifest, *images]):
        return None
    return max(instant for instant in every if instant is not None)


def _said_of(keys: tuple[str, ...], place: Place, manifest: Manifest) -> Iterator[int | None]:
    """What the annotations and labels of an image, and the annotations of what refers to it, say of its end."""
    labels = labels_of(place, manifest) or {}
    content = manifest.content
    annotations = dict(content.annotations) if isinstance(content, Content) else {}
    for key in keys:
        for pairs in (labels, annotations):
            if key in pairs:
                yield _instant(pairs[key], manifest.created_at)
    for referrer in place.graph.referrers.get(manifest.digest, ()):
        other = place.repository.manifests[referrer]
        pairs = dict(other.content.annotations) if isinstance(other.content, Content) else {}
        yield from (_instant(pairs[key], other.created_at) for key in keys if key in pairs)


def _is_unknown(place: Place, manifests: Iterable[Manifest]) -> bool:
    return any(not isinstance(each.content, Content) or labels_of(place, each) is None for each in manifests)


def _instant(text: str, since: int | None) -> int | None:
    """The instant that a value names, or that is so long after `since`; None for what cannot be understood."""
    text = text.strip()
    if text.lower() == 'never':
        return NEVER
    match = _DURATION.match(text)
    if match:
        seconds = _SECONDS.get(match[2].lower())
        return None if seconds is None or since is None else since + int(match[1]) * seconds * TICKS_PER_SECOND
    if _DATE.match(text):
        return _end_of_day(text)
    return parse_ticks(text)


def _end_of_day(text: str) -> int | None:
    try:
        day = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return (int(day.timestamp()) + SECONDS_PER_DAY) * TICKS_PER_SECOND
