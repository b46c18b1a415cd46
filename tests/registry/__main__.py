"""`python -m tests.registry`: the local registry on its own, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path

from .builder import build
from .server import LocalRegistry
from .storage import Storage


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m tests.registry', description=__doc__)
    parser.add_argument('--port', type=int, default=0, help='0 takes a free one')
    parser.add_argument('--directory', type=Path, help='blobs go here; in memory otherwise')
    parser.add_argument('--ca-directory', type=Path, help='ca.pem goes here; in a temporary folder otherwise')
    parser.add_argument('--latency-ms', type=float, default=0)
    parser.add_argument('--seed', type=int, help='fill the registry from this seed')
    parser.add_argument('--manifests', type=int, default=1000)
    parser.add_argument('--repositories', type=int, default=10)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    storage = Storage(options.directory)
    if options.seed is not None:
        build(storage, options.seed, options.repositories, options.manifests, time.time())
    with LocalRegistry(storage, options.port, options.ca_directory) as registry:
        registry.faults.latency = options.latency_ms / 1000
        print(registry.login_server, registry.ca_file, flush=True)
        signal.sigwait(stops)


if __name__ == '__main__':
    main()
