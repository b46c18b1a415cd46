"""The registry on a thread: aiohttp over TLS on loopback, on uvloop, which takes a fifth less time for a call."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvloop
from aiohttp import web

from .answers import Answer, Call, common_headers
from .arm import Joined, ResourceManager
from .auth import Auth
from .ca import make_context
from .distribution import Distribution
from .echo import echoing, refusal
from .failures import RegistryFailure, disallowed, too_many
from .faults import Fault, Faults
from .loganalytics import Logs
from .metadata import Metadata
from .replicas import Regions, Replica
from .resources import Resources
from .routes import Route, Routes
from .sending import LARGE, SENDERS, hang_up, in_pieces
from .storage import Storage
from .tasks import Tasks
from .tunnel import open_tunnel

Found = tuple[Route, dict[str, str]] | None
_LATE_SECONDS = 0.0006
"""The loop counts in milliseconds and wakes up a little late: without this, 20 ms are 21 for who asks."""
_SAID = {405: disallowed, 429: too_many}
"""What the service says with a status; to others it says nothing here."""
_REGIONAL_ENDPOINTS = 3
_RATES = {'Basic': 2.0, 'Standard': 8.0, 'Premium': 32.0}


class _Handler(web.RequestHandler):
    """aiohttp's, that knows when a request came in: the latency begins then, not when others have been dealt with."""

    arrived = 0.0

    def data_received(self, data: bytes) -> None:
        self.arrived = time.monotonic()
        super().data_received(data)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


async def _sleep_until(due: float) -> None:
    await asyncio.sleep(due - time.monotonic() - _LATE_SECONDS)


