"""ACR Tasks and role assignments of the resource manager: tasks, their runs with logs, and who may do what."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from .answers import Answer, Call, json_answer
from .auth import TENANT, Auth

PRINCIPAL = '0d0d0d0d-0000-4000-8000-000000000001'
"""The object id of each identity that the resource manager makes."""
IDENTITY_HEADER = 'header-of-the-local-identity'
_ROLE = re.compile(r"roleName eq '([^']+)'")
_OF_TASK = re.compile(r"TaskName eq '([^']+)'")


class Tasks:
    """`tasks[registry, name]` and `runs`, newest first, as the service gives them; `assignments` by scope and name.

    A run stays queued until a test sets its status, and `logs[its id]`. `identities` are the parameters with which the
    endpoint for managed identities was asked.
    """

    def __init__(self, auth: Auth, host: str) -> None:
        self._auth = auth
        self._host = host
        self.reset()

    def reset(self) -> None:
        self.tasks: dict[tuple[str, str], dict[str, Any]] = {}
        self.runs: list[dict[str, Any]] = []
        self.logs: dict[str, str] = {}
        self.assignments: dict[str, dict[str, Any]] = {}
        self.may_assign = self.may_read = True
        self.identities: list[dict[str, str]] = []

    def all(self, storage: Any, call: Call, name: str) -> Answer:
        if not self.may_read:
            return _forbidden('The client may not read tasks.')
        return json_answer({'value': [task for (registry, _), task in self.tasks.items() if registry == name]})

    def one(self, storage: Any, call: Call, name: str, task: str) -> Answer:
        found = self.tasks.get((name, task))
        return json_answer(found) if found else _missing(call)

    def put(self, storage: Any, call: Call, name: str, task: str) -> Answer:
        """Create or replace a task; the service fills in what it makes itself."""
        body = json.loads(call.body)
        identity = body.get('identity')
        if identity:
            ids = {key: {'principalId': PRINCIPAL} for key in identity.get('userAssignedIdentities') or ()}
            own = {'principalId': PRINCIPAL, 'tenantId': TENANT} if 'System' in identity['type'] else {}
            identity = {**identity, **own, **({'userAssignedIdentities': ids} if ids else {})}
        made = {'provisioningState': 'Succeeded', 'creationDate': '2026-01-01T00:00:00Z'}
        kind = 'Microsoft.ContainerRegistry/registries/tasks'
        document = {**body, 'id': call.path, 'name': task, 'type': kind, 'identity': identity}
        document['properties'] = {**body['properties'], **made}
        is_new = (name, task) not in self.tasks
        self.tasks[name, task] = document
        return json_answer(document, 201 if is_new else 200)

    def delete(self, storage: Any, call: Call, name: str, task: str) -> Answer:
        return Answer(200 if self.tasks.pop((name, task), None) else 204)

    def start(self, storage: Any, call: Call, name: str) -> Answer:
        task = json.loads(call.body)['taskId'].rpartition('/')[2]
        if (name, task) not in self.tasks:
            return _missing(call)
        run_id = f'c{len(self.runs) + 1}'
        properties = {'runId': run_id, 'status': 'Queued', 'task': task, 'createTime': '2026-01-01T03:00:00Z'}
        run = {
            'id': call.path.replace('scheduleRun', f'runs/{run_id}'),
            'name': run_id,
            'type': 'Microsoft.ContainerRegistry/registries/runs',
            'properties': {**properties, 'runType': 'QuickRun', 'provisioningState': 'Succeeded'},
        }
        self.runs.insert(0, run)
        return json_answer(run)

    def all_runs(self, storage: Any, call: Call, name: str) -> Answer:
        wanted = _OF_TASK.search(call.query.get('$filter', ''))
        found = [run for run in self.runs if not wanted or run['properties']['task'] == wanted[1]]
        return json_answer({'value': found[: int(call.query.get('$top', 100))]})

    def one_run(self, storage: Any, call: Call, name: str, run: str) -> Answer:
        found = next((each for each in self.runs if each['name'] == run), None)
        return json_answer(found) if found else _missing(call)

    def log_link(self, storage: Any, call: Call, name: str, run: str) -> Answer:
        return json_answer({'logLink': f'https://{self._host}/tasklogs/{run}?sv=2024-01-01&sig=secret-of-the-log'})

    def log(self, storage: Any, call: Call, run: str) -> Answer:
        found = self.logs.get(run)
        return Answer(404) if found is None else Answer(200, found.encode(), {'Content-Type': 'text/plain'})

    def assign(self, storage: Any, call: Call) -> Answer:
        """One role for one identity at one scope exists once, whatever its name."""
        if not self.may_assign:
            return _forbidden('The client may not write role assignments.')
        properties = json.loads(call.body)['properties']
        scope = call.path.partition('/providers/Microsoft.Authorization/')[0]
        for path, there in self.assignments.items():
            if {**there['properties'], **properties} == there['properties'] and there['properties']['scope'] == scope:
                if path == call.path:
                    return json_answer(there)
                exists = {'code': 'RoleAssignmentExists', 'message': 'The role assignment already exists.'}
                return json_answer({'error': exists}, 409)
        document = {
            'id': call.path,
            'name': call.path.rpartition('/')[2],
            'type': 'Microsoft.Authorization/roleAssignments',
            'properties': {**properties, 'scope': scope},
        }
        self.assignments[call.path] = document
        return json_answer(document, 201)

    def assigned(self, storage: Any, call: Call) -> Answer:
        """The role assignments of an identity at a scope and above."""
        scope = call.path.partition('/providers/Microsoft.Authorization/')[0]
        there = [each for each in self.assignments.values() if scope.startswith(each['properties']['scope'])]
        return json_answer(
            {'value': [each for each in there if each['properties']['principalId'] in call.query['$filter']]}
        )

    def role_definitions(self, storage: Any, call: Call) -> Answer:
        """The role with a name; its id is made from the name."""
        wanted = _ROLE.search(call.query.get('$filter', ''))
        name = wanted[1] if wanted else 'Reader'
        role = {
            'id': f'{call.path}/{name.replace(" ", "-")}',
            'name': name.replace(' ', '-'),
            'type': 'Microsoft.Authorization/roleDefinitions',
            'properties': {'roleName': name, 'type': 'BuiltInRole'},
        }
        return json_answer({'value': [role]})

    @property
    def roles(self) -> set[tuple[str, str]]:
        """(name of a role, last part of its scope) of each assignment."""
        properties = [each['properties'] for each in self.assignments.values()]
        return {(each['roleDefinitionId'].rpartition('/')[2], each['scope'].rpartition('/')[2]) for each in properties}

    def identity_token(self, storage: Any, call: Call) -> Answer:
        """A token for a managed identity, as App Service gives it."""
        if call.headers.get('X-IDENTITY-HEADER') != IDENTITY_HEADER:
            return Answer(401)
        self.identities.append(dict(call.query))
        document = {'access_token': self._auth.aad_token(), 'expires_on': str(int(time.time()) + 3600)}
        return json_answer({**document, 'resource': call.query['resource'], 'token_type': 'Bearer'})


def _missing(call: Call) -> Answer:
    message = f"The resource '{call.path}' was not found."
    return json_answer({'error': {'code': 'ResourceNotFound', 'message': message}}, 404)


def _forbidden(message: str) -> Answer:
    return json_answer({'error': {'code': 'AuthorizationFailed', 'message': message}}, 403)
