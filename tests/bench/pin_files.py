"""How long it takes to read pins: many small files like public ones, and one list of all pods of a large cluster."""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from azext_acrprune.sources.pin_files import read_files
from tests.pin_shapes import NAMES, cases

from .rows import Row, peak_mib

_FILES = 1_000
_MEGABYTES = 60
_IMAGES = 800


def pin_rows(_: Namespace, folder: Path, __: Path) -> Iterator[Row]:
    """CPU seconds of reading, and the most memory that a process of its own had for the large file."""
    seconds, _memory = _read(_many_files(folder / 'many'))
    yield f'pins in {_FILES:,} files, CPU seconds', f'{seconds:.1f}', '5'
    seconds, memory = _read(_list_of_pods(folder / 'pods.json'))
    yield f'pins in {_MEGABYTES} MB of JSON, CPU seconds', f'{seconds:.1f}', '30'
    yield f'pins in {_MEGABYTES} MB of JSON, MiB', f'{memory:.0f}', '300'


def _read(path: Path) -> tuple[float, float]:
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.apply(_measured, (str(path),))


def _measured(path: str) -> tuple[float, float]:
    start = time.process_time()
    read_files([path], NAMES)
    return time.process_time() - start, peak_mib()


def _many_files(folder: Path) -> Path:
    every = cycle((name.rsplit('/', 1)[-1], text) for case in cases() for name, text in case.files.items())
    for number, (name, text) in enumerate(islice(every, _FILES)):
        path = folder / str(number) / (name if name != '-' else 'stdin')
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return folder


def _list_of_pods(path: Path) -> Path:
    with path.open('w') as file:
        file.write('{"kind": "List", "items": [')
        number = 0
        while file.tell() < _MEGABYTES * 1_000_000:
            file.write((',\n' if number else '') + json.dumps(_pod(f'web{number % _IMAGES}'), indent=4))
            number += 1
        file.write(']}')
    return path


def _pod(name: str) -> dict[str, object]:
    image = f'{NAMES.login_server}/team/{name}'
    container = {
        'name': 'web',
        'image': f'{image}:1',
        'args': ['--port=80', '$(MODE)'],
        'env': [{'name': 'MODE', 'value': 'a'}, {'name': 'URL', 'value': 'http://x/y'}],
        'volumeMounts': [{'mountPath': '/var/run', 'name': 'token'}],
    }
    status = {'name': 'web', 'image': f'{image}:1', 'imageID': f'{image}@sha256:{"1" * 64}'}
    return {
        'kind': 'Pod',
        'metadata': {'name': name, 'namespace': 'default', 'labels': {'app.kubernetes.io/name': name}},
        'spec': {'containers': [container, container], 'tolerations': [{'effect': 'NoExecute', 'key': 'x'}] * 2},
        'status': {'conditions': [{'type': 'Ready', 'status': 'True'}] * 4, 'containerStatuses': [status, status]},
    }


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as _folder:
        for _what, _number, _limit in pin_rows(Namespace(), Path(_folder), Path(_folder)):
            print(f'{_what:<58}{_number:>16}  {_limit}', flush=True)
