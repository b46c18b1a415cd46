"""Who pins what: references with the place that they were found in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ..model import Repository
from ..prune_error import PruneError
from ..spelling import printable
from .references import Finding, Reference


@dataclass(frozen=True)
class Pin:
    """An image that somebody uses. `source` is a file or a thing in a live system; lines count from 1, 0 is no line."""

    reference: Reference
    source: str
    line: int = 0

    @property
    def where(self) -> str:
        return f'{self.source}:{self.line}' if self.line else self.source


PINS_NOT_READ = 'pinsNotRead'
"""Code of a problem: a source, or a part of it, could not be read or understood."""

NOT_RESOLVED = 'pinNotResolved'
"""Code of a problem: a reference to this registry could not be followed."""


ABSENT = 'pinAbsent'
"""Code of a problem: a pin points to nothing in the registry."""

NOT_LISTED = 'pinsNotListed'
"""Code of a problem: a part was not looked at, as where a live system lets nobody see it. It is told, and no error."""


@dataclass(frozen=True)
class Problem:
    """Why some pins may be unknown. `line` 0 means the whole source; `code` is one of the codes above.

    One that is `unused` is a name that leads to no image in its own file: no problem where another file uses it. One
    that has a `repository` tells that something only watches it: no problem where an image of it is pinned.
    """

    message: str
    source: str
    line: int = 0
    code: str = PINS_NOT_READ
    unused: bool = False
    repository: str = ''

    def __str__(self) -> str:
        return f'{self.source}:{self.line}: {self.message}' if self.line else f'{self.source}: {self.message}'


@dataclass(frozen=True)
class Words:
    """The words of a file that may be names of repositories and tags, with the line of each, which counts from 1.

    `hosted` are those that stand right behind the name of the registry, and `versions` those at a name like `tag`.
    Of the repositories that are `literal` an image stands in the file in one piece, letter by letter.
    """

    source: str
    lines: Mapping[str, int]
    hosted: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    literal: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Found:
    """The pins and the problems that were found in sources, and which lines of other files these take values from.

    `words` are those of files, for what only the registry can join.
    """

    pins: tuple[Pin, ...] = ()
    problems: tuple[Problem, ...] = ()
    used: frozenset[tuple[str, int]] = frozenset()
    words: tuple[Words, ...] = field(default=(), compare=False)


class Incomplete(PruneError):
    """There are problems with the pins, and the command may not go on with any; `problems` is a tuple of them."""

    sentence = 'Nothing was deleted, because the pins are not all known: {message}.'
    advice = (
        'Correct what is wrong; or leave out --strict-pins, and give --no-strict-pins with --yes, to be warned instead.'
    )

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        more = f' and {len(problems) - 1} more' if len(problems) > 1 else ''
        super().__init__(f'{problems[0]}{more}')
        self.problems = problems


@dataclass(frozen=True)
class Sources:
    """Where a user has pins: files and folders (`-` is standard input), live systems, and custom domains of the
    registry.

    With `strict`, a problem is an error. What was seen to run within `ran_within`, a duration, is pinned too.
    """

    paths: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    strict: bool = False
    systems: tuple[str, ...] = ()
    ran_within: str | None = None


@dataclass(frozen=True)
class Pins:
    """All pins of one command. `given` is what the plan document shows of them; with `strict` a problem is an error.

    `words` are those of the files that were read.
    """

    pins: tuple[Pin, ...] = ()
    problems: tuple[Problem, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    words: tuple[Words, ...] = ()

    @property
    def shown(self) -> Mapping[str, Any]:
        """What was asked for, for the `policy` of a plan; nothing where no pins were."""
        return {'pins': dict(self.given)} if self.given else {}

    def by_tag(self, repository: str) -> Mapping[str, str]:
        """{tag: who pins it} in one repository."""
        return self._tags.get(repository, {})

    def by_digest(self, repository: str) -> Mapping[str, str]:
        """{digest: who pins it} in one repository."""
        return self._digests.get(repository, {})

    def on(self, repository: Repository) -> Mapping[str, str]:
        """{digest: who pins it} of the manifests that are pinned by what a repository is now.

        A tag pins what it points to. Manifests and tags are two listings: where they disagree, both count.
        """
        tags, digests = self.by_tag(repository.name), self.by_digest(repository.name)
        found = dict(digests)
        if tags:
            for digest, manifest in repository.manifests.items():
                for who in (tags[tag] for tag in manifest.tags if tag in tags):
                    found.setdefault(digest, who)
            for tag, who in tags.items():
                if tag in repository.tags:
                    found.setdefault(repository.tags[tag].digest, who)
        return found

    @cached_property
    def _tags(self) -> Mapping[str, Mapping[str, str]]:
        return _by_repository((pin.reference.repository, pin.reference.tag, pin.where) for pin in self.pins)

    @cached_property
    def _digests(self) -> Mapping[str, Mapping[str, str]]:
        return _by_repository((pin.reference.repository, pin.reference.digest, pin.where) for pin in self.pins)


def _by_repository(found: Iterable[tuple[str, Any, str]]) -> Mapping[str, Mapping[str, str]]:
    places: dict[str, dict[str, list[str]]] = {}
    for repository, value, where in found:
        if value is not None:
            places.setdefault(repository, {}).setdefault(value, []).append(where)
    return {repository: {value: named(who) for value, who in values.items()} for repository, values in places.items()}


def named(places: Iterable[str]) -> str:
    """The first of several places, and how many more there are."""
    first, *others = sorted(set(places))
    return f'{first} and {len(others)} more' if others else first


def found_in(findings: Iterable[Finding], source: str, line: int = 0) -> Found:
    """Findings at one place: references are pins, and what could not be followed is a problem."""
    pins, problems = [], []
    for finding in findings:
        if isinstance(finding, Reference):
            pins.append(Pin(finding, source, line))
        else:
            message = f"'{printable(finding.text)}' cannot be followed: {finding.why}"
            problems.append(Problem(message, source, line, NOT_RESOLVED))
    return Found(tuple(pins), tuple(problems))


def merged(found: Iterable[Found]) -> Found:
    """The pins and problems of several finds, each once. An uncertain pin is left out where the same one is certain,
    and a problem with a repository of which there is a pin.
    """
    every = list(found)
    pins = dict.fromkeys(pin for each in every for pin in each.pins)
    pinned = {pin.reference.repository for pin in pins}
    for pin in [pin for pin in pins if not pin.reference.certain]:
        if replace(pin, reference=replace(pin.reference, certain=True)) in pins:
            del pins[pin]
    return Found(
        tuple(pins),
        tuple(dict.fromkeys(p for each in every for p in each.problems if p.repository not in pinned)),
        frozenset().union(*(each.used for each in every)),
        tuple(words for each in every for words in each.words),
    )
