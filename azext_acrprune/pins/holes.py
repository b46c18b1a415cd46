"""What stands in a place that is to be filled in -> the texts that it may make: of Helm, Jinja, resource manager
templates, pipelines and shells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .expressions import LONGEST, LONGEST_VALUE, UNKNOWN_VALUE, Item, called, joined, text_of, token_pattern

_PIPED = frozenset(('default', 'd', 'coalesce', 'or'))
_WORDS = re.compile(r'"((?:[^"\\]|\\.){0,300})"|\'([^\']{0,300})\'|`([^`]{0,300})`|([\w.$/-]+)|([|()])')
_SIMPLE = re.compile(r'[\w.$-]+\Z')
_CALL = re.compile(r'\s*[A-Za-z]\w*\s+["`]')
_INNERMOST = re.compile(r'(?:(?<=[\s(])|\A)\(([^()]*)\)')
_PIPE_INSIDE = re.compile(r'(?:(?<=[\s(])|\A)\([^()|]*\|[^()]*\)')
_GROUP = '_group_'

Groups = Mapping[str, tuple[str, ...]]
"""{name: the texts} of what stands in brackets."""


def hole_texts(expression: str) -> tuple[str, ...]:
    """The texts that an expression between braces may make: `lower("V5")`, `printf "%s:%s" .a "b"`, `x | default "1"`.

    Empty where it is beyond us.
    """
    if len(expression) > LONGEST_VALUE:
        return ()
    groups: dict[str, tuple[str, ...]] = {}
    while _is_of_go(expression):
        inner = _INNERMOST.search(expression)
        if not inner:
            break
        name = f'{_GROUP}{len(groups)}'
        groups[name] = _piped(inner[1], groups) or (UNKNOWN_VALUE,)
        expression = f'{expression[: inner.start()]}{name}{expression[inner.end() :]}'
    return _piped(expression, groups)


def _is_of_go(expression: str) -> bool:
    """Whether brackets hold arguments of their own: `printf "%s:%s" .a (.b | default .c)`."""
    return '(' in expression and (_CALL.match(expression) is not None or _PIPE_INSIDE.search(expression) is not None)


def _piped(expression: str, groups: Groups) -> tuple[str, ...]:
    """`x | default "1"`; `groups` has what was in brackets."""
    pieces = expression.split('|')
    texts = _juxtaposed(pieces[0], groups)
    for piece in pieces[1:]:
        words = [match for match in _WORDS.finditer(piece) if not match[5]]
        if words and words[0][4] in _PIPED:
            texts = (*texts, *_word_texts(words[1:], groups))
    return tuple(dict.fromkeys(texts))


def _juxtaposed(text: str, groups: Groups) -> tuple[str, ...]:
    """`printf "format" a b`, `x`, or an expression with brackets."""
    words = [match for match in _WORDS.finditer(text) if not match[5]]
    if not words:
        return ()
    is_call = words[0][4] in ('printf', 'format', 'default', 'coalesce') or _CALL.match(text)
    if is_call and words[0][4] and '(' not in text:
        return called(words[0][4], [Item('text', texts=_word_texts([word], groups)) for word in words[1:]]).texts
    if _SIMPLE.match(text.strip()) or len(words) == 1 and '(' not in text:
        return _word_texts(words, groups)
    return _evaluated(text)


def _word_texts(words: Sequence[re.Match[str]], groups: Groups) -> tuple[str, ...]:
    found: list[str] = []
    for word in words:
        if word[4]:
            found += groups.get(word[4]) or (f'${{{word[4]}}}',)
        else:
            found.append(next(group for group in word.groups() if group is not None))
    return tuple(found)


_PLAIN_TOKENS = token_pattern(())


def _evaluated(text: str) -> tuple[str, ...]:
    """An expression with calls in brackets; a stack of calls, for it may be nested deeply."""
    calls: list[tuple[str, list[Item], list[Item]]] = [('', [], [])]
    for match in _PLAIN_TOKENS.finditer(text):
        name, arguments, items = calls[-1]
        if match['string']:
            items.append(Item('text', texts=(text_of(match['prefix'], match['string'].replace("''", "'")),)))
        elif match['name']:
            items.append(Item('name', match['name']))
        elif match['number']:
            items.append(Item('number', match['number']))
        elif match['sign'] == '(':
            called_name = items.pop().value if items and items[-1].kind == 'name' else ''
            of_text = called_name in ('format', 'join') and len(items) > 1 and items[-2].kind == 'text'
            given = [items[-2]] if of_text else []
            del items[len(items) - 2 * of_text :]
            calls.append((called_name, given, []))
        elif match['sign'] == ')' and len(calls) > 1:
            calls.pop()
            _argue(arguments, items)
            calls[-1][2].append(called(name, arguments) if name else arguments[-1] if arguments else Item('text'))
        elif match['sign'] == ',':
            _argue(arguments, items)
        elif match['sign']:
            items.append(Item('sign', match['sign']))
    return joined(_with_properties(calls[0][2]))


def _argue(arguments: list[Item], items: list[Item]) -> None:
    if len(items) == 1 and items[0].kind == 'list':
        arguments.append(items[0])
    elif items:
        arguments.append(Item('text', texts=joined(_with_properties(items))))
    items.clear()


def _with_properties(items: Sequence[Item]) -> list[Item]:
    """`parameters('a').b` is the value `a.b`; the `.b` of anything else makes it unknown."""
    found: list[Item] = []
    after_dot = False
    for item in items:
        if item.kind == 'sign' and item.value == '.':
            after_dot = True
        elif after_dot and found and item.kind == 'name':
            texts = found[-1].texts
            known = len(texts) == 1 and texts[0].startswith('${') and texts[0].endswith('}')
            found[-1] = Item('text', texts=(f'{texts[0][:-1]}.{item.value}}}' if known else UNKNOWN_VALUE,))
            after_dot = False
        else:
            found.append(item)
            after_dot = False
    return found


def arm_texts(expression: str) -> tuple[str, ...]:
    """What an expression of a resource manager template says, such as `[concat(parameters('host'), '/app:v1')]`."""
    if len(expression) > LONGEST or not expression.endswith(']') or expression.startswith('[['):
        return (expression,)
    return _evaluated(expression[1:-1]) or (UNKNOWN_VALUE,)
