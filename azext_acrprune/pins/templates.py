"""Values that are filled in: what the same file says of them, or the default that stands beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LONGEST = 4_000
_LONGEST_VALUE = 500
_UNKNOWN = '${value}'
_ROUNDS = 5
_VALUE = re.compile(
    r'\$\{\{\s{0,9}(?P<github>[\w.-]{1,100})\s{0,9}\}\}'
    r'|\$\{(?P<braced>\w{1,100})(?::?-(?P<default>[^{}\n]{0,300}))?\}'
    r'|\$\{(?P<dotted>[\w.-]{1,100})\}'
    r'|\$\((?P<round>[\w.-]{1,100})\)'
    r'|\$(?P<bare>[A-Za-z_]\w{0,100})'
)
_TOKEN = re.compile(r"\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<name>[\w.]+)|(?P<mark>.))", re.DOTALL)
_USED = re.compile(r"(?:parameters|variables)\('([^']{1,100})'\)", re.IGNORECASE)
_FORMAT = re.compile(r'\{(\d{1,3})\}')
_ARG = re.compile(r'^[ \t]*(?:ARG|ENV)[ \t]+(\w+)[= \t][ \t]*["\']?([^\s"\']+)', re.MULTILINE | re.IGNORECASE)
_TERRAFORM_VARIABLE = re.compile(
    r'^[ \t]*variable[ \t]+"(\w+)"[ \t]*\{[^{}]{0,5000}?\bdefault[ \t]*=[ \t]*"([^"\n]*)"', re.MULTILINE
)
_TERRAFORM_LOCAL = re.compile(r'^[ \t]*(\w+)[ \t]*=[ \t]*"([^"\n]*)"', re.MULTILINE)
_BICEP = re.compile(r"^[ \t]*(?:param|var)[ \t]+(\w+)[^='\n]*=[ \t]*'([^'\n]*)'", re.MULTILINE)


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """The text with the values that are known in their places; what is not known stays as it was written.

    Values may contain others. What grows without end is left alone.
    """
    for _ in range(_ROUNDS if '$' in text and len(text) <= _LONGEST else 0):
        longer = _VALUE.sub(lambda match: _value(match, values), text)
        if longer == text or len(longer) > _LONGEST:
            break
        text = longer
    return text


def _value(match: Any, values: Mapping[str, str]) -> str:
    name = match['github'] or match['braced'] or match['dotted'] or match['round'] or match['bare']
    default = match['default'] if match['default'] is not None else match.group()
    return values.get(name, default)[:_LONGEST_VALUE]


def arm_text(expression: str, values: Mapping[str, str]) -> str:
    """What an expression of a resource manager template says, such as `[concat(parameters('host'), '/app:v1')]`.

    `concat` and `format` are followed, and parameters and variables with a known value; all else becomes `${value}`.
    """
    return _Expression(expression[1:-1], values).text() if _is_expression(expression) else expression


def arm_values(values: Mapping[str, str]) -> dict[str, str]:
    """The values with those that are expressions worked out, from the inside to the outside."""
    known = {name: value for name, value in values.items() if not _is_expression(value)}
    waiting = {name: value for name, value in values.items() if name not in known}
    for _ in range(_ROUNDS if waiting else 0):
        ready = [name for name, value in waiting.items() if waiting.keys().isdisjoint(_USED.findall(value))]
        known.update({name: arm_text(waiting.pop(name), known)[:_LONGEST_VALUE] for name in ready})
    return known


def _is_expression(text: str) -> bool:
    return len(text) <= _LONGEST and text.startswith('[') and text.endswith(']') and not text.startswith('[[')


class _Expression:
    """Reads one expression from left to right; a stack of calls instead of recursion, for it may be nested deeply."""

    def __init__(self, text: str, values: Mapping[str, str]) -> None:
        self._text = text
        self._values = values
        self._calls: list[tuple[str, list[str]]] = [('', [])]
        self._name: str | None = None

    def text(self) -> str:
        for match in _TOKEN.finditer(self._text):
            if match['text'] is not None:
                self._argument(match['text'].replace("''", "'"))
            elif match['name']:
                self._name = match['name']
            elif match['mark'] == '(':
                self._calls.append((self._name or '', []))
                self._name = None
            elif match['mark'] == ')' and len(self._calls) > 1:
                self._flush()
                self._argument(self._called(*self._calls.pop()))
            else:
                self._flush()
        self._flush()
        return ''.join(self._calls[0][1])[:_LONGEST]

    def _argument(self, text: str) -> None:
        self._calls[-1][1].append(text)

    def _flush(self) -> None:
        """A name that no parenthesis followed: a number, or the property of what came before it."""
        if self._name and self._name.startswith('.') and self._calls[-1][1]:
            self._calls[-1][1].pop()
        if self._name:
            self._argument(self._name if self._name.isdigit() else _UNKNOWN)
        self._name = None

    def _called(self, name: str, arguments: list[str]) -> str:
        name = name.lower()
        if name == 'concat':
            return ''.join(arguments)[:_LONGEST]
        if name == 'format' and arguments:
            return _FORMAT.sub(lambda match: _at(arguments, int(match[1]) + 1), arguments[0])[:_LONGEST]
        if name in ('parameters', 'variables') and arguments:
            return self._values.get(arguments[0], _UNKNOWN)
        return _UNKNOWN


def _at(arguments: list[str], number: int) -> str:
    return arguments[number][:_LONGEST_VALUE] if number < len(arguments) else _UNKNOWN


def dockerfile_values(text: str) -> dict[str, str]:
    """The defaults of the build arguments of a Dockerfile."""
    return dict(_ARG.findall(text))


def terraform_values(text: str) -> dict[str, str]:
    """The defaults of variables, and the locals, of a Terraform file."""
    values = {f'local.{name}': value for name, value in _TERRAFORM_LOCAL.findall(text)}
    return {**values, **{f'var.{name}': value for name, value in _TERRAFORM_VARIABLE.findall(text)}}


def bicep_values(text: str) -> dict[str, str]:
    """The defaults of parameters, and the variables, of a Bicep file."""
    return dict(_BICEP.findall(text))
