"""What a manifest says as JSON-ready data, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..model import Blob, Content, Ghost, Locks, NotRead, Unreadable

_LISTS = ('children', 'attestations', 'inlined')
_BLOBS = ('blobs', 'unmeasured')


def unlike(values: Mapping[str, Any], defaults: Mapping[str, Any], *always: str) -> dict[str, Any]:
    """The values that are not the default ones, and those that are `always` given; locks as their flags."""
    return {
        name: list(value.flags) if isinstance(value, Locks) else value
        for name, value in values.items()
        if name in always or value != defaults[name]
    }


def content_as_json(content: Content | Unreadable | Ghost | NotRead) -> dict[str, Any]:
    if isinstance(content, Content):
        return {'kind': 'content', **unlike(content._asdict(), Content(0)._asdict(), 'size')}
    said = {field.name: getattr(content, field.name) for field in fields(content)}
    return {'kind': type(content).__name__, **said}


def content_from_json(document: Mapping[str, Any]) -> Content | Unreadable | Ghost | NotRead:
    said = {name: value for name, value in document.items() if name != 'kind'}
    kinds = {'Unreadable': Unreadable, 'Ghost': Ghost, 'NotRead': NotRead}
    if document['kind'] in kinds:
        return kinds[document['kind']](**said)
    for name in _LISTS:
        said[name] = tuple(said.get(name, ()))
    for name in _BLOBS:
        said[name] = tuple(Blob(*blob) for blob in said.get(name, ()))
    said['annotations'] = tuple((key, value) for key, value in said.get('annotations', ()))
    return Content(**said)
