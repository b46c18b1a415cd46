"""Which registries a command is for that takes several: those that are named, or those that Azure lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from azure.cli.core.azclierror import UnauthorizedError, UserFault
from knack.util import CLIError

from ..prune_error import Kind, PruneError
from ..workers import TooLate, within
from .command import Command
from .options import FleetOptions
from .redacting import hide_secrets_in_the_log

Answer = TypeVar('Answer')

_KIND = '/providers/microsoft.containerregistry/registries/'
_GRAPH = '/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01'
_MOST_ROWS = 1_000
_MOST_PAGES = 1_000
_LONGEST_SECONDS = 300
_SELECTS = 'Begin with "resources | where type =~ \'microsoft.containerregistry/registries\'", and keep the column id.'
_LOOK_AGAIN = 'Look at what was asked for, and at the subscription.'
_READER = 'Listing needs the role Reader on the subscription, or on the registries.'


@dataclass(frozen=True)
class Chosen:
    """One of the registries of a command: how it is named for a sign-in to it.

    Where Azure listed it, its `subscription` and its `login_server` are known too.
    """

    registry_name: str
    suffix: str | None = None
    region: str | None = None
    resource_group_name: str | None = None
    subscription: str | None = None
    login_server: str | None = None

    @classmethod
    def of(cls, resource: str, login_server: str | None) -> Chosen:
        """The registry with this resource id. Raises ValueError where it is no registry."""
        place, _, name = resource.lower().partition(_KIND)
        scope = place.split('/')
        if len(scope) != 5 or not name.isalnum():
            raise ValueError(resource)
        return cls(name, None, None, resource.split('/')[4], scope[2], login_server and login_server.lower())

    @property
    def arguments(self) -> dict[str, Any]:
        """What a command on it alone is called with."""
        sign_in = {'registry_name': self.registry_name, 'suffix': self.suffix, 'region': self.region}
        return {**sign_in, **({'resource_group_name': self.resource_group_name} if self.subscription else {})}


def chosen(cmd: Command, named: object, options: FleetOptions) -> list[Chosen] | None:
    """The registries of a command, in the order of their names where Azure lists them; None where it is for one.

    `named` is the argument of --registry, as its validator leaves it. Raises PruneError where none is found, or not all
    can be listed.
    """
    if isinstance(named, list):
        return [Chosen(**each) for each in named]
    if not options.finds:
        return None
    hide_secrets_in_the_log()
    found = _queried(cmd, options.query_graph) if options.query_graph is not None else _tagged(cmd, options)
    once = {(each.subscription, each.registry_name): each for each in found}
    if not once:
        raise PruneError('No registry is found.', _LOOK_AGAIN, Kind.NOT_FOUND)
    return [once[key] for key in sorted(once, key=lambda key: (key[1], key[0] or ''))]


def listed(cmd: Command, group: str | None = None) -> list[Any]:
    """The registries of the subscription or of a resource group, as `az acr list` lists them. Raises PruneError."""
    from azure.cli.command_modules.acr._client_factory import get_acr_service_client
    from azure.core.exceptions import AzureError

    def ask() -> list[Any]:
        try:
            client = get_acr_service_client(cmd.cli_ctx).registries
            return list(client.list_by_resource_group(group) if group else client.list())
        except AzureError as error:
            raise _unlisted(str(getattr(error, 'message', error)), getattr(error, 'status_code', None)) from error

    return _asked(ask)


def _tagged(cmd: Command, options: FleetOptions) -> Iterator[Chosen]:
    """Those that have all of the tags."""
    for registry in listed(cmd, options.resource_group_name):
        if _has_tags(registry.tags or {}, options.tag):
            yield Chosen.of(registry.id, registry.login_server)


def _has_tags(tags: Mapping[str, str], wanted: Iterable[str]) -> bool:
    """Whether a registry has each of the tags `key=value`, or `key` with any value. Azure ignores the case of keys."""
    known = {key.lower(): value for key, value in tags.items()}
    for each in wanted:
        key, is_exact, value = each.partition('=')
        if key.lower() not in known or is_exact and known[key.lower()] != value:
            return False
    return True


def _queried(cmd: Command, query: str) -> Iterator[Chosen]:
    """The registries that a query over the resources finds, in every subscription or in that of --subscription."""
    asked: dict[str, Any] = {'query': query}
    subscription = cmd.cli_ctx.data.get('subscription_id')
    if subscription:
        asked['subscriptions'] = [subscription]
    token = None
    for _ in range(_MOST_PAGES):
        options = {'resultFormat': 'objectArray', '$top': _MOST_ROWS, **({'$skipToken': token} if token else {})}
        page = _asked(partial(_page, cmd, {**asked, 'options': options}))
        for row in page['data']:
            yield _row(row)
        token = page.get('$skipToken')
        if not token:
            break
    if token or str(page.get('resultTruncated')).lower() == 'true':
        raise PruneError('The query finds more than Resource Graph gives.', _SELECTS, Kind.INVALID)


def _row(row: Any) -> Chosen:
    resource, properties = (row.get('id'), row.get('properties')) if isinstance(row, dict) else (None, None)
    server = properties.get('loginServer') if isinstance(properties, dict) else None
    try:
        return Chosen.of(str(resource or ''), server)
    except ValueError as error:
        what = f"finds '{resource}', which is no registry" if resource else 'gives rows without the column id'
        raise PruneError(f'The query {what}.', _SELECTS, Kind.INVALID) from error


def _page(cmd: Command, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """One page of the answer of Resource Graph, asked as `az rest` does."""
    from azure.cli.core.azclierror import HTTPError
    from azure.cli.core.util import send_raw_request
    from requests import RequestException

    try:
        answer = send_raw_request(cmd.cli_ctx, 'POST', _GRAPH, body=json.dumps(body)).json()
    except HTTPError as error:
        raise _unlisted(_said(error.response), error.response.status_code) from error
    except RequestException as error:  # an answer that is no JSON is one, too
        raise _unlisted(str(error), None) from error
    except RecursionError as error:
        raise _unlisted('Resource Graph answers with something else than rows', None) from error
    if not isinstance(answer, dict) or not isinstance(answer.get('data'), list):
        raise _unlisted('Resource Graph answers with something else than rows', None)
    return answer


def _said(response: Any) -> str:
    """What an error of the resource manager says, with its details: they have what is wrong in a query."""
    try:
        error = response.json()['error']
        texts = [error['message'], *(each['message'] for each in error.get('details') or ())]
        return ' '.join(map(str, texts))
    except (ValueError, KeyError, TypeError, RecursionError):
        return str(response.reason)


def _unlisted(text: str, status: int | None) -> PruneError:
    """The error of registries that could not be listed."""
    kinds = {400: Kind.INVALID, 401: Kind.UNAUTHENTICATED, 403: Kind.FORBIDDEN, 429: Kind.BUSY}
    advice = {400: _SELECTS, 401: "Sign in again with 'az login'.", 403: _READER}
    first = text.strip().splitlines()[0].rstrip('.') if text.strip() else 'Azure does not say why'
    told = advice.get(status or 0, 'Try again later, and check the network.')
    return PruneError(f'The registries cannot be listed: {first}.', told, kinds.get(status or 0, Kind.UNAVAILABLE))


def _asked(work: Callable[[], Answer]) -> Answer:
    """What az's own code asks Azure, which has no limit for a whole answer. Raises PruneError."""
    try:
        return within(_LONGEST_SECONDS, work)
    except TooLate as error:
        raise PruneError('Azure did not list the registries in time.', 'Try again later.', Kind.OUT_OF_TIME) from error
    except UserFault:
        raise
    except CLIError as error:  # as az says that nobody is signed in
        raise UnauthorizedError(
            str(error), recommendation="Sign in with 'az login', or name the registries with --registry."
        ) from error
