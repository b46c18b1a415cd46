"""Pushes images over the wire, as docker and cosign do: blobs in chunks or by mount, then manifests, then the index."""

from __future__ import annotations

import json
import random

import requests

from .auth import ADMIN
from .builder import Layer, cosign_tag, image_manifest, index_manifest
from .server import LocalRegistry
from .storage import digest_of

_CHUNK = 256 * 1024


class Pusher:
    """Pushes to one registry. Content comes from a seed, so that two runs push the same bytes."""

    def __init__(self, registry: LocalRegistry, seed: int = 1) -> None:
        self._base = f'https://{registry.login_server}'
        self._chance = random.Random(seed)
        self._ca_file = registry.ca_file
        self._session = requests.Session()
        self._session.auth = ADMIN

    def blob(self, repository: str, size: int) -> Layer:
        """Upload a new blob of random bytes in chunks."""
        data = self._chance.randbytes(size)
        location = self._call('POST', f'/v2/{repository}/blobs/uploads/').headers['Location']
        for start in range(0, size, _CHUNK):
            location = self._call('PATCH', location, data=data[start : start + _CHUNK]).headers['Location']
        self._call('PUT', location, params={'digest': digest_of(data)})
        return digest_of(data), size

    def mount(self, repository: str, layer: Layer, source: str) -> Layer:
        """Use a layer of another repository without uploading it again."""
        self._call('POST', f'/v2/{repository}/blobs/uploads/', params={'mount': layer[0], 'from': source})
        return layer

    def image(self, repository: str, layers: list[Layer], tag: str | None = None, **extra) -> tuple[str, int]:
        """Push an image with a new config; gives digest and size of its manifest."""
        return self.manifest(repository, image_manifest(self.blob(repository, 700), layers, **extra), tag)

    def index(self, repository: str, children: list[tuple[str, int]], tag: str | None = None) -> tuple[str, int]:
        return self.manifest(repository, index_manifest(children), tag)

    def sign(self, repository: str, digest: str) -> None:
        """A signature by tag, as cosign writes it, and an SBOM that refers to its subject."""
        self.image(repository, [self.blob(repository, 250)], cosign_tag(digest))
        self.image(repository, [self.blob(repository, 40_000)], subject=digest, artifact_type='application/spdx+json')

    def manifest(self, repository: str, data: bytes, tag: str | None = None) -> tuple[str, int]:
        self._call(
            'PUT',
            f'/v2/{repository}/manifests/{tag or digest_of(data)}',
            data=data,
            headers={'Content-Type': json.loads(data)['mediaType']},
        )
        return digest_of(data), len(data)

    def _call(self, method: str, path: str, **options) -> requests.Response:
        response = self._session.request(method, self._base + path, timeout=120, verify=self._ca_file, **options)
        response.raise_for_status()
        return response
