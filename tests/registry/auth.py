"""The token flow: challenges, `/oauth2/exchange`, `/oauth2/token`, Basic; identities with their permissions."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import jwt

from .answers import Answer, Call, json_answer
from .failures import unauthorized

ALL = frozenset({'pull', 'push', 'metadata_read', 'metadata_write', 'delete', 'deleted_read', 'deleted_restore'})
_KEY = 'a key of the local registry, for signing only'
ADMIN = ('localadmin', 'localadmin-password')
SERVICE_PRINCIPAL = ('11111111-1111-1111-1111-111111111111', 'sp-secret')
TENANT = '22222222-2222-2222-2222-222222222222'
SUBSCRIPTION = '33333333-3333-3333-3333-333333333333'


@dataclass
class Identity:
    """Who somebody is and what they may: actions by repository pattern (first match counts), and the catalog."""

    name: str
    password: str | None = None
    permissions: list[tuple[str, frozenset]] = field(default_factory=lambda: [('*', ALL)])
    catalog: bool = True

    def actions(self, repository: str) -> frozenset:
        return next((granted for pattern, granted in self.permissions if fnmatchcase(repository, pattern)), frozenset())


class Auth:
    """Issues and checks tokens. Everything about it may be changed while the registry runs.

    With `refuses_all` no token is good, as while the mode of role assignments is switched.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.abac = False
        self.access_seconds = 75 * 60
        self.refresh_seconds = 3 * 3600
        self.admin_enabled = True
        self.refuse_aad = False
        self.service_principal = Identity(SERVICE_PRINCIPAL[0], SERVICE_PRINCIPAL[1])
        self.anonymous: Identity | None = None
        self.users: dict[str, Identity] = {}
        self.revoked: set[str] = set()
        self.refuses_all = False
        self.issued: list[str] = []
        self._decoded: dict[str, dict[str, Any]] = {}
        self.granted_besides: list[dict[str, Any]] = []
        """What tokens name beyond what was asked for."""
        self.add_user(*ADMIN)

    def add_user(
        self, name: str, password: str, permissions: list[tuple[str, frozenset]] | None = None, catalog: bool = True
    ) -> Identity:
        """A scope-map token; without permissions given it may do everything."""
        identity = Identity(name, password, [('*', ALL)] if permissions is None else permissions, catalog)
        self.users[name] = identity
        return identity

    # Tokens

    def aad_token(self) -> str:
        return self._issue({'aud': 'aad', 'appid': SERVICE_PRINCIPAL[0], 'tid': TENANT, 'oid': TENANT}, 3600)

    def exchange(self, call: Call) -> Answer:
        """`POST /oauth2/exchange`: an AAD token for a refresh token."""
        claims = self._claims(_form(call).get('access_token', ''))
        if self.refuse_aad or not claims or claims.get('aud') != 'aad':
            return Answer(401, b'', {'Content-Type': 'text/plain'})
        extra = {'aad_identity': 'yes'} if self.abac else {}
        token = self._issue({'aud': 'refresh', 'sub': self.service_principal.name, **extra}, self.refresh_seconds)
        return json_answer({'refresh_token': token})

    def token(self, call: Call, host: str) -> Answer:
        """`POST /oauth2/token`, or GET with Basic: a refresh token or a password for an access token."""
        form = _form(call) if call.method == 'POST' else dict(call.query)
        if form.get('service') != host:
            return Answer(400, b'')
        identity = self._identity_of(form, call)
        if identity is None:
            return _failure_answer(unauthorized('', []), {})
        granted = [entry for scope in _scopes(call) for entry in self._grant(scope, identity)] + self.granted_besides
        return json_answer(
            {
                'access_token': self._issue(
                    {'aud': 'access', 'sub': identity.name, 'access': granted}, self.access_seconds
                )
            }
        )

    def check(self, call: Call, host: str, repository: str | None, actions: list[str]) -> Answer | None:
        """None when the call may go on, else the challenge. `repository` None means a catalog."""
        catalog = 'deleted_catalog' if call.path.startswith('/acr/v1/_deleted/') else 'catalog'
        kind, name = ('registry', catalog) if repository is None else ('repository', repository)
        header = call.headers.get('Authorization', '')
        error, missing = self._refusal(header, kind, name, actions)
        if not missing:
            return None
        challenge = f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
        challenge += f',scope="{kind}:{name}:{",".join(actions)}"'
        challenge += f',error="{error}"' if error else ''
        return _failure_answer(unauthorized(name, missing, kind), {'WWW-Authenticate': challenge})

    def name_of(self, call: Call) -> str:
        """Who makes a call; nobody's name where that is not known. All anonymous callers are one."""
        identity = self._who(call.headers.get('Authorization', ''))
        return identity.name if identity else ''

    def ping(self, call: Call, host: str) -> Answer:
        """`GET /v2/`."""
        if self._holder(call.headers.get('Authorization', '')) is not None:
            return json_answer({})
        challenge = f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
        return _failure_answer(unauthorized('', []), {'WWW-Authenticate': challenge})

    # Inside

    def _refusal(self, header: str, kind: str, name: str, actions: list[str]) -> tuple[str, list[str]]:
        """What is wrong with a header, and the actions that it does not allow."""
        if not header:
            return '', actions
        granted, holder = self._holder(header), self._who(header)
        if granted is None or holder is None:
            return 'invalid_token', actions
        held = {
            action
            for entry in granted
            if entry['type'] == kind and entry['name'] in ('*', name)
            for action in entry['actions']
        }
        if kind == 'repository':
            held = holder.actions(name) if '*' in held else held & holder.actions(name)
        return 'insufficient_scope', [action for action in actions if action not in held]

    def _holder(self, header: str) -> list[dict[str, Any]] | None:
        """What the bearer of a header was granted; None when the header is worth nothing."""
        if header.startswith('Basic '):
            identity = self._basic(header)
            if identity is None:
                return None
            everything = [{'type': 'repository', 'name': '*', 'actions': ['*']}]
            return everything + self._grant('registry:catalog:*', identity)
        claims = self._claims(header[len('Bearer ') :])
        return claims['access'] if claims and claims.get('aud') == 'access' else None

    def _who(self, header: str) -> Identity | None:
        if header.startswith('Basic '):
            return self._basic(header)
        claims = self._claims(header[len('Bearer ') :])
        return self._named(claims['sub']) if claims and 'sub' in claims else None

    def _named(self, name: str) -> Identity | None:
        """Who a token was made for; nobody when that user is gone."""
        others = [other for other in (self.service_principal, self.anonymous) if other and other.name == name]
        return others[0] if others else self.users.get(name)

    def _basic(self, header: str) -> Identity | None:
        try:
            name, _, password = base64.b64decode(header[len('Basic ') :]).decode().partition(':')
        except ValueError:
            return None
        return self._known(name, password)

    def _known(self, name: str, password: str) -> Identity | None:
        identity = self.users.get(name)
        if name == ADMIN[0] and not self.admin_enabled:
            return None
        return identity if identity and identity.password == password else None

    def _identity_of(self, form: dict[str, str], call: Call) -> Identity | None:
        if form.get('grant_type') == 'refresh_token':
            claims = self._claims(form.get('refresh_token', ''))
            return self._named(claims['sub']) if claims and claims.get('aud') == 'refresh' else None
        if call.headers.get('Authorization', '').startswith('Basic '):
            return self._basic(call.headers['Authorization'])
        name = form.get('username', '')
        return self._known(name, form.get('password', '')) or (None if name else self.anonymous)

    def _grant(self, scope: str, identity: Identity) -> list[dict[str, Any]]:
        kind, _, rest = scope.partition(':')
        name, _, asked = rest.rpartition(':')
        if kind == 'registry':
            return [{'type': kind, 'name': name, 'actions': ['*']}] if identity.catalog else []
        if self.abac and '*' in name:
            return []
        if name == '*':
            return [{'type': kind, 'name': name, 'actions': asked.split(',')}]
        granted = identity.actions(name)
        actions = sorted(granted) if asked == '*' else [action for action in asked.split(',') if action in granted]
        return [{'type': kind, 'name': name, 'actions': actions}]

    def _issue(self, claims: dict[str, Any], seconds: float) -> str:
        now = self.clock()
        token = jwt.encode(
            {**claims, 'iat': int(now), 'nbf': int(now), 'exp': int(now + seconds), 'jti': str(uuid.uuid4())},
            _KEY,
            algorithm='HS256',
        )
        self.issued.append(token)
        return token

    def switch_mode(self, at_once: bool = False) -> None:
        """Begin to grant by repository; tokens from before are worth nothing, and all tokens until this is done.

        It takes minutes to hours: `refuses_all` is to be set back, unless it is done `at_once`. An identity's own
        sign-in to Azure is good all the while.
        """
        self.abac, self.refuses_all = True, not at_once
        self.revoked.update(token for token in self.issued if self.kind_of(token) != 'aad')

    @staticmethod
    def kind_of(token: str) -> str:
        """`aad` for one of Azure itself, `refresh` or `access` for one of the registry."""
        return str(jwt.decode(token, options={'verify_signature': False}).get('aud'))

    def _claims(self, token: str) -> dict[str, Any] | None:
        if token in self.revoked or self.refuses_all and token and self.kind_of(token) != 'aad':
            return None
        cached = self._decoded.get(token)
        if cached is None:
            try:
                cached = jwt.decode(
                    token,
                    _KEY,
                    algorithms=['HS256'],
                    options={'verify_exp': False, 'verify_aud': False, 'verify_nbf': False, 'verify_iat': False},
                )
            except jwt.PyJWTError:
                return None
            self._decoded[token] = cached
        return cached if self.clock() < cached['exp'] else None


def _form(call: Call) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(call.body.decode()).items()}


def _scopes(call: Call) -> list[str]:
    """A scope may hold several, separated by spaces, and come several times (a cross-repository mount)."""
    pairs = parse_qsl(call.body.decode()) if call.method == 'POST' else call.query.items()
    return [scope for key, value in pairs if key == 'scope' for scope in value.split()]


def _failure_answer(failure: Any, headers: dict[str, str]) -> Answer:
    return Answer(failure.status, failure.body(), {'Content-Type': 'application/json; charset=utf-8', **headers})
