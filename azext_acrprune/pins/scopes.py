"""One table for all languages: which name has which values in which scope, and what a text says with them filled in.

A scope is a mapping of YAML or JSON, a block in braces, a stage of a Dockerfile or a command. A name means what the
innermost scope says of it; where that says several things, all of them count.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from .expressions import LONGEST, LONGEST_VALUE, MOST_TEXTS, arm_texts, hole_texts

MOST_ENTRIES = 1_000
"""Names and values of one scope. Values after these are searched for images, and no name leads to them."""

_ROUNDS = 2
_MOST_AGAIN = 8
_MOST_ROUNDS = 100
_DEEPEST = 8
"""How deep the value of a name may lead to other names."""

_LISTED = ('env', 'variables', 'vars', 'parameters', 'params', 'inputs', 'arguments', 'substitutions', 'substitute')
DECLARING = frozenset(
    (*_LISTED, 'args', 'include', 'elements', 'properties', 'locals', 'matrix', 'environment', 'values')
    + ('stringparameters', 'environments')
)
"""Keys under which names get values, for whatever stands beside such a key and below that."""

HOISTING = frozenset(
    ('arguments', 'on', 'workflow_dispatch', 'workflow_call', 'postbuild', 'args', 'strategy', 'alias', 'matrix')
    + ('include', 'elements', 'list', 'generators', 'inputs')
)
"""Keys whose declarations are for what stands around them."""

_PREFIXES = frozenset(
    [
        'env',
        'var',
        'vars',
        'variables',
        'parameters',
        'params',
        'inputs',
        'matrix',
        'local',
        'locals',
        'values',
        'workflow',
        'pipeline',
        'tasks',
        'self',
        'this',
        'super',
        'each',
        'config',
        'data',
        'root',
        'global',
        'item',
        'include',
        'arguments',
        'stages',
        'context',
        'ctx',
        'opts',
        'args',
        'tf',
        'inputs.parameters',
    ]
)
_HOLE = re.compile(
    r'\$\{\{(?P<github>[^{}\n]{1,300})\}\}'
    r'|\{\{-?(?P<double>[^{}\n]{1,300}?)-?\}\}'
    r'|\$?\$\{(?P<braced>[^{}\n]{1,300})\}'
    r'|\$\((?P<round>[\w.-]{1,100})\)'
    r'|\$\[\s*(?P<square>[^\[\]\n]{1,300})\]'
    r'|<<\s*(?P<angle>[\w.-]{1,100})\s*>>'
    r'|#\{\s*(?P<hash>[\w.-]{1,100})\s*\}'
    r'|\\\((?P<cue>[\w.#]{1,100})\)'
    r'|\(\((?P<concourse>[\w.-]{1,100})\)\)'
    r'|%\((?P<python>\w{1,100})\)s'
    r'|%(?P<windows>\w{1,100})%'
    r'|\$\$?(?P<bare>[A-Za-z_]\w{0,100})'
)
_MARKS = ('$', '{{', '<<', '#{', '\\(', '((', '%')
_SIMPLE = re.compile(r'[\w.$#-]+\Z')
_DEFAULT = re.compile(r'(\w{1,100}):?[-=](.{0,300})\Z')
_EXPRESSION = re.compile(r'\[\s*\w+\s*\(')
_INDEX = re.compile(r"\[['\"]([\w.-]{1,100})['\"]\]")


@dataclass(frozen=True, slots=True)
class Value:
    """A text and its line. One that is `weak` is a default: what somebody gives from outside counts more."""

    text: str
    line: int = 0
    weak: bool = False


Entries = dict[str, list[Value]]


@dataclass(frozen=True, slots=True)
class Use:
    """A text that may name images, under its key. It `runs` where a name without a tag means `latest`."""

    key: str
    value: Value
    runs: bool = False


@dataclass(eq=False, slots=True)
class Scope:
    """What one mapping, block, stage or command says; `declared` are names that are known in it and below it.

    It is `listed` as an item of a list. `known` has what names turned out to mean, once everything is read; `pairs` are
    names and values that lists give, as `[{name: image.tag, value: v1}]`; `merged` is what `<<` takes over.
    """

    parent: Scope | None = None
    key: str = ''
    line: int = 0
    entries: Entries = field(default_factory=dict)
    declared: Entries = field(default_factory=dict)
    children: dict[str, list[Scope]] = field(default_factory=dict)
    pairs: dict[str, list[tuple[str, Value]]] = field(default_factory=dict)
    uses: list[Use] = field(default_factory=list)
    merged: list[Scope] = field(default_factory=list)
    listed: bool = False
    known: dict[str, list[Filled]] = field(default_factory=dict)

    def add(self, key: str, value: Value) -> None:
        _add(self.entries, key, value)

    def declare(self, name: str, value: Value) -> None:
        _add(self.declared, name, value)

    def attach(self, child: Scope) -> None:
        """Add a child scope, which names with dots lead into."""
        if len(self.children) < MOST_ENTRIES:
            known = self.children.setdefault(child.key, [])
            if len(known) < MOST_ENTRIES:
                known.append(child)

    def take_over(self) -> None:
        """Take over the entries of the `merged` mappings whose keys this scope does not have."""
        for other in self.merged:
            for key, values in other.entries.items():
                if len(self.entries) < MOST_ENTRIES:
                    self.entries.setdefault(key, values)
            for name, values in other.declared.items():
                self.declared.setdefault(name, values)
            for key, children in other.children.items():
                self.children.setdefault(key, children)
        self.merged.clear()

    def own(self, name: str) -> list[Value]:
        """The values that this scope itself has for a name, with dots for what stands in children."""
        found = [*self.declared.get(name, ()), *self.entries.get(name, ())]
        if found or '.' not in name:
            return found
        return self._inside(name.split('.'))

    def _inside(self, path: list[str]) -> list[Value]:
        scopes: list[Scope] = [self]
        for step in path[:-1]:
            scopes = [child for scope in scopes for child in scope.children.get(step, ())][:MOST_TEXTS]
        return [value for scope in scopes for value in scope.entries.get(path[-1], ())]


def _add(entries: Entries, key: str, value: Value) -> None:
    if key in entries:
        known = entries[key]
        if len(known) < MOST_ENTRIES and known[-1].text != value.text:
            known.append(value)
    elif len(entries) < MOST_ENTRIES:
        entries[key] = [value]


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with the values that are known in their places, and the lines that those come from."""

    text: str
    lines: frozenset[int] = frozenset()


