"""Images that files name in pieces that no reader joined, and that the registry has.

There is no end to the ways of writing an image in parts. But the registry knows what it has: where a file names a
repository, and it or another one a tag of that repository, the file is taken to use that image, if no image of the
repository stands in it as a whole. A digest is like no other word: it counts wherever it stands.
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
_IMAGE = re.compile(r'(?<![\w./-])[\w./-]{1,600}(?::[\w.-]{1,128}|@sha\d{3}:[0-9a-f]{64,128})')
_FORMAT = re.compile(r'%[sdv]|\$\w{1,100}(?=\.)')
_COMMENT = re.compile(
    r'\A\s*(?:#(?!cloud-config)|//|--\s|;|<!--|@?rem\s|::).*|\s(?:#|//)\s.*|/\*.*?(?:\*/|\Z)', re.IGNORECASE
)
_OF_VERSION = re.compile(r'tag|version|image|release|revision|commit', re.IGNORECASE)
_OF_PACKAGES = re.compile(
    r'package(?:-lock)?\.json|npm-shrinkwrap\.json|pnpm-lock\.yaml|packages(?:\.lock)?\.(?:json|config)|pom\.xml'
    r'|go\.sum|.*\.(?:cs|fs|vb)proj|(?:yarn|poetry|cargo|gemfile|composer|pipfile|uv|bun|pubspec|mix|flake)\.lock'
    r'|pipfile|(?:cargo|pyproject)\.toml|directory\.packages\.props|\.terraform\.lock\.hcl|requirements[^/]*\.txt',
    re.IGNORECASE,
)
"""Files of package managers: their versions and checksums are those of libraries."""

_HEX = re.compile(r'[0-9a-f]+\Z')
_HEX_LENGTH = 64
_SHORTEST = 4


def words_of(text: str, source: str, names: RegistryNames, pins: Iterable[Pin] = ()) -> Words:
    """The words of a file outside of its comments, without the registry before them; `pins` are those read in it."""
    lines: dict[str, int] = {}
    hosted: set[str] = set()
    versions: set[str] = set()
    near = _NearVersions()
    end_of_host = names.hosts[0].partition('.')[2]  # of `"$ACR".azurecr.io/app`
    gives = not _is_of_packages(source)
    for number, line in enumerate(text.split('\n'), 1):
        here = _COMMENT.sub('', line)
        found = _WORD.findall(_FORMAT.sub(' ', here))
        for word in found:
            host, _, path = word.partition('/')
            if path and (host == end_of_host or names.has(host)):
                word = path
                hosted.add(path.rstrip('.'))
            lines.setdefault(word.rstrip('.'), number)
        if gives and found and near.has(here):
            versions.update(word.rstrip('.') for word in found)
    return Words(source, lines, frozenset(hosted), frozenset(versions), _literal(text, pins))


class _NearVersions:
    """Which lines of a file are near a name like `tag`: those that have one, the next, and what is nested in it."""

    def __init__(self) -> None:
        self._indent: int | None = None
        self._follows = False

    def has(self, line: str) -> bool:
        """Whether the next line is near one."""
        indent = len(line) - len(line.lstrip())
        has_name = _OF_VERSION.search(line) is not None
        is_nested = self._indent is not None and indent > self._indent
        is_near = has_name or is_nested or self._follows
        if not is_nested:
            self._indent = indent if has_name else None
        self._follows = has_name
        return is_near


def _literal(text: str, pins: Iterable[Pin]) -> frozenset[str]:
    """The repositories of which an image stands in a text in one piece, among those that are pinned for certain."""
    certain = [pin.reference for pin in pins if pin.reference.certain]
    written: set[str] = set()
    for image in _IMAGE.findall(text) if certain else ():
        whole = image.lower().rstrip('.-')
        written.update((whole, whole.partition('/')[2]))
    return frozenset(
        each.repository
        for each in certain
        if f'{each.repository}:{each.tag}'.lower() in written or f'{each.repository}@{each.digest}' in written
    )


def with_joined(pins: Pins, repositories: Iterable[Repository]) -> Pins:
    """The pins and those of tags and digests that files name apart from their repositories, as the registry has both.

    These are not certain, so that nobody is told of them where they are gone. Where an image of a repository stands in
    a file in one piece, the words of that file are not looked at for it; one that was put together may have been put
    together in another way, too.
    """
    if not pins.words:
        return pins
    known = _Known(pins)
    more = dict.fromkeys(pin for repository in repositories for pin in known.named(repository))
    return replace(pins, pins=(*pins.pins, *more)) if more else pins


def may_be_named(pins: Pins, repositories: Iterable[str]) -> list[str]:
    """Those of the repositories of which a file may name an image in pieces; only these have to be known.

    A digest that stands alone may be of any of them.
    """
    known = _Known(pins)
    return [repository for repository in repositories if known.digests or known.places(repository)]


@dataclass(frozen=True, eq=False)
class _Naming:
    """A file that names a repository: at which line, whether in one word that is hardly anything else, and whether an
    image of the repository was read in the file.
    """

    words: Words
    line: int
    is_whole: bool
    is_read: bool


class _Known:
    """The words of all files. `digests` are those that are in no pin of their file, with the place where each is."""

    def __init__(self, pins: Pins) -> None:
        self.digests: dict[str, tuple[str, int]] = {}
        self._files: dict[str, list[Words]] = {}
        self._folders: dict[str, set[str]] = {}
        self._versions = frozenset().union(*(words.versions for words in pins.words))
        self._read = {(pin.source, pin.reference.repository) for pin in pins.pins if pin.reference.certain}
        pinned = {(pin.source, pin.reference.digest) for pin in pins.pins}
        for words in pins.words:
            self._folders.setdefault(_folder(words), set()).update(words.lines)
            for word in words.lines:
                self._files.setdefault(word, []).append(words)
            for digest, line in () if _is_of_packages(words.source) else _digests(words):
                if (words.source, digest) not in pinned:
                    self.digests.setdefault(digest, (words.source, line))

    def named(self, repository: Repository) -> Iterator[Pin]:
        for digest in sorted(self.digests.keys() & repository.manifests.keys()):
            yield Pin(Reference(repository.name, None, digest, False), *self.digests[digest])
        places = self.places(repository.name)
        if not places:  # as nearly always, so that the tags of all repositories are not gone through
            return
        tags = {*repository.tags, *(tag for manifest in repository.manifests.values() for tag in manifest.tags)}
        for place in places:
            for tag in sorted(self._tags(place, tags)):
                yield Pin(Reference(repository.name, tag, certain=False), place.words.source, place.line)
            for digest, _ in _digests(place.words):
                if digest in repository.manifests and digest not in self.digests:
                    yield Pin(Reference(repository.name, None, digest, False), place.words.source, place.line)

    def places(self, repository: str) -> list[_Naming]:
        """Where a repository is named by files in which no image of it stands in one piece."""
        return [place for place in self._all_places(repository) if repository not in place.words.literal]

    def _all_places(self, repository: str) -> Iterator[_Naming]:
        for words in self._files.get(repository, ()):
            is_read = (words.source, repository) in self._read
            is_whole = '/' in repository or repository in words.hosted
            yield _Naming(words, words.lines[repository], is_whole, is_read)
        for match in re.finditer('/', repository):
            group, name = repository[: match.start()], repository[match.end() :]
            for words in self._files.get(name, ()):
                if group in words.lines and repository not in words.lines:
                    yield _Naming(words, words.lines[name], False, False)

    def _tags(self, place: _Naming, tags: AbstractSet[str]) -> set[str]:
        """Those tags that a file names; and distinct ones that stand in another file of the folder, or, at a name like
        `tag`, in any file. Where an image was read, a word that is hardly a tag is none.
        """
        there = tags & place.words.lines.keys()
        if not place.is_whole:
            return set(filter(_is_distinct, there))
        if place.is_read:
            there = {tag for tag in there if len(tag) > 1 and tag in place.words.versions or _is_distinct(tag)}
        return there.union(filter(_is_distinct, tags & (self._folders[_folder(place.words)] | self._versions)))


def _digests(words: Words) -> Iterator[tuple[str, int]]:
    """The digests among the words of a file, with their lines."""
    for word, line in words.lines.items():
        if len(word) == _HEX_LENGTH and _HEX.match(word):
            yield f'sha256:{word}', line


def _is_distinct(tag: str) -> bool:
    """Whether a tag is hardly anything else: a version, a date or a commit, and neither a word nor a small number."""
    return len(tag) >= _SHORTEST and any(character.isdigit() for character in tag)


def _is_of_packages(source: str) -> bool:
    return _OF_PACKAGES.fullmatch(PurePath(source).name) is not None


def _folder(words: Words) -> str:
    return str(PurePath(words.source).parent)
