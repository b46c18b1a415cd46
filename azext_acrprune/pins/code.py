"""Code and settings in braces -> scopes: Terraform, Bicep, TypeScript, Python, Go, Groovy, C#, Nix, CUE, Jsonnet, TOML.

Nobody's grammar is followed. What all of them have are blocks in brackets, `key = value` or `key: value`, calls with
arguments, and texts in quotes that are put together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .around import with_version
from .assignments import by_names, command, formats, has_question, key_of, loops, note_setting, opens_type
from .blocks import (
    Block,
    attach_tuples,
    declare_project,
    filled_names,
    formats_of,
    given_by,
    indexed,
    is_indexed,
    list_of,
    method_of,
    scope_of,
    with_named,
)
from .collector import Collector
from .documents import Inside
from .expressions import UNKNOWN_VALUE, Item, called, is_known, joined, text_of, token_pattern
from .filling import may_name_image
from .functions import Call, Function, functions_in, hand_over
from .loops import inline
from .scopes import Scope, Use, Value

_PAIRS = {'(': ')', '[': ']', '{': '}'}
_ASSIGNS = frozenset(('=', ':=', '=>', ':', '?=', '+='))
_GOES_ON = frozenset(('+', '.', '?', ':', '%', '&', '&&', '||', '??', '|', '..', '=', ':=', '=>', ',', '->', '?.', '!'))
_VERSION = re.compile(r'v?\d[\w.+-]{0,127}\Z|latest\Z')
_DECLARATIONS = frozenset(('var', 'param', 'const', 'let', 'import', 'type'))
_DEFINES = frozenset(('def', 'function', 'func', 'fun', 'fn'))
_CLASSES = frozenset(('class', 'define', 'data', 'case', 'record'))
_OPENS = re.compile(r'[ \t]*(?:\|[^|\n]*\|)?[ \t]*\n')
_DEEPEST = 200
_MOST_NAMED = 50


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
    reader.functions = functions_in(text, first_line)
    for match in token_pattern(tuple(comments)).finditer(text):
        reader.take(match)
    return reader.end()


class _CodeReader:
    """Reads code token by token, and hands over scopes."""

    def __init__(self, collector: Collector, inside: Inside, parent: Scope | None, line: int) -> None:
        self._collector = collector
        self._inside = inside
        self._root = Scope(parent)
        self._blocks = [Block('', self._root)]
        self._line = line
        self.functions: dict[str, Function] = {}
        self._calls: list[Call] = []
        self._touches = False
        self._looked_at = 0

    def take(self, match: re.Match[str]) -> None:
        token, line = match.group(), self._line
        self._touches = match.start() > 0 and (match.string[match.start() - 1].isalnum())
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
            if '.' in match['name'] and line != self._looked_at and self._collector.names.has(match['name']):
                self._unquoted(match, line)
        elif match['number']:
            self._finish_before_word()
            self._top.items.append(Item('number', match['number'], line=line))
        elif match['sign'] == '::' and match.string[match.end() : match.end() + 1] in ' \n':  # Jsonnet: a hidden field
            self._sign(':', line)
        elif match['sign']:
            self._sign(match['sign'], line)

    def _unquoted(self, match: re.Match[str], line: int) -> None:
        """The registry is named, and stands in no quotes: look at the line as text."""
        self._looked_at = line
        text = match.string[match.string.rfind('\n', 0, match.start()) + 1 :].partition('\n')[0]
        self._collector.look_at_line(text, line)
        self._collector.mention(text, line)

    def end(self) -> Scope:
        while len(self._blocks) > 1:
            self._close()
        self._finish()
        hand_over(self.functions, self._calls, self._root.parent or self._root)
        declare_project(self._root)
        self._collector.closed(self._root)
        return self._root

    @property
    def _top(self) -> Block:
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
        key = next((block.key for block in reversed(self._blocks[-2:]) if block.key), '')  # also of `key = Some(`
        self._collector.mention(text, line, self._top.scope, key)
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
            goes_on = sign in ('+', '.', '?', '%', '&', '||', '??', '|') or sign == ':' and has_question(top.items)
            if goes_on or sign == '{' and top.key is not None and top.items[-2].texts == (UNKNOWN_VALUE,):  # `new()`
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
        elif sign == ',' and (top.key is not None and opens_type(top.items) or formats(top.items)):
            top.items.append(Item('sign', sign, line=line))
        elif sign in (',', ';'):
            self._several(sign)
        else:
            top.items.append(Item('sign', sign, line=line))

    def _several(self, sign: str) -> None:
        """End an expression; in `a, b = 1, 2` the next one has the next name."""
        top = self._top
        if (
            sign == ','
            and top.key is None
            and top.bracket in ('', '{')
            and [each.kind for each in top.items] == ['name']
        ):
            top.left.append(top.items[0].value)
            return top.items.clear()
        keyed = top.key is not None
        if sign == ';':
            top.left, top.right = [], []
        self._finish()
        if keyed and top.right:
            top.key, top.keyed_by = top.right.pop(0), '='
        return None

    def _assign(self, sign: str) -> bool:
        """Take what stands before `=` or `:` for the key of what follows."""
        top = self._top
        items = [item for item in top.items if item.kind != 'newline']
        if not items or sign == ':' and has_question(items):
            return False
        if top.key is not None and top.keyed_by == ':' and sign == '=' and all(item.kind != 'text' for item in items):
            top.items.clear()
            return True
        if sign == '=>' and top.keyed_by == ':' and '/' in (top.key or ''):  # Puppet: `{ 'a/b': tag => '1' }`
            top.scope.add('repository', Value(top.key or '', top.line))
        for item in items:
            self._use('', item.texts, item.line)
        top.weak = items[0].value == 'param'  # Bicep: what a file of parameters says counts, too
        if top.left and sign in ('=', ':='):
            top.left.append(key_of(items))
            top.key, *top.right = top.left
            top.keyed_by, top.left = '=', []
            top.items.clear()
            return True
        top.key, top.keyed_by = '' if sign == ':' and loops(items, top.scope) else key_of(items), sign
        top.items.clear()
        top.line = items[-1].line
        return True

    def _open(self, bracket: str, line: int, closes: str = '') -> None:
        if len(self._blocks) > _DEEPEST:
            return
        top = self._top
        items = [item for item in top.items if item.kind != 'newline']
        call, labels = '', []
        if bracket == '(' and items and items[-1].kind == 'name' and items[-1].value not in ('in', 'of'):
            call = items.pop().value
            top.items[:] = items
        elif bracket == '{' and top.key is None and items:
            labels = [item.value if item.kind == 'name' else (item.texts or ('',))[0] for item in items]
            top.items.clear()
        is_definition = bool(call and items and items[-1].value in _DEFINES)  # its arguments have defaults
        is_class = bool(call and items and items[0].value in _CLASSES)
        if call in _DECLARATIONS or is_definition or is_class:  # Go: `var ( ... )`
            scope = Scope(top.scope) if is_definition else top.scope
            call = '' if is_class else call
            self._blocks.append(Block('{', scope, '' if is_definition else call, line=line))
            return
        in_loop = bool(items) and items[-1].value in ('in', 'of')
        scope = scope_of(top.scope, top.key or (inline(line) if in_loop else ''), [] if in_loop else labels, line)
        block = Block(bracket, scope, call, closes=closes, line=line)
        block.indexes = bracket == '[' and (self._touches or top.key is not None)
        if (
            call in ('format', 'join')
            and len(items) > 1
            and items[-1].value == '.'
            and items[-2].kind in ('text', 'list')
        ):
            top.items[:] = items[:-2]  # `"{}/{}".format(` and `"/".join(`
            block.arguments.append(items[-2])
            block.argument_lines.append(line)
        name, _, method = call.rpartition('.')
        texts = formats_of(name, top.scope) if method == 'format' else ()
        if texts:
            block.call = 'format'
            block.arguments.append(Item('text', texts=texts, line=line))
            block.argument_lines.append(line)
        self._blocks.append(block)

    def _close(self) -> None:
        self._finish()
        block = self._blocks.pop()
        top = self._top
        if block.bracket == '[' and not (block.indexes and top.items and is_indexed(top.items[-1])):
            self._hand_list_up(block, top)
        attach_tuples(block)
        top.items.append(self._result(block, top))
        if block.scope is not top.scope:
            self._collector.closed(block.scope)

    def _result(self, block: Block, top: Block) -> Item:
        """The item that a closed bracket becomes in the expression around it."""
        for name, text in given_by(block):
            self._root.declare(name, Value(text, block.line))
        if block.bracket == '{':
            named = [(key, tuple(value.text for value in values)) for key, values in block.scope.entries.items()]
            return Item('block', line=block.line, named=tuple(named[:_MOST_NAMED]))
        if block.bracket == '(':
            self._note_call(block)
            image = self._positional(block)
            if image and block.call and not is_known(block.call):
                return Item('text', texts=image, line=block.line)
        if block.bracket == '(' and block.call:
            method = method_of(block, top)
            return method or replace(with_named(called(block.call, block.arguments), block), line=block.line)
        if block.indexes and top.items and is_indexed(top.items[-1]):
            item = top.items.pop()  # `os.environ['TAG']`, `versions["web"]`
            name = item.value or item.texts[0][2:-1]
            index = [text for argument in block.arguments for text in argument.texts]
            return Item('text', texts=(indexed(name, index),), line=block.line)
        if block.bracket == '(' and len(block.arguments) == 1:
            return block.arguments[0]
        return list_of(block)

    def _hand_list_up(self, block: Block, top: Block) -> None:
        """`tags = ["1", "2"]` says two values of `tags`."""
        if top.key is not None:
            for argument, line in zip(block.arguments, block.argument_lines, strict=True):
                for text in argument.texts:
                    top.scope.add(top.key, Value(text, line))
                    note_setting(text, line, top.key, top.scope)

    def _note_call(self, block: Block) -> None:
        name = re.split(r'[.:]', block.call)[-1]
        function = self.functions.get(name)
        if function and block.line not in function.lines:
            texts = [argument.texts for argument in block.arguments]
            self._calls.append((name, texts, block.scope.entries, block.line))

    def _positional(self, block: Block) -> tuple[str, ...]:
        """A repository and its tag, one after the other: `AddContainer("x", "myreg.azurecr.io/app", "3.1")`, or the
        tag under its name: `pull("myreg.azurecr.io/app", tag="3.1")`.
        """
        found: tuple[str, ...] = ()
        for argument in block.arguments[:1]:
            for each in argument.texts if '/' in ''.join(argument.texts) else ():
                for value in block.scope.entries.get('tag', ()):
                    self._use('', (f'{each}:{value.text}',), argument.line)
        for first, second in zip(block.arguments, block.arguments[1:], strict=False):
            if first.kind == second.kind == 'text' and first.texts and second.texts:
                repository, tag = first.texts[0], second.texts[0]
                open_place = '%' in repository or '{' in repository.replace('${', '')
                if '/' in repository and not open_place and _VERSION.match(tag):
                    found = (f'{repository}:{tag}',)
                    self._use('', found, block.line)
        return found

    def _finish(self) -> None:
        """Note the texts of an expression that ends, under its key or as an argument."""
        top = self._top
        items = [item for item in top.items if item.kind != 'newline']
        if len(items) < len(top.items):
            top.left, top.right = [], []
        key, top.key = top.key, None
        texts = [item for item in items if item.kind == 'text']
        line = next((item.line for item in (*texts, *items) if item.line), 0) or top.line or self._line
        top.items = []
        if not items:
            return
        items = filled_names(items, top.scope)
        self._juxtaposed(items, line)
        if key is None:
            key, items = command(items)
        if key is None:
            self._argue(items, line)
        else:
            self._assigned(key, items, line)

    def _juxtaposed(self, items: Sequence[Item], line: int) -> None:
        """Note `image "web"` for a call, where `image` is a function."""
        name = items[0].value if items and items[0].kind == 'name' else ''
        wanted = len(self.functions[name].arguments) if name in self.functions else 0
        if wanted and len(items) == 1 + wanted and all(item.kind in ('text', 'number', 'name') for item in items):
            self._calls.append((name, [joined([item]) for item in items[1:]], {}, line))

    def _argue(self, items: Sequence[Item], line: int) -> None:
        """An expression without a key is an argument, or an item of a list."""
        top = self._top
        top.argument_lines.append(line)
        if len(items) == 3 and items[1].value == 'to':  # Kotlin: `"app" to "1"`
            items = [Item('list', arguments=(items[0].texts, items[2].texts), line=line)]
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
        for text in joined([item for item in by_names(items) if item.kind != 'block']):
            value = Value(text, line, weak=self._top.weak)
            scope.add(key, value)
            if '/' in key and self._collector.is_repository(key):  # `"myreg.azurecr.io/app" = "1.2"`
                scope.uses.append(Use('text', with_version(Value(key, line), text)))
            if may_name_image(text):
                scope.uses.append(Use(key, value))

    def _use(self, key: str, texts: Sequence[str], line: int) -> None:
        for text in texts:
            if may_name_image(text):
                self._top.scope.uses.append(Use(key or 'text', Value(text, line)))
