"""Images that a file names in pieces that no reader joined, and that the registry has.

There is no end to the ways of writing an image in parts. But the registry knows what it has: where a file names a
repository and a tag or digest in it, and no image of that repository was read there, it is taken to use that image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import PurePath

from ..model import Repository
from .pinned import Pin, Pins, Words
from .references import Reference, RegistryNames

_WORD = re.compile(r'[A-Za-z0-9_][\w.-]*(?:/[\w.-]+)*')
_FORMAT = re.compile(r'%[sdv]')
_COMMENT = re.compile(
    r'\A\s*(?:#(?!cloud-config)|//|--\s|;|<!--|@?rem\s|::).*|\s(?:#|//)\s.*|/\*.*?(?:\*/|\Z)', re.IGNORECASE
)
_HEX = re.compile(r'[0-9a-f]+\Z')
_HEX_LENGTH = 64
_SHORTEST = 4


def words_of(text: str, source: str, names: RegistryNames) -> Words:
    """The words of a file outside of its comments, without the registry before them."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split('\n'), 1):
        for word in _WORD.findall(_FORMAT.sub(' ', _COMMENT.sub('', line))):
            host, _, path = word.partition('/')
            lines.setdefault((path if path and names.has(host) else word).rstrip('.'), number)
    return Words(source, lines)


def with_joined(pins: Pins, repositories: Iterable[Repository]) -> Pins:
    """The pins and those of tags and digests that files name apart from their repositories, as the registry has both.

    These are not certain, so that nobody is told of them where they are gone. Where a file surely names an image of a
    repository in one piece, the other words of that file are not looked at for it.
    """
    if not pins.words:
        return pins
    known = _Known(pins)
    more = dict.fromkeys(pin for repository in repositories for pin in known.named(repository))
    return replace(pins, pins=(*pins.pins, *more)) if more else pins


def may_be_named(pins: Pins, repositories: Iterable[str]) -> list[str]:
    """Those of the repositories of which a file may name an image in pieces; only these have to be known."""
    known = _Known(pins)
    return [repository for repository in repositories if known.places(repository)]


@dataclass(frozen=True, eq=False)
class _Naming:
    """A file that names a repository: at which line, and whether in one word of several steps."""

    words: Words
    line: int
    is_whole: bool


class _Known:
    """The words of all files."""

    def __init__(self, pins: Pins) -> None:
        self._files: dict[str, list[Words]] = {}
        self._folders: dict[str, set[str]] = {}
        for words in pins.words:
            self._folders.setdefault(_folder(words), set()).update(words.lines)
            for word in words.lines:
                self._files.setdefault(word, []).append(words)
        self._pinned = {(pin.source, pin.reference.repository) for pin in pins.pins if pin.reference.certain}

    def named(self, repository: Repository) -> Iterator[Pin]:
        places = self.places(repository.name)
        if not places:  # as nearly always, so that the tags of all repositories are not gone through
            return
        tags = {*repository.tags, *(tag for manifest in repository.manifests.values() for tag in manifest.tags)}
        for place in places:
            for tag in sorted(self._tags(place, tags)):
                yield Pin(Reference(repository.name, tag, certain=False), place.words.source, place.line)
            for digest in _digests(place.words):
                if digest in repository.manifests:
                    yield Pin(Reference(repository.name, None, digest, False), place.words.source, place.line)

    def places(self, repository: str) -> list[_Naming]:
        """Where a repository is named by files that do not pin an image of it for certain."""
        return [place for place in self._all_places(repository) if (place.words.source, repository) not in self._pinned]

    def _all_places(self, repository: str) -> Iterator[_Naming]:
        for words in self._files.get(repository, ()):
            yield _Naming(words, words.lines[repository], '/' in repository)
        for match in re.finditer('/', repository):
            group, name = repository[: match.start()], repository[match.end() :]
            for words in self._files.get(name, ()):
                if group in words.lines and repository not in words.lines:
                    yield _Naming(words, words.lines[name], False)

    def _tags(self, place: _Naming, tags: AbstractSet[str]) -> set[str]:
        """Those tags that a file names. One with a digit may stand in another file of the folder."""
        there = tags & place.words.lines.keys()
        if not place.is_whole:
            return set(filter(_is_distinct, there))
        return there.union(filter(_is_distinct, tags & self._folders[_folder(place.words)]))


def _digests(words: Words) -> list[str]:
    return [f'sha256:{word}' for word in words.lines if len(word) == _HEX_LENGTH and _HEX.match(word)]


def _is_distinct(tag: str) -> bool:
    """Whether a tag is hardly anything else: a version, a date or a commit, and neither a word nor a small number."""
    return len(tag) >= _SHORTEST and any(character.isdigit() for character in tag)


def _folder(words: Words) -> str:
    return str(PurePath(words.source).parent)
