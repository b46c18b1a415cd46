"""What of an archive, or of what runs took, is asked for: by name, by pattern, by repository, by time, or by run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..model import TICKS_PER_SECOND, parse_ticks
from ..policy.ages import parse_age
from ..policy.patterns import Pattern, glob, refuse_host
from ..prune_error import Kind, PruneError
from .named import parse_image

_IS_GLOB = re.compile(r'[*?]')
_LISTED = 5
_LAST = 253_402_300_799 * TICKS_PER_SECOND
"""The last second of the year 9999."""


@dataclass(frozen=True)
class Taken:
    """A manifest, or with `tag` a tag on it, that can be brought back. `at` is when it went, in ticks."""

    repository: str
    digest: str
    tag: str | None = None
    at: int | None = None


@dataclass(frozen=True)
class AskedImage:
    """Images by `repository:tag`, where both may be globs, or by `repository@digest`, whose first digits are enough."""

    text: str
    repository: Pattern
    tag: Pattern | None = None
    digest: str | None = None

    def takes(self, item: Taken) -> bool:
        """Whether this means the item: a tag, or where it is a digest, the manifest itself."""
        if not self.repository.matches(item.repository):
            return False
        if self.tag is not None:
            return item.tag is not None and self.tag.matches(item.tag)
        return item.tag is None and item.digest.startswith(str(self.digest))


class NothingAsked(PruneError):
    """Something was asked for that is not there to be brought back; the text is what was asked for."""

    kind = Kind.NOT_FOUND
    sentence = "There is nothing to bring back for '{message}'."
    advice = "See what the runs took with 'az acr prune history list -o table'."


@dataclass(frozen=True)
class Asked:
    """All conditions together: an item has to meet each of them. What is empty or None is no condition.

    `since` is an instant in ticks. `run` has what one run took, {(repository, digest, tag or None)}.
    """

    images: tuple[AskedImage, ...] = ()
    repositories: tuple[Pattern, ...] = ()
    since: int | None = None
    run: AbstractSet[tuple[str, str, str | None]] | None = None

    def find(self, items: Iterable[Taken]) -> list[Taken]:
        """The items that are asked for. Raises NothingAsked for a name or pattern that none of them meets."""
        meeting = [item for item in items if self._meets(item)]
        for pattern in self.repositories:
            if not any(pattern.matches(item.repository) for item in meeting):
                raise NothingAsked(pattern.text)
        if not self.images:
            return meeting
        found: dict[Taken, None] = {}
        for image in self.images:
            mine = [item for item in meeting if image.takes(item)]
            _check(image, mine)
            found.update(dict.fromkeys(mine))
        return list(found)

    def means(self, item: Taken) -> bool:
        """Whether an item is asked for."""
        return self._meets(item) and (not self.images or any(image.takes(item) for image in self.images))

    def _meets(self, item: Taken) -> bool:
        if self.run is not None and (item.repository, item.digest, item.tag) not in self.run:
            return False
        if self.since is not None and (item.at is None or item.at < self.since):
            return False
        return not self.repositories or any(pattern.matches(item.repository) for pattern in self.repositories)


def parse_asked_image(text: str) -> AskedImage:
    """`repository:tag` or `repository@digest`, as a name or as a glob. Raises ValueError."""
    refuse_host(text)
    if '@' in text or not _IS_GLOB.search(text):
        name = parse_image(text)
        return AskedImage(text, glob(name.repository), glob(name.tag) if name.tag else None, name.digest)
    repository, colon, tag = text.rpartition(':')
    if not colon or not repository or not tag or '/' in tag:
        raise ValueError(f"'{text}' is neither repository:tag nor repository@digest")
    return AskedImage(text, glob(repository), glob(tag))


def in_ticks(seconds: float) -> int:
    """An instant in ticks, of the seconds since 1970."""
    return int(seconds * TICKS_PER_SECOND)


def ahead_of(text: str, now: int) -> int:
    """The instant, in ticks, that an age from now on such as `30d`, or a date, means.

    Raises ValueError, also for what is over already, or farther ahead than a calendar goes.
    """
    ticks = _instant(text, now, 1)
    if ticks <= now:
        raise ValueError(f"'{text}' is over already")
    if ticks > _LAST:
        raise ValueError(f"'{text}' is after the year 9999")
    return ticks


def _check(image: AskedImage, found: Collection[Taken]) -> None:
    """Raises NothingAsked for no image, and PruneError for the beginning of several digests."""
    if not found:
        raise NothingAsked(image.text)
    digests = sorted({item.digest for item in found})
    if image.digest is not None and len(digests) > 1:
        raise PruneError(
            f"'{image.text}' is the beginning of several digests: {', '.join(digests[:_LISTED])}.",
            'Give more digits of the one that is meant.',
            Kind.INVALID,
        )


def since_of(text: str, now: int) -> int:
    """The instant, in ticks, that an age such as `7d`, or a date such as `2026-11-01`, means.

    Raises ValueError, also for what has not come yet.
    """
    ticks = _instant(text, now, -1)
    if ticks > now:
        raise ValueError(f"'{text}' has not come yet")
    return ticks


def _instant(text: str, now: int, direction: int) -> int:
    """In ticks: a date, or an age from now on, or back where the direction is negative. Raises ValueError."""
    try:
        return now + direction * parse_age(text) * TICKS_PER_SECOND
    except ValueError:
        ticks = parse_ticks(text if 'T' in text else f'{text}T00:00:00Z')
        if ticks is None:
            raise ValueError(f"'{text}' is neither an age like 7d nor a date like 2026-11-01") from None
        return ticks
