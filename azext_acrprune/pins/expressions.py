"""Expressions of any language -> the texts that they may make, with `${name}` where a value goes in.

Bicep, Terraform, TypeScript, Python, Go, Groovy, C#, Nix, CUE and Jsonnet put texts together in the same few ways:
side by side with `+`, with a name inside of a text, by `format`, `join` and `printf`, and by a choice of two.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

UNKNOWN_VALUE = '${value}'
"""Stands in a text where a value is not known."""

MOST_TEXTS = 24
"""How many texts the parts of one expression may make together."""

LONGEST = 4_000
LONGEST_VALUE = 500

_STRING = (
    r'(?P<prefix>[fFrRbBuUsSlL$@]{1,2}(?=["\']))?'
    r'(?P<string>"""(?s:.*?)"""|\'\'\'(?s:.*?)\'\'\'|"[^"\\\n$]*"|\'[^\'\\\n$]*\''
    r'|"(?:[^"\\\n$]|\\.|\$\{[^{}\n]{0,300}\}|\$(?!\{)){0,2000}"'
    r"|'(?:[^'\\\n$]|\\.|\$\{[^{}\n]{0,300}\}|\$(?!\{)){0,2000}'"
    r'|`[^`]*`)'
)
_TOKEN_TEXT = (
    r'(?P<space>[ \t\r\f\v]+|\\\n)|(?P<newline>\n)'
    r'|(?P<comment>{comments})'
    r'|(?P<heredoc><<[-~]?[ ]?["\']?(?P<mark>[A-Za-z_]\w{{0,50}})["\']?[^\n]*\n(?P<body>(?s:.*?))\n?[ \t]*(?P=mark)\b)'
    r'|{string}'
    r'|(?P<name>[A-Za-z_$][\w$]*(?:\??\.[A-Za-z_*$][\w$]*)*!?)|(?P<number>\d[\w.]*)'
    r'|(?P<sign>:=|=>|===?|!=|<=|>=|\?\?|\|\||&&|\?=|\+=|->|::|[^\s])'
)
_COMMENTS = {
    '#': r'\#[^\n]*',
    '//': r'//[^\n]*|/\*(?s:.*?)(?:\*/|\Z)',
    '--': r'--[^\n]*',
    '<#': r'<\#(?s:.*?)(?:\#>|\Z)',
}
_ALTERNATIVES = frozenset(('?', ':', '||', '??', '|', 'or', 'else', 'if', '?:'))
_IDENTITIES = frozenset(
    [
        'tostring',
        'string',
        'tolist',
        'toset',
        'trim',
        'trimspace',
        'strip',
        'quote',
        'some',
        'squote',
        'nonsensitive',
        'sensitive',
        'parse',
        'list',
        'array',
    ]
)
_LISTS = frozenset(('createarray', 'tolist', 'array', 'list', 'setof', 'listof', 'arrayof', 'aslist', 'of'))
_SETTINGS_CALL = re.compile(r'(?i)(?:config|cfg|conf|settings)\.(?:require|get)(?:secret|_secret)?\Z')
_FORMAT = re.compile(r'\{(\d{0,2}|[A-Za-z_]\w*)(?::[^{}]*)?\}|%\d{0,2}[svdq]')
_INSIDE = re.compile(
    r'(?<![{$])\{([A-Za-z_][\w.]{0,100}(?:\[[\w."\']{1,100}\])?)[^{}\n]{0,100}\}(?!\})|\\\(#?([A-Za-z_][\w.]{0,100})\)'
)
_LONE_NAME = re.compile(r'\$\{([\w.$]{1,100})\}\Z')
_ESCAPE = re.compile(r'\\([nrt"\'\\`$/])')
_ESCAPES = {'n': '\n', 'r': '\n', 't': '\t'}


@dataclass
class Item:
    """A piece of an expression: a `text` (in all of its `texts`), a `name`, a `sign`, a `list` of arguments, or a
    `block` with what is `named` in it.
    """

    kind: str
    value: str = ''
    texts: tuple[str, ...] = ()
    arguments: tuple[tuple[str, ...], ...] = ()
    line: int = 0
    named: tuple[tuple[str, tuple[str, ...]], ...] = ()


def token_pattern(comments: Sequence[str]) -> re.Pattern[str]:
    """Finds the tokens of a language with these comments."""
    known = '|'.join(_COMMENTS[mark] for mark in comments) or '(?!)'
    return re.compile(_TOKEN_TEXT.format(comments=known, string=_STRING))


def text_of(prefix: str | None, string: str) -> str:
    """What a text in quotes says, with `${name}` for each name inside of it."""
    quotes = 3 if string[:3] in ('"""', "'''") else 1
    inside = string[quotes:-quotes]
    raw = bool(prefix and set(prefix) & set('rR@')) or string[0] == '`'
    if prefix and set(prefix) & set('fFsS$') or '\\(' in inside:
        inside = _INSIDE.sub(lambda match: f'${{{match[1] or match[2]}}}', inside)
    if '\\' in inside and not raw:
        inside = _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), inside)
    return inside


