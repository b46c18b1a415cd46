"""The OCI distribution API below `/v2/`: manifests, referrers, tags; blobs with chunked upload and mount."""

from __future__ import annotations

import uuid
from typing import Any

from .answers import Answer, Call, after_last, json_answer, page
from .builder import DOCKER_IMAGE, DOCKER_LIST, OCI_IMAGE, OCI_INDEX
from .failures import RegistryFailure, blob_unknown
from .records import SCHEMA_1_TYPES, Record, blobs_of, digest_of, manifest_digest, parse_document
from .storage import Storage

SIGNATURE = 'a-signature-that-opens-one-blob'
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_NEGOTIATED = (OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST, *SCHEMA_1_TYPES)


class Distribution:
    """Handlers over one storage; uploads in progress live here.

    With `blobs_at`, another host with its port, blobs are pulled from there, by an address with a secret in it, as
    the service does it; and as there, a request that brings a token along is refused.
    """

    def __init__(self) -> None:
        self.blobs_at: str | None = None
        self._uploads: dict[str, bytearray] = {}

    def get_manifest(self, storage: Storage, call: Call, repository: str, reference: str) -> Answer:
        record = storage.resolve(repository, reference)
        if not _accepted(record.media_type, ', '.join(call.headers.getall('Accept', ['*/*']))):
            raise RegistryFailure(404, 'MANIFEST_UNKNOWN', f'Accept header does not support {record.media_type}')
        headers = {
            'Content-Type': record.media_type,
            'Docker-Content-Digest': record.digest,
            'ETag': f'"{record.digest}"',
        }
        return Answer(200, record.data, headers)

    def put_manifest(self, storage: Storage, call: Call, repository: str, reference: str) -> Answer:
        if len(call.body) > MAX_MANIFEST_BYTES:
            raise RegistryFailure(413, 'MANIFEST_INVALID', 'manifest is larger than 4 MiB')
        document = parse_document(call.body)
        if not document:
            raise RegistryFailure(400, 'MANIFEST_INVALID', 'manifest invalid')
        tag = None if reference.startswith('sha256:') else reference
        if tag is None and manifest_digest(call.body) != reference:
            raise RegistryFailure(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
        for blob in blobs_of(document):
            if storage.has_blob(blob) and not storage.has_blob_in(repository, blob):
                raise RegistryFailure(400, 'MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry', {'digest': blob})
        media_type = call.headers.get('Content-Type') or document.get('mediaType') or OCI_IMAGE
        digest = storage.put_manifest(repository, call.body, media_type, tag)
        headers = {'Docker-Content-Digest': digest, 'Location': f'/v2/{repository}/manifests/{digest}'}
        subject = storage.manifest(repository, digest).subject
        if subject:
            headers['OCI-Subject'] = subject
        return Answer(201, b'', headers)

    def delete_manifest(self, storage: Storage, call: Call, repository: str, reference: str) -> Answer:
        tag = storage.tags(repository).get(reference)
        storage.delete_manifest(repository, tag.digest if tag else reference)
        return Answer(202)

    def referrers(self, storage: Storage, call: Call, repository: str, digest: str) -> Answer:
        wanted = call.query.get('artifactType')
        found = [
            _referrer(record)
            for record in storage.manifests(repository).values()
            if record.subject == digest and not record.ghost
        ]
        answer = json_answer(
            {
                'schemaVersion': 2,
                'mediaType': OCI_INDEX,
                'manifests': [entry for entry in found if wanted in (None, entry['artifactType'])],
            }
        )
        answer.headers['Content-Type'] = OCI_INDEX
        if wanted:
            answer.headers['OCI-Filters-Applied'] = 'artifactType'
        return answer

    def tags_list(self, storage: Storage, call: Call, repository: str) -> Answer:
        tags = storage.state(repository).tags
        names = after_last(call, [name for name, tag in tags.items() if tag.flags['listEnabled']], str)
        shown, headers = page(call, names, str, 1000) if 'n' in call.query else (names or None, {})
        return json_answer({'name': repository, 'tags': shown}, **headers)

    def head_blob(self, storage: Storage, call: Call, repository: str, digest: str) -> Answer:
        if not storage.has_blob_in(repository, digest):
            raise blob_unknown(digest)
        return Answer(
            200,
            b'',
            {
                'Content-Length': str(storage.blob_size(digest)),
                'Docker-Content-Digest': digest,
                'Content-Type': 'application/octet-stream',
            },
        )

    def get_blob(self, storage: Storage, call: Call, repository: str, digest: str) -> Answer:
        headers = self.head_blob(storage, call, repository, digest).headers
        if self.blobs_at:
            return Answer(307, b'', {'Location': f'https://{self.blobs_at}/storage/{digest}?sig={SIGNATURE}'})
        return Answer(200, storage.get_blob(digest), headers)

    def stored_blob(self, storage: Storage, call: Call, digest: str) -> Answer:
        if 'Authorization' in call.headers or call.query.get('sig') != SIGNATURE:
            return Answer(403 if 'sig' not in call.query else 400, b'')
        return Answer(200, storage.get_blob(digest))

    def start_upload(self, storage: Storage, call: Call, repository: str) -> Answer:
        """Begin an upload; done at once with `?digest=` and a body, or by mounting a blob of another repository."""
        mounted = call.query.get('mount')
        if mounted and storage.has_blob_in(call.query.get('from', ''), mounted):
            storage.link_blob(repository, mounted)
            return _created(repository, mounted)
        if call.query.get('digest'):
            return self._finish(storage, repository, call.body, call.query['digest'])
        upload = str(uuid.uuid4())
        self._uploads[upload] = bytearray()
        return self._progress(repository, upload)

    def patch_upload(self, storage: Storage, call: Call, repository: str, upload: str) -> Answer:
        self._upload(upload).extend(call.body)
        return self._progress(repository, upload)

    def upload_status(self, storage: Storage, call: Call, repository: str, upload: str) -> Answer:
        answer = self._progress(repository, upload)
        answer.status = 204
        return answer

    def put_upload(self, storage: Storage, call: Call, repository: str, upload: str) -> Answer:
        data = bytes(self._upload(upload)) + call.body
        answer = self._finish(storage, repository, data, call.query.get('digest', ''))
        del self._uploads[upload]
        return answer

    def _upload(self, upload: str) -> bytearray:
        if upload not in self._uploads:
            raise RegistryFailure(404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry')
        return self._uploads[upload]

    def _progress(self, repository: str, upload: str) -> Answer:
        size = len(self._upload(upload))
        return Answer(
            202,
            b'',
            {
                'Location': f'/v2/{repository}/blobs/uploads/{upload}',
                'Docker-Upload-Uuid': upload,
                'Range': f'0-{max(0, size - 1)}',
            },
        )

    @staticmethod
    def _finish(storage: Storage, repository: str, data: bytes, digest: str) -> Answer:
        if digest_of(data) != digest:
            raise RegistryFailure(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
        storage.link_blob(repository, storage.put_blob(data))
        return _created(repository, digest)


def _accepted(media_type: str, accept: str) -> bool:
    """A manifest of a well-known type is only served to who asks for that type."""
    if media_type in SCHEMA_1_TYPES:  # as the service answers for these, whatever else is accepted
        return any(each in accept for each in SCHEMA_1_TYPES)
    return media_type not in _NEGOTIATED or '*/*' in accept or media_type in accept


def _referrer(record: Record) -> dict[str, Any]:
    """Where there is no artifactType the config's media type stands for it (OCI image-spec 1.1)."""
    annotations = record.document.get('annotations')
    return {
        'mediaType': record.media_type,
        'digest': record.digest,
        'size': len(record.data),
        'artifactType': record.document.get('artifactType') or record.config_type,
        **({'annotations': annotations} if annotations else {}),
    }


def _created(repository: str, digest: str) -> Answer:
    return Answer(201, b'', {'Location': f'/v2/{repository}/blobs/{digest}', 'Docker-Content-Digest': digest})
