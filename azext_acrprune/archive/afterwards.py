"""What time a registry gives to things since they were brought back, and which of them nobody has touched since."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from ..decide.impact import Node
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from ..workers import Task, run_tasks
from .pure.past import Begun, Key, Past, Span

Note = Callable[..., None]
"""Writes a line down: the name of an event, and fields. It is on the disk before the next request is sent."""


def unheard(_event: str, **_fields: Any) -> None:
    """Writes nothing down."""


async def untouched(registry: Reads, begun: Begun, nodes: Container[Node], concurrency: int) -> Begun:
    """Of some manifests and their tags, what is still as the runs left it that had begun to bring it back.

    What was pushed, tagged or locked after such a run has the time of that, and is somebody's wish. What is not there
    counts too: it may be brought back now. Raises RegistryError.
    """
    spans: dict[Key, list[Span]] = {}

    async def look(key: Key) -> Iterable[Task]:
        name, digest, tag = key
        try:
            on = await (registry.tag_properties(name, tag) if tag else registry.manifest_properties(name, digest))
            is_left = on.digest == digest and begun.is_of_run(key, on.updated_at)
        except RegistryError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            is_left = True
        if is_left:
            spans[key] = begun.things[key]
        return []

    await run_tasks([partial(look, key) for key in begun.things if key[:2] in nodes], concurrency)
    return replace(begun, things=spans)


async def note_times(registry: Reads, past: Iterable[Past], note: Note) -> None:
    """Write down the times that things have now, of those that are there. What cannot be read is not written down."""
    by_repository: dict[str, list[Past]] = {}
    for each in past:
        by_repository.setdefault(each.repository, []).append(each)
    for name, here in sorted(by_repository.items()):
        with suppress(RegistryError):
            times = await _times(registry, name)
            for each in here:
                if each.key in times:
                    note('restored', **each.fields, nowTime=times[each.key])


async def _times(registry: Reads, repository: str) -> dict[tuple[str, str, str | None], str | None]:
    found: dict[tuple[str, str, str | None], str | None] = {}
    async for manifests in registry.manifests(repository):
        found.update({(repository, each.digest, None): each.last_update_time for each in manifests})
    async for tags in registry.tags(repository):
        found.update({(repository, each.digest, each.name): each.last_update_time for each in tags})
    return found
