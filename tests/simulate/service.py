"""The documented service under our real client: what is between the two is no network, and takes 20 ms."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.transport import AsyncHttpTransport, HttpRequest
from multidict import CIMultiDict

from azext_acrprune.registry.bearer import TokenPolicy, fetch_token
from azext_acrprune.registry.client import Registry
from azext_acrprune.registry.permit import PERMIT_OPTION
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.tokens import Password, TokenBook
from azext_acrprune.registry.retries import PacingPolicy, Retry
from azext_acrprune.reporter import Silent
from tests.registry.answers import Answer, Call
from tests.registry.arm import ResourceManager
from tests.registry.auth import ADMIN, Auth
from tests.registry.distribution import Distribution
from tests.registry.failures import RegistryFailure
from tests.registry.limits import Limits
from tests.registry.loganalytics import Logs
from tests.registry.metadata import Metadata
from tests.registry.resources import Resources
from tests.registry.routes import Routes
from tests.registry.storage import Storage
from tests.registry.tasks import Tasks

HOST = 'registry.example'
LATENCY_SECONDS = 0.02
_DELETES_A_SECOND = {'Standard': 8, 'Premium': 32}
"""What an answer to a deletion says is left at most, as recorded."""


class Service(AsyncHttpTransport):
    """Answers as the local registry does, within the documented limits. `calls` counts what was accepted, by method."""

    def __init__(self, storage: Storage, sku: str, clock: Callable[[], float]) -> None:
        """`sku` is one of `tests.registry.limits.BY_IDENTITY`."""
        self.calls: Counter = Counter()
        self.refused = 0
        self._storage = storage
        self._sku = sku
        self._clock = clock
        self._limits = Limits(sku, clock)
        self._second: tuple[int, int] = (0, 0)
        auth = Auth()
        others = ResourceManager(auth, HOST), Metadata(HOST), Distribution(), Logs(HOST), Resources(HOST)
        self._routes = Routes(HOST, auth, *others, Tasks(auth, HOST))

    async def send(self, request: HttpRequest, **options: Any) -> _Response:
        if permit := options.get(PERMIT_OPTION):
            permit.leave()
        await asyncio.sleep(LATENCY_SECONDS / 2)
        answer = self._answer(request)
        await asyncio.sleep(LATENCY_SECONDS / 2)
        return _Response(answer)

    def _answer(self, request: HttpRequest) -> Answer:
        url = urlsplit(request.url)
        path = unquote(url.path)
        seconds = self._limits.take('identity', HOST, request.method, path)
        if seconds:
            self.refused += 1
            return Answer(429, headers={'Retry-After': str(seconds)})
        self.calls[request.method] += 1
        found = self._routes.find(request.method, path)
        assert found, path
        body = request.data.encode() if isinstance(request.data, str) else b''
        query = dict(parse_qsl(url.query))
        call = Call(request.method, path, query, CIMultiDict(request.headers), body, url.path, HOST)
        try:
            answer = found[0].handler(self._storage, call, **found[1])
        except RegistryFailure as failure:
            return Answer(failure.status, failure.body())
        if request.method == 'DELETE':
            answer.headers['x-ms-ratelimit-remaining-calls-per-second'] = str(self._left())
        return answer

    def _left(self) -> int:
        second, used = self._second
        used = used + 1 if second == int(self._clock()) else 1
        self._second = int(self._clock()), used
        return max(0, _DELETES_A_SECOND.get(self._sku, 8) + 1 - used)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Service:
        return self

    async def __aexit__(self, *_: Any) -> None:
        pass


class _Response:
    """As much of an answer as our client looks at."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self.headers = CIMultiDict(answer.headers)
        self._body = answer.body

    def body(self) -> bytes:
        return self._body


def client(service: Service, sku: str, clock: Callable[[], float]) -> Registry:
    """Our client, with the policies that wait, on this service."""
    endpoint = f'https://{HOST}'
    book = TokenBook(HOST, Password(*ADMIN), time.time())

    async def fetch(form: dict[str, str], promised: bool) -> str:
        return await fetch_token(pipeline, endpoint, form, promised)

    pacing = PacingPolicy(Pacer(sku), Silent().throttled, clock)
    tokens = TokenPolicy(HOST, book, lambda: Password(*ADMIN), fetch, steady=clock)
    pipeline: AsyncPipeline = AsyncPipeline(service, [Retry(retry_total=20, retry_status=9), tokens, pacing])
    return Registry(pipeline, book, endpoint)
