"""The SDK's client over our pipeline, and its errors as ours.

Imported inside a command only: azure-core is heavy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import AsyncPipeline, PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import ContentDecodePolicy
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from .protocol.answers import good
from .protocol.refusals import Kind, RegistryError, change_errors

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What the SDK raises for answers that are none of a registry; DecodeError is a HttpResponseError."""


def sdk_pipeline(pipeline: AsyncPipeline) -> AsyncPipeline:
    """The pipeline for the SDK's verbs: good answers are parsed for them, and all else is done by ours."""
    return AsyncPipeline(_Ours(pipeline), [_GoodAnswers()])


class _GoodAnswers(ContentDecodePolicy):
    """What a failing answer says is read from its bytes: it may be of a type that cannot be parsed."""

    def on_response(self, request: PipelineRequest, response: PipelineResponse) -> None:
        """Raises DecodeError."""
        if response.http_response.status_code < 300:
            super().on_response(request, response)


class _Ours(AsyncHttpTransport):
    """Our pipeline in the place of a transport. Whoever opened that pipeline closes it."""

    def __init__(self, pipeline: AsyncPipeline) -> None:
        self._pipeline = pipeline

    async def send(self, request: HttpRequest, **options: Any) -> AsyncHttpResponse:
        """Raises what our pipeline raises: azure-core's errors, RegistryError and Late."""
        sent = await self._pipeline.run(request, **options)
        return sent.http_response

    async def open(self) -> None:
        """It is open."""

    async def close(self) -> None:
        """It stays open."""

    async def __aexit__(self, *_: object) -> None:
        """It stays open."""


@contextmanager
def registry_errors() -> Iterator[None]:
    """Within it the errors of azure-core and of the SDK, whose verbs here all change something, are RegistryError."""
    with change_errors(), _mapped():
        yield


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except HttpResponseError as error:
        if error.response is not None:
            good(error.response)
        raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is not one of a container registry') from error
    except AzureError as error:
        raise RegistryError(Kind.UNREACHABLE, str(error.message)) from error
    except _UNREADABLE as error:
        raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is not one of a container registry') from error
