"""What schedules and lists of registries ask of the resource manager, and its answers: recordings, one a scenario.

They were recorded against the local resource manager. `make cassettes` records them anew.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from knack.util import CLIError

from azext_acrprune.custom import schedule_looks as looks
from azext_acrprune.custom.options import FleetOptions, ScheduleOptions
from azext_acrprune.custom.registries import chosen
from azext_acrprune.custom.schedule_roles import assign, definitions_of, identity_of, refuse_behind_firewall
from azext_acrprune.custom.schedules import have_task
from azext_acrprune.custom.tasks_service import TaskService, registry_resource, storage_account_id
from azext_acrprune.prune_error import Kind, PruneError
from azext_acrprune.schedules.roles import assignment_name, roles_of
from azext_acrprune.schedules.task import IMAGE, SYSTEM, Schedule, Timing, task_document
from tests.registry.auth import ADMIN, SERVICE_PRINCIPAL, SUBSCRIPTION, TENANT
from tests.registry.server import LocalRegistry
from tests.registry.tasks import PRINCIPAL
from tests.wire.manager_tape import CASSETTES, GROUP, HOST, RECORDING, REGISTRY, body, on_tape, sent

PRUNER = f'{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pruner'
CLIENT = 'c0c0c0c0-0000-4000-8000-000000000001'
TASK = 'acrprune-nightly'
IN_THE_REGISTRY = {'registry_name': 'localhost', 'resource_group_name': 'local'}
SCHEDULE = Schedule('nightly', '1.0.0', IMAGE, enforce=True, time_limit=7200)
YAML = 'version: v1.1.0\nsteps: []\n'
NIGHTLY = Timing('0 3 * * *', SYSTEM)
REGISTRY_IS_READ = 'GET REGISTRY 2026-09-01-preview'
IS_FOUND = 'GET SUBSCRIPTION/resources 2024-11-01'
TASK_IS_READ = f'GET REGISTRY/tasks/{TASK} 2025-03-01-preview'
TASK_IS_PUT = f'PUT REGISTRY/tasks/{TASK} 2025-03-01-preview'
RUNS_ARE_LISTED = 'GET REGISTRY/runs 2025-03-01-preview'
LOG_IS_READ = ['POST REGISTRY/runs/c1/listLogSasUrl 2025-03-01-preview', 'GET /tasklogs/c1 None']
ROLE_IS_LOOKED_FOR = [
    'GET REGISTRY/providers/Microsoft.Authorization/roleDefinitions 2022-05-01-preview',
    'GET REGISTRY/providers/Microsoft.Authorization/roleAssignments 2022-04-01',
]


@pytest.fixture
def tape(monkeypatch) -> Callable:
    """Opens az's clients on a cassette; `arrange` prepares the local resource manager when it is recorded."""
    return lambda name, arrange=lambda registry: None: on_tape(name, arrange, monkeypatch)


def document_of(timing: Timing, host: str) -> dict[str, Any]:
    return task_document(SCHEDULE, timing, YAML, 'local', host)


def has_task(registry: LocalRegistry) -> None:
    document = document_of(NIGHTLY, registry.login_server)
    own = {'id': f'{REGISTRY}/tasks/{TASK}', 'name': TASK, 'type': 'Microsoft.ContainerRegistry/registries/tasks'}
    identity = {'type': 'SystemAssigned', 'principalId': PRINCIPAL, 'tenantId': TENANT}
    registry.tasks.tasks['localhost', TASK] = {**document, **own, 'identity': identity}


def has_run(registry: LocalRegistry) -> None:
    has_task(registry)
    properties = {'runId': 'c1', 'status': 'Succeeded', 'task': TASK, 'startTime': '2026-01-01T03:00:00Z'}
    own = {'id': f'{REGISTRY}/runs/c1', 'name': 'c1', 'type': 'Microsoft.ContainerRegistry/registries/runs'}
    registry.tasks.runs.append({**own, 'properties': {**properties, 'finishTime': '2026-01-01T03:05:00Z'}})
    registry.tasks.logs['c1'] = '{\n"exitReason": "done", "summary": {"manifestsDeleted": 2, "freedBytes": 1234}}\n'


def test_creating_a_schedule_twice_puts_one_task(tape):
    with tape('create') as (cmd, cassette):
        registry = registry_resource(cmd, 'localhost', None)
        wanted = document_of(NIGHTLY, registry.properties['loginServer'])
        tasks = TaskService(cmd, registry)
        made, is_new = have_task(tasks, 'nightly', wanted)
        again, changed = have_task(tasks, 'nightly', wanted)
    assert is_new and not changed and again == made
    assert made['identity']['principalId'] == PRINCIPAL
    assert sent(cassette) == [IS_FOUND, REGISTRY_IS_READ, TASK_IS_READ, TASK_IS_PUT, TASK_IS_READ]
    assert body(cassette, 3) == document_of(NIGHTLY, HOST)


