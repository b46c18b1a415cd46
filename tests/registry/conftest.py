"""The local registry itself under test: by hand-made requests, by recordings of the service, by foreign clients."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from .auth import ADMIN
from .azcli import Az
from .server import LocalRegistry


class Http:
    """Requests to the registry over TLS: without a token, as the admin user, or with a token."""

    def __init__(self, registry: LocalRegistry) -> None:
        self.base = f'https://{registry.login_server}'
        self.service = registry.login_server
        self._session = requests.Session()
        self._session.verify = registry.ca_file
        self._session.trust_env = False

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, self.base + path, timeout=120, **options)

    def admin(self, method: str, path: str, **options: Any) -> requests.Response:
        return self(method, path, auth=ADMIN, **options)

    def bearer(self, method: str, path: str, token: str, **options: Any) -> requests.Response:
        return self(method, path, headers={'Authorization': f'Bearer {token}'}, **options)

    def token(self, scope: str, user: tuple[str, str] = ADMIN) -> str:
        """An access token by password."""
        form = {
            'grant_type': 'password',
            'service': self.service,
            'scope': scope,
            'username': user[0],
            'password': user[1],
        }
        return self('POST', '/oauth2/token', data=form).json()['access_token']

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def http(registry):
    client = Http(registry)
    yield client
    client.close()


@pytest.fixture
def az(tmp_path, registry, all_forks) -> Az:
    """The real az in a configuration folder of its own, without extensions."""
    return Az(tmp_path / 'azure', registry, tmp_path / 'extensions', all_forks)
