"""A policy file -> a policy. What its shape does not show to be wrong is found here, all of it at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from math import isnan
from typing import Any

import fastjsonschema
import yaml

from ..pins.live import parse_system
from ..pins.pinned import Sources
from ..pins.pulls import Wish, check_period
from .ages import DEFAULT_AGO, SECONDS_PER_DAY, parse_age, parse_age_or_date
from .byte_sizes import parse_size
from .coverage import covering
from .overrides import REGISTRIES, keys_for, loosened, overridden, place_of
from .parsing import Path, PolicyError, PolicyProblem, Reader, Source, shaped
from .patterns import (
    Pattern,
    chosen_repositories,
    chosen_tags,
    ending_regex,
    glob,
    grouping_regex,
    platform,
    repository_glob,
    tag_glob,
    whole_type,
    without_digest,
)
from .rules import (
    BY_UPDATE,
    DELETE,
    IMAGES,
    INCLUDE_QUARANTINED,
    KEEP,
    OLD,
    OLDEST,
    RETIRE,
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

_OF_TAGS = ('semver', 'perGroup', 'patched')
_REGISTRY = re.compile(r'[a-z0-9*?]+')
_UNTIL = ('freed', 'registryUnder', 'repositoryUnder')
_AGES = ('olderThan', 'notPulledFor', 'neverPulledAfter', 'untaggedFor', 'expired')


def schema() -> dict[str, Any]:
    """The JSON schema of a policy file."""
    return json.loads(_resource('schema', 'policy-v1.json'))


def example(name: str) -> dict[str, Any]:
    """One of the policies that ship as examples."""
    return yaml.safe_load(example_text(name))


def example_text(name: str) -> str:
    """One of the policies that ship as examples, with its comments."""
    return _resource('examples', f'{name}.yaml')


def parse_policy(text: str, repositories: Sequence[str] = (), registry: str | None = None, now: float = 0) -> Policy:
    """The policy that a file says, of a registry with this name; `repositories` are globs that narrow it.

    What it says of any other registry is checked, too. `now` is in seconds since 1970, for dates. Raises PolicyError.
    """
    source = Source(text, "a policy with 'version' and 'rules'")
    shape = shaped(source, source.document(), schema(), _validator())
    reader = _PolicyReader(source, now)
    policy = reader.policy(overridden(shape.document, ()), repositories)
    found: dict[tuple[str, ...], tuple[Policy, Sequence[PolicyProblem]]] = {
        (key,): _of_registry(source, shape.document, (key,), repositories, policy, now)
        for key in shape.document.get(REGISTRIES, {})
    }
    keys = keys_for(shape.document, (registry or '').lower())
    if len(keys) > 1:
        found[keys] = _of_registry(source, shape.document, keys, repositories, policy, now)
    others = {problem for _, wrong in found.values() for problem in wrong}
    if reader.problems:  # each registry has those too
        others = {problem for problem in others if problem.key.startswith(f'{REGISTRIES}.')}
    problems = {*source.problems, *shape.problems, *filter(shape.is_as_written, {*reader.problems, *others})}
    if problems:
        raise PolicyError(*sorted(problems))
    policy = replace(policy, registries=tuple(shape.document.get(REGISTRIES, ())))
    return found.get(keys, (policy, ()))[0]


def _of_registry(
    source: Source,
    document: Mapping[str, Any],
    keys: tuple[str, ...],
    repositories: Sequence[str],
    of_all: Policy,
    now: float,
) -> tuple[Policy, Sequence[PolicyProblem]]:
    """What a policy says under some keys of registries, and what is wrong with that."""
    reader = _RegistryReader(source, document, keys, now)
    policy = reader.policy(overridden(document, keys), repositories)
    known = [rule.name for rule in of_all.rules]
    for key in keys:
        path = (REGISTRIES, key)
        for each in document[REGISTRIES][key].get('rules', {}):
            if each not in known:
                reader.problems.append(source.problem((*path, 'rules', each), f"no rule is called '{each}'"))
        if not _REGISTRY.fullmatch(key):
            text = 'the name of a registry, or a glob over names, is written in lower case, without its domain'
            reader.problems.append(source.problem(path, text))
    told = tuple(f'registries.{" and ".join(keys)}: {each}' for each in loosened(of_all, policy))
    return replace(policy, loosened=told), reader.problems


def limits_of(document: Mapping[str, Any]) -> Limits:
    """The limits that a valid policy document sets."""
    limits = document.get('limits', {})
    return Limits(manifests=limits.get('maxManifests'), percent=limits.get('maxPercent'))


class _PolicyReader(Reader):
    """Reads a whole policy. `now` is in seconds since 1970."""

    def __init__(self, source: Source, now: float) -> None:
        super().__init__(source)
        self._now = now

    def policy(self, document: Mapping[str, Any], repositories: Sequence[str]) -> Policy:
        rules = [self._rule(('rules', str(number)), rule) for number, rule in enumerate(document['rules'])]
        self._check_names([rule.name for rule in rules])
        if not self.problems:
            self._check_coverage(rules)
        self._check_quarantine(rules, document.get('include', ()))
        limits = document.get('limits', {})
        if isnan(limits.get('maxPercent', 0)):  # nothing is more than that
            self.wrong(('limits', 'maxPercent'), 'expected number, not NaN')
        protect = document.get('protect', {})
        locked = tuple(self._of_tags('lock', (), document.get('lock', ()), True))
        given: dict[str, Any] = {'file': document}
        if repositories:
            given['repositories'] = list(repositories)
        return Policy(
            rules=tuple(rules),
            given=given,
            repositories=tuple(self._globs((), repositories, repository_glob)),
            protections=(*self._protections(protect), *locked),
            kept_locked=locked if 'lock' in document else None,
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
                self.wrong(('rules', str(number), 'name'), f"another rule is called '{name}' already")

    def _check_quarantine(self, rules: Sequence[Rule], include: Sequence[str]) -> None:
        for number, rule in enumerate(rules):
            if rule.action != KEEP and rule.match.quarantines and INCLUDE_QUARANTINED not in include:
                self.wrong(
                    ('rules', str(number), 'match', 'quarantine'),
                    "what is in quarantine stays unless the policy has 'include: [quarantined]'",
                )

    def _check_coverage(self, rules: Sequence[Rule]) -> None:
        """A rule that can claim nothing is not what its author thinks."""
        for number, rule in enumerate(rules):
            names = covering(rule, rules[:number])
            if names:
                above = ' and '.join(f"'{name}'" for name in names)
                self.wrong(
                    ('rules', str(number)),
                    f"the rule '{rule.name}' can claim nothing: {above} above it claims all that it matches; "
                    'move it up, or take it out',
                )

    def _sources(self, pins: Mapping[str, Any]) -> Sources:
        paths = pins.get('paths', ())
        if '-' in paths:
            self.wrong(('pins', 'paths', str(paths.index('-'))), 'standard input is only named by --pins')
        systems = tuple(pins.get('from', ()))
        for number, text in enumerate(systems):
            self.read(('pins', 'from', str(number)), parse_system, text, None)
        return Sources(tuple(paths), tuple(pins.get('aliases', ())), pins.get('strict', False), systems)

    def _ran(self, wish: Mapping[str, Any] | None) -> str | None:
        if wish is None:
            return None
        text = str(wish['within'])
        path = ('protect', 'ran', 'within')
        self.read(path, lambda _: check_period(self._seconds(text)), text, 0)
        return text

    def _pulled(self, wish: Mapping[str, Any] | None) -> Wish | None:
        if wish is None:
            return None
        text = str(wish['within'])
        path = ('protect', 'lastPulled', 'within')
        seconds = self.read(path, lambda _: check_period(self._seconds(text)), text, 0)
        return Wish(text, seconds, wish.get('workspace'))

    def _protections(self, protect: Mapping[str, Any]) -> Iterator[Protection]:
        for number, text in enumerate(protect.get('repositories', ())):
            path = ('protect', 'repositories', str(number))
            yield Protection(f'protect.repositories {text}', RuleScope(self._protected(path, text)))
        for key in ('tags', 'images'):
            yield from self._of_tags(key, ('protect',), protect.get(key, ()), key == 'images')

    def _of_tags(self, key: str, path: Path, texts: Sequence[str], whole_image: bool) -> Iterator[Protection]:
        """What `tag` and `repository:tag` protect."""
        for number, text in enumerate(texts):
            place = (*path, key, str(number))
            if not self.read(place, without_digest, text, ''):
                continue
            repository, colon, tag = text.rpartition(':')
            tags = self._globs(place, [tag], tag_glob)
            names = self._protected(place, repository) if colon else ()
            yield Protection(f'{".".join((*path, key))} {text}', RuleScope(names, tags), whole_image)

    def _protected(self, path: Path, text: str) -> tuple[Pattern, ...]:
        """What is protected below a namespace is protected at its top too: `base/**` is `base` as well."""
        found = self._globs(path, [text], repository_glob)
        return (*found, glob(text.removesuffix('/**'))) if found and text.endswith('/**') else found

    def _rule(self, path: Path, rule: Mapping[str, Any]) -> Rule:
        match, keep, when = rule.get('match', {}), rule.get('keep', {}), rule.get('when', {})
        self._check_rule(path, rule)
        if match.get('tagged') is False and (match.keys() & {'tags', 'tagsRegex'} or keep.keys() & {*_OF_TAGS}):
            self.wrong((*path, 'match', 'tagged'), 'what is not tagged has no tags to match or to count')
        return Rule(
            self._match((*path, 'match'), match),
            rule['do'],
            self._age(path, when),
            self._keep((*path, 'keep'), keep),
            rule['name'],
            self._when((*path, 'when'), when),
            self._until(path, rule),
            self._retire(path, rule),
        )

    def _check_rule(self, path: Path, rule: Mapping[str, Any]) -> None:
        if rule['do'] == KEEP:
            if 'keep' in rule:
                self.wrong((*path, 'keep'), "a rule that says 'do: keep' keeps everything already")
            return
        if 'perSubject' in rule.get('keep', {}):
            self._check_reports(path, rule)
        if 'match' not in rule:
            self.wrong(path, "the key 'match' is missing; 'match: {everything: true}' is everything")
        if 'when' not in rule:
            self.wrong(path, "the key 'when' is missing; say how old, such as 'when: {olderThan: 30d}'")
        elif not rule['when'].keys() & {*_AGES}:
            self.wrong((*path, 'when'), f'one of the keys {", ".join(_AGES)} is missing')

    def _check_reports(self, path: Path, rule: Mapping[str, Any]) -> None:
        """Reports have to be told from signatures, which nobody wants to lose."""
        match, others = rule.get('match', {}), rule['keep'].keys() - {'perSubject', 'of'}
        if others:
            self.wrong((*path, 'keep', min(others)), "with 'perSubject' nothing else can be counted")
        if rule['do'] != DELETE:
            self.wrong((*path, 'do'), "'keep: {perSubject: ...}' needs 'do: delete'")
        if not match.keys() & {'artifactTypes', 'mediaTypes', 'annotations'} or match.get('tagged'):
            text = "'keep: {perSubject: ...}' is about what refers to images; say which, by artifactTypes"
            self.wrong((*path, 'match'), text)

    def _match(self, path: Path, match: Mapping[str, Any]) -> Match:
        others = sorted(match.keys() - {'everything', 'not'})
        if 'everything' in match and others:
            self.wrong((*path, others[0]), "with 'everything: true' nothing else can be asked for but 'not'")
        if 'not' in match and match.keys() == {'not'}:
            self.wrong(path, "'not' takes something out; say what of, such as 'everything: true'")
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
            media_types=self._words((*path, 'mediaTypes'), match, whole_type),
            artifact_types=self._words((*path, 'artifactTypes'), match, whole_type),
            platforms=self._words((*path, 'platforms'), match, platform),
            annotations=tuple(sorted(match.get('annotations', {}).items())),
            labels=tuple(sorted(match.get('labels', {}).items())),
            at_least=self._size((*path, 'size', 'atLeast'), size.get('atLeast')),
            at_most=self._size((*path, 'size', 'atMost'), size.get('atMost')),
            quarantines=tuple(match.get('quarantine', ())),
        )

    def _words(self, path: Path, match: Mapping[str, Any], checked: Callable[[str], str]) -> tuple[str, ...]:
        texts = match.get(path[-1], ())
        return tuple(self.read((*path, str(number)), checked, text, '') for number, text in enumerate(texts))

    def _patterns(
        self, path: Path, match: Mapping[str, Any], compiled: Callable[[str], Pattern]
    ) -> tuple[Pattern, ...]:
        found = [
            self.read((*path, str(number)), compiled, text, None) for number, text in enumerate(match.get(path[-1], ()))
        ]
        return tuple(pattern for pattern in found if pattern)

    def _globs(self, path: Path, texts: Sequence[str], compiled: Callable[[str], Pattern]) -> tuple[Pattern, ...]:
        found = [self.read(path, compiled, text, None) for text in texts]
        return tuple(pattern for pattern in found if pattern)

    def _age(self, path: Path, when: Mapping[str, Any]) -> Age:
        text = str(when.get('olderThan', DEFAULT_AGO))
        return Age(text, self.read((*path, 'when', 'olderThan'), self._seconds, text, 0), when.get('by', BY_UPDATE))

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
                self.wrong((*path, 'order'), "'order' says in which order a rule takes images 'until' it is enough")
            return None
        if rule['do'] != DELETE:
            self.wrong((*path, 'until'), f"'do: {rule['do']}' frees no bytes, so that it would never be enough")
        freed, registry, repository = (self._size((*path, 'until', key), until.get(key)) for key in _UNTIL)
        return Until(freed, registry, repository, rule.get('order', OLDEST))

    def _retire(self, path: Path, rule: Mapping[str, Any]) -> Period | None:
        if (rule['do'] == RETIRE) != ('retire' in rule):
            place = (*path, 'retire') if 'retire' in rule else path
            self.wrong(place, "'do: retire' and 'retire: {for: 14d}', which says for how long, belong together")
        if 'for' not in rule.get('retire', {}):
            return None
        text, path = str(rule['retire']['for']), (*path, 'retire', 'for')
        found = Period(text, self.read(path, parse_age, text, SECONDS_PER_DAY))
        if found.seconds < SECONDS_PER_DAY:
            self.wrong(path, 'what is retired for less than a day is missed by nobody in time')
        return found

    def _period(self, path: Path, when: Mapping[str, Any], key: str) -> Period | None:
        if key not in when:
            return None
        text = str(when[key])
        return Period(text, self.read((*path, key), self._seconds, text, 0))

    def _seconds(self, text: str) -> int:
        return parse_age_or_date(text, self._now)

    def _keep(self, path: Path, keep: Mapping[str, Any]) -> Keep:
        if 'patched' in keep and 'semver' not in keep:
            self.wrong((*path, 'patched'), "'patched' is a part of how versions are read; it needs 'semver'")
        group = keep.get('perGroup')
        pattern = group and self.read((*path, 'perGroup', 'pattern'), grouping_regex, group['pattern'], None)
        patched = keep.get('patched')
        return Keep(
            keep.get('newest', 0),
            keep.get('semver', 0),
            ((group['newest'], pattern),) if group and pattern else (),
            patched and self.read((*path, 'patched'), ending_regex, patched, None),
            keep.get('recentlyPulled', 0),
            self._thin((*path, 'thin'), keep['thin']) if 'thin' in keep else None,
            keep.get('perSubject', {}).get('newest', 0),
            keep.get('count', IMAGES),
            keep.get('of', OLD),
            keep.get('others', SPARE),
        )

    def _thin(self, path: Path, thin: Mapping[str, Any]) -> Thin:
        numbers = {key: number for key, number in thin.items() if key != 'perGroup'}
        group = thin.get('perGroup')
        return Thin(**numbers, group=group and self.read((*path, 'perGroup'), grouping_regex, group, None))

    def _size(self, path: Path, value: Any) -> int | None:
        return None if value is None else self.read(path, parse_size, value, 0)


class _RegistryReader(_PolicyReader):
    """Reads a policy as it is under some keys of registries, and tells what is wrong where that key says it."""

    def __init__(self, source: Source, document: Mapping[str, Any], keys: Sequence[str], now: float) -> None:
        super().__init__(source, now)
        self._document, self._keys = document, keys

    def wrong(self, path: Path, text: str) -> None:
        place = place_of(self._document, self._keys, path)
        of_these = ' and '.join(self._keys)
        self.problems.append(self._source.problem(place or path, text if place else f'{of_these}: {text}'))


def _pull_log(pulls: Mapping[str, Any] | None) -> PullLog | None:
    if pulls is None:
        return None
    ignore = pulls.get('ignore', {})
    return PullLog(pulls.get('workspace'), tuple(ignore.get('identities', ())), tuple(ignore.get('userAgents', ())))


@cache
def _validator() -> Callable[[Any], Any]:
    return fastjsonschema.compile(schema())


def _resource(*path: str) -> str:
    return resources.files(__package__).joinpath(*path).read_text(encoding='utf-8')
