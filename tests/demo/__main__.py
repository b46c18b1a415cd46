"""Shows the main job on an embedded local registry, with the real az and the installed wheel."""

from __future__ import annotations

import sys
import time

from tests.registry.azcli import Az
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage

from .setting import TARGET, run, say, stage


def main() -> int:
    started = time.monotonic()
    with stage() as (az, registry):
        code = _show(az, registry)
    say(f'({time.monotonic() - started:.0f} s)')
    return code


def _show(az: Az, registry: LocalRegistry) -> int:
    before = registry.storage.stored_bytes()
    promised = int(az('acr', 'prune', 'plan', *TARGET, '--query', 'summary.freedBytes', '-o', 'tsv', check=True).out)
    run(az, 'acr', 'prune', 'plan', *TARGET, '-o', 'table')
    run(az, 'acr', 'prune', 'untagged', *TARGET, '--yes', '-o', 'table')
    gone = before - registry.storage.stored_bytes()
    broken = _broken(registry.storage)
    say('\nEvery tagged image, pulled again:')
    say('\n'.join(f'  broken: {image}' for image in broken) or '  all of them are whole')
    say(f'\n  promised: {promised:>12,} bytes\n  gone:     {gone:>12,} bytes')
    return 0 if promised == gone and not broken else 1


def _broken(storage: Storage) -> list[str]:
    return [
        f'{repository}:{tag}'
        for repository in storage.repositories()
        for tag in storage.tags(repository)
        if storage.whole(repository, tag)
    ]


if __name__ == '__main__':
    sys.exit(main())
