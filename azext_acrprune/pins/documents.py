"""YAML and JSON documents -> references: in any text of them, and in images whose parts stand under keys of their own.

Kubernetes and its custom resources, Helm, Kustomize, Compose, pipelines, resource manager templates, SBOM and VEX
documents are all read by the same few rules, for nobody knows all kinds that will come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .parts import hostless_image, image_in_parts
from .pinned import Found, found_in, merged
from .references import Finding, Reference, RegistryNames, find_references, split_repository
from .syntax import ALIAS, CLOSE, END_OF_DOCUMENT, OPEN_MAPPING, OPEN_SEQUENCE, SCALAR, BadSyntax, Event
from .templates import arm_text, arm_values, filled_in

_MOST_ENTRIES = 1_000
"""Of one mapping; those of merged ones are taken with it, and may be merged again."""

_PROMOTED = ('ref', 'digest')
"""Children whose parts belong to their parent: those of Flux and of SLSA."""

Entries = dict[str, tuple[str, int]]


@dataclass
class _Frame:
    """A mapping or a sequence that is still open."""

    key: str
    is_mapping: bool
    anchor: str | None = None
    pending: str | None = None
    entries: Entries = field(default_factory=dict)
    merged: Entries = field(default_factory=dict)
    bare: dict[tuple[str, int], list[Finding]] = field(default_factory=dict)


def found_in_document(events: Iterable[Event], source: str, names: RegistryNames) -> tuple[Found, BadSyntax | None]:
    """What a stream of documents pins, and what was wrong with it, if anything; what came before that is there."""
    reader = _Reader(source, names)
    wrong = None
    try:
        for event in events:
            reader.take(event)
    except BadSyntax as error:
        wrong = error
    reader.end()
    return merged(reader.found), wrong


class _Reader:
    """Takes one event after the other. Texts that are filled in wait for the end of the document, for its values."""

    def __init__(self, source: str, names: RegistryNames) -> None:
        self.found: list[Found] = []
        self._source = source
        self._names = names
        self._stack: list[_Frame] = []
        self._start()

    def _start(self) -> None:
        self._anchors: dict[str, Entries] = {}
        self._texts: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._waiting: list[tuple[str, int, bool]] = []
        self._hostless: list[tuple[Finding, int]] = []
        self._names_registry = False

    def take(self, event: Event) -> None:
        if event.kind == SCALAR:
            self._scalar(event)
        elif event.kind == ALIAS:
            self._alias(event)
        elif event.kind in (OPEN_MAPPING, OPEN_SEQUENCE):
            self._stack.append(_Frame(self._key(), event.kind == OPEN_MAPPING, event.anchor))
        elif event.kind == CLOSE:
            self._close()
        elif event.kind == END_OF_DOCUMENT:
            self.end()

    def end(self) -> None:
        """Look at what had to wait for the values, and forget the document."""
        values = arm_values(self._values)
        for text, line, certain in self._waiting:
            self._look(arm_text(text, values) if text.startswith('[') else filled_in(text, values), line, certain)
        if self._names_registry:
            for finding, line in self._hostless:
                self._add([finding], line)
        self._start()

    def _key(self) -> str:
        """The key under which what comes next stands; that of the sequence inside one."""
        top = self._stack[-1] if self._stack else None
        if top is None:
            return ''
        if not top.is_mapping:
            return top.key
        key, top.pending = top.pending, None
        return key or ''

    def _scalar(self, event: Event) -> None:
        if event.anchor:
            self._texts[event.anchor] = event.value
        top = self._stack[-1] if self._stack else None
        if top and top.is_mapping and top.pending is None:
            top.pending = event.value
            self._text(event, '')
            return
        key = self._key()
        if top and top.is_mapping and len(top.entries) < _MOST_ENTRIES:
            top.entries[key] = (event.value, event.line)
        self._note(key, event.value)
        self._text(event, key if top and top.is_mapping else None)

    def _alias(self, event: Event) -> None:
        key = self._key()
        top = self._stack[-1] if self._stack else None
        owner = top
        if top and not top.is_mapping and key == '<<' and len(self._stack) > 1:
            owner = self._stack[-2]
        if owner and owner.is_mapping and key == '<<':
            owner.merged = {**self._anchors.get(event.value, {}), **owner.merged}
        elif top and top.is_mapping and event.value in self._texts and len(top.entries) < _MOST_ENTRIES:
            top.entries[key] = (self._texts[event.value], event.line)

    def _close(self) -> None:
        frame = self._stack.pop()
        if not frame.is_mapping:
            return
        entries = {**frame.merged, **frame.entries}
        if frame.anchor:
            self._anchors[frame.anchor] = dict(list(entries.items())[:_MOST_ENTRIES])
        parent = self._stack[-1] if self._stack else None
        if parent and parent.is_mapping and frame.key.lower() in _PROMOTED:
            _promote(parent, frame.key.lower(), entries)
        self._set_value(frame.key, entries)
        for finding, repository in image_in_parts(entries, self._names):
            self._add([finding], repository[1])
            frame.bare.pop(repository, None)
        for (_, line), findings in frame.bare.items():
            self._add(findings, line)
        self._hostless.extend(hostless_image(entries, self._names))

    def _note(self, key: str, value: str) -> None:
        """Keep what may be filled in elsewhere, and whether some setting names this registry for others."""
        stack = self._stack
        if key == 'defaultValue' and len(stack) > 1 and stack[-2].key == 'parameters':
            self._values[stack[-1].key] = value
        elif stack and stack[-1].is_mapping and stack[-1].key in ('variables', 'env', 'parameters'):
            self._values[key] = value
            self._values[f'{stack[-1].key}.{key}'] = value
        if '/' not in value and '.' in value and self._names.has(value):
            self._names_registry = True

    def _set_value(self, key: str, entries: Mapping[str, tuple[str, int]]) -> None:
        """An item of a list of variables."""
        if key in ('variables', 'env') and 'name' in entries and 'value' in entries:
            self._values[entries['name'][0]] = entries['value'][0]

    def _text(self, event: Event, key: str | None) -> None:
        """Look for references in a text; None is an item of a list, and an empty key is a key itself."""
        if '/' not in event.value and 'pkg:' not in event.value:
            return
        certain = key is None or key.lower().endswith(('image', 'imageid', 'container', 'uses', 'from'))
        for number, text in enumerate(event.value.split('\n')):
            line = event.line + 1 + number if event.block else event.line
            if '$' in text or text.startswith('['):
                self._waiting.append((text, line, certain))
            else:
                self._look(text, line, certain)

    def _look(self, text: str, line: int, certain: bool) -> None:
        findings = find_references(text, self._names)
        if not findings or not split_repository(text, self._names):
            self._add(findings, line)
            return
        if not certain:
            findings = [
                replace(finding, certain=False) if isinstance(finding, Reference) else finding for finding in findings
            ]
        if self._stack and self._stack[-1].is_mapping:  # its tag may stand under a key of its own
            self._stack[-1].bare.setdefault((text, line), findings)
        else:
            self._add(findings, line)

    def _add(self, findings: Iterable[Finding], line: int) -> None:
        found = found_in(findings, self._source, line)
        if found.pins or found.problems:
            self.found.append(found)


def _promote(parent: _Frame, key: str, entries: Entries) -> None:
    for name in ('tag', 'semver', 'digest', 'sha256'):
        if name in entries and (key == 'ref' or name == 'sha256'):
            parent.entries.setdefault(name, entries[name])
