"""The identity of a schedule: who it is, the roles that it gets, and whether it comes through a firewall."""

from __future__ import annotations

from dataclasses import dataclass, replace
from shlex import quote
from typing import TYPE_CHECKING

from knack.log import get_logger

from ..prune_error import PruneError
from .command import Command
from .options import ScheduleOptions
from .tasks_service import RegistryResource, assign_role, identity_ids, role_definition, storage_account_id

if TYPE_CHECKING:
    from ..model import Document
    from ..schedules.roles import Role
    from ..schedules.task import Timing
    from .schedule_drafts import DraftedSchedule

logger = get_logger(__name__)

_UNKNOWN = 'PRINCIPAL'
_FIREWALL = "The registry '%s' is behind a firewall, and a system-assigned identity of a task does not come through it."
_WAYS = (
    'There are three ways: a user-assigned identity, with --identity ID; an agent pool in the network of the registry, '
    "with --agent-pool POOL; or to let tasks through with 'az resource update --ids {id} --set "
    "properties.networkRuleBypassAllowedForTasks=true'. {fits}"
)
_FITS = {
    True: 'The first one fits here: trusted services of Azure may pass.',
    False: 'The agent pool fits here: the registry lets no service of Azure pass.',
}


@dataclass(frozen=True)
class Identity:
    """Who a task is: a resource id or `[system]`.

    `principal` is its object id: that of `[system]` is known when there is a task. `source` is what a registry with
    repository permissions needs to give the task its artifact.
    """

    name: str
    principal: str | None = None
    source: str | None = None

    def of_task(self, task: Document | None) -> Identity:
        """The same, with what a task tells of it."""
        found = ((task or {}).get('identity') or {}).get('principalId')
        return self if self.principal or not found else replace(self, principal=str(found))


def identity_of(cmd: Command, registry: RegistryResource, name: str) -> Identity:
    """The identity with a resource id, or `[system]`. Raises PruneError."""
    from ..schedules.task import SYSTEM

    if name == SYSTEM:
        return Identity(SYSTEM, source=SYSTEM if is_by_repository(registry) else None)
    principal, client = identity_ids(cmd, name)
    return Identity(name, principal, client if is_by_repository(registry) else None)


def is_by_repository(registry: RegistryResource) -> bool:
    """Whether role assignments of a registry are by repository (ABAC)."""
    from ..schedules.roles import ABAC

    return registry.properties.get('roleAssignmentMode') == ABAC


def refuse_behind_firewall(registry: RegistryResource, timing: Timing) -> None:
    """Raise PruneError where no run would come to the registry, with the way that fits."""
    from ..schedules.task import SYSTEM

    properties = registry.properties
    rules = properties.get('networkRuleSet') or {}
    is_open = properties.get('publicNetworkAccess') != 'Disabled' and rules.get('defaultAction') != 'Deny'
    if is_open or timing.agent_pool or properties.get('networkRuleBypassAllowedForTasks'):
        return
    trusted = properties.get('networkRuleBypassOptions') != 'None'
    if timing.identity == SYSTEM or not trusted:
        raise PruneError(
            _FIREWALL % registry.name
            if timing.identity == SYSTEM
            else f"The registry '{registry.name}' is behind a firewall that no service of Azure passes.",
            _WAYS.format(id=quote(registry.id), fits=_FITS[trusted]),
        )


def needed_roles(
    cmd: Command, registry: RegistryResource, draft: DraftedSchedule, options: ScheduleOptions
) -> list[Role]:
    """The roles that a schedule needs. Raises PruneError for a storage account that is not found."""
    from ..schedules.roles import account_of, roles_of

    words = (*draft.schedule.plan_words, *draft.schedule.apply_words)
    places = sorted({word for word in words if word.startswith('azure-blob:')})
    accounts = {account_of(place): _account_id(cmd, account_of(place), options) for place in places}
    asks = '--pins-from' in words
    schedule = draft.schedule
    return roles_of(
        registry.id, schedule.enforce, is_by_repository(registry), places, accounts, asks, schedule.report_artifact
    )


def definitions_of(cmd: Command, roles: list[Role], options: ScheduleOptions) -> dict[Role, str]:
    """The resource ids of the roles; nothing where none is assigned. Raises PruneError for one that is not listed."""
    if options.no_role_assignment or options.dry_run:
        return {}
    return {role: role_definition(cmd, role.scope, role.name) for role in roles}


def assign(
    cmd: Command, roles: list[Role], definitions: dict[Role, str], identity: Identity, options: ScheduleOptions
) -> list[Document]:
    """Assign roles, those with a definition, or say which; `state` says what became of each. Raises PruneError."""
    from ..schedules.roles import assignment_name, role_document

    only_says = not definitions or not identity.principal
    principal = identity.principal or _UNKNOWN
    found = []
    for role in roles:
        state = 'notAssigned'
        if not only_says:
            is_new = assign_role(cmd, role.scope, definitions[role], principal, assignment_name(role, principal))
            state = 'assigned' if is_new else 'wasAssigned'
        found.append(role_document(role, principal, state))
    if only_says and not options.dry_run:
        logger.warning('The schedule needs these roles:')
        for entry in found:
            logger.warning('  %s', entry['command'])
    return found


def _account_id(cmd: Command, account: str, options: ScheduleOptions) -> str:
    """The resource id of a storage account; where nothing is assigned, a word in its place if it is not found."""
    try:
        return storage_account_id(cmd, account)
    except PruneError:
        if options.no_role_assignment or options.dry_run:
            return f'STORAGE_ACCOUNT_ID_OF_{account}'
        raise
