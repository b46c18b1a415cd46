"""An inventory as a file, to try policies on what a registry had at one time, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..decide.content_json import content_as_json, content_from_json, unlike
from ..model import CATALOG_FORBIDDEN, Ghost, Inventory, Locks, Manifest, Repository, Tag
from ..policy.rules import Policy
from ..prune_error import Kind, PruneError

SCHEMA_VERSION = 2


class NotAnInventory(PruneError):
    """A file that is no inventory."""

    kind = Kind.INVALID
    sentence = 'The file is not an inventory: {message}.'
    advice = "Write one with 'az acr prune plan -r {target} --inventory-out inventory.json'."


class InventoryLacks(PruneError):
    """A file that lacks what a policy decides by."""

    kind = Kind.INVALID
    sentence = 'The inventory lacks what the policies decide by: {message}.'


@dataclass(frozen=True)
class Snapshot:
    """A registry as it was `at` an instant, in ticks, all of its repositories selected.

    `labels` says whether those of images were read, and `everything` whether all repositories were.
    """

    inventory: Inventory
    at: int
    labels: bool
    everything: bool

    def refuse_what_it_lacks(self, policies: Iterable[Policy]) -> None:
        """Raise InventoryLacks where a policy asks for what was not read: it would take nothing by that."""
        if not self.everything:
            raise InventoryLacks(
                'not all repositories were read',
                'Write it anew without --time-limit, as somebody who may list all repositories.',
            )
        if not self.labels and any(policy.asks_for_labels for policy in policies):
            raise InventoryLacks(
                'labels were not read',
                "Write it anew with 'az acr prune plan -r {target} --policy FILE --inventory-out inventory.json' and "
                'the policy that asks for labels.',
            )


def inventory_document(inventory: Inventory, now: int, labels: bool) -> dict[str, Any]:
    """The inventory as JSON-ready data; `now` is the instant of it, in ticks.

    All tags of it have to be read; `labels` says whether those of images were read too.
    """
    return {
        'schemaVersion': SCHEMA_VERSION,
        'registry': inventory.registry,
        'at': now,
        'complete': inventory.complete,
        'whole': inventory.whole,
        'stored': inventory.stored,
        'proven': inventory.proven,
        'everything': not inventory.late and CATALOG_FORBIDDEN not in {each.code for each in inventory.warnings},
        'labels': {digest: dict(found) for digest, found in inventory.labels.items()} if labels else None,
        'repositories': [_repository(repository) for repository in inventory.repositories],
    }


def read_inventory(text: str) -> Snapshot:
    """The inventory in a file. Raises NotAnInventory."""
    try:
        document = json.loads(text)
        if document['schemaVersion'] != SCHEMA_VERSION:
            raise NotAnInventory(f'it is not of schema version {SCHEMA_VERSION}')
        labels = document['labels']
        repositories = tuple(map(_read_repository, document['repositories']))
        inventory = Inventory(
            str(document['registry']),
            repositories,
            frozenset(repository.name for repository in repositories),
            bool(document['complete']),
            bool(document.get('whole', False)),
            stored=None if document.get('stored') is None else int(document['stored']),
            proven=bool(document.get('proven', False)),
            labels={str(digest): dict(found) for digest, found in ({} if labels is None else labels).items()},
        )
        return Snapshot(inventory, int(document['at']), labels is not None, bool(document['everything']))
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
