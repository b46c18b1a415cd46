"""Just enough of sign-in and of the resource manager for `az login --service-principal` and `az acr show`."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from .answers import Answer, Call, json_answer
from .auth import ADMIN, SUBSCRIPTION, TENANT, Auth

GROUP = 'local'
_BASE = f'/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.ContainerRegistry/registries'
_INCLUDED_GIB = {'Basic': 10, 'Standard': 100, 'Premium': 500}
_MOST_TIB = {'Basic': 40, 'Standard': 40, 'Premium': 100}


class ResourceManager:
    """The management plane: every one of `names` is the registry on this host."""

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
        return json_answer({'value': [self._subscription()]})

    def subscription(self, storage: Any, call: Call) -> Answer:
        return json_answer(self._subscription())

    def resources(self, storage: Any, call: Call) -> Answer:
        return json_answer({'value': [_resource(name) for name in self.names]})

    def registries(self, storage: Any, call: Call) -> Answer:
        return json_answer({'value': [self._registry(storage, name) for name in self.names]})

    def registry(self, storage: Any, call: Call, name: str) -> Answer:
        return json_answer(self._registry(storage, name)) if name in self.names else _not_found(name)

    def usages(self, storage: Any, call: Call, name: str) -> Answer:
        """What the home region stores, or says that it does; the limit of `Size` is what the SKU includes."""
        limit, most = _INCLUDED_GIB[self.sku] * 1024**3, _MOST_TIB[self.sku] * 1024**4
        used = storage.stored_bytes() + storage.pending_bytes() if self.used_bytes is None else self.used_bytes
        size = {'name': 'Size', 'limit': limit, 'currentValue': used, 'unit': 'Bytes'}
        maximum = {'name': 'MaximumStorageCapacity', 'limit': most, 'currentValue': used, 'unit': 'Bytes'}
        webhooks = {'name': 'Webhooks', 'limit': 2, 'currentValue': 0, 'unit': 'Count'}
        return json_answer({'value': [size, webhooks, maximum]}) if name in self.names else _not_found(name)

    def replications(self, storage: Any, call: Call, name: str) -> Answer:
        """The registry's own region is one of them."""
        return json_answer(
            {
                'value': [
                    {
                        **_resource(name),
                        'id': f'{_BASE}/{name}/replications/{region}',
                        'name': region,
                        'location': region,
                        'type': 'Microsoft.ContainerRegistry/registries/replications',
                        'properties': {'provisioningState': 'Succeeded'},
                    }
                    for region in ('local', *self.replicas)
                ]
            }
        )

    def cached(self, storage: Any, call: Call, name: str) -> Answer:
        """The cache rules: each brings what is pulled from a target that it names, which may end with a wildcard."""
        rules = [
            {
                'id': f'{_BASE}/{name}/cacheRules/rule{number}',
                'name': f'rule{number}',
                'type': 'Microsoft.ContainerRegistry/registries/cacheRules',
                'properties': {
                    'sourceRepository': f'docker.io/{target}',
                    'targetRepository': target,
                    'provisioningState': 'Succeeded',
                },
            }
            for number, target in enumerate(self.cache_rules)
        ]
        return json_answer({'value': rules})

    def credentials(self, storage: Any, call: Call, name: str) -> Answer:
        return json_answer({'username': ADMIN[0], 'passwords': [{'name': 'password', 'value': ADMIN[1]}]})

    def _registry(self, storage: Any, name: str) -> dict[str, Any]:
        days, retention = storage.soft_delete_days, storage.retention.days
        return {
            **_resource(name),
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
            },
        }

    @staticmethod
    def _subscription() -> dict[str, Any]:
        return {
            'id': f'/subscriptions/{SUBSCRIPTION}',
            'subscriptionId': SUBSCRIPTION,
            'displayName': 'local',
            'state': 'Enabled',
            'tenantId': TENANT,
            'homeTenantId': TENANT,
            'authorizationSource': 'RoleBased',
            'subscriptionPolicies': {},
        }


def _resource(name: str) -> dict[str, Any]:
    return {
        'id': f'{_BASE}/{name}',
        'name': name,
        'location': 'local',
        'type': 'Microsoft.ContainerRegistry/registries',
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
