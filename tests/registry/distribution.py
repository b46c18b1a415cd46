"""The OCI distribution API below `/v2/`: manifests, referrers, tags; blobs with chunked upload and mount."""
from __future__ import annotations

import uuid
from typing import Dict

from .answers import Answer, Call, json_answer
from .failures import RegistryFailure
from .storage import Storage, digest_of

MAX_MANIFEST_BYTES = 4 * 1024 * 1024


class Distribution:
    """Handlers over one storage; uploads in progress live here."""

    def __init__(self) -> None:
        self._uploads: Dict[str, bytearray] = {}

    def get_manifest(self, storage: Storage, call: Call, repository: str, reference: str) -> Answer:
        record = storage.resolve(repository, reference)
        headers = {'Content-Type': record.media_type, 'Docker-Content-Digest': record.digest,
                   'ETag': f'"{record.digest}"'}
        return Answer(200, record.data, headers)

    def put_manifest(self, storage: Storage, call: Call, repository: str, reference: str) -> Answer:
        if len(call.body) > MAX_MANIFEST_BYTES:
            raise RegistryFailure(413, 'MANIFEST_INVALID', 'manifest is larger than 4 MiB')
        tag = None if reference.startswith('sha256:') else reference
        if tag is None and digest_of(call.body) != reference:
            raise RegistryFailure(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
        media_type = call.headers.get('Content-Type', 'application/vnd.oci.image.manifest.v1+json')
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
        found = [{'mediaType': record.media_type, 'digest': record.digest, 'size': len(record.data),
                  'artifactType': record.document.get('artifactType')}
                 for record in storage.manifests(repository).values() if record.subject == digest]
        answer = json_answer({'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.index.v1+json',
                              'manifests': found})
        answer.headers['Content-Type'] = 'application/vnd.oci.image.index.v1+json'
        return answer

    def tags_list(self, storage: Storage, call: Call, repository: str) -> Answer:
        return json_answer({'name': repository, 'tags': sorted(storage.state(repository).tags) or None})

    def head_blob(self, storage: Storage, call: Call, repository: str, digest: str) -> Answer:
        if not storage.has_blob(digest):
            raise RegistryFailure(404, 'BLOB_UNKNOWN', 'blob unknown to registry', {'digest': digest})
        return Answer(200, b'', {'Content-Length': str(storage.blob_size(digest)), 'Docker-Content-Digest': digest,
                                 'Content-Type': 'application/octet-stream'})

    def get_blob(self, storage: Storage, call: Call, repository: str, digest: str) -> Answer:
        headers = self.head_blob(storage, call, repository, digest).headers
        return Answer(200, storage.get_blob(digest), headers)

    def start_upload(self, storage: Storage, call: Call, repository: str) -> Answer:
        """Begin an upload; done at once with `?digest=` and a body, or by mounting a blob of another repository."""
        mounted = call.query.get('mount')
        if mounted and storage.has_blob(mounted):
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
        return Answer(202, b'', {'Location': f'/v2/{repository}/blobs/uploads/{upload}', 'Docker-Upload-Uuid': upload,
                                 'Range': f'0-{max(0, size - 1)}'})

    @staticmethod
    def _finish(storage: Storage, repository: str, data: bytes, digest: str) -> Answer:
        if digest_of(data) != digest:
            raise RegistryFailure(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
        storage.put_blob(data)
        return _created(repository, digest)


def _created(repository: str, digest: str) -> Answer:
    return Answer(201, b'', {'Location': f'/v2/{repository}/blobs/{digest}', 'Docker-Content-Digest': digest})
