"""ACR's own metadata API below `/acr/v1/`: catalog, repositories, manifests, tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .answers import Answer, Call, after_last, json_answer, page
from .failures import RegistryFailure
from .records import FLAGS, INDEX_TYPES, Record, RepositoryState, Tag, parse_document
from .storage import Storage

_IMAGE_CONFIGS = ('application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json')


class Metadata:
    """Handlers over one storage; `cap` is the largest page that the server grants.

    What has `listEnabled` false is not in lists; `counts_hidden` says whether the counts of a repository have it. A
    manifest listing names the first `most_tags` of a manifest alone (Azure/azure-cli#7438).
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.reset()

    def reset(self) -> None:
        self.cap = 1000
        self.most_tags = 10
        self.counts_hidden = True

    def catalog(self, storage: Storage, call: Call) -> Answer:
        names = [name for name in storage.repositories() if storage.state(name).flags['listEnabled']]
        shown, headers = page(call, after_last(call, names, str), str, self.cap)
        return json_answer({'repositories': shown}, **headers)

    def repository(self, storage: Storage, call: Call, repository: str) -> Answer:
        return json_answer(self._repository(repository, storage.state(repository)))

    def change_repository(self, storage: Storage, call: Call, repository: str) -> Answer:
        storage.set_locks(repository, **_flags(call))
        return self.repository(storage, call, repository)

    def delete_repository(self, storage: Storage, call: Call, repository: str) -> Answer:
        manifests, tags = storage.delete_repository(repository)
        return json_answer({'manifestsDeleted': manifests or None, 'tagsDeleted': tags or None}, 202)

    def manifests(self, storage: Storage, call: Call, repository: str) -> Answer:
        state = storage.state(repository)
        tags = _tags_by_digest(state)
        shown, headers = page(call, _listed(call, state, _shown(state.manifests)), lambda item: item[0], self.cap)
        entries = [
            _manifest(storage, state, record, tags.get(digest, [])[: self.most_tags]) for digest, record in shown or []
        ]
        return json_answer({'registry': self.host, 'imageName': repository, 'manifests': entries or None}, **headers)

    def manifest(self, storage: Storage, call: Call, repository: str, reference: str) -> Answer:
        tag = storage.tags(repository).get(reference)
        record = storage.manifest(repository, tag.digest if tag else reference)
        return json_answer(
            {
                'registry': self.host,
                'imageName': repository,
                'manifest': self._with_references(storage, repository, record),
            }
        )

    def change_manifest(self, storage: Storage, call: Call, repository: str, reference: str) -> Answer:
        storage.set_locks(repository, digest=reference, **_flags(call))
        return self.manifest(storage, call, repository, reference)

    def tags(self, storage: Storage, call: Call, repository: str) -> Answer:
        wanted, state = call.query.get('digest'), storage.state(repository)
        tags = {name: tag for name, tag in _shown_tags(state).items() if wanted in (None, tag.digest)}
        shown, headers = page(call, _listed(call, state, tags), lambda item: item[0], self.cap)
        entries = [_tag(name, tag) for name, tag in shown or []] or None
        return json_answer({'registry': self.host, 'imageName': repository, 'tags': entries}, **headers)

    def tag(self, storage: Storage, call: Call, repository: str, tag: str) -> Answer:
        found = storage.tag(repository, tag)
        return json_answer({'registry': self.host, 'imageName': repository, 'tag': _tag(tag, found)})

    def change_tag(self, storage: Storage, call: Call, repository: str, tag: str) -> Answer:
        storage.set_locks(repository, tag=tag, **_flags(call))
        return self.tag(storage, call, repository, tag)

    def delete_tag(self, storage: Storage, call: Call, repository: str, tag: str) -> Answer:
        return Answer(202, b'', {'X-Ms-Int-Docker-Content-Digest': storage.untag(repository, tag)})

    def _repository(self, name: str, state: RepositoryState) -> dict[str, Any]:
        return {
            'registry': self.host,
            'imageName': name,
            'createdTime': state.created,
            'lastUpdateTime': state.updated,
            'manifestCount': len(state.manifests if self.counts_hidden else _shown(state.manifests)),
            'tagCount': len(state.tags if self.counts_hidden else _shown_tags(state)),
            'changeableAttributes': state.flags,
        }

    @staticmethod
    def _with_references(storage: Storage, repository: str, record: Record) -> dict[str, Any]:
        state = storage.state(repository)
        entry = _manifest(storage, state, record, _tags_by_digest(state).get(record.digest))
        if record.media_type in INDEX_TYPES:
            entry['references'] = [
                {'digest': child['digest'], **_platform(child.get('platform'))} for child in record.children
            ]
        return entry


def _flags(call: Call) -> dict[str, bool]:
    return {key: value for key, value in parse_document(call.body).items() if key in FLAGS and isinstance(value, bool)}


def _listed(call: Call, state: RepositoryState, entries: Mapping[str, Any]) -> list[tuple[str, Any]]:
    def updated(name: str) -> str:
        return entries[name].updated if name in entries else state.departed.get(name, '')

    return [(name, entries[name]) for name in after_last(call, entries, updated)]


def _shown(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in entries.items() if entry.flags['listEnabled']}


def _shown_tags(state: RepositoryState) -> dict[str, Tag]:
    """An image in quarantine is listed without its tags."""
    held = {digest for digest, record in state.manifests.items() if record.quarantine not in (None, 'Passed')}
    return {name: tag for name, tag in _shown(state.tags).items() if tag.digest not in held}


def _platform(platform: Any) -> dict[str, str]:
    platform = platform if isinstance(platform, dict) else {}
    return {key: platform[key] for key in ('architecture', 'os') if isinstance(platform.get(key), str)}


def _tags_by_digest(state: RepositoryState) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, tag in sorted(_shown_tags(state).items()):
        found.setdefault(tag.digest, []).append(name)
    return found


def _image_size(state: RepositoryState, record: Record) -> int:
    """The whole image; for an index its children and its own bytes."""
    own = len(record.data)
    if not record.children:
        return sum(record.blobs.values())
    children = (state.manifests.get(child.get('digest')) for child in record.children)
    return own + sum(sum(child.blobs.values()) for child in children if child)


def _manifest(storage: Storage, state: RepositoryState, record: Record, tags: list[str] | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        'digest': record.digest,
        'imageSize': _image_size(state, record),
        'createdTime': record.created,
        'lastUpdateTime': record.updated,
    }
    if record.config_type in _IMAGE_CONFIGS:
        entry.update(_configured_platform(storage, record.document['config'].get('digest')))
    entry['mediaType'] = record.media_type
    if record.config_type:
        entry['configMediaType'] = record.config_type
    if record.document.get('artifactType'):
        entry['artifactType'] = record.document['artifactType']
    if tags:
        entry['tags'] = tags
    entry['changeableAttributes'] = record.flags
    if record.quarantine:
        entry['changeableAttributes'] = {**record.flags, 'quarantineState': record.quarantine}
    return entry


def _configured_platform(storage: Storage, config: Any) -> dict[str, str]:
    """From the config's own bytes; a config of which there are none counts as linux on amd64."""
    try:
        return _platform(parse_document(storage.get_blob(config)))
    except (RegistryFailure, TypeError, AttributeError):
        return {'architecture': 'amd64', 'os': 'linux'}


def _tag(name: str, tag: Tag) -> dict[str, Any]:
    return {
        'name': name,
        'digest': tag.digest,
        'createdTime': tag.created,
        'lastUpdateTime': tag.updated,
        'signed': False,
        'changeableAttributes': tag.flags,
    }
