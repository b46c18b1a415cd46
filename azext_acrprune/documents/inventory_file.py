"""An inventory as a file, to try policies on what a registry had at one time, and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..decide.content_json import content_as_json, content_from_json, unlike
from ..model import Ghost, Inventory, Locks, Manifest, Repository, Tag
from ..prune_error import Kind, PruneError

SCHEMA_VERSION = 1


class NotAnInventory(PruneError):
    """A file that is no inventory."""

    kind = Kind.INVALID
    sentence = 'The file is not an inventory: {message}.'
    advice = "Write one with 'az acr prune plan -r {target} --inventory-out inventory.json'."


def inventory_document(inventory: Inventory, now: int) -> dict[str, Any]:
    """The inventory as JSON-ready data; `now` is the instant of it, in ticks."""
    return {
        'schemaVersion': SCHEMA_VERSION,
        'registry': inventory.registry,
        'at': now,
        'complete': inventory.complete,
        'whole': inventory.whole,
        'stored': inventory.stored,
        'proven': inventory.proven,
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
            bool(document.get('whole', False)),
            stored=None if document.get('stored') is None else int(document['stored']),
            proven=bool(document.get('proven', False)),
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
        'tags': [unlike(tag._asdict(), Tag('', '')._asdict(), 'name', 'digest') for tag in repository.tags.values()],
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
        **unlike(manifest._asdict(), Manifest('', Ghost())._asdict(), 'digest'),
        'content': content_as_json(manifest.content),
    }


def _read_manifest(document: Mapping[str, Any]) -> Manifest:
    found = {**document, 'content': content_from_json(document['content'])}
    found['tags'] = tuple(document.get('tags', ()))
    found['locks'] = Locks.from_flags(document.get('locks', ()))
    return Manifest(**found)
