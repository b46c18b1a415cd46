"""Text in YAML or JSON -> a document that has the shape of a schema. What is wrong is told with its line and a cure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

import fastjsonschema
import yaml

from ..prune_error import Kind, PruneError

_MOST_CHARACTERS = 1_000_000
_MOST_NODES = 100_000
_DEEPEST = 20
_MOST_PROBLEMS = 20
_LONGEST_QUOTE = 60

_INTEGER = 'tag:yaml.org,2002:int'
_DECIMAL = re.compile(r'[-+]?(0|[1-9][0-9_]*)\Z', re.ASCII)

Path = tuple[str, ...]
Validator = Callable[[Any], Any]
Read = TypeVar('Read')


@dataclass(frozen=True, order=True)
class PolicyProblem:
    """One thing that is wrong: `line` counts from 1, `key` is as in `rules[0].when.olderThan`."""

    line: int
    key: str
    text: str

    def __str__(self) -> str:
        return f'line {self.line}: {self.key + ": " if self.key else ""}{self.text}'


class PolicyError(PruneError):
    """All that is wrong with a file, in order of line; `line` and `key` are those of the first problem."""

    kind = Kind.INVALID
    sentence = 'The policy is not valid: {message}.'
    advice = "See what is expected with 'az acr prune policy show-schema'."

    def __init__(self, *problems: PolicyProblem) -> None:
        """One problem is told in the same line, several in a line each."""
        super().__init__('\n  '.join(map(str, problems)))
        self.problems = problems
        self.line, self.key = problems[0].line, problems[0].key


class _Loader(yaml.SafeLoader):  # pylint: disable=too-many-ancestors  # PyYAML's own
    """Reads each key as the text that it is: `on` and `1.10` are names of labels like any other.

    So is a date. Whether it means a time, and in which zone, is for who asks for one.
    """

    yaml_implicit_resolvers = {
        first: [resolver for resolver in resolvers if resolver[0] != 'tag:yaml.org,2002:timestamp']
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep) for key, value in node.value}


class Source:
    """The text of a file with its syntax tree, which knows the lines and how a value is written."""

    def __init__(self, text: str, what: str = 'a policy') -> None:
        """Raises PolicyError when the text is no YAML, is too large, is no mapping, or has a key twice.

        `problems` are mistakes in how it is written which are mended here, so that all else that is wrong can be told
        with them.
        """
        self._text, self._root, self.problems = _composed(text, what)
        keys = _check_keys(self._root)
        if keys:
            raise PolicyError(*sorted([*self.problems, *keys]))

    def document(self) -> dict[str, Any]:
        """What the text says. Whole numbers are integers, however they are written. Raises PolicyError."""
        try:
            return _with_integers(yaml.load(self._text, _Loader))
        except (yaml.YAMLError, ValueError) as error:
            raise PolicyError(_syntax_problem(error)) from error

    def problem(self, path: Path, text: str) -> PolicyProblem:
        return PolicyProblem(self._find(path)[0], _key(path), text)

    def written(self, path: Path) -> str | None:
        """The text of the value at this path, as written; None where there is none."""
        node = self._find(path)[1]
        if node is None:
            return None
        return self._text[node.start_mark.index : node.end_mark.index].strip()

    def is_plain(self, path: Path) -> bool:
        """Whether the value at this path is a word without quotes."""
        node = self._find(path)[1]
        return isinstance(node, yaml.ScalarNode) and node.style is None

    def odd_numbers(self) -> Iterator[PolicyProblem]:
        """The numbers that are none for most readers: YAML reads 010 as 8, and 1:30 as 90."""
        for path, node in _nodes(self._root):
            if isinstance(node, yaml.ScalarNode) and node.tag == _INTEGER and not _DECIMAL.match(node.value):
                number = yaml.SafeLoader('').construct_yaml_int(node)
                text = f'{node.value} is the number {number} in YAML; write the number that is meant without that'
                yield PolicyProblem(node.start_mark.line + 1, _key(path), text)

    def _find(self, path: Path) -> tuple[int, yaml.Node | None]:
        """(line, node) of a key or an item; the line of the last thing above it where it is not there."""
        node, line = self._root, self._root.start_mark.line
        for step in path:
            found = _below(node, step)
            if found is None:
                return line + 1, None
            line, node = found[0].start_mark.line, found[1]
        return line + 1, node


@dataclass(frozen=True)
class Shaped:
    """A document that has the shape of a schema, and the `problems` of the one that it was made from.

    `replaced` are the keys of what is not as it was written.
    """

    document: Any
    problems: tuple[PolicyProblem, ...]
    replaced: tuple[str, ...]

    def is_as_written(self, problem: PolicyProblem) -> bool:
        return not any(problem.key.startswith(key) for key in self.replaced)


class Reader:
    """Reads a document that has the shape of a schema; `problems` is what only its meaning shows to be wrong."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.problems: list[PolicyProblem] = []

    def read(self, path: Path, parse: Callable[[Any], Read], value: Any, instead: Any = None) -> Any:
        """What a value means; what means nothing, by a ValueError, is a problem and becomes `instead`."""
        try:
            return parse(value)
        except ValueError as error:
            self.wrong(path, str(error))
            return instead

    def wrong(self, path: Path, text: str) -> None:
        self.problems.append(self._source.problem(path, text))


