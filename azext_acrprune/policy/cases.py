"""A file of tests of a policy -> tests: images in a few words, and what is expected of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import fastjsonschema

from .ages import SECONDS_PER_DAY, parse_age
from .byte_sizes import parse_size
from .parsing import Path, PolicyError, Reader, Source, shaped

_MOST_SECONDS = 2_000 * 365 * SECONDS_PER_DAY

GO, STAY, UNPULLABLE = 'go', 'stay', 'retire'


@dataclass(frozen=True)
class Described:
    """An image in a few words. Ages are seconds before the moment of the test, `size` is bytes.

    `pulled` is the last pull, None for never, and `untagged` when it lost its last tag, None where that is not known.
    `retired` is when this program retired it, None for never; with `taken_back` it can be pulled again since.
    `names` are what a test calls it: `repository:tag` for each tag, and its id.
    """

    repository: str
    tags: tuple[str, ...] = ()
    id: str | None = None
    updated: int = 0
    created: int = 0
    moved: int = 0
    platforms: tuple[str, ...] = ()
    attestation: bool = False
    annotations: tuple[tuple[str, str], ...] = ()
    platform_annotations: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] | None = None
    size: int = 1_000
    media_type: str | None = None
    artifact_type: str | None = None
    subject: str | None = None
    locked: bool = False
    quarantine: str | None = None
    pulled: int | None = None
    untagged: int | None = None
    retired: int | None = None
    taken_back: bool = False

    @property
    def names(self) -> list[str]:
        return [*(f'{self.repository}:{tag}' for tag in self.tags), *([self.id] if self.id else [])]


@dataclass(frozen=True)
class Expected:
    """What a test expects of one image or tag, and by which rule where it says so.

    `outcome` is GO, STAY, or UNPULLABLE: it stays for now, and cannot be pulled any more.
    """

    name: str
    outcome: str
    rule: str | None = None


@dataclass(frozen=True)
class Case:
    """One test. `log_covers` is how far back the log of pulls goes, in seconds; None is no log."""

    name: str
    images: tuple[Described, ...]
    expected: tuple[Expected, ...]
    log_covers: int | None = None


@dataclass(frozen=True)
class Cases:
    """All tests of a file, with the policy file or example that they test, and the registry, where these are named."""

    tests: tuple[Case, ...]
    policy: str | None = None
    example: str | None = None
    registry: str | None = None


def parse_cases(text: str) -> Cases:
    """The tests in a file. Raises PolicyError."""
    source = Source(text, "a file with 'tests'")
    shape = shaped(source, source.document(), tests_schema(), _validator())
    reader = _CaseReader(source)
    tests = tuple(reader.case(('tests', str(number)), test) for number, test in enumerate(shape.document['tests']))
    problems = {*source.problems, *shape.problems, *filter(shape.is_as_written, reader.problems)}
    if problems:
        raise PolicyError(*sorted(problems))
    document = shape.document
    return Cases(tests, document.get('policy'), document.get('example'), document.get('registry'))


def tests_schema() -> dict[str, Any]:
    """The JSON schema of a file of tests."""
    path = resources.files(__package__) / 'schema' / 'policy-tests-v1.json'
    schema: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return schema


class _CaseReader(Reader):
    """Reads tests."""

    def case(self, path: Path, test: Mapping[str, Any]) -> Case:
        images = tuple(
            self._image((*path, 'images', str(number)), image) for number, image in enumerate(test['images'])
        )
        known = [name for image in images for name in image.names]
        for number, name in enumerate(known):
            if name in known[:number]:
                self.wrong((*path, 'images'), f"'{name}' is there twice")
        for number, image in enumerate(images):
            if image.subject and image.subject not in [name for above in images[:number] for name in above.names]:
                self.wrong((*path, 'images', str(number), 'subject'), f"no image above is called '{image.subject}'")
        expected = tuple(each for outcome in (STAY, GO, UNPULLABLE) for each in _expected(test, outcome))
        for each in expected:
            if each.name not in known:
                self.wrong((*path, each.outcome), f"no image is called '{each.name}'")
        covers = self._age((*path, 'logCovers'), test['logCovers']) if 'logCovers' in test else None
        return Case(test['name'], images, expected, covers)

    def _image(self, path: Path, image: Mapping[str, Any]) -> Described:
        repository, _, tag = image['image'].partition(':')
        age = self._age((*path, 'age'), image.get('age', 0))
        tags = (*([tag] if tag else []), *image.get('tags', ()))
        if not tags and 'id' not in image:
            self.wrong(path, "what has no tag needs an 'id', so that 'stay' and 'go' can name it")
        return Described(
            repository,
            tags,
            image.get('id'),
            age,
            self._age((*path, 'created'), image['created']) if 'created' in image else age,
            self._age((*path, 'moved'), image['moved']) if 'moved' in image else age,
            tuple(image.get('platforms', ())),
            image.get('attestation', False),
            tuple(image.get('annotations', {}).items()),
            tuple(image.get('platformAnnotations', {}).items()),
            image.get('labels'),
            self.read((*path, 'size'), parse_size, image.get('size', 1_000), 0),
            image.get('mediaType'),
            image.get('artifactType'),
            image.get('subject'),
            image.get('locked', False),
            image.get('quarantine'),
            self._age((*path, 'pulled'), image['pulled']) if 'pulled' in image else None,
            self._age((*path, 'untagged'), image['untagged']) if 'untagged' in image else None,
            self._age((*path, 'retired'), image['retired']) if 'retired' in image else None,
            image.get('takenBack', False),
        )

    def _age(self, path: Path, value: Any) -> int:
        return int(self.read(path, lambda text: _in_our_era(parse_age(str(text))), value, 0))


def _in_our_era(seconds: int) -> int:
    if seconds > _MOST_SECONDS:
        raise ValueError('nothing is older than two thousand years')
    return seconds


@cache
def _validator() -> Callable[[Any], Any]:
    validator: Callable[[Any], Any] = fastjsonschema.compile(tests_schema())
    return validator


def _expected(test: Mapping[str, Any], key: str) -> Iterator[Expected]:
    wanted: Mapping[str, str | None] | Sequence[str] = test.get(key, ())
    for name in wanted:
        yield Expected(name, key, wanted[name] if isinstance(wanted, Mapping) else None)
