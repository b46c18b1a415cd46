"""`WWW-Authenticate` headers, as the recordings have them."""

import pytest

from azext_acrprune.registry.protocol.refusals import parse_challenge

REALM = 'realm="https://r.azurecr.io/oauth2/token",service="r.azurecr.io"'
BASE = {'realm': 'https://r.azurecr.io/oauth2/token', 'service': 'r.azurecr.io'}


@pytest.mark.parametrize(
    'header, parameters',
    [
        (f'Bearer {REALM}', BASE),
        (f'Bearer {REALM},scope="repository:a/b:metadata_read"', {**BASE, 'scope': 'repository:a/b:metadata_read'}),
        (
            f'Bearer {REALM},scope="repository:a/b:pull,push",error="insufficient_scope"',
            {**BASE, 'scope': 'repository:a/b:pull,push', 'error': 'insufficient_scope'},
        ),
        (f'bearer {REALM}, error="invalid_token"', {**BASE, 'error': 'invalid_token'}),
        ('Basic realm="r.azurecr.io"', {}),
        ('Bearer', {}),
        ('', {}),
        ('nonsense', {}),
    ],
)
def test_parameters_of_a_bearer_challenge(header, parameters):
    assert parse_challenge(header) == parameters
