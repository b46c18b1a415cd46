"""The token book, fed by hand: no registry, no clock."""

import jwt
import pytest

from azext_acrprune.registry.protocol.tokens import (
    BATCH,
    AccessToken,
    Password,
    RefreshToken,
    Remedy,
    TokenBook,
    Trouble,
    claims,
)

HOST = 'r.azurecr.io'
NOW = 1_700_000_000.0
WILDCARD = {'type': 'repository', 'name': '*', 'actions': ['metadata_read', 'pull', 'delete']}
CATALOG = {'type': 'registry', 'name': 'catalog', 'actions': ['*']}
CATALOG_SCOPE = 'registry:catalog:*'


def signed(**content):
    return jwt.encode(content, 'some key of thirty-two characters or more', algorithm='HS256')


def access(*granted, issued=NOW, seconds=4500):
    return signed(iat=issued, exp=issued + seconds, access=list(granted))


def refresh(issued=NOW, seconds=10_800, **extra):
    return RefreshToken(signed(iat=issued, exp=issued + seconds, **extra))


def ordinary():
    return TokenBook(HOST, Password('user', 'the-password'), NOW)


def abac():
    return TokenBook(HOST, refresh(aad_identity='someone'), NOW)


def names(count):
    return [f'team/app-{number:02d}' for number in range(count)]


def repositories_of(scope):
    return [part.split(':')[1] for part in scope.split(' ')]


def test_one_wildcard_token_serves_catalog_and_every_repository():
    book = ordinary()
    book.announce(names(50))
    assert len({book.scope(name) for name in [None, 'other', *names(50)]}) == 1
    book.accept(book.scope(None), access(CATALOG, WILDCARD), NOW)
    assert book.bearer(book.scope('team/app-49'), NOW) == book.bearer(book.scope(None), NOW) is not None


def test_nothing_is_held_before_the_first_token():
    book = ordinary()
    assert book.bearer(book.scope('a'), NOW) is None


def test_form_of_a_password_names_scope_service_and_grant():
    book = ordinary()
    assert book.form(CATALOG_SCOPE) == {
        'service': HOST,
        'scope': CATALOG_SCOPE,
        'grant_type': 'password',
        'username': 'user',
        'password': 'the-password',
    }


def test_form_of_a_refresh_token_sends_nothing_else():
    credential = refresh()
    assert TokenBook(HOST, credential, NOW).form(CATALOG_SCOPE) == {
        'service': HOST,
        'scope': CATALOG_SCOPE,
        'grant_type': 'refresh_token',
        'refresh_token': credential.token,
    }


def test_abac_asks_for_repositories_in_batches_of_ten():
    book = abac()
    book.announce(names(25))
    scopes = {book.scope(name) for name in names(25)}
    assert BATCH == 10
    assert sorted(len(repositories_of(scope)) for scope in scopes) == [5, 10, 10]
    assert sorted(name for scope in scopes for name in repositories_of(scope)) == names(25)
    assert all('*' not in scope for scope in scopes)


def test_abac_asks_for_the_catalog_alone():
    assert abac().scope(None) == CATALOG_SCOPE


def test_abac_asks_for_an_unannounced_repository_by_itself():
    book = abac()
    book.announce(names(3))
    assert repositories_of(book.scope('late')) == ['late']
    assert repositories_of(book.scope('team/app-00')) == names(3)


def test_announcing_again_leaves_batches_as_they_are():
    book = abac()
    book.announce(names(3))
    before = book.scope('team/app-01')
    book.announce(names(5))
    assert book.scope('team/app-01') == before
    assert repositories_of(book.scope('team/app-04')) == ['team/app-03', 'team/app-04']


def test_every_scope_asks_for_the_actions_that_are_used():
    assert abac().scope('a/b') == 'repository:a/b:metadata_read,metadata_write,pull,delete'


def test_a_wildcard_dropped_silently_switches_to_batches():
    book = TokenBook(HOST, refresh(), NOW)
    book.announce(names(12))
    everything = book.scope('team/app-00')
    book.accept(everything, access(CATALOG), NOW)
    assert repositories_of(book.scope('team/app-00')) == names(10)
    assert book.bearer(book.scope('team/app-00'), NOW) is None


def test_the_token_that_lost_its_wildcard_still_serves_the_catalog():
    book = TokenBook(HOST, refresh(), NOW)
    token = access(CATALOG)
    book.accept(book.scope(None), token, NOW)
    assert book.scope(None) == CATALOG_SCOPE
    assert book.bearer(book.scope(None), NOW) == token


def test_a_token_that_does_not_say_what_it_grants_is_trusted_with_everything():
    book = ordinary()
    scope = book.scope('a')
    book.accept(scope, 'opaque', NOW)
    assert book.scope('a') == scope
    assert book.bearer(scope, NOW) == 'opaque'


def test_tokens_of_batches_are_kept_apart():
    book = abac()
    book.announce(names(12))
    first, second = book.scope('team/app-00'), book.scope('team/app-11')
    book.accept(first, access(issued=NOW), NOW)
    assert book.bearer(first, NOW) and book.bearer(second, NOW) is None


