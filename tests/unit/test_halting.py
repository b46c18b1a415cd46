"""A run is stopped: what waits for its turn is dropped, what is under way is finished, what was promised is sent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.transport import AsyncHttpTransport, HttpRequest

from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.request_options import PROMISED_OPTION
from azext_acrprune.registry.retries import PacingPolicy, Retry

HOST = 'https://contoso.azurecr.io'
DELETE, LOCK = ('DELETE', f'{HOST}/v2/a/manifests/x'), ('PATCH', f'{HOST}/acr/v1/a')
READ, TOKEN = ('GET', f'{HOST}/acr/v1/_catalog'), ('POST', f'{HOST}/oauth2/token')
PROMISED = {PROMISED_OPTION: True}


class Transport(AsyncHttpTransport):
    """Answers in turn, then 200, and keeps answers back while it is `held`. Sleeps do not end by themselves."""

    def __init__(self, answers=(), held=False):
        self.answers, self.sent, self.asleep = list(answers), 0, asyncio.Event()
        self.free = asyncio.Event()
        if not held:
            self.free.set()

    async def send(self, request, **options):
        self.sent += 1
        await self.free.wait()
        status = self.answers.pop(0) if self.answers else 200
        return SimpleNamespace(
            status_code=status,
            headers={'Retry-After': '50'} if status >= 400 else {},
            request=request,
            reason='',
            body=lambda: b'',
            content_type='',
            text=lambda **_: '',
        )

    async def sleep(self, seconds):
        if seconds > 0:
            self.asleep.set()
            await asyncio.sleep(3600)

    async def open(self):
        pass

    async def close(self):
        pass

    async def __aexit__(self, *_):
        pass


class Line:
    """A way to a registry: our policies over that transport."""

    def __init__(self, *answers, held=False):
        self.transport = Transport(answers, held)
        self.pacing = PacingPolicy(Pacer(), lambda _: None)
        self.halt = self.pacing.halt
        retry = Retry(halt=self.halt, retry_total=20, retry_status=9, retry_backoff_factor=0.4)
        self.pipeline = AsyncPipeline(self.transport, [retry, self.pacing])

    def call(self, call, **options):
        """A call that has begun; its status, or the kind of its error."""
        return asyncio.ensure_future(self._outcome(call, options))

    async def _outcome(self, call, options):
        options['retry_on_methods'] = frozenset({'GET', 'DELETE', 'POST', 'PATCH'})
        try:
            return (await self.pipeline.run(HttpRequest(*call), **options)).http_response.status_code
        except RegistryError as error:
            return error.kind


def run(work):
    return asyncio.run(asyncio.wait_for(work(), 60))


@pytest.mark.parametrize(
    'answer, call, kind',
    [
        (429, DELETE, Kind.STOPPED),
        (429, READ, Kind.STOPPED),
        (503, READ, Kind.STOPPED),
        (503, DELETE, Kind.UNAVAILABLE),
    ],
)
def test_what_waits_is_dropped_at_once_and_what_may_have_been_done_is_told_as_such(answer, call, kind):
    async def work():
        line = Line(answer)
        waiting = line.call(call)
        await line.transport.asleep.wait()
        behind = line.call(call)  # at the gate, behind the one that sleeps there
        line.halt.set()
        assert await waiting is kind
        assert await behind is Kind.STOPPED or answer == 503
        assert line.transport.sent == 1 or answer == 503

    run(work)


def test_what_is_under_way_is_counted_and_finished():
    async def work():
        line = Line(held=True)
        calls = [line.call(each) for each in (DELETE, READ, TOKEN)]  # one of each kind, before a rate is known
        while line.halt.under_way < 3:
            await asyncio.sleep(0)
        line.halt.set()
        late = line.call(DELETE)
        line.transport.free.set()
        assert await asyncio.gather(*calls) == [200, 200, 200] and await late is Kind.STOPPED
        assert line.halt.under_way == 0 and line.transport.sent == 3

    run(work)


def test_what_was_promised_and_its_token_are_sent_all_the_same():
    async def work():
        line = Line()
        line.halt.set()
        assert await line.call(LOCK, **PROMISED) == 200 and await line.call(TOKEN) == 200
        assert await line.call(LOCK) is Kind.STOPPED

    run(work)


def test_a_promised_request_goes_on_waiting_for_its_turn():
    async def work():
        line = Line(429)
        waiting = line.call(LOCK, **PROMISED)
        await line.transport.asleep.wait()
        line.halt.set()
        line.transport.asleep.clear()
        await line.transport.asleep.wait()
        assert not waiting.done()
        waiting.cancel()

    run(work)