def joined(items: Sequence[Item]) -> tuple[str, ...]:
    """All the texts that the pieces of an expression may make; none where nothing in it is a text or a name."""
    found: list[str] = []
    if _is_default(items):
        *names, last = [_together(part) for part in _alternatives(items)]
        for (text,) in reversed(names):
            last = tuple(f'{text[:-1]}:-{default}}}' for default in last)
        return last
    for number, part in enumerate(_alternatives(items)):
        texts = _together(part)
        if number == 0 and any(item.kind == 'sign' and item.value == '?' for item in items):
            continue  # the condition
        found.extend(texts)
    return tuple(dict.fromkeys(text[:LONGEST] for text in found))


def _is_default(items: Sequence[Item]) -> bool:
    """Whether names are followed by what counts where they have no value: `config.tag ?? "1"`."""
    if not any(item.value in ('??', '||', 'or') and item.kind in ('sign', 'name') for item in items):
        return False
    *names, last = [_together(part) for part in _alternatives(items)]
    known = all(len(texts) == 1 and _LONE_NAME.match(texts[0]) for texts in names)
    return known and bool(last) and all('${' not in text and '}' not in text for text in last)


def _alternatives(items: Sequence[Item]) -> Iterator[list[Item]]:
    part: list[Item] = []
    for item in items:
        if item.kind in ('sign', 'name') and item.value in _ALTERNATIVES:
            yield part
            part = []
        else:
            part.append(item)
    yield part


def _together(items: Sequence[Item]) -> tuple[str, ...]:
    """The texts of one alternative: what stands side by side, with what `%` or `-f` fills in."""
    for number, item in enumerate(items):
        windows = item.value == '-' and [each.value for each in items[number + 1 : number + 2]] == ['f']  # PowerShell
        if number and (item.kind == 'sign' and item.value == '%' or windows):
            rest = [each for each in items[number + 1 + windows :] if each.value != '%']
            arguments = rest[0].arguments if rest and rest[0].kind == 'list' else _split(rest)
            return _formatted(_together(items[:number]), [_value(argument) for argument in arguments])
    pieces = [_value(_texts_of(item)) for item in items if item.kind in ('text', 'name', 'number')]
    if not pieces:
        return ()
    if all(item.kind != 'sign' or item.value not in ('+', '&', '..', '++') for item in items):
        texts = [item for item in items if item.kind == 'text']
        if texts and len(pieces) > len(texts):  # a word before a text: `image 'x'`
            return _product([_texts_of(item) for item in texts])
        if len(pieces) > 1 and not texts:
            return pieces[-1]
    return _product(pieces)


def _split(items: Sequence[Item]) -> list[tuple[str, ...]]:
    """The texts of arguments that commas divide."""
    found: list[list[Item]] = [[]]
    for item in items:
        if item.kind == 'sign' and item.value == ',':
            found.append([])
        else:
            found[-1].append(item)
    return [joined(part) for part in found if part]


def _texts_of(item: Item) -> tuple[str, ...]:
    if item.kind == 'text':
        return item.texts
    return (item.value,) if item.kind == 'number' else (f'${{{item.value}}}',)


def _value(texts: tuple[str, ...]) -> tuple[str, ...]:
    return texts or (UNKNOWN_VALUE,)


