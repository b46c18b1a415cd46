"""Leases that are renewed for as long as a command runs."""

from __future__ import annotations

import threading
from contextlib import suppress

from .store import Lease, StateError

_RENEWED_EVERY_SECONDS = 15


class Leases:
    """Renews leases, on a thread of its own. One that is lost is noticed by who writes under it."""

    def __init__(self) -> None:
        self._leases: list[Lease] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, lease: Lease) -> None:
        with self._lock:
            self._leases.append(lease)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew, name='leases', daemon=True)
                self._thread.start()

    def release(self, lease: Lease) -> None:
        with self._lock:
            self._leases.remove(lease)
        lease.release()

    def close(self) -> None:
        """Give up all that are left."""
        self._over.set()
        with self._lock:
            left, self._leases = self._leases, []
        for lease in left:
            lease.release()

    def _renew(self) -> None:
        while not self._over.wait(_RENEWED_EVERY_SECONDS):
            with self._lock:
                leases = list(self._leases)
            for lease in leases:
                with suppress(StateError):
                    lease.renew()
