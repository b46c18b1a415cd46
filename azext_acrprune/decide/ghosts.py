"""A manifest that is listed and answers 404 is a ghost, or it is only not there for the moment.

A replica may answer 404 for what was pushed elsewhere a minute ago (Azure/acr#880, Azure/acr#588). Such a manifest may
be an index that needs others, so that it is unreadable and not a ghost.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from ..model import TICKS_PER_SECOND, Ghost, Inventory, Manifest, Repository, Unreadable
from ..policy.rules import GHOSTS, Policy
from .claims import claims_on_untagged

SECONDS_OF_DOUBT = 86_400
"""A ghost that is younger is none yet, whatever age was asked for."""

_YOUNG = 'it answers 404, and may be on its way from another replica: it is too young for a ghost'
_KEPT_BACK = 'it answers 404, and nobody may pull it'
_TAGGED = 'it answers 404, and has a tag'


def with_doubtful_ghosts(
    inventory: Inventory, policy: Policy | None, now: int, named: Container[tuple[str, str]] = ()
) -> Inventory:
    """The inventory with those ghosts unreadable that are younger than the rules ask for, or a day, or are tagged.

    Where the policy includes ghosts, a tagged one is a ghost; so is one that is `named` (repository, digest). `now` is
    in ticks.
    """
    tagged_too = policy is not None and GHOSTS in policy.include
    repositories = tuple(
        _doubted(each, _seconds_of_doubt(policy, each.name), tagged_too, now, named) for each in inventory.repositories
    )
    return replace(inventory, repositories=repositories)


def doubted_anew(inventory: Inventory, now: int, named: Container[tuple[str, str]] = ()) -> Inventory:
    """The inventory of a decision by rules, with those ghosts unreadable that no rule but time and tags makes so."""
    certain = tuple(
        replace(each, manifests={digest: _as_ghost(manifest) for digest, manifest in each.manifests.items()})
        if any(map(_is_doubted, each.manifests.values()))
        else each
        for each in inventory.repositories
    )
    return with_doubtful_ghosts(replace(inventory, repositories=certain), None, now, named)


def _is_doubted(manifest: Manifest) -> bool:
    return isinstance(manifest.content, Unreadable) and manifest.content.missing


def _as_ghost(manifest: Manifest) -> Manifest:
    return manifest.having(Ghost()) if _is_doubted(manifest) else manifest


def _seconds_of_doubt(policy: Policy | None, repository: str) -> int:
    """The greatest age that a rule asks of untagged manifests in a repository, at least a day."""
    claims = claims_on_untagged(policy, repository) if policy else []
    ages = [claim.rule.age.seconds for claim in claims if claim.rule and claim.rule.takes_images]
    return max([SECONDS_OF_DOUBT, *ages])


def _doubted(
    repository: Repository, seconds: int, tagged_too: bool, now: int, named: Container[tuple[str, str]]
) -> Repository:
    doubtful = {
        digest: manifest.having(Unreadable(why, missing=True))
        for digest, manifest in repository.manifests.items()
        if isinstance(manifest.content, Ghost)
        for why in [_why_doubtful(manifest, seconds, tagged_too or (repository.name, digest) in named, now)]
        if why
    }
    return replace(repository, manifests={**repository.manifests, **doubtful}) if doubtful else repository


def _why_doubtful(manifest: Manifest, seconds: int, tagged_too: bool, now: int) -> str | None:
    if manifest.quarantine or not manifest.locks.read_enabled:
        return _KEPT_BACK
    if manifest.tags and not tagged_too:
        return _TAGGED
    instants = manifest.created_at, manifest.updated_at
    newest = max((instant for instant in instants if instant is not None), default=None)
    old = newest is not None and now - newest >= seconds * TICKS_PER_SECOND
    return None if old else _YOUNG
