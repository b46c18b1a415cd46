"""Registries as arguments name them -> what az's sign-in takes, or a typed error that says what to write instead."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import InvalidArgumentValueError, MutuallyExclusiveArgumentError

if TYPE_CHECKING:
    from azure.cli.core.commands import AzCliCommand


def validate_registry(cmd: AzCliCommand, namespace: Namespace) -> None:
    """As `validate_registry_name`, for a command that asks the registry: through the region that was named, if any."""
    from .registry.protocol.hosts import region_of

    region = region_of(namespace.registry_name.lower())
    validate_registry_name(cmd, namespace)
    namespace.region = region


def validate_registries(cmd: AzCliCommand, namespace: Namespace) -> None:
    """One registry as `validate_registry` has it; of several a list with what a command on each is called with."""
    given = namespace.registry_name
    names = [given] if isinstance(given, str) else list(given)
    each = [Namespace(registry_name=name, suffix=namespace.suffix) for name in names]
    for one in each:
        validate_registry(cmd, one)
    if len(each) == 1:
        for name, value in vars(each[0]).items():
            setattr(namespace, name, value)
        return
    _refuse_for_several(namespace)
    twice = {one.registry_name for one in each if sum(vars(one) == vars(other) for other in each) > 1}
    if twice:
        raise InvalidArgumentValueError(f"--registry: '{min(twice)}' is named twice.", recommendation='Name it once.')
    namespace.registry_name = [vars(one) for one in each]


def _refuse_for_several(namespace: Namespace) -> None:
    """Raise for options that are of one registry, or name one file for the answer of one."""
    out = getattr(namespace, 'out', None)
    refused = {
        '--out': out if out and not out.startswith('state:') else None,
        '--inventory-out': getattr(namespace, 'inventory_out', None),
        '--detailed-exit-code': getattr(namespace, 'detailed_exit_code', None),
        '--metrics-file': namespace.metrics_file,
        '--username': namespace.username,
        '--pins -': '-' in (namespace.pins or ()),
    }
    for option, is_given in refused.items():
        if is_given:
            raise MutuallyExclusiveArgumentError(
                f'{option} is for one registry, and --registry names several.',
                recommendation='Leave it out, or run the command once for each registry.',
            )


def validate_registry_name(cmd: AzCliCommand, namespace: Namespace) -> None:
    """Accept a name or a full login server; the name goes to az's sign-in, which appends the suffix itself."""
    from azure.cli.core.cloud import CloudSuffixNotSetException

    from .registry.protocol.hosts import login_server_of

    given = namespace.registry_name.lower()
    try:
        endpoint = cmd.cli_ctx.cloud.suffixes.acr_login_server_endpoint.lower()
    except (CloudSuffixNotSetException, AttributeError):
        endpoint = ''
    name = given[: -len(endpoint)] if endpoint and given.endswith(endpoint) else given
    name, _, label = login_server_of(name).partition('-')
    if not name.isalnum() or not label.isalnum() and label:
        raise InvalidArgumentValueError(
            f"'{namespace.registry_name}' is not a registry of this cloud.",
            recommendation=f"Give the name alone, such as 'myregistry', or its login server 'myregistry{endpoint}'.",
        )
    namespace.registry_name = name
    namespace.suffix = namespace.suffix or label or None


def validate_optional_registry(cmd: AzCliCommand, namespace: Namespace) -> None:
    """For a command that asks no registry, and may be told one."""
    if namespace.registry_name:
        validate_registry_name(cmd, namespace)
