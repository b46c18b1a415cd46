"""The signed-in identity of az, and what it can ask Azure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from azure.cli.core.azclierror import UnauthorizedError, UserFault, ValidationError
from knack.util import CLIError

from .command import Command

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from ..archive.azure_calls import AzureCalls
    from ..sources.arm import ResourceManager
    from ..sources.loganalytics import RegistryLog
    from ..timelimit import TimeLimit


def pipeline_options(cmd: Command) -> dict[str, Any]:
    """az's own options for any client: user agent, headers, logging.

    The user agent names us: by it our own reads of manifests are told from pulls. az means to do that and does not.
    """
    from azure.cli.core.commands.client_factory import prepare_client_kwargs_track2

    from ..pins.pulls import OUR_USER_AGENT

    options = prepare_client_kwargs_track2(cmd.cli_ctx)
    options['user_agent_policy'].add_user_agent(OUR_USER_AGENT)
    return options


def who(cmd: Command, username: str | None) -> str:
    """Who does this, as az knows them: the name of a token, or of the signed-in account."""
    from azure.cli.core._profile import Profile

    try:
        return username or str(Profile(cli_ctx=cmd.cli_ctx).get_current_account_user())
    except CLIError:
        return 'unknown'


@contextmanager
def resource_manager(cmd: Command) -> Iterator[ResourceManager]:
    """The resource manager, for the subscription that is asked for. Raises UnauthorizedError without `az login`."""
    from ..sources.arm import ResourceManager, open_arm

    credential, subscription = _signed_in(cmd)
    endpoints = cmd.cli_ctx.cloud.endpoints
    with open_arm(
        endpoints.resource_manager, credential, endpoints.active_directory_resource_id, pipeline_options(cmd)
    ) as client:
        yield ResourceManager(client, endpoints.resource_manager, subscription)


@contextmanager
def registry_log(cmd: Command, workspace: str, login_server: str) -> Iterator[RegistryLog]:
    """The events of a registry in a workspace, given by its GUID, its name, or its resource id."""
    from azure.cli.core.cloud import CloudEndpointNotSetException

    from ..sources.loganalytics import RegistryLog, open_logs
    from ..sources.workspaces import workspace_guid

    try:
        endpoint = cmd.cli_ctx.cloud.endpoints.log_analytics_resource_id
    except CloudEndpointNotSetException as error:
        raise ValidationError(
            f"The cloud '{cmd.cli_ctx.cloud.name}' has no Log Analytics.",
            recommendation='Leave out --workspace, --pulled-within, and rules that ask for pulls.',
        ) from error
    credential, _ = _signed_in(cmd)
    with resource_manager(cmd) as manager:
        guid = workspace_guid(manager, workspace)
    with open_logs(endpoint, credential, pipeline_options(cmd)) as client:
        yield RegistryLog(client, guid, login_server)


_LIMIT = 'acrprune_time_limit'
"""Under which name the time limit of a command is kept."""


@contextmanager
def storage_within(cmd: Command, limit: TimeLimit) -> Iterator[None]:
    """Within it no storage account is waited for longer than this."""
    cmd.cli_ctx.data[_LIMIT] = limit
    try:
        yield
    finally:
        del cmd.cli_ctx.data[_LIMIT]


def storage_container(cmd: Command, account: str, container: str) -> tuple[Any, Any, AzureCalls]:
    """(a container of a storage account, the class of a block in it, what makes the calls).

    The client is the one that az itself uses. A connection string in az's configuration, or in
    AZURE_STORAGE_CONNECTION_STRING, says where an account is that it names, and signs in to it.
    """
    from azure.cli.command_modules.storage._client_factory import cf_blob_service
    from azure.cli.core.profiles import ResourceType, get_sdk

    from ..archive.azure_calls import AzureCalls
    from ..timelimit import NO_LIMIT

    connection = cmd.cli_ctx.config.get('storage', 'connection_string', fallback='')
    if f';AccountName={account};' in f';{connection};':
        options: dict[str, Any] = {'connection_string': connection}
    else:
        options = {'account_name': account, 'token_credential': _signed_in(cmd)[0]}
    service = cf_blob_service(cmd.cli_ctx, options)
    block = get_sdk(cmd.cli_ctx, ResourceType.DATA_STORAGE_BLOB, '_models#BlobBlock')
    calls = AzureCalls(lambda: cmd.cli_ctx.data.get(_LIMIT, NO_LIMIT))
    return service.get_container_client(container), block, calls


_OWN = 'acrprune_own_subscription'
"""Under which name the subscription of --subscription is kept while a registry in another one is worked on."""


@contextmanager
def in_subscription(cmd: Command, subscription: str | None) -> Iterator[None]:
    """Within it az's own clients look for registries there; None is where they look anyway.

    What is asked for pins, logs and storage stays where it is: in the subscription of --subscription, or az's own one.
    """
    data = cmd.cli_ctx.data
    before = data[_OWN] = data.get('subscription_id')
    data['subscription_id'] = subscription or before
    try:
        yield
    finally:
        data['subscription_id'] = data.pop(_OWN)


def _signed_in(cmd: Command) -> tuple[TokenCredential, str]:
    """(credential, subscription): that of --subscription, or else az's own one."""
    from azure.cli.core._profile import Profile

    data = cmd.cli_ctx.data
    asked = data.get(_OWN, data.get('subscription_id'))
    try:
        credential, subscription, _ = Profile(cli_ctx=cmd.cli_ctx).get_login_credentials(subscription_id=asked)
    except UserFault:
        raise
    except CLIError as error:
        raise UnauthorizedError(
            str(error), recommendation="Sign in with 'az login': the password of a registry opens nothing else."
        ) from error
    return credential, subscription
