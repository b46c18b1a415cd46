"""Functions of any language: what their calls give to the names of their arguments.

Definitions are known by sight, as loops are. In shells, `$1` in the body of a function is given a name of its own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .scopes import Scope, Value

_MOST_CALLS = 500
_ARGUMENTS = r'\((?P<arguments>[^()]{0,500})\)'
_DEFINITIONS = (
    re.compile(
        r'\b(?:def|function|func|fun|fn|local|sub)[ ](?:\([^()\n]{0,80}\)[ ]?)?(?P<name>\w{1,80})[ ]?' + _ARGUMENTS
    ),
    re.compile(r'\b(?P<name>\w{1,80})[ ]?=[ ]?(?:async[ ])?' + _ARGUMENTS + r'[^=\n{;]{0,80}=>'),
    re.compile(r'\b(?P<name>\w{1,80})[ ]?=[ ]?lambda[ ](?P<arguments>[^:\n]{1,200}):'),
    re.compile(r'\b[\w<>\[\]]{1,80}[ ](?P<name>\w{1,80})' + _ARGUMENTS + r'[ ]?(?:\{|=>|\n[ ]*\{|=[ ]|throws)'),
    re.compile(r'\b(?P<name>\w{1,80})\s=\s+(?P<curried>(?:\\\(\w{1,80} : [^()\n]{1,80}\)\s*->\s*){1,9})'),
    re.compile(r'\b(?P<name>\w{1,80})\s=\s+(?P<curried>(?:\w{1,80}:[ ]){1,9})(?=")'),
    re.compile(r'^[ \t]*(?P<name>\w{1,80})' + _ARGUMENTS + r'[ ]?(?:::?[ ]|\{)', re.MULTILINE),
)
_NO_FUNCTIONS = frozenset(('if', 'for', 'while', 'switch', 'catch', 'return', 'foreach', 'with', 'else', 'new'))
_SHELL_FUNCTION = re.compile(
    r'\s*(?:function\s+(?P<plain>[\w-]+)\s*(?:\(\s*\))?|(?P<name>[\w-]+)\s*\(\s*\))\s*(?:\{|\Z)'
)
_PLACE = re.compile(r'\$(?:\{(\d)(?=[}:%#-])|(\d)(?!\w))')
_BY_DEFAULT = re.compile(r'\$\{(\d):?-')
_READS = re.compile(r'\s*while\s+(?:IFS=(?P<by>\S*)\s+)?read\s+(?:-\w\s+)*(?P<names>\w+(?:\s+\w+)*)\s*;?\s*(?:do\b|\Z)')
_FED = re.compile(r'\s*done\s*<<-?\s*["\']?(?P<mark>\w+)')


@dataclass(frozen=True)
class Function:
    """The names of the arguments of a function, the values that some have by default, and where it is defined."""

    arguments: tuple[str, ...]
    defaults: Mapping[str, str]
    lines: frozenset[int]


def functions_in(text: str, first_line: int) -> dict[str, Function]:
    """All functions that a text shows, by name."""
    found: dict[str, Function] = {}
    for pattern in _DEFINITIONS if '(' in text or 'lambda' in text or ': "' in text else ():
        for match in pattern.finditer(text):
            name = match['name']
            curried = match['curried'] if 'curried' in match.groupdict() else None
            if curried:
                arguments = tuple(re.findall(r'(\w+)\s*:', curried))
                line = first_line + text.count('\n', 0, match.start('name'))
                found.setdefault(name, Function(arguments, {}, frozenset((line,))))
                continue
            if name in _NO_FUNCTIONS or not match['arguments'].strip():
                continue
            arguments, defaults = _arguments(match['arguments'], match.group().startswith('func '))
            line = first_line + text.count('\n', 0, match.start('name'))
            lines = found[name].lines | {line} if name in found else frozenset((line,))
            found.setdefault(name, Function(arguments, defaults, lines))
            found[name] = Function(found[name].arguments, found[name].defaults, lines)
    return {name: function for name, function in found.items() if function.arguments}


def _arguments(text: str, name_first: bool) -> tuple[tuple[str, ...], dict[str, str]]:
    """`repo: str, tag = "latest"`, `String repo, String tag` and `repo, tag string`."""
    names, defaults = [], {}
    for part in text.split(','):
        declared, _, default = part.partition('=')
        words = re.findall(r'\w+', declared.partition(':')[0])
        if not words or not words[-1].isidentifier():
            continue
        name = words[0] if name_first else words[-1]
        names.append(name)
        quoted = re.fullmatch(r'\s*["\']([^"\']*)["\']\s*', default)
        if quoted:
            defaults[name] = quoted[1]
    names = [name for name in names if name not in ('self', 'this', 'cls')]
    return tuple(names), defaults


Call = tuple[str, Sequence[tuple[str, ...]], Mapping[str, Sequence[Value]], int]
"""A function, the texts of its arguments, those that are given by name, and the line."""


def hand_over(functions: Mapping[str, Function], calls: Sequence[Call], scope: Scope) -> None:
    """Give the names of arguments their values, each call for itself."""
    for number, (name, texts, named, line) in enumerate(calls[:_MOST_CALLS]):
        function = functions[name]
        origin = frozenset((('call', number),))
        given = {argument: list(values) for argument, values in zip(function.arguments, texts, strict=False)}
        given |= {
            argument: [value.text for value in named[argument]] for argument in function.arguments if argument in named
        }
        for argument in function.arguments:
            default = [function.defaults[argument]] if argument in function.defaults else []
            for text in given.get(argument) or default:
                scope.declare(argument, Value(text, line, origin=origin))
    called = {name for name, *_ in calls}
    for name, function in functions.items():
        if name not in called:
            for argument, text in function.defaults.items():
                scope.declare(argument, Value(text, weak=True))


def with_named_places(lines: list[str], scope: Scope, first_line: int) -> list[str]:
    """The lines of a shell script, with `${deploy__1}` for `$1` in a function `deploy`, which its calls give values."""
    functions: dict[str, set[str]] = {}
    inside = ''
    found = list(lines)
    for number, line in enumerate(lines):
        begins = _SHELL_FUNCTION.match(line)
        if begins:
            inside = (begins['plain'] or begins['name']).replace('-', '_')
            functions[inside] = set()
        if inside and '$' in line:
            functions[inside].update(_BY_DEFAULT.findall(line))
            found[number] = _PLACE.sub(_naming(inside), line)
        if inside and line.startswith('}') or line.rstrip().endswith('; }'):
            inside = ''
    for number, line in enumerate(lines) if functions else ():
        said = words(line)
        name = said[0].replace('-', '_') if said else ''
        if name in functions and not _SHELL_FUNCTION.match(line):
            origin = frozenset((('call', number),))
            for place, word in enumerate(said[1:10], 1):
                scope.declare(f'{name}__{place}', Value(word, first_line + number, origin=origin))
            for left_out in sorted(functions[name].difference(map(str, range(1, len(said))))):
                scope.declare(f'{name}__{left_out}', Value('', first_line + number, origin=origin))
    for name, text, at in _read_rows(lines):
        scope.declare(name, Value(text, first_line + at, origin=frozenset((('read', at),))))
    return found


def _naming(function: str) -> Callable[[re.Match[str]], str]:
    """Of `${1` or `$1`, the same with a name."""
    return lambda match: f'${{{function}__{match[1]}' if match[1] else f'${{{function}__{match[2]}}}'


def words(line: str) -> list[str]:
    """The words of a line of a shell; none where its quotes are not closed."""
    try:
        return shlex.split(line.split(' #')[0].rstrip('\\; '))
    except ValueError:
        return []


def _read_rows(lines: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """`while read -r name tag; do ... done <<EOF`: (name, value, line) of each word of the rows that it reads."""
    reads: re.Match[str] | None = None
    for number, line in enumerate(lines):
        reads = _READS.match(line) or reads
        fed = _FED.match(line) if reads else None
        if reads and fed:
            for at in range(number + 1, len(lines)):
                if lines[at].strip() == fed['mark']:
                    break
                by = (reads['by'] or '').strip('"\'$\\') or None
                for name, word in zip(reads['names'].split(), lines[at].strip().split(by), strict=False):
                    yield name, word.strip(), at
            reads = None
