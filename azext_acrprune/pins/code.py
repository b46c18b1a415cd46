"""Code and settings in braces -> scopes: Terraform, Bicep, TypeScript, Python, Go, Groovy, C#, Nix, CUE, Jsonnet, TOML.

Nobody's grammar is followed. What all of them have are blocks in brackets, `key = value` or `key: value`, calls with
arguments, and texts in quotes that are put together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .collector import Collector
from .documents import Inside
from .expressions import UNKNOWN_VALUE, Item, called, is_known, joined, text_of, token_pattern
from .filling import may_name_image
from .parts import group_and_part
from .scopes import Scope, Use, Value

_PAIRS = {'(': ')', '[': ']', '{': '}'}
_ASSIGNS = frozenset(('=', ':=', '=>', ':', '?=', '+='))
_GOES_ON = frozenset(('+', '.', '?', ':', '%', '&', '&&', '||', '??', '|', '..', '=', ':=', '=>', ',', '->', '?.', '!'))
_TYPES = frozenset(
    ('string', 'str', 'String', 'object', 'array', 'int', 'bool', 'secureString', 'secureObject', 'any', 'number')
    + ('val', 'var')
)
_LABELLED = frozenset(('variable', 'resource', 'module', 'data', 'locals', 'output', 'task', 'group', 'job', 'target'))
_VERSION = re.compile(r'v?\d[\w.+-]{0,127}\Z|latest\Z')
_DECLARATIONS = frozenset(('var', 'param', 'const', 'let', 'import', 'type'))
_DEFINES = frozenset(('def', 'function', 'func', 'fun', 'fn'))
_OPENS = re.compile(r'[ \t]*(?:\|[^|\n]*\|)?[ \t]*\n')
_SETTING = re.compile(r'(--?[A-Za-z][\w-]*|[A-Za-z_][\w.]*)=(\S+)\Z')
_DEEPEST = 200


@dataclass
class _Block:
    """A bracket that is still open: the `key` and the `items` of the expression that is being read in it.

    `closes` is the word that closes it where it is no bracket.
    """

    bracket: str
    scope: Scope
    call: str = ''
    closes: str = ''
    key: str | None = None
    keyed_by: str = ''
    items: list[Item] = field(default_factory=list)
    arguments: list[Item] = field(default_factory=list)
    argument_lines: list[int] = field(default_factory=list)
    line: int = 0


def read_code(
    text: str,
    collector: Collector,
    inside: Inside,
    comments: Sequence[str],
    parent: Scope | None = None,
    first_line: int = 1,
) -> Scope:
    """Hand all blocks of a text over; `comments` says what begins those of its language. Gives the scope of all."""
    reader = _CodeReader(collector, inside, parent, first_line)
    for match in token_pattern(tuple(comments)).finditer(text):
        reader.take(match)
    return reader.end()


class _CodeReader:
    """Reads code token by token, and hands over scopes."""

    def __init__(self, collector: Collector, inside: Inside, parent: Scope | None, line: int) -> None:
        self._collector = collector
        self._inside = inside
        self._root = Scope(parent)
        self._blocks = [_Block('', self._root)]
        self._line = line

    def take(self, match: re.Match[str]) -> None:
        token, line = match.group(), self._line
        self._line += token.count('\n')
        if match['newline']:
            self._new_line()
        elif match['string'] or match['heredoc']:
            self._string(match, line)
        elif match['name'] == 'do' and _OPENS.match(match.string, match.end()):  # Ruby, Elixir
            self._open('{', line, 'end')
        elif match['name'] == 'end' and self._top.closes == 'end':
            self._close()
        elif match['name']:
            self._finish_before_word()
            self._top.items.append(Item('name', match['name'], line=line))
        elif match['number']:
            self._finish_before_word()
            self._top.items.append(Item('number', match['number'], line=line))
        elif match['sign']:
            self._sign(match['sign'], line)

    def end(self) -> Scope:
        while len(self._blocks) > 1:
            self._close()
        self._finish()
        self._collector.closed(self._root)
        return self._root

    @property
    def _top(self) -> _Block:
        return self._blocks[-1]

    def _string(self, match: re.Match[str], line: int) -> None:
        if self._top.items and self._top.items[-1].kind == 'newline':
            self._finish()
        heredoc = match['heredoc'] is not None
        text = match['body'] if heredoc else text_of(match['prefix'], match['string'])
        start = line + 1 if heredoc else line
        if '\n' in text and self._inside(text, start, self._top.scope):
            text = ''
        elif '\n' in text:
            for number, each in enumerate(text.split('\n')):
                self._use('', (each,), start + number)
            text = ''
        elif text[:1] in ('{', '[') and len(text) > 2 and self._inside(text, line, self._top.scope):
            text = ''
        self._collector.mention(text, line, self._top.scope, self._top.key or '')
        self._top.items.append(Item('text', texts=(text,), line=line))

    def _finish_before_word(self) -> None:
        """A word on a new line, or after a whole value in braces, begins the next expression: `{ a = 1 b = 2 }`."""
        top = self._top
        if not top.items:
            return
        last = top.items[-1].kind
        if last == 'newline' or top.key is not None and last in ('text', 'number') and top.bracket == '{':
            self._finish()

    def _new_line(self) -> None:
        """Mark that the expression may end here; it does not where the next line begins with a sign that goes on."""
        top = self._top
        last = top.items[-1] if top.items else None
        if last is None and top.keyed_by == ':' and top.bracket == '':  # Python: `if x:`
            top.key = None
        if not last or top.bracket == '(' or last.kind == 'newline' or last.kind == 'sign' and last.value in _GOES_ON:
            return
        top.items.append(Item('newline'))

    def _sign(self, sign: str, line: int) -> None:
        top = self._top
        if top.items and top.items[-1].kind == 'newline':
            if sign in ('+', '.', '?', '%', '&', '||', '??', '|') or sign == ':' and _has_question(top.items):
                top.items.pop()
            else:
                self._finish()
        if sign in _PAIRS:
            self._open(sign, line)
        elif sign in (')', ']', '}'):
            if len(self._blocks) > 1:
                self._close()
        elif sign in _ASSIGNS and self._assign(sign):
            return
        elif sign in (',', ';'):
            self._finish()
        else:
            top.items.append(Item('sign', sign, line=line))

    def _assign(self, sign: str) -> bool:
        """Take what stands before `=` or `:` for the key of what follows."""
        top = self._top
        items = [item for item in top.items if item.kind != 'newline']
        if not items or sign == ':' and _has_question(items):
            return False
        if top.key is not None and top.keyed_by == ':' and sign == '=' and all(item.kind != 'text' for item in items):
            top.items.clear()
            return True
        for item in items:
            self._use('', item.texts, item.line)
        top.key, top.keyed_by = '' if sign == ':' and _loops(items, top.scope) else _key(items), sign
        top.items.clear()
        top.line = items[-1].line
        return True

    def _open(self, bracket: str, line: int, closes: str = '') -> None:
        if len(self._blocks) > _DEEPEST:
            return
        top = self._top
        items = [item for item in top.items if item.kind != 'newline']
        call, labels = '', []
        if bracket == '(' and items and items[-1].kind == 'name':
            call = items.pop().value
            top.items[:] = items
        elif bracket == '{' and top.key is None and items:
            labels = [item.value if item.kind == 'name' else (item.texts or ('',))[0] for item in items]
            top.items.clear()
        is_definition = bool(call and items and items[-1].value in _DEFINES)  # its arguments have defaults
        if call in _DECLARATIONS or is_definition:  # Go: `var ( ... )`
            self._blocks.append(_Block('{', top.scope, line=line))
            return
        scope = self._scope_of(top.scope, top.key or '', labels, line)
        block = _Block(bracket, scope, call, closes=closes, line=line)
        if (
            call in ('format', 'join')
            and len(items) > 1
            and items[-1].value == '.'
            and items[-2].kind in ('text', 'list')
        ):
            top.items[:] = items[:-2]  # `"{}/{}".format(` and `"/".join(`
            block.arguments.append(items[-2])
            block.argument_lines.append(line)
        self._blocks.append(block)

    def _scope_of(self, parent: Scope, key: str, labels: Sequence[str], line: int) -> Scope:
        """A block with labels (`variable "tag" {`) is a scope in scopes: names lead to it by all of them."""
        steps = [label for label in labels if label][:4] or [key]
        if labels and labels[0] not in _LABELLED and len(steps) > 1:
            steps = [labels[1]] if labels[0] in _TYPES else [labels[0]]
        for step in steps[:-1]:
            known = parent.children.get(step)
            middle = known[0] if known else Scope(parent, step, line)
            if not known:
                parent.attach(middle)
            parent = middle
        scope = Scope(parent, steps[-1], line)
        parent.attach(scope)
        return scope

    def _close(self) -> None:
        self._finish()
        block = self._blocks.pop()
        top = self._top
        if block.bracket == '[':
            self._hand_list_up(block, top)
        top.items.append(self._result(block, top))
        if block.scope is not top.scope:
            self._collector.closed(block.scope)

    def _result(self, block: _Block, top: _Block) -> Item:
        """The item that a closed bracket becomes in the expression around it."""
        if block.bracket == '{':
            return Item('block', line=block.line)
        if block.bracket == '(':
            self._positional(block)
        if block.bracket == '(' and block.call:
            method = _method(block, top)
            return method or replace(_with_named(called(block.call, block.arguments), block), line=block.line)
        if block.bracket == '[' and top.items and top.items[-1].kind == 'name' and top.key is not None:
            name = top.items.pop().value  # `os.environ['TAG']`, `versions["web"]`
            index = [text for argument in block.arguments for text in argument.texts]
            known = len(index) == 1 and index[0].isidentifier()
            return Item('text', texts=(f'${{{name}.{index[0]}}}' if known else UNKNOWN_VALUE,), line=block.line)
        if block.bracket == '(' and len(block.arguments) == 1:
            return block.arguments[0]
        return _list(block)

    def _hand_list_up(self, block: _Block, top: _Block) -> None:
        """`tags = ["1", "2"]` says two values of `tags`."""
        if top.key is not None:
            for argument, line in zip(block.arguments, block.argument_lines, strict=True):
                for text in argument.texts:
                    top.scope.add(top.key, Value(text, line))
                    self._setting(text, line, top)

    def _setting(self, text: str, line: int, top: _Block) -> None:
        """`set=['image.tag=2']` and `flags=['--version=1']` of a call are settings beside its arguments."""
        match = _SETTING.match(text)
        if match and match[1].startswith('-'):
            top.scope.add(match[1].lstrip('-'), Value(match[2], line))
        elif match:
            top.scope.pairs.setdefault(top.key or '', []).append((match[1], Value(match[2], line)))

    def _positional(self, block: _Block) -> None:
        """A repository and its tag, one after the other: `AddContainer("x", "myreg.azurecr.io/app", "3.1")`, or the
        tag under its name: `pull("myreg.azurecr.io/app", tag="3.1")`.
        """
        for argument in block.arguments[:1]:
            for each in argument.texts if '/' in ''.join(argument.texts) else ():
                for value in block.scope.entries.get('tag', ()):
                    self._use('', (f'{each}:{value.text}',), argument.line)
        for first, second in zip(block.arguments, block.arguments[1:], strict=False):
            if first.kind == second.kind == 'text' and first.texts and second.texts:
                repository, tag = first.texts[0], second.texts[0]
                if '/' in repository and '%' not in repository and '{' not in repository and _VERSION.match(tag):
                    self._use('', (f'{repository}:{tag}',), block.line)

    def _finish(self) -> None:
        """Note the texts of an expression that ends, under its key or as an argument."""
        top = self._top
        items = [item for item in top.items if item.kind != 'newline']
        key, top.key = top.key, None
        line = next((item.line for item in items if item.line), 0) or top.line or self._line
        top.items = []
        if not items:
            return
        if key is None:
            key, items = _command(items)
        if key is None:
            self._argue(items, line)
        else:
            self._assigned(key, items, line)

    def _argue(self, items: Sequence[Item], line: int) -> None:
        """An expression without a key is an argument, or an item of a list."""
        top = self._top
        top.argument_lines.append(line)
        if len(items) == 1 and items[0].kind == 'list':
            top.arguments.append(items[0])
            return
        texts = joined([item for item in items if item.kind != 'block'])
        top.arguments.append(Item('text', texts=texts, line=line))
        if any(is_known(block.call) for block in self._blocks[-2:]):
            return
        for text in texts:
            if text.startswith('oci://') and top.bracket == '(':
                top.scope.add('chart', Value(text, line))
        if top.bracket == '(' and top.call:
            self._use('argument', texts, line)
        else:
            self._use(top.scope.key if top.bracket == '[' else '', texts, line)

    def _assigned(self, key: str, items: Sequence[Item], line: int) -> None:
        scope = self._top.scope
        for item in items:
            for text in (text for texts in item.arguments for text in texts):
                scope.add(key, Value(text, line))
        for text in joined([item for item in items if item.kind != 'block']):
            value = Value(text, line)
            scope.add(key, value)
            if may_name_image(text):
                scope.uses.append(Use(key, value))

    def _use(self, key: str, texts: Sequence[str], line: int) -> None:
        for text in texts:
            if may_name_image(text):
                self._top.scope.uses.append(Use(key or 'text', Value(text, line)))


def _has_question(items: Sequence[Item]) -> bool:
    return any(item.kind == 'sign' and item.value == '?' for item in items)


def _with_named(item: Item, block: _Block) -> Item:
    """`"{host}/app:{tag}".format(host=HOST, tag="1")`: the values that the call itself gives to the names."""
    if block.call != 'format' or not block.scope.entries:
        return item
    texts = item.texts
    for name, values in block.scope.entries.items():
        texts = tuple(text.replace(f'${{{name}}}', values[0].text) for text in texts)
    return replace(item, texts=texts)


def _loops(items: Sequence[Item], scope: Scope) -> bool:
    """Note `for x in xs:` of Bicep in the scope of its brackets."""
    words = [item.value for item in items]
    if len(words) != 4 or words[0] != 'for' or words[2] != 'in':
        return False
    scope.add('for_name', Value(words[1], items[0].line))
    scope.add('for_each', Value(f'${{{words[3]}}}', items[0].line))
    return True


def _list(block: _Block) -> Item:
    return Item('list', arguments=tuple(argument.texts for argument in block.arguments), line=block.line)


def _key(items: Sequence[Item]) -> str:
    """The name before `=`: not its type, and not what only describes it."""
    names = [item for item in items if item.kind in ('name', 'text')]
    if not names:
        return ''
    last = names[-1]
    if last.kind == 'text':
        first = names[0]
        if first.kind == 'name' and len(names) > 2:  # Bicep: resource acr 'Microsoft...' existing =
            return names[1].value or ''
        return (last.texts or ('',))[0]
    words = [item.value for item in names if item.kind == 'name' and item.value not in _TYPES]
    if words and words[-1] == 'existing' and len(words) > 1:
        return words[1]
    return words[-1].lstrip('$') if words else ''


def _command(items: Sequence[Item]) -> tuple[str | None, list[Item]]:
    """`image 'x'` without a sign between them is a key and its value, in Groovy and Gradle."""
    is_word = len(items) > 1 and items[0].kind == 'name' and '.' not in items[0].value
    if is_word and items[1].kind in ('text', 'list'):
        return items[0].value, list(items[1:])
    return None, list(items)


def _method(block: _Block, top: _Block) -> Item | None:
    """`parse("myreg.azurecr.io/app").withTag("9")` is an image with a tag; other methods leave it what it was."""
    if len(top.items) < 2 or top.items[-1].value != '.' or top.items[-2].kind != 'text':
        return None
    receiver = top.items[-2]
    del top.items[-2:]
    tags = [argument for argument in block.arguments if argument.texts]
    if group_and_part(block.call)[1] == 'tag' and tags:
        made = tuple(f'{text}:{tag}' for text in receiver.texts for tag in tags[0].texts)
        return Item('text', texts=made, line=block.line)
    return receiver
