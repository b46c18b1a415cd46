"""The bearer token of each request: many calls share one, and it is renewed when it has expired.

Imported inside a command only: azure-core is heavy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline import AsyncPipeline, PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.rest import HttpRequest

from .protocol.refusals import Kind, RegistryError, from_answer, parse_challenge
from .protocol.tokens import Credential, TokenBook

REPOSITORY_OPTION = 'acr_repository'
"""Option of a request: the repository that it is about, None for the catalog. Without it a request has no token."""

_TOKEN_ROUNDS = 3


class TokenPolicy(AsyncHTTPPolicy):
    """Sets the bearer token of every request to the registry. An answer that refuses the identity is raised.

    `sign_in` may wait for az, and runs on a thread. `fetch` gets an access token for a form.
    """

    def __init__(
        self,
        host: str,
        book: TokenBook,
        sign_in: Callable[[], Credential],
        fetch: Callable[[dict[str, str]], Awaitable[str]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._host = host
        self._book = book
        self._sign_in = sign_in
        self._fetch = fetch
        self._clock = clock
        self._renewal = asyncio.Lock()

    async def send(self, request: PipelineRequest) -> PipelineResponse:
        if REPOSITORY_OPTION in request.context.options:
            request.context[REPOSITORY_OPTION] = request.context.options.pop(REPOSITORY_OPTION)
        if REPOSITORY_OPTION not in request.context:
            return _final(await self.next.send(request))
        repository: str | None = request.context[REPOSITORY_OPTION]
        token = await self._authorize(request, repository)
        response = await self.next.send(request)
        if _challenge_error(response) == 'invalid_token':
            self._book.reject(self._book.scope(repository), token)
            await self._authorize(request, repository)
            _rewind(request.http_request.content)
            response = await self.next.send(request)
        return _final(response)

    async def _authorize(self, request: PipelineRequest, repository: str | None) -> str:
        address = urlsplit(request.http_request.url)
        if (address.scheme, address.netloc) != ('https', self._host):
            raise RegistryError(Kind.NOT_A_REGISTRY, f"Our token must not go to '{address.netloc}'")
        token = self._held(repository) or await self._renew(repository)
        request.http_request.headers['Authorization'] = f'Bearer {token}'
        return token

    def _held(self, repository: str | None) -> str | None:
        """The token for a repository, if there is one already."""
        return self._book.bearer(self._book.scope(repository), self._clock())

    async def _renew(self, repository: str | None) -> str:
        async with self._renewal:
            token = self._held(repository)
            for _ in range(_TOKEN_ROUNDS):
                if token:
                    return token
                await self._fetch_token(self._book.scope(repository))
                token = self._held(repository)  # the scope is another one when a wildcard was dropped
        if not token:
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The registry gives no token that can be used')
        return token

    async def _fetch_token(self, scope: str) -> None:
        if self._book.credential_expired(self._clock()):
            self._book.sign_in(await asyncio.to_thread(self._sign_in), self._clock())
        self._book.accept(scope, await self._fetch(self._book.form(scope)), self._clock())


async def fetch_token(pipeline: AsyncPipeline, endpoint: str, form: dict[str, str]) -> str:
    """POST to `/oauth2/token`. Neither the form nor the answer is ever logged; retried like any other call.

    Raises RegistryError.
    """
    request = HttpRequest(
        'POST',
        f'{endpoint}/oauth2/token',
        content=urlencode(form),
        headers={'Content-Type': 'application/x-www-form-urlencoded'},
    )
    try:
        sent = await pipeline.run(request, logging_enable=False, retry_on_methods=frozenset({'POST'}))
        response: Any = sent.http_response
    except ClientAuthenticationError as error:
        response = error.response
    except AzureError as error:  # its retries are over: those of the request that wanted the token must not add to them
        raise RegistryError(Kind.UNREACHABLE, str(error.message)) from error
    if response.status_code != 200:
        raise from_answer(response.status_code, response.headers.get('WWW-Authenticate'), response.content)
    try:
        return str(response.json()['access_token'])
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer has no token in it', response.status_code) from error


def _rewind(content: Any) -> None:
    """Go back to the start of a file: it was read to its end when the request was sent the first time."""
    if hasattr(content, 'seek'):
        content.seek(0)


def _challenge_error(response: PipelineResponse) -> str | None:
    if response.http_response.status_code != 401:
        return None
    return parse_challenge(response.http_response.headers.get('WWW-Authenticate', '')).get('error')


def _final(response: PipelineResponse) -> PipelineResponse:
    if response.http_response.status_code == 401:
        raise ClientAuthenticationError(response=response.http_response)
    return response
