"""The policies of the HTTP pipeline, around a transport that answers as it is told."""

from __future__ import annotations

import asyncio
import math
import threading
from types import SimpleNamespace

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline import PipelineContext, PipelineRequest, PipelineResponse
from azure.core.pipeline.transport import HttpRequest

from azext_acrprune.registry.bearer import TokenPolicy
from azext_acrprune.registry.counting import CallCount, CountingPolicy
from azext_acrprune.registry.protocol.pacing import Pacer
from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.protocol.tokens import Password, RefreshToken, TokenBook
from azext_acrprune.registry.request_options import PROMISED_OPTION, REPOSITORY_OPTION
from azext_acrprune.registry.retries import PacingPolicy, Retry

HOST = 'r.azurecr.io'
KEY = 'some key of thirty-two characters or more'
CHALLENGE = f'Bearer realm="https://{HOST}/oauth2/token",service="{HOST}",scope="repository:a:pull"'


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


class Wire:
    """What stands behind the policy: answers in turn, then 200; keeps the tokens that came."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.tokens = []

    async def send(self, request):
        self.tokens.append(request.http_request.headers.get('Authorization'))
        await asyncio.sleep(0)
        status, error = self.answers.pop(0) if self.answers else (200, None)
        headers = {'WWW-Authenticate': CHALLENGE + (f',error="{error}"' if error else '')} if status == 401 else {}
        response = SimpleNamespace(status_code=status, headers=headers, reason='', body=lambda: b'')
        return PipelineResponse(request.http_request, response, request.context)


class Issuer:
    """Issues numbered tokens, and counts them."""

    def __init__(self, clock, seconds=4500, delay=0.0, grants=('*',)):
        self.forms, self.promised = [], []
        self._clock, self._seconds, self._delay, self._grants = clock, seconds, delay, grants

    async def __call__(self, form, promised):
        self.forms.append(form)
        self.promised.append(promised)
        await asyncio.sleep(self._delay)
        now = self._clock()
        granted = [{'type': 'repository', 'name': name, 'actions': ['pull']} for name in self._grants]
        return jwt.encode({'n': len(self.forms), 'iat': now, 'exp': now + self._seconds, 'access': granted}, KEY)


def no_sign_in():
    raise AssertionError('nobody has to sign in again')


def policy_on(wire, issuer, clock, sign_in=no_sign_in, credential=Password('u', 'p')):
    policy = TokenPolicy(HOST, TokenBook(HOST, credential, clock()), sign_in, issuer, clock)
    policy.next = wire
    return policy


def request_to(url=f'https://{HOST}/v2/a', method='GET', **options):
    return PipelineRequest(HttpRequest(method, url), PipelineContext(None, **options))


def ask(policy, repository='a', times=1):
    """The last answer to so many requests that are made together."""

    async def together():
        asked = [policy.send(request_to(**{REPOSITORY_OPTION: repository})) for _ in range(times)]
        return await asyncio.gather(*asked)

    return asyncio.run(together())[-1]


@pytest.fixture
def clock():
    return Clock()


def test_many_calls_share_one_token(clock):
    wire, issuer = Wire(), Issuer(clock)
    policy = policy_on(wire, issuer, clock)
    for repository in (None, 'a', 'b', 'a'):
        ask(policy, repository)
    assert len(issuer.forms) == 1
    assert len(set(wire.tokens)) == 1 and wire.tokens[0].startswith('Bearer ')


def test_one_renewal_for_all_that_wait_for_a_token(clock):
    wire, issuer = Wire(), Issuer(clock, delay=0.01)
    assert ask(policy_on(wire, issuer, clock), times=32).http_response.status_code == 200
    assert len(wire.tokens) == 32 and len(issuer.forms) == 1


def test_one_renewal_for_all_whose_token_became_invalid(clock):
    wire, issuer = Wire((200, None), *[(401, 'invalid_token')] * 16), Issuer(clock, delay=0.01)
    policy = policy_on(wire, issuer, clock)
    ask(policy)
    assert ask(policy, times=16).http_response.status_code == 200
    assert len(wire.tokens) == 1 + 16 + 16 and len(issuer.forms) == 2


def test_a_token_goes_to_its_registry_alone(clock):
    wire, issuer = Wire(), Issuer(clock)
    policy = policy_on(wire, issuer, clock)
    for url in (f'https://{HOST}.example/v2/a', f'http://{HOST}/v2/a', f'https://{HOST}:444/v2/a', '//v2/a'):
        with pytest.raises(RegistryError, match='must not go'):
            asyncio.run(policy.send(request_to(url, **{REPOSITORY_OPTION: 'a'})))
    assert (wire.tokens, issuer.forms) == ([], [])


def test_an_expiring_token_is_renewed_before_the_call(clock):
    wire, issuer = Wire(), Issuer(clock)
    policy = policy_on(wire, issuer, clock)
    ask(policy)
    clock.now += 4400
    ask(policy)
    assert len(issuer.forms) == 2 and wire.tokens[0] != wire.tokens[1]


def test_an_invalid_token_is_renewed_once_and_the_call_made_again(clock):
    wire, issuer = Wire((401, 'invalid_token')), Issuer(clock)
    assert ask(policy_on(wire, issuer, clock)).http_response.status_code == 200
    assert len(issuer.forms) == 2
    assert len(wire.tokens) == len(set(wire.tokens)) == 2


def test_a_second_invalid_token_in_a_row_ends_it(clock):
    wire, issuer = Wire(*[(401, 'invalid_token')] * 5), Issuer(clock)
    with pytest.raises(ClientAuthenticationError):
        ask(policy_on(wire, issuer, clock))
    assert (len(wire.tokens), len(issuer.forms)) == (2, 2)


@pytest.mark.parametrize('error', ['insufficient_scope', None])
def test_a_missing_permission_is_final_and_spends_no_token(clock, error):
    wire, issuer = Wire((401, error)), Issuer(clock)
    with pytest.raises(ClientAuthenticationError) as raised:
        ask(policy_on(wire, issuer, clock))
    assert raised.value.response.status_code == 401
    assert (len(wire.tokens), len(issuer.forms)) == (1, 1)


def test_other_answers_are_left_to_the_caller(clock):
    wire = Wire((404, None), (503, None))
    policy = policy_on(wire, Issuer(clock), clock)
    assert [ask(policy).http_response.status_code for _ in range(2)] == [404, 503]


def test_a_request_that_is_about_no_repository_carries_no_token(clock):
    wire, issuer = Wire(), Issuer(clock)
    asyncio.run(policy_on(wire, issuer, clock).send(request_to(f'https://{HOST}/oauth2/token')))
    assert (wire.tokens, issuer.forms) == ([None], [])


def test_a_request_tried_again_by_the_retries_still_knows_its_repository(clock):
    wire, issuer = Wire((503, None)), Issuer(clock)
    policy = policy_on(wire, issuer, clock)
    request = request_to(**{REPOSITORY_OPTION: None})
    assert [asyncio.run(policy.send(request)).http_response.status_code for _ in range(2)] == [503, 200]
    assert REPOSITORY_OPTION not in request.context.options
    assert len(issuer.forms) == 1


def test_a_dropped_wildcard_costs_one_token_and_then_goes_by_batch(clock):
    wire, issuer = Wire(), Issuer(clock, grants=())
    policy = policy_on(wire, issuer, clock)
    ask(policy, None)
    ask(policy, 'a')
    ask(policy, 'a')
    assert [form['scope'].split(':')[-1] for form in issuer.forms] == ['*', 'metadata_read,metadata_write,pull,delete']


def test_an_expired_credential_is_replaced_before_a_token_is_asked_for(clock):
    old, new = (RefreshToken(jwt.encode({'n': n, 'iat': clock(), 'exp': clock() + 10_800}, KEY)) for n in (1, 2))
    wire, issuer, calls = Wire(), Issuer(clock), []
    policy = policy_on(wire, issuer, clock, lambda: calls.append(1) or new, old)
    ask(policy)
    clock.now += 10_750
    ask(policy)
    assert calls == [1]
    assert [form['refresh_token'] for form in issuer.forms] == [old.token, new.token]


def test_a_failing_token_call_reaches_the_caller(clock):
    async def refuse(*_):
        raise RegistryError(Kind.UNAUTHENTICATED, 'no')

    with pytest.raises(RegistryError, match='no'):
        ask(policy_on(Wire(), refuse, clock))


def paced(wire, issuer, clock):
    """The policy for tokens, with the one behind it that paces requests."""
    pacing = PacingPolicy(Pacer(), lambda _: None, clock)
    pacing.next = wire
    return policy_on(pacing, issuer, clock)


class NoAnswer:
    """A sign-in that Azure does not answer, until the test is over."""

    def __init__(self):
        self.asked = 0
        self.begun, self.over = threading.Event(), threading.Event()

    def __call__(self):
        self.asked += 1
        self.begun.set()
        self.over.wait()
        return Password('u', 'p')


@pytest.fixture
def no_answer():
    sign_in = NoAnswer()
    yield sign_in
    sign_in.over.set()


def expired(clock, sign_in, left):
    """A policy whose sign-in is over, so that it needs a new one."""
    granted = jwt.encode({'iat': clock(), 'exp': clock() + 10_800}, KEY)
    book = TokenBook(HOST, RefreshToken(granted), clock())
    clock.now += 20_000
    policy = TokenPolicy(HOST, book, sign_in, Issuer(clock), clock, clock, left=lambda: left)
    policy.next = Wire((200, None))
    return policy


def test_a_sign_in_that_azure_does_not_answer_ends_with_the_time_limit_and_is_not_asked_for_again(clock, no_answer):
    policy = expired(clock, no_answer, left=0.01)
    for _ in range(3):
        with pytest.raises(RegistryError, match='did not answer'):
            ask(policy)
    assert no_answer.asked == 1


def test_a_stop_does_not_wait_for_a_sign_in(clock, no_answer):
    policy = expired(clock, no_answer, left=math.inf)

    async def stopped():
        asking = asyncio.ensure_future(policy.send(request_to(**{REPOSITORY_OPTION: 'a'})))
        assert await asyncio.to_thread(no_answer.begun.wait, 60)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return asking.cancelled()

    assert asyncio.run(stopped()) and not no_answer.over.is_set()


@pytest.mark.parametrize('options, waited', [({PROMISED_OPTION: True}, 5), ({}, 0)])
def test_what_was_promised_to_be_sent_waits_for_good_tokens_when_the_time_is_over(clock, options, waited):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    wire = Wire((200, None), *[(401, 'invalid_token')] * 3)
    book = TokenBook(HOST, Password('u', 'p'), clock())
    policy = TokenPolicy(HOST, book, no_sign_in, Issuer(clock), clock, clock, left=lambda: -1.0)
    policy.next = wire
    ask(policy)
    context = PipelineContext(SimpleNamespace(sleep=sleep), **{REPOSITORY_OPTION: 'a', **options})
    asyncio.run(policy.send(PipelineRequest(HttpRequest('PATCH', f'https://{HOST}/acr/v1/a'), context)))
    assert slept[0] == waited and len(wire.tokens) == 5


def test_what_was_promised_to_be_sent_gets_each_of_its_tokens_whatever_the_time(clock):
    issuer = Issuer(clock)
    policy = paced(Wire((200, None), (401, 'invalid_token')), issuer, clock)
    ask(policy)
    asyncio.run(policy.send(request_to(method='PATCH', **{REPOSITORY_OPTION: 'a', PROMISED_OPTION: True})))
    assert issuer.promised == [False, True]


@pytest.mark.parametrize(
    'method, status, kind',
    [('DELETE', 503, Kind.UNAVAILABLE), ('DELETE', 429, Kind.OUT_OF_TIME), ('GET', 503, Kind.OUT_OF_TIME)],
)
def test_a_change_that_may_be_done_is_no_late_one_when_its_next_try_gets_no_token(clock, method, status, kind):
    issued = Issuer(clock)

    async def issue(form, promised):
        if issued.forms:
            raise RegistryError(Kind.OUT_OF_TIME, 'its turn did not come in time')
        return await issued(form, promised)

    async def send_twice():
        request = request_to(method=method, **{REPOSITORY_OPTION: 'a'})
        await policy.send(request)
        clock.now += 10_000
        await policy.send(request)

    policy = paced(Wire((status, None)), issue, clock)
    with pytest.raises(RegistryError) as raised:
        asyncio.run(send_twice())
    assert raised.value.kind is kind


def answered(retry_after):
    headers = {} if retry_after is None else {'Retry-After': retry_after}
    request = HttpRequest('GET', f'https://{HOST}/')
    return PipelineResponse(request, SimpleNamespace(status_code=429, headers=headers), PipelineContext(None))


@pytest.mark.parametrize('header, seconds', [(None, None), ('0', 0), ('1', 1), ('59', 59), ('60', 60), ('3600', 60)])
def test_retry_after_is_honoured_up_to_a_minute(header, seconds):
    assert Retry().get_retry_after(answered(header)) == seconds


@pytest.mark.parametrize('tries, low, high', [(1, 0.2, 0.4), (2, 0.4, 0.8), (4, 1.6, 3.2), (9, 30, 60), (50, 30, 60)])
def test_waits_grow_are_spread_and_end_at_a_minute(tries, low, high):
    settings = {'backoff': 0.4, 'history': [None] * tries}
    waits = [Retry().get_backoff_time(settings) for _ in range(300)]
    assert low <= min(waits) < low * 1.2
    assert high * 0.8 < max(waits) <= high


def test_what_is_sent_is_counted_and_so_is_what_is_refused():
    calls = CallCount()
    policy = CountingPolicy(calls)
    policy.next = Wire((429, None), (200, None), (429, None), (404, None))
    for _ in range(4):
        asyncio.run(policy.send(request_to()))
    assert calls == CallCount(sent=4, refused=2)
