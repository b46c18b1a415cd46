"""az's own sign-in -> a way to get tokens for one registry.

azure-cli does all of it: `az login` identities over AAD and `/oauth2/exchange`, `-u/-p`, and the admin user where
AAD is refused. This module only gives its result a shape, and its untyped errors a type.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from azure.cli.core.azclierror import AzureConnectionError, UnauthorizedError, UserFault
from knack.util import CLIError

from ..model import Account
from ..redaction import redacted
from ..spelling import one_line
from .protocol.refusals import Kind, RegistryError
from .protocol.tokens import Credential, Password, RefreshToken

_LONGEST_REASON = 200
_TOO_LARGE = 2**63


@dataclass(frozen=True)
class SignIn:
    """Where the registry is and how to get tokens for it; `renew` signs in again."""

    host: str
    credential: Credential
    renew: Callable[[], Credential]


@dataclass(frozen=True)
class RegistryFacts:
    """What the resource manager says of a registry, where this identity may ask it.

    A policy that is off has None for its days. `regions` are the places where the registry is, its own included: None
    where they could not be told, empty where its SKU has one place alone. `regional_endpoints` are the hosts that speak
    to one of them each. `cache_rules` are the repositories, or with `*` at the end their prefixes, into which the
    registry itself brings what somebody pulls: None where they could not be told.
    """

    soft_delete_days: int | None = None
    sku: str | None = None
    retention_days: int | None = None
    regions: tuple[str, ...] | None = None
    regional_endpoints: tuple[str, ...] = ()
    cache_rules: tuple[str, ...] | None = ()

    @property
    def known(self) -> bool:
        """Whether the resource manager said anything."""
        return self.sku is not None


def sign_in(
    cmd: Any, name: str, resource_group: str | None, suffix: str | None, username: str | None, password: str | None
) -> SignIn:
    """Sign in to a registry by its name, as every `az acr` command does.

    Raises AzureConnectionError when it cannot be reached, UnauthorizedError when nobody could be signed in.
    """

    def ask() -> tuple:
        from azure.cli.command_modules.acr._docker_utils import EMPTY_GUID, get_login_credentials

        with _typed_errors(name):
            host, user, secret = get_login_credentials(
                cmd,
                name,
                tenant_suffix=suffix,
                username=username,
                password=password,
                resource_group_name=resource_group,
            )
        return host, RefreshToken(secret) if user == EMPTY_GUID else Password(user, secret)

    def renew() -> Credential:
        try:
            return ask()[1]
        except CLIError as error:  # in the middle of the work: an error of the registry like any other
            raise RegistryError(Kind.UNAUTHENTICATED, str(error)) from error

    host, credential = ask()
    return SignIn(host, credential, renew)


def registry_facts(cmd: Any, name: str, resource_group: str | None) -> RegistryFacts:
    """Ask the resource manager; nothing is known when this identity is not signed in or may not ask."""
    from azure.cli.command_modules.acr._utils import get_registry_by_name
    from azure.core.exceptions import AzureError

    try:
        registry, group = get_registry_by_name(cmd.cli_ctx, name, resource_group)
    except (CLIError, AzureError):
        return RegistryFacts()
    policies = getattr(registry, 'policies', None)
    sku = _plain(getattr(getattr(registry, 'sku', None), 'name', None))
    sku = sku if isinstance(sku, str) else None
    return RegistryFacts(
        _days(getattr(policies, 'soft_delete_policy', None), 'retention_days'),
        sku,
        _days(getattr(policies, 'retention_policy', None), 'days'),
        _regions_of(cmd, group, name, sku),
        _regional_endpoints(registry),
        _cache_rules_of(cmd, group, name) if sku else (),
    )


def _regional_endpoints(registry: Any) -> tuple[str, ...]:
    """The hosts that speak to one region each, that of the region where the registry is at home first."""
    hosts: list[str] = [str(host).lower() for host in getattr(registry, 'regional_endpoint_host_names', None) or ()]
    home = f'.{getattr(registry, "location", "")}.'.lower()
    return tuple(sorted(hosts, key=lambda host: home not in host))


def _days(policy: Any, name: str) -> int | None:
    """The days of a policy that is on."""
    return getattr(policy, name, None) if _plain(getattr(policy, 'status', None)) == 'enabled' else None


def _plain(value: Any) -> Any:
    """Newer clients make a member of an enumeration of what they know."""
    return getattr(value, 'value', value)


def _regions_of(cmd: Any, group: str | None, name: str, sku: str | None) -> tuple[str, ...] | None:
    """Where the registry is. Only Premium has replications, of which its own region is one."""
    from azure.cli.command_modules.acr._client_factory import get_acr_service_client
    from azure.cli.command_modules.acr._utils import get_resource_group_name_by_registry_name
    from azure.core.exceptions import AzureError

    if sku != 'Premium':
        return () if sku else None
    with _quiet_client():
        try:
            group = group or get_resource_group_name_by_registry_name(cmd.cli_ctx, name, None)
            found = get_acr_service_client(cmd.cli_ctx).replications.list(group, name)
            return tuple(sorted({str(replication.location) for replication in found}))
        except (CLIError, AzureError, AttributeError, ValueError):
            return None


def _cache_rules_of(cmd: Any, group: str | None, name: str) -> tuple[str, ...] | None:
    """The target repositories of the cache rules."""
    from azure.cli.command_modules.acr._client_factory import get_acr_service_client
    from azure.cli.command_modules.acr._utils import get_resource_group_name_by_registry_name
    from azure.core.exceptions import AzureError

    with _quiet_client():
        try:
            group = group or get_resource_group_name_by_registry_name(cmd.cli_ctx, name, None)
            rules = list(get_acr_service_client(cmd.cli_ctx).cache_rules.list(group, name))
        except (CLIError, AzureError, AttributeError, ValueError):
            return None
    targets = (getattr(getattr(rule, 'properties', rule), 'target_repository', None) for rule in rules)
    return tuple(sorted({target for target in targets if isinstance(target, str)}))


def registry_account(cmd: Any, name: str, resource_group: str | None, facts: RegistryFacts) -> Account:
    """Ask how much a registry uses, as `az acr show-usage` does, and in how many regions it is.

    What this identity may not ask, or is answered with something else, is not known.
    """
    from azure.cli.command_modules.acr._client_factory import get_acr_service_client
    from azure.cli.command_modules.acr._utils import get_resource_group_name_by_registry_name
    from azure.core.exceptions import AzureError

    known = Account(facts.sku, facts.soft_delete_days)
    with _quiet_client():
        try:
            group = get_resource_group_name_by_registry_name(cmd.cli_ctx, name, resource_group)
            client = get_acr_service_client(cmd.cli_ctx)
            usages = client.registries.list_usages(group, name)
        except (CLIError, AzureError, ValueError) as error:
            return replace(known, why=f'The real usage is not known: {_reason(error)}.')
        used, included = _usage_of(usages, 'Size')
        if used is None:
            return replace(known, why='The real usage is not known: the answer about it does not say.')
        return replace(
            known,
            used_bytes=used,
            included_bytes=included,
            limit_bytes=_usage_of(usages, 'MaximumStorageCapacity')[1],
            regions=_regions(client, group, name, facts.sku),
        )


@contextmanager
def _quiet_client() -> Iterator[None]:
    """The client logs the traceback of an error whose body is no JSON, as a proxy sends it, and raises it too."""
    logger = logging.getLogger('azure.mgmt')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _usage_of(usages: Any, name: str) -> tuple[int | None, int | None]:
    """(used bytes, their limit) in an answer about usages. The limit of `Size` is what the SKU includes."""
    listed = getattr(usages, 'value', None)
    for usage in listed if isinstance(listed, list) else ():
        if getattr(usage, 'name', None) == name:
            used, limit = getattr(usage, 'current_value', None), getattr(usage, 'limit', None)
            return used if _is_size(used) else None, limit if _is_size(limit) else None
    return None, None


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _TOO_LARGE


def _regions(client: Any, group: str, name: str, sku: str | None) -> int | None:
    """Where the registry is: its replications, of which its own region is one. Only Premium has others."""
    from azure.core.exceptions import AzureError

    if sku != 'Premium':
        return 1 if sku else None
    try:
        return max(1, len({str(replication.location) for replication in client.replications.list(group, name)}))
    except (AzureError, AttributeError, ValueError):
        return None


def _reason(error: Exception) -> str:
    """An error in a few words: the client's own text has the whole answer in it."""
    status = getattr(error, 'status_code', None)
    if status:
        return 'the answer about it cannot be read' if status == 200 else f'the resource manager answers {status}'
    return one_line(redacted(str(error)), _LONGEST_REASON).rstrip('.')


@contextmanager
def _typed_errors(name: str) -> Iterator[None]:
    try:
        yield
    except UserFault:
        raise
    except CLIError as error:
        text = redacted(str(error))
        if 'Could not connect' in text or 'could not be found' in text:
            raise AzureConnectionError(
                text,
                recommendation=f"Check the name '{name}' and the network, for example "
                f"with 'az acr check-health --name {name}'.",
            ) from error
        raise UnauthorizedError(
            text,
            recommendation="Sign in with 'az login', or give --username and --password of a token of this registry.",
        ) from error
