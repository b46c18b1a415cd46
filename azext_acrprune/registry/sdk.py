"""What the SDK's client needs in our pipeline, and its errors as ours.

Imported inside a command only: azure-core is heavy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import ContentDecodePolicy

from .protocol.answers import good
from .protocol.refusals import Kind, RegistryError, change_errors

_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What the SDK raises for answers that are none of a registry; DecodeError is a HttpResponseError."""


class SdkAnswers(ContentDecodePolicy):
    """Parses good answers for the SDK's verbs. Only these say that they want no stream; our own verbs parse theirs.

    What a failing answer says is read from its bytes: it may be of a type that cannot be parsed.
    """

    def on_response(self, request: PipelineRequest, response: PipelineResponse) -> None:
        """Raises DecodeError."""
        if response.context.options.get('stream') is False and response.http_response.status_code < 300:
            super().on_response(request, response)


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
