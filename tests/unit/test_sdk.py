"""What the SDK's client needs in our pipeline, and its errors as ours."""

from __future__ import annotations

import asyncio

import pytest
from azure.containerregistry.aio import ContainerRegistryClient
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline import AsyncPipeline
from azure.core.pipeline.transport import AsyncHttpTransport

from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.sdk import registry_errors, sdk_pipeline


class Response:
    """An answer that was read."""

    reason = 'reason'
    headers: dict[str, str] = {}

    def __init__(self, status, content, content_type):
        self.status_code = status
        self.content = content
        self.content_type = content_type

    def text(self, _=None):
        return self.content.decode()

    def body(self):
        return self.content

    async def read(self):
        return self.content


class Transport(AsyncHttpTransport):
    """Gives the one answer, or raises it."""

    def __init__(self, answer):
        self._answer = answer

    async def send(self, request, **options):
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def open(self):
        pass

    async def close(self):
        pass

    async def __aexit__(self, *_):
        pass


def outcome(answer):
    """The kind and the text of the error of a verb of the SDK."""
    client = ContainerRegistryClient('https://a.example', pipeline=sdk_pipeline(AsyncPipeline(Transport(answer))))

    async def call():
        with registry_errors():
            await client.update_tag_properties('team/app', 'v1', can_delete=False)

    with pytest.raises(RegistryError) as raised:
        asyncio.run(call())
    return raised.value.kind, str(raised.value)


REFUSAL = b'{"errors":[{"code":"DENIED","message":"not you"}]}'


@pytest.mark.parametrize(
    'content_type', ['application/json', 'text/html', 'application/octet-stream', 'image/png', None]
)
def test_a_failing_answer_is_read_whatever_it_says_it_is(content_type):
    assert outcome(Response(403, REFUSAL, content_type)) == (Kind.FORBIDDEN, 'not you (DENIED)')


@pytest.mark.parametrize('status', [404, 409, 401, 502])
@pytest.mark.parametrize('content', [b'', b'<html>', b'{', b'[1]', b'\xff'])
def test_a_failing_answer_of_something_else_keeps_its_status(status, content):
    kind, _ = outcome(Response(status, content, 'application/octet-stream'))
    assert kind is (Kind.UNAUTHENTICATED if status == 401 else Kind.UNAVAILABLE)


@pytest.mark.parametrize(
    'content_type', ['application/json', 'text/html', 'application/octet-stream', 'text/xml', None]
)
@pytest.mark.parametrize('content', [b'', b'<html>', b'{', b'[1]', b'{"tag": 1}', b'{"tag": []}', b'\xff', b'[' * 9999])
def test_a_good_answer_that_is_none_of_a_registry_is_an_error(content, content_type):
    assert outcome(Response(200, content, content_type))[0] is Kind.NOT_A_REGISTRY


def test_a_good_answer_of_another_status_is_an_error():
    assert outcome(Response(202, b'{}', 'application/json'))[0] is Kind.NOT_A_REGISTRY


def test_what_was_not_answered_is_unreachable():
    assert outcome(ServiceRequestError('no route')) == (Kind.UNREACHABLE, 'no route')


def test_a_change_that_fails_is_not_told_as_something_that_could_not_be_read():
    with pytest.raises(RegistryError) as caught, registry_errors():
        raise ServiceRequestError('the network is down')
    sentence, _ = caught.value.told('contoso')
    assert sentence == "The registry 'contoso' did not carry out a change: the network is down."
