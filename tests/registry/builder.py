"""Makes registries: real manifests whose digests are right, by hand or by the thousand from a seed."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .storage import Storage, wire_time

OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json'
DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json'
DOCKER_SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
DAY = 86_400

Layer = tuple[str, int]
"""(digest, size)"""


def descriptor(digest: str, size: int, media_type: str, **extra: Any) -> dict[str, Any]:
    return {'mediaType': media_type, 'digest': digest, 'size': size, **extra}


def image_manifest(
    config: Layer,
    layers: Sequence[Layer],
    subject: str | None = None,
    artifact_type: str | None = None,
    annotations: dict[str, str] | None = None,
    docker: bool = False,
) -> bytes:
    """An image, or with a subject a referrer of it (a signature, an SBOM)."""
    document: dict[str, Any] = {
        'schemaVersion': 2,
        'mediaType': DOCKER_IMAGE if docker else OCI_IMAGE,
        'config': descriptor(*config, DOCKER_CONFIG if docker else OCI_CONFIG),
        'layers': [descriptor(digest, size, OCI_LAYER) for digest, size in layers],
    }
    if artifact_type:
        document['artifactType'] = artifact_type
    if subject:
        document['subject'] = descriptor(subject, 1, OCI_IMAGE)
    if annotations:
        document['annotations'] = annotations
    return _bytes(document)


def index_manifest(
    children: Sequence[tuple[str, int]],
    subject: str | None = None,
    docker: bool = False,
    annotations: dict[str, str] | None = None,
) -> bytes:
    """A multi-platform index of children, each (digest, size)."""
    platforms = ('amd64', 'arm64', 'arm', 's390x', 'ppc64le', '386')
    document: dict[str, Any] = {
        'schemaVersion': 2,
        'mediaType': DOCKER_LIST if docker else OCI_INDEX,
        'manifests': [
            descriptor(
                digest,
                size,
                DOCKER_IMAGE if docker else OCI_IMAGE,
                platform={'architecture': platforms[place % len(platforms)], 'os': 'linux'},
            )
            for place, (digest, size) in enumerate(children)
        ],
    }
    if subject:
        document['subject'] = descriptor(subject, 1, OCI_IMAGE)
    if annotations:
        document['annotations'] = annotations
    return _bytes(document)


def docker_schema_1(layers: Sequence[str]) -> tuple[bytes, str]:
    """A manifest of Docker's first format over the digests of layers, signed as libtrust does it, and its digest.

    The signature itself is none: nobody can check it without the key of whoever pushed.
    """
    document = {
        'schemaVersion': 1,
        'name': 'library/old',
        'tag': 'latest',
        'architecture': 'amd64',
        'fsLayers': [{'blobSum': layer} for layer in layers],
        'history': [{'v1Compatibility': '{}'} for _ in layers],
    }
    payload = json.dumps(document, indent=3).encode()
    head, tail = payload[: payload.rindex(b'\n')], payload[payload.rindex(b'\n') :]
    protected = json.dumps({'formatLength': len(head), 'formatTail': _base64url(tail), 'time': '2015-06-01T00:00:00Z'})
    signature = {'header': {'alg': 'ES256'}, 'signature': 'c2lnbmVk', 'protected': _base64url(protected.encode())}
    signed = head + b',\n   "signatures": ' + json.dumps([signature]).encode() + tail
    return signed, 'sha256:' + hashlib.sha256(payload).hexdigest()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip('=')


def cosign_tag(digest: str, suffix: str = '.sig') -> str:
    return digest.replace(':', '-') + suffix


@dataclass(frozen=True)
class Shares:
    """How often something is so, from 0 to 1, and how many layers an image has."""

    multi_arch: float = 0.3
    nested: float = 0.05
    referrers: float = 0.2
    cosign: float = 0.1
    tagged: float = 0.4
    locked: float = 0.03
    ghosts: float = 0.01
    docker: float = 0.3
    layers: int = 6
    oldest_days: int = 400


@dataclass
class _Builder:
    """Fills one storage; every choice comes from one seeded source."""

    storage: Storage
    chance: random.Random
    shares: Shares
    now: float
    bases: list[Layer] = field(default_factory=list)
    made: int = 0

    def blob(self, size: int) -> Layer:
        digest = 'sha256:' + hashlib.sha256(f'{self.made} {self.chance.random()}'.encode()).hexdigest()
        self.made += 1
        return self.storage.put_virtual_blob(digest, size), size

    def fill(self, repository: str, manifests: int) -> None:
        """Push images into a repository until it has this many manifests."""
        while len(self.storage.manifests(repository)) < manifests:
            room = manifests - len(self.storage.manifests(repository))
            self.push(repository, room)

    def push(self, repository: str, room: int) -> None:
        """One push: an image or a multi-arch index, perhaps tagged over an older one, signed, locked."""
        chance, shares = self.chance, self.shares
        when = wire_time(self.now - chance.random() * shares.oldest_days * DAY)
        docker = chance.random() < shares.docker
        if room >= 4 and chance.random() < shares.multi_arch:
            digest = self._index(repository, when, docker, nested=room >= 8 and chance.random() < shares.nested)
        else:
            digest = self._image(repository, when, docker)
        tagged = chance.random() < shares.tagged
        if tagged:
            self._tag(repository, digest, when)
        self._attach(repository, digest, when, room)
        if chance.random() < shares.locked:
            flag = chance.choice(['deleteEnabled', 'writeEnabled'])
            self.storage.set_locks(repository, digest=digest, **{flag: False})
        elif not tagged and chance.random() < shares.ghosts:
            self.storage.make_ghost(repository, digest)

    def _put(self, repository: str, data: bytes, when: str, tag: str | None = None) -> str:
        media_type = json.loads(data)['mediaType']
        return self.storage.put_manifest(repository, data, media_type, tag, checked=False, created=when, updated=when)

    def _image(self, repository: str, when: str, docker: bool) -> str:
        own = [self.blob(self.chance.randrange(1_000, 80_000_000)) for _ in range(max(1, self.shares.layers - 2))]
        layers = [*self.chance.sample(self.bases, 2), *own]
        return self._put(repository, image_manifest(self.blob(1_500), layers, docker=docker), when)

    def _index(self, repository: str, when: str, docker: bool, nested: bool) -> str:
        children = [self._image(repository, when, docker) for _ in range(2)]
        if nested:
            children.append(self._index(repository, when, docker, nested=False))
        sizes = [(digest, len(self.storage.manifests(repository)[digest].data)) for digest in children]
        return self._put(repository, index_manifest(sizes, docker=docker), when)

    def _tag(self, repository: str, digest: str, when: str) -> None:
        """Half of the tags are rolling, and leave an older manifest untagged."""
        tag = self.chance.choice(['latest', 'main', 'dev']) if self.chance.random() < 0.5 else f'v{self.made}'
        record = self.storage.manifests(repository)[digest]
        self.storage.put_manifest(repository, record.data, record.media_type, tag, checked=False, updated=when)

    def _attach(self, repository: str, digest: str, when: str, room: int) -> None:
        if room >= 6 and self.chance.random() < self.shares.referrers:
            layer = [self.blob(4_000)]
            sbom = self._put(
                repository,
                image_manifest(self.blob(2), layer, subject=digest, artifact_type='application/spdx+json'),
                when,
            )
            self._put(
                repository,
                image_manifest(
                    self.blob(2), [self.blob(300)], subject=sbom, artifact_type='application/vnd.example.signature'
                ),
                when,
            )
        if room >= 6 and self.chance.random() < self.shares.cosign:
            self._put(repository, image_manifest(self.blob(250), [self.blob(240)]), when, cosign_tag(digest))


def build(
    storage: Storage, seed: int, repositories: int, manifests: int, now: float, shares: Shares = Shares()
) -> list[str]:
    """Fill a storage with `manifests` manifests spread over `repositories`; the same seed gives the same registry.

    Layers are virtual (sizes without bytes). Gives the names of the repositories.
    """
    builder = _Builder(storage, random.Random(seed), shares, now)
    builder.bases = [builder.blob(builder.chance.randrange(5_000_000, 120_000_000)) for _ in range(20)]
    names = [f'team-{place % 7}/app-{place:04d}' for place in range(repositories)]
    for place, name in enumerate(names):
        share = manifests // repositories + (place < manifests % repositories)
        builder.fill(name, share)
    return names


def _bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(',', ':')).encode()
