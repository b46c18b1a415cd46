"""ACR Tasks, identities and role assignments, by the clients that az itself uses.

The newest azure-cli has a client for tasks of its own, in which a call is answered at once; older ones have tasks in
the registry's client, in which it is waited for. Resources are JSON documents here, which both take and give.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from azure.cli.core.azclierror import UserFault
from knack.log import get_logger
from knack.util import CLIError

from ..prune_error import Kind, PruneError
from .command import Command
from .redacting import hide_secrets_in_the_log

if TYPE_CHECKING:
    from ..model import Document

logger = get_logger(__name__)

Result = TypeVar('Result')

_KINDS = {401: Kind.UNAUTHENTICATED, 403: Kind.FORBIDDEN, 404: Kind.NOT_FOUND, 429: Kind.BUSY}
_ADVICE = {
    Kind.UNAUTHENTICATED: "Sign in again with 'az login'.",
    Kind.FORBIDDEN: 'Creating a schedule needs the role Contributor on the registry; seeing one, the role Reader.',
    Kind.NOT_FOUND: 'Check the name, the resource group, and the subscription.',
}
_LATER = 'Try again later.'
_LONGEST_LOG_BYTES = 64 << 20


class RegistryResource:
    """A registry as the resource manager has it. `group` is its resource group."""

    def __init__(self, document: Document) -> None:
        self.id = str(document['id'])
        self.name = str(document['name'])
        self.location = str(document['location'])
        self.properties: Document = document.get('properties') or {}

    @property
    def group(self) -> str:
        return self.id.split('/')[4]

    @property
    def login_server(self) -> str:
        """In small letters; empty where the resource manager does not say it."""
        return str(self.properties.get('loginServer', '')).lower()


class TaskService:
    """The tasks of one registry. Every method raises PruneError."""

    def __init__(self, cmd: Command, registry: RegistryResource) -> None:
        from azure.cli.command_modules.acr import _client_factory as clients

        hide_secrets_in_the_log()  # the address of a log has a signature in it
        self._place = registry.group, registry.name
        self._tasks = clients.cf_acr_tasks(cmd.cli_ctx)
        self._runs = clients.cf_acr_runs(cmd.cli_ctx)
        self._registries = clients.cf_acr_registries_tasks(cmd.cli_ctx)

    def task(self, name: str) -> Document | None:
        """A task; None where there is none."""
        with _told('The task'):
            return _if_any(lambda: document_of(self._tasks.get(*self._place, name)))

    def all(self) -> list[Document]:
        with _told('The list of tasks'):
            return [document_of(task) for task in self._tasks.list(*self._place)]

    def put(self, name: str, document: Document) -> Document:
        """Create a task, or put another one in its place."""
        body = json.dumps(document).encode()
        with _told('The task'):
            return document_of(_done(self._tasks, 'create')(*self._place, name, body))

    def delete(self, name: str) -> None:
        with _told('The task'):
            _if_any(lambda: _done(self._tasks, 'delete')(*self._place, name))

    def start(self, task_id: str) -> Document:
        """Have a task run now; gives the run."""
        body = json.dumps({'type': 'TaskRunRequest', 'taskId': task_id}).encode()
        with _told('The run'):
            return document_of(_done(self._registries, 'schedule_run')(*self._place, body))

    def last_run(self, task: str) -> Document | None:
        with _told('The list of runs'):
            runs = self._runs.list(*self._place, filter=f"TaskName eq '{task}'", top=1)
            return next((document_of(run) for run in runs), None)

    def run(self, run_id: str) -> Document | None:
        with _told('The run'):
            return _if_any(lambda: document_of(self._runs.get(*self._place, run_id)))

    def log(self, run_id: str) -> str | None:
        """What a run wrote; None where the service has no log of it."""
        with _told('The log of the run'):
            link = _if_any(lambda: self._runs.get_log_sas_url(*self._place, run_id).log_link)
        return _text_at(str(link)) if link else None


def registry_resource(cmd: Command, name: str, group: str | None) -> RegistryResource:
    """What the resource manager says of a registry. Raises PruneError."""
    from azure.cli.command_modules.acr._utils import get_registry_by_name

    with _told('The registry'):
        return RegistryResource(document_of(get_registry_by_name(cmd.cli_ctx, name, group)[0]))


def identity_ids(cmd: Command, identity: str) -> tuple[str, str]:
    """(object id, client id) of a user-assigned identity, by its resource id. Raises PruneError."""
    from azure.cli.core.commands.client_factory import get_mgmt_service_client
    from azure.cli.core.profiles import ResourceType

    parts = identity.split('/')
    with _told('The identity'):
        client = get_mgmt_service_client(cmd.cli_ctx, ResourceType.MGMT_MSI, subscription_id=parts[2])
        document = document_of(client.user_assigned_identities.get(parts[4], parts[8]))
    return str(document['properties']['principalId']), str(document['properties']['clientId'])


def storage_account_id(cmd: Command, name: str) -> str:
    """The resource id of a storage account of the subscription. Raises PruneError."""
    from azure.cli.core.commands.client_factory import get_mgmt_service_client
    from azure.cli.core.profiles import ResourceType

    with _told('The list of storage accounts'):
        client = get_mgmt_service_client(cmd.cli_ctx, ResourceType.MGMT_RESOURCE_RESOURCES)
        wanted = f"resourceType eq 'Microsoft.Storage/storageAccounts' and name eq '{name}'"
        found = next((str(each.id) for each in client.resources.list(filter=wanted) if each.name == name), None)
    if found is None:
        raise PruneError(
            f"There is no storage account '{name}' in the subscription.",
            'Give --no-role-assignment, and assign the role to the identity where the account is.',
            Kind.NOT_FOUND,
        )
    return found


def role_definition(cmd: Command, scope: str, role: str) -> str:
    """The resource id of a role, by its name. Raises PruneError."""
    with _told('The role'):
        listed = _authorization(cmd, scope).role_definitions.list(scope, filter=f"roleName eq '{role}'")
        found = next(iter(listed), None)
    if found is None:
        raise PruneError(
            f"The service lists no role '{role}' at {scope}.",
            'Give --no-role-assignment, and have the role assigned by who can see it.',
            Kind.NOT_FOUND,
        )
    return str(found.id)


def assign_role(cmd: Command, scope: str, definition: str, principal: str, name: str) -> bool:
    """Assign a role, by the resource id of its definition; whether that is new. Raises PruneError."""
    from azure.core.exceptions import ResourceExistsError

    with _told('The role assignment'):
        client = _authorization(cmd, scope)
        there = client.role_assignments.list_for_scope(scope, filter=f"principalId eq '{principal}'")
        if any(_is_of(document_of(each)['properties'], scope, definition) for each in there):
            return False
        wanted = {'roleDefinitionId': definition, 'principalId': principal, 'principalType': 'ServicePrincipal'}
        try:
            client.role_assignments.create(scope, name, json.dumps({'properties': wanted}).encode())
        except ResourceExistsError:
            return False
    return True


def _authorization(cmd: Command, scope: str) -> Any:
    """The client for the roles of the subscription that a scope is in."""
    from azure.cli.core.commands.client_factory import get_mgmt_service_client
    from azure.cli.core.profiles import ResourceType

    return get_mgmt_service_client(cmd.cli_ctx, ResourceType.MGMT_AUTHORIZATION, subscription_id=scope.split('/')[2])


def _is_of(properties: Document, scope: str, definition: str) -> bool:
    """Whether a role assignment is for this scope, or one above it, and of this role."""
    above, role = str(properties.get('scope')).lower(), str(properties.get('roleDefinitionId')).lower()
    is_above = f'{scope.lower()}/'.startswith(f'{above.rstrip("/")}/')
    return is_above and role.rpartition('/')[2] == definition.lower().rpartition('/')[2]


def document_of(model: Any) -> Document:
    """A resource as JSON, whichever client it comes from."""
    document: Document = model.serialize(keep_readonly=True) if hasattr(model, 'serialize') else model.as_dict()
    return document


def _done(operations: Any, verb: str) -> Callable[..., Any]:
    """A verb that is over when it answers."""
    at_once = getattr(operations, verb, None)
    if at_once:
        return at_once
    begin = getattr(operations, f'begin_{verb}')
    return lambda *arguments: begin(*arguments).result()


def _if_any(ask: Callable[[], Result]) -> Result | None:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return ask()
    except ResourceNotFoundError:
        return None


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Errors of az's clients as ours."""
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except UserFault:
        raise
    except HttpResponseError as error:
        kind = _KINDS.get(error.status_code or 0, Kind.UNAVAILABLE)
        said = ' '.join(str(getattr(error.error, 'message', None) or error.reason or error.message).split())
        raise PruneError(f'{what}: {said.rstrip(".")}.', _ADVICE.get(kind, _LATER), kind) from error
    except AzureError as error:
        raise PruneError(f'{what}: {error.message}', 'Check the network.', Kind.UNREACHABLE) from error
    except ValueError as error:  # the client raises it for an error whose body is no JSON
        raise PruneError(
            f'{what}: the answer of the resource manager cannot be read.',
            'Check that no proxy answers in its place, and try again later.',
            Kind.MALFORMED,
        ) from error
    except CLIError as error:  # as az says that nobody is signed in, or that it finds no such registry
        kind = Kind.UNAUTHENTICATED if 'az login' in str(error) else Kind.NOT_FOUND
        raise PruneError(f'{what}: {error}', _ADVICE[kind], kind) from error


def _text_at(link: str) -> str | None:
    """What a link with a signature leads to. It is in no log."""
    from azure.core import PipelineClient
    from azure.core.exceptions import AzureError
    from azure.core.pipeline.policies import RetryPolicy
    from azure.core.rest import HttpRequest

    try:
        client: Any = PipelineClient(link, policies=[RetryPolicy()])
        with client:
            answer = client.send_request(HttpRequest('GET', link), stream=True)
            if answer.status_code != 200:
                return None
            data = bytearray()
            for part in answer.iter_bytes():
                data += part
                if len(data) > _LONGEST_LOG_BYTES:
                    logger.warning('The log is cut: it is longer than 64 MiB.')
                    break
    except AzureError as error:
        raise PruneError(
            'The log of the run could not be read.', 'Check the network, and try again later.', Kind.UNREACHABLE
        ) from error
    return data.decode('utf-8', 'replace')
