"""What befalls a run between two of its requests: tokens end, rights go, the registry goes, or somebody stops it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from azext_acrprune.registry.protocol.refusals import Kind, RegistryError
from azext_acrprune.registry.protocol.tokens import RefreshToken
from tests.registry.auth import ALL
from tests.registry.faults import Fault
from tests.registry.server import LocalRegistry
from tests.registry.storage import Storage
from tests.wire.conftest import refresh_token


class Signals:
    """The stops of a run, in the place of `workers.Stops`: they come when a test wants it, on any thread."""

    def __init__(self) -> None:
        self._acts: Sequence[Callable[[], object]] = ()

    @contextmanager
    def mean(self, *acts: Callable[[], object]) -> Iterator[None]:
        self._acts = acts
        yield
        self._acts = ()

    def come(self) -> None:
        if self._acts:
            act, *rest = self._acts
            self._acts = rest
            act()


class Mishaps:
    """Lets each of some mishaps, as (number, name), befall the registry or a run before the request with that number.

    So many of them were `made`.
    """

    def __init__(self, registry: LocalRegistry, signals: Sequence[Signals], mishaps: Sequence[tuple[int, str]]) -> None:
        self.made = 0
        self._registry = registry
        self._signals = signals
        over = [(number + _SWITCHING, _SWITCHED) for number, name in mishaps if name == 'the mode is switched']
        self._left = sorted([*mishaps, *over])
        self._number = 0

    def before_request(self) -> None:
        self._number += 1
        while self._left and self._left[0][0] <= self._number:
            name = self._left.pop(0)[1]
            self.made += name != _SWITCHED
            if name == _SWITCHED:
                self._registry.auth.refuses_all = False
            elif name in STOPS:
                self._stop(STOPS[name])
            else:
                MISHAPS[name](self._registry)

    def _stop(self, times: int) -> None:
        for signals in self._signals:
            for _ in range(times):
                signals.come()


STOPS = {'a stop': 1, 'two stops': 2}
_SWITCHED, _SWITCHING = 'the mode is switched at last', 12
"""For so many requests no token is good."""


def _end_tokens(registry: LocalRegistry, kinds: Sequence[str]) -> None:
    registry.auth.revoked.update(token for token in registry.auth.issued if registry.auth.kind_of(token) in kinds)


def _end_sign_in(registry: LocalRegistry) -> None:
    _end_tokens(registry, ('access', 'refresh'))
    registry.auth.refuse_aad = True


def _withdraw(registry: LocalRegistry, permissions: list[tuple[str, frozenset[str]]]) -> None:
    for identity in (registry.auth.service_principal, *registry.auth.users.values()):
        identity.permissions = permissions


def _break(registry: LocalRegistry, *arguments: object, **more: object) -> None:
    registry.faults.rules.insert(0, Fault('.', *arguments, **more))


def _vanish(registry: LocalRegistry) -> None:
    """Nothing answers any more, as where a name leads nowhere."""
    registry.faults.handshakes = math.inf
    _break(registry, 'reset')


def _begin_anew(registry: LocalRegistry) -> None:
    """The registry was deleted, and one with its name made, which is empty."""
    registry.storage = Storage()


MISHAPS: Mapping[str, Callable[[LocalRegistry], None]] = {
    'access tokens end': partial(_end_tokens, kinds=('access',)),
    'refresh tokens end too': partial(_end_tokens, kinds=('access', 'refresh')),
    'the sign-in ends': _end_sign_in,
    'the mode is switched': lambda registry: registry.auth.switch_mode(),
    'the mode is switched for ever': lambda registry: registry.auth.switch_mode(),
    'no right to delete': partial(_withdraw, permissions=[('*', ALL - {'delete'})]),
    'no right to lock': partial(_withdraw, permissions=[('*', ALL - {'metadata_write'})]),
    'no right to read': partial(_withdraw, permissions=[('*', frozenset({'delete', 'metadata_write'}))]),
    'no right in one repository': partial(_withdraw, permissions=[('team/app0', frozenset()), ('*', ALL)]),
    'no right at all': partial(_withdraw, permissions=[]),
    'a firewall': partial(_break, kind=403),
    'a storm': partial(_break, kind=429, times=30),
    'a storm that says how long': partial(_break, kind=429, times=10, retry_after=20),
    'a storm without an end': partial(_break, kind=429),
    'the front door knows no such registry': partial(_break, kind='proxy', status=404),
    'the front door has no certificate for it': _vanish,
    'the registry is made anew': _begin_anew,
}
"""By name: what it does to a registry."""


def sign_in(registry: LocalRegistry) -> RefreshToken:
    """What az does when it signs in. Raises RegistryError."""
    if registry.auth.refuse_aad:
        raise RegistryError(Kind.UNAUTHENTICATED, 'Azure refuses the sign-in', 401)
    return refresh_token(registry.auth)