class LocalRegistry:
    """`with LocalRegistry() as registry:` serves `registry.storage`, which may be swapped at any time.

    `counters` counts answers by kind of call, `requests` logs (method, path, status), `user_agents` are those that read
    manifests; `on_request` is called with (method, path) before a request is handled, on the server's thread.

    After `replicate` the login server goes to one region, as DNS has it, and each region may have its own endpoint.
    Those that have names as the service gives them are only reached through the proxy at `proxy_port`.

    One that is `beside` another has the same certificate, so that one client trusts both.
    """

    def __init__(
        self,
        storage: Storage | None = None,
        port: int = 0,
        directory: Path | None = None,
        expired: bool = False,
        beside: LocalRegistry | None = None,
    ) -> None:
        self.storage = storage or Storage()
        self.port = port
        self.auth = Auth()
        self.faults = Faults()
        self.counters: Counter = Counter()
        self.requests: list[tuple[str, str, int]] = []
        self.user_agents: set[str] = set()
        self.deletes_at: Counter = Counter()
        self._served: dict[str, Storage] = {}
        self._ports: dict[str, int] = {}
        self.on_request: Callable[[str, str], None] | None = None
        self._home = tempfile.TemporaryDirectory() if directory is None and beside is None else None
        if beside:
            self._directory, self._context = beside._directory, beside._context
        else:
            self._directory = directory or Path(self._home.name)
            self._context = make_context(self._directory, expired)
            self._context.sni_callback = lambda *_: self.faults.refuse_handshake()
        self._token_calls_left = 10_000 / 60

    @property
    def login_server(self) -> str:
        return f'localhost:{self.port}'

    @property
    def ca_file(self) -> str:
        return str(self._directory / 'ca.pem')

    def replicate(self, endpoints: bool = False, named: bool = False, **lags: dict[str, float]) -> Regions:
        """Have empty regions with these names and lags, `local` among them, to which the login server goes.

        With `endpoints` each of them has an endpoint of its own, which with `named` has its region in its name.
        """
        regions = Regions(**lags)
        names = list(regions)
        self.storage = regions['local']
        self._regions = regions
        self.manager.sku, self.manager.replicas = 'Premium', [name for name in names if name != 'local']
        if endpoints:
            hosts = [f'localhost:{port}' for port in self._regional_ports]
            self._served = {host: regions[name] for host, name in zip(hosts, names)}
            self.manager.regional_hosts = list(self._served)
        if endpoints and named:
            self.manager.regional_hosts = [f'localhost.{name}.geo:{self.port}' for name in names]
            self._ports = dict(zip((f'localhost.{name}.geo' for name in names), self._regional_ports))
        return regions

    def host_of(self, region: str) -> str:
        """The host at which a region is asked, whatever it was called."""
        return next(host for host, storage in self._served.items() if storage is self._regions[region])

    def join(self, name: str, other: LocalRegistry, **more: Any) -> LocalRegistry:
        """Have the resource manager know another registry by a name; `more` is what `Joined` has."""
        self.manager.joined[name] = Joined(other, **more)
        return other

    def forget(self) -> None:
        """Start counting anew."""
        self.counters.clear()
        self.requests.clear()
        self.user_agents.clear()
        self.deletes_at.clear()

    def reset(self) -> None:
        """Empty, without faults, with the first users again, and nothing counted."""
        self.storage = Storage()
        self._served = {}
        self._ports = {}
        self.faults.clear()
        self.faults = Faults()
        self.auth.__init__()  # the routes hold this very object
        self.metadata.reset()
        self.distribution.blobs_at = None
        self.manager.reset()
        self.logs.__init__(self.login_server)  # the routes hold these very objects
        self.resources.__init__(self.login_server)
        self.tasks.reset()
        self.on_request = None
        self.forget()

    def __enter__(self) -> LocalRegistry:
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        if not started.wait(120):
            raise RuntimeError('the local registry did not start')
        return self

    def stop(self) -> None:
        """Answer nobody any more; a second time is as good as once."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(20)

    def __exit__(self, *_: Any) -> None:
        self.stop()
        if self._home:
            self._home.cleanup()

    def _serve(self, started: threading.Event) -> None:
        uvloop.run(self._run(started))

    async def _run(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        runner = web.ServerRunner(_Server(self._handle, access_log=None))
        await runner.setup()
        site = web.TCPSite(runner, '127.0.0.1', self.port, ssl_context=self._context, shutdown_timeout=1)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # pylint: disable=protected-access
        self._regional_ports = [await self._another_port(runner) for _ in range(_REGIONAL_ENDPOINTS)]
        self.metadata = Metadata(self.login_server)
        self.manager = ResourceManager(self.auth, self.login_server)
        self.logs = Logs(self.login_server)
        self.resources = Resources(self.login_server)
        self.tasks = Tasks(self.auth, self.login_server)
        self.distribution = Distribution()
        tunnel = await open_tunnel(lambda host, port: self._ports.get(host, port))
        self.proxy_port = tunnel.sockets[0].getsockname()[1]
        self._routes = Routes(
            self.login_server,
            self.auth,
            self.manager,
            self.metadata,
            self.distribution,
            self.logs,
            self.resources,
            self.tasks,
        )
        started.set()
        await self._stopped.wait()
        tunnel.close()
        await runner.cleanup()

    async def _another_port(self, runner: web.ServerRunner) -> int:
        site = web.TCPSite(runner, '127.0.0.1', 0, ssl_context=self._context, shutdown_timeout=1)
        await site.start()
        return site._server.sockets[0].getsockname()[1]  # pylint: disable=protected-access

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        with self.faults.call_in_flight():
            return await self._handle_call(request)

    async def _handle_call(self, request: web.BaseRequest) -> web.StreamResponse:
        raw_path, _, query = request.raw_path.partition('?')
        body = await request.content.read() if request.body_exists else b''
        call = Call(request.method, unquote(raw_path), request.query if query else {}, request.headers, body, raw_path)
        call.host = f'localhost:{request.transport.get_extra_info("sockname")[1]}'
        found = self._routes.find(call.method, call.path)
        if found and found[0].kind == 'manifest_delete':
            with self.faults.delete_in_flight(found[1]['repository']):
                return await self._serve_call(request, call, found)
        return await self._serve_call(request, call, found)

    async def _serve_call(self, request: web.BaseRequest, call: Call, found: Found) -> web.StreamResponse:
        """The answer leaves when the latency is over since the request came in, whatever else is to be done then."""
        if found and found[0].kind == 'manifest_get':
            self.user_agents.add(call.headers.get('User-Agent', ''))
        due = request.protocol.arrived + self.faults.latency
        fault = self.faults.fault_for(call.method, call.path)
        kind = fault.kind if fault else None
        if kind == 'slow':
            await asyncio.sleep(fault.seconds)
        elif kind in ('reset', 'handshake'):
            await _sleep_until(due)
            self._log('reset', call.method, call.path, 0)
            self.faults.handshakes += kind == 'handshake'
            return hang_up(request)
        if self.on_request:
            self.on_request(call.method, call.path)
        if not await self.faults.pass_holds(call.method, call.path, done=False):
            return hang_up(request)
        answer = self._answer(call, found, fault)
        if not await self.faults.pass_holds(call.method, call.path, done=True):
            return hang_up(request)
        headers = {
            **common_headers(call.path, answer),
            **self.faults.date(),
            'X-Ms-Correlation-Request-Id': str(uuid.uuid4()),
            **answer.headers,
        }
        await _sleep_until(due)
        if kind in SENDERS:
            return await SENDERS[kind](request, answer, headers, fault.seconds)
        if len(answer.body) > LARGE:
            return await in_pieces(request, answer, headers)
        return web.Response(status=answer.status, body=answer.body, headers=headers)

    def _answer(self, call: Call, found: Found, fault: Fault | None) -> Answer:
        if not found:
            self._log('unknown', call.method, call.path, 404)
            return Answer(404, b'404 page not found\n', {'Content-Type': 'text/plain; charset=utf-8'})
        route, groups = found
        answer = self._broken(call, fault) or self._throttled(call) or self._handled(call, route, groups)
        if fault and fault.kind in ('echo', 'refused'):
            answer = echoing(call, answer)
        if fault and fault.kind in ('garbage', 'truncated'):
            answer.body = b'{"garbage": true}' if fault.kind == 'garbage' else answer.body[: len(answer.body) // 2]
            answer.headers.pop('Content-Length', None)
        self._log('challenge' if answer.status == 401 else route.kind, call.method, call.path, answer.status)
        self._rate_headers(route, answer)
        return answer

    def _handled(self, call: Call, route: Route, groups: dict) -> Answer:
        if route.actions is not None:
            refusal = self.auth.check(call, call.host, groups.get('repository'), route.actions)
            if refusal:
                return refusal
        if call.method == 'DELETE':
            self.deletes_at[call.host] += 1
        storage = self._served.get(call.host, self.storage)
        try:
            with storage.lock:
                if isinstance(storage, Replica):
                    storage.catch_up()
                storage.purge()
                return route.handler(storage, call, **groups)
        except RegistryFailure as failure:
            return _failure(failure)

    @staticmethod
    def _broken(call: Call, fault: Fault | None) -> Answer | None:
        if fault and fault.kind == 'refused':
            return refusal(call)
        if fault and fault.kind == 'proxy':
            return Answer(fault.status, fault.body, {'Content-Type': 'text/html'})
        if not fault or not isinstance(fault.kind, int):
            return None
        plain = Answer(fault.kind, b'', {'Content-Type': 'text/plain'})
        said = _SAID.get(fault.kind)
        return _retry_after(_failure(said()) if said else plain, fault.retry_after)

    def _throttled(self, call: Call) -> Answer | None:
        throttle = self.faults.throttle_for(call.method, call.path)
        if throttle:
            return _retry_after(_failure(too_many()), throttle.retry_after)
        limits = self.faults.limits
        seconds = limits and limits.take(self.auth.name_of(call), call.host, call.method, call.path)
        return _retry_after(_failure(too_many()), seconds) if seconds else None

    def _rate_headers(self, route: Route, answer: Answer) -> None:
        """Token answers and deletes say what is left; reads never do."""
        if route.kind in ('token', 'exchange') and answer.status == 200:
            self._token_calls_left -= 1 / 60
            answer.headers['x-ms-ratelimit-remaining-calls-per-second'] = _trimmed(self._token_calls_left)
        elif route.method == 'DELETE' and answer.status not in (401, 429):
            left = self.faults.deletes_left(_RATES[self.manager.sku])
            answer.headers['X-Ms-Ratelimit-Remaining-Calls-Per-Second'] = f'{left:.6f}'

    def _log(self, kind: str, method: str, path: str, status: int) -> None:
        self.counters['throttled' if status == 429 else kind] += 1
        self.requests.append((method, path, status))


def _failure(failure: RegistryFailure) -> Answer:
    return Answer(failure.status, failure.body(), {'Content-Type': 'application/json; charset=utf-8'})


def _retry_after(answer: Answer, seconds: int | None) -> Answer:
    if seconds is not None:
        answer.headers['Retry-After'] = str(seconds)
    return answer


def _trimmed(left: float) -> str:
    """As recorded on token answers: 166.65, 166.633333."""
    digits = f'{left:.6f}'.rstrip('0')
    return digits + '0' if digits.endswith('.') else digits