def shaped(source: Source, document: Any, schema: Mapping[str, Any], validator: Validator) -> Shaped:
    """A document with all that is wrong with its shape.

    The validator stops at the first fault, so what is at fault gives way to something of the right shape and the
    document is looked at again.
    """
    problems: list[PolicyProblem] = []
    replaced: set[Path] = set()
    document = deepcopy(document)
    while len(problems) < _MOST_PROBLEMS:
        try:
            validator(document)
            break
        except fastjsonschema.JsonSchemaValueException as error:
            path = tuple(error.path[1:])
            if not _is_our_doing(path, error, replaced):
                problems.extend(_problems(source, path, error))
            where = _mend(document, path, error, schema)
            if where in replaced:  # what was put there is not right either
                break
            replaced.add(where)
    told = {problem.key for problem in problems}
    odd = [problem for problem in source.odd_numbers() if problem.key not in told]
    misread = (*map(_key, replaced), *(problem.key for problem in odd))
    return Shaped(document, tuple(sorted({*problems, *odd})), misread)


def _is_our_doing(path: Path, error: fastjsonschema.JsonSchemaValueException, replaced: Iterable[Path]) -> bool:
    """Whether something is wrong only because of what was put, or taken away, there."""
    emptied = error.rule in ('minProperties', 'anyOf')
    return any(path[: len(each)] == each or emptied and each[: len(path)] == path for each in replaced)


def _problems(source: Source, path: Path, error: fastjsonschema.JsonSchemaValueException) -> Iterator[PolicyProblem]:
    if error.rule == 'additionalProperties':
        known = ', '.join(sorted(error.definition.get('properties', {})))
        for name in _unknown(error):
            like = _like(name, error.definition.get('properties', {}))
            text = f"unknown key '{name}'; {f'{like} Expected' if like else 'expected'} one of {known}"
            yield PolicyProblem(source.problem((*path, name), '').line, _key(path), text)
    elif error.rule == 'required':
        for name in error.rule_definition:
            if name not in error.value:
                yield source.problem(path, f"the key '{name}' is missing")
    else:
        yield source.problem(path, _text_of(source, path, error))


_AT_LEAST_ONE = re.compile(r'at least 1 (item|propert|character)(?:ies|s)')


def _one_of(found: re.Match[str]) -> str:
    return f'at least one {found[1]}{"y" * (found[1] == "propert")}'


def _text_of(source: Source, path: Path, error: fastjsonschema.JsonSchemaValueException) -> str:
    if error.rule == 'anyOf':  # each of the alternatives asks for one key
        return (
            'the key '
            + ' or '.join(f"'{key}'" for each in error.rule_definition for key in each['required'])
            + (' is missing')
        )
    expected = {
        'type': lambda wanted: ' or '.join([wanted] if isinstance(wanted, str) else wanted),
        'enum': lambda wanted: ' or '.join(map(_plain, wanted)),
        'const': _plain,
        'pattern': lambda _: 'sha256: and 64 hexadecimal digits',
    }.get(str(error.rule))
    if error.value is None and not source.written(path):
        return 'nothing stands there; say what is meant, or leave the key out'
    written = _shortened(source.written(path) or _plain(error.value))
    if expected:
        return f'expected {expected(error.rule_definition)}, not {written}{_cure(source, path, error)}'
    return f'{_AT_LEAST_ONE.sub(_one_of, error.message.partition(" ")[2])}, not {written}'


def _cure(source: Source, path: Path, error: fastjsonschema.JsonSchemaValueException) -> str:
    """What to write instead, where that can be told."""
    written = source.written(path) or ''
    wanted = error.rule_definition
    if error.rule == 'enum' and isinstance(error.value, str):
        like = _like(error.value, wanted)
        return f'; {like}' if like else ''
    if error.rule == 'pattern' and _SHORT_DIGEST.match(str(error.value)):
        return "; 'az acr prune explain -r REGISTRY --image REPOSITORY@DIGEST' shows all digits"
    if error.rule == 'type' and wanted == 'string' and isinstance(error.value, dict):
        each_alone = '; write each as an item of its own'
        return each_alone if written.startswith('{') else f'; put it in quotes: {_in_quotes(written)}'
    if error.rule == 'type' and 'string' in wanted and source.is_plain(path) and written:
        return f"; put it in quotes: '{written}'"
    if error.rule == 'type' and wanted == 'array' and isinstance(error.value, str):
        return f'; put it in brackets: [{repr(written) if source.is_plain(path) else written}]'
    if (
        error.rule == 'type'
        and wanted in ('integer', 'number')
        and isinstance(error.value, str)
        and _NUMBER.match(error.value)
    ):
        return f'; write it without quotes: {error.value}'
    return ''


