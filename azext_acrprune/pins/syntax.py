"""YAML and JSON as a stream of events with lines: nothing is built, so that neither depth nor aliases cost anything."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

OPEN_MAPPING = 'mapping'
OPEN_SEQUENCE = 'sequence'
CLOSE = 'close'
SCALAR = 'scalar'
ALIAS = 'alias'
FLAT_MAPPING = 'flat mapping'
END_OF_DOCUMENT = 'end'

_DEEPEST = 500
"""Each opening bracket makes libyaml look at all that are open: a file of nothing else would take hours."""

_DEPTH = {OPEN_MAPPING: 1, OPEN_SEQUENCE: 1, CLOSE: -1}
_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
_JSON_TOKEN = re.compile(
    r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"|[{}\[\]]|//[^\n]*|/\*(?s:.*?)(?:\*/|\Z)|[^\s{}\[\]:,"/]+|[^\s:,]'
)
_FLAT_OR_TOKEN = re.compile(rf'\{{[^{{}}\[\]"/]*(?:"[^"\\\n]*"[^{{}}\[\]"/]*)*\}}|{_JSON_TOKEN.pattern}')
"""A mapping of nothing but texts and words as one token, or whatever else comes next."""

_JSON_WORD = re.compile(r'(?:-?[0-9][0-9.eE+-]*|true|false|null|NaN|-?Infinity)\Z')
_DIRECTIVE = re.compile(r'\{\{[^{}]{0,1000}\}\}|\{%[^{}%]{0,1000}%\}')
_DIRECTIVE_COMMENT = re.compile(r'\{\{-?\s*/\*(?s:.{0,5000}?)\*/\s{0,9}-?\}\}|\{#(?s:.{0,5000}?)#\}')
_ONLY_DIRECTIVE = re.compile(r'\s*(?:\{\{[^{}]*\}\}\s*|\{%[^{}]*%\}\s*)+\Z')
_HIDDEN = re.compile('\ue000(\\d+)\ue001')
_XML_TOKEN = re.compile(
    r'<!--(?s:.*?)(?:-->|\Z)|</(?P<close>[\w:.-]+)\s*>'
    r'|<(?P<open>[\w:.-]+)(?P<attributes>(?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|\'[^\'<]*\'))*)\s*(?P<alone>/)?>'
)
_XML_ATTRIBUTE = re.compile(r'([\w:.-]+)\s*=\s*("[^"<]*"|\'[^\'<]*\')')
_CDATA = re.compile(r'<!\[CDATA\[((?s:.*?))\]\]>')
_CONTROL = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]')


class BadSyntax(Exception):
    """The text is not what it should be; `line` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


class Event(NamedTuple):
    """One event. `value` is that of a scalar, or the name of an alias; the lines of a `block` are as written. `tag` is
    what YAML says before it: `!Ref`.
    """

    kind: str
    line: int
    value: str = ''
    anchor: str | None = None
    block: bool = False
    tag: str | None = None


