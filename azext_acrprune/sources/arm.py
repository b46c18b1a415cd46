"""Reads of the resource manager: whole collections, page by page, or an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from azure.core import PipelineClient
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import (
    BearerTokenCredentialPolicy,
    HeadersPolicy,
    NetworkTraceLoggingPolicy,
    RetryPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest

from .failure import AskError

_SECONDS_FOR_AN_ANSWER = 60
_SECONDS_FOR_ALL = 300
_MOST_PAGES = 10_000

_ADVICE = {
    401: "Sign in again with 'az login'.",
    403: 'Reading needs the role Reader on it.',
    404: 'Check the name, the resource group, and the subscription.',
    429: 'Too much is asked of the resource manager; try again later.',
}

Resource = dict[str, Any]


class ResourceManager:
    """What the resource manager of a cloud says, as one identity sees it. Every method raises AskError."""

    def __init__(self, client: PipelineClient, endpoint: str, subscription: str) -> None:
        self.subscription = subscription
        self._client = client
        self._endpoint = endpoint.rstrip('/')

    def every(self, what: str, path: str, version: str) -> list[Resource]:
        """All items of a collection; `what` names it in errors, `path` begins with `/subscriptions/...`."""
        return list(self._pages(what, f'{self._endpoint}{path}?api-version={version}'))

    def every_if_any(self, what: str, path: str, version: str, query: str = '') -> list[Resource]:
        """All items of a collection; none where it does not exist, as for a kind of resource that nobody registered.

        `query` is more of what is asked for, as `&name=value`. A page that is gone is an error: the others were there.
        """
        url = f'{self._endpoint}{path}?api-version={version}{query}'
        try:
            first = self._send(what, 'GET', url)
        except AskError as error:
            if error.status in (404, 409):
                return []
            raise
        return list(self._pages(what, url, first))

    def one(self, what: str, path: str, version: str, method: str = 'GET') -> Resource:
        """One resource, or with POST the answer to a question about it."""
        answer = self._send(what, method, f'{self._endpoint}{path}?api-version={version}')
        if not isinstance(answer, dict):
            raise AskError(what, 'the resource manager answers with something else')
        return answer

    def _pages(self, what: str, url: Any, answer: Any = None) -> Iterator[Resource]:
        """The items of all pages from a URL on; `answer` is the first page where it was read already."""
        seen: set[str] = set()
        while url:
            if not isinstance(url, str) or _place(url) != _place(self._endpoint):  # our token goes to nobody else
                raise AskError(what, 'the next page is not one of the resource manager')
            if url in seen or len(seen) >= _MOST_PAGES:
                raise AskError(what, 'the pages of the resource manager have no end')
            seen.add(url)
            answer = self._send(what, 'GET', url) if answer is None else answer
            items = answer.get('value') if isinstance(answer, dict) else None
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise AskError(what, 'the resource manager answers with something else than a list')
            yield from items
            url, answer = answer.get('nextLink'), None

    def _send(self, what: str, method: str, url: str) -> Any:
        unlogged = {'logging_enable': False} if method == 'POST' else {}  # such answers are credentials
        try:
            response = self._client.send_request(
                HttpRequest(method, url, headers={'Accept': 'application/json'}), **unlogged
            )
        except AzureError as error:
            raise AskError(
                what, str(error.message), 'Check the network, a proxy, and the certificate of the server.'
            ) from error
        if response.status_code != 200:
            raise AskError(what, _message(response), _ADVICE.get(response.status_code), response.status_code)
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise AskError(what, 'the answer of the resource manager is cut off, or is not JSON') from error


def open_arm(endpoint: str, credential: Any, audience: str, options: dict[str, Any]) -> PipelineClient:
    """A client of the resource manager; `options` are az's own (user agent, logging)."""
    given = dict(options)
    policies: list[Any] = [
        HeadersPolicy(given.pop('headers', None)),
        given.pop('user_agent_policy', None) or UserAgentPolicy(given.pop('user_agent', None)),
        RetryPolicy(retry_total=3, retry_backoff_factor=0.4, timeout=_SECONDS_FOR_ALL),
        BearerTokenCredentialPolicy(credential, f'{audience.rstrip("/")}/.default'),
        given.pop('logging_policy', None) or NetworkTraceLoggingPolicy(),
    ]
    return PipelineClient(endpoint, policies=policies, read_timeout=_SECONDS_FOR_AN_ANSWER, **given)


def _place(url: str) -> tuple[str, str | None, int | None]:
    """Who is asked: services write their port into some of their links."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {'https': 443, 'http': 80}.get(parts.scheme)
    except ValueError:
        return '', None, None


def _message(response: Any) -> str:
    try:
        text = response.json()['error']['message']
    except (ValueError, KeyError, TypeError, RecursionError):
        text = response.reason
    return f'{" ".join(str(text).split()).rstrip(".")} ({response.status_code})'