def _like(word: str, known: Iterable[Any]) -> str:
    """A question where a word is nearly a known one."""
    found = get_close_matches(word.lower(), {str(each).lower(): each for each in known}, 1)
    return next((f"did you mean '{each}'?" for each in known if str(each).lower() in found), '')


_NUMBER = re.compile(r'\d+\Z', re.ASCII)
_SHORT_DIGEST = re.compile(r'(?:sha256:)?[0-9a-f]{1,63}\Z', re.ASCII)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _shortened(text: str) -> str:
    line = ' '.join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else f'{line[:_LONGEST_QUOTE]}...'


def _mend(document: Any, path: Path, error: fastjsonschema.JsonSchemaValueException, schema: Mapping[str, Any]) -> Path:
    """Put something of the right shape in the place of what is wrong; gives the place."""
    there = _at(document, path)
    if error.rule == 'additionalProperties':
        unknown = _unknown(error)
        for name in unknown:
            there.pop(name)
        return (*path, *unknown[:1])
    if error.rule in ('required', 'anyOf') and isinstance(there, dict):
        wanted = error.rule_definition if error.rule == 'required' else error.rule_definition[0]['required']
        name = next(each for each in wanted if each not in there)
        there[name] = _stand_in(error.definition['properties'][name], schema)
        return (*path, name)
    stand_in = _stand_in(error.definition, schema)
    if not path:
        document.clear()
        document.update(stand_in)
        return path
    above = _at(document, path[:-1])
    above[int(path[-1]) if isinstance(above, list) else path[-1]] = stand_in
    return path


