"""A small but telling set of images: multi-arch, signed, re-pushed, on shared base layers."""

from __future__ import annotations

import time

from tests.registry.push import Pusher
from tests.registry.server import LocalRegistry

DAY = 86_400
KB = 1_000


class Clock:
    """A clock that can be set back, so that images are as old as a story needs."""

    def __init__(self) -> None:
        self._days_ago = 0.0

    def __call__(self) -> float:
        return time.time() - self._days_ago * DAY

    def set_back(self, days: float) -> None:
        self._days_ago = days


def push_everything(registry: LocalRegistry, clock: Clock) -> None:
    """Three repositories; the registry's storage must run on `clock`."""
    push = Pusher(registry)
    clock.set_back(90)
    base = push.blob('web/shop', 3_000 * KB)
    _multi_arch(push, 'web/shop', base, tag='latest')
    push.image('web/api', [push.mount('web/api', base, 'web/shop'), push.blob('web/api', 900 * KB)], 'v1')
    clock.set_back(40)
    shop, _ = _multi_arch(push, 'web/shop', base, tag='latest')
    push.sign('web/shop', shop)
    push.image('web/api', [base, push.blob('web/api', 800 * KB)], 'v1')
    clock.set_back(20)
    old = push.image('jobs/report', [push.blob('jobs/report', 2_000 * KB)])
    push.sign('jobs/report', old[0])
    push.image('jobs/report', [push.blob('jobs/report', 2_100 * KB)], 'nightly')
    clock.set_back(0)
    push.image('web/shop', [base, push.blob('web/shop', 600 * KB)])


def _multi_arch(push: Pusher, repository: str, base: tuple, tag: str) -> tuple:
    children = [push.image(repository, [base, push.blob(repository, 1_200 * KB)]) for _ in range(2)]
    return push.index(repository, children, tag)
