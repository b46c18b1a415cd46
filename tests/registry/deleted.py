"""Soft-deleted content below `/acr/v1/_deleted/`, as `az acr manifest list-deleted` and `restore` ask for it."""
from __future__ import annotations

from .answers import Answer, Call, json_answer
from .storage import Storage


def deleted_manifests(storage: Storage, call: Call, repository: str) -> Answer:
    gone = storage.deleted.get(repository, {})
    return json_answer({'imageName': repository, 'manifests': [
        {'digest': digest, 'tags': item.tags, 'deletedAt': item.deleted, 'mediaType': item.record.media_type}
        for digest, item in sorted(gone.items())] or None})


def deleted_tags(storage: Storage, call: Call, repository: str) -> Answer:
    gone = storage.deleted.get(repository, {})
    return json_answer({'imageName': repository, 'tags': [
        {'tag': tag, 'digest': digest, 'deletedAt': item.deleted}
        for digest, item in sorted(gone.items()) for tag in item.tags] or None})


def restore(storage: Storage, call: Call, repository: str, digest: str) -> Answer:
    storage.restore(repository, digest, call.json().get('tag'))
    return Answer(201)
