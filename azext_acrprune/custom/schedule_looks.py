"""`az acr prune schedule list`, `show`, `run` and `logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knack.log import get_logger

from .._errors import typed_errors
from ..prune_error import PruneError
from .command import Command
from .failures import alarm, exit_with_failure
from .options import SignInOptions, read
from .registries import listed
from .schedules import next_run, no_schedule, task_of
from .tasks_service import RegistryResource, TaskService, document_of, registry_resource

if TYPE_CHECKING:
    from ..model import Document

logger = get_logger(__name__)

_BROKE_OFF = (
    'The run ended without a result: the log says why. Where the image of the steps could not be pulled, '
    "'az acr prune schedule update -r %s --name %s --image IMAGE' names another one."
)
_NOT_ALL_LISTED = 'Not all schedules are listed.'


def list_schedules(  # pylint: disable=unused-argument  # every command that names a registry has a suffix
    cmd: Command, registry_name: str | None = None, resource_group_name: str | None = None, suffix: str | None = None
) -> list[Document]:
    """The schedules of a registry, or of all registries of the subscription, with the last run and the next one."""
    found: list[Document] = []
    failed = False
    with typed_errors():
        if registry_name:
            registries = [registry_resource(cmd, registry_name, resource_group_name)]
        else:
            registries = [RegistryResource(document_of(each)) for each in listed(cmd)]
        for registry in registries:
            try:
                found += _schedules_of(cmd, registry)
            except PruneError as error:
                if len(registries) == 1:
                    raise
                alarm(cmd, f'{registry.name}: {error}')
                failed = True
    exit_with_failure(cmd, failed, _NOT_ALL_LISTED)
    return found


def show(cmd: Command, name: str, **kwargs: object) -> Document:
    """One schedule, with what its task runs."""
    from ..schedules.task import yaml_of_task

    with typed_errors():
        registry = _registry(cmd, read(SignInOptions, kwargs))
        tasks = TaskService(cmd, registry)
        task = _task(tasks, name)
        return {**_schedule_document(tasks, registry, task), 'yaml': yaml_of_task(task)}


def run(cmd: Command, name: str, **kwargs: object) -> Document:
    """Have a schedule run now, beside its timer."""
    from ..schedules.runs import run_document

    with typed_errors():
        registry = _registry(cmd, read(SignInOptions, kwargs))
        tasks = TaskService(cmd, registry)
        started = run_document(tasks.start(str(_task(tasks, name)['id'])))
        return {'schedule': name, 'registry': registry.login_server, **started}


def logs(cmd: Command, name: str, run_id: str | None = None, **kwargs: object) -> Document:
    """What a run of a schedule wrote, the last one where none is named, and what it did or would do."""
    from ..schedules.runs import answer_in, is_over, run_document
    from ..schedules.task import task_name

    with typed_errors():
        registry = _registry(cmd, read(SignInOptions, kwargs))
        tasks = TaskService(cmd, registry)
        _task(tasks, name)
        found = tasks.run(run_id) if run_id else tasks.last_run(task_name(name))
        if not found:
            raise PruneError(
                f"The run '{run_id}' does not exist." if run_id else f"The schedule '{name}' has not run yet.",
                f"Start it with 'az acr prune schedule run -r {registry.name} --name {name}'.",
            )
        document = run_document(found)
        text = tasks.log(str(document['runId'])) or ''
        answer = answer_in(text) or {'exitReason': None, 'summary': None}
        if is_over(document) and answer['summary'] is None:
            logger.warning(_BROKE_OFF, registry.name, name)
        return {'schedule': name, 'registry': registry.login_server, **document, **answer, 'log': text.splitlines()}


def _registry(cmd: Command, sign_in: SignInOptions) -> RegistryResource:
    return registry_resource(cmd, sign_in.registry_name, sign_in.resource_group_name)


def _task(tasks: TaskService, name: str) -> Document:
    """The task of a schedule. Raises PruneError."""
    task = task_of(tasks, name)
    if not task:
        raise no_schedule(name)
    return task


def _schedules_of(cmd: Command, registry: RegistryResource) -> list[Document]:
    from ..schedules.task import schedule_of_task

    tasks = TaskService(cmd, registry)
    return [_schedule_document(tasks, registry, task) for task in tasks.all() if schedule_of_task(task)]


def _schedule_document(tasks: TaskService, registry: RegistryResource, task: Document) -> Document:
    from ..schedules.runs import answer_in, is_over, run_document
    from ..schedules.task import facts_of, schedule_of_task

    facts = facts_of(task)
    last = tasks.last_run(str(task['name']))
    document = run_document(last) if last else None
    if document:
        answer = answer_in(tasks.log(str(document['runId'])) or '') if is_over(document) else None
        summary = (answer or {}).get('summary') or {}
        document = {
            **document,
            'exitReason': (answer or {}).get('exitReason'),
            'freedBytes': summary.get('freedBytes') if 'manifestsDeleted' in summary else None,
        }
    return {
        'schedule': schedule_of_task(task),
        'registry': registry.login_server,
        **facts,
        'nextRun': next_run(str(facts['cron'])) if facts['enabled'] and facts['cron'] else None,
        'lastRun': document,
    }
