"""What an answer says, and whether it is one of the service: a proxy or the sign-in page of a network answers too.

Answers are those of azure-core: of its older class, or of the newer one for the SDK's verbs. Both have `body()`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from .listings import malformed
from .refusals import Kind, RegistryError, from_answer

Parsed = TypeVar('Parsed')

_DONE = 202
_PARTIAL = 206


def good(response: Any) -> Any:
    """The answer, if it is no failing one. Raises RegistryError."""
    if response.status_code >= 300:
        raise from_answer(response.status_code, response.headers.get('WWW-Authenticate'), response.body())
    return response


def done(response: Any) -> Any:
    """The answer, if it is the one that the service gives to a deletion: 202, and no body. Raises RegistryError.

    A proxy, or the page of a network that wants to be signed in to, answers too, and has deleted nothing.
    """
    if good(response).status_code != _DONE or response.body().strip():
        raise RegistryError(
            Kind.NOT_A_REGISTRY, 'The answer is not one that a container registry gives to this', response.status_code
        )
    return response


def own(response: Any) -> Any:
    """The answer, if it is a good one and no page for people. Raises RegistryError."""
    if good(response).body().lstrip().startswith(b'<'):
        raise RegistryError(Kind.NOT_A_REGISTRY, 'The answer is not one of a container registry', response.status_code)
    return response


def parsed(answer: Any, parse: Callable[[Any], Parsed]) -> Parsed:
    """What an answer says. Raises RegistryError when it is none of a registry.

    A part of an answer (206) is none: a listing without its end would be one without what is there.
    """
    try:
        if answer.status_code == _PARTIAL:
            raise ValueError('it is only a part')
        return parse(json.loads(answer.body(), object_pairs_hook=_object))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RegistryError(
            Kind.NOT_A_REGISTRY, 'The answer is not one of a container registry', answer.status_code
        ) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # others may read the other one
        raise malformed('a key is there twice')
    return found
