"""Who pins what: references with the place that they were found in."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

from ..model import Repository
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


@dataclass(frozen=True)
class Problem:
    """Something that could not be read, in which there may be pins that nobody knows of."""

    message: str
    source: str
    line: int = 0

    def __str__(self) -> str:
        return f'{self.source}:{self.line}: {self.message}' if self.line else f'{self.source}: {self.message}'


@dataclass(frozen=True)
class Found:
    """What one source says."""

    pins: Tuple[Pin, ...] = ()
    problems: Tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Pins:
    """All pins of one command."""

    pins: Tuple[Pin, ...] = ()

    def by_tag(self, repository: str) -> Mapping[str, str]:
        """{tag: who pins it} in one repository."""
        return self._by(repository, 'tag')

    def by_digest(self, repository: str) -> Mapping[str, str]:
        """{digest: who pins it} in one repository."""
        return self._by(repository, 'digest')

    def on(self, repository: Repository) -> Mapping[str, str]:
        """{digest: who pins it} of the manifests that are pinned by what a repository is now.

        A tag pins what it points to. Manifests and tags are two listings: where they disagree, both count.
        """
        tags, digests = self.by_tag(repository.name), self.by_digest(repository.name)
        found: Dict[str, str] = {}
        if not tags and not digests:
            return found
        for digest, manifest in repository.manifests.items():
            pinned = [digests[digest]] if digest in digests else []
            pinned += [tags[tag] for tag in manifest.tags if tag in tags]
            if pinned:
                found[digest] = pinned[0]
        for tag, who in tags.items():
            known = repository.tags.get(tag)
            if known:
                found.setdefault(known.digest, who)
        return found

    def _by(self, repository: str, part: str) -> Dict[str, str]:
        places: Dict[str, List[str]] = {}
        for pin in self.pins:
            value: Optional[str] = getattr(pin.reference, part)
            if pin.reference.repository == repository and value is not None:
                places.setdefault(value, []).append(pin.where)
        return {value: named(who) for value, who in places.items()}


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
            problems.append(Problem(f"'{finding.text}' cannot be followed: {finding.why}", source, line))
    return Found(tuple(pins), tuple(problems))


def merged(found: Iterable[Found]) -> Found:
    """Everything that several sources say, each thing once; who is certain need not be asked again."""
    every = list(found)
    pins = dict.fromkeys(pin for each in every for pin in each.pins)
    certain = {replace(pin, reference=replace(pin.reference, certain=False)) for pin in pins if pin.reference.certain}
    return Found(tuple(pin for pin in pins if pin not in certain),
                 tuple(dict.fromkeys(problem for each in every for problem in each.problems)))
