"""Registries as arguments name them -> what az's sign-in takes, or a typed error that says what to write instead."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from azure.cli.core.azclierror import (
    InvalidArgumentValueError,
    MutuallyExclusiveArgumentError,
    RequiredArgumentMissingError,
)

if TYPE_CHECKING:
    from azure.cli.core.commands import AzCliCommand


def validate_registry(cmd: AzCliCommand, namespace: Namespace) -> None:
    """As `validate_registry_name`, for a command that asks the registry: through the region that was named, if any."""
    from .registry.protocol.hosts import region_of

    region = region_of(namespace.registry_name.lower())
    validate_registry_name(cmd, namespace)
    namespace.region = region


def validate_registries(cmd: AzCliCommand, namespace: Namespace) -> None:
    """As `validate_several`, and one registry at least has to be named, or found."""
    validate_several(cmd, namespace)
    if namespace.registry_name is None and not _finds(namespace):
        raise RequiredArgumentMissingError(
            'No registry is named.',
            recommendation='Name it with --registry, or let them be found with --all-registries or --query-graph.',
        )


def _finds(namespace: Namespace) -> bool:
    """Whether Azure is to find the registries."""
    return namespace.all_registries or namespace.query_graph is not None


def validate_several(cmd: AzCliCommand, namespace: Namespace) -> None:
    """One registry as `validate_registry` has it; of several a list with how each is named; none where Azure is asked.

    A registry that is az's default gives way to what is asked for.
    """
    given = namespace.registry_name
    if _finds(namespace):
        _refuse_two_ways(namespace, given is not None and not getattr(given, 'is_default', False))
        _refuse_for_several(namespace)
        namespace.registry_name = None
        return
    if namespace.tag:
        raise RequiredArgumentMissingError(
            '--tag chooses among the registries that are listed.', recommendation='Give --all-registries too.'
        )
    if given is None:
        return
    names = [given] if isinstance(given, str) else list(given)
    each = [Namespace(registry_name=name, suffix=getattr(namespace, 'suffix', None)) for name in names]
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
    given = vars(namespace)
    files = {'--plan': given.get('plan_file')} if 'plan_file' in given else {'--out': given.get('out')}
    refused = {
        **{option: name for option, name in files.items() if name and not name.startswith('state:')},
        '--inventory-out': given.get('inventory_out'),
        '--detailed-exit-code': given.get('detailed_exit_code'),
        '--metrics-file': given.get('metrics_file'),
        '--username': given.get('username'),
        '--pins -': '-' in (given.get('pins') or ()),
    }
    for option, is_given in refused.items():
        if is_given:
            raise MutuallyExclusiveArgumentError(
                f'{option} is for one registry, and several are asked for.',
                recommendation='Leave it out, or run the command once for each registry.',
            )


def _refuse_two_ways(namespace: Namespace, is_named: bool) -> None:
    """Raise where registries are named or chosen in another way too."""
    one = '--all-registries' if namespace.all_registries else '--query-graph'
    others = {
        '--registry': is_named,
        '--suffix': getattr(namespace, 'suffix', None),
        '--query-graph': namespace.all_registries and namespace.query_graph is not None,
        '--tag': not namespace.all_registries and namespace.tag,
        '--resource-group': not namespace.all_registries and getattr(namespace, 'resource_group_name', None),
    }
    for option, is_given in others.items():
        if is_given:
            raise MutuallyExclusiveArgumentError(
                f'{one} says which registries, and so does {option}.', recommendation='Give one of them.'
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
