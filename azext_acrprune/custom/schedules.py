"""`az acr prune schedule create`, `update` and `delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knack.log import get_logger

from .._errors import typed_errors
from ..prune_error import Kind, PruneError
from .command import Command
from .fleet import in_each_registry
from .options import GivenOptions, RegistryOptions, ScheduleOptions, SignInOptions, read
from .schedule_artifacts import fetch, lock_image, publish, schedule_under, withdraw_schedule
from .schedule_drafts import DraftedSchedule, draft_of, redrafted
from .schedule_roles import Identity, assign, definitions_of, identity_of, needed_roles, refuse_behind_firewall
from .session import open_session
from .tasks_service import RegistryResource, TaskService, registry_resource

if TYPE_CHECKING:
    from ..model import Document
    from ..schedules.task import Timing
    from .session import Session

logger = get_logger(__name__)

_STAYS_LOCKED = (
    'The image %s stays locked, because others may run in it. '
    "'az acr repository update --name %s --image %s --delete-enabled true --write-enabled true' unlocks it."
)
_LOST = {'identity': 'identity', 'cron': 'timer'}
"""What an option stands for in the task."""


@in_each_registry
def create(cmd: Command, name: str, **kwargs: object) -> Document:
    """Have a schedule as the options say; one that is so already is left alone."""
    options = read(ScheduleOptions, {**kwargs, 'name': name})
    sign_in = read(SignInOptions, kwargs)
    with typed_errors(sign_in.registry_name):
        registry = registry_resource(cmd, sign_in.registry_name, sign_in.resource_group_name)
        identity = identity_of(cmd, registry, str(options.identity))
        timing = _timing(options, identity)
        refuse_behind_firewall(registry, timing)
        draft = draft_of(cmd, options, GivenOptions.of(kwargs).values)
        return _settled(cmd, registry, sign_in, draft, timing, identity, options)


def update(cmd: Command, name: str, **kwargs: object) -> Document:
    """Change what the options name of a schedule, and give it this version of the extension."""
    from dataclasses import replace

    from ..schedules.task import timing_of

    options = read(ScheduleOptions, {**kwargs, 'name': name})
    sign_in = read(SignInOptions, kwargs)
    with typed_errors(sign_in.registry_name):
        registry = registry_resource(cmd, sign_in.registry_name, sign_in.resource_group_name)
        task = task_of(TaskService(cmd, registry), name)
    with open_session(cmd, RegistryOptions(sign_in), publishing=True) as session:
        found = session.run(fetch(session.door, name))
        if not task or not found:
            raise no_schedule(name)
        now = timing_of(task)
        identity = identity_of(cmd, registry, options.identity or _not_lost(now.identity, 'identity'))
        timing = replace(
            _timing(options, identity),
            cron=options.cron or _not_lost(now.cron, 'cron'),
            agent_pool=options.agent_pool or now.agent_pool,
            enabled=now.enabled if options.enabled is None else options.enabled,
        )
        refuse_behind_firewall(registry, timing)
        draft = redrafted(cmd, options, *found)
    with typed_errors(sign_in.registry_name):
        return _settled(cmd, registry, sign_in, draft, timing, identity, options)


def delete(cmd: Command, name: str, **kwargs: object) -> Document:
    """Delete the task of a schedule, and its artifact.

    What its steps ran in stays locked where it is in the registry: somebody else may need that.
    """
    from ..schedules.task import task_name

    sign_in = read(SignInOptions, kwargs)
    with typed_errors(sign_in.registry_name):
        registry = registry_resource(cmd, sign_in.registry_name, sign_in.resource_group_name)
        tasks = TaskService(cmd, registry)
        task = task_of(tasks, name)
        if task:
            tasks.delete(task_name(name))
    with open_session(cmd, RegistryOptions(sign_in), publishing=True) as session:
        gone = session.run(withdraw_schedule(session.door, name))
        if not task and not gone:
            raise no_schedule(name)
        _say_locked(registry.name, session.host, task)
        return {'schedule': name, 'registry': session.host, 'deleted': True}


def _say_locked(registry: str, host: str, task: Document | None) -> None:
    from ..schedules.task import image_of_task

    repository = own_image(image_of_task(task) or '', host) if task else None
    if repository:
        name = ('@' if ':' in repository[1] else ':').join(repository)
        logger.warning(_STAYS_LOCKED, name, registry, name)


def task_of(tasks: TaskService, name: str) -> Document | None:
    """The task of a schedule; None where there is none, or one of somebody else under its name. Raises PruneError."""
    from ..schedules.task import schedule_of_task, task_name

    task = tasks.task(task_name(name))
    return task if task and schedule_of_task(task) == name else None


def _not_lost(value: str | None, option: str) -> str:
    """What the task says still. Raises PruneError where somebody took it away."""
    if not value:
        raise PruneError(
            f'The task of the schedule has no {_LOST[option]} any more.', f'Give --{option}.', Kind.INVALID
        )
    return value


def no_schedule(name: str) -> PruneError:
    return PruneError(
        f"There is no schedule '{name}' on this registry.", "See 'az acr prune schedule list'.", Kind.NOT_FOUND
    )


def _timing(options: ScheduleOptions, identity: Identity) -> Timing:
    from ..schedules.task import Timing

    enabled = options.enabled is not False
    return Timing(str(options.cron), identity.name, options.agent_pool, enabled, identity.source)


def _settled(
    cmd: Command,
    registry: RegistryResource,
    sign_in: SignInOptions,
    draft: DraftedSchedule,
    timing: Timing,
    identity: Identity,
    options: ScheduleOptions,
) -> Document:
    """Have the artifact, the task and the roles as they shall be, in this order; or say what that would be."""
    from ..exit_reasons import DONE, NOTHING_TO_DO, WOULD_CHANGE
    from ..schedules.task import steps_of, task_document, yaml_of

    schedule = draft.schedule
    host = registry.login_server
    yaml = yaml_of(
        steps_of(schedule, timing.identity, registry.name, draft.wheel, draft.files, cloud=cmd.cli_ctx.cloud.name),
        schedule.time_limit,
    )
    wanted = task_document(schedule, timing, yaml, registry.location, host)
    needed = needed_roles(cmd, registry, draft, options)
    definitions = definitions_of(cmd, needed, options)
    changed, task = False, None
    if not options.dry_run:
        with open_session(cmd, RegistryOptions(sign_in), publishing=True) as session:
            changed = _published(session, draft)
        task, is_new = have_task(TaskService(cmd, registry), schedule.name, wanted)
        changed = changed or is_new
    roles = assign(cmd, needed, definitions, identity.of_task(task), options)
    changed = changed or any(role['state'] == 'assigned' for role in roles)
    artifact = _artifact_document(host, draft)
    return {
        'schedule': schedule.name,
        'registry': host,
        'exitReason': WOULD_CHANGE if options.dry_run else DONE if changed else NOTHING_TO_DO,
        'summary': {
            'files': len(artifact['files']),
            'fileBytes': sum(each['fileBytes'] for each in artifact['files']),
            'roles': len(roles),
        },
        'changed': changed,
        'dryRun': options.dry_run,
        'cron': timing.cron,
        'nextRun': next_run(timing.cron) if timing.enabled else None,
        'enabled': timing.enabled,
        'enforce': schedule.enforce,
        'identity': timing.identity,
        'agentPool': timing.agent_pool,
        'extensionVersion': schedule.version,
        'stepImage': schedule.image,
        'artifact': artifact,
        'reportArtifact': _report_place(host, draft),
        'yaml': yaml,
        'roles': roles,
    }


def _published(session: Session, draft: DraftedSchedule) -> bool:
    """Push what is not there; whether that was anything. A schedule that is to delete has to show a preview first.

    The preview of a schedule that deletes no longer stays: a run of it may be under way, or its task stay as it is.
    Raises RegistryError, and PruneError where the tag of the schedule is on something else.
    """
    from ..schedules.artifact import REPOSITORY, preview_of, preview_tag

    schedule, artifact = draft.schedule, draft.artifact
    session.run(schedule_under(session.door, schedule.name))
    repository = own_image(schedule.image, session.host)
    if repository:
        session.run(lock_image(session.door, *repository))
    if schedule.enforce and session.run(session.door.tag_digest(REPOSITORY, schedule.name)) != artifact.digest:
        # first of all: whatever fails after this, nothing is deleted without a preview
        preview = preview_of(schedule.name, artifact.digest)
        session.run(publish(session.door, preview_tag(schedule.name), preview, locks=False))
    return session.run(publish(session.door, schedule.name, artifact, locks=True))


def own_image(image: str, host: str) -> tuple[str, str] | None:
    """(repository, digest or tag) of an image in this very registry."""
    place, _, rest = image.partition('/')
    if place.lower() != host:
        return None
    repository, mark, digest = rest.partition('@')
    repository, _, tag = repository.partition(':')
    return repository, digest if mark else tag or 'latest'


def have_task(tasks: TaskService, name: str, wanted: Document) -> tuple[Document, bool]:
    """(the task of a schedule as it is wanted, whether it had to be changed for that). Raises PruneError."""
    from ..schedules.task import is_as_wanted, schedule_of_task, task_name

    there = tasks.task(task_name(name))
    if there and schedule_of_task(there) != name:
        raise PruneError(
            f"There is a task '{task_name(name)}' that is no schedule of acrprune.", 'Give the schedule another name.'
        )
    if there and is_as_wanted(_comparable(there), _comparable(wanted)):
        return there, False
    return tasks.put(task_name(name), wanted), True


def _comparable(task: Document) -> Document:
    """A task without what the service fills in, and with an agent pool and credentials in any case."""
    from ..schedules.task import identity_of as identity_of_task

    properties = task['properties']
    given = {key: properties.get(key) for key in ('agentPoolName', 'credentials')}
    identity = sorted((task.get('identity') or {}).get('userAssignedIdentities') or ()) or [identity_of_task(task)]
    return {**task, 'properties': {**properties, **given}, 'identity': [str(each).lower() for each in identity]}


def _report_place(host: str, draft: DraftedSchedule) -> str | None:
    from ..schedules.task import report_tag

    return f'{host}/{report_tag(draft.schedule.name)}' if draft.schedule.report_artifact else None


def _artifact_document(host: str, draft: DraftedSchedule) -> Document:
    from ..schedules.artifact import CHECKSUMS, REPOSITORY, checksums_of, digest_of

    files: dict[str, Any] = {**draft.files, CHECKSUMS: checksums_of(draft.files)}
    return {
        'reference': f'{host}/{REPOSITORY}:{draft.schedule.name}',
        'digest': draft.artifact.digest,
        'files': [
            {'file': name, 'digest': digest_of(files[name]), 'fileBytes': len(files[name])} for name in sorted(files)
        ],
    }


def next_run(cron: str) -> str | None:
    """When a timer fires next, as documents show times."""
    from datetime import datetime, timezone

    from ..schedules.cron import Cron

    try:
        found = Cron(cron).after(datetime.now(timezone.utc).replace(tzinfo=None))
    except ValueError:  # somebody else changed the task
        return None
    return found.strftime('%Y-%m-%dT%H:%M:%SZ') if found else None
