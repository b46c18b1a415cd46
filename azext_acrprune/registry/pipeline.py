"""The HTTP pipeline: az's headers, retries, tokens, pacing, az's log, and one session. Every call goes through it.

Imported inside a command only: azure-core and aiohttp are heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from azure.core.pipeline import AsyncPipeline, PipelineContext, PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import (
    AsyncHTTPPolicy,
    HeadersPolicy,
    RequestIdPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.pipeline.transport import HttpRequest

from .bearer import TokenPolicy, fetch_token
from .counting import CallCount, CountingPolicy
from .protocol.tokens import Credential, TokenBook
from .retries import PacingPolicy, Retry
from .transport import Transport


class SameHeaders(AsyncHTTPPolicy):
    """Sets the headers that az's policies would set, asked once: they are the same for each request of a command."""

    def __init__(self, policies: Iterable[SansIOHTTPPolicy]) -> None:
        super().__init__()
        request = PipelineRequest(HttpRequest('GET', ''), PipelineContext(None))
        for policy in policies:
            policy.on_request(request)
        self._headers = dict(request.http_request.headers)

    async def send(self, request: PipelineRequest) -> PipelineResponse:
        request.http_request.headers.update(self._headers)
        return await self.next.send(request)


async def open_pipeline(
    endpoint: str,
    book: TokenBook,
    sign_in: Callable[[], Credential],
    concurrency: int,
    pacing: PacingPolicy,
    pipeline_options: dict[str, Any],
    tokens_at: str | None = None,
    calls: CallCount | None = None,
) -> AsyncPipeline:
    """The way to `https://HOST`; to be closed with `__aexit__`, as a context manager.

    Tokens come from there, or from the endpoint `tokens_at`. What is sent is counted in `calls`.

    `sign_in` gives a new credential when the old one ran out. `pipeline_options` are az's own (user agent, logging).
    The policies are those that do something for us: with all that the SDK has, a call takes half as much CPU again.
    """

    async def fetch(form: dict[str, str], promised: bool) -> str:
        return await fetch_token(pipeline, tokens_at or endpoint, form, promised)

    options = dict(pipeline_options)
    transport = Transport(endpoint, concurrency, options.pop('connection_verify', None))
    headers = SameHeaders(
        (
            RequestIdPolicy(**options),
            HeadersPolicy(**options),
            options.get('user_agent_policy') or UserAgentPolicy(**options),
        )
    )
    tries = {'retry_total': 20, 'retry_connect': 6, 'retry_read': 6, 'retry_status': 9, 'retry_backoff_factor': 0.4}
    retry = Retry(pacing.limit, pacing.halt, **tries)
    tokens = TokenPolicy(
        endpoint.partition('://')[2], book, sign_in, fetch, steady=pacing.clock, left=lambda: pacing.limit.left
    )
    watching = [policy for policy in (options.get('custom_hook_policy'), options.get('logging_policy')) if policy]
    counting = CountingPolicy(CallCount() if calls is None else calls)
    policies = [headers, retry, tokens, pacing, counting, *watching]
    pipeline: AsyncPipeline = AsyncPipeline(transport, policies)
    return pipeline