def yaml_events(text: str) -> Iterator[Event]:
    """The events of all documents. Raises BadSyntax, at the place where it is wrong."""
    depth = 0
    try:
        for event in yaml.parse(_CONTROL.sub(' ', text), Loader=_LOADER):
            read = _YAML.get(type(event))
            if read:
                known = read(event, event.start_mark.line + 1 if event.start_mark else 1)
                depth += _DEPTH.get(known.kind, 0)
                if depth > _DEEPEST:
                    raise BadSyntax(known.line, 'it is nested too deeply')
                yield known
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        raise BadSyntax(
            mark.line + 1 if mark else 1, f'it is not YAML: {getattr(error, "problem", None) or error}'
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadSyntax(1, 'it is not YAML') from error


def json_events(text: str) -> Iterator[Event]:
    """The events of JSON, of JSON with comments, and of several JSON documents one after the other."""
    return _of_tokens(text, _JSON_TOKEN)


def json_events_of_lists(text: str) -> Iterator[Event]:
    """The same; a mapping that stands in a list and holds no other one is a single event, with its text as the value.

    `within` has the events of it, for those who want them.
    """
    return _of_tokens(text, _FLAT_OR_TOKEN)


def within(flat: Event) -> Iterator[Event]:
    """The events of a flat mapping."""
    return (event for event in _of_tokens(flat.value, _JSON_TOKEN, flat.line) if event.kind != END_OF_DOCUMENT)


def _of_tokens(text: str, tokens: re.Pattern[str], line: int = 1) -> Iterator[Event]:
    last = 0
    depth: list[str] = []
    for match in tokens.finditer(text):
        start, token = match.start(), match.group()
        line += text.count('\n', last, start)
        last, first = start, token[0]
        if first == '"':
            yield Event(SCALAR, line, token[1:-1] if '\\' not in token and token != '"' else _json_value(token, line))
        elif first == '{' and len(token) > 1:
            flat = Event(FLAT_MAPPING, line, token)
            yield from (flat,) if depth and depth[-1] == ']' else within(flat)
        elif first in '{[':
            depth.append('}' if first == '{' else ']')
            yield Event(OPEN_MAPPING if first == '{' else OPEN_SEQUENCE, line)
        elif first in '}]':
            if not depth or depth.pop() != first:
                raise BadSyntax(line, f"it is not JSON: '{first}' closes nothing")
            yield Event(CLOSE, line)
        elif token[:2] not in ('//', '/*'):
            yield Event(SCALAR, line, _json_value(token, line))
        if first in '{}]' and not depth:
            yield Event(END_OF_DOCUMENT, line + token.count('\n'))
    if depth:
        raise BadSyntax(line, 'it is not JSON: it ends in the middle')


def template_events(text: str) -> Iterator[Event]:
    """The events of YAML with directives of Helm or Jinja; a directive inside a text stays a part of it.

    Lines of nothing but a directive are texts of their own, and come first.
    """
    directives: list[str] = []
    lines = _DIRECTIVE_COMMENT.sub(lambda match: '\n' * match.group().count('\n'), text).split('\n')
    for number, line in enumerate(lines):
        if _ONLY_DIRECTIVE.match(line):
            yield Event(SCALAR, number + 1, line.strip())
            lines[number] = ''
    hidden = _DIRECTIVE.sub(lambda match: _hide(match.group(), directives), '\n'.join(lines))
    for event in yaml_events(hidden):
        if '\ue000' in event.value:
            event = event._replace(value=_HIDDEN.sub(lambda match: directives[int(match[1])], event.value))
        yield event


def _hide(directive: str, directives: list[str]) -> str:
    if directive.startswith('{%'):
        return ''
    directives.append(directive)
    return f'\ue000{len(directives) - 1}\ue001'


def xml_events(text: str) -> Iterator[Event]:
    """The events of XML: an element is a mapping of its children and attributes, or the text in it."""
    line, last, opened = 1, 0, 0
    tokens = list(_XML_TOKEN.finditer(text))
    yield Event(OPEN_MAPPING, 1)
    for number, match in enumerate(tokens):
        line += text.count('\n', last, match.start())
        last = match.start()
        name = match['open']
        if name:
            leaf = number + 1 < len(tokens) and tokens[number + 1]['close'] == name
            yield Event(SCALAR, line, name.rpartition(':')[2])
            if leaf and not match['alone']:
                inside = text[match.end() : tokens[number + 1].start()]
                yield Event(SCALAR, line, html.unescape(_CDATA.sub(r'\1', inside)).strip())
                continue
            yield Event(OPEN_MAPPING, line)
            for key, value in _XML_ATTRIBUTE.findall(match['attributes']):
                yield Event(SCALAR, line, key)
                yield Event(SCALAR, line, html.unescape(value[1:-1]))
            opened += 1
        closes = match['alone'] if name else match['close'] and not _closes_leaf(tokens, number)
        if closes and opened:
            opened -= 1
            yield Event(CLOSE, line)
    for _ in range(opened + 1):
        yield Event(CLOSE, line)
    yield Event(END_OF_DOCUMENT, line)


def _closes_leaf(tokens: list[re.Match[str]], number: int) -> bool:
    before = tokens[number - 1] if number else None
    return bool(before and before['open'] == tokens[number]['close'] and not before['alone'])


def _json_value(token: str, line: int) -> str:
    if token[0] == '"' and len(token) > 1:
        try:
            return json.loads(token, strict=False)
        except ValueError as error:
            raise BadSyntax(line, 'it is not JSON: a text has a wrong escape') from error
    if not _JSON_WORD.match(token):
        raise BadSyntax(line, 'it is not JSON')
    return token


def _scalar(event: Any, line: int) -> Event:
    return Event(SCALAR, line, event.value, event.anchor, event.style == '|', event.tag)


_YAML = {
    yaml.MappingStartEvent: lambda event, line: Event(OPEN_MAPPING, line, anchor=event.anchor),
    yaml.SequenceStartEvent: lambda event, line: Event(OPEN_SEQUENCE, line, anchor=event.anchor, tag=event.tag),
    yaml.MappingEndEvent: lambda event, line: Event(CLOSE, line),
    yaml.SequenceEndEvent: lambda event, line: Event(CLOSE, line),
    yaml.ScalarEvent: _scalar,
    yaml.AliasEvent: lambda event, line: Event(ALIAS, line, event.anchor),
    yaml.DocumentEndEvent: lambda event, line: Event(END_OF_DOCUMENT, line),
}
