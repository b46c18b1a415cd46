"""A small but telling registry, made by hand."""

from __future__ import annotations

from dataclasses import dataclass

from tests.registry.builder import DAY, OCI_IMAGE, OCI_INDEX, cosign_tag, image_manifest, index_manifest
from tests.registry.storage import Storage, wire_time


class Shelf:
    """Puts images into one repository, old enough to go unless said otherwise."""

    def __init__(self, storage: Storage, now: float, repository: str = 'team/app') -> None:
        self._storage = storage
        self._now = now
        self.repository = repository

    def layer(self, name: str, size: int) -> tuple:
        data = (name.encode() * (size // len(name) + 1))[:size]
        return self._storage.put_blob(data), size

    def image(self, name: str, tag: str = None, days: float = 30, base: tuple = None, **extra) -> str:
        """An image with a config and a layer of its own, perhaps on a base layer."""
        layers = [*([base] if base else []), self.layer(f'layer of {name} ', 1000 + len(name))]
        data = image_manifest(self.layer(f'config of {name}', 100), layers, **extra)
        return self.put(data, OCI_IMAGE, tag, days)

    def index(self, children: list, tag: str = None, days: float = 30, **extra) -> str:
        manifests = self._storage.manifests(self.repository)
        data = index_manifest(
            [(child, len(manifests[child].data) if child in manifests else 1) for child in children], **extra
        )
        return self.put(data, OCI_INDEX, tag, days)

    def put(self, data: bytes, media_type: str, tag: str = None, days: float = 30) -> str:
        when = wire_time(self._now - days * DAY)
        return self._storage.put_manifest(
            self.repository, data, media_type, tag, checked=False, created=when, updated=when
        )


@dataclass(frozen=True)
class Telling:
    """Digests of `telling`: what must stay whole, and what may go."""

    stale: str
    stale_children: tuple
    kept: tuple


def telling(storage: Storage, now: float) -> Telling:
    """Multi-arch and signed images under a moved tag, a base layer shared with another repository, a young push."""
    shelf = Shelf(storage, now)
    base = shelf.layer('base ', 50_000)
    old = [shelf.image(f'old {arch}', base=base, days=40) for arch in ('amd64', 'arm64')]
    stale = shelf.index(old, tag='latest', days=40)
    new = [shelf.image(f'new {arch}', base=base, days=35) for arch in ('amd64', 'arm64')]
    index = shelf.index(new, tag='latest', days=35)
    sbom = shelf.image('sbom', subject=index, artifact_type='application/spdx+json', days=35)
    signature = shelf.image('signature', tag=cosign_tag(index), days=35)
    young = shelf.image('young', days=0.1)
    other = Shelf(storage, now, 'team/other')
    prod = other.image('other', tag='v1', base=base, days=50)
    return Telling(stale, tuple(old), (index, *new, sbom, signature, young, prod))
