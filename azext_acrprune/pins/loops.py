"""Loops of any language: which names go over the items of which list, and what they stand for there.

No grammar is followed: `for name, tag in X`, `X.map(each => ...)`, `range $x := X` and such are known by sight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .scopes import Over, Row, Scope, Value

_MOST_ROWS = 200
_NAMES = r'(?P<names>[$\w]{1,60}(?:[ ]?,[ ]?[$\w]{1,60}){0,3})'
_LOOPS = (
    re.compile(
        r'\bfor(?:each)?[ ]{0,3}\(?[ ]?'
        r'(?:(?:const|let|var|final|auto|def|string)[ ]|(?:[A-Z][\w<>.,?]{0,60}[ ])?)[\[(]?'
        + _NAMES
        + r'[\])]?[ ](?:in|of|:)[ ](?P<over>[^\n]{1,300})'
    ),
    re.compile(r'\beach[ ]' + _NAMES + r'[ ]in[ ](?P<over>[^\n}]{1,300})'),
    re.compile(r'\b(?:for[ ])?' + _NAMES + r'[ ]?:=[ ]?range[ ](?P<over>[^\n}]{1,300})'),
    re.compile(r'\brange[ ]' + _NAMES + r'[ ]?:=[ ](?P<over>[^\n}]{1,300})'),
    re.compile(r'\brange[ ](?P<names>)(?P<over>\$?\.[\w.]{1,100})'),
)
_METHODS = (
    re.compile(
        r'\.(?:map|forEach|flatMap|each|collect|collectEntries|each_with_index|Select|ForEach|for_each|associate'
        r'|reduce)(?:\(|[ ]?\{|[ ]do)\s{0,9}(?:async[ ])?[(|\[]{0,3}' + _NAMES + r'[)|\]]{0,3}[ ]?(?:=>|->|\||:|\n)'
    ),
    re.compile(r'\.(?P<names>)(?:each|collect|forEach)[ ]?\{'),
    re.compile(r'[ ]?\|[ ]?(?P<names>)(?:ForEach-Object|%)[ ]?\{', re.IGNORECASE),
)
_SET = re.compile(
    r'\{(?:%-?\s{0,9}set\s|\{-?\s{0,9}(?=\$))\s{0,9}(?P<name>\$?\w{1,100})\s?:?=\s?(?P<value>[^{}%\n]{1,300}?)-?[%}]\}'
)
_RECEIVER = re.compile(r'[\w$][\w.$]{0,100}(?:\([\w.]{0,60}\))?\??\s{0,9}\Z')
_INDEX = re.compile(r"\[['\"]([\w.-]{1,100})['\"]\]")
_WORDS = re.compile(r'[\w./:@"\' -]+\Z')
_ONE_WORD = re.compile(r'["\'$\w][^\s()]*(?<!\$\{value\})\Z')
_WORD = re.compile(r'\$?\w[\w.$-]*')
_NO_COLLECTIONS = frozenset(
    (
        'enumerate',
        'sorted',
        'object.entries',
        'object.keys',
        'object.values',
        'std.objectfields',
        'list',
        'keys',
        'items',
    )
    + ('toset', 'dict', 'values', 'zip', 'set', 'tuple', 'reversed', 'do', 'in', 'of', 'std.objectfieldsall', 'iter')
    + ('range', 'std.mapwithkey', 'object', 'entries', 'array.from', 'concat', 'lookup', 'merge', 'tomap', 'array')
)
_SUFFIX = re.compile(r'\.(?:items|entries|values|keys|iter|entrySet|iteritems|to_a|toList|into_iter|sort|sorted)\Z')
_IMPLIED = ('it', '_', '')
"""What the item of a loop is called that gives it no name: in Groovy, in PowerShell and in templates of Go."""


_PREFIXES = frozenset(
    ('env', 'var', 'vars', 'variables', 'parameters', 'params', 'inputs', 'matrix', 'local', 'locals')
    + ('values', 'workflow', 'pipeline', 'tasks', 'self', 'this', 'super', 'each', 'config', 'data')
    + ('root', 'global', 'item', 'include', 'arguments', 'stages', 'context', 'ctx', 'opts', 'args', 'tf')
)
"""What names begin with that say only where they are from."""


def note_loops(text: str, scope: Scope) -> None:
    """Note all loops that a text shows in the scope of all of it."""
    for pattern in _LOOPS if 'for' in text or 'range' in text or 'each' in text else ():
        for match in pattern.finditer(text):
            over = collection(match['over'])
            if over == inline(0):
                over = inline(1 + text.count('\n', 0, match.start('over')))
            _note(scope, match['names'], over, match['over'])
    for pattern in _METHODS if '.' in text else ():
        for match in pattern.finditer(text):
            before = _RECEIVER.search(text[max(0, match.start() - 180) : match.start()])
            if before:
                _note(scope, match['names'], collection(before.group()), before.group())


def note_set(text: str, scope: Scope) -> None:
    """Note what directives of templates give to names: `{% set tag = "1" %}` of Jinja, `{{ $tag := "1" }}` of Go."""
    for match in _SET.finditer(text) if '{%' in text or ':=' in text else ():
        value = match['value'].strip()
        quoted = len(value) > 1 and value[0] in '"\'' and value[-1] == value[0] and value[0] not in value[1:-1]
        line = 1 + text.count('\n', 0, match.start())
        scope.declare(match['name'].lstrip('$'), Value(value[1:-1] if quoted else f'{{{{ {value} }}}}', line))


def _note(scope: Scope, names: str, over: str, written: str) -> None:
    several = [name.strip().lstrip('$') for name in names.split(',')]
    if over and several == ['']:
        for name in _IMPLIED:
            scope.loop(name, Over(over))
    elif over:
        for number, name in enumerate(several):
            scope.loop(name, Over(over, str(number) if len(several) > 1 else _single(written)))


def _single(over: str) -> str:
    return '1' if re.search(r'\.values\b', over) else 'item'


def collection(text: str, line: int = 0) -> str:
    """The name of what a loop goes over; a list that stands right there is named by its line."""
    text = _INDEX.sub(r'.\1', text.strip())
    if text[:1] in ('[', '(', '{') and text[:2] != '{{':
        return inline(line)
    for word in _WORD.findall(text):
        name = _SUFFIX.sub('', word).strip('.')
        if name.lower() not in _NO_COLLECTIONS and not name.isdigit():
            return name
    return ''


def inline(line: int) -> str:
    """The name of a list that stands in the loop itself."""
    return f'in {line}'


def looped(scope: Scope, name: str, seen_from: Scope) -> list[Value]:
    """The values that a name of a loop of a scope has, one for each item; of a name with dots, the field of it."""
    variable, _, path = name.partition('.')
    found: list[Value] = []
    for loop in _loops_of(scope, variable):
        for number, row in enumerate(_rows(loop.over, seen_from)):
            origin = frozenset(((loop.over, number),))
            found += [
                replace(value, origin=value.origin | origin, file=value.file or row.file)
                for value in _part(row, loop.part, path)
            ]
    return found


def goes_over(scope: Scope, name: str) -> bool:
    """Whether a scope is in a loop that has a name."""
    return any(_loops_of(each, name) for each in scope.around())


def _loops_of(scope: Scope, variable: str) -> Sequence[Over]:
    over = scope.entries.get('for_each')
    if over:  # Terraform, and `for x in xs` of Bicep
        name = scope.entries['for_name'][0].text if 'for_name' in scope.entries else 'each'
        if name == variable:
            here = collection(over[0].text.strip('${}')) if over[0].text[:2] == '${' else 'for_each'
            return [Over(here)]
    if scope.children.get('for_each') and variable == 'each':
        return [Over('for_each')]
    return (scope.loops or {}).get(variable, ())


def _part(row: Row, part: str, path: str) -> Sequence[Value]:
    """What a name stands for in one item: the item, its key, or a place in it."""
    key, item = ([row.key] if row.key and row.key.text else []), row.item
    if isinstance(item, Scope):
        place = item.own(f'{part}.{path}' if path else part) if part.isdigit() else []
        if place:
            return place
        if not path:
            return key if part in ('item', '0') else []
    if part == '0':
        return key
    if path.lower() == 'key':
        return key
    head, _, rest = path.partition('.')
    if head.lower() == 'value':
        path = rest
    if isinstance(item, Scope):
        return item.own(path)
    if part == 'item' and path == '' and head == '' and key:
        return key
    return [item] if not path else []


def _rows(over: str, scope: Scope) -> list[Row]:
    """The items of the list that a name leads to, from the innermost scope that knows it, or else of any."""
    found: list[Row] = []
    for steps in [spelled.split('.') for spelled in spellings(over)] or [[over]]:
        here: Scope | None = scope
        while here is not None and not found:
            holders = [here, *(here.others or ())]
            for step in steps[:-1]:
                holders = [child for each in holders for child in each.children.get(step, ())]
            found = [row for holder in holders for row in _rows_in(holder, steps[-1])]
            here = here.parent
        if found:
            return found[:_MOST_ROWS]
    return _rows_anywhere(over.rpartition('.')[2], scope)


def _rows_anywhere(name: str, scope: Scope) -> list[Row]:
    """The items of a list of this name in any scope of the file; each name is looked for once."""
    around = list(scope.around())
    outermost = around[-1]
    if outermost.rows is None:
        outermost.rows = {}
    if name not in outermost.rows:
        tops = [top for each in around for top in (each, *(each.others or ()))]
        everywhere = (row for top in tops for each in top.below() for row in _rows_in(each, name))
        outermost.rows[name] = [row for row, _ in zip(everywhere, range(_MOST_ROWS), strict=False)]
    return outermost.rows[name]


def _rows_in(holder: Scope, name: str) -> Iterator[Row]:
    structured, file = False, holder.of_file()
    for place in holder.children.get(name, ()):
        for children in place.children.values():
            for child in children:
                structured = True
                yield Row(Value(child.key, child.line), child, file)
        for key, values in place.entries.items():
            for value in values:
                structured = True
                yield Row(Value(key, value.line), value, file)
    for item in (holder.items or {}).get(name, ()):
        structured = True
        yield Row(None, item, file)
    if not structured:
        for value in (*holder.declared.get(name, ()), *holder.entries.get(name, ())):
            for word in value.text.split() if _WORDS.match(value.text) or _ONE_WORD.match(value.text) else ():
                yield Row(None, replace(value, text=word.strip('"\'')), file)


def entries_of(name: str, path: str, scope: Scope) -> list[tuple[str, Value]]:
    """(key, value) of all that stands in the mapping that a name leads to; with a path, that place in each."""
    found = []
    for row in _rows(name, scope):
        if row.key is not None and isinstance(row.item, Value) and not path:
            found.append((row.key.text, replace(row.item, file=row.item.file or row.file)))
        elif row.key is not None and isinstance(row.item, Scope) and path:
            found += [(row.key.text, replace(each, file=each.file or row.file)) for each in row.item.own(path)]
    return found


def spellings(name: str) -> Iterator[str]:
    """`var.tag` is also the default of a variable, and `.Values.image.tag` is `image.tag` in the values."""
    if name.startswith('.') and name[1:2].isalpha():  # of the item that a `range` of a template is at
        yield name
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
    if steps[0] == 'Chart' and len(steps) == 2:  # Helm: of `Chart.yaml`
        yield f'{steps[1][:1].lower()}{steps[1][1:]}'
    while len(steps) > 1 and steps[0].lower() in _PREFIXES:
        steps = steps[1:]
        yield '.'.join(steps)
