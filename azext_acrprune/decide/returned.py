"""What was deleted and brought back counts with the times that it had before, as long as nobody has touched it since.

Without that, a restored image would be the newest of all: a rule that keeps the newest three would keep three restored
ones, and delete the three that were kept so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..model import CameBack, Inventory, Manifest, Repository, Tag
from ..policy.ages import SECONDS_PER_DAY
from ..policy.facts import Thing
from .claims import age_is_over

Times = Mapping[Thing, CameBack]


def with_old_times(inventory: Inventory, came_back: Times) -> tuple[Inventory, dict[Thing, int]]:
    """(the inventory with the instants that things had before they went, and when each of these came back, in ticks).

    Only what has exactly the time still that it got when it came back has its old instants; anything else, and what is
    not known of them, is left as the registry says. The texts of times are left in any case: they tell a change.
    """
    names = {name for name, _, _ in came_back}
    returned: dict[Thing, int] = {}
    repositories = tuple(
        _aged(repository, came_back, returned) if repository.name in names else repository
        for repository in inventory.repositories
    )
    return (replace(inventory, repositories=repositories) if returned else inventory), returned


def _aged(repository: Repository, came_back: Times, returned: dict[Thing, int]) -> Repository:
    manifests: dict[str, Manifest] = {}
    for digest, manifest in repository.manifests.items():
        back = came_back.get((repository.name, digest, None))
        if back and back.now == manifest.last_update_time and manifest.updated_at is not None:
            returned[repository.name, digest, None] = max(back.at, manifest.updated_at)
            created = _older(back.created, manifest.created_at)
            manifest = manifest._replace(created_at=created, updated_at=_older(back.updated, manifest.updated_at))
        manifests[digest] = manifest
    tags: dict[str, Tag] = {}
    for name, tag in repository.tags.items():
        back = came_back.get((repository.name, tag.digest, name))
        if back and back.now == tag.last_update_time and tag.updated_at is not None:
            returned[repository.name, tag.digest, name] = max(back.at, tag.updated_at)
            tag = tag._replace(updated_at=_older(back.updated, tag.updated_at))
        tags[name] = tag
    return replace(repository, manifests=manifests, tags=tags)


def _older(before: int | None, now: int | None) -> int | None:
    """What is not known keeps: then the time of now counts."""
    return now if before is None or now is None else min(before, now)


def is_back_lately(came_back: int | None, seconds: int, now: int) -> bool:
    """Whether something came back less than a day ago, or less than the age that is asked for where that is shorter."""
    return came_back is not None and not age_is_over(came_back, min(seconds, SECONDS_PER_DAY), now)
