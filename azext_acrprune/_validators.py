"""Arguments -> values, or a typed error that says what to write instead."""
from __future__ import annotations

import os
import re

from azure.cli.core.azclierror import InvalidArgumentValueError

from .policy.ages import parse_ago


def validate_registry(cmd, namespace) -> None:
    """Accept a name or a full login server; the name goes to az's sign-in, which appends the suffix itself."""
    from azure.cli.core.cloud import CloudSuffixNotSetException
    given = namespace.registry_name.lower()
    try:
        endpoint = cmd.cli_ctx.cloud.suffixes.acr_login_server_endpoint.lower()
    except (CloudSuffixNotSetException, AttributeError):
        endpoint = ''
    name = given[:-len(endpoint)] if endpoint and given.endswith(endpoint) else given
    name, _, label = name.partition('-')
    if not name.isalnum() or not label.isalnum() and label:
        raise InvalidArgumentValueError(
            f"'{namespace.registry_name}' is not a registry of this cloud.",
            recommendation=f"Give the name alone, such as 'myregistry', or its login server 'myregistry{endpoint}'.")
    namespace.registry_name = name
    namespace.suffix = namespace.suffix or label or None


def validate_ago(namespace) -> None:
    try:
        parse_ago(namespace.ago)
    except ValueError as error:
        raise InvalidArgumentValueError(f'--ago: {error}.', recommendation='Give a duration such as 30d.') from error


def validate_keep(namespace) -> None:
    if namespace.keep < 0:
        raise InvalidArgumentValueError('--keep: a number of images cannot be negative.',
                                        recommendation='Give 0 or more.')


def validate_concurrency(namespace) -> None:
    if not 1 <= namespace.concurrency <= 32:
        raise InvalidArgumentValueError('--concurrency: must be from 1 to 32.',
                                        recommendation='Leave it out for 32 requests at a time.')


def validate_max_rate(namespace) -> None:
    """`600/min` or `10/s` -> calls a minute."""
    if namespace.max_rate is None:
        return
    match = re.fullmatch(r'([0-9]{1,9})/(min|s)', namespace.max_rate)
    if not match or not int(match[1]):
        raise InvalidArgumentValueError(f"--max-rate: '{namespace.max_rate}' is not a number of calls in a time.",
                                        recommendation='Give it by minute or second, such as 600/min or 10/s.')
    namespace.max_rate = int(match[1]) * (60 if match[2] == 's' else 1)


def validate_out(namespace) -> None:
    """Find out that a file cannot be written before an hour of scanning, not after it; leaves no trace."""
    if namespace.out:
        from ._errors import file_error
        is_new = not os.path.exists(namespace.out)
        try:
            with open(namespace.out, 'a', encoding='utf-8'):
                pass
            if is_new:
                os.remove(namespace.out)
        except OSError as error:
            raise file_error(namespace.out, error) from error
