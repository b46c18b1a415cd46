"""An inventory as a file, to try policies on what a registry had at one time, and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..model import Blob, Content, Ghost, Inventory, Locks, Manifest, NotRead, Repository, Tag, Unreadable
from ..prune_error import Kind, PruneError

SCHEMA_VERSION = 1
_LISTS = ('children', 'attestations', 'inlined')
_BLOBS = ('blobs', 'unmeasured')


class NotAnInventory(PruneError):
    """A file that is no inventory."""

    kind = Kind.INVALID
    sentence = 'The file is not an inventory: {message}.'
    advice = "Write one with 'az acr prune plan --inventory-out'."


def inventory_document(inventory: Inventory, now: int) -> dict[str, Any]:
    """The inventory as JSON-ready data; `now` is the instant of it, in ticks."""
    return {
        'schemaVersion': SCHEMA_VERSION,
        'registry': inventory.registry,
        'at': now,
        'complete': inventory.complete,
        'labels': {digest: dict(labels) for digest, labels in inventory.labels.items()},
        'repositories': [_repository(repository) for repository in inventory.repositories],
    }


def read_inventory(text: str) -> tuple[Inventory, int]:
    """The inventory in a file, all repositories selected, and its instant in ticks. Raises NotAnInventory."""
    try:
        document = json.loads(text)
        if document['schemaVersion'] != SCHEMA_VERSION:
            raise NotAnInventory(f'it is not of schema version {SCHEMA_VERSION}')
        repositories = tuple(map(_read_repository, document['repositories']))
        inventory = Inventory(
            str(document['registry']),
            repositories,
            frozenset(repository.name for repository in repositories),
            bool(document['complete']),
            labels={str(digest): dict(labels) for digest, labels in document['labels'].items()},
        )
        return inventory, int(document['at'])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotAnInventory('it does not have the form of one') from error


def _repository(repository: Repository) -> dict[str, Any]:
    return {
        'name': repository.name,
        'locks': list(repository.locks.flags),
        'unseen': repository.unseen,
        'hidden': sorted(repository.hidden),
        'manifests': [_manifest(manifest) for manifest in repository.manifests.values()],
        'tags': [_given(tag._asdict(), Tag('', '')._asdict(), 'name', 'digest') for tag in repository.tags.values()],
    }


def _read_repository(document: Mapping[str, Any]) -> Repository:
    manifests = [_read_manifest(manifest) for manifest in document['manifests']]
    tags = [Tag(**{**tag, 'locks': Locks.from_flags(tag.get('locks', ()))}) for tag in document['tags']]
    return Repository(
        str(document['name']),
        {manifest.digest: manifest for manifest in manifests},
        Locks.from_flags(document['locks']),
        {tag.name: tag for tag in tags},
        document['unseen'],
        frozenset(document['hidden']),
    )


def _manifest(manifest: Manifest) -> dict[str, Any]:
    return {
        **_given(manifest._asdict(), Manifest('', Ghost())._asdict(), 'digest'),
        'content': _content(manifest.content),
    }


def _read_manifest(document: Mapping[str, Any]) -> Manifest:
    found = {**document, 'content': _read_content(document['content'])}
    found['tags'] = tuple(document.get('tags', ()))
    found['locks'] = Locks.from_flags(document.get('locks', ()))
    return Manifest(**found)


def _given(values: Mapping[str, Any], defaults: Mapping[str, Any], *always: str) -> dict[str, Any]:
    """What is not as ever, and what is `always` said; locks as their flags."""
    return {
        name: list(value.flags) if isinstance(value, Locks) else value
        for name, value in values.items()
        if name in always or value != defaults[name]
    }


def _content(content: Content | Unreadable | Ghost | NotRead) -> dict[str, Any]:
    if isinstance(content, Content):
        return {'kind': 'content', **_given(content._asdict(), Content(0)._asdict(), 'size')}
    said = {field.name: getattr(content, field.name) for field in fields(content)}
    return {'kind': type(content).__name__, **said}


def _read_content(document: Mapping[str, Any]) -> Content | Unreadable | Ghost | NotRead:
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
