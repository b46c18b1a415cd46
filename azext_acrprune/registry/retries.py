"""When a request is sent and when it is tried again: one pacer and the limits of time hold for all requests.

Imported inside a command only: azure-core is heavy.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ServiceResponseTimeoutError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy, AsyncRetryPolicy
from azure.core.pipeline.transport import HttpRequest

from ..timelimit import NO_LIMIT, TimeLimit
from .halting import Halt
from .permit import PERMIT_OPTION, Late, Permit
from .protocol.pacing import Answer, Calls, Pacer, finite_number
from .protocol.refusals import Kind, RegistryError
from .protocol.stubborn import Stubborn
from .request_options import ONLY_REFUSED, PROMISED_OPTION, REPOSITORY_OPTION, is_promised, may_be_done
from .transport import ANSWER_OPTION

_CHANGE_NOTHING = (Calls.READS, Calls.TOKENS)
_ENDS = 'acr_ends'
_PERMIT = 'acr_permit_of_try'
_LONGEST_WAIT_SECONDS = 60
_EVERY_METHOD = frozenset({'GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH'})
_REPEATABLE = {'PATCH': re.compile('/acr/v1/'), 'POST': re.compile('/acr/v1/_deleted/|/v2/.+/blobs/uploads/')}
"""Where these methods do no more when they are sent twice: set flags, restore what is deleted, begin an upload.

