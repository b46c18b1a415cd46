"""The bearer token of each request: many calls share one, and it is renewed when it has expired.

Imported inside a command only: azure-core is heavy.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline import AsyncPipeline, PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.pipeline.transport import HttpRequest

from ..workers import TooLate, done_within
from .protocol.refusals import Kind, RegistryError, from_answer, parse_challenge
from .protocol.tokens import PATIENCE_SECONDS, Credential, TokenBook, Trouble
from .request_options import PROMISED_OPTION, REPOSITORY_OPTION, is_promised, may_be_done

_SIGN_IN_SECONDS = 300
"""So long az's own sign-in is waited for, which has no limit of its own."""
_TOKEN_ROUNDS = 3
_MOST_TRIES = 20
"""Of one call: where other calls go through, one whose tokens are refused for ever is not waited for."""


class TokenPolicy(AsyncHTTPPolicy):
    """Sets the bearer token of every request to the registry. An answer that refuses the identity is raised.

    `sign_in` may wait for az: it runs on a thread, which is left behind where that takes too long. `fetch` gets an
    access token for a form. `clock` is that of tokens, `steady` one that is never set, and `left` says for how long, in
    seconds, anything may wait.

    A token that is refused before its time is renewed, then its sign-in, and then both are waited for: see `Trouble`.
    """

    def __init__(
        self,
        host: str,
        book: TokenBook,
        sign_in: Callable[[], Credential],
        fetch: Callable[[dict[str, str], bool], Awaitable[str]],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        super().__init__()
        self._address = f'https://{host}/'
        self._book = book
        self._sign_in = sign_in
        self._fetch = fetch
        self._clock = clock
        self._steady = steady
        self._left = left
        self._renewal = asyncio.Lock()
        self._trouble = Trouble()
        self._given_up: RegistryError | None = None

    async def send(self, request: PipelineRequest) -> PipelineResponse:
        if REPOSITORY_OPTION in request.context.options:
            request.context[REPOSITORY_OPTION] = request.context.options.pop(REPOSITORY_OPTION)
        if REPOSITORY_OPTION not in request.context:
            return _final(await self.next.send(request))
        repository: str | None = request.context[REPOSITORY_OPTION]
        refused = False
        for _ in range(_MOST_TRIES):
            try:
                token = await self._authorize(request, repository, refused)
            except RegistryError as error:
                raise _of_a_sent_one(request, error) from error
            if token is None:
                break
            response = await self.next.send(request)
            refused = self._refuses_token(response)
            if not refused:
                if response.http_response.status_code < 500:  # a gateway knows nothing of tokens
                    self._trouble.accepted()
                break
            self._book.reject(self._book.scope(repository), token)
            _rewind(request.http_request.body)
        return _final(response)

    def _refuses_token(self, response: PipelineResponse) -> bool:
        """Whether an answer is about the token itself, and not about what it allows.

        One that does not say so is taken for it where a good token came to be refused.
        """
        if response.http_response.status_code != 401:
            return False
        error = parse_challenge(response.http_response.headers.get('WWW-Authenticate', '')).get('error')
        return error == 'invalid_token' or error is None and self._trouble.was_accepted

    async def _authorize(self, request: PipelineRequest, repository: str | None, refused: bool) -> str | None:
        """Set the token of a request; None where one was refused and nothing is left to do about it."""
        if not request.http_request.url.startswith(self._address):
            where = urlsplit(request.http_request.url).netloc
            raise RegistryError(Kind.NOT_A_REGISTRY, f"Our token must not go to '{where}'")
        token = self._held(repository) or await self._renew(request, repository, refused)
        if token is not None:
            request.http_request.headers['Authorization'] = f'Bearer {token}'
        return token

    def _held(self, repository: str | None) -> str | None:
        """The token for a repository, if there is one already."""
        return self._book.bearer(self._book.scope(repository), self._clock())

    async def _renew(self, request: PipelineRequest, repository: str | None, refused: bool) -> str | None:
        """A new token; where one was refused, or the sign-in is, what is to be done about that is done first."""
        async with self._renewal:
            refusal: RegistryError | None = None
            while True:
                token = self._held(repository)
                if token:
                    return token
                if (refused or refusal) and not await self._mend(request, refusal):
                    if refusal:
                        raise refusal
                    return None
                refused, refusal = False, None
                try:
                    return await self._new_token(repository, is_promised(request.context))
                except RegistryError as error:
                    if not self._book.may_be_renewed or not _may_pass(error):
                        raise
                    refusal = error

    async def _mend(self, request: PipelineRequest, refusal: RegistryError | None) -> bool:
        """Do what is next to be done about a refused token, or sign-in; gives whether anything was left to do.

        Raises an error that says so where good tokens came to be refused for too long.
        """
        remedy = self._trouble.remedy(self._steady(), refusal is not None or not self._book.may_be_renewed)
        if remedy is None:
            if self._trouble.was_accepted:
                raise _refused_for_long()
            return False
        if remedy.pause:
            transport: Any = request.context.transport
            await transport.sleep(min(remedy.pause, self._time_for(is_promised(request.context))))
        if remedy.signs_in and self._book.may_be_renewed:
            self._book.forget()
            await self._try_to_sign_in(is_promised(request.context))
        return True

    async def _try_to_sign_in(self, promised: bool) -> None:
        """Sign in anew; where tokens came to be refused a sign-in may be refused for a while too."""
        try:
            await self._sign_in_anew(promised)
        except RegistryError as error:
            if error.kind is not Kind.UNAUTHENTICATED or not self._trouble.was_accepted:
                raise

    async def _new_token(self, repository: str | None, promised: bool) -> str:
        """Raises RegistryError when the time is over, except for what was `promised` to be sent."""
        for _ in range(_TOKEN_ROUNDS):
            if self._book.credential_expired(self._clock()):
                await self._sign_in_anew(promised)
            scope = self._book.scope(repository)
            self._book.accept(scope, await self._fetch(self._book.form(scope), promised), self._clock())
            token = self._held(repository)  # the scope is another one when a wildcard was dropped
            if token:
                return token
        raise RegistryError(Kind.NOT_A_REGISTRY, 'The registry gives no token that can be used')

    async def _sign_in_anew(self, promised: bool) -> None:
        """Raises RegistryError, at once where az's sign-in has already been waited for in vain."""
        if self._given_up:
            raise self._given_up
        try:
            credential = await done_within(min(_SIGN_IN_SECONDS, self._time_for(promised)), self._sign_in)
        except TooLate as error:
            kind = Kind.UNREACHABLE if self._time_for(promised) else Kind.OUT_OF_TIME
            self._given_up = RegistryError(kind, 'Azure did not answer in time when it was asked to sign in anew')
            raise self._given_up from error
        self._book.sign_in(credential, self._clock())

    def _time_for(self, promised: bool) -> float:
        """For how many seconds a request may be waited for: for what was promised to be sent, as long as it takes."""
        return math.inf if promised else max(0.0, self._left())


async def fetch_token(pipeline: AsyncPipeline, endpoint: str, form: dict[str, str], promised: bool = False) -> str:
    """POST to `/oauth2/token`. Neither the form nor the answer is ever logged; retried like any other call.

    Raises RegistryError.
    """
    request = HttpRequest(
        'POST', f'{endpoint}/oauth2/token', {'Content-Type': 'application/x-www-form-urlencoded'}, data=urlencode(form)
    )
    options = {PROMISED_OPTION: True} if promised else {}
    try:
        sent = await pipeline.run(request, logging_enable=False, retry_on_methods=frozenset({'POST'}), **options)
        response: Any = sent.http_response
    except ClientAuthenticationError as error:
        response = error.response
    except AzureError as error:  # its retries are over: those of the request that wanted the token must not add to them
        raise RegistryError(Kind.UNREACHABLE, str(error.message)) from error
    if response.status_code != 200:
        raise from_answer(response.status_code, response.headers.get('WWW-Authenticate'), response.body())
    try:
        return str(json.loads(response.body())['access_token'])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer has no token in it', response.status_code) from error


def _rewind(content: Any) -> None:
    """Go back to the start of a file: it was read to its end when the request was sent the first time."""
    if hasattr(content, 'seek'):
        content.seek(0)


def _of_a_sent_one(request: PipelineRequest, error: RegistryError) -> RegistryError:
    """The error of a change that gets no token any more: it is no late one where an earlier try may have been done."""
    changes = request.http_request.method not in ('GET', 'HEAD')
    if changes and error.kind is Kind.OUT_OF_TIME and may_be_done(request.context):
        return RegistryError(Kind.UNAVAILABLE, 'the registry kept it waiting for too long')
    return error


def _may_pass(error: RegistryError) -> bool:
    """Whether a sign-in is refused, or a page came in the place of a token, as from a proxy for a while."""
    return error.kind is Kind.UNAUTHENTICATED or (error.kind, error.status) == (Kind.NOT_A_REGISTRY, 200)


def _refused_for_long() -> RegistryError:
    minutes = PATIENCE_SECONDS // 60
    error = RegistryError(
        Kind.UNAUTHENTICATED, f'it has refused every token for {minutes} minutes, those of a new sign-in too', 401
    )
    error.advice = (
        'This is no missing permission. So it is while the mode of its role assignments is switched, for minutes to '
        "hours: try again later. 'az acr check-health --name {target}' tests the sign-in."
    )
    return error


def _final(response: PipelineResponse) -> PipelineResponse:
    if response.http_response.status_code == 401:
        raise ClientAuthenticationError(response=response.http_response)
    return response
