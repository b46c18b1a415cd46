"""What time a registry gives to things since they were brought back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from ..registry.protocol.refusals import RegistryError
from ..registry.reads import Reads
from .pure.past import Past

Note = Callable[..., None]
"""Writes a line down: the name of an event, and fields. It is on the disk before the next request is sent."""


def unheard(_event: str, **_fields: Any) -> None:
    """Writes nothing down."""


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
