"""The hosts of a registry."""

import pytest

from azext_acrprune.registry.protocol.hosts import endpoint_of, login_server_of, region_of


@pytest.mark.parametrize(
    'login_server, region, endpoint',
    [
        ('contoso.azurecr.io', 'westeurope', 'contoso.westeurope.geo.azurecr.io'),
        ('contoso-a1b2.azurecr.io', 'eastus2', 'contoso-a1b2.eastus2.geo.azurecr.io'),
        ('localhost:5000', 'far', 'localhost.far.geo:5000'),
    ],
)
def test_the_endpoint_of_a_region_names_it_after_the_registry(login_server, region, endpoint):
    assert endpoint_of(login_server, region) == endpoint
    assert (region_of(endpoint), login_server_of(endpoint)) == (region, login_server)
    assert (region_of(login_server), login_server_of(login_server)) == (None, login_server)
