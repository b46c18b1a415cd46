"""The functions of CloudFormation and its cousins, in YAML (`!Join`) and JSON (`Fn::Join`), as the texts they make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, product

from .expressions import LONGEST_VALUE, MOST_TEXTS, UNKNOWN_VALUE
from .syntax import CLOSE, OPEN_MAPPING, OPEN_SEQUENCE, SCALAR, Event

_NAMES = ('Ref', 'Join', 'Sub', 'FindInMap', 'If', 'Select', 'GetAtt', 'ImportValue', 'Split')
_CALL = re.compile(rf'(?:Fn::|(?=Ref))({"|".join(_NAMES)})\Z')
_USED = re.compile(rf'!(?:{"|".join(_NAMES)})\b|"?Fn::|[{{"\']\s*Ref["\']?\s*:')
_NAME = re.compile(r'\$\{([\w.]{1,100})\}\Z')
_MOST_EVENTS = 500
_LONGEST = 100_000
"""Scripts of machines are put together so; what doubles with each function has to end."""

Node = tuple[str, ...] | list['Node'] | dict[str, 'Node']
"""The texts that something may say, a list, or a mapping."""


def uses_intrinsics(text: str) -> bool:
    return _USED.search(text) is not None


def without_intrinsics(events: Iterator[Event]) -> Iterator[Event]:
    """The same events, with what each function says in its place; several texts are a list of them."""
    waiting: list[Event] = []
    for event in events:
        waiting.append(event)
        while waiting:
            first = waiting.pop(0)
            if not waiting and first.kind == OPEN_MAPPING:
                waiting += islice(events, 1)
            is_call = first.kind == OPEN_MAPPING and waiting and waiting[0].kind == SCALAR
            if is_call and _CALL.match(waiting[0].value) or _is_tagged(first):
                whole = [first, *waiting, *_rest(first, waiting, events)]
                waiting = []
                yield from _said(whole)
            else:
                yield first


def _is_tagged(event: Event) -> bool:
    return bool(event.tag and event.tag[0] == '!' and event.tag[1:] in _NAMES)


def _rest(first: Event, known: list[Event], events: Iterator[Event]) -> Iterator[Event]:
    """The events up to the end of the one that opened."""
    depth = (first.kind != SCALAR) + sum(_depth(event) for event in known)
    while depth > 0:
        event = next(events, None)
        if event is None:
            return
        depth += _depth(event)
        yield event


def _depth(event: Event) -> int:
    return {OPEN_MAPPING: 1, OPEN_SEQUENCE: 1, CLOSE: -1}.get(event.kind, 0)


def _said(events: list[Event]) -> Iterator[Event]:
    first = events[0]
    scalars = [event for event in events if event.kind == SCALAR and '\n' in event.value]
    node = _node(first, iter(events[1:])) if len(events) <= _MOST_EVENTS else ()
    texts = node if isinstance(node, tuple) else ()
    if not texts or UNKNOWN_VALUE in texts:
        yield from events
        return
    if scalars and len(texts) == 1:  # a script
        yield scalars[0]._replace(value=texts[0])
    elif len(texts) == 1:
        yield Event(SCALAR, first.line, texts[0], first.anchor)
    else:
        yield Event(OPEN_SEQUENCE, first.line)
        yield from (Event(SCALAR, first.line, text) for text in texts)
        yield Event(CLOSE, first.line)


def _node(event: Event, events: Iterator[Event]) -> Node:
    """What an event says or opens, with its functions computed."""
    made: Node = (event.value,)
    if event.kind == OPEN_SEQUENCE:
        made = list(_nodes(events))
    elif event.kind == OPEN_MAPPING:
        parts = list(_nodes(events))
        keys = [part[0] if isinstance(part, tuple) and part else '' for part in parts[::2]]
        made = dict(zip(keys, parts[1::2], strict=False))
        call = _CALL.match(keys[0]) if len(keys) == 1 else None
        if call:
            return _called(call[1], made.get(keys[0], ()))
    return _called((event.tag or '')[1:], made) if _is_tagged(event) else made


def _nodes(events: Iterator[Event]) -> Iterator[Node]:
    for event in events:
        if event.kind == CLOSE:
            return
        yield _node(event, events)


def _called(name: str, given: Node) -> tuple[str, ...]:
    arguments: list[Node] = given if isinstance(given, list) else [given]
    first = arguments[0] if arguments else ()
    texts: tuple[str, ...] = ()
    if name == 'Ref':
        texts = tuple(f'${{{text}}}' for text in _texts(given))
    elif name == 'Sub':
        texts = _substituted(_texts(first), arguments[1] if len(arguments) > 1 else {})
    elif name == 'Join' and len(arguments) == 2 and isinstance(arguments[1], list):
        made = product(*[_texts(each) for each in arguments[1]])
        texts = tuple(_texts(first)[0].join(chosen) for chosen in islice(made, MOST_TEXTS))
    elif name == 'FindInMap' and len(arguments) > 2:
        texts = _looked_up(arguments)
    elif name == 'If':
        texts = tuple(text for each in arguments[1:] for text in _texts(each))
    elif name == 'Select' and len(arguments) == 2 and isinstance(arguments[1], list):
        number = _texts(first)[0]
        at = int(number) if number.isdigit() else len(arguments[1])
        texts = _texts(arguments[1][at]) if at < len(arguments[1]) else ()
    return tuple(text[:_LONGEST] for text in texts[:MOST_TEXTS]) or (UNKNOWN_VALUE,)


def _texts(node: Node) -> tuple[str, ...]:
    return node if isinstance(node, tuple) and node else (UNKNOWN_VALUE,)


def _substituted(texts: tuple[str, ...], given: Node) -> tuple[str, ...]:
    for name, node in given.items() if isinstance(given, dict) else ():
        values = [value[:LONGEST_VALUE] for value in _texts(node)]
        made = (text.replace(f'${{{name}}}', value)[:_LONGEST] for text in texts for value in values)
        texts = tuple(islice(made, MOST_TEXTS))
    return texts


def _looked_up(arguments: list[Node]) -> tuple[str, ...]:
    """What stands in a mapping under two keys; under one that is not known, all of them."""
    place, first, second = (_texts(each)[0] for each in arguments[:3])
    name = _NAME.match(first)
    if _NAME.match(second) or '$' in second or '$' in place:
        return ()
    if '$' in first:
        return (f'${{Mappings.{place}[{name[1] if name else "AWS"}].{second}}}',)
    return (f'${{Mappings.{place}.{first}.{second}}}',)
