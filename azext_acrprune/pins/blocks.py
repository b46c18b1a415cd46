"""Brackets of code: what is read in one while it is open, and what it becomes in the expression around it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from .around import group_and_part
from .assignments import TYPES
from .expressions import UNKNOWN_VALUE, Item
from .scopes import Scope, Value

_MOST_PLACES = 10
_MOST_ITEMS = 100
_LABELLED = frozenset(('variable', 'resource', 'module', 'data', 'locals', 'output', 'task', 'group', 'job', 'target'))
_GIVES = re.compile(
    r'(?i)(?:\A|\.)(?:param|put|set|property|set_?property|system_?property|(?:add|with|set)?_?env\w{0,20})\Z'
)
_PLACE = re.compile(r'\$\{[\w.]{1,200}\}\Z')
_NAME = re.compile(r'[A-Za-z_][\w.-]{0,100}\Z')


@dataclass
class Block:
    """A bracket that is still open: the `key` and the `items` of the expression that is being read in it.

    `closes` is the word that closes it where it is no bracket.
    """

    bracket: str
    scope: Scope
    call: str = ''
    closes: str = ''
    indexes: bool = False
    weak: bool = False
    key: str | None = None
    keyed_by: str = ''
    left: list[str] = field(default_factory=list)
    right: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    arguments: list[Item] = field(default_factory=list)
    argument_lines: list[int] = field(default_factory=list)
    line: int = 0


def with_named(item: Item, block: Block) -> Item:
    """`"{host}/app:{tag}".format(host=HOST, tag="1")`: the values that the call itself gives to the names."""
    if block.call != 'format' or not block.scope.entries:
        return item
    texts = item.texts
    for name, values in block.scope.entries.items():
        texts = tuple(text.replace(f'${{{name}}}', values[0].text) for text in texts)
    return replace(item, texts=texts)


def given_by(block: Block) -> Iterator[tuple[str, str]]:
    """What a call gives to a name: `param("version", "1")`, `System.setProperty("version", "1")`."""
    texts = [argument.texts for argument in block.arguments]
    if _GIVES.search(block.call) and [len(each) for each in texts] == [1, 1] and _NAME.match(texts[0][0]):
        yield texts[0][0], texts[1][0]


def is_indexed(item: Item) -> bool:
    """Whether brackets after an item pick something in it: it is a name, or what was picked in one."""
    return item.kind == 'name' or len(item.texts) == 1 and _PLACE.match(item.texts[0]) is not None


def indexed(name: str, index: Sequence[str]) -> str:
    """`versions["web"]` is the value `versions.web`, and `versions[name]` one of several."""
    if len(index) == 1 and re.fullmatch(r'[\w/.-]+', index[0]):
        return f'${{{name}.{index[0]}}}' if index[0].isidentifier() else f"${{{name}['{index[0]}']}}"
    inside = re.fullmatch(r'\$\{([\w.]+)\}', index[0]) if len(index) == 1 else None
    return f'${{{name}[{inside[1]}]}}' if inside else UNKNOWN_VALUE


def declare_project(root: Scope) -> None:
    """What a build of Gradle says of itself."""
    for name in ('version', 'group'):
        for value in root.entries.get(name, ()):
            root.declare(f'project.{name}', value)
            root.declare(f'rootProject.{name}', value)


def attach_tuples(block: Block) -> None:
    """`[("app", "1"), ("web", "2")]` is a list whose items have places: `0` and `1`."""
    for argument in block.arguments:
        if argument.kind == 'list' and len(argument.arguments) > 1:
            item = Scope(block.scope, '', argument.line)
            for number, texts in enumerate(argument.arguments[:_MOST_PLACES]):
                for text in texts:
                    item.add(str(number), Value(text, argument.line))
            block.scope.attach(item)


def formats_of(name: str, scope: Scope) -> tuple[str, ...]:
    """The texts with places to fill in that a name stands for."""
    values = next(filter(None, (each.own(name) for each in scope.around())), [])
    return tuple(value.text for value in values if '%' in value.text or '{' in value.text)


def filled_names(items: Sequence[Item], scope: Scope) -> list[Item]:
    """`IMAGE % tag` with the text that `IMAGE` is a name of."""
    found = list(items)
    if len(items) > _MOST_ITEMS:
        return found
    for number, (first, second) in enumerate(zip(items, items[1:], strict=False)):
        texts = formats_of(first.value, scope) if first.kind == 'name' and second.value == '%' else ()
        if texts:
            found[number] = Item('text', texts=texts, line=first.line)
    return found


def list_of(block: Block) -> Item:
    return Item('list', arguments=tuple(argument.texts for argument in block.arguments), line=block.line)


def method_of(block: Block, top: Block) -> Item | None:
    """`parse("myreg.azurecr.io/app").withTag("9")` is an image with a tag; other methods leave it what it was."""
    place = len(top.items) - 1
    while place > 2 and top.items[place - 1].kind == 'name' and top.items[place - 2].value == '.':
        place -= 2  # `.await` of Rust
    if place < 1 or top.items[place].value != '.' or top.items[place - 1].kind != 'text':
        return None
    receiver = top.items[place - 1]
    del top.items[place - 1 :]
    given = next((argument.texts for argument in block.arguments if argument.texts), ())
    part = group_and_part(block.call)[1]
    if part == 'tag' and given:
        made = tuple(f'{text}:{tag}' for text in receiver.texts for tag in given)
        return Item('text', texts=made, line=block.line)
    if part == 'registry' and given:
        made = tuple(f'{registry}/{text}' for text in receiver.texts for registry in given)
        return Item('text', texts=made, line=block.line)
    if part == 'image' and given and all(text.endswith(UNKNOWN_VALUE) for text in receiver.texts):
        made = tuple(f'{text.removesuffix(UNKNOWN_VALUE)}{image}' for text in receiver.texts for image in given)
        return Item('text', texts=made, line=block.line)
    if part in ('sha256', 'digest') and given:
        made = tuple(f'{text}@sha256:{sha.removeprefix("sha256:")}' for text in receiver.texts for sha in given)
        return Item('text', texts=made, line=block.line)
    return receiver


def scope_of(parent: Scope, key: str, labels: Sequence[str], line: int) -> Scope:
    """A block with labels (`variable "tag" {`) is a scope in scopes: names lead to it by all of them."""
    steps = [label for label in labels if label][:4] or [key]
    if labels and labels[0] not in _LABELLED and len(steps) > 1:
        steps = [labels[1]] if labels[0] in TYPES else [labels[0]]
    for step in steps[:-1]:
        known = parent.children.get(step)
        middle = known[0] if known else Scope(parent, step, line)
        if not known:
            parent.attach(middle)
        parent = middle
    scope = Scope(parent, steps[-1], line)
    for label in (*labels[1:], key):
        if '/' in label:  # Chef: `docker_image 'myreg.azurecr.io/app' do`
            scope.add('repository', Value(label, line))
    parent.attach(scope)
    return scope
