"""Replicas of a registry: what happens in one region arrives in the others later, each kind of change at its own time.

The service says that its replicas are eventually consistent, and not more. So a test says for each region how long each
kind of change is on its way there, and moves the time itself.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

from .failures import RegistryFailure
from .records import RepositoryState
from .storage import Storage

PUSH, TAG, UNTAG, DELETE, LOCK = KINDS = ('push', 'tag', 'untag', 'delete', 'lock')
NEVER = math.inf

Lags = Mapping[str, float]
"""Seconds until a change of a kind that was made elsewhere arrives; 0 for a kind that is not there."""


class Regions:
    """The regions of one registry by name, each with the lags of what arrives there. `now` is moved by `wait` alone."""

    def __init__(self, **lags: Lags) -> None:
        self.now = 0.0
        self.lock = threading.RLock()
        self._order = count()
        self._regions = {name: Replica(self, lags[name]) for name in lags}

    def __getitem__(self, name: str) -> Replica:
        return self._regions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._regions)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def settle(self) -> None:
        """Let everything arrive everywhere, what never would included."""
        self.now = math.inf
        for replica in self._regions.values():
            replica.catch_up()
        self.now = 0.0

    def stored_bytes(self) -> int:
        """The bytes of what any region has, each digest once: so much there is in the end, when all has arrived."""
        held: dict[str, int] = {}
        for replica in self._regions.values():
            held.update(replica.held())
        return sum(held.values())

    def tell(self, origin: Replica, kind: str, change: Callable[[Replica], None]) -> None:
        """A change that was made in one region goes out to the others."""
        for replica in self._regions.values():
            if replica is not origin:
                replica.expect(self.now + replica.lags.get(kind, 0.0), next(self._order), change)


class Replica(Storage):
    """What one region holds. What is changed here goes out to the others; `catch_up` takes what has arrived."""

    def __init__(self, regions: Regions, lags: Lags) -> None:
        super().__init__()
        self.lock = regions.lock
        self.lags = lags
        self._regions = regions
        self._arriving: list[tuple[float, int, Callable[[Replica], None]]] = []

    def expect(self, due: float, order: int, change: Callable[[Replica], None]) -> None:
        with self.lock:
            heapq.heappush(self._arriving, (due, order, change))

    def catch_up(self) -> None:
        """Take what has arrived until now, in the order in which it does."""
        with self.lock:
            while self._arriving and self._arriving[0][0] <= self._regions.now:
                heapq.heappop(self._arriving)[2](self)

    # Changes that are made here

    def put_manifest(self, repository: str, data: bytes, media_type: str, tag: str | None = None, **more: Any) -> str:
        digest = super().put_manifest(repository, data, media_type, tag, **more)
        record = self.manifest(repository, digest)
        times = {'created': record.created, 'updated': record.updated}
        blobs = dict(record.blobs)
        self._tell(PUSH, lambda other: other.receive_push(self, repository, data, media_type, digest, blobs, times))
        if tag:
            moved = self.tag(repository, tag).updated
            self._tell(TAG, lambda other: other.receive_tag(repository, tag, digest, moved))
        return digest

    def untag(self, repository: str, tag: str) -> str:
        digest = super().untag(repository, tag)
        self._tell(UNTAG, lambda other: other.receive_untag(repository, tag, digest))
        return digest

    def set_locks(self, repository: str, **what: Any) -> None:
        super().set_locks(repository, **what)
        self._tell(LOCK, lambda other: other.receive_locks(repository, what))

    def _drop(self, repository: str, state: RepositoryState, digest: str) -> None:
        super()._drop(repository, state, digest)
        self._tell(DELETE, lambda other: other.receive_deletion(repository, digest))

    def _tell(self, kind: str, change: Callable[[Replica], None]) -> None:
        self._regions.tell(self, kind, change)

    # Changes that were made elsewhere

    def receive_push(
        self,
        origin: Replica,
        repository: str,
        data: bytes,
        media_type: str,
        digest: str,
        blobs: Mapping[str, int],
        times: Mapping[str, str],
    ) -> None:
        for blob, size in blobs.items():
            try:
                self.put_blob(origin.get_blob(blob))
            except RegistryFailure:
                self.put_virtual_blob(blob, size)
        with suppress(RegistryFailure):
            super().put_manifest(repository, data, media_type, checked=False, digest=digest, **times)

    def receive_tag(self, repository: str, tag: str, digest: str, moved: str) -> None:
        """A tag may arrive before its manifest, or after what was done to it later."""
        with suppress(RegistryFailure):
            state = self.state(repository)
            known = state.tags.get(tag)
            if known is None or known.updated <= moved:
                self._move_tag(state, tag, digest, moved)

    def receive_untag(self, repository: str, tag: str, digest: str) -> None:
        with suppress(RegistryFailure):
            if self.tag(repository, tag).digest == digest:
                self._untag(self.state(repository), tag)

    def receive_locks(self, repository: str, what: Mapping[str, Any]) -> None:
        with suppress(RegistryFailure):
            super().set_locks(repository, **what)

    def receive_deletion(self, repository: str, digest: str) -> None:
        """It takes the tags along that the manifest has here: that is how an image of another region is lost."""
        with suppress(RegistryFailure):
            state = self.state(repository)
            if digest in state.manifests:
                super()._drop(repository, state, digest)
