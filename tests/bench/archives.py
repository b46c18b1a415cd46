"""An archive with very many images: listing it, archiving one image more, and restoring one, by the real az."""

from __future__ import annotations

import hashlib
import os
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from azext_acrprune.archive.directory import DirectoryArchive
from azext_acrprune.archive.pure.choose import choose
from azext_acrprune.archive.pure.layout import OCI_IMAGE, Index, Record, index_pieces
from azext_acrprune.archive.stored import read_archive
from azext_acrprune.model import Inventory
from tests.e2e.images import Shelf
from tests.registry.azcli import ADMIN_LOGIN, Az
from tests.registry.builder import image_manifest
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

from .rows import Row, peak_mib, seconds

_TARGET = ('-r', 'localhost', *ADMIN_LOGIN)
_WHEN = '2026-01-01T00:00:00.000000Z'
_PER_REPOSITORY = 5_000
_SECONDS, _MIB = 'at most 5', 'at most 300'


def archive_rows(options: Namespace, folder: Path, extensions: Path) -> Iterator[Row]:
    """Seconds of the whole command with the start of az, and its peak memory; one try, for each changes something."""
    with LocalRegistry(Storage()) as registry:
        az, place = Az(folder / 'archives', registry, extensions), folder / 'archive'
        Shelf(registry.storage, time.time()).image('one more', 'v1')
        fill(place, options.archived, registry.login_server)
        archive = ('--archive', str(place))
        chosen = f'{choosing_seconds(place, registry.login_server):.1f}'
        yield f'an archive of {options.archived:,} images, all of it chosen to be restored, s', chosen, _SECONDS
        for what, command in (
            ('listed', ('archive', 'list', *archive, '--query', 'summary')),
            ('listed, a table', ('archive', 'list', *archive, '-o', 'table')),
            ('one more archived', ('image', *_TARGET, '--image', 'team/app:v1', '--yes', *archive)),
            ('one restored', ('restore', *_TARGET, '--image', 'team/app1:tag7', *archive)),
        ):
            taken, mib = measured(az, ('acr', 'prune', *command))
            yield f'an archive of {options.archived:,} images, {what}, s', f'{taken:.1f}', _SECONDS
            yield f'an archive of {options.archived:,} images, {what}, peak MiB', f'{mib:,.0f}', _MIB


def choosing_seconds(place: Path, host: str) -> float:
    """How long it takes to choose all of an archive for an empty registry, once it is read."""
    archived = read_archive(DirectoryArchive(str(place)), host)
    empty = Inventory(host, (), frozenset())
    return seconds(lambda: choose(archived.records, archived.kept, archived.blobs, empty, None))


def measured(az: Az, command: tuple[str, ...]) -> tuple[float, float]:
    """(seconds, peak MiB) of an az that succeeds.

    Its own peak is asked for while it runs: what is left of it afterwards is at least that of whoever started it.
    """
    started, peak = time.monotonic(), 0.0
    with open(os.devnull, 'wb') as nowhere:
        process = az.start(*command, stdout=nowhere)
        while process.poll() is None:
            peak = max(peak, peak_mib(process.pid))
            time.sleep(0.05)
    if process.returncode:
        raise RuntimeError(f'az {" ".join(command)} answered {process.returncode}')
    return time.monotonic() - started, peak


def fill(place: Path, images: int, host: str) -> None:
    """Write an archive of images with a tag each, some thousands in a repository; all share a layer and a config."""
    target = DirectoryArchive(str(place))
    records: list[Record] = []
    with target.writing():
        config, layer = (_put(place, data) for data in (b'{}', b'layer' * 1_000))
        for number in range(images):
            data = image_manifest(config, [layer], annotations={'number': str(number)})
            digest, size = _put(place, data)
            name = f'team/app{number // _PER_REPOSITORY}'
            whole = size + config[1] + layer[1]
            image = Record(host, name, digest, OCI_IMAGE, size, _WHEN, subject='', image_size=whole)
            tag = f'tag{number % _PER_REPOSITORY}'
            records += [image, Record(host, name, digest, OCI_IMAGE, size, _WHEN, tag, subject='', image_size=whole)]
        target.index()
        target.replace_index(index_pieces(Index().with_records(records)))


def _put(place: Path, data: bytes) -> tuple[str, int]:
    digest = hashlib.sha256(data).hexdigest()
    path = place / 'blobs' / 'sha256' / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return f'sha256:{digest}', len(data)