Busy = frozenset[tuple[int, str]]


def _deeper(busy: Busy) -> Busy:
    """One step further into an expression: those that hold themselves have to end."""
    return busy | {(-len(busy) - 1, '')}


def has_holes(text: str) -> bool:
    """Whether something in a text has to be filled in, or the text is an expression of a resource manager template."""
    return any(mark in text for mark in _MARKS) and _HOLE.search(text) is not None or _is_expression(text)


def may_name_image(text: str) -> bool:
    """Whether it is worth looking for images in a text."""
    return '/' in text or '$' in text or 'pkg:' in text or '{{' in text or text[:1] == '['


def _is_expression(text: str) -> bool:
    return text[:1] == '[' and text[-1:] == ']' and _EXPRESSION.match(text) is not None


def filled(text: str, scope: Scope | None, busy: Busy = frozenset()) -> list[Filled]:
    """All that a text may say; a name without a value stays as it was written."""
    found = _filled_once(text, scope, busy)
    for _ in range(0 if busy else _ROUNDS):  # a default may have held a name itself
        again = [each for each in found if each.text != text and each.text.count('${') and has_holes(each.text)]
        if not again or len(busy) > _DEEPEST or len(found) > _MOST_AGAIN:
            break
        more = [
            Filled(made.text, made.lines | each.lines)
            for each in found
            for made in (_filled_once(each.text, scope, busy) if each in again else [each])
        ]
        if more == found:
            break
        found = more[: MOST_TEXTS + 1]
    return found


def _filled_once(text: str, scope: Scope | None, busy: Busy) -> list[Filled]:
    if _is_expression(text) and len(busy) <= _DEEPEST:
        return [each for made in arm_texts(text) for each in filled(made, scope, _deeper(busy))][:MOST_TEXTS]
    if len(text) > LONGEST or len(busy) > _DEEPEST or not any(mark in text for mark in _MARKS):
        return [Filled(text)]
    pieces: list[list[Filled]] = []
    end = 0
    for match in _HOLE.finditer(text):
        pieces.append([Filled(text[end : match.start()])])
        pieces.append(_hole(match, scope, busy) or [Filled(match.group())])
        end = match.end()
    if not pieces:
        return [Filled(text)]
    pieces.append([Filled(text[end:])])
    return list(itertools.islice(_products(pieces), MOST_TEXTS))


def _products(pieces: list[list[Filled]]) -> Iterator[Filled]:
    for chosen in itertools.product(*pieces):
        made = ''.join(piece.text for piece in chosen)
        yield Filled(made[:LONGEST], frozenset().union(*(piece.lines for piece in chosen)))


def _hole(match: re.Match[str], scope: Scope | None, busy: Busy) -> list[Filled]:
    content = (match[match.lastgroup or 0] or '').strip()
    content = _INDEX.sub(r'.\1', content)
    known = values_of(content, scope, busy) if _SIMPLE.match(content) else []
    default = _DEFAULT.match(content)
    if known or _SIMPLE.match(content) and not (default and content.partition('-')[0].isupper()):
        return known
    if default and match['braced'] is not None:
        known = values_of(default[1], scope, busy)
        return known or filled(default[2], scope, _deeper(busy))
    found: list[Filled] = []
    for text in hole_texts(content):
        simple = text.startswith('${') and _SIMPLE.match(text[2:-1])
        more = values_of(text[2:-1], scope, busy) if simple else filled(text, scope, _deeper(busy))
        found.extend(each for each in more if '${value}' not in each.text)
    return found


