"""Calls to a storage account, each with an end.

Its client limits how long it waits for a part of an answer, and not for the whole of it: one that comes drop by drop
would never end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from azure.core.exceptions import ServiceResponseTimeoutError

from ..timelimit import NO_LIMIT, TimeLimit
from ..workers import TooLate, within

LONGEST_SECONDS = 300
"""For a call, those in which the client tries again and waits in between among them."""
SHORTEST_SECONDS = 5
"""What is to be written at the end, as that a run is over, gets so much when the time limit is over too."""
FIRST_PART, PART = 32 * 1024 * 1024, 4 * 1024 * 1024
"""In so many bytes at most the client reads a blob."""
_SLOWEST_BYTES = 1 << 14
"""A second, which a call may take longer where so much goes or comes with it."""
_NOTHING_MORE = object()


class AzureCalls:
    """Makes calls on threads of their own, one of which is left behind where its answer does not come in time.

    `limit` gives the time limit of what is going on.
    """

    def __init__(self, limit: Callable[[], TimeLimit] = lambda: NO_LIMIT) -> None:
        self._limit = limit

    def __call__(self, call: Callable[..., Any], *arguments: Any, size: int = 0, **options: Any) -> Any:
        """What a call gives, with which `size` bytes go or come. Raises azure-core's error where it takes too long."""
        limit = self._limit()
        seconds = max(SHORTEST_SECONDS, min(LONGEST_SECONDS + size / _SLOWEST_BYTES, limit.to_the_end))
        try:
            return within(seconds, partial(call, *arguments, **options), lambda: limit.given_up_in)
        except TooLate as error:
            raise ServiceResponseTimeoutError('The storage account did not answer in time') from error

    def listed(self, listing: Any) -> Iterator[Any]:
        """The items of a listing of the storage SDK, of which each page is a call."""
        for page in self.each(listing.by_page()):
            yield from page

    def each(self, items: Iterable[Any], size: int = 0) -> Iterator[Any]:
        """Pages, or parts of a blob of at most this size, each of which is a call."""
        coming = iter(items)
        while True:
            item = self(next, coming, _NOTHING_MORE, size=size)
            if item is _NOTHING_MORE:
                return
            yield item
