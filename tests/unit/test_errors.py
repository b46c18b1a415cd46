"""What a failing answer means."""

import json

import pytest

from azext_acrprune.registry.protocol.refusals import Kind, RegistryError, from_answer

CHALLENGE = 'Bearer realm="https://r.azurecr.io/oauth2/token",service="r.azurecr.io",scope="repository:a:delete"'
LACKING = CHALLENGE + ',error="insufficient_scope"'
INVALID = CHALLENGE + ',error="invalid_token"'


def body(code='CODE', message='the message', **more):
    return json.dumps({'errors': [{'code': code, 'message': message, **more}]}).encode()


@pytest.mark.parametrize(
    'status, challenge, kind',
    [
        (400, None, Kind.UNAVAILABLE),
        (401, None, Kind.UNAUTHENTICATED),
        (401, CHALLENGE, Kind.UNAUTHENTICATED),
        (401, INVALID, Kind.UNAUTHENTICATED),
        (401, LACKING, Kind.FORBIDDEN),
        (403, None, Kind.FORBIDDEN),
        (404, None, Kind.UNAVAILABLE),
        (405, None, Kind.UNAVAILABLE),
        (409, None, Kind.UNAVAILABLE),
        (429, None, Kind.BUSY),
        (500, None, Kind.UNAVAILABLE),
        (503, None, Kind.UNAVAILABLE),
    ],
)
def test_kind_follows_from_status_and_challenge(status, challenge, kind):
    error = from_answer(status, challenge, body())
    assert (error.kind, error.status, error.code, error.message) == (kind, status, 'CODE', 'the message')


def test_insufficient_scope_says_nothing_about_other_statuses():
    assert from_answer(404, LACKING, b'').kind is Kind.UNAVAILABLE


@pytest.mark.parametrize(
    'detail, actions',
    [
        ([{'Type': 'repository', 'Name': 'a', 'Action': 'metadata_read'}], ('metadata_read',)),
        ([{'Action': 'pull'}, {'Action': 'push'}], ('pull', 'push')),
        ([{'Name': 'a'}, 'text', None], ()),
        ({'name': 'a'}, ()),
        ({}, ()),
        (None, ()),
    ],
)
def test_missing_actions_are_read_from_the_detail(detail, actions):
    assert from_answer(401, LACKING, body(detail=detail)).actions == actions


@pytest.mark.parametrize(
    'answer, message',
    [
        (b'404 page not found\n', '404 page not found'),
        (b'', 'the registry answered with status 404'),
        (b'\xff\xfe', '\ufffd\ufffd'),
        (b'x' * 5000, 'x' * 200),
        (b'{"errors":[]}', '{"errors":[]}'),
        (b'{"errors":null}', '{"errors":null}'),
        (b'[1]', '[1]'),
        (b'{"errors":["text"]}', '{"errors":["text"]}'),
    ],
)
def test_a_body_that_is_no_error_of_a_registry_is_shown_raw(answer, message):
    error = from_answer(404, None, answer)
    assert (error.message, error.code, error.actions) == (message, None, ())


def test_hostile_nesting_does_no_harm():
    assert from_answer(500, None, b'[' * 200_000).kind is Kind.UNAVAILABLE


def test_text_of_an_error_names_its_code():
    assert str(from_answer(405, None, body())) == 'the message (CODE)'
    assert str(RegistryError(Kind.BUSY, 'the message')) == 'the message'


@pytest.mark.parametrize('code', ['REGISTRY_DISALLOWED_OPERATION', 'UNSUPPORTED'])
def test_only_the_registry_itself_can_say_that_something_is_locked(code):
    body = f'{{"errors":[{{"code":"{code}","message":"locked"}}]}}'.encode()
    assert from_answer(405, None, body).kind is Kind.LOCKED
    assert from_answer(405, None, b'<html>Method not allowed</html>').kind is Kind.UNAVAILABLE


@pytest.mark.parametrize('code', ['MANIFEST_UNKNOWN', 'NAME_UNKNOWN', 'TAG_UNKNOWN'])
def test_only_the_registry_itself_can_say_that_something_is_not_there(code):
    body = f'{{"errors":[{{"code":"{code}","message":"gone"}}]}}'.encode()
    assert from_answer(404, None, body).kind is Kind.NOT_FOUND
    assert from_answer(404, None, b'404 page not found').kind is Kind.UNAVAILABLE