def test_updating_a_schedule_puts_another_task_in_its_place(tape):
    changed = Timing('30 2 * * sun', SYSTEM, agent_pool='inside', enabled=False)
    with tape('update', has_task) as (cmd, cassette):
        registry = registry_resource(cmd, 'localhost', 'local')
        wanted = document_of(changed, registry.properties['loginServer'])
        _, is_changed = have_task(TaskService(cmd, registry), 'nightly', wanted)
    assert is_changed
    assert sent(cassette) == [REGISTRY_IS_READ, TASK_IS_READ, TASK_IS_PUT]
    properties = body(cassette, 2)['properties']
    assert properties['status'] == 'Disabled' and properties['agentPoolName'] == 'inside'
    (timer,) = properties['trigger']['timerTriggers']
    assert timer == {'name': 'schedule', 'schedule': '30 2 * * sun', 'status': 'Enabled'}
    assert base64.b64decode(properties['step']['encodedTaskContent']) == YAML.encode()


def test_a_schedule_is_shown_with_its_last_run(tape):
    with tape('show', has_run) as (cmd, cassette):
        shown = looks.show(cmd, 'nightly', **IN_THE_REGISTRY)
    assert shown['lastRun']['freedBytes'] == 1234 and shown['yaml'] == YAML
    assert sent(cassette) == [REGISTRY_IS_READ, TASK_IS_READ, RUNS_ARE_LISTED, *LOG_IS_READ]
    assert {'$filter': f"TaskName eq '{TASK}'", '$top': '1'}.items() <= dict(cassette.requests[2].query).items()


def test_the_schedules_of_a_registry_are_listed(tape):
    with tape('list', has_task) as (cmd, cassette):
        (listed,) = looks.list_schedules(cmd, **IN_THE_REGISTRY)
    assert (listed['schedule'], listed['cron'], listed['lastRun']) == ('nightly', '0 3 * * *', None)
    assert sent(cassette) == [REGISTRY_IS_READ, 'GET REGISTRY/tasks 2025-03-01-preview', RUNS_ARE_LISTED]


def test_a_schedule_is_run_by_its_task(tape):
    with tape('run', has_task) as (cmd, cassette):
        started = looks.run(cmd, 'nightly', **IN_THE_REGISTRY)
    assert (started['runId'], started['state']) == ('c1', 'Queued')
    assert sent(cassette) == [REGISTRY_IS_READ, TASK_IS_READ, 'POST REGISTRY/scheduleRun 2025-03-01-preview']
    assert body(cassette, 2) == {'type': 'TaskRunRequest', 'taskId': f'{REGISTRY}/tasks/{TASK}'}


def test_the_log_of_a_run_is_read_by_a_link_with_a_signature(tape):
    with tape('logs', has_run) as (cmd, cassette):
        logs = looks.logs(cmd, 'nightly', run_id='c1', **IN_THE_REGISTRY)
    assert logs['exitReason'] == 'done' and logs['summary']['manifestsDeleted'] == 2
    assert sent(cassette) == [REGISTRY_IS_READ, TASK_IS_READ, 'GET REGISTRY/runs/c1 2025-03-01-preview', *LOG_IS_READ]


def test_a_run_without_a_result_is_told_with_the_option_for_another_image(tape, caplog):
    def fail(registry):
        has_run(registry)
        registry.tasks.runs[0]['properties']['status'] = 'Failed'
        registry.tasks.logs['c1'] = 'failed to pull the image\n'

    with tape('logs_of_a_failure', fail) as (cmd, _):
        logs = looks.logs(cmd, 'nightly', **IN_THE_REGISTRY)
    assert logs['summary'] is None and logs['log'] == ['failed to pull the image']
    assert 'schedule update -r localhost --name nightly --image IMAGE' in caplog.text


def test_deleting_a_schedule_that_is_gone_is_no_error(tape):
    with tape('delete', has_task) as (cmd, cassette):
        tasks = TaskService(cmd, registry_resource(cmd, 'localhost', 'local'))
        tasks.delete(TASK)
        tasks.delete(TASK)
        assert tasks.task(TASK) is None
    assert sent(cassette) == [REGISTRY_IS_READ, *[TASK_IS_PUT.replace('PUT', 'DELETE')] * 2, TASK_IS_READ]
    assert [answer['status']['code'] for answer in cassette.responses] == [200, 200, 204, 404]


