"""YAML and JSON documents -> scopes with their texts.

Kubernetes and its custom resources, Helm, Kustomize, Compose, pipelines, resource manager templates, SBOM and VEX
documents are all read by the same few rules, for nobody knows all kinds that will come.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable

from .around import with_version
from .collector import Collector
from .filling import may_name_image
from .scopes import Scope, Use, Value
from .shell_commands import runs_image
from .syntax import ALIAS, CLOSE, END_OF_DOCUMENT, FLAT_MAPPING, OPEN_MAPPING, OPEN_SEQUENCE, SCALAR, Event, within

_MOST_ATTACHED = 100_000
"""Mappings of one document that names may lead into. Those of a list are never: a list of pods has millions."""

_SETTINGS = re.compile(r'(?:[\w.-]{1,100}=[^,\s]{1,300}(?:[,\n]\s*|\Z)){2,}\Z')
"""`image.repository=x,image.tag=y`, as pipelines hand it to Helm."""

_SCRIPTS = frozenset(
    ('script', 'before_script', 'after_script', 'commands', 'cmds', 'cmd', 'run', 'steps', 'postCommands')
)
_EXPORTED = re.compile(
    r'(?:\A|&&|;)\s*(?:export\s+)?([A-Za-z_]\w{0,100})=("[^"$`]*"|\'[^\']*\'|[^\s"\'`;&|]+)(?=\s*(?:\Z|&&|;))'
)
"""What the commands of a list give to names for those after them."""

_SHORTEST_PACKED = 40
_PACKED = re.compile(r'(?:COMPOSE\||KUBE\|)?([A-Za-z0-9+/\n]+={0,2})\s*\Z')
_ENVIRONMENT = re.compile(r'([A-Z][A-Z0-9_]*)=(\S*)\Z')
_LONG_TEXT = 2

Inside = Callable[[str, int, Scope], bool]
"""Reads a text with several lines that stands inside of a document; False where it is nothing but lines."""


def read_events(
    events: Iterable[Event],
    collector: Collector,
    inside: Inside,
    parent: Scope | None = None,
    outer: Scope | None = None,
) -> None:
    """Hand all scopes of a stream of documents over. Raises BadSyntax; what came before that is handed over.

    `parent` is the scope that these documents stand in as a text, `outer` that of the files beside them.
    """
    reader = _EventReader(collector, inside, parent, outer)
    try:
        for event in events:
            reader.take(event)
    finally:
        reader.end()


class _Open:
    """A mapping or a sequence that is still open."""

    __slots__ = ('anchor', 'is_mapping', 'key', 'pending', 'scope')

    def __init__(self, scope: Scope, key: str, is_mapping: bool, anchor: str | None) -> None:
        self.scope = scope
        self.key = key
        self.is_mapping = is_mapping
        self.anchor = anchor
        self.pending: str | None = None


class _EventReader:
    """Reads events one by one, and hands over scopes."""

    def __init__(self, collector: Collector, inside: Inside, parent: Scope | None, outer: Scope | None) -> None:
        self._collector = collector
        self._inside = inside
        self._parent = parent
        self._outer = outer or Scope()
        self._start()

    def _start(self) -> None:
        self._root = Scope(self._parent or self._outer)
        self._stack: list[_Open] = []
        self._anchors: dict[str, Scope] = {}
        self._texts: dict[str, str] = {}
        self._attached = 0
        self._named: dict[str, Value] = {}

    def take(self, event: Event) -> None:
        kind = event.kind
        if kind == SCALAR:
            self._scalar(event)
        elif kind == CLOSE:
            self._close()
        elif kind == OPEN_MAPPING:
            self._open_mapping(event)
        elif kind == OPEN_SEQUENCE:
            key = self._key()
            self._stack.append(_Open(self._scope(), key, False, event.anchor))
        elif kind == FLAT_MAPPING:
            key = self._stack[-1].key
            if key in self._named or not self._collector.is_dull(key, event.value):
                for each in within(event):
                    self.take(each)
        elif kind == ALIAS:
            self._alias(event)
        elif kind == END_OF_DOCUMENT:
            self.end()

    def end(self) -> None:
        """Hand over what is still open: the document has ended."""
        while self._stack:
            self._close()
        self._collector.closed(self._root)
        self._start()

    def _scope(self) -> Scope:
        return self._stack[-1].scope if self._stack else self._root

    def _key(self) -> str:
        """The key under which what comes next stands; that of the sequence inside one."""
        top = self._stack[-1] if self._stack else None
        if top is None:
            return ''
        if not top.is_mapping:
            return top.key
        key, top.pending = top.pending, None
        return key or ''

    def _open_mapping(self, event: Event) -> None:
        if not self._stack:
            self._root.line = event.line
            self._stack.append(_Open(self._root, '', True, event.anchor))
            return
        in_mapping = self._stack[-1].is_mapping
        parent, key = self._scope(), self._key()
        scope = Scope(parent, key, event.line, listed=not in_mapping)
        if '/' in key and key in self._named:
            scope.add('repository', self._named[key])
            scope.uses.append(Use('', self._named[key]))
        if in_mapping and self._attached < _MOST_ATTACHED:
            self._attached += 1
            parent.attach(scope)
        elif not in_mapping and self._collector.patient:
            parent.list_item(scope)
        self._stack.append(_Open(scope, key, True, event.anchor))

    def _close(self) -> None:
        top = self._stack.pop()
        if top.is_mapping:
            top.scope.take_over()
            if top.anchor:
                self._anchors[top.anchor] = top.scope
            if top.scope is not self._root:
                self._collector.closed(top.scope)

    def _scalar(self, event: Event) -> None:
        if event.anchor:
            self._texts[event.anchor] = event.value
        top = self._stack[-1] if self._stack else None
        if top and top.is_mapping and top.pending is None:
            top.pending = event.value
            if '/' in event.value and self._collector.is_repository(event.value):
                self._named[event.value] = Value(event.value, event.line)
                self._collector.mention(event.value, event.line, top.scope)
            elif '/' in event.value:
                self._text(event, event.value, '')
            return
        self._value(event, self._key())

    def _value(self, event: Event, key: str) -> None:
        scope = self._scope()
        if '/' in key and key in self._named:
            scope.uses.append(Use('', with_version(self._named[key], event.value)))
        value = Value(event.value, event.line)
        if scope is not self._root or self._stack:
            scope.add(key, value)
        text = event.value
        packed = _PACKED.match(text) if len(text) >= _SHORTEST_PACKED else None
        if packed and self._packed(packed[1], event.line, scope):
            return
        if '=' in text:
            self._assigned(text, event.line, scope, key)
        if may_name_image(text) or '.' in text or ':' in text or text[:1] == '{':
            self._text(event, text, key, value)

    def _assigned(self, text: str, line: int, scope: Scope, key: str) -> None:
        """Note what a command, or Travis' `env: [A=1]`, gives to names."""
        for name, told in _EXPORTED.findall(text) if key in _SCRIPTS else ():
            scope.declare(name, Value(told.strip('"\''), line))
        given = _ENVIRONMENT.match(text) if key in ('env', 'global', 'jobs') else None
        if given:
            (scope.parent or scope).declare(given[1], Value(given[2].strip('"\''), line))

    def _packed(self, text: str, line: int, scope: Scope) -> bool:
        """Read a document that stands there in Base64, if it names the registry."""
        try:
            inside = base64.b64decode(text, validate=False).decode('utf-8')
        except ValueError:
            return False
        return self._collector.names_registry(inside) and self._inside(inside, line, scope)

    def _text(self, event: Event, text: str, key: str, value: Value | None = None) -> None:
        scope = self._scope()
        may_be_document = len(text) > _LONG_TEXT and ('\n' in text or text[0] in '{[' or ' --' in text)
        if may_be_document and self._inside(text, event.line + (1 if event.block else 0), scope):
            return
        if '=' in text and _SETTINGS.match(text):
            self._collector.settings(text, event.line, scope, key)
        if self._collector.is_silent(text):
            return
        if not may_name_image(text):
            self._collector.mention(text, event.line, scope, key)
            return
        for number, line in enumerate(text.split('\n')):
            at = event.line + 1 + number if event.block else event.line
            if may_name_image(line) and not (line is not text and line.lstrip().startswith('#')):
                whole = value if value is not None and line == text and at == event.line else Value(line, at)
                scope.uses.append(Use(key, whole, runs_image(line)))
                self._collector.mention(line, at, scope, key)

    def _alias(self, event: Event) -> None:
        top = self._stack[-1] if self._stack else None
        is_merge = bool(top and not top.is_mapping and top.key == '<<')
        key = self._key()
        if (is_merge or key == '<<') and event.value in self._anchors:
            self._scope().merged.append(self._anchors[event.value])
        elif top and event.value in self._texts:
            self._scope().add(key, Value(self._texts[event.value], event.line))
        elif top and top.is_mapping and event.value in self._anchors:
            self._scope().attach(self._anchors[event.value])
