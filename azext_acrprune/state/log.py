"""Lines in a state that are only added to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .leases import Leases
from .store import Full, Lease, Leased, OutOfDate, StateError, StateStore, StoredFile

_TRIES = 10
_PART = re.compile(r'(?P<stem>.+)\.(?P<number>\d{3})\.jsonl\Z')


class LineLog:
    """Lines in as many files as it takes: a service adds to one file a limited number of times.

    With `leases` this process alone adds to it, from `begin` on. Every method may raise StateError.
    """

    def __init__(self, store: StateStore, stem: str, sizes: Iterable[int] = (), leases: Leases | None = None) -> None:
        """`sizes` are the bytes of the files that there are."""
        self._store = store
        self._stem = stem
        self._sizes = list(sizes)
        self._leases = leases
        self._own: list[Lease] = []

    @property
    def size(self) -> int:
        return sum(self._sizes)

    def begin(self) -> None:
        """Make the next file."""
        self._sizes.append(0)
        self._store.append(self._name(len(self._sizes) - 1), b'', 0)
        if self._leases:
            try:
                self._own.append(self._store.lease(self._name(len(self._sizes) - 1)))
            except Leased as error:
                raise self._disputed() from error
            self._leases.add(self._own[-1])

    def append(self, data: bytes) -> None:
        """Add whole lines; they last when this returns."""
        for _ in range(_TRIES):
            try:
                if not self._sizes:
                    self.begin()
                number, lease = len(self._sizes) - 1, self._own[-1] if self._own else None
                self._store.append(self._name(number), data, self._sizes[number], lease)
                self._sizes[number] += len(data)
                return
            except Full:
                self.begin()
            except OutOfDate:
                if self._leases:
                    break
                self._sizes = sizes_of(self._store.entries(f'{self._stem}.')).get(self._stem, [])
        raise self._disputed()

    def read(self) -> bytes:
        """All of it."""
        found = (self._store.read(self._name(number)) for number in range(len(self._sizes)))
        return b''.join(each[0] for each in found if each)

    def remove(self) -> None:
        for number in range(len(self._sizes)):
            self._store.remove(self._name(number))

    def end(self) -> None:
        """Let others add to it."""
        while self._own and self._leases:
            self._leases.release(self._own.pop())

    def _disputed(self) -> StateError:
        return StateError(
            f"The state '{self._store.name}' cannot be used at '{self._stem}': others write to it.", 'Try again.'
        )

    def _name(self, number: int) -> str:
        return f'{self._stem}.{number:03}.jsonl'


def sizes_of(entries: Mapping[str, StoredFile]) -> dict[str, list[int]]:
    """The bytes of the files of each log that is among these, by its stem."""
    found: dict[str, list[int]] = {}
    for name in sorted(entries):
        part = _PART.match(name)
        if part:
            found.setdefault(part['stem'], []).append(entries[name].size)
    return found


def held_among(entries: Mapping[str, StoredFile]) -> set[str]:
    """The stems of the logs that some process has."""
    parts = ((_PART.match(name), entry.held) for name, entry in entries.items())
    return {part['stem'] for part, held in parts if part and held}
