"""az's own sign-in -> a way to get tokens for one registry.

azure-cli does all of it: `az login` identities over AAD and `/oauth2/exchange`, `-u/-p`, and the admin user where
AAD is refused. This module only gives its result a shape, and its untyped errors a type.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator, Optional
from contextlib import contextmanager

from azure.cli.core.azclierror import AzureConnectionError, UnauthorizedError, UserFault
from knack.util import CLIError

from .errors import Kind, RegistryError
from .tokens import Credential, Password, RefreshToken


@dataclass(frozen=True)
class SignIn:
    """Where the registry is and how to get tokens for it; `renew` signs in again."""

    host: str
    credential: Credential
    renew: Callable[[], Credential]


@dataclass(frozen=True)
class RegistryFacts:
    """What the resource manager says of a registry, where this identity may ask it."""

    soft_delete_days: Optional[int] = None
    sku: Optional[str] = None


def sign_in(cmd: Any, name: str, resource_group: Optional[str], suffix: Optional[str],
            username: Optional[str], password: Optional[str]) -> SignIn:
    """Sign in to a registry by its name, as every `az acr` command does.

    Raises AzureConnectionError when it cannot be reached, UnauthorizedError when nobody could be signed in.
    """
    def ask() -> tuple:
        from azure.cli.command_modules.acr._docker_utils import EMPTY_GUID, get_login_credentials
        with _typed_errors(name):
            host, user, secret = get_login_credentials(
                cmd, name, tenant_suffix=suffix, username=username, password=password,
                resource_group_name=resource_group)
        return host, RefreshToken(secret) if user == EMPTY_GUID else Password(user, secret)

    def renew() -> Credential:
        try:
            return ask()[1]
        except CLIError as error:  # in the middle of the work: an error of the registry like any other
            raise RegistryError(Kind.UNAUTHENTICATED, str(error)) from error

    host, credential = ask()
    return SignIn(host, credential, renew)


def registry_facts(cmd: Any, name: str, resource_group: Optional[str]) -> RegistryFacts:
    """Ask the resource manager; nothing is known when this identity is not signed in or may not ask."""
    from azure.cli.command_modules.acr._utils import get_registry_by_name
    from azure.core.exceptions import AzureError
    try:
        registry, _ = get_registry_by_name(cmd.cli_ctx, name, resource_group)
    except (CLIError, AzureError):
        return RegistryFacts()
    soft_delete = getattr(getattr(registry, 'policies', None), 'soft_delete_policy', None)
    enabled = getattr(soft_delete, 'status', None) == 'enabled'
    sku = getattr(getattr(registry, 'sku', None), 'name', None)
    return RegistryFacts(soft_delete.retention_days if enabled else None, sku if isinstance(sku, str) else None)


@contextmanager
def _typed_errors(name: str) -> Iterator[None]:
    try:
        yield
    except UserFault:
        raise
    except CLIError as error:
        text = str(error)
        if 'Could not connect' in text or 'could not be found' in text:
            raise AzureConnectionError(text, recommendation=f"Check the name '{name}' and the network, for example "
                                       f"with 'az acr check-health --name {name}'.") from error
        raise UnauthorizedError(text, recommendation="Sign in with 'az login', or give --username and --password "
                                "of a token of this registry.") from error
