"""Arguments of `az acr prune schedule` -> values, or a typed error that says what to write instead."""

from __future__ import annotations

import re
from argparse import Namespace

from azure.cli.core.azclierror import InvalidArgumentValueError

from ._validators import validate_time_limit

_IDENTITY = re.compile(
    r'/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[^/]+\Z',
    re.I,
)
_IMAGE = re.compile(r'[\w.:-]+(?:/[\w.-]+)+(?::[\w.-]+)?@sha256:[0-9a-f]{64}\Z', re.ASCII)


def validate_schedule_name(namespace: Namespace) -> None:
    from .schedules.task import check_name

    try:
        check_name(str(namespace.name))
    except ValueError as error:
        raise InvalidArgumentValueError(f'--name: {error}.', recommendation="Give a name such as 'nightly'.") from error


def validate_cron(namespace: Namespace) -> None:
    from .schedules.cron import Cron

    if namespace.cron is None:
        return
    try:
        namespace.cron = Cron(str(namespace.cron)).text
    except ValueError as error:
        raise InvalidArgumentValueError(
            f'--cron: {error}.', recommendation="Give five fields in UTC, such as '0 3 * * *' for each night at three."
        ) from error


def validate_identity(namespace: Namespace) -> None:
    from .schedules.task import SYSTEM

    identity = namespace.identity
    if identity is not None and identity != SYSTEM and not _IDENTITY.match(identity):
        raise InvalidArgumentValueError(
            f"--identity: '{identity}' is not the resource id of a user-assigned identity.",
            recommendation="Give what 'az identity show --name NAME --resource-group GROUP --query id' answers, "
            "or '[system]'.",
        )


def validate_step_image(namespace: Namespace) -> None:
    if namespace.image is not None and not _IMAGE.match(namespace.image):
        raise InvalidArgumentValueError(
            f"--image: '{namespace.image}' is not pinned by its digest.",
            recommendation='Give HOST/REPOSITORY@sha256:DIGEST: a tag may be on another image when it runs.',
        )


def validate_run_limit(namespace: Namespace) -> None:
    """`45m` -> seconds. It has a name of its own: the time limit of this command would be another one."""
    limit = Namespace(time_limit=namespace.run_limit)
    validate_time_limit(limit)
    namespace.run_limit = limit.time_limit