def _stand_in(definition: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A value that is valid for a definition of the schema."""
    if '$ref' in definition:
        return _stand_in(_at(schema, tuple(definition['$ref'].split('/')[1:])), schema)
    if 'const' in definition:
        return definition['const']
    if 'enum' in definition:
        return definition['enum'][0]
    if 'pattern' in definition:
        return 'sha256:' + '0' * 64
    kind = definition.get('type', 'string')
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == 'array':
        return [_stand_in(definition['items'], schema)]
    if kind == 'object':
        names = [*definition.get('required', ()), *definition.get('anyOf', [{}])[0].get('required', ())]
        names = names or list(definition.get('properties', {'x': {}}))[:1]
        return {name: _stand_in(definition.get('properties', {}).get(name, {}), schema) for name in names}
    return {'integer': definition.get('minimum', 1), 'number': 1, 'boolean': True}.get(kind, 'x')


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[int(step) if isinstance(document, list) else step]
    return document


def _unknown(error: fastjsonschema.JsonSchemaValueException) -> list[str]:
    return [str(key) for key in error.value if key not in error.definition.get('properties', {})]


def _with_integers(value: Any) -> Any:
    """The value with whole numbers as integers, as JSON schema has it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    if isinstance(value, dict):
        return {key: _with_integers(each) for key, each in value.items()}
    return value


def _composed(text: str, what: str) -> tuple[str, yaml.Node, list[PolicyProblem]]:
    """(the text without the usual mistakes, its syntax tree, those mistakes). Raises PolicyError for any other one."""
    if len(text) > _MOST_CHARACTERS:
        raise PolicyError(PolicyProblem(1, '', 'it is too large'))
    problems: list[PolicyProblem] = []
    while True:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            break
        except yaml.YAMLError as error:
            problems.append(_syntax_problem(error, text))
            mended = _mended(text, error)
            if mended == text or len(problems) >= _MOST_PROBLEMS:
                raise PolicyError(*problems) from error
            text = mended
        except RecursionError as error:
            raise PolicyError(PolicyProblem(1, '', 'it is nested too deeply')) from error
    if not isinstance(root, yaml.MappingNode):
        raise PolicyError(*problems, PolicyProblem(1, '', f'expected {what}'))
    return text, root, problems


def _mended(text: str, error: yaml.YAMLError) -> str:
    """The text with the line of an error as it was meant: spaces for tabs, no escapes in double quotes, and quotes."""
    word = _without_quotes(error)
    if word:
        return f'{text[: word.index]}{_quoted(text, word)}{text[word.index + len(_word_at(text, word)) :]}'
    mark = getattr(error, 'problem_mark', None)
    if mark is None:
        return text
    lines = text.split('\n')
    line = lines[mark.line] if mark.line < len(lines) else ''
    if _is_tab(error):
        lines[mark.line] = line.replace('\t', '  ')
    elif _is_escape(error):
        lines[mark.line] = line.replace('\\', '\\\\')
    elif _is_colon(error):
        lines[mark.line] = _VALUE.sub(lambda match: f'{match[1]}{_in_quotes(match[2])}', line)
    return '\n'.join(lines)


def _is_tab(error: Exception) -> bool:
    return "'\\t'" in str(getattr(error, 'problem', ''))


def _is_escape(error: Exception) -> bool:
    return 'unknown escape character' in str(getattr(error, 'problem', ''))


_VALUE = re.compile(r"(\s*(?:- )*[\w.-]+: +)([^'\"\[{ ].*?)\s*\Z")
_WORD = re.compile(r'[^\s,\]}]+')


def _is_colon(error: Exception) -> bool:
    return 'mapping values are not allowed' in str(getattr(error, 'problem', ''))


def _without_quotes(error: Exception) -> yaml.Mark | None:
    """Where a word begins that means something else in YAML, such as `*-rc` and `@next`."""
    problem, mark = str(getattr(error, 'problem', '')), getattr(error, 'problem_mark', None)
    if 'undefined alias' in problem or 'cannot start any token' in problem and not _is_tab(error):
        return mark
    return getattr(error, 'context_mark', None) if getattr(error, 'context', '') == 'while scanning an alias' else None


def _word_at(text: str, mark: yaml.Mark) -> str:
    match = _WORD.match(text, mark.index)
    return match[0] if match else ''


def _quoted(text: str, mark: yaml.Mark) -> str:
    return _in_quotes(_word_at(text, mark))


def _in_quotes(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _syntax_problem(error: Exception, text: str = '') -> PolicyProblem:
    mark = getattr(error, 'problem_mark', None)
    problem, word = getattr(error, 'problem', None) or str(error), _without_quotes(error)
    cure = ''
    if _is_tab(error):
        cure = '; write spaces in place of the tab'
    elif _is_escape(error):
        cure = "; write an expression in single quotes, such as '^v\\d+$'"
    elif word and text:
        cure = f'; put it in quotes: {_quoted(text, word)}'
    elif _is_colon(error):
        cure = "; put a text with a colon in quotes, such as 'a: b'"
    elif str(problem).startswith("expected ',' or"):
        cure = "; close each bracket, and put an expression in single quotes, such as '^[0-9]+$'"
    return PolicyProblem(mark.line + 1 if mark else 1, '', f'it is neither YAML nor JSON: {problem}{cure}')


def _check_keys(root: yaml.Node) -> list[PolicyProblem]:
    """The keys that are there twice: YAML would silently take the last one.

    Aliases may make a small file endless, or far larger than memory: that is refused too, before anything expands it.
    """
    return [
        problem
        for path, node in _nodes(root)
        if isinstance(node, yaml.MappingNode)
        for problem in _key_problems(path, node)
    ]


def _nodes(root: yaml.Node) -> Iterator[tuple[Path, yaml.Node]]:
    """All nodes of a tree with their paths. Raises PolicyError where there is no end of them."""
    queue: list[tuple[Path, yaml.Node]] = [((), root)]
    for path, node in queue:
        if len(queue) > _MOST_NODES:
            raise PolicyError(PolicyProblem(1, '', 'it is too large'))
        if len(path) > _DEEPEST:
            raise PolicyError(PolicyProblem(node.start_mark.line + 1, _key(path[:3]), 'it is nested too deeply'))
        if isinstance(node, yaml.SequenceNode):
            queue.extend(((*path, str(number)), item) for number, item in enumerate(node.value))
        elif isinstance(node, yaml.MappingNode):
            queue.extend(((*path, str(key.value)), value) for key, value in node.value)
        yield path, node


def _key_problems(path: Path, node: yaml.MappingNode) -> Iterator[PolicyProblem]:
    names: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            yield PolicyProblem(key.start_mark.line + 1, _key(path), 'a key has to be a word')
        elif key.value in names:
            yield PolicyProblem(key.start_mark.line + 1, _key(path), f"the key '{key.value}' is there twice")
        else:
            names.add(key.value)


def _below(node: yaml.Node, step: str) -> tuple[yaml.Node, yaml.Node] | None:
    """(where it begins, what it is) of a key or an item."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
        return node.value[int(step)], node.value[int(step)]
    return None


def _key(path: Path) -> str:
    return ''.join(f'[{step}]' if step.isdigit() else f'.{step}' for step in path).lstrip('.')
