"""Just enough of sign-in and of the resource manager for `az login --service-principal` and `az acr show`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from . import graph
from .answers import Answer, Call, json_answer
from .auth import ADMIN, SUBSCRIPTION, TENANT, Auth

if TYPE_CHECKING:
    from .server import LocalRegistry

GROUP = 'local'
OTHER_SUBSCRIPTION = '44444444-4444-4444-4444-444444444444'
_INCLUDED_GIB = {'Basic': 10, 'Standard': 100, 'Premium': 500}
_MOST_TIB = {'Basic': 40, 'Standard': 40, 'Premium': 100}


@dataclass(frozen=True)
class Joined:
    """Another registry that the resource manager knows, and what it says of it."""

    registry: LocalRegistry
    tags: Mapping[str, str] = field(default_factory=dict)
    group: str = GROUP
    subscription: str = SUBSCRIPTION


class ResourceManager:
    """The management plane: every one of `names` is the registry on this host, and those that `joined` are others."""

    def __init__(self, auth: Auth, host: str, name: str = 'localhost') -> None:
        self.auth = auth
        self.host = host
        self.names = [name]
        self.reset()

    def reset(self) -> None:
        self.sku = 'Standard'
        self.replicas: list[str] = []
        self.used_bytes: int | None = None
        self.cache_rules: list[str] = []
        self.regional_hosts: list[str] = []
        self.tags: dict[str, str] = {}
        self.joined: dict[str, Joined] = {}
        self.graph_forbidden = False
        self.properties: dict[str, Any] = {}
        self.accounts: list[str] = []

    def openid_configuration(self, storage: Any, call: Call) -> Answer:
        base = f'https://{self.host}/adfs'
        return json_answer(
            {
                'issuer': base,
                'authorization_endpoint': f'{base}/oauth2/authorize/',
                'token_endpoint': f'{base}/oauth2/token/',
                'device_authorization_endpoint': f'{base}/oauth2/devicecode',
                'jwks_uri': f'{base}/discovery/keys',
                'response_types_supported': ['code'],
                'response_modes_supported': ['query'],
                'grant_types_supported': ['client_credentials'],
                'subject_types_supported': ['pairwise'],
                'scopes_supported': ['openid'],
                'id_token_signing_alg_values_supported': ['RS256'],
                'token_endpoint_auth_methods_supported': ['client_secret_post'],
            }
        )

    def aad_token(self, storage: Any, call: Call) -> Answer:
        form = {key: values[0] for key, values in parse_qs(call.body.decode()).items()}
        principal = self.auth.service_principal
        if (form.get('client_id'), form.get('client_secret')) != (principal.name, principal.password):
            return json_answer(
                {'error': 'invalid_client', 'error_description': 'AADSTS7000215: Invalid client secret provided.'}, 401
            )
        return json_answer({'token_type': 'Bearer', 'expires_in': 3600, 'access_token': self.auth.aad_token()})

    def subscriptions(self, storage: Any, call: Call) -> Answer:
        known = dict.fromkeys((SUBSCRIPTION, *(each.subscription for each in self.joined.values())))
        return json_answer({'value': [_subscription(number) for number in known]})

    def subscription(self, storage: Any, call: Call) -> Answer:
        return json_answer(_subscription(_subscription_of(call)))

    def resources(self, storage: Any, call: Call) -> Answer:
        accounts = [_resource(name, kind='Microsoft.Storage/storageAccounts') for name in self.accounts]
        return json_answer({'value': [*self._listed(storage, call), *accounts]})

    def registries(self, storage: Any, call: Call, group: str | None = None) -> Answer:
        return json_answer({'value': list(self._listed(storage, call, group))})

    def graph(self, storage: Any, call: Call) -> Answer:
        """Resource Graph, over the registries of all subscriptions or of those that are named."""
        if self.graph_forbidden:
            return json_answer(graph.failure('AuthorizationFailed', 'The client may not read resources.'), 403)
        asked = json.loads(call.body)
        rows = [graph.row(each) for each in self._all(storage)]
        try:
            return json_answer(graph.answer(asked, rows))
        except graph.BadQuery as error:
            return json_answer(graph.failure('BadRequest', 'Please check the query.', 'ParserFailure', str(error)), 400)

    def registry(self, storage: Any, call: Call, name: str) -> Answer:
        found = [each for each in self._listed(storage, call) if each['name'] == name]
        return json_answer(found[0]) if found else _not_found(name)

    def _listed(self, storage: Any, call: Call, group: str | None = None) -> Iterator[dict[str, Any]]:
        """The registries of the subscription that a call is about, or of a resource group in it."""
        place = f'/subscriptions/{_subscription_of(call)}/resourceGroups/{group or ""}'
        return (each for each in self._all(storage) if each['id'].startswith(place))

    def _all(self, storage: Any) -> Iterator[dict[str, Any]]:
        yield from (self._registry(storage, name) for name in self.names)
        for name, each in self.joined.items():
            manager = each.registry.manager
            own = manager._registry(each.registry.storage, name)  # pylint: disable=protected-access
            yield {**own, **_resource(name, each.group, each.subscription), 'tags': dict(each.tags)}

    def _place(self, storage: Any, name: str) -> tuple[ResourceManager, Any]:
        """Whoever knows a registry, and what it stores."""
        other = self.joined.get(name)
        return (other.registry.manager, other.registry.storage) if other else (self, storage)

    def usages(self, storage: Any, call: Call, name: str) -> Answer:
        """What the home region stores, or says that it does; the limit of `Size` is what the SKU includes."""
        if name not in (*self.names, *self.joined):
            return _not_found(name)
        place, storage = self._place(storage, name)
        return place._usages(storage)  # pylint: disable=protected-access

    def _usages(self, storage: Any) -> Answer:
        limit, most = _INCLUDED_GIB[self.sku] * 1024**3, _MOST_TIB[self.sku] * 1024**4
        used = storage.stored_bytes() + storage.pending_bytes() if self.used_bytes is None else self.used_bytes
        size = {'name': 'Size', 'limit': limit, 'currentValue': used, 'unit': 'Bytes'}
        maximum = {'name': 'MaximumStorageCapacity', 'limit': most, 'currentValue': used, 'unit': 'Bytes'}
        webhooks = {'name': 'Webhooks', 'limit': 2, 'currentValue': 0, 'unit': 'Count'}
        return json_answer({'value': [size, webhooks, maximum]})

    def replications(self, storage: Any, call: Call, name: str) -> Answer:
        """The registry's own region is one of them."""
        place, _ = self._place(storage, name)
        return json_answer(
            {
                'value': [
                    {
                        **_resource(name),
                        'id': f'{_resource(name)["id"]}/replications/{region}',
                        'name': region,
                        'location': region,
                        'type': 'Microsoft.ContainerRegistry/registries/replications',
                        'properties': {'provisioningState': 'Succeeded'},
                    }
                    for region in ('local', *place.replicas)
                ]
            }
        )

    def cached(self, storage: Any, call: Call, name: str) -> Answer:
        """The cache rules: each brings what is pulled from a target that it names, which may end with a wildcard."""
        rules = [
            {
                'id': f'{_resource(name)["id"]}/cacheRules/rule{number}',
                'name': f'rule{number}',
                'type': 'Microsoft.ContainerRegistry/registries/cacheRules',
                'properties': {
                    'sourceRepository': f'docker.io/{target}',
                    'targetRepository': target,
                    'provisioningState': 'Succeeded',
                },
            }
            for number, target in enumerate(self._place(storage, name)[0].cache_rules)
        ]
        return json_answer({'value': rules})

    def credentials(self, storage: Any, call: Call, name: str) -> Answer:
        return json_answer({'username': ADMIN[0], 'passwords': [{'name': 'password', 'value': ADMIN[1]}]})

    def _registry(self, storage: Any, name: str) -> dict[str, Any]:
        days, retention = storage.soft_delete_days, storage.retention.days
        return {
            **_resource(name),
            'tags': self.tags,
            'sku': {'name': self.sku, 'tier': self.sku},
            'properties': {
                'loginServer': self.host,
                'adminUserEnabled': self.auth.admin_enabled,
                'provisioningState': 'Succeeded',
                'creationDate': '2021-01-01T00:00:00Z',
                'policies': {
                    'softDeletePolicy': {'status': 'enabled' if days else 'disabled', 'retentionDays': days or 7},
                    'retentionPolicy': {
                        'status': 'disabled' if retention is None else 'enabled',
                        'days': 7 if retention is None else retention,
                    },
                },
                'regionalEndpoints': 'Enabled' if self.regional_hosts else 'Disabled',
                'regionalEndpointHostNames': self.regional_hosts,
                **self.properties,
            },
        }


def _subscription(number: str) -> dict[str, Any]:
    return {
        'id': f'/subscriptions/{number}',
        'subscriptionId': number,
        'displayName': 'local' if number == SUBSCRIPTION else f'local {number[:4]}',
        'state': 'Enabled',
        'tenantId': TENANT,
        'homeTenantId': TENANT,
        'authorizationSource': 'RoleBased',
        'subscriptionPolicies': {},
    }


def _subscription_of(call: Call) -> str:
    return call.path.split('/')[2]


def _resource(
    name: str,
    group: str = GROUP,
    subscription: str = SUBSCRIPTION,
    kind: str = 'Microsoft.ContainerRegistry/registries',
) -> dict[str, Any]:
    return {
        'id': f'/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind}/{name}',
        'name': name,
        'location': 'local',
        'type': kind,
    }


def _not_found(name: str) -> Answer:
    return json_answer(
        {
            'error': {
                'code': 'ResourceNotFound',
                'message': (
                    f"The Resource 'Microsoft.ContainerRegistry/registries/{name}' under resource group '{GROUP}' "
                    'was not found.'
                ),
            }
        },
        404,
    )
