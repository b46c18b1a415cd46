"""Soft-deleted content below `/acr/v1/_deleted/`, as `az acr manifest list-deleted` and `restore` ask for it."""

from __future__ import annotations

from .answers import Answer, Call, json_answer
from .records import Deleted, parse_document, wire_time
from .storage import Storage


def deleted_catalog(storage: Storage, call: Call) -> Answer:
    storage.purge()
    return json_answer({'repositories': sorted(name for name, gone in storage.deleted.items() if gone) or None})


def deleted_manifests(storage: Storage, call: Call, repository: str) -> Answer:
    return json_answer(
        {
            'imageName': repository,
            'manifests': [
                {
                    'digest': digest,
                    'tags': item.tags,
                    'deletedAt': wire_time(item.seconds),
                    'mediaType': item.record.media_type,
                }
                for digest, item in _gone(storage, repository)
            ]
            or None,
        }
    )


def deleted_tags(storage: Storage, call: Call, repository: str) -> Answer:
    return json_answer(
        {
            'imageName': repository,
            'tags': [
                {'tag': tag, 'digest': digest, 'deletedAt': wire_time(item.seconds)}
                for digest, item in _gone(storage, repository)
                for tag in item.tags
            ]
            or None,
        }
    )


def restore(storage: Storage, call: Call, repository: str, digest: str) -> Answer:
    storage.restore(repository, digest, parse_document(call.body).get('tag'))
    return Answer(201)


def _gone(storage: Storage, repository: str) -> list[tuple[str, Deleted]]:
    """Oldest first: of several deleted under one tag, `az acr manifest restore` takes the last."""
    storage.purge()
    return sorted(storage.deleted.get(repository, {}).items(), key=lambda item: item[1].seconds)
