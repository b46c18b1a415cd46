"""What a scope of a document declares for the scopes around it: values of names, pairs of them, and loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .filling import has_holes
from .loops import collection
from .scopes import Over, Scope, Value

LOOP_KEYS = frozenset(('loop', 'with_items', 'with_dict', 'with_list'))


def pair_of(scope: Scope) -> tuple[str, Value] | None:
    """The name and the value of `{name: image.tag, value: v1}`."""
    entries = scope.entries
    if not 1 < len(entries) < 7:
        return None
    name = entries.get('name') or entries.get('key')
    value = entries.get('value') or entries.get('default')
    if not name or not value:
        return None
    return name[0].text, value[0] if 'value' in entries else replace(value[0], weak=True)


def declare(parent: Scope, scope: Scope) -> None:
    """The values that a scope gives to names, for its parent: as texts, as lists, or as `{default: ...}`."""
    origin = frozenset(((f'{scope.key} {parent.line}', scope.number),)) if scope.listed else frozenset()
    for name, values in scope.entries.items():
        if scope.key == 'config':  # Pulumi: `labs:imageTag`
            name = name.rpartition(':')[2]
            for value in values:
                parent.declare(f'config__{name}', value)
        for value in values:
            parent.declare(name, value.within(origin) if origin else value)
    for name, children in scope.children.items():
        for child in children:
            for key in ('value', 'default', 'defaultValue', 'Default'):
                for value in child.entries.get(key, ()):
                    parent.declare(name, replace(value, weak=key != 'value', origin=origin))


def note_loop(scope: Scope) -> None:
    """Ansible: `loop: "{{ services }}"`, a list right there, or `with_dict`."""
    for key in LOOP_KEYS.intersection([*scope.entries, *(scope.items or ())]):
        texts = [value.text for value in scope.entries.get(key, ()) if has_holes(value.text)]
        for over in [collection(text.strip('{}% ')) for text in texts] or [key]:
            scope.loop('item', Over(over))


def outermost(scope: Scope) -> Scope:
    while scope.parent is not None:
        scope = scope.parent
    return scope


def given_by_environments(scope: Scope) -> Iterator[tuple[str, Value]]:
    """The values that a helmfile gives to names in each of its environments."""
    for environments in scope.children.values():
        for environment in environments:
            for values in (*environment.children.get('values', ()), *(environment.items or {}).get('values', ())):
                for name, given in values.entries.items():
                    yield from ((name, value) for value in given)


def resources(scope: Scope) -> Iterator[tuple[str, int]]:
    """(reference, line) of the images of Concourse's `{type: registry-image, source: {repository: app}}`: with the
    digest under `version`, or `latest` where a task runs in it.
    """
    if not any(value.text in ('registry-image', 'docker-image') for value in scope.entries.get('type', ())):
        return
    digests = [value.text for child in scope.children.get('version', ()) for value in child.entries.get('digest', ())]
    for source in scope.children.get('source', ()):
        if not source.entries.keys() & {'tag', 'digest', 'semver_constraint', 'variant', 'tag_regex'}:
            for value in source.entries.get('repository', ()):
                yield from ((f'{value.text}@{digest}', value.line) for digest in digests)
                if not digests and scope.key == 'image_resource':
                    yield f'{value.text}:latest', value.line
