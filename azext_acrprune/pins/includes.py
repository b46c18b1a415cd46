"""Templates of Helm that are included by name: what they say, with what is handed to them in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .filling import filled, has_holes
from .scopes import Scope, Value

_DIRECTIVE = re.compile(r'\{\{([^{}\n]{1,500})\}\}')
_DEFINE = re.compile(r'define\s+"([^"]{1,200})"\Z')
_OPENS = re.compile(r'(?:if|range|with|define|block)\b')
_CONTROLS = re.compile(r'(?:if|else|end|range|with|block)\b')
_INCLUDE = re.compile(r'(?:include|template)\s+"([^"]{1,200})"\s+(.{1,300}?)(?:\s*\|\s*(?:quote|squote|trim))*\Z')
_SET = re.compile(r'(\$\w{1,60})\s*:=\s*([$.][\w.]{0,200})\Z')
_INDEX = re.compile(r'(\$\w{1,60})\s*:=\s*index\s+\.\s+(\d)\Z')
_LIST = re.compile(r'\(\s*list\s+([$.\w\s"-]{1,300})\)\Z')
_DICT = re.compile(r'\(\s*dict\s+(.{1,300})\)\Z')
_PAIR = re.compile(r'"(\w{1,60})"\s+([$.][\w.]{0,200}|"[^"]{0,200}")')
_PATH = re.compile(r'(?<![\w.)$"])(\$\w{1,60})?\.([A-Za-z_]\w{0,60})')
_PLACE = re.compile(r'(?<![\w."])[$]?\.[A-Za-z_][\w.]{0,200}')
_KEY = 'define '
_MOST = 200
_DEEPEST = 3
_LONGEST = 500


def _content(directive: re.Match[str]) -> str:
    return directive[1].strip().strip('-').strip()


def defined(text: str) -> Scope | None:
    """The templates that a text defines, as names of a scope; None where there are none."""
    scope = Scope()
    for name, body, line in _bodies(text) if '{{' in text and 'define' in text else ():
        scope.declare(f'{_KEY}{name}', Value(body, line))
    return scope if scope.declared else None


def _bodies(text: str) -> Iterator[tuple[str, str, int]]:
    depth, name, start = 0, '', 0
    for match in _DIRECTIVE.finditer(text):
        content = _content(match)
        opens = _DEFINE.match(content)
        if opens and not depth:
            name, start = opens[1], match.end()
        if _OPENS.match(content):
            depth += 1
        elif content == 'end' and depth:
            depth -= 1
            if name and not depth:
                yield name, text[start : match.start()], 1 + text.count('\n', 0, start)
                name = ''


def with_includes(text: str, beside: Scope | None) -> str:
    """The text with what the templates say that it includes, where that is a line and is defined here or beside it."""
    if '{{' not in text or 'include' not in text and 'template' not in text:
        return text
    bodies: dict[str, str] = {}
    for scope in (defined(text), *((beside.others or ()) if beside else ())):
        for key, values in scope.declared.items() if scope else ():
            if key.startswith(_KEY):
                bodies.setdefault(key.removeprefix(_KEY), values[0].text)
    for _ in range(_DEEPEST if bodies else 0):
        made = _DIRECTIVE.sub(lambda match: _said(match, bodies, beside), text)
        if made == text:
            break
        text = made
    return text


def _said(match: re.Match[str], bodies: Mapping[str, str], beside: Scope | None) -> str:
    """What an inclusion says; all that it may say, where the template has a choice."""
    called = _INCLUDE.match(_content(match))
    body = bodies.get(called[1]) if called else None
    if called is None or body is None:
        return match.group()
    pairs = _DICT.match(called[2])
    listed = _LIST.match(called[2])
    given = dict(_PAIR.findall(pairs[1])) if pairs else {'': called[2]}
    if listed:  # `$web := index . 1` takes one of them
        given = {f'item{number}': each for number, each in enumerate(listed[1].split())}
    choices = [_Choice(_handed(each.condition, given), _handed(each.text, given)) for each in _choices(body)]
    texts = [each.text for each in choices if _may_hold(each.condition, beside)] or [each.text for each in choices]
    return ' '.join(dict.fromkeys(texts)) or match.group()


@dataclass
class _Choice:
    """A text that a template says under a condition, which is empty where there is none."""

    condition: str
    text: str = ''


def _may_hold(condition: str, scope: Scope | None) -> bool:
    """Whether all names in a condition have values that are not empty; one that is turned round may always hold."""
    paths = _PLACE.findall(condition) if 'not' not in condition.split() else ()
    values = [filled(f'{{{{ {path} }}}}', scope) for path in paths]
    return all(any(each.text and not has_holes(each.text) for each in known) for known in values)


def _choices(body: str) -> list[_Choice]:
    """The lines that a template may say, with its own names for others in their place."""
    names: dict[str, str] = {}
    parts = [_Choice('')]
    end = 0
    for match in _DIRECTIVE.finditer(body):
        parts[-1].text += body[end : match.start()]
        end = match.end()
        content = _content(match)
        name = _SET.match(content)
        index = _INDEX.match(content)
        if index:
            names[index[1]] = f'.item{index[2]}'
        elif name:
            names[name[1]] = _named(name[2], names)
        elif _CONTROLS.match(content):
            is_condition = re.match(r'(?:else\s+)?if\s', content)
            parts.append(_Choice(f'{{{{ {_named(content, names)} }}}}' if is_condition else ''))
        elif not content.startswith('/*'):
            parts[-1].text += f'{{{{ {_named(content, names)} }}}}'
    parts[-1].text += body[end:]
    lines = [_Choice(part.condition, part.text.strip()) for part in parts[:_MOST]]
    return [each for each in lines if '{{' in each.text and '\n' not in each.text and len(each.text) <= _LONGEST]


def _named(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r'\$\w{1,60}', lambda match: names.get(match.group(), match.group()), text)


def _handed(text: str, given: Mapping[str, str]) -> str:
    """A line with the paths of the one who includes it: `.image.tag` is `.Values.web.image.tag`."""

    def path(match: re.Match[str]) -> str:
        if match[1]:
            return match.group()
        if '' in given:
            start = given[''].strip('()')
            return match.group() if start in ('.', '$') else f'{start}.{match[2]}'
        start = given.get(match[2], match.group())
        return '' if start in ('.', '$') else start

    return _DIRECTIVE.sub(lambda each: f'{{{{ {_PATH.sub(path, _content(each))} }}}}', text)
