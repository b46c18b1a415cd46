"""One table for all languages: which name has which values in which scope.

A scope is a mapping of YAML or JSON, a block in braces, a stage of a Dockerfile or a command. A name means what the
innermost scope says of it; where that says several things, all of them count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

DOCUMENTS = '\0documents'
"""The key of the documents of a file in the scope around them; no name leads there."""

MOST_ENTRIES = 1_000
"""Names and values of one scope. Values after these are searched for images, and no name leads to them."""

_MOST_PLACES = 100
_MOST_SCOPES = 2_000

_LISTED = (
    'env',
    'variables',
    'vars',
    'parameters',
    'params',
    'input',
    'inputs',
    'arguments',
    'substitutions',
    'substitute',
)
DECLARING = frozenset(
    (*_LISTED, 'args', 'include', 'elements', 'properties', 'locals', 'matrix', 'environment', 'values', 'config')
    + ('stringparameters', 'environments')
)
"""Keys under which names get values, for whatever stands beside such a key and below that."""

HOISTING = frozenset(
    (
        'arguments',
        'on',
        'workflow_dispatch',
        'workflow_call',
        'postbuild',
        'args',
        'strategy',
        'alias',
        'matrix',
        'parallel',
    )
    + ('include', 'elements', 'list', 'generators', 'inputs')
)
"""Keys whose declarations are for what stands around them."""


@dataclass(frozen=True, slots=True)
class Value:
    """A text and its line. One that is `weak` is a default: what somebody gives from outside counts more.

    `origin` says in which item of which list it stands: `(list, number)`. What stands in several items of one
    list never belongs together. `file` is the other file that it is from.
    """

    text: str
    line: int = 0
    weak: bool = False
    origin: frozenset[tuple[str, int]] = frozenset()
    file: str = ''

    def within(self, origin: frozenset[tuple[str, int]]) -> Value:
        """The same value, as one that stands in the items of more lists."""
        return Value(self.text, self.line, self.weak, self.origin | origin, self.file)

    @property
    def place(self) -> Place:
        return (self.file, self.line) if self.file else self.line


Place = int | tuple[str, int]
"""A line, or a line of another file."""

Entries = dict[str, list[Value]]


@dataclass(frozen=True, slots=True)
class Use:
    """A text that may name images, under its key. It `runs` where a name without a tag means `latest`."""

    key: str
    value: Value
    runs: bool = False


@dataclass(frozen=True, slots=True)
class Over:
    """What a loop goes `over`, and which part of each item its name stands for: `item`, `key`, or a number."""

    over: str
    part: str = 'item'


@dataclass(frozen=True, slots=True)
class Row:
    """An item of a list or a mapping, and its key; `file` is the other file that it is from."""

    key: Value | None
    item: Scope | Value
    file: str = ''


_numbers = count()


@dataclass(eq=False, slots=True)
class Scope:
    """What one mapping, block, stage or command says; `declared` are names that are known in it and below it.

    It is `listed` as an item of a list. `items` are the mappings of its lists, and `loops` says over which of them a
    name goes. `others` are those of other files, which count here; `bases` are
    the values of other files that the documents in it are laid over;
    `rows` are the items that loops were found to go over. `known` has what names turned out to mean, once
    everything is read; `pairs` are names and values that lists give, as `[{name: image.tag, value: v1}]`;
    `merged` is what `<<` takes over; `file` is that of a scope of another file. No two scopes have one `number`: its
    place in memory is given to others when it is gone.
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
    items: dict[str, list[Scope]] | None = None
    loops: dict[str, list[Over]] | None = None
    others: list[Scope] | None = None
    bases: Sequence[Any] = ()
    rows: dict[str, list[Row]] | None = None
    listed: bool = False
    file: str = ''
    known: dict[str, list[Filled]] = field(default_factory=dict)
    number: int = field(default_factory=_numbers.__next__)

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

    def list_item(self, child: Scope, name: str | None = None) -> None:
        """Add a child scope that is an item of a list, for loops: under its key, or another name."""
        if self.items is None:
            self.items = {}
        known = self.items.setdefault(name or child.key, [])
        if len(known) < MOST_ENTRIES:
            known.append(child)

    def below(self, items: bool = False) -> Iterator[Scope]:
        """This scope and those in it, with `items` those of its lists too; not more than two thousand."""
        waiting, seen = [self], 0
        while waiting and seen < _MOST_SCOPES:
            here = waiting.pop()
            seen += 1
            yield here
            listed = (here.items or {}).values() if items else ()
            waiting += [child for children in (*here.children.values(), *listed) for child in children]

    def around(self) -> Iterator[Scope]:
        """This scope and those around it, from the innermost one."""
        here: Scope | None = self
        while here is not None:
            yield here
            here = here.parent

    def of_file(self) -> str:
        """The other file that this scope is from, empty for the one that is read."""
        return next((scope.file for scope in self.around() if scope.file), '')

    def loop(self, name: str, loop: Over) -> None:
        """A name that goes over the items of a list."""
        if self.loops is None:
            self.loops = {}
        known = self.loops.setdefault(name, [])
        if loop not in known and len(known) < _MOST_PLACES:
            known.append(loop)

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
        if not found and '.' in name:
            found = self.inside(name.split('.')) or self._in_nameless(name)
        return [*found, *self._in_others(name)]

    def given(self, name: str) -> list[Value]:
        """The values that are given to a name from outside: as parameters, or by other files."""
        return [*self.declared.get(name, ()), *self._in_others(name)]

    def _in_others(self, name: str) -> list[Value]:
        return [
            replace(value, weak=False, file=value.file or other.file)
            for other in self.others or ()
            for value in other.own(name)
        ]

    def _in_nameless(self, name: str) -> list[Value]:
        """The values in the object that is the whole file, as in Jsonnet."""
        return [value for child in self.children.get('', ())[:_MOST_PLACES] for value in child.inside(name.split('.'))]

    def inside(self, path: list[str]) -> list[Value]:
        scopes: list[Scope] = [self]
        for step in path[:-1]:
            scopes = [child for scope in scopes for child in scope.children.get(step, ())][:_MOST_PLACES]
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
    """A text with the values that are known in their places; the lines and the items of lists that those come from."""

    text: str
    lines: frozenset[Place] = frozenset()
    origin: frozenset[tuple[str, int]] = frozenset()

    def with_(self, other: Filled) -> Filled:
        """This text followed by another."""
        return Filled(self.text + other.text, self.lines | other.lines, self.origin | other.origin)