def have_pruner(registry: LocalRegistry) -> None:
    properties = {'principalId': PRINCIPAL, 'clientId': CLIENT, 'tenantId': TENANT}
    path = PRUNER.removeprefix(f'/subscriptions/{SUBSCRIPTION}')
    registry.resources.at[path] = {'id': PRUNER, 'name': 'pruner', 'location': 'local', 'properties': properties}


def test_a_role_is_assigned_once(tape):
    options = ScheduleOptions()
    with tape('roles', have_pruner) as (cmd, cassette):
        registry = registry_resource(cmd, 'localhost', 'local')
        identity = identity_of(cmd, registry, PRUNER)
        (role, *_) = roles_of(registry.id, True, False, (), {}, False)
        (first,) = assign(cmd, [role], definitions_of(cmd, [role], options), identity, options)
        (second,) = assign(cmd, [role], definitions_of(cmd, [role], options), identity, options)
    assert (first['state'], second['state']) == ('assigned', 'wasAssigned')
    pruner = 'GET GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pruner 2024-11-30'
    name = assignment_name(role, PRINCIPAL)
    put = f'PUT REGISTRY/providers/Microsoft.Authorization/roleAssignments/{name} 2022-04-01'
    assert sent(cassette) == [REGISTRY_IS_READ, pruner, *ROLE_IS_LOOKED_FOR, put, *ROLE_IS_LOOKED_FOR]
    assert dict(cassette.requests[2].query)['$filter'] == "roleName eq 'Reader'"
    assert dict(cassette.requests[3].query)['$filter'] == f"principalId eq '{PRINCIPAL}'"
    properties = body(cassette, 4)['properties']
    assert properties['principalId'] == PRINCIPAL and properties['principalType'] == 'ServicePrincipal'
    assert properties['roleDefinitionId'].endswith('/roleDefinitions/Reader')


def test_a_storage_account_is_found_by_its_name(tape):
    def have_account(registry):
        registry.manager.accounts = ['myaccount']

    with tape('storage_account', have_account) as (cmd, cassette):
        assert storage_account_id(cmd, 'myaccount').endswith('/storageAccounts/myaccount')
        with pytest.raises(PruneError, match="no storage account 'other'"):
            storage_account_id(cmd, 'other')
    assert sent(cassette) == [IS_FOUND] * 2
    wanted = "resourceType eq 'Microsoft.Storage/storageAccounts' and name eq 'myaccount'"
    assert dict(cassette.requests[0].query)['$filter'] == wanted


def test_who_may_not_assign_roles_is_told_so(tape):
    def forbid(registry):
        registry.tasks.may_assign = False

    with tape('roles_forbidden', forbid) as (cmd, _):
        (role, *_) = roles_of(REGISTRY, True, False, (), {}, False)
        identity = SimpleNamespace(principal=PRINCIPAL)
        with pytest.raises(PruneError, match='may not write role assignments') as raised:
            options = ScheduleOptions()
            assign(cmd, [role], definitions_of(cmd, [role], options), identity, options)
    assert raised.value.kind is Kind.FORBIDDEN


def test_a_registry_that_is_not_there_is_told_so(tape):
    with tape('no_such_registry') as (cmd, cassette):
        with pytest.raises(PruneError) as by_group:
            registry_resource(cmd, 'nosuch', 'local')
        with pytest.raises(PruneError) as by_name:
            registry_resource(cmd, 'nosuch', None)
    assert by_group.value.kind is by_name.value.kind is Kind.NOT_FOUND
    asked = 'GET GROUP/providers/Microsoft.ContainerRegistry/registries/nosuch 2026-09-01-preview'
    assert sent(cassette) == [asked, IS_FOUND]


def test_an_identity_that_is_not_there_is_told_so(tape):
    with tape('no_such_identity') as (cmd, _):
        registry = registry_resource(cmd, 'localhost', 'local')
        with pytest.raises(PruneError, match='The identity: ') as raised:
            identity_of(cmd, registry, PRUNER)
    assert raised.value.kind is Kind.NOT_FOUND


def test_a_schedule_or_a_run_that_is_not_there_is_told_so(tape):
    with tape('no_such_schedule') as (cmd, _), pytest.raises(CLIError, match="no schedule 'nightly'"):
        looks.show(cmd, 'nightly', **IN_THE_REGISTRY)
    with tape('no_such_run', has_task) as (cmd, _), pytest.raises(CLIError, match="run 'c9' does not exist"):
        looks.logs(cmd, 'nightly', run_id='c9', **IN_THE_REGISTRY)


