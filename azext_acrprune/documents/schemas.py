"""JSON schemas of the documents that commands answer with; docs/numbers.md tells their numbers.

Each file has the structure of one document. What a word means stands once, in `words.json`, for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

OF_COMMAND: Mapping[str, tuple[str, ...]] = {
    'plan': ('plan', 'several'),
    **dict.fromkeys(('untagged', 'tags'), ('result', 'plan', 'several')),
    **dict.fromkeys(('image', 'repository', 'apply'), ('result', 'plan')),
    'check': ('check', 'several'),
    'explain': ('explain',),
    'usage': ('usage', 'several'),
    'report': ('report', 'several'),
    **dict.fromkeys(('restore', 'undo'), ('restore',)),
    **dict.fromkeys(('pins list', 'pins remember'), ('pins-list',)),
    'pins lock': ('pins-lock',),
    'archive list': ('archive-list',),
    'archive show': ('archive-show', 'archive-image'),
    'archive verify': ('archive-verify',),
    'archive expire': ('archive-expire',),
    'archive compact': ('archive-compact',),
    'archive repair': ('archive-repair',),
    'history list': ('history-list',),
    'history show': ('history-show', 'history-requests'),
    **dict.fromkeys(('cache show', 'cache clear'), ('cache',)),
    'policy validate': ('policy-validate',),
    'policy explain': ('policy-explain',),
    'policy test': ('policy-test',),
    'policy diff': ('policy-diff',),
    'policy show-example': ('policy-example',),
    **dict.fromkeys(('schedule create', 'schedule update'), ('schedule-create', 'several')),
    'schedule list': ('schedule-list',),
    'schedule show': ('schedule-show',),
    'schedule run': ('schedule-run',),
    'schedule logs': ('schedule-logs',),
    'schedule delete': ('schedule-delete',),
}
"""The documents of each command that has any: the first one is its own, and the others come with some options."""


def names() -> list[str]:
    """Each document that has a schema."""
    return sorted({name for each in OF_COMMAND.values() for name in each})


def named(text: str) -> str:
    """The name of a document, if it is one. Raises ValueError."""
    if text not in names():
        raise ValueError(f"'{text}' is no document; there are {', '.join(names())}")
    return text


def title(name: str) -> str:
    """What a document is, in a sentence."""
    return str(_read(name)['title'])


def schema(name: str) -> dict[str, Any]:
    """The JSON schema of a document, by the draft 2020-12, whole in itself."""
    own, words = _read(name), _read('words')['$defs']
    wanted: set[str] = set()
    left = set(_referred(own))
    while left:
        wanted |= left
        left = {word for each in left for word in _referred(words[each])} - wanted
    return {**own, '$defs': {word: words[word] for word in sorted(wanted)}}


def _referred(part: Any) -> Iterator[str]:
    """The words that a part of a schema refers to."""
    if isinstance(part, dict):
        if isinstance(part.get('$ref'), str):
            yield part['$ref'].rpartition('/')[2]
        for value in part.values():
            yield from _referred(value)
    elif isinstance(part, list):
        for value in part:
            yield from _referred(value)


def _read(name: str) -> dict[str, Any]:
    text = (resources.files(__package__) / 'schema' / f'{name}.json').read_text(encoding='utf-8')
    return json.loads(text)
