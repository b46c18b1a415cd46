"""The options of `az acr prune schedule`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from argcomplete.completers import FilesCompleter
from azure.cli.core.commands.parameters import get_three_state_flag

from ._own_params import SELECTION
from ._registry_validators import validate_optional_registry, validate_registries, validate_registry_name
from ._schedule_validators import (
    validate_cron,
    validate_identity,
    validate_run_limit,
    validate_schedule_name,
    validate_step_image,
)
from ._validators import validate_plan_selection

if TYPE_CHECKING:
    from azure.cli.core.commands.parameters import AzArgumentContext


def _for_all(context: AzArgumentContext) -> None:
    context.argument(
        'registry_name', validator=validate_registry_name, help='The container registry: its name or its login server.'
    )
    context.argument(
        'name',
        options_list=['--name', '-n'],
        validator=validate_schedule_name,
        help='The name of the schedule: small letters, digits and dashes.',
    )


def _timing(context: AzArgumentContext) -> None:
    context.extra(
        'cron',
        options_list=['--cron'],
        validator=validate_cron,
        help='When it runs, in UTC, as five fields: minute, hour, day of the month, month, day of the week. '
        '`0 3 * * *` is each night at three.',
    )
    context.extra(
        'identity',
        options_list=['--identity'],
        validator=validate_identity,
        help='Who the runs are: the resource id of a user-assigned identity, or `[system]` for one of the task itself. '
        'A user-assigned one comes through firewalls.',
    )
    context.extra(
        'agent_pool',
        options_list=['--agent-pool'],
        help='The agent pool of the registry that runs it, where the registry is in a network of its own.',
    )
    context.extra(
        'image',
        options_list=['--image'],
        validator=validate_step_image,
        help='The image with azure-cli that the steps run in, by its digest: `HOST/REPOSITORY@sha256:...`. It has to '
        'be 2.70 or newer. The official image of 2.88.0 when left out.',
    )
    context.extra(
        'no_role_assignment',
        options_list=['--no-role-assignment'],
        action='store_true',
        help='Assign no roles to the identity, and print the commands that do.',
    )
    context.argument(
        'dry_run', help='Create nothing, and answer with the artifact, the YAML of the task, and the roles.'
    )
    context.extra(
        'run_limit',
        options_list=['--time-limit'],
        validator=validate_run_limit,
        help='How long planning, and then deleting, may take each, such as `45m`; `2h` when left out, and less than '
        'four hours.',
    )


_REPORTS = (
    'Have each run push what it did or would do to the registry, as `acrprune/reports:NAME`: Markdown. The identity '
    'then needs AcrPush in the place of AcrPull.'
)


def _for_create(context: AzArgumentContext) -> None:
    context.argument(
        'registry_name',
        nargs='+',
        required=False,
        validator=validate_registries,
        help='The container registry: its name or its login server. Of several, each gets a schedule of its own.',
    )
    _timing(context)
    context.argument('cron', required=True)
    context.argument('identity', required=True)
    context.extra(
        'enforce',
        options_list=['--enforce'],
        action='store_true',
        help='Delete. Without this each run only plans and reports. The first run does so in any case.',
    )
    context.argument('validate', validator=None)  # the runs look at what they left, also where this is a dry run
    context.extra('report_artifact', options_list=['--report-artifact'], action='store_true', help=_REPORTS)
    context.extra(
        'policy_file',
        options_list=['--policy'],
        arg_group=SELECTION,
        completer=FilesCompleter(),
        validator=validate_plan_selection,
        help='A policy file that says what may go, in place of options.',
    )


def _for_update(context: AzArgumentContext) -> None:
    _timing(context)
    context.extra(
        'enforce',
        options_list=['--enforce'],
        arg_type=get_three_state_flag(),
        help='Delete, or only plan and report. The first run after a change of what runs previews in any case.',
    )
    context.extra('report_artifact', options_list=['--report-artifact'], arg_type=get_three_state_flag(), help=_REPORTS)
    context.extra(
        'enabled', options_list=['--enabled'], arg_type=get_three_state_flag(), help='Whether the timer is on.'
    )
    context.extra(
        'policy_file',
        options_list=['--policy'],
        completer=FilesCompleter(),
        help='A policy file in the place of the one that the schedule has.',
    )


def _for_list(context: AzArgumentContext) -> None:
    context.argument(
        'registry_name',
        required=False,
        configured_default=None,
        validator=validate_optional_registry,
        help='Only the schedules of this registry. Without this, of all registries of the subscription.',
    )


def _for_logs(context: AzArgumentContext) -> None:
    context.argument('run_id', options_list=['--run'], help='The run, by its id; the last one when left out.')
    context.argument('top', help='With `-o table`: show this many lines of the log, 0 for all; 50 when left out.')


SCHEDULES = {
    'schedule': _for_all,
    'schedule create': _for_create,
    'schedule update': _for_update,
    'schedule list': _for_list,
    'schedule logs': _for_logs,
}
"""The options that one command has for itself, or words differently, in the order in which they are added."""
