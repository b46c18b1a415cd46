"""A policy file, YAML or JSON -> a policy. What is wrong is told with its line, its key, and what was expected."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cache
from importlib import resources
from math import isnan
from typing import Any

import fastjsonschema
import yaml

from ..pins.live import parse_system
from ..pins.pinned import Sources
from ..pins.pulls import Wish, check_period
from ..prune_error import Kind, PruneError
from .ages import DEFAULT_AGO, parse_ago
from .patterns import BadPattern, Pattern, anchored_regex, glob, grouping_regex, searching_regex
from .rules import KEEP, UPDATED, Age, Keep, Limits, Match, Policy, Protection, Rule, Scope

EXAMPLES = ('ci', 'ml', 'production')

_MOST_CHARACTERS = 1_000_000
_MOST_NODES = 100_000
_DEEPEST = 20
_UNITS = {'': 1, 'B': 1, 'KiB': 2**10, 'MiB': 2**20, 'GiB': 2**30, 'TiB': 2**40}
_SIZE = re.compile(r'(\d+(?:\.\d+)?) ?(|B|KiB|MiB|GiB|TiB)\Z', re.ASCII)

Path = tuple[str, ...]


class PolicyError(PruneError):
    """What is wrong with a policy file: `line` counts from 1, `key` is as in `rules[0].when.olderThan`."""

    kind = Kind.INVALID
    sentence = 'The policy is not valid: {message}.'
    advice = "See what is expected with 'az acr prune policy show-schema'."

    def __init__(self, line: int, key: str, problem: str) -> None:
        super().__init__(f'line {line}: {key + ": " if key else ""}{problem}')
        self.line = line
        self.key = key


def schema() -> dict[str, Any]:
    """The JSON schema of a policy file."""
    return json.loads(_resource('schema', 'policy-v1.json'))


def example(name: str) -> dict[str, Any]:
    """One of the policies that ship as examples."""
    return yaml.safe_load(_resource('examples', f'{name}.yaml'))


def parse_policy(text: str, repositories: Sequence[str] = ()) -> Policy:
    """The policy that a file says; `repositories` are globs that narrow it. Raises PolicyError."""
    root = _composed(text)
    _check_keys(root)
    document = _constructed(text)
    try:
        _validator()(document)
    except fastjsonschema.JsonSchemaValueException as error:
        path = tuple(error.path[1:])
        raise PolicyError(_line(root, (*path, *_unknown(error)[:1])), _key(path), _problem(error)) from error
    return _Reader(root).policy(document, repositories)


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


class _Reader:
    """Reads a document that has the shape of the schema; what only its meaning shows to be wrong is told here."""

    def __init__(self, root: yaml.Node) -> None:
        self._root = root

    def policy(self, document: Mapping[str, Any], repositories: Sequence[str]) -> Policy:
        rules = [self._rule(('rules', str(number)), rule) for number, rule in enumerate(document['rules'])]
        names = [rule.name for rule in rules]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise _error(self._root, ('rules', str(number), 'name'), f"another rule is called '{name}' already")
        percent = document.get('limits', {}).get('maxPercent', 0)
        if isnan(percent):  # nothing is more than that
            raise _error(self._root, ('limits', 'maxPercent'), 'expected number, not NaN')
        protect = document.get('protect', {})
        pins = document.get('pins', {})
        if '-' in pins.get('paths', ()):
            raise _error(
                self._root, ('pins', 'paths', str(pins['paths'].index('-'))), 'standard input is only named by --pins'
            )
        given: dict[str, Any] = {'file': document}
        if repositories:
            given['repositories'] = list(repositories)
        return Policy(
            rules=tuple(rules),
            given=given,
            repositories=tuple(map(glob, repositories)),
            protections=tuple(_protections(protect)),
            digests=frozenset(protect.get('digests', ())),
            limits=limits_of(document),
            min_keep=document.get('limits', {}).get('minKeepPerRepository', 0),
            include=frozenset(document.get('include', ())),
            sources=Sources(
                tuple(pins.get('paths', ())),
                tuple(pins.get('aliases', ())),
                pins.get('strict', False),
                self._systems(pins),
            ),
            pulled=self._pulled(protect.get('lastPulled')),
        )

    def _systems(self, pins: Mapping[str, Any]) -> tuple[str, ...]:
        systems = tuple(pins.get('from', ()))
        for number, text in enumerate(systems):
            self._read(('pins', 'from', str(number)), parse_system, text)
        return systems

    def _pulled(self, wish: Mapping[str, Any] | None) -> Wish | None:
        if wish is None:
            return None
        text = str(wish['within'])
        seconds = self._read(('protect', 'lastPulled', 'within'), lambda _: check_period(parse_ago(text)), text)
        return Wish(text, seconds, wish.get('workspace'))

    def _rule(self, path: Path, rule: Mapping[str, Any]) -> Rule:
        match = rule.get('match', {})
        keep = rule.get('keep', {})
        if keep and rule['do'] == KEEP:
            raise _error(self._root, (*path, 'keep'), "a rule that says 'do: keep' keeps everything already")
        if match.get('tagged') is False and (match.keys() & {'tags', 'tagsRegex'} or keep.keys() - {'newest'}):
            raise _error(self._root, (*path, 'match', 'tagged'), 'what is not tagged has no tags to match or to count')
        return Rule(
            self._match((*path, 'match'), match),
            rule['do'],
            self._age(path, rule.get('when', {})),
            self._keep((*path, 'keep'), keep),
            rule['name'],
        )

    def _match(self, path: Path, match: Mapping[str, Any]) -> Match:
        size = match.get('size', {})
        scope = Scope(
            (
                *self._patterns((*path, 'repositories'), match, glob),
                *self._patterns((*path, 'repositoriesRegex'), match, anchored_regex),
            ),
            (
                *self._patterns((*path, 'tags'), match, glob),
                *self._patterns((*path, 'tagsRegex'), match, searching_regex),
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
        )

    def _patterns(self, path: Path, match: Mapping[str, Any], compiled: Callable[[str], Pattern]) -> list[Pattern]:
        return [self._read((*path, str(number)), compiled, text) for number, text in enumerate(match.get(path[-1], ()))]

    def _age(self, path: Path, when: Mapping[str, Any]) -> Age:
        text = str(when.get('olderThan', DEFAULT_AGO))
        return Age(text, self._read((*path, 'when', 'olderThan'), parse_ago, text), when.get('by', UPDATED))

    def _keep(self, path: Path, keep: Mapping[str, Any]) -> Keep:
        group = keep.get('perGroup')
        groups = (
            ((group['newest'], self._read((*path, 'perGroup', 'pattern'), grouping_regex, group['pattern'])),)
            if group
            else ()
        )
        return Keep(keep.get('newest', 0), keep.get('semver', 0), groups)

    def _size(self, path: Path, value: Any) -> int | None:
        return None if value is None else self._read(path, parse_size, value)

    def _read(self, path: Path, parse: Callable[[Any], Any], value: Any) -> Any:
        try:
            return parse(value)
        except (BadPattern, ValueError) as error:
            raise _error(self._root, path, str(error)) from error


def _protections(protect: Mapping[str, Any]) -> list[Protection]:
    found = [
        Protection(f'protect.repositories {text}', Scope((glob(text),))) for text in protect.get('repositories', ())
    ]
    for text in protect.get('tags', ()):
        repository, colon, tag = text.rpartition(':')
        found.append(Protection(f'protect.tags {text}', Scope((glob(repository),) if colon else (), (glob(tag),))))
    return found


def _composed(text: str) -> yaml.Node:
    """The syntax tree, which knows the lines."""
    if len(text) > _MOST_CHARACTERS:
        raise PolicyError(1, '', 'it is too large')
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _syntax_error(error) from error
    except RecursionError as error:
        raise PolicyError(1, '', 'it is nested too deeply') from error
    if not isinstance(root, yaml.MappingNode):
        raise PolicyError(1, '', "expected a policy with 'version' and 'rules'")
    return root


def _constructed(text: str) -> dict[str, Any]:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise _syntax_error(error) from error


def _syntax_error(error: Exception) -> PolicyError:
    mark = getattr(error, 'problem_mark', None)
    problem = getattr(error, 'problem', None) or str(error)
    return PolicyError(mark.line + 1 if mark else 1, '', f'it is neither YAML nor JSON: {problem}')


def _check_keys(root: yaml.Node) -> None:
    """Raise for a key that is there twice: YAML would silently take the last one.

    Aliases may make a small file endless, or far larger than memory: that is refused too, before anything expands it.
    """
    queue: list[tuple[Path, yaml.Node]] = [((), root)]
    for path, node in queue:
        if len(queue) > _MOST_NODES:
            raise PolicyError(1, '', 'it is too large')
        if len(path) > _DEEPEST:
            raise PolicyError(node.start_mark.line + 1, _key(path[:3]), 'it is nested too deeply')
        if isinstance(node, yaml.SequenceNode):
            queue.extend(((*path, str(number)), item) for number, item in enumerate(node.value))
        elif isinstance(node, yaml.MappingNode):
            queue.extend(((*path, name), value) for name, value in _entries(path, node))


def _entries(path: Path, node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
    names: set[str] = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise PolicyError(key.start_mark.line + 1, _key(path), 'a key has to be a word')
        if key.value in names:
            raise PolicyError(key.start_mark.line + 1, _key(path), f"the key '{key.value}' is there twice")
        names.add(key.value)
        yield key.value, value


def _error(root: yaml.Node, path: Path, problem: str) -> PolicyError:
    return PolicyError(_line(root, path), _key(path), problem)


def _line(root: yaml.Node, path: Path) -> int:
    """The line of a key or an item, or of the last thing above it that is there."""
    node, line = root, root.start_mark.line
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
            found = node.value[int(step)], node.value[int(step)]
        else:
            found = None
        if not found:
            break
        line, node = found[0].start_mark.line, found[1]
    return line + 1


def _key(path: Path) -> str:
    return ''.join(f'[{step}]' if step.isdigit() else f'.{step}' for step in path).lstrip('.')


def _problem(error: fastjsonschema.JsonSchemaValueException) -> str:
    if error.rule == 'additionalProperties':
        known = error.definition.get('properties', {})
        return f"unknown key '{_unknown(error)[0]}'; expected one of {', '.join(sorted(known))}"
    if error.rule == 'required':
        missing = [key for key in error.rule_definition if key not in error.value]
        return f"the key '{missing[0]}' is missing"
    if error.rule == 'anyOf':  # each of the alternatives asks for one key
        keys = ' or '.join(f"'{key}'" for each in error.rule_definition for key in each['required'])
        return f'the key {keys} is missing'
    expected = {
        'type': lambda wanted: ' or '.join([wanted] if isinstance(wanted, str) else wanted),
        'enum': ' or '.join,
        'const': str,
        'pattern': lambda _: 'sha256: and 64 hexadecimal digits',
    }.get(error.rule)
    if expected:
        return f'expected {expected(error.rule_definition)}, not {_shown(error.value)}'
    return error.message.partition(' ')[2]


def _unknown(error: fastjsonschema.JsonSchemaValueException) -> list[str]:
    """The keys that are not in the schema, where that is what is wrong."""
    if error.rule != 'additionalProperties':
        return []
    return [str(key) for key in error.value if key not in error.definition.get('properties', {})]


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f'{text[:37]}...'


@cache
def _validator() -> Callable[[Any], Any]:
    return fastjsonschema.compile(schema())


def _resource(*path: str) -> str:
    return resources.files(__package__).joinpath(*path).read_text(encoding='utf-8')
