"""Small images with right digests, put straight into the storage of the local registry."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from tests.registry.builder import DAY, image_manifest, index_manifest
from tests.registry.storage import Storage, digest_of, wire_time

OLD = 30.0
"""Days."""


def put(storage: Storage, repository: str, data: bytes, tag: str = None, days: float = OLD) -> str:
    when = wire_time(time.time() - days * DAY)
    media_type = json.loads(data)['mediaType']
    return storage.put_manifest(repository, data, media_type, tag, checked=False, created=when, updated=when)


def image(text: str, size: int = 1000, **more) -> bytes:
    config, layer = ((digest_of(f'{text} {part}'.encode()), size) for part in ('config', 'layer'))
    return image_manifest(config, [layer], **more)


def image_in(storage: Storage, repository: str, text: str, tag: str = None, days: float = OLD, **more) -> str:
    return put(storage, repository, image(text, **more), tag, days)


def index_in(
    storage: Storage, repository: str, children: Sequence[str], tag: str = None, days: float = OLD, **more
) -> str:
    """An index over children, which need not be there."""
    return put(storage, repository, index_manifest([(child, 500) for child in children], **more), tag, days)