def _product(pieces: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(''.join(chosen)[:LONGEST] for chosen in choices(pieces))


def choices(pieces: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """One of each piece, in every way; of too many, the rest is left open."""
    every = itertools.product(*pieces)
    yield from itertools.islice(every, MOST_TEXTS)
    if next(every, None) is not None:
        yield tuple(piece[0] if len(piece) == 1 else UNKNOWN_VALUE for piece in pieces)


def called(name: str, arguments: Sequence[Item]) -> Item:
    """The texts that a call of a function makes; an unknown value where the function is not known.

    Each argument is an item of kind `text`, or a `list` where it is one.
    """
    short = re.split(r'[.:]', name.rstrip('!'))[-1].lower()
    if _SETTINGS_CALL.search(name) and arguments and len(arguments[0].texts) == 1:
        given = tuple(text for argument in arguments[1:] for text in argument.texts)
        return Item('text', texts=(f'${{config__{arguments[0].texts[0]}}}', *given))
    known = _FUNCTIONS.get(short)
    texts = known(arguments) if known and arguments else ()
    if not texts and short in _IDENTITIES and len(arguments) == 1:
        return arguments[0] if arguments[0].kind == 'list' else Item('text', texts=arguments[0].texts)
    if short in ('parameters', 'variables', 'params') and arguments and arguments[0].texts:
        texts = (f'${{{short}.{arguments[0].texts[0]}}}',)
    if short in _LISTS:
        return Item('list', arguments=tuple(argument.texts for argument in arguments))
    return Item('text', texts=texts or (UNKNOWN_VALUE,))


def is_known(name: str) -> bool:
    """Whether the arguments of a function are only parts of what it answers."""
    return re.split(r'[.:]', name.rstrip('!'))[-1].lower() in _FUNCTIONS


def _formatted(formats: Iterable[str], values: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """`{0}`, `{}` and `%s` with the values in their places; a name in braces stays for its value."""
    return tuple(_FORMAT.sub(_filler(chosen), text) for text, *chosen in choices([tuple(formats), *values]))


def _filler(values: Sequence[str]) -> Callable[[re.Match[str]], str]:
    following = iter(values)

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name and not name.isdigit():
            return f'${{{name}}}'
        if name:
            value = values[int(name)] if int(name) < len(values) else UNKNOWN_VALUE
        else:
            value = next(following, UNKNOWN_VALUE)
        return value[:LONGEST_VALUE]

    return fill


def _format(arguments: Sequence[Item]) -> tuple[str, ...]:
    rest: list[tuple[str, ...]] = []
    for argument in arguments[1:]:
        rest.extend(argument.arguments if argument.kind == 'list' else [argument.texts])
    return _formatted(arguments[0].texts, [_value(texts) for texts in rest])


def _join(arguments: Sequence[Item]) -> tuple[str, ...]:
    parts = next((argument.arguments for argument in arguments if argument.kind == 'list'), None)
    separator = next((argument.texts for argument in arguments if argument.kind == 'text'), ('',))
    if parts is None:
        return ()
    return tuple(separator[0].join(chosen) for chosen in choices([_value(part) for part in parts]))


def _concat(arguments: Sequence[Item]) -> tuple[str, ...]:
    return _product([_value(argument.texts) for argument in arguments])


def _every(arguments: Sequence[Item]) -> tuple[str, ...]:
    return tuple(text for argument in arguments for text in argument.texts)


def _cased(change: Callable[[str], str]) -> Callable[[Sequence[Item]], tuple[str, ...]]:
    return lambda arguments: tuple(text if '${' in text else change(text) for text in arguments[0].texts)


def _replaced(arguments: Sequence[Item]) -> tuple[str, ...]:
    if len(arguments) < 3 or not all(argument.texts for argument in arguments[:3]):
        return ()
    old, new = arguments[1].texts[0], arguments[2].texts[0]
    return tuple(text.replace(old, new) for text in arguments[0].texts if '${' not in text and old)


def _looked_up(arguments: Sequence[Item]) -> tuple[str, ...]:
    """`lookup(local.tags, var.stage, "1")`: what stands in a mapping under a key, or else a default."""
    if len(arguments) < 2 or not arguments[0].texts or not arguments[1].texts:
        return ()
    place, key = _LONE_NAME.match(arguments[0].texts[0]), _LONE_NAME.match(arguments[1].texts[0])
    defaults = tuple(text for argument in arguments[2:] for text in argument.texts)
    if not place:
        return defaults
    if key:
        return (f'${{{place[1]}[{key[1]}]}}', *defaults)
    name = f'{place[1]}.{arguments[1].texts[0]}'
    return tuple(f'${{{name}:-{text}}}' for text in defaults) or (f'${{{name}}}',)


def _tried(arguments: Sequence[Item]) -> tuple[str, ...]:
    """`try(var.tags.web, "1")`: the value of a name, or else a default."""
    name = _LONE_NAME.match(arguments[0].texts[0]) if len(arguments) == 2 and len(arguments[0].texts) == 1 else None
    if name and '$' not in name[1]:
        return tuple(f'${{{name[1]}:-{text}}}' for text in arguments[1].texts)
    return _every(arguments)


_FUNCTIONS: dict[str, Callable[[Sequence[Item]], tuple[str, ...]]] = {
    **dict.fromkeys(('format', 'sprintf', 'printf'), _format),
    'join': _join,
    'concat': _concat,
    **dict.fromkeys(('lower', 'tolower'), _cased(str.lower)),
    **dict.fromkeys(('upper', 'toupper'), _cased(str.upper)),
    'if': lambda arguments: _every(arguments[1:]),
    **dict.fromkeys(('coalesce', 'firstnonempty'), _every),
    **dict.fromkeys(
        ('getenv', 'get_env', 'env', 'get', 'getorelse', 'getordefault', 'fetch'),
        lambda arguments: _every(arguments[1:]),
    ),
    'default': _every,
    'lookup': _looked_up,
    'try': _tried,
    'withregistry': lambda arguments: arguments[0].texts,
    'replace': _replaced,
}
