"""Secrets in texts from elsewhere are hidden, and nothing else is."""

from __future__ import annotations

import base64
import time

import pytest

from azext_acrprune.prune_error import PruneError
from azext_acrprune.redaction import keep_secret, redacted
from azext_acrprune.registry.protocol.refusals import from_answer
from azext_acrprune.registry.protocol.tokens import Password, RefreshToken, TokenBook

JWT = 'eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiI4ODQ5NmM0MiJ9.c2lnbmF0dXJl-_x'
SECRET = 'hunter2hunter2'

SHAPES = [
    "'X-Echo': 'Bearer {}'",
    'Authorization: Bearer {}',
    "    'Authorization': 'Basic {}'",
    'Basic dXNlcjp{}==',
    "    'Set-Cookie': 'session={}; Path=/'",
    'Cookie: a=b; session={}',
    "'X-Auth-Token': '{}'",
    'X-Auth-Token: {}',
    '{{"refresh_token": "{}"}}',
    '{{"password":"with \\" a quote {}"}}',
    'grant_type=refresh_token&refresh_token={}&service=contoso.azurecr.io',
    'https://acct.blob.core.windows.net/c?sv=2022-11-02&sp=r&sig={}%3D&se=2030',
    'se=2030&sig%3D{}',
    'Cannot connect to https://user:{}@proxy.contoso.com:8080/',
    'https://user:p@ss{}@proxy.contoso.com:8080/',
    'Bearer realm="https://x/oauth2/token",error_description="refresh_token={}"',
    'client_secret: {}',
]


@pytest.mark.parametrize('text', SHAPES)
@pytest.mark.parametrize('secret', [JWT, 'opaque0opaque0opaque'])
def test_what_looks_like_a_secret_is_hidden(text, secret):
    shown = redacted(text.format(secret))
    assert '***' in shown and not any(part in shown for part in secret.split('.'))


def test_a_token_is_hidden_wherever_it_stands_and_a_part_of_it_too():
    for text in (f'token {JWT} is not valid', f'the token {JWT}', f'it is {JWT[:50]}'):
        assert 'eyJ' not in redacted(text)


@pytest.mark.parametrize(
    'text',
    [
        'Bearer realm="https://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io",error="invalid_token"',
        'authentication required, visit https://aka.ms/acr/authorization for more information.',
        'team/app@sha256:0123456789abcdef0123456789abcdef is there',
        'https://contoso.azurecr.io/team/app@sha256:0123456789abcdef',
        'team/app:sha256-0123.sig: The subject of this attachment does not exist.',
        'Basic authentication is off, and kubectl may not list secrets: ask for it.',
        'Check --username and --password, or sign in.',
        'The registry gives no token that can be used',
    ],
)
def test_what_is_no_secret_is_left(text):
    assert redacted(text) == text


def test_what_is_known_to_be_secret_is_hidden_in_whatever_form_it_is_said_back():
    keep_secret('p&ss/word with=all', 'somebody')
    basic = base64.b64encode(b'somebody:p&ss/word with=all').decode()
    for form in ('p&ss/word with=all', 'p%26ss%2Fword%20with%3Dall', 'p%26ss%2Fword+with%3Dall', basic):
        assert redacted(f'wrong: {form}!') == 'wrong: ***!'
    keep_secret('abc')
    keep_secret('')
    assert redacted('abc') == 'abc'


@pytest.mark.parametrize('credential', [Password('me', SECRET), RefreshToken(SECRET)])
def test_what_a_token_book_holds_is_known_and_no_error_says_it(credential):
    book = TokenBook('contoso.azurecr.io', credential, 0)
    book.accept('registry:catalog:*', 'an-opaque-access-token', 0)
    for secret in (SECRET, 'an-opaque-access-token'):
        for body in (
            b'{"errors":[{"code":"BAD-%s","message":"so %s"}]}' % ((secret.encode(),) * 2),
            b'x' * 190 + secret.encode(),
            b'%s' % secret.encode(),
        ):
            assert secret[:10] not in str(from_answer(400, None, body))
        assert secret not in str(PruneError(f'It is {secret}.'))


def test_a_long_hostile_text_takes_no_time():
    began = time.process_time()
    for text in ('a' * 10**6, 'eyJ' * 10**5, '://' * 10**5, 'bearer ' * 10**5, 'token' * 10**5, 'password":"' * 10**5):
        redacted(text)
    assert time.process_time() - began < 20
