"""A time limit, and that no request is sent after it; the clock is moved by hand."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace

import pytest
from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.transport import AsyncHttpTransport, HttpRequest

from azext_acrprune.registry.permit import PERMIT_OPTION, Permit
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.request_options import PROMISED_OPTION
from azext_acrprune.registry.retries import ANSWER_OPTION, PacingPolicy, Retry
from azext_acrprune.timelimit import (
    LONGEST_ENDING_SECONDS,
    LONGEST_FINISHING_SECONDS,
    NO_LIMIT,
    SHARE_AFTER_READING,
    TimeLimit,
)

HOST = 'https://r.azurecr.io'
READ, WRITE = ('GET', f'{HOST}/v2/a/manifests/x'), ('DELETE', f'{HOST}/v2/a/manifests/x')
TOKEN = ('POST', f'{HOST}/oauth2/token')


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


# The limit


def test_without_a_limit_there_is_no_end(clock):
    limit = TimeLimit(None, clock)
    clock.now += 1e9
    with limit.keeping(SHARE_AFTER_READING):
        assert limit.left == math.inf == NO_LIMIT.left and not limit.is_over()


def test_a_quarter_is_kept_for_deleting_of_it_a_tenth_for_finishing_and_a_twentieth_for_answering(clock):
    limit = TimeLimit(1000, clock)
    with limit.keeping(SHARE_AFTER_READING):
        assert limit.left == 750
        clock.now += 750
        assert limit.is_over()
    assert limit.left == 200 and not limit.is_over() and not limit.is_ending()
    clock.now += 100
    assert limit.is_ending() and not limit.is_over()
    clock.now += 100
    assert limit.is_over() and limit.answering == 50


def test_a_failed_scan_gives_the_kept_time_back(clock):
    limit = TimeLimit(1000, clock)
    with pytest.raises(ValueError), limit.keeping(SHARE_AFTER_READING):
        raise ValueError
    assert limit.left == 950


def test_what_is_kept_for_later_is_not_taken_off_the_end(clock):
    limit = TimeLimit(1000, clock)
    clock.now += 400
    with limit.keeping(SHARE_AFTER_READING):
        assert (limit.left, limit.to_the_end) == (350, 600)
    clock.now += 700
    assert limit.to_the_end == -100 and NO_LIMIT.to_the_end == math.inf


def test_what_is_waited_for_is_given_up_in_so_many_seconds_whatever_the_limit_is(clock):
    limit = TimeLimit(1000, clock)
    assert limit.given_up_in == math.inf
    limit.give_up_in(4)
    clock.now += 1
    limit.give_up_in(4)
    assert limit.given_up_in == 3 and limit.to_the_end == 999


def test_answering_takes_two_minutes_at_most(clock):
    limit = TimeLimit(10**9, clock)
    assert limit.answering == LONGEST_ENDING_SECONDS and limit.left == 10**9 - LONGEST_ENDING_SECONDS


def test_finishing_takes_two_minutes_at_most_before_that(clock):
    limit = TimeLimit(10**9, clock)
    clock.now += 10**9 - LONGEST_ENDING_SECONDS - LONGEST_FINISHING_SECONDS - 1
    assert not limit.is_ending()
    clock.now += 1
    assert limit.is_ending() and not limit.is_over()


def test_the_time_in_which_somebody_is_asked_does_not_count(clock):
    limit = TimeLimit(100, clock)
    with limit.standing_still():
        clock.now += 5_000
    assert limit.left == 95


# Requests


class Transport(AsyncHttpTransport):
    """Answers in turn, then 200. To sleep moves the clock, and so does an answer, by `seconds`."""

    def __init__(self, clock, answers=(), seconds=0.0, headers=None):
        self.clock, self.answers, self.seconds, self.headers = clock, list(answers), seconds, headers or {}
        self.sent, self.slept, self.waits = [], 0.0, []

    async def send(self, request, **options):
        self.sent.append(self.clock())
        self.waits.append(options.get(ANSWER_OPTION))
        self.clock.now += self.seconds
        status = self.answers.pop(0) if self.answers else 200
        return SimpleNamespace(
            status_code=status,
            headers=self.headers if status >= 400 else {},
            request=request,
            reason='',
            body=lambda: b'',
            content_type='',
            text=lambda **_: '',
        )

    async def sleep(self, seconds):
        self.slept += seconds
        self.clock.now += seconds

    async def open(self):
        pass

    async def close(self):
        pass

    async def __aexit__(self, *_):
        pass


def outcome(transport, limit, call, **options):
    """The status of a call, or the kind of its error."""
    pacing = PacingPolicy(Pacer(), lambda _: None, transport.clock, limit)
    policies = [Retry(limit, retry_total=20, retry_status=9, retry_backoff_factor=0.4), pacing]
    options['retry_on_methods'] = frozenset({'GET', 'DELETE', 'POST', 'PATCH'})
    try:
        sent = asyncio.run(AsyncPipeline(transport, policies).run(HttpRequest(*call), **options))
        return sent.http_response.status_code
    except RegistryError as error:
        return error.kind


def over(clock, seconds_left=0.0):
    """A limit of which so many seconds are left for sending."""
    limit = TimeLimit(100, clock)
    clock.now += limit.left - seconds_left
    return limit


def test_while_there_is_time_calls_are_made(clock):
    assert outcome(Transport(clock), over(clock, 1), READ) == 200


@pytest.mark.parametrize('call', [READ, WRITE])
def test_no_call_is_sent_when_the_time_is_over(clock, call):
    transport = Transport(clock)
    assert outcome(transport, over(clock), call) is Kind.OUT_OF_TIME
    assert transport.sent == [] and transport.slept == 0


@pytest.mark.parametrize('call', [READ, WRITE])
@pytest.mark.parametrize('headers', [{}, {'Retry-After': '50'}])
def test_a_call_that_is_refused_until_the_time_is_over_was_not_made(clock, call, headers):
    limit = over(clock, 20)
    end = clock.now + limit.left
    transport = Transport(clock, [429] * 100, headers=headers)
    assert outcome(transport, limit, call) is Kind.OUT_OF_TIME
    assert max(transport.sent) < end and clock.now <= end


@pytest.mark.parametrize('status', [500, 503])
@pytest.mark.parametrize('headers', [{}, {'Retry-After': '50'}])
@pytest.mark.parametrize('call, kind', [(READ, Kind.OUT_OF_TIME), (WRITE, Kind.UNAVAILABLE)])
def test_a_broken_registry_is_not_waited_for_beyond_the_time_and_what_it_was_asked_to_delete_failed(
    clock, call, kind, headers, status
):
    limit = over(clock, 3)
    end = clock.now + limit.left
    transport = Transport(clock, [status] * 100, headers=headers)
    assert outcome(transport, limit, call) is kind
    assert transport.sent and max(transport.sent) < end and clock.now <= end


@pytest.mark.parametrize('status, kind', [(429, Kind.LATE), (503, Kind.UNAVAILABLE)])
@pytest.mark.parametrize('headers', [{}, {'Retry-After': '11'}])
def test_a_permit_ends_before_the_time_does(clock, status, kind, headers):
    transport = Transport(clock, [status] * 100, headers=headers)
    limit = over(clock, 90)
    began = clock()
    assert outcome(transport, limit, WRITE, **{PERMIT_OPTION: Permit(clock)}) is kind
    assert transport.sent and max(transport.sent) < began + 10 and clock() < began + 10


@pytest.mark.parametrize('answers', [[], [429, 429], [503, 503, 503]])
def test_what_makes_good_what_was_begun_is_sent_whatever_the_time(clock, answers):
    transport = Transport(clock, answers)
    assert outcome(transport, over(clock), ('PATCH', f'{HOST}/acr/v1/a'), **{PROMISED_OPTION: True}) == 200
    assert len(transport.sent) == len(answers) + 1 and (transport.slept > 0) is bool(answers)


def test_it_gets_its_token_too(clock):
    assert outcome(Transport(clock), over(clock), TOKEN, **{PROMISED_OPTION: True}) == 200
    assert outcome(Transport(clock), over(clock), TOKEN) is Kind.OUT_OF_TIME


def test_an_answer_to_a_read_is_waited_for_until_the_very_end_and_to_a_delete_as_ever(clock):
    limit = over(clock, 20)
    transport = Transport(clock)
    outcome(transport, limit, READ)
    outcome(transport, limit, WRITE)
    assert transport.waits == [20 + limit.answering, math.inf]


def test_a_read_is_waited_for_anew_after_each_try(clock):
    transport = Transport(clock, [503], seconds=4)
    limit = over(clock, 20)
    outcome(transport, limit, READ)
    first, second = transport.waits
    assert first == 25 and second == pytest.approx(first - 4 - transport.slept)


def test_a_policy_without_a_limit_sends_as_ever(clock):
    clock.now += 1e12
    assert outcome(Transport(clock), NO_LIMIT, READ) == 200
