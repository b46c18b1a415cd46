"""What a library alone takes for the calls of a run, in a process of its own, as az is one.

Run as `python -m tests.bench.bare LIBRARY [parsing]`, it reads {address, token, ca, calls} from standard input and
answers with seconds: on the clock, and of the processor. With `parsing` each answer is also made into what the scan
keeps of it, for that is what the calls are for.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import aiohttp
import requests
import urllib3

from azext_acrprune.decide.manifests import read_manifest
from tests.registry.auth import ADMIN
from tests.registry.server import LocalRegistry

from .rows import Row

LIBRARIES = ('aiohttp', 'urllib3')
_AT_A_TIME = 32

Call = tuple[str, str]
"""Method and path."""
Heard = Callable[[str, bytes], object]


class Taken(NamedTuple):
    """Seconds on the clock, and of the processor."""

    wall: float
    processor: float


def calls_of(registry: LocalRegistry) -> list[Call]:
    """What a registry was asked since it forgot the calls before, but for its tokens."""
    return [(method, path) for method, path, _ in registry.requests if not path.startswith('/oauth2/')]


def bare(registry: LocalRegistry, library: str, calls: Sequence[Call], *how: str) -> Taken:
    """How long a library takes for these calls, 32 at a time."""
    address = f'https://{registry.login_server}'
    form = {'grant_type': 'password', 'username': ADMIN[0], 'password': ADMIN[1], 'service': registry.login_server}
    form['scope'] = 'registry:catalog:* repository:*:*'
    token = requests.post(f'{address}/oauth2/token', data=form, verify=registry.ca_file, timeout=60).json()
    asked = {'address': address, 'ca': registry.ca_file, 'token': token['access_token'], 'calls': calls}
    done = subprocess.run(
        [sys.executable, '-m', 'tests.bench.bare', library, *how],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    return Taken(*json.loads(done.stdout))


def library_rows(registry: LocalRegistry, calls: Sequence[Call]) -> Iterator[Row]:
    """Which library the extension should use: reads a second, and what they take of the processor."""
    for how in ((), ('parsing',)):
        for library in LIBRARIES:
            taken = bare(registry, library, calls, *how)
            what = f'bare {library}, {_AT_A_TIME} at a time{", with parsing" * bool(how)}'
            yield f'{what}, calls a second', f'{len(calls) / taken.wall:,.0f}', ''
            yield '  milliseconds of the processor for a call', f'{1000 * taken.processor / len(calls):.2f}', ''


def main(library: str, *how: str) -> None:
    asked = json.load(sys.stdin)
    headers = {'Authorization': f'Bearer {asked["token"]}', 'Accept': '*/*'}
    calls = [(method, asked['address'] + path) for method, path in asked['calls']]
    began, used = time.monotonic(), time.process_time()
    {'aiohttp': _by_aiohttp, 'urllib3': _by_urllib3}[library](calls, asked['ca'], headers, _parse if how else _ignore)
    print(json.dumps([time.monotonic() - began, time.process_time() - used]))


def _ignore(_: str, data: bytes) -> object:
    return data


def _parse(url: str, data: bytes) -> object:
    return read_manifest(url.rpartition('/')[2], data) if '/manifests/' in url else json.loads(data)


def _by_aiohttp(calls: list[Call], ca_file: str, headers: dict[str, str], heard: Heard) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        for method, url in waiting:
            async with session.request(method, url, headers=headers) as answer:
                heard(url, await answer.read())
                _check(answer.status)

    async def all_of_them() -> None:
        connector = aiohttp.TCPConnector(limit=_AT_A_TIME, ssl=ssl.create_default_context(cafile=ca_file))
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(work(session) for _ in range(_AT_A_TIME)))

    waiting = iter(calls)
    asyncio.run(all_of_them())


def _by_urllib3(calls: list[Call], ca_file: str, headers: dict[str, str], heard: Heard) -> None:
    with urllib3.PoolManager(maxsize=_AT_A_TIME, ca_certs=ca_file, retries=False) as pool:

        def one(call: Call) -> None:
            answer = pool.request(*call, headers=headers)
            heard(call[1], answer.data)
            _check(answer.status)

        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            list(threads.map(one, calls))


def _check(status: int) -> None:
    if status not in (200, 202, 404):  # 404: it went with what it referred to
        raise SystemExit(f'the registry answered {status}')


if __name__ == '__main__':
    main(*sys.argv[1:])
