"""A failing answer of the registry -> one error that says what it means.

Everything this project knows about failing answers is here; callers ask the error, never the status code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...prune_error import Kind, PruneError
from ...redaction import redacted
from ...spelling import one_line, printable

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')

_CHECK_NAME = 'Check that the name is that of a container registry.'

ADVICE = {
    Kind.UNAUTHENTICATED: "Check --username and --password, or sign in with 'az login'.",
    Kind.FORBIDDEN: 'Reading needs the roles AcrPull and the right to list the repositories; '
    'give --repository by name where the catalog may not be listed.',
    Kind.NOT_FOUND: _CHECK_NAME,
    Kind.BUSY: 'Try again later, or with a smaller --concurrency.',
    Kind.UNAVAILABLE: 'Try again later.',
    Kind.OUT_OF_TIME: 'The time was over before the repositories were listed: give a longer --time-limit.',
    Kind.UNREACHABLE: 'Check the network, a proxy, and the certificate of the server.',
    Kind.MALFORMED: 'Leave the repository out, or have a look at it with --debug.',
    Kind.NOT_A_REGISTRY: _CHECK_NAME,
}
"""What to do where a whole command fails by an error of the registry."""


class RegistryError(PruneError):
    """The registry did not do what it was asked.

    `status` and `code` are those of its answer, `actions` the permissions that the identity lacks.
    """

    sentence = "The registry '{registry}' could not be read: {message}."

    def __init__(
        self,
        kind: Kind,
        message: str,
        status: int | None = None,
        code: str | None = None,
        actions: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, ADVICE.get(kind, 'Run the command again with --debug.'), kind)
        self.status = status
        self.code = redacted(code) if code else code
        self.actions = actions

    def __str__(self) -> str:
        return f'{self.message} ({self.code})' if self.code else self.message


@contextmanager
def change_errors() -> Iterator[None]:
    """Within it the errors of a request that changes something say so, where a whole command fails by one."""
    try:
        yield
    except RegistryError as error:
        error.sentence = "The registry '{registry}' did not carry out a change: {message}."
        raise


_LONGEST_MESSAGE = 500
_MOST_READ = 65_536
# Only these say that something is not there. A 404 of a gateway or a proxy says nothing about the registry, and
# what was not read must not be taken for a ghost.
_GONE = ('MANIFEST_UNKNOWN', 'NAME_UNKNOWN', 'TAG_UNKNOWN')
# A 404 may only mean that the `Accept` header lacks the type of what is there (google/go-containerregistry#1697).
_ACCEPT = re.compile(r'\baccept\b', re.IGNORECASE)
_KINDS = {403: Kind.FORBIDDEN, 429: Kind.BUSY}
# Only these say that something is locked. A proxy answers 405 too, to a method that it does not let through.
_LOCKED = ('REGISTRY_DISALLOWED_OPERATION', 'UNSUPPORTED')


def from_answer(status: int, challenge: str | None, body: bytes) -> RegistryError:
    """The error of an answer with this status, `WWW-Authenticate` header and body, after all retries."""
    code, message, actions = _first_error(body)
    message = one_line(redacted(message or ''), _LONGEST_MESSAGE)  # what is cut is not known any more
    gone = status == 404 and code in _GONE and not _ACCEPT.search(message)
    kind = Kind.NOT_FOUND if gone else _KINDS.get(status, Kind.UNAVAILABLE)
    if status == 405 and code in _LOCKED:
        kind = Kind.LOCKED
    if status == 401:
        lacking = parse_challenge(challenge or '').get('error') == 'insufficient_scope'
        kind = Kind.FORBIDDEN if lacking else Kind.UNAUTHENTICATED
    return RegistryError(kind, message or f'the registry answered with status {status}', status, code, actions)


def _first_error(body: bytes) -> tuple[str | None, str | None, tuple[str, ...]]:
    try:
        first = json.loads(body)['errors'][0]
        return text_or_none(first.get('code')), text_or_none(first.get('message')), _actions(first.get('detail'))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None, redacted(body[:_MOST_READ].decode('utf-8', 'replace'))[:200].strip() or None, ()


def _actions(detail: Any) -> tuple[str, ...]:
    entries: list[dict[str, Any]] = detail if isinstance(detail, list) else []
    actions = (text_or_none(entry.get('Action')) for entry in entries if isinstance(entry, dict))
    return tuple(action for action in actions if action)


def parse_challenge(header: str) -> dict[str, str]:
    """The parameters of a Bearer challenge (`realm`, `service`, `scope`, `error`); empty for any other scheme.

    No library that azure-cli ships reads `WWW-Authenticate` in public.
    """
    scheme, _, parameters = header.partition(' ')
    return dict(_PARAMETER.findall(parameters)) if scheme.lower() == 'bearer' else {}


def text_or_none(value: Any) -> str | None:
    """The value if it is text; a hostile answer may have anything in its place.

    It will reach a terminal: what is not printable is shown as a question mark.
    """
    if not isinstance(value, str):
        return None
    return printable(value, longest=None)
