"""A look at a repository after the run: what it still shows was not deleted, whatever the answers were."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from ..inventory.rescan import Before, rescan
from ..model import Notice, Repository
from .tally import Tally
from .work import Surroundings

SECOND_LOOK_SECONDS = 2
"""Before a repository is listed once more that shows what was deleted, or not all that it counts."""

NOT_VERIFIED = 'notVerified'
"""Code of the notice that a repository could not be listed after the run."""


async def look_back(
    around: Surroundings, seen: Repository, tally: Tally, unanswered: AbstractSet[str]
) -> Notice | None:
    """List the repository once more, with its tags, and settle the tally by that.

    Gives the notice that this could not be done, or shows less than is there.
    """

    async def listed() -> Repository:
        before = Before(seen, frozenset(), deleted=frozenset(tally.deleted), untagged=frozenset(tally.untagged))
        return await rescan(around.registry, before) or Repository(seen.name, {})

    def lacks_something(now: Repository) -> bool:
        return now.unseen is not None and seen.unseen is None

    try:
        now = await listed()
        if tally.contradicted(now) or lacks_something(now):
            await around.pause(SECOND_LOOK_SECONDS)
            now = await listed()
    except Exception as error:  # pylint: disable=broad-except  # what was deleted is told in any case
        return _not_verified(seen.name, str(error))
    tally.settle(now, unanswered)
    return _not_verified(seen.name, str(now.unseen)) if lacks_something(now) else None


def _not_verified(repository: str, why: str) -> Notice:
    message = (
        f'What is left could not be listed after the run: {why}. What is called deleted is so by the answers of the '
        'registry alone, what failed or is left may be gone all the same, and the freed bytes are no exact number.'
    )
    return Notice(NOT_VERIFIED, message, repository)
