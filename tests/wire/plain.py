"""The work of the commands as plain functions: each runs to its end on the event loop of the client it is given."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

from azext_acrprune.apply.execute import execute as _execute
from azext_acrprune.archive.push import push as _push
from azext_acrprune.archive.undelete import undelete as _undelete
from azext_acrprune.archive.write import archive as _archive
from azext_acrprune.inventory.lookups import look_up as _look_up
from azext_acrprune.inventory.scan import scan as _scan
from azext_acrprune.registry.client import Registry
from azext_acrprune.registry.permit import Permit
from azext_acrprune.registry.transport import Transport
from azext_acrprune.workers import Loop, run_tasks


class Client:
    """Our registry client, `real`, with its verbs as plain methods; pages come from plain iterators.

    `clock` is the one that it is paced by.
    """

    def __init__(self, real: Registry, loop: Loop, clock: Callable[[], float] = time.monotonic) -> None:
        self.real = real
        self.loop = loop
        self.clock = clock

    def delete_manifest(self, repository: str, digest: str, permit: Permit | None = None) -> None:
        self.loop.run(self.real.delete_manifest(repository, digest, permit or Permit(time.monotonic)))

    def delete_tag(self, repository: str, tag: str, digest: str, permit: Permit | None = None) -> None:
        self.loop.run(self.real.delete_tag(repository, tag, digest, permit or Permit(time.monotonic)))

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.real, name)
        return self._plain(verb) if callable(verb) else verb

    def _plain(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            found = verb(*arguments)
            if inspect.isasyncgen(found):
                return self._each(found)
            return self.loop.run(found) if inspect.iscoroutine(found) else found

        return call

    def _each(self, found: Any) -> Iterator[Any]:
        async def following() -> list[Any]:
            async for item in found:
                return [item]
            return []

        while item := self.loop.run(following()):
            yield item[0]

    def together(self, calls: list[Callable[[], Any]], concurrency: int) -> list[Any]:
        """What comes of many calls, so many at a time, in order; each is made by `real`."""
        results: dict[int, Any] = {}

        async def one(place: int, call: Callable[[], Any]) -> tuple[()]:
            results[place] = await call()
            return ()

        tasks = [lambda place=place, call=call: one(place, call) for place, call in enumerate(calls)]
        self.loop.run(run_tasks(tasks, concurrency))
        return [results[place] for place in sorted(results)]


def scan(client: Client, *arguments: Any, **options: Any) -> Any:
    return client.loop.run(_scan(client.real, *arguments, **options))


def look_up(client: Client, *arguments: Any) -> Any:
    return client.loop.run(_look_up(client.real, *arguments))


def execute(client: Client, *arguments: Any, door: Any = None, **options: Any) -> Any:
    return client.loop.run(_execute(client.real, door or client.real, *arguments, pause=_pause, **options))


async def _pause(seconds: float) -> None:
    """Wait as the client's transport does, which the fixture `waits` makes short."""
    await Transport.sleep(None, seconds)


def archive(client: Client, *arguments: Any) -> Any:
    return client.loop.run(_archive(client.real, *arguments))


def push(client: Client, *arguments: Any) -> Any:
    return client.loop.run(_push(client.real, client.real, *arguments))


def undelete(client: Client, *arguments: Any) -> Any:
    return client.loop.run(_undelete(client.real, client.real, *arguments))
