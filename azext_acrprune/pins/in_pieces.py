"""Images that a file names in pieces that no reader joined, and that the registry has.

There is no end to the ways of writing an image in parts. But the registry knows what it has: where a file names a
repository and a tag or digest in it, and no image of that repository was read there, it is taken to use that image.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import PurePath

from ..model import Repository
from .pinned import Pin, Pins, Words
from .references import Reference, RegistryNames

_WORD = re.compile(r'[A-Za-z0-9_][\w.-]*(?:/[\w.-]+)*')
_FORMAT = re.compile(r'%[sdv]')
_COMMENT = re.compile(r'\A\s*(?:#(?!cloud-config)|//|--\s|;|\*|/\*|<!--|@?rem\b|::).*|\s(?:#|//)\s.*', re.IGNORECASE)
_HEX = re.compile(r'[0-9a-f]{64}\Z')
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

    These are not certain, so that nobody is told of them where they are gone. A file counts as one that pins an image
    of a repository where any file of its folder does.
    """
    if not pins.words:
        return pins
    known = _Known(pins)
    more = tuple(pin for repository in repositories for pin in known.named(repository))
    return replace(pins, pins=(*pins.pins, *more)) if more else pins


def may_be_named(pins: Pins, repositories: Iterable[str]) -> list[str]:
    """Those of the repositories of which a file may name a tag apart; only their tags have to be known."""
    known = _Known(pins)
    return [repository for repository in repositories if known.places(repository)]


class _Known:
    """The words of all files."""

    def __init__(self, pins: Pins) -> None:
        self._files: dict[str, list[Words]] = {}
        self._folders: dict[str, set[str]] = {}
        for words in pins.words:
            self._folders.setdefault(_folder(words.source), set()).update(words.lines)
            for word in words.lines:
                self._files.setdefault(word, []).append(words)
        self._digests = {
            words.source: [f'sha256:{word}' for word in words.lines if len(word) == 64 and _HEX.match(word)]
            for words in pins.words
        }
        self._pinned = {(_folder(pin.source), pin.reference.repository) for pin in pins.pins}

    def named(self, repository: Repository) -> Iterator[Pin]:
        places = self.places(repository.name)
        if not places:  # as nearly always, so that the tags of all repositories are not gone through
            return
        tags = {*repository.tags, *(tag for manifest in repository.manifests.values() for tag in manifest.tags)}
        for words, line, is_whole in places:
            for tag in sorted(self._tags(words, tags, is_whole)):
                yield Pin(Reference(repository.name, tag, certain=False), words.source, line)
            for digest in self._digests[words.source]:
                if digest in repository.manifests:
                    yield Pin(Reference(repository.name, None, digest, certain=False), words.source, line)

    def places(self, repository: str) -> list[tuple[Words, int, bool]]:
        """The files that name a repository and pin no image of it, the line, and whether it is one word of steps."""
        found = self._naming(repository)
        return [place for place in found if (_folder(place[0].source), repository) not in self._pinned]

    def _naming(self, repository: str) -> Iterator[tuple[Words, int, bool]]:
        for words in self._files.get(repository, ()):
            yield words, words.lines[repository], '/' in repository
        for match in re.finditer('/', repository):
            group, name = repository[: match.start()], repository[match.end() :]
            for words in self._files.get(name, ()):
                if group in words.lines and repository not in words.lines:
                    yield words, words.lines[name], False

    def _tags(self, words: Words, tags: Collection[str], is_whole: bool) -> set[str]:
        """Those tags that a file names. One with a digit may stand in another file of the folder."""
        there = {tag for tag in tags if tag in words.lines and (is_whole or _is_distinct(tag))}
        if not is_whole:
            return there
        beside = self._folders[_folder(words.source)]
        return there or {tag for tag in tags if tag in beside and _is_distinct(tag)}


def _is_distinct(tag: str) -> bool:
    """Whether a tag is hardly anything else: a version, a date or a commit, and neither a word nor a small number."""
    return len(tag) >= _SHORTEST and any(character.isdigit() for character in tag)


def _folder(source: str) -> str:
    return str(PurePath(source).parent)
