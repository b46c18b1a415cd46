"""A policy file -> a policy. What its shape does not show to be wrong is found here, all of it at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from importlib import resources
from math import isnan
from typing import Any, TypeVar

import fastjsonschema
import yaml

from ..pins.live import parse_system
from ..pins.pinned import Sources
from ..pins.pulls import Wish, check_period
from .ages import DEFAULT_AGO, SECONDS_PER_DAY, parse_age
from .coverage import covering
from .parsing import Path, PolicyError, PolicyProblem, Source, shaped
from .patterns import (
    Pattern,
    chosen_repositories,
    chosen_tags,
    ending_regex,
    glob,
    grouping_regex,
    repository_glob,
    tag_glob,
)
from .rules import (
    BY_UPDATE,
    DELETE,
    IMAGES,
    INCLUDE_QUARANTINED,
    KEEP,
    OLD,
    OLDEST,
    SPARE,
    Age,
    Keep,
    Limits,
    Match,
    Period,
    Policy,
    Protection,
    PullLog,
    Rule,
    RuleScope,
    Thin,
    Until,
    When,
)

EXAMPLES = ('ci', 'ml', 'production')

_UNITS = {'': 1, 'B': 1, 'KiB': 2**10, 'MiB': 2**20, 'GiB': 2**30, 'TiB': 2**40}
_SIZE = re.compile(r'(\d+(?:\.\d+)?) ?(|B|KiB|MiB|GiB|TiB)\Z', re.ASCII)
_OF_TAGS = ('semver', 'perGroup', 'patched')
_UNTIL = ('freed', 'registryUnder', 'repositoryUnder')
_AGES = ('olderThan', 'notPulledFor', 'neverPulledAfter', 'untaggedFor', 'expired')

Read = TypeVar('Read')


def schema() -> dict[str, Any]:
    """The JSON schema of a policy file."""
    return json.loads(_resource('schema', 'policy-v1.json'))


def example(name: str) -> dict[str, Any]:
    """One of the policies that ship as examples."""
    return yaml.safe_load(example_text(name))


def example_text(name: str) -> str:
    """One of the policies that ship as examples, with its comments."""
    return _resource('examples', f'{name}.yaml')


def parse_policy(text: str, repositories: Sequence[str] = ()) -> Policy:
    """The policy that a file says; `repositories` are globs that narrow it. Raises PolicyError."""
    source = Source(text, "a policy with 'version' and 'rules'")
    shape = shaped(source, source.document(), schema(), _validator())
    reader = _PolicyReader(source)
    policy = reader.policy(shape.document, repositories)
    problems = {*shape.problems, *filter(shape.is_as_written, reader.problems)}
    if problems:
        raise PolicyError(*sorted(problems))
    return policy


def limits_of(document: Mapping[str, Any]) -> Limits:
    """The limits that a valid policy document sets."""
    limits = document.get('limits', {})
    return Limits(manifests=limits.get('maxManifests'), percent=limits.get('maxPercent'))


def parse_size(value: Any) -> int:
    """Bytes of `5`, `5 MiB` or `1.5GiB`. Raises ValueError."""
    match = _SIZE.match(str(value))
    if not match:
        raise ValueError(f"'{value}' is not a size; expected bytes, or a number with KiB, MiB, GiB or TiB")
    return int(Fraction(match[1]) * _UNITS[match[2]])


class _PolicyReader:
    """Reads a document that has the shape of the schema; `problems` is what only its meaning shows to be wrong."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.problems: list[PolicyProblem] = []

    def policy(self, document: Mapping[str, Any], repositories: Sequence[str]) -> Policy:
        rules = [self._rule(('rules', str(number)), rule) for number, rule in enumerate(document['rules'])]
        self._check_names([rule.name for rule in rules])
        if not self.problems:
            self._check_coverage(rules)
        self._check_quarantine(rules, document.get('include', ()))
        limits = document.get('limits', {})
        if isnan(limits.get('maxPercent', 0)):  # nothing is more than that
            self._wrong(('limits', 'maxPercent'), 'expected number, not NaN')
        protect = document.get('protect', {})
        given: dict[str, Any] = {'file': document}
        if repositories:
            given['repositories'] = list(repositories)
        return Policy(
            rules=tuple(rules),
            given=given,
            repositories=tuple(self._globs((), repositories, repository_glob)),
            protections=tuple(self._protections(protect)),
            digests=frozenset(protect.get('digests', ())),
            limits=limits_of(document),
            min_keep=limits.get('minKeepPerRepository', 0),
            include=frozenset(document.get('include', ())),
            sources=replace(self._sources(document.get('pins', {})), ran_within=self._ran(protect.get('ran'))),
            pulled=self._pulled(protect.get('lastPulled')),
            pull_log=_pull_log(document.get('facts', {}).get('pulls')),
        )

    def _check_names(self, names: Sequence[str]) -> None:
        for number, name in enumerate(names):
            if name in names[:number]:
                self._wrong(('rules', str(number), 'name'), f"another rule is called '{name}' already")

    def _check_quarantine(self, rules: Sequence[Rule], include: Sequence[str]) -> None:
        for number, rule in enumerate(rules):
            if rule.action != KEEP and rule.match.quarantines and INCLUDE_QUARANTINED not in include:
                self._wrong(
                    ('rules', str(number), 'match', 'quarantine'),
                    "what is in quarantine stays unless the policy has 'include: [quarantined]'",
                )

    def _check_coverage(self, rules: Sequence[Rule]) -> None:
        """A rule that can claim nothing is not what its author thinks."""
        for number, rule in enumerate(rules):
            names = covering(rule, rules[:number])
            if names:
                above = ' and '.join(f"'{name}'" for name in names)
                self._wrong(
                    ('rules', str(number)),
                    f"the rule '{rule.name}' can claim nothing: {above} above it claims all that it matches; "
                    'move it up, or take it out',
                )

    def _sources(self, pins: Mapping[str, Any]) -> Sources:
        paths = pins.get('paths', ())
        if '-' in paths:
            self._wrong(('pins', 'paths', str(paths.index('-'))), 'standard input is only named by --pins')
        systems = tuple(pins.get('from', ()))
        for number, text in enumerate(systems):
            self._read(('pins', 'from', str(number)), parse_system, text, None)
        return Sources(tuple(paths), tuple(pins.get('aliases', ())), pins.get('strict', False), systems)

    def _ran(self, wish: Mapping[str, Any] | None) -> str | None:
        if wish is None:
            return None
        text = str(wish['within'])
        path = ('protect', 'ran', 'within')
        self._read(path, lambda _: check_period(parse_age(text)), text, 0)
        return text

    def _pulled(self, wish: Mapping[str, Any] | None) -> Wish | None:
        if wish is None:
            return None
        text = str(wish['within'])
        path = ('protect', 'lastPulled', 'within')
        seconds = self._read(path, lambda _: check_period(parse_age(text)), text, 0)
        return Wish(text, seconds, wish.get('workspace'))

    def _protections(self, protect: Mapping[str, Any]) -> Iterator[Protection]:
        for number, text in enumerate(protect.get('repositories', ())):
            path = ('protect', 'repositories', str(number))
            yield Protection(f'protect.repositories {text}', RuleScope(self._protected(path, text)))
        for key in ('tags', 'images'):
            for number, text in enumerate(protect.get(key, ())):
                path = ('protect', key, str(number))
                repository, colon, tag = text.rpartition(':')
                tags = self._globs(path, [tag], tag_glob)
                names = self._protected(path, repository) if colon else ()
                yield Protection(f'protect.{key} {text}', RuleScope(names, tags), whole_image=key == 'images')

    def _protected(self, path: Path, text: str) -> tuple[Pattern, ...]:
        """What is protected below a namespace is protected at its top too: `base/**` is `base` as well."""
        found = self._globs(path, [text], repository_glob)
        return (*found, glob(text.removesuffix('/**'))) if found and text.endswith('/**') else found

    def _rule(self, path: Path, rule: Mapping[str, Any]) -> Rule:
        match, keep, when = rule.get('match', {}), rule.get('keep', {}), rule.get('when', {})
        self._check_rule(path, rule)
        if match.get('tagged') is False and (match.keys() & {'tags', 'tagsRegex'} or keep.keys() & {*_OF_TAGS}):
            self._wrong((*path, 'match', 'tagged'), 'what is not tagged has no tags to match or to count')
        return Rule(
            self._match((*path, 'match'), match),
            rule['do'],
            self._age(path, when),
            self._keep((*path, 'keep'), keep),
            rule['name'],
            self._when((*path, 'when'), when),
            self._until(path, rule),
        )

    def _check_rule(self, path: Path, rule: Mapping[str, Any]) -> None:
        if rule['do'] == KEEP:
            if 'keep' in rule:
                self._wrong((*path, 'keep'), "a rule that says 'do: keep' keeps everything already")
            return
        if 'match' not in rule:
            self._wrong(path, "the key 'match' is missing; 'match: {everything: true}' is everything")
        if 'when' not in rule:
            self._wrong(path, "the key 'when' is missing; say how old, such as 'when: {olderThan: 30d}'")
        elif not rule['when'].keys() & {*_AGES}:
            self._wrong((*path, 'when'), f'one of the keys {", ".join(_AGES)} is missing')

    def _match(self, path: Path, match: Mapping[str, Any]) -> Match:
        others = sorted(match.keys() - {'everything', 'not'})
        if 'everything' in match and others:
            self._wrong((*path, others[0]), "with 'everything: true' nothing else can be asked for but 'not'")
        if 'not' in match and match.keys() == {'not'}:
            self._wrong(path, "'not' takes something out; say what of, such as 'everything: true'")
        found = self._properties(path, match)
        if 'not' not in match:
            return found
        return replace(found, excepting=self._properties((*path, 'not'), match['not']))

    def _properties(self, path: Path, match: Mapping[str, Any]) -> Match:
        size = match.get('size', {})
        scope = RuleScope(
            (
                *self._patterns((*path, 'repositories'), match, repository_glob),
                *self._patterns((*path, 'repositoriesRegex'), match, chosen_repositories),
            ),
            (
                *self._patterns((*path, 'tags'), match, tag_glob),
                *self._patterns((*path, 'tagsRegex'), match, chosen_tags),
            ),
        )
        return Match(
            scopes=(scope,),
            tagged=True if scope.tags else match.get('tagged'),
            media_types=tuple(match.get('mediaTypes', ())),
            artifact_types=tuple(match.get('artifactTypes', ())),
            platforms=tuple(match.get('platforms', ())),
            annotations=tuple(sorted(match.get('annotations', {}).items())),
            labels=tuple(sorted(match.get('labels', {}).items())),
            at_least=self._size((*path, 'size', 'atLeast'), size.get('atLeast')),
            at_most=self._size((*path, 'size', 'atMost'), size.get('atMost')),
            quarantines=tuple(match.get('quarantine', ())),
        )

    def _patterns(
        self, path: Path, match: Mapping[str, Any], compiled: Callable[[str], Pattern]
    ) -> tuple[Pattern, ...]:
        found = [
            self._read((*path, str(number)), compiled, text, None)
            for number, text in enumerate(match.get(path[-1], ()))
        ]
        return tuple(pattern for pattern in found if pattern)

    def _globs(self, path: Path, texts: Sequence[str], compiled: Callable[[str], Pattern]) -> tuple[Pattern, ...]:
        found = [self._read(path, compiled, text, None) for text in texts]
        return tuple(pattern for pattern in found if pattern)

    def _age(self, path: Path, when: Mapping[str, Any]) -> Age:
        text = str(when.get('olderThan', DEFAULT_AGO))
        return Age(text, self._read((*path, 'when', 'olderThan'), parse_age, text, 0), when.get('by', BY_UPDATE))

    def _when(self, path: Path, when: Mapping[str, Any]) -> When:
        return When(
            self._period(path, when, 'notPulledFor'),
            self._period(path, when, 'neverPulledAfter'),
            self._period(path, when, 'untaggedFor'),
            tuple(when.get('expired', {}).get('keys', ())),
        )

    def _until(self, path: Path, rule: Mapping[str, Any]) -> Until | None:
        until = rule.get('until')
        if until is None:
            if 'order' in rule:
                self._wrong((*path, 'order'), "'order' says in which order a rule takes images 'until' it is enough")
            return None
        if rule['do'] != DELETE:
            self._wrong((*path, 'until'), f"'do: {rule['do']}' frees no bytes, so that it would never be enough")
        freed, registry, repository = (self._size((*path, 'until', key), until.get(key)) for key in _UNTIL)
        return Until(freed, registry, repository, rule.get('order', OLDEST))

    def _period(self, path: Path, when: Mapping[str, Any], key: str) -> Period | None:
        if key not in when:
            return None
        text = str(when[key])
        return Period(text, self._read((*path, key), parse_age, text, 0))

    def _keep(self, path: Path, keep: Mapping[str, Any]) -> Keep:
        if 'patched' in keep and 'semver' not in keep:
            self._wrong((*path, 'patched'), "'patched' is a part of how versions are read; it needs 'semver'")
        group = keep.get('perGroup')
        pattern = group and self._read((*path, 'perGroup', 'pattern'), grouping_regex, group['pattern'], None)
        patched = keep.get('patched')
        return Keep(
            keep.get('newest', 0),
            keep.get('semver', 0),
            ((group['newest'], pattern),) if group and pattern else (),
            patched and self._read((*path, 'patched'), ending_regex, patched, None),
            keep.get('recentlyPulled', 0),
            self._thin((*path, 'thin'), keep['thin']) if 'thin' in keep else None,
            keep.get('count', IMAGES),
            keep.get('of', OLD),
            keep.get('others', SPARE),
        )

    def _thin(self, path: Path, thin: Mapping[str, Any]) -> Thin:
        numbers = {key: number for key, number in thin.items() if key != 'perGroup'}
        group = thin.get('perGroup')
        return Thin(**numbers, group=group and self._read((*path, 'perGroup'), grouping_regex, group, None))

    def _size(self, path: Path, value: Any) -> int | None:
        return None if value is None else self._read(path, parse_size, value, 0)

    def _read(self, path: Path, parse: Callable[[Any], Read], value: Any, instead: Any) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            self._wrong(path, str(error))
            return instead

    def _wrong(self, path: Path, text: str) -> None:
        self.problems.append(self._source.problem(path, text))


def _pull_log(pulls: Mapping[str, Any] | None) -> PullLog | None:
    if pulls is None:
        return None
    ignore = pulls.get('ignore', {})
    return PullLog(pulls.get('workspace'), tuple(ignore.get('identities', ())), tuple(ignore.get('userAgents', ())))


def short_ages(policy: Policy) -> Iterator[str]:
    """A sentence on each rule that takes what is younger than a day: a push may be under way."""
    for rule in policy.rules:
        if rule.action != KEEP and rule.age.seconds < SECONDS_PER_DAY:
            minutes = " ('m' are minutes, months are 'mo')" if rule.age.text.endswith('m') else ''
            yield (
                f"The rule '{rule.name}' takes what is {rule.age.text} old{minutes}, and so a push under way: a "
                'multi-arch push uploads its images untagged, and their index last.'
            )


@cache
def _validator() -> Callable[[Any], Any]:
    return fastjsonschema.compile(schema())


def _resource(*path: str) -> str:
    return resources.files(__package__).joinpath(*path).read_text(encoding='utf-8')
