"""Which path is which handler, what it is counted as, and which permission it needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from re import Pattern
from typing import Any

from . import deleted
from .arm import ResourceManager
from .auth import Auth
from .distribution import Distribution
from .loganalytics import Logs
from .metadata import Metadata
from .resources import Resources
from .tasks import Tasks

_NAME = r'(?P<repository>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)'
_DIGEST = r'(?P<{}>[a-z0-9]+:[0-9a-f]{{32,}})'
_TAG = r'(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]*)'
_REFERENCE = r'(?P<reference>[A-Za-z0-9_][A-Za-z0-9._:-]*)'


@dataclass(frozen=True)
class Route:
    """`kind` names the counter; `actions` None means that no token is needed."""

    method: str
    pattern: Pattern[str]
    kind: str
    actions: list[str] | None
    handler: Callable[..., Any]


class Routes:
    """Finds the route of a request; the first match counts."""

    def __init__(
        self,
        host: str,
        auth: Auth,
        manager: ResourceManager,
        metadata: Metadata,
        distribution: Distribution,
        logs: Logs,
        resources: Resources,
        tasks: Tasks,
    ) -> None:
        self._routes: dict[str, list[Route]] = {}
        for method, path, kind, actions, handler in (
            *_distribution(distribution),
            *_metadata(metadata),
            *_plumbing(host, auth, manager),
            *_tasks(tasks),
            *_live(logs, resources),
        ):
            route = Route(method, re.compile(path + r'\Z'), kind, actions, handler)
            self._routes.setdefault(method, []).append(route)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        for route in self._routes.get(method, ()):
            match = route.pattern.match(path)
            if match:
                return route, match.groupdict()
        return None


Entry = tuple[str, str, str, list[str] | None, Callable[..., Any]]


def _plumbing(host: str, auth: Auth, manager: ResourceManager) -> Iterator[Entry]:
    def token(_: Any, call: Any) -> Any:
        return auth.token(call, call.host or host)

    subscription = r'(?i:/subscriptions/[0-9a-f-]+'
    registries = r'/providers/Microsoft\.ContainerRegistry/registries'
    registry = subscription + r'/resourceGroups/[^/]+' + registries + r'/(?P<name>[^/]+)'
    yield 'GET', '/v2/?', 'ping', None, lambda _, call: auth.ping(call, call.host or host)
    yield 'POST', '/oauth2/exchange', 'exchange', None, lambda _, call: auth.exchange(call)
    yield 'POST', '/oauth2/token', 'token', None, token
    yield 'GET', '/oauth2/token', 'token', None, token
    yield 'GET', r'/adfs/\.well-known/openid-configuration', 'arm', None, manager.openid_configuration
    yield 'POST', '/adfs/oauth2/token/?', 'arm', None, manager.aad_token
    yield 'GET', '/subscriptions/?', 'arm', None, manager.subscriptions
    yield 'GET', subscription + ')', 'arm', None, manager.subscription
    yield 'GET', subscription + '/resources)', 'arm', None, manager.resources
    yield 'GET', subscription + registries + ')', 'arm', None, manager.registries
    yield 'GET', subscription + r'/resourceGroups/(?P<group>[^/]+)' + registries + ')', 'arm', None, manager.registries
    yield 'POST', '/providers/Microsoft.ResourceGraph/resources', 'arm', None, manager.graph
    yield 'GET', registry + ')', 'arm', None, manager.registry
    yield 'GET', registry + '/listUsages)', 'arm', None, manager.usages
    yield 'GET', registry + '/replications)', 'arm', None, manager.replications
    yield 'GET', registry + '/cacheRules)', 'arm', None, manager.cached
    yield 'POST', registry + '/listCredentials)', 'arm', None, manager.credentials


def _tasks(tasks: Tasks) -> Iterator[Entry]:
    registry = r'(?i:/subscriptions/[0-9a-f-]+/resourceGroups/[^/]+/providers/Microsoft\.ContainerRegistry/registries)'
    registry += r'/(?P<name>[^/]+)'
    task, run = r'/tasks/(?P<task>[\w-]+)', r'/runs/(?P<run>\w+)'
    yield 'GET', registry + '/tasks', 'arm', None, tasks.all
    yield 'GET', registry + task, 'arm', None, tasks.one
    yield 'PUT', registry + task, 'task_put', None, tasks.put
    yield 'DELETE', registry + task, 'task_delete', None, tasks.delete
    yield 'POST', registry + '/scheduleRun', 'arm', None, tasks.start
    yield 'GET', registry + '/runs', 'arm', None, tasks.all_runs
    yield 'GET', registry + run, 'arm', None, tasks.one_run
    yield 'POST', registry + run + '/listLogSasUrl', 'arm', None, tasks.log_link
    yield 'GET', '/tasklogs/(?P<run>.+)', 'log', None, tasks.log
    yield 'PUT', r'/.+/providers/Microsoft\.Authorization/roleAssignments/[^/]+', 'role_put', None, tasks.assign
    yield 'GET', r'/.+/providers/Microsoft\.Authorization/roleAssignments', 'arm', None, tasks.assigned
    yield 'GET', r'/.+/providers/Microsoft\.Authorization/roleDefinitions', 'arm', None, tasks.role_definitions
    yield 'GET', '/msi/token', 'arm', None, tasks.identity_token


def _live(logs: Logs, resources: Resources) -> Iterator[Entry]:
    yield 'POST', '/v1/workspaces/(?P<workspace>[^/]+)/query', 'logs', None, logs.query
    yield 'GET', '/subscriptions/[0-9a-f-]+/.*', 'arm', None, resources.answer
    yield 'POST', '/subscriptions/[0-9a-f-]+/.*', 'arm', None, resources.answer


def _metadata(metadata: Metadata) -> Iterator[Entry]:
    read, write, delete = ['metadata_read'], ['metadata_write'], ['delete']
    base = '/acr/v1/' + _NAME
    gone = '/acr/v1/_deleted/' + _NAME
    by_digest = base + '/_manifests/' + _REFERENCE
    yield 'GET', '/acr/v1/_catalog', 'catalog', ['*'], metadata.catalog
    yield 'GET', '/v2/_catalog', 'catalog', ['*'], metadata.catalog
    yield 'GET', '/acr/v1/_deleted/_catalog', 'deleted', ['*'], deleted.deleted_catalog
    yield 'GET', gone + '/_manifests', 'deleted', ['deleted_read'], deleted.deleted_manifests
    yield 'GET', gone + '/_tags', 'deleted', ['deleted_read'], deleted.deleted_tags
    yield (
        'POST',
        gone + '/_manifests/' + _DIGEST.format('digest'),
        'restore',
        ['deleted_read', 'deleted_restore'],
        deleted.restore,
    )
    yield 'GET', base + '/_manifests', 'manifests_page', read, metadata.manifests
    yield 'GET', by_digest, 'manifest_properties', read, metadata.manifest
    yield 'PATCH', by_digest, 'patch', write, metadata.change_manifest
    yield 'GET', base + '/_tags', 'tags_page', read, metadata.tags
    yield 'GET', base + '/_tags/' + _TAG, 'tag_properties', read, metadata.tag
    yield 'PATCH', base + '/_tags/' + _TAG, 'patch', write, metadata.change_tag
    yield 'DELETE', base + '/_tags/' + _TAG, 'tag_delete', delete, metadata.delete_tag
    yield 'GET', base, 'repository_get', read, metadata.repository
    yield 'PATCH', base, 'patch', write, metadata.change_repository
    yield 'DELETE', base, 'repository_delete', delete, metadata.delete_repository


def _distribution(distribution: Distribution) -> Iterator[Entry]:
    pull, push = ['pull'], ['pull', 'push']
    manifest = '/v2/' + _NAME + '/manifests/' + _REFERENCE
    blob = '/v2/' + _NAME + '/blobs/' + _DIGEST.format('digest')
    upload = '/v2/' + _NAME + '/blobs/uploads/(?P<upload>[0-9a-f-]+)'
    yield 'GET', manifest, 'manifest_get', pull, distribution.get_manifest
    yield 'HEAD', manifest, 'manifest_head', pull, distribution.get_manifest
    yield 'PUT', manifest, 'manifest_put', push, distribution.put_manifest
    yield 'DELETE', manifest, 'manifest_delete', ['delete'], distribution.delete_manifest
    yield 'GET', '/v2/' + _NAME + '/referrers/' + _DIGEST.format('digest'), 'referrers', pull, distribution.referrers
    yield 'GET', '/v2/' + _NAME + '/tags/list', 'tags_list', pull, distribution.tags_list
    yield 'HEAD', blob, 'blob', pull, distribution.head_blob
    yield 'GET', blob, 'blob', pull, distribution.get_blob
    yield 'GET', '/storage/' + _DIGEST.format('digest'), 'stored_blob', None, distribution.stored_blob
    yield 'POST', '/v2/' + _NAME + '/blobs/uploads/?', 'blob', push, distribution.start_upload
    yield 'PATCH', upload, 'blob', push, distribution.patch_upload
    yield 'GET', upload, 'blob', push, distribution.upload_status
    yield 'PUT', upload, 'blob', push, distribution.put_upload
