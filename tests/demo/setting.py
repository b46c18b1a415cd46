"""The stage of a demo: a local registry with images of the last 90 days, and the real az with the installed wheel."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.registry.azcli import ADMIN_LOGIN, Az
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage
from tests.wheel import install_extension

from .images import Clock, push_everything

TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


@contextmanager
def stage() -> Iterator[tuple[Az, LocalRegistry]]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        say('Building the extension and adding it to az ...')
        extensions = install_extension(home)
        clock = Clock()
        with LocalRegistry(Storage(home / 'blobs', clock)) as registry:
            say(f'A local registry at {registry.login_server}. Pushing images of the last 90 days to it ...')
            push_everything(registry, clock)
            yield Az(home / 'azure', registry, extensions), registry


def run(az: Az, *arguments: str) -> None:
    shown = ' '.join(argument for argument in arguments if argument not in ADMIN_LOGIN)
    say(f'\n$ az {shown}')
    done = az(*arguments, check=True)
    print(''.join(line for line in done.err.splitlines(True) if 'in preview' not in line), end='')
    say(done.out)


def say(text: str) -> None:
    print(text, flush=True)
