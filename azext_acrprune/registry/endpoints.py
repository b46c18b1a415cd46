"""One registry behind its endpoints: the login server, and perhaps one for each region.

Each endpoint has a pipeline, tokens and a pace of its own, for the service counts calls by region. Imported inside a
command only: azure-core is heavy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from .client import Registry
from .counting import CallCount
from .credentials import SignIn
from .pipeline import open_pipeline
from .protocol.hosts import region_of
from .protocol.refusals import RegistryError
from .protocol.tokens import TokenBook
from .retries import PacingPolicy

_NAMED = 'Check the name of the region and the way to it, or give the registry by its name alone.'
_OTHER = 'Open the way to it, or leave the other regions out of account with --single-region.'


@dataclass(frozen=True)
class Endpoints:
    """What all endpoints of a registry have in common.

    `actions` are the permissions that are asked for on each repository. `pacing` and `pipeline_options` make what each
    endpoint has for itself. `calls` counts what is sent to any of them. `region` is the one that the user named.
    """

    signed_in: SignIn
    actions: str
    concurrency: int
    pacing: Callable[[], PacingPolicy]
    pipeline_options: Callable[[], dict[str, Any]]
    calls: CallCount = field(default_factory=CallCount)
    region: str | None = None

    async def open(self, hosts: Sequence[str] = ()) -> Registry:
        """The registry behind these hosts, or else behind its login server; to be closed.

        All of them are asked what it holds. The first one is what all else goes through. Raises RegistryError.
        """
        login_server = await self._open(self.signed_in.host, self.signed_in.host, None)
        opened = {self.signed_in.host: login_server}
        try:
            for host in hosts:
                if host not in opened:
                    opened[host] = await self._open_region(login_server, host)
            replicas = [opened.pop(host) for host in hosts] or [opened.pop(self.signed_in.host)]
        finally:
            for unneeded in opened.values():
                await unneeded.close()
        registry, *_ = replicas
        registry.replicas = tuple(replicas)
        return registry

    async def _open_region(self, registry: Registry, host: str) -> Registry:
        try:
            service, tokens_at = await registry.tokens_of(host)
        except RegistryError as error:
            unreachable = RegistryError(error.kind, f"its regional endpoint '{host}' does not answer: {error}")
            named = self.region is not None and region_of(host) == self.region
            unreachable.advice = _NAMED if named else _OTHER
            raise unreachable from error
        return await self._open(host, service, tokens_at)

    async def _open(self, host: str, service: str, tokens_at: str | None) -> Registry:
        endpoint = f'https://{host}'
        book = TokenBook(service, self.signed_in.credential, time.time(), self.actions)
        pipeline = await open_pipeline(
            endpoint,
            book,
            self.signed_in.renew,
            self.concurrency,
            self.pacing(),
            self.pipeline_options(),
            tokens_at,
            self.calls,
        )
        return Registry(pipeline, book, endpoint)


def alone(registry: Registry) -> Registry:
    """The same endpoint without the other ones of the registry, which what changes here reaches later."""
    found = copy(registry)
    found.replicas = (found,)
    return found