@pytest.mark.parametrize('seconds, last_good', [(4500, 4379), (300, 179), (100, 49), (1, 9)])
def test_a_token_is_renewed_before_it_expires(seconds, last_good):
    book = ordinary()
    scope = book.scope(None)
    book.accept(scope, access(WILDCARD, seconds=seconds), NOW)
    assert book.bearer(scope, NOW + last_good) is not None
    assert book.bearer(scope, NOW + last_good + 1) is None


@pytest.mark.parametrize('wrong', [-86_400 * 400, -3600, 3600, 86_400 * 400])
def test_a_wrong_local_clock_does_no_harm(wrong):
    book = TokenBook(HOST, refresh(), NOW + wrong)
    scope = book.scope(None)
    book.accept(scope, access(WILDCARD), NOW + wrong)
    assert book.bearer(scope, NOW + wrong + 4000) is not None
    assert book.bearer(scope, NOW + wrong + 4400) is None
    assert not book.credential_expired(NOW + wrong + 10_000)
    assert book.credential_expired(NOW + wrong + 10_700)


@pytest.mark.parametrize('odd', [{}, {'exp': 'soon', 'iat': NOW}, {'exp': NOW - 5000, 'iat': NOW}, {'iat': NOW}])
def test_a_token_without_a_sensible_lifetime_is_used_for_a_moment(odd):
    book = ordinary()
    scope = book.scope(None)
    book.accept(scope, signed(access=[WILDCARD], **odd), NOW)
    assert book.bearer(scope, NOW) is not None
    assert book.bearer(scope, NOW + 15) is None


def test_a_refresh_token_runs_out_before_its_end():
    book = TokenBook(HOST, refresh(seconds=10_800), NOW)
    assert not book.credential_expired(NOW + 10_679)
    assert book.credential_expired(NOW + 10_680)


@pytest.mark.parametrize('credential', [Password('user', 'the-password'), RefreshToken('opaque')])
def test_a_credential_without_an_end_never_runs_out(credential):
    assert not TokenBook(HOST, credential, NOW).credential_expired(NOW + 10**9)


def test_signing_in_again_starts_from_the_new_credential_and_keeps_tokens():
    book = TokenBook(HOST, refresh(), NOW)
    scope = book.scope(None)
    book.accept(scope, access(WILDCARD), NOW)
    fresh = refresh(issued=NOW + 20_000)
    book.sign_in(fresh, NOW + 20_000)
    assert book.form(scope)['refresh_token'] == fresh.token
    assert not book.credential_expired(NOW + 20_100)
    assert book.bearer(scope, NOW + 1) is not None


def test_a_rejected_token_is_forgotten():
    book = ordinary()
    scope, token = book.scope(None), access(WILDCARD)
    book.accept(scope, token, NOW)
    book.reject(scope, token)
    assert book.bearer(scope, NOW) is None


def test_rejecting_a_token_that_was_replaced_meanwhile_leaves_the_new_one():
    book = ordinary()
    scope, old, new = book.scope(None), access(WILDCARD, seconds=4000), access(WILDCARD)
    book.accept(scope, old, NOW)
    book.accept(scope, new, NOW)
    book.reject(scope, old)
    assert book.bearer(scope, NOW) == new


def test_rejecting_what_is_not_held_is_nothing():
    ordinary().reject('repository:a:pull', 'token')


@pytest.mark.parametrize('text', ['', 'opaque', 'a.b.c', 'eyJhbGciOiJub25lIn0'])
def test_what_is_no_jwt_has_no_claims(text):
    assert claims(text) == {}


def test_printing_a_book_shows_no_secret():
    book = ordinary()
    token = access(WILDCARD)
    book.accept(book.scope(None), token, NOW)
    assert token not in f'{book!r} {book}'
    assert 'the-password' not in f'{book!r} {book}'


@pytest.mark.parametrize(
    'secret', [Password('user', 'a-secret-value'), RefreshToken('a-secret-value'), AccessToken('a-secret-value', NOW)]
)
def test_printing_a_credential_or_a_token_shows_no_secret(secret):
    assert 'a-secret-value' not in repr(secret)


# Tokens that are refused before their time


def remedies(trouble, number, of_sign_in=False):
    return [trouble.remedy(place, of_sign_in) for place in range(number)]


def test_a_refused_token_is_renewed_then_its_sign_in_then_it_is_waited_for():
    trouble = Trouble()
    trouble.accepted()
    pauses = [Remedy(True, seconds) for seconds in (5, 10, 20, 30, 30)]
    assert remedies(trouble, 7) == [Remedy(), Remedy(True), *pauses]
    assert trouble.remedy(299) == Remedy(True, 30)
    assert trouble.remedy(300) is None


def test_a_sign_in_that_is_refused_is_not_tried_as_it_was():
    trouble = Trouble()
    trouble.accepted()
    assert remedies(trouble, 2, of_sign_in=True) == [Remedy(True), Remedy(True, 5)]


@pytest.mark.parametrize(
    'of_sign_in, expected', [(False, [Remedy(), Remedy(True), None]), (True, [Remedy(True), None])]
)
def test_what_never_was_good_is_not_waited_for(of_sign_in, expected):
    assert remedies(Trouble(), len(expected), of_sign_in) == expected


def test_after_a_good_token_trouble_begins_anew():
    trouble = Trouble()
    trouble.accepted()
    remedies(trouble, 5)
    trouble.accepted()
    assert trouble.remedy(10**6) == Remedy()