def test_who_may_not_see_tasks_is_told_the_role(tape):
    def forbid(registry):
        registry.tasks.may_read = False

    with tape('tasks_forbidden', forbid) as (cmd, _):
        tasks = TaskService(cmd, registry_resource(cmd, 'localhost', 'local'))
        with pytest.raises(PruneError) as raised:
            tasks.all()
    assert raised.value.kind is Kind.FORBIDDEN and 'the role Reader' in str(raised.value.advice)


def test_a_firewall_is_seen_in_what_the_registry_says(tape):
    def close(registry):
        registry.manager.properties = {
            'networkRuleSet': {'defaultAction': 'Deny'},
            'networkRuleBypassOptions': 'AzureServices',
        }

    with tape('firewall', close) as (cmd, _):
        registry = registry_resource(cmd, 'localhost', 'local')
        with pytest.raises(PruneError, match='behind a firewall'):
            refuse_behind_firewall(registry, NIGHTLY)
        refuse_behind_firewall(registry, Timing('0 3 * * *', SYSTEM, agent_pool='inside'))
        refuse_behind_firewall(registry, Timing('0 3 * * *', PRUNER))


def test_a_task_on_a_registry_with_repository_permissions_pulls_as_its_identity(tape):
    def arrange(registry):
        registry.manager.properties = {'roleAssignmentMode': 'AbacRepositoryPermissions'}
        have_pruner(registry)

    with tape('repository_permissions', arrange) as (cmd, cassette):
        registry = registry_resource(cmd, 'localhost', 'local')
        identity = identity_of(cmd, registry, PRUNER)
        timing = Timing('0 3 * * *', identity.name, source_identity=identity.source)
        wanted = document_of(timing, registry.properties['loginServer'])
        have_task(TaskService(cmd, registry), 'nightly', wanted)
    asked = body(cassette, 3)
    assert asked['properties']['credentials'] == {'sourceRegistry': {'identity': CLIENT}}
    assert asked['identity'] == {'type': 'UserAssigned', 'userAssignedIdentities': {PRUNER: {}}}


def have_six(registry: LocalRegistry) -> None:
    registry.manager.names = [f'registry{number}' for number in range(6)]


QUERY = "resources | where type =~ 'microsoft.containerregistry/registries'"


def test_a_query_is_asked_page_by_page(tape):
    with tape('graph', have_six) as (cmd, cassette):
        found = chosen(cmd, None, FleetOptions(query_graph=QUERY))
    assert [each.registry_name for each in found] == [f'registry{number}' for number in range(6)]
    assert sent(cassette) == ['POST /providers/Microsoft.ResourceGraph/resources 2022-10-01'] * 2
    options = {'resultFormat': 'objectArray', '$top': 1000}
    assert body(cassette, 0) == {'query': QUERY, 'options': options}
    assert body(cassette, 1) == {'query': QUERY, 'options': {**options, '$skipToken': '5'}}


def test_what_is_wrong_in_a_query_is_told(tape):
    with tape('graph_bad_query') as (cmd, _), pytest.raises(PruneError, match='Operator nonsense') as raised:
        chosen(cmd, None, FleetOptions(query_graph='resources | nonsense'))
    assert raised.value.kind is Kind.INVALID


def test_who_may_not_ask_resource_graph_is_told_so(tape):
    def forbid(registry):
        registry.manager.graph_forbidden = True

    with tape('graph_forbidden', forbid) as (cmd, _), pytest.raises(PruneError, match='may not read') as raised:
        chosen(cmd, None, FleetOptions(query_graph=QUERY))
    assert raised.value.kind is Kind.FORBIDDEN


def test_the_registries_of_a_subscription_are_listed(tape):
    def arrange(registry):
        have_six(registry)
        registry.manager.tags = {'env': 'dev'}

    with tape('registries', arrange) as (cmd, cassette):
        found = chosen(cmd, None, FleetOptions(all_registries=True, tag=['env=dev']))
        with pytest.raises(PruneError, match='No registry is found'):
            chosen(cmd, None, FleetOptions(all_registries=True, tag=['env=prod']))
    assert len(found) == 6 and found[0].resource_group_name == 'local'
    assert (
        sent(cassette) == ['GET SUBSCRIPTION/providers/Microsoft.ContainerRegistry/registries 2026-09-01-preview'] * 2
    )


@pytest.mark.skipif(RECORDING, reason='the cassettes are being recorded')
@pytest.mark.parametrize('path', sorted(CASSETTES.glob('*.yaml')), ids=lambda path: path.stem)
def test_no_cassette_holds_a_secret(path):
    text = path.read_text()
    for secret in ('eyJ', *ADMIN, SERVICE_PRINCIPAL[1], 'localhost:', '127.0.0.1', 'Bearer', 'secret-of-the-log'):
        assert secret not in text, secret
