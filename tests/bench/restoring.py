"""A restore at the limit for writes, from a registry that fails now and then: it is done in one run."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from tests.registry.azcli import Az
from tests.registry.builder import OCI_IMAGE, image_manifest
from tests.registry.faults import Fault, Throttle
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

from .archives import measured
from .rows import Row

WRITES = 500 / 60
"""Calls a second that a Standard registry allows one identity."""
SHARE = 0.05
FAILURES = (500, 503, 'reset', 'lost')
LAYER_BYTES = 256 << 20
_WRITING = ('POST', 'PUT', 'PATCH')
_DELETE = ('untagged', '-r', 'localhost', '--ago', '0', '--yes', '--new-archive', '--archive')


def restore_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    storage, size = Storage(), int(options.restore_gib * (1 << 30))
    digests = {_image(storage, number, min(LAYER_BYTES, size)) for number in range(max(1, size // LAYER_BYTES))}
    with LocalRegistry(storage) as registry:
        az = Az(folder / 'restoring', registry, extensions)
        az.login()
        archive = str(folder / 'restored')
        az('acr', 'prune', *_DELETE, archive, check=True)
        registry.storage = Storage()
        registry.faults.throttles['writes'] = Throttle(WRITES, WRITES)
        registry.faults.rules += [Fault('.', kind, SHARE / len(FAILURES)) for kind in FAILURES]
        registry.forget()
        moments = _watched(registry)
        code = az('acr', 'prune', 'restore', '-r', 'localhost', '--archive', archive, '--all', '-o', 'none').code
        back = set(registry.storage.manifests('team/app')) if registry.storage.repositories() else set()
        accepted = sum(method in _WRITING and 200 <= status < 300 for method, _, status in registry.requests)
    what = f'restore of {options.restore_gib:g} GiB at {60 * WRITES:.0f} writes a minute, {SHARE:.0%} of calls failing'
    yield what, 'done in one run' if not code and back == digests else 'not done', 'done in one run'
    yield '  used of the rate', f'{accepted / (WRITES + WRITES * (moments[-1] - moments[0])):.0%}', 'at least 90 %'


def memory_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    """Peak memory of a run that archives one large layer, and of one that restores it."""
    storage = Storage()
    _image(storage, 0, int(options.layer_gib * (1 << 30)))
    with LocalRegistry(storage) as registry:
        az, archive = Az(folder / 'large', registry, extensions), str(folder / 'large-archive')
        az.login()
        _, archiving = measured(az, ('acr', 'prune', *_DELETE, archive))
        registry.storage = Storage()
        restoring = ('acr', 'prune', 'restore', '-r', 'localhost', '--archive', archive, '--all')
        _, restored = measured(az, restoring)
    yield f'a layer of {options.layer_gib:g} GiB, archived, peak MiB', f'{archiving:,.0f}', 'at most 200'
    yield f'a layer of {options.layer_gib:g} GiB, restored, peak MiB', f'{restored:,.0f}', 'at most 200'


def _image(storage: Storage, number: int, size: int) -> str:
    """An untagged image with one layer of its own."""
    config, layer = f'{{"number": {number}}}'.encode(), os.urandom(size)
    data = image_manifest((storage.put_blob(config), len(config)), [(storage.put_blob(layer), len(layer))])
    return storage.put_manifest('team/app', data, OCI_IMAGE)


def _watched(registry: LocalRegistry) -> list[float]:
    """The moments at which something is written."""
    moments: list[float] = []
    registry.on_request = lambda method, path: (
        moments.append(time.monotonic()) if method in _WRITING and '/oauth2/' not in path else None
    )
    return moments
