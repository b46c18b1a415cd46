"""Which token a request carries, and when a new one is asked for: a state machine without I/O or clock.

An ordinary registry gives one token for everything. A registry with repository permissions in its role
assignments (ABAC, the refresh token carries `aad_identity`) drops wildcards silently, so that repositories are
named, ten in a request as Azure's own client does. Times are seconds since 1970.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...redaction import keep_secret

BATCH = 10
MARGIN_SECONDS = 120
_SHORTEST_LIFETIME_SECONDS = 20
_LONGEST_LIFETIME_SECONDS = 86_400
PATIENCE_SECONDS = 300
"""For so long a token is waited for, where good ones came to be refused."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5, 30
_CATALOG = 'registry:catalog:*'
_EVERYTHING = f'{_CATALOG} repository:*:*'
DELETED = 'registry:deleted_catalog'
"""In the place of a repository: the list of the repositories that the registry keeps something deleted of."""

PRUNING = 'metadata_read,metadata_write,pull,delete'
RESTORING = 'metadata_read,metadata_write,pull,push,deleted_read,deleted_restore'
PUBLISHING = 'metadata_read,metadata_write,pull,push,delete'
"""Permissions that are asked for on each repository."""

Scope = str


@dataclass(frozen=True)
class RefreshToken:
    """What az's sign-in gives for an AAD identity; lives about 3 hours."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class Password:
    """A scope-map token or the admin user."""

    username: str
    password: str = field(repr=False)


Credential = RefreshToken | Password


@dataclass(frozen=True)
class Remedy:
    """What is done about a refused token: after a pause in seconds a new one is asked for, perhaps signed in anew."""

    signs_in: bool = False
    pause: float = 0.0


class Trouble:
    """Tokens are refused before their time, those of a new sign-in too perhaps: what is done about it, in order.

    A clock that was set, a revoked session, or a registry that changes the mode of its role assignments, during which
    all tokens are refused for minutes. A token that was good before is waited for; one that never was is not. Times are
    seconds of a clock that is never set.
    """

    def __init__(self) -> None:
        self.was_accepted = False
        self._since: float | None = None
        self._remedies = 0

    def accepted(self) -> None:
        """A token was good: the trouble is over, if there was any."""
        self.was_accepted = True
        self._since = None
        self._remedies = 0

    def remedy(self, now: float, of_sign_in: bool = False) -> Remedy | None:
        """What to do after a token was refused, or the sign-in by which it is had; None when nothing is left to do."""
        self._since = now if self._since is None else self._since
        self._remedies = max(self._remedies + 1, 2 if of_sign_in else 1)
        if self._remedies == 1:
            return Remedy()
        if self._remedies == 2:
            return Remedy(signs_in=True)
        if not self.was_accepted or now - self._since >= PATIENCE_SECONDS:
            return None
        return Remedy(
            signs_in=True, pause=min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (self._remedies - 3))
        )


@dataclass(frozen=True)
class AccessToken:
    """A bearer token and the second from which it is not used any more."""

    token: str = field(repr=False)
    stale_at: float


class TokenBook:
    """Keeps the access tokens of one sign-in. Tokens never leave it but through `bearer` and `form`."""

    def __init__(self, service: str, credential: Credential, now: float, actions: str = PRUNING) -> None:
        self._service = service
        self._actions = actions
        self._tokens: dict[Scope, AccessToken] = {}
        self._batches: dict[str, Scope] = {}
        self.named: frozenset[str] = frozenset()
        """The repositories that tokens were granted for, by name."""
        self.sign_in(credential, now)

    def sign_in(self, credential: Credential, now: float) -> None:
        """Start from a new credential, as after the refresh token ran out."""
        if isinstance(credential, RefreshToken):
            keep_secret(credential.token)
        else:
            keep_secret(credential.password, credential.username)
        granted = claims(credential.token) if isinstance(credential, RefreshToken) else {}
        self._credential = credential
        self._credential_stale_at = _stale_at(granted, now) if granted else None
        self._wildcards = 'aad_identity' not in granted

    @property
    def may_be_renewed(self) -> bool:
        """Whether a new sign-in gives another credential; a password stays what it is."""
        return isinstance(self._credential, RefreshToken)

    def forget(self) -> None:
        """Forget all tokens: they are no longer what they were."""
        self._tokens.clear()

    def announce(self, repositories: Iterable[str]) -> None:
        """Say which repositories will be asked for, so that their tokens can be fetched in batches."""
        names = sorted(set(repositories) - set(self._batches))
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            scope = ' '.join(f'repository:{name}:{self._actions}' for name in batch)
            self._batches.update(dict.fromkeys(batch, scope))

    def scope(self, repository: str | tuple[str, str] | None) -> Scope:
        """The scope whose token serves this repository, the catalog when None, or the list of what is `DELETED`.

        A mount needs the permissions on two: (the one that gets the blob, the one that has it).
        """
        if repository == DELETED:
            return f'{_CATALOG} {DELETED}:*'
        if self._wildcards:
            return _EVERYTHING
        if isinstance(repository, tuple):
            return f'repository:{repository[0]}:pull,push repository:{repository[1]}:pull'
        if repository is None:
            return _CATALOG
        if repository not in self._batches:
            self.announce([repository])
        return self._batches[repository]

    def bearer(self, scope: Scope, now: float) -> str | None:
        """The token for a scope, None when there is none or it is about to expire."""
        held = self._tokens.get(scope)
        return held.token if held and now < held.stale_at else None

    def credential_expired(self, now: float) -> bool:
        """Whether az has to sign in again before a token can be asked for."""
        return self._credential_stale_at is not None and now >= self._credential_stale_at

    def form(self, scope: Scope) -> dict[str, str]:
        """The form to POST to `/oauth2/token`; a secret."""
        form = {'service': self._service, 'scope': scope}
        if isinstance(self._credential, RefreshToken):
            return {**form, 'grant_type': 'refresh_token', 'refresh_token': self._credential.token}
        return {
            **form,
            'grant_type': 'password',
            'username': self._credential.username,
            'password': self._credential.password,
        }

    def accept(self, scope: Scope, token: str, now: float) -> None:
        """Keep a token that was asked for with `form(scope)`.

        When a wildcard was dropped silently, what follows asks for named repositories.
        """
        keep_secret(token)
        granted = claims(token)
        self.named |= _repositories_in(granted)
        self._tokens[scope] = AccessToken(token, _stale_at(granted, now))
        if scope == _EVERYTHING and not _grants_wildcard(granted):
            self._wildcards = False
            self._tokens[_CATALOG] = self._tokens[scope]

    def reject(self, scope: Scope, token: str) -> None:
        """Forget a token that the registry called invalid, unless it was replaced meanwhile."""
        held = self._tokens.get(scope)
        if held and held.token == token:
            del self._tokens[scope]


def claims(token: str) -> Mapping[str, Any]:
    """The claims of a JWT, unverified (the registry verifies it); empty when it is none.

    Read without PyJWT: to import that, and all of cryptography with it, took longer than a hundred calls.
    """
    payload = token.split('.')[1:2]
    try:
        granted = json.loads(base64.urlsafe_b64decode(''.join(payload) + '==='))
    except (ValueError, RecursionError):
        return {}
    return granted if isinstance(granted, dict) else {}


def _stale_at(granted: Mapping[str, Any], now: float) -> float:
    """When to renew. A lifetime is the difference of two claims, so that a wrong local clock does no harm."""
    expiry, issued = granted.get('exp'), granted.get('iat', now)
    lifetime: float = 0
    if isinstance(expiry, (int, float)) and isinstance(issued, (int, float)) and math.isfinite(expiry - issued):
        lifetime = min(expiry - issued, _LONGEST_LIFETIME_SECONDS)
    lifetime = max(lifetime, _SHORTEST_LIFETIME_SECONDS)
    return now + lifetime - min(MARGIN_SECONDS, lifetime / 2)


def _grants_wildcard(granted: Mapping[str, Any]) -> bool:
    return not isinstance(granted.get('access'), list) or '*' in _names_in(granted)


def _repositories_in(granted: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name in _names_in(granted) if isinstance(name, str) and '*' not in name)


def _names_in(granted: Mapping[str, Any]) -> list[Any]:
    access = granted.get('access')
    entries: list[Any] = access if isinstance(access, list) else []
    return [entry.get('name') for entry in entries if isinstance(entry, dict) and entry.get('type') == 'repository']
