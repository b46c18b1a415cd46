"""The hosts of a registry: its login server, and an endpoint for each of its regions."""

from __future__ import annotations

import re

_REGION = re.compile(r'\.([a-z0-9]+)\.geo(?=[.:]|\Z)')
"""What the endpoint of a region has after the name: `myregistry.westeurope.geo.azurecr.io`."""


def region_of(host: str) -> str | None:
    """The region whose endpoint a host is; None for a login server."""
    match = _REGION.search(host)
    return match[1] if match else None


def login_server_of(host: str) -> str:
    """The login server of the registry that a host belongs to."""
    return _REGION.sub('', host, count=1)


def endpoint_of(login_server: str, region: str) -> str:
    """The host of a region of a registry, as the service spells it."""
    name = re.match(r'[^.:]*', login_server)
    assert name
    return f'{name[0]}.{region}.geo{login_server[name.end() :]}'