A chunk of an upload is none of them: the registry would append it twice.
"""
_REMAINING = 'x-ms-ratelimit-remaining-calls-per-second'


class Retry(AsyncRetryPolicy):
    """azure-core's retries, with the first wait not zero, spread over the calls, and never longer than a minute.

    After 429 the pacer makes all calls wait: nothing is added to that, and it costs nothing of the few tries that
    a call has while the server is broken. What was refused did nothing: calls of every kind are sent again then.
    Nothing is waited for longer than the time limit, or than until the run is stopped: the pacer then ends it.
    """

    def __init__(self, limit: TimeLimit = NO_LIMIT, halt: Halt | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._limit = limit
        self._halt = halt or Halt()

    async def send(self, request: PipelineRequest) -> PipelineResponse:
        if _is_repeatable(request.http_request):
            request.context.options.setdefault('retry_on_methods', _EVERY_METHOD)
        return await super().send(request)

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse) -> bool:
        return _is_refusal(response) or super().is_retry(settings, response)

    def configure_retries(self, options: dict[str, Any]) -> dict[str, Any]:
        settings = super().configure_retries(options)
        settings[_ENDS], settings[_PERMIT] = not options.get(PROMISED_OPTION), options.get(PERMIT_OPTION)
        return settings

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        longest = settings['backoff'] * 2 ** max(0, len(settings['history']) - 1)
        return min(_LONGEST_WAIT_SECONDS, longest) * random.uniform(0.5, 1)

    def get_retry_after(self, response: PipelineResponse) -> float | None:
        try:
            seconds = super().get_retry_after(response)
        except (ValueError, TypeError, OverflowError):  # neither seconds nor a date
            return None
        return None if seconds is None else min(seconds, _LONGEST_WAIT_SECONDS)

    def increment(self, settings: dict[str, Any], response: Any = None, error: Exception | None = None) -> bool:
        if _is_refusal(response):
            settings['status'] += 1
        if isinstance(error, ServiceResponseTimeoutError):  # it took all the time there is for an answer
            settings['read'] = min(settings['read'], 1)
        return super().increment(settings, response, error)

    async def sleep(self, settings: dict[str, Any], transport: Any, response: PipelineResponse | None = None) -> None:
        if not _is_refusal(response):
            sleeper: Any = _Sleeper(transport, self._limit, self._halt) if settings[_ENDS] else transport
            in_time: Any = _InTime(sleeper, settings[_PERMIT])
            await super().sleep(settings, in_time, response)


class _InTime:
    """Sleeps as the transport does, and not at all where a permit would be over then."""

    def __init__(self, transport: Any, permit: Permit | None) -> None:
        self._transport = transport
        self._permit = permit

    async def sleep(self, seconds: float) -> None:
        """Raises Late."""
        if self._permit and seconds >= self._permit.left:
            raise Late(seconds, unanswered=True)
        await self._transport.sleep(seconds)


class _Sleeper:
    """Sleeps as the transport does, and not beyond a time limit or a halt."""

    def __init__(self, transport: Any, limit: TimeLimit, halt: Halt) -> None:
        self._transport = transport
        self._limit = limit
        self._halt = halt

    async def sleep(self, seconds: float) -> None:
        left = 0.0 if self._halt.is_set else self._limit.left
        await self._halt.sleep(self._transport, max(0.0, min(seconds, left)))


class PacingPolicy(AsyncHTTPPolicy):
    """Lets requests through when the pacer says so, each try of each call.

    Of each kind of call one at a time stands at the gate and sleeps; the others wait behind it, so that what is
    learned meanwhile holds for all of them. `throttled` hears the calls a second that are left after a refusal.
    """

    def __init__(
        self,
        pacer: Pacer,
        throttled: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
        limit: TimeLimit = NO_LIMIT,
        halt: Halt | None = None,
    ) -> None:
        super().__init__()
        self.limit = limit
        self.halt = halt or Halt()
        self._pacer = pacer
        self._throttled = throttled
        self.clock = clock
        self._stubborn = Stubborn()
        self._gates = {calls: asyncio.Lock() for calls in Calls}
        self._retry_after = Retry().get_retry_after

    async def send(self, request: PipelineRequest) -> PipelineResponse:
        calls, context = _calls(request.http_request), request.context
        if context.options.pop(PROMISED_OPTION, False):
            context[PROMISED_OPTION] = True  # the transport knows no such option, and the next try needs it
        repository = context.get(REPOSITORY_OPTION) if calls is Calls.READS else None
        self._hold_to_repository(repository)
        sent_at = await self._wait_for_turn(calls, context)
        context.options[ANSWER_OPTION] = self.answer_seconds(calls, is_promised(context))
        tried, refused_before = ONLY_REFUSED in context, context.get(ONLY_REFUSED, True)
        context[ONLY_REFUSED] = False
        self.halt.under_way += 1
        try:
            response = await self.next.send(request)
        except BaseException as error:
            self._pacer.lost(calls)
            if isinstance(error, Late):  # this try did not leave, and an earlier one may have been carried out
                raise Late(unanswered=error.unanswered or not refused_before, tried=tried) from error
            raise
        finally:
            self.halt.under_way -= 1
        context[ONLY_REFUSED] = refused_before and _is_refusal(response)
        seconds = self._seconds_of_its_own(repository, response, sent_at)
        if seconds is None:
            self._learn(calls, response, sent_at)
        else:
            self._pacer.lost(calls)
            self._hold_to_repository(repository)
            await self.halt.sleep(context.transport, max(0.0, min(seconds, self.limit.left)))
        return response

    def _seconds_of_its_own(self, repository: str | None, response: PipelineResponse, sent_at: float) -> float | None:
        """How long a call waits that was refused for its repository alone; None for all others."""
        if _is_refusal(response):
            return self._stubborn.refused(repository, sent_at, self.clock())
        self._stubborn.accepted(repository, sent_at)
        return None

    def _hold_to_repository(self, repository: str | None) -> None:
        if self._stubborn.is_given_up(repository, self.clock()):
            raise RegistryError(Kind.BUSY, 'it refused every call, while those to others were answered', 429)

    def answer_seconds(self, calls: Calls, promised: bool = False) -> float:
        """How long an answer is waited for; that to what was sent to change something has no limit here.

        Nor has that for what was `promised` to be made good, tokens for it among them.
        """
        changes_nothing = calls in _CHANGE_NOTHING
        return self.limit.left + self.limit.answering if changes_nothing and not promised else math.inf

    async def _wait_for_turn(self, calls: Calls, context: Any) -> float:
        async with self._gates[calls]:
            while True:
                now = self.clock()
                self._hold_to_time(calls, context)
                seconds = self._pacer.wait(calls, now)
                if seconds <= 0:
                    return now
                if self._pacer.hopeless(calls, now):
                    raise RegistryError(Kind.BUSY, 'the registry has refused all calls for minutes', 429)
                self._hold_to_time(calls, context, seconds)
                await self.halt.sleep(context.transport, seconds)

    def _hold_to_time(self, calls: Calls, context: Any, seconds: float = 0.0) -> None:
        """Raise when a call could only be sent too late, so many seconds from now, or when the run was stopped.

        Neither ends what was promised to be made good, nor the tokens for that.
        """
        promised = is_promised(context)
        is_dropped = not promised and calls is not Calls.TOKENS and self.halt.is_set
        is_over = not promised and seconds >= self.limit.left
        if calls in _CHANGE_NOTHING and (is_dropped or is_over):
            context[ONLY_REFUSED] = True  # whatever else it was answered, it changed nothing
        if is_dropped:
            raise _not_sent(context, Kind.STOPPED, 'the run was stopped before it was sent')
        if is_over:
            raise _not_sent(context, Kind.OUT_OF_TIME)
        permit: Permit | None = context.options.get(PERMIT_OPTION)
        if permit and seconds >= permit.left:
            raise Late(seconds, may_be_done(context), ONLY_REFUSED in context)

    def _learn(self, calls: Calls, response: PipelineResponse, sent_at: float) -> None:
        status = response.http_response.status_code
        answer = Answer(
            status,
            self._retry_after(response) if status == 429 else None,
            finite_number(response.http_response.headers.get(_REMAINING)),
        )
        self._pacer.answered(calls, answer, sent_at, self.clock())
        rate = self._pacer.rate(calls) if status == 429 and calls is not Calls.TOKENS else None
        if rate:
            self._throttled(rate)


def _not_sent(context: Any, kind: Kind, why: str = 'its turn did not come in time') -> RegistryError:
    """The error of a call that is not sent, or not once more: an earlier try of it may have been carried out."""
    if may_be_done(context):
        return RegistryError(Kind.UNAVAILABLE, f'{why}, and an earlier try may have been carried out')
    return RegistryError(kind, why)


def _calls(request: HttpRequest) -> Calls:
    if request.method in ('GET', 'HEAD'):
        return Calls.READS
    if request.method == 'POST' and urlsplit(request.url).path.startswith('/oauth2/'):
        return Calls.TOKENS
    return Calls.DELETES if request.method == 'DELETE' else Calls.WRITES


def _is_repeatable(request: HttpRequest) -> bool:
    where = _REPEATABLE.get(request.method)
    return bool(where and where.match(urlsplit(request.url).path))


def _is_refusal(response: Any) -> bool:
    return isinstance(response, PipelineResponse) and response.http_response.status_code == 429
