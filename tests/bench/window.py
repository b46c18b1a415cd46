"""How long before each deletion the listing was begun that allows it, in a normal run: `python -m tests.bench.window`.

The local registry answers after 20 ms and tells when each request came. docs/safety.md has the figures.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tests.registry.azcli import Az
from tests.registry.server import LocalRegistry
from tests.wheel import install_extension

from .rows import DELETE, LATENCY_SECONDS
from .speed import all_untagged

_LISTING = re.compile(r'/acr/v1/(.+)/_manifests\Z')
_DELETION = re.compile(r'/v2/(.+)/manifests/')


class Ages:
    """The age of the last listing of its repository when each deletion came, in seconds."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begun: dict[str, float] = {}

    def note(self, method: str, path: str) -> None:
        """Called for each request that the registry gets. The first page of a listing begins it."""
        listing, deletion = _LISTING.match(path), _DELETION.match(path)
        if method == 'GET' and listing:
            self._begun[listing[1]] = time.monotonic()
        elif method == 'DELETE' and deletion:
            self.seconds.append(time.monotonic() - self._begun[deletion[1]])


def measured(options: Namespace) -> tuple[Ages, float]:
    """The ages that the registry saw, and what the result says of the oldest listing."""
    ages = Ages()
    with tempfile.TemporaryDirectory() as folder, LocalRegistry(all_untagged(options)) as registry:
        az = Az(Path(folder) / 'azure', registry, install_extension(Path(folder)))
        registry.faults.latency = LATENCY_SECONDS
        registry.on_request = ages.note
        summary = az(*DELETE, '--yes', check=True).json
    return ages, summary['listingAgeSeconds']


def main() -> None:
    parser = ArgumentParser(prog='python -m tests.bench.window', description=__doc__)
    parser.add_argument('--manifests', type=int, default=10_000)
    parser.add_argument('--repositories', type=int, default=100)
    ages, said = measured(parser.parse_args())
    cuts = statistics.quantiles(ages.seconds, n=100)
    print(f'{len(ages.seconds):,} deletions; the listing that allows each was begun before it came:')
    print(f'half of them {cuts[49]:.2f} s, 99 of 100 {cuts[98]:.2f} s, all {max(ages.seconds):.2f} s')
    print(f'listingAgeSeconds of the result: {said}')


if __name__ == '__main__':
    main()
