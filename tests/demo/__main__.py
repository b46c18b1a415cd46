"""Shows the main job on an embedded local registry, with the real az and the installed wheel."""
from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import List

from tests.registry.azcli import ADMIN_LOGIN, Az
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage
from tests.wheel import install_extension

from .images import Clock, push_everything

TARGET = ('-r', 'localhost', *ADMIN_LOGIN)


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        say('Building the extension and adding it to az ...')
        extensions = install_extension(home)
        clock = Clock()
        with LocalRegistry(Storage(home / 'blobs', clock)) as registry:
            say(f'A local registry at {registry.login_server}. Pushing images of the last 90 days to it ...')
            push_everything(registry, clock)
            code = _show(Az(home / 'azure', registry, extensions), registry)
    say(f'({time.monotonic() - started:.0f} s)')
    return code


def _show(az: Az, registry: LocalRegistry) -> int:
    before = registry.storage.stored_bytes()
    promised = int(az('acr', 'prune', 'plan', *TARGET, '--query', 'summary.freedBytes', '-o', 'tsv', check=True).out)
    _run(az, 'acr', 'prune', 'plan', *TARGET, '-o', 'table')
    _run(az, 'acr', 'prune', 'untagged', *TARGET, '--yes', '-o', 'table')
    gone = before - registry.storage.stored_bytes()
    broken = _broken(registry.storage)
    say('\nEvery tagged image, pulled again:')
    say('\n'.join(f'  broken: {image}' for image in broken) or '  all of them are whole')
    say(f'\n  promised: {promised:>12,} bytes\n  gone:     {gone:>12,} bytes')
    return 0 if promised == gone and not broken else 1


def _broken(storage: Storage) -> List[str]:
    return [f'{repository}:{tag}' for repository in storage.repositories() for tag in storage.tags(repository)
            if storage.whole(repository, tag)]


def _run(az: Az, *arguments: str) -> None:
    shown = ' '.join(argument for argument in arguments if argument not in ADMIN_LOGIN)
    say(f'\n$ az {shown}')
    done = az(*arguments, check=True)
    print(''.join(line for line in done.err.splitlines(True) if 'in preview' not in line), end='')
    say(done.out)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == '__main__':
    sys.exit(main())
