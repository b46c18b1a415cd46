"""Move tags back that a restoration had moved. Nothing is deleted."""

from __future__ import annotations

from collections.abc import Iterable

from ..model import Failed, Skipped
from ..registry.changes import Changes
from ..registry.protocol.refusals import Kind, RegistryError
from ..registry.reads import Reads
from .afterwards import Note
from .pure.choose import EXISTS, TAG_EXISTS
from .pure.lost import Move
from .push import Restored
from .stored import type_of, verified
from .target import NotKept

_FATAL = (Kind.UNAUTHENTICATED, Kind.UNREACHABLE, Kind.BUSY, Kind.STOPPED)


async def move_back(
    registry: Reads, door: Changes, moves: Iterable[Move], dry_run: bool, note: Note, moved: Restored | None = None
) -> Restored:
    """Move each tag to where it was, if it is still where it was moved to; with `dry_run` only say which.

    `moved` is filled in as it goes on. Raises RegistryError when the registry cannot be used any more, or somebody
    stopped the run.
    """
    done = moved or Restored()
    for move in moves:
        try:
            await _move(registry, door, move, dry_run, note, done)
        except (RegistryError, NotKept) as error:
            if isinstance(error, RegistryError) and error.kind in _FATAL:
                raise
            done.failed.append(Failed(move.repository, move.was_on, str(error), move.tag))
    return done


async def _move(registry: Reads, door: Changes, move: Move, dry_run: bool, note: Note, done: Restored) -> None:
    now = await registry.tag_digest(move.repository, move.tag)
    if now == move.was_on:
        done.skipped.append(Skipped(move.repository, move.was_on, EXISTS, 'it is there', move.tag))
    elif now is None or now != move.moved_to:
        because = f'it is on {now} now' if now else 'the tag is not there any more'
        done.skipped.append(Skipped(move.repository, move.was_on, TAG_EXISTS, because, move.tag))
    else:
        listed = await registry.manifest_properties(move.repository, move.was_on)
        data = verified(move.was_on, await registry.manifest(move.repository, move.was_on))
        if not dry_run:
            note('moves', repository=move.repository, tag=move.tag, digest=now, to=move.was_on)
            await door.put_manifest(move.repository, move.tag, data, type_of(data, listed.media_type))
        done.tags.append((move.repository, move.tag, move.was_on))
        done.moved.append((move.repository, move.tag, now))
