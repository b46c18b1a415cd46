"""Asks the resource manager which images run in Azure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..pins.live import (
    ACR_TASKS,
    AKS,
    CONTAINER_APPS,
    FUNCTION_APPS,
    SUBSCRIPTION,
    WEB_APPS,
    System,
    Thing,
    thing_of_pool,
    thing_of_site,
    things_of_task,
)
from ..spelling import printable
from .arm import Resource, ResourceManager
from .failure import AskError
from .kubernetes import ask_kubectl, kubeconfig_file

_AKS_VERSION = '2024-02-01'
_APPS_VERSION = '2024-03-01'
_SITES_VERSION = '2023-12-01'
_SIDECARS_VERSION = '2024-04-01'
_TASKS_VERSION = '2019-06-01-preview'
_REGISTRIES_VERSION = '2023-07-01'
_INSTANCES_VERSION = '2023-05-01'

_POOLS_VERSION = '2024-10-02-preview'
_PROFILES_VERSION = '2024-11-01-preview'
_BATCH_VERSION = '2024-07-01'
_ML_VERSION = '2024-10-01'
_WITH_ARCHIVED = '&listViewType=All'
_ARC_VERSION = '2024-01-01'

NOT_SEEN = (
    'what virtual machines, scale sets, Service Fabric, tasks of Batch, other subscriptions and clusters elsewhere run '
    'is not seen, and neither are the contexts of ACR tasks: name these images with --pins'
)
"""Said by `subscription`; docs/pins.md has the whole table."""

_BUILT = (
    "the images that it builds of its environments, 'azureml/*' in the registry {registry}, are not seen: "
    'name them with --pins, or leave these repositories out'
)
Ask = Callable[[System, ResourceManager, float], Iterator[Thing]]


def ask_azure(system: System, manager: ResourceManager, seconds: float) -> list[Thing]:
    """Everything in a system that may use images; each cluster has some seconds to answer. Raises AskError."""
    return list(_ASK[system.kind](system, manager, seconds))


def _clusters(system: System, manager: ResourceManager, seconds: float) -> Iterator[Thing]:
    """Every cluster, or the one that is named, by the credential of a user of it: nothing has to run in it for that."""
    source = f'the AKS cluster {system.name}' if system.name else 'AKS'
    clusters = _all(manager, source, 'Microsoft.ContainerService/managedClusters', _AKS_VERSION)
    if system.name:
        clusters = [
            each
            for each in clusters
            if _is(each, 'name', system.name)
            and (not system.resource_group or _group_of(each).lower() == system.resource_group.lower())
        ]
        if len(clusters) != 1:
            raise AskError(
                source,
                'several have this name' if clusters else 'there is none of this name in the subscription',
                "See 'az aks list', and give aks:NAME/RESOURCE_GROUP.",
            )
    for cluster in clusters:
        yield from _of_cluster(f'aks {cluster.get("name")}', _id(source, cluster), manager, seconds)


def _of_cluster(origin: str, path: str, manager: ResourceManager, seconds: float) -> list[Thing]:
    answer = manager.one(origin, f'{path}/listClusterUserCredential', _AKS_VERSION, 'POST')
    kubeconfigs = answer.get('kubeconfigs')
    if not isinstance(kubeconfigs, list) or not kubeconfigs or not isinstance(kubeconfigs[0], dict):
        raise AskError(origin, 'it gives no kubeconfig')
    with kubeconfig_file(origin, kubeconfigs[0].get('value')) as kubeconfig:
        return ask_kubectl(seconds, kubeconfig=kubeconfig, origin=origin)


def _container_apps(system: System, manager: ResourceManager, _: float) -> Iterator[Thing]:
    """Apps with all their revisions, for an app can go back to one that is not active; jobs; and session pools."""
    source = CONTAINER_APPS
    if system.name:
        environments = _all(manager, source, 'Microsoft.App/managedEnvironments', _APPS_VERSION)
        if not any(_is(each, 'name', system.name) for each in environments):
            raise AskError(
                source,
                f"there is no environment '{system.name}' in the subscription",
                "See 'az containerapp env list'.",
            )
    for app in _all(manager, source, 'Microsoft.App/containerApps', _APPS_VERSION):
        if _in_environment(app, system.name):
            revisions = manager.every(f'{source} {app.get("name")}', f'{_id(source, app)}/revisions', _APPS_VERSION)
            yield Thing(f'container app {app.get("name")}', (_properties(app), *map(_properties, revisions)))
    for job in _all(manager, source, 'Microsoft.App/jobs', _APPS_VERSION):
        if _in_environment(job, system.name):
            yield Thing(f'container app job {job.get("name")}', (_properties(job),))
    for pool in _any(manager, source, 'Microsoft.App/sessionPools', _POOLS_VERSION):
        if _in_environment(pool, system.name):
            yield Thing(f'session pool {pool.get("name")}', (_properties(pool),))


def _sites(of_functions: bool) -> Ask:
    def ask(_: System, manager: ResourceManager, __: float) -> Iterator[Thing]:
        source, what = (FUNCTION_APPS, 'function app') if of_functions else (WEB_APPS, 'web app')
        for site in _all(manager, source, 'Microsoft.Web/sites', _SITES_VERSION):
            if ('functionapp' in str(site.get('kind', '')).lower()) is of_functions:
                path = _id(source, site)
                for each in (site, *manager.every(source, f'{path}/slots', _SITES_VERSION)):
                    yield _site(f'{what} {each.get("name")}', each, _id(source, each), manager)

    return ask


def _site(origin: str, site: Resource, path: str, manager: ResourceManager) -> Thing:
    """A list of sites has no whole configuration. That of sidecars stands elsewhere; sites of code have them too."""
    configuration = manager.one(origin, f'{path}/config/web', _SITES_VERSION)
    documents = [{'properties': _properties(site).get('siteConfig')}, configuration]
    documents += manager.every_if_any(origin, f'{path}/sitecontainers', _SIDECARS_VERSION)
    return thing_of_site(origin, documents)


def _tasks(_: System, manager: ResourceManager, __: float) -> Iterator[Thing]:
    """Those of all registries: a task of another one may use our images."""
    for registry in _all(manager, ACR_TASKS, 'Microsoft.ContainerRegistry/registries', _REGISTRIES_VERSION):
        login_server = _properties(registry).get('loginServer')
        if not isinstance(login_server, str):
            raise AskError(ACR_TASKS, f'the registry {registry.get("name")} has no login server')
        for task in manager.every(ACR_TASKS, f'{_id(ACR_TASKS, registry)}/tasks', _TASKS_VERSION):
            yield things_of_task(f'task {task.get("name")} of {registry.get("name")}', task, login_server)


def _instances(_: System, manager: ResourceManager, __: float) -> Iterator[Thing]:
    groups = _all(manager, 'container instances', 'Microsoft.ContainerInstance/containerGroups', _INSTANCES_VERSION)
    profiles = _any(
        manager, 'container instances', 'Microsoft.ContainerInstance/containerGroupProfiles', _PROFILES_VERSION
    )
    for what, each in (*(('group', group) for group in groups), *(('group profile', each) for each in profiles)):
        yield Thing(f'container {what} {each.get("name")}', (_properties(each),))


def _batch(_: System, manager: ResourceManager, __: float) -> Iterator[Thing]:
    """The images that pools of Azure Batch fetch beforehand."""
    for account in _any(manager, 'Batch', 'Microsoft.Batch/batchAccounts', _BATCH_VERSION):
        for pool in manager.every_if_any('Batch', f'{_id("Batch", account)}/pools', _BATCH_VERSION):
            yield thing_of_pool(f'Batch pool {pool.get("name")} of {account.get("name")}', _properties(pool))


def _machine_learning(_: System, manager: ResourceManager, __: float) -> Iterator[Thing]:
    """The environments of Azure Machine Learning, in all versions, and what its endpoints run."""
    source = 'Machine Learning'
    for workspace in _any(manager, source, 'Microsoft.MachineLearningServices/workspaces', _ML_VERSION):
        path, name = _id(source, workspace), workspace.get('name')
        registry = str(_properties(workspace).get('containerRegistry') or '').rpartition('/')[2]
        if registry:
            yield Thing(f'workspace {name}', (), unseen=_BUILT.format(registry=printable(registry)))
        for environment in manager.every_if_any(source, f'{path}/environments', _ML_VERSION, _WITH_ARCHIVED):
            versions_path = f'{_id(source, environment)}/versions'
            versions = manager.every_if_any(source, versions_path, _ML_VERSION, _WITH_ARCHIVED)
            documents = (_properties(environment), *map(_properties, versions))
            yield Thing(f'environment {environment.get("name")} of the workspace {name}', documents)
        for kind in ('onlineEndpoints', 'batchEndpoints'):
            for endpoint in manager.every_if_any(source, f'{path}/{kind}', _ML_VERSION):
                deployments = manager.every_if_any(source, f'{_id(source, endpoint)}/deployments', _ML_VERSION)
                documents = (_properties(endpoint), *map(_properties, deployments))
                yield Thing(f'endpoint {endpoint.get("name")} of the workspace {name}', documents)


def _not_seen(_: System, manager: ResourceManager, __: float) -> Iterator[Thing]:
    """What the resource manager cannot look into."""
    for cluster in _any(manager, 'Arc', 'Microsoft.Kubernetes/connectedClusters', _ARC_VERSION):
        yield Thing(f'Arc cluster {cluster.get("name")}', (), unseen='it is only seen with kubectl:CONTEXT')
    yield Thing(SUBSCRIPTION, (), unseen=NOT_SEEN)


def _everything(system: System, manager: ResourceManager, seconds: float) -> Iterator[Thing]:
    azure = (_clusters, _container_apps, _sites(False), _sites(True), _tasks, _instances, _batch, _machine_learning)
    for ask in (*azure, _not_seen):
        yield from ask(system, manager, seconds)


_ASK: Mapping[str, Ask] = {
    AKS: _clusters,
    CONTAINER_APPS: _container_apps,
    WEB_APPS: _sites(False),
    FUNCTION_APPS: _sites(True),
    ACR_TASKS: _tasks,
    SUBSCRIPTION: _everything,
}


def _all(manager: ResourceManager, source: str, kind: str, version: str) -> list[Resource]:
    return manager.every(source, f'/subscriptions/{manager.subscription}/providers/{kind}', version)


def _any(manager: ResourceManager, source: str, kind: str, version: str) -> list[Resource]:
    return manager.every_if_any(source, f'/subscriptions/{manager.subscription}/providers/{kind}', version)


def _in_environment(app: Resource, name: Any) -> bool:
    properties = _properties(app)
    environment = str(properties.get('environmentId') or properties.get('managedEnvironmentId') or '')
    return not name or not environment or environment.lower().endswith(f'/{name.lower()}')


def _id(source: str, resource: Resource) -> str:
    path = resource.get('id')
    if not isinstance(path, str) or not path.startswith('/subscriptions/'):
        raise AskError(source, 'the resource manager lists something without an id')
    return path


def _is(resource: Resource, key: str, value: str) -> bool:
    return str(resource.get(key, '')).lower() == value.lower()


def _group_of(resource: Resource) -> str:
    parts = str(resource.get('id', '')).split('/')
    return parts[4] if len(parts) > 4 else ''


def _properties(resource: Resource) -> dict[str, Any]:
    properties = resource.get('properties')
    return properties if isinstance(properties, dict) else {}
