"""The HTTP pipeline: one token for many calls, retries with a limit, one connection per thread.

Imported inside a command only: azure-core and the registry SDK are heavy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from azure.containerregistry import ContainerRegistryClient
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline import PipelineContext, PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HeadersPolicy, HTTPPolicy, RequestIdPolicy, SansIOHTTPPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest

from .protocol.challenge import parse_challenge
from .protocol.refusals import Kind, RegistryError, from_answer
from .protocol.tokens import Credential, TokenBook
from .retries import BEGUN_OPTION, PacingPolicy, Retry
from .shortcut import Shortcut
from .transport import Transport

REPOSITORY_OPTION = 'acr_repository'
"""Option of a request: the repository that it is about, None for the catalog."""

_TOKEN_ROUNDS = 3


class Request(HttpRequest):
    """A request without parts; where azure-core asks for them by their old names, it does not have to search long."""

    multipart_mixed_info = None
    files = None

    @property
    def body(self) -> Any:
        return self.content

    def prepare_multipart_body(self, content_index: int = 0) -> int:
        return content_index


class SameHeaders(HTTPPolicy):
    """Sets the headers that az's policies would set, asked once: they are the same for each request of a command."""

    def __init__(self, policies: Iterable[SansIOHTTPPolicy]) -> None:
        super().__init__()
        request = PipelineRequest(HttpRequest('GET', ''), PipelineContext(None))
        for policy in policies:
            policy.on_request(request)
        self.headers = dict(request.http_request.headers)

    def send(self, request: PipelineRequest) -> PipelineResponse:
        request.http_request.headers.update(self.headers)
        return self.next.send(request)


class TokenPolicy(HTTPPolicy):
    """Sets the bearer token of every request; answers that end the matter are raised, not returned.

    It stands behind the SDK's own challenge policy, which otherwise fetches new tokens for each call: that one
    never gets to see a 401.
    """

    def __init__(
        self,
        book: TokenBook,
        sign_in: Callable[[], Credential],
        fetch: Callable[[dict[str, str]], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._book = book
        self._sign_in = sign_in
        self._fetch = fetch
        self._clock = clock
        self._renewal = threading.Lock()

    def send(self, request: PipelineRequest) -> PipelineResponse:
        if REPOSITORY_OPTION in request.context.options:
            request.context[REPOSITORY_OPTION] = request.context.options.pop(REPOSITORY_OPTION)
        if REPOSITORY_OPTION not in request.context:
            return _final(self.next.send(request))
        repository: str | None = request.context[REPOSITORY_OPTION]
        if BEGUN_OPTION in request.context.options:
            token = request.http_request.headers['Authorization'].rpartition(' ')[2]
        else:
            token = self._authorize(request, repository)
        response = self.next.send(request)
        if _challenge_error(response) == 'invalid_token':
            self._book.reject(self._book.scope(repository), token)
            self._authorize(request, repository)
            response = self.next.send(request)
        return _final(response)

    def _authorize(self, request: PipelineRequest, repository: str | None) -> str:
        token = self._token(repository)
        request.http_request.headers['Authorization'] = f'Bearer {token}'
        return token

    def _token(self, repository: str | None) -> str:
        return self.held(repository) or self._renew(repository)

    def held(self, repository: str | None) -> str | None:
        """The token for a repository, if there is one already."""
        return self._book.bearer(self._book.scope(repository), self._clock())

    def _renew(self, repository: str | None) -> str:
        with self._renewal:
            token = self.held(repository)
            for _ in range(_TOKEN_ROUNDS):
                if token:
                    return token
                self._fetch_token(self._book.scope(repository))
                token = self.held(repository)  # the scope is another one when a wildcard was dropped
        if not token:
            raise RegistryError(Kind.NOT_A_REGISTRY, 'The registry gives no token that can be used')
        return token

    def _fetch_token(self, scope: str) -> None:
        if self._book.credential_expired(self._clock()):
            self._book.sign_in(self._sign_in(), self._clock())
        self._book.accept(scope, self._fetch(self._book.form(scope)), self._clock())


class Client(ContainerRegistryClient):
    """The SDK's client. It has a `shortcut` past its pipeline where that has nothing to do but what we know of."""

    shortcut: Shortcut | None = None


def open_client(
    endpoint: str,
    book: TokenBook,
    sign_in: Callable[[], Credential],
    concurrency: int,
    pacing: PacingPolicy,
    pipeline_options: dict[str, Any],
) -> Client:
    """The SDK's client for `https://HOST` with our tokens, retries and pacing in its pipeline.

    `sign_in` gives a new credential when the old one ran out. `pipeline_options` are az's own (user agent, logging).
    The policies are those that do something for us: with all that the SDK has, a call takes half as much CPU again.
    """

    def fetch(form: dict[str, str]) -> str:
        return fetch_token(client, endpoint, form)

    options = dict(pipeline_options)
    transport = Transport(endpoint, concurrency, options.pop('connection_verify', None))
    headers = SameHeaders(
        (
            RequestIdPolicy(**options),
            HeadersPolicy(**options),
            options.get('user_agent_policy') or UserAgentPolicy(**options),
        )
    )
    retry = Retry(pacing.limit, retry_total=20, retry_connect=4, retry_read=6, retry_status=9, retry_backoff_factor=0.4)
    tokens = TokenPolicy(book, sign_in, fetch)
    watching = [policy for policy in (options.get('custom_hook_policy'), options.get('logging_policy')) if policy]
    client = Client(
        endpoint, credential=None, transport=transport, policies=[headers, retry, tokens, pacing, *watching], **options
    )
    if not watching:
        client.shortcut = Shortcut(transport, headers.headers, tokens.held, pacing)
    return client


def send(client: ContainerRegistryClient, request: HttpRequest, **options: Any) -> Any:
    """Send a request through the client's pipeline; redirects are answers.

    The SDK's own verbs are not used: they drop `mediaType`, and follow a `Link` to any host. Nor is its way around
    the pipeline, which copies each request.
    """
    return client._client._client.send_request(request, **options)  # pylint: disable=protected-access


def give_up(client: ContainerRegistryClient) -> None:
    """Wait no more before anything is sent."""
    client._client._client._pipeline._transport.give_up()  # pylint: disable=protected-access


def fetch_token(client: ContainerRegistryClient, endpoint: str, form: dict[str, str]) -> str:
    """POST to `/oauth2/token`. Neither the form nor the answer is ever logged; retried like any other call.

    Raises RegistryError.
    """
    try:
        request = Request(
            'POST',
            f'{endpoint}/oauth2/token',
            content=urlencode(form),
            headers={'Content-Type': 'application/x-www-form-urlencoded'},
        )
        response = send(client, request, logging_enable=False, retry_on_methods=frozenset({'POST'}))
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


def _challenge_error(response: PipelineResponse) -> str | None:
    if response.http_response.status_code != 401:
        return None
    return parse_challenge(response.http_response.headers.get('WWW-Authenticate', '')).get('error')


def _final(response: PipelineResponse) -> PipelineResponse:
    if response.http_response.status_code == 401:
        raise ClientAuthenticationError(response=response.http_response)
    return response
