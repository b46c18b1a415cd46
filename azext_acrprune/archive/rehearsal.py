"""What of a restoration would fail: every byte that would be pushed is read, and compared with its digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from ..decide.impact import Node
from ..model import Failed
from ..reporter import Reporter
from ..workers import Task, run_tasks
from .pure.choose import Restoration
from .pure.layout import blob_path
from .stored import manifest_bytes, verified
from .target import ArchiveError, NotKept, Target
from .write import TRANSFERS


async def rehearse(target: Target, chosen: Restoration, reporter: Reporter) -> tuple[Restoration, int]:
    """(the restoration without what cannot be pushed, which is among its failures, and the bytes that were verified).

    Blobs that the registry has are mounted, and are not read. Raises ArchiveError when the archive cannot be used.
    """
    run = _Rehearsal(target, reporter)
    images = [image for wave in chosen.waves for image in wave if not image.soft_deleted]
    blobs = {digest: size for image in images for digest, size in image.blobs if digest not in chosen.holders}
    reporter.transfer_planned(sum(blobs.values()))
    tasks: list[Task] = [partial(run.blob, digest, size) for digest, size in sorted(blobs.items())]
    tasks += [partial(run.manifest, digest) for digest in sorted({image.digest for image in images})]
    await run_tasks(tasks, TRANSFERS)
    return _without(chosen, run.wrong), run.verified


class _Rehearsal:
    """`wrong` says of digests why they cannot be pushed, `verified` counts the bytes of those that can."""

    def __init__(self, target: Target, reporter: Reporter) -> None:
        self.wrong: dict[str, str] = {}
        self.verified = 0
        self._target = target
        self._reporter = reporter

    async def manifest(self, digest: str) -> Iterable[Task]:
        try:
            self.verified += len(verified(digest, await asyncio.to_thread(manifest_bytes, self._target, digest)))
        except (ArchiveError, NotKept) as error:
            self.wrong[digest] = str(error)
        return []

    async def blob(self, digest: str, size: int) -> Iterable[Task]:
        try:
            if await asyncio.to_thread(self._hash, digest) == digest:
                self.verified += size
            else:
                self.wrong[digest] = f'the archive is damaged: {blob_path(digest)} is not what its name says'
        except ArchiveError as error:
            self.wrong[digest] = str(error)
        self._reporter.transferred(size)
        return []

    def _hash(self, digest: str) -> str:
        content = hashlib.sha256()  # the service knows no other one
        for chunk in self._target.chunks(digest):
            content.update(chunk)
        return f'sha256:{content.hexdigest()}'


def _without(chosen: Restoration, wrong: dict[str, str]) -> Restoration:
    """The restoration without what is wrong, and without what needs it."""
    failed: dict[Node, str] = {}
    waves = []
    for wave in chosen.waves:
        for image in wave:
            lost = [digest for digest in sorted(image.needs) if (image.repository, digest) in failed]
            parts = [] if image.soft_deleted else [image.digest, *(digest for digest, _ in image.blobs)]
            why = [wrong[digest] for digest in parts if digest in wrong]
            why += [f'what it needs could not be restored: {digest}' for digest in lost]
            if why:
                failed[image.node] = why[0]
        waves.append(tuple(image for image in wave if image.node not in failed))
    return replace(
        chosen,
        waves=tuple(wave for wave in waves if wave),
        tags=tuple(record for record in chosen.tags if (record.repository, record.digest) not in failed),
        failed=(*chosen.failed, *(Failed(*node, error) for node, error in failed.items())),
    )
