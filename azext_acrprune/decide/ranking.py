"""Which of those that a rule claims stay because of their rank: the newest, by version, by group, spread over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import semver

from ..model import TICKS_PER_SECOND
from ..policy.patterns import GroupPattern
from ..policy.rules import IMAGES, Keep, Thin


@dataclass(frozen=True)
class Entry:
    """A tag, or an untagged image, that may be ranked. `name` is the tag, or the digest; `instant` is in ticks.

    `pulled` is the instant of the last pull, 0 for never, None where that is not known.
    """

    name: str
    image: str
    instant: int
    is_tag: bool = True
    pulled: int | None = None


Unit = tuple[Entry, ...]
"""What is counted as one: the tags of an image that a rule claims, the newest first, or a single tag."""

Version = semver.VersionInfo


def spared(entries: Iterable[Entry], keep: Keep) -> Iterator[tuple[str, list[Entry]]]:
    """(why, entries) of those that stay for their rank."""
    units = list(_units(entries, keep))
    if keep.newest:
        yield f'among the newest {keep.newest}', _flat(units[: keep.newest])
    if keep.semver:
        for kind, chosen in zip(('releases', 'pre-releases'), _newest_versions(units, keep)):
            yield f'among the newest {keep.semver} {kind} by version', _flat(chosen)
    for number, pattern in keep.groups:
        for group, members in _groups(units, pattern):
            yield f'among the newest {number} of {group}', _flat(members[:number])
    if keep.recently_pulled:
        pulled = sorted((unit for unit in units if _last_pull(unit)), key=lambda unit: -_last_pull(unit))
        yield f'among the {keep.recently_pulled} pulled last', _flat(pulled[: keep.recently_pulled])
    if keep.thin:
        for group, members in _groups(units, keep.thin.group) if keep.thin.group else [('', units)]:
            yield from _thinned(members, keep.thin, f' of {group}' if group else '')


def unranked(entries: Iterable[Entry], keep: Keep) -> Iterator[tuple[str, Entry]]:
    """(why, entry) of each that has no rank by something that a rule keeps by."""
    for entry in entries:
        why = _why_unranked(entry, keep)
        if why:
            yield why, entry


def _why_unranked(entry: Entry, keep: Keep) -> str | None:
    if keep.per_subject:
        return 'it refers to nothing'
    patterns = [pattern for _, pattern in keep.groups]
    if keep.thin and keep.thin.group:
        patterns.append(keep.thin.group)
    if not entry.is_tag:
        return 'it has no tag to rank it by' if keep.ranks_by_tag else _why_pull_unknown(entry, keep)
    if keep.semver and version_of(entry.name, keep) is None:
        return 'it is no version'
    if any(not pattern.group_of(entry.name) for pattern in patterns):
        return 'it is in no group'
    return _why_pull_unknown(entry, keep)


def _why_pull_unknown(entry: Entry, keep: Keep) -> str | None:
    return 'its last pull is not known' if keep.recently_pulled and entry.pulled is None else None


def version_of(tag: str, keep: Keep) -> Version | None:
    """The semantic version that a tag is, with or without a leading `v`; Helm writes `+` as `_`."""
    text = keep.patched.without_end(tag) if keep.patched else tag
    try:
        return Version.parse(text.removeprefix('v').replace('_', '+', 1))
    except ValueError:
        return None


def _units(entries: Iterable[Entry], keep: Keep) -> Iterator[Unit]:
    """The newest first."""
    newest_first = sorted(entries, key=lambda entry: (-entry.instant, entry.name))
    if keep.count != IMAGES:
        yield from ((entry,) for entry in newest_first)
        return
    images: dict[str, list[Entry]] = {}
    for entry in newest_first:
        images.setdefault(entry.image, []).append(entry)
    yield from map(tuple, images.values())


def _flat(units: Iterable[Unit]) -> list[Entry]:
    return [entry for unit in units for entry in unit]


def _newest_versions(units: Sequence[Unit], keep: Keep) -> tuple[list[Unit], list[Unit]]:
    """The newest releases and the newest pre-releases; with patched tags all of each version."""
    found: tuple[list[tuple[Version, Unit]], list[tuple[Version, Unit]]] = ([], [])
    for unit in units:
        versions = [version for entry in unit for version in [version_of(entry.name, keep)] if version]
        for kind in (False, True):
            best = max((version for version in versions if bool(version.prerelease) == kind), default=None)
            if best is not None:
                found[kind].append((best, unit))
    return _of_newest(found[0], keep), _of_newest(found[1], keep)


def _of_newest(ranked: list[tuple[Version, Unit]], keep: Keep) -> list[Unit]:
    ranked.sort(key=lambda pair: pair[0], reverse=True)  # units of one version stay in order of time
    if not keep.patched:
        return [unit for _, unit in ranked[: keep.semver]]
    versions: list[Version] = []
    for version, _ in ranked:
        if version not in versions[-1:]:
            versions.append(version)
    return [unit for version, unit in ranked if version in versions[: keep.semver]]


def _groups(units: Iterable[Unit], pattern: GroupPattern) -> Iterator[tuple[str, list[Unit]]]:
    """(name, units in order of time) of each group that has some tag of a unit."""
    groups: dict[tuple[str, ...], list[Unit]] = {}
    for unit in units:
        for group in dict.fromkeys(pattern.group_of(entry.name) for entry in unit if entry.is_tag):
            if group:
                groups.setdefault(group, []).append(unit)
    for group, members in groups.items():
        yield '/'.join(group), members


def _last_pull(unit: Unit) -> int:
    return max(entry.pulled or 0 for entry in unit)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _thinned(units: Sequence[Unit], thin: Thin, where: str) -> Iterator[tuple[str, list[Entry]]]:
    """The newest unit of each period, as restic does it: the oldest of all fills a place that is left.

    That is why nothing more goes when the same is asked again.
    """
    for word, number, period in (
        ('hourly', thin.hourly, '%Y-%m-%d %H'),
        ('daily', thin.daily, '%Y-%m-%d'),
        ('weekly', thin.weekly, '%G-%V'),
        ('monthly', thin.monthly, '%Y-%m'),
        ('yearly', thin.yearly, '%Y'),
    ):
        periods = [_moment(unit).strftime(period) for unit in units]
        yield f'among {number} {word}{where}', _flat(_newest_of_each(units, number, periods))


def _newest_of_each(units: Sequence[Unit], number: int, periods: Sequence[str]) -> list[Unit]:
    chosen: list[Unit] = []
    last = None
    for position, (unit, period) in enumerate(zip(units, periods)):
        if len(chosen) < number and (period != last or position == len(units) - 1):
            chosen.append(unit)
            last = period
    return chosen


def _moment(unit: Unit) -> datetime:
    return _EPOCH + timedelta(seconds=unit[0].instant // TICKS_PER_SECOND)