def values_of(name: str, scope: Scope | None, busy: Busy = frozenset()) -> list[Filled]:
    """The values of a name as seen from a scope, empty where none is known."""
    if name.startswith('var.'):  # of Terraform: a default, and what files beside it give
        found = [each for spelled in _spellings(name) for each in _innermost(spelled, scope, busy)]
        return list(dict.fromkeys(found))
    return next(filter(None, (_innermost(spelled, scope, busy) for spelled in _spellings(name))), [])


def _innermost(spelled: str, scope: Scope | None, busy: Busy) -> list[Filled]:
    """What the innermost scope that knows a name says of it."""
    here = scope
    while here is not None:
        if (id(here), spelled) not in busy:
            values = _given(here, spelled, busy)
            if values:
                return _worked_out(here, spelled, values, busy)
        here = here.parent
    return []


def _worked_out(scope: Scope, name: str, values: list[Value], busy: Busy) -> list[Filled]:
    """What the values of a name say, each name of a scope once. Of too many, the rest is left open."""
    if name not in scope.known:
        inner = busy | {(id(scope), name)}
        found = [
            Filled(each.text[:LONGEST_VALUE], each.lines | {value.line})
            for value in values[:MOST_TEXTS]
            for each in filled(value.text, scope, inner)
        ]
        more = len(values) > MOST_TEXTS or len(found) > MOST_TEXTS
        scope.known[name] = found[:MOST_TEXTS] + ([Filled(f'${{{name}}}')] if more else [])
    return scope.known[name]


def _given(scope: Scope, name: str, busy: Busy) -> list[Value]:
    """What a scope says of a name; what is handed to a nested template counts more than its own defaults."""
    values = scope.own(name)
    outer = scope.parent
    is_nested = outer is not None and scope.key == 'template' and all(value.weak for value in values)
    if is_nested and outer is not None and (id(outer), name) not in busy and outer.declared.get(name):
        return []
    return values


def rounds(text: str, scope: Scope) -> Iterator[Scope]:
    """The scopes of a text in a loop, one for each item: `for_each` of Terraform and `for x in xs` of Bicep."""
    here: Scope | None = scope
    while here is not None:
        for over in here.entries.get('for_each', ()):
            name = here.entries['for_name'][0].text if 'for_name' in here.entries else 'each'
            if re.search(rf'\b{re.escape(name)}\b', text):
                yield from _items(here, over, name, scope)
                return
        here = here.parent
    yield scope


def _items(loop: Scope, over: Value, name: str, scope: Scope) -> Iterator[Scope]:
    known = list(loop.children.get('for_each', ())) or _children(over.text.strip('${}'), loop)
    made = [_round(scope, name, child.key, child) for place in known for child in _all_children(place)]
    for place in known:
        for key, values in place.entries.items():
            made += [_round(scope, name, key, value) for value in values]
    if not known and not has_holes(over.text):  # `toset(["a", "b"])`
        texts = [value.text for value in loop.entries['for_each']]
        made = [_round(scope, name, text, Value(text, over.line)) for text in texts]
    yield from made[:_MOST_ROUNDS]
    if not made or len(made) > _MOST_ROUNDS:
        yield scope


def _round(scope: Scope, name: str, key: str, item: Scope | Value) -> Scope:
    """What the names of a loop mean for one of its items."""
    made = Scope(scope)
    line = item.line
    made.declare(f'{name}.key', Value(key, line))
    if isinstance(item, Value):
        made.declare(f'{name}.value', item)
        made.declare(name, item)
        return made
    for field_name, values in item.entries.items():
        for value in values:
            made.declare(f'{name}.value.{field_name}', value)
            made.declare(f'{name}.{field_name}', value)
    return made


def _all_children(scope: Scope) -> Iterator[Scope]:
    for children in scope.children.values():
        yield from children


def _children(name: str, scope: Scope) -> list[Scope]:
    """The scopes that a name leads to, from the innermost scope that knows it."""
    for spelled in _spellings(name):
        here: Scope | None = scope
        while here is not None:
            found = [here]
            for step in spelled.split('.'):
                found = [child for each in found for child in each.children.get(step, ())]
            if found:
                return found
            here = here.parent
    return []


def _spellings(name: str) -> Iterator[str]:
    """`var.tag` is also the default of a variable, and `.Values.image.tag` is `image.tag` in the values."""
    name = name.strip('.$ ').lstrip('#')
    if not name:
        return
    yield name
    steps = name.split('.')
    if steps[0] == 'var' and len(steps) > 1:
        yield '.'.join(['variable', steps[1], 'default', *steps[2:]])
        yield '.'.join(steps[1:])
        return
    if steps[0] == 'local' and len(steps) > 1:
        yield f'locals.{".".join(steps[1:])}'
        return
    if len(steps) == 1:
        yield f'variable.{name}.default'
    while len(steps) > 1 and steps[0].lower() in _PREFIXES:
        steps = steps[1:]
        yield '.'.join(steps)
