"""One registry behind its endpoints: the login server, and perhaps one for each region.

Each endpoint has a pipeline, tokens and a pace of its own, for the service counts calls by region. Imported inside a
command only: azure-core is heavy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .client import Registry
from .counting import CallCount
from .credentials import SignIn
from .pipeline import open_pipeline
from .protocol.refusals import RegistryError
from .protocol.tokens import TokenBook
from .retries import PacingPolicy


@dataclass(frozen=True)
class Endpoints:
    """What all endpoints of a registry have in common.

    `actions` are the permissions that are asked for on each repository. `pacing` and `pipeline_options` make what each
    endpoint has for itself. `calls` counts what is sent to any of them.
    """

    signed_in: SignIn
    actions: str
    concurrency: int
    pacing: Callable[[], PacingPolicy]
    pipeline_options: Callable[[], dict[str, Any]]
    calls: CallCount = field(default_factory=CallCount)

    async def open(self, regional_hosts: Sequence[str] = ()) -> Registry:
        """The registry at its login server, which asks each of these other hosts too; to be closed.

        The first of them is the one that changes go through. Raises RegistryError.
        """
        registry = await self._open(self.signed_in.host, self.signed_in.host, None)
        if regional_hosts:
            try:
                registry.replicas = tuple([await self._open_region(registry, host) for host in regional_hosts])
            except BaseException:
                await registry.close()
                raise
        return registry

    async def _open_region(self, registry: Registry, host: str) -> Registry:
        try:
            service, tokens_at = await registry.tokens_of(host)
        except RegistryError as error:
            unreachable = RegistryError(error.kind, f"its regional endpoint '{host}' does not answer: {error}")
            unreachable.advice = 'Open the way to it, or leave the other regions out of account with --single-region.'
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
