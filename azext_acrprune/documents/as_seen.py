"""What a plan says of a manifest that others may change before the plan is carried out, written and read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..decide.graph import absent_children
from ..model import Manifest, Repository, Tag

_TIMES, _QUARANTINE, _MISSING = 'tagTimes', 'quarantineState', 'missingChildren'


def as_seen(repository: Repository, manifest: Manifest) -> dict[str, Any]:
    """The times of its tags, its quarantine, and how many children it lacks; what there is none of is not named."""
    times = {tag: repository.tags[tag].last_update_time for tag in manifest.tags if tag in repository.tags}
    missing = len(absent_children(repository, manifest.digest))
    found: dict[str, Any] = {_TIMES: times} if times else {}
    return {**found, **quarantine_of(manifest), **({_MISSING: missing} if missing else {})}


def quarantine_of(manifest: Manifest) -> dict[str, Any]:
    """The quarantine of a manifest, as an entry of a plan has it."""
    return {_QUARANTINE: manifest.quarantine} if manifest.quarantine else {}


def is_readable(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a plan has what `as_seen` gives, where it has it: anybody can seal anything."""
    times = entry.get(_TIMES, {})
    return (
        isinstance(times, dict)
        and all(isinstance(time, (str, type(None))) for time in times.values())
        and isinstance(entry.get(_QUARANTINE, ''), str)
        and isinstance(entry.get(_MISSING, 0), int)
    )


def quarantine_in(entry: Mapping[str, Any]) -> str | None:
    """The quarantine that a manifest was in."""
    return entry.get(_QUARANTINE)


def with_time(tag: Tag, entry: Mapping[str, Any]) -> Tag:
    """A tag with the time that it had; a plan that was made without the list of tags does not say it."""
    times: Mapping[str, str | None] = entry.get(_TIMES, {})
    return tag._replace(last_update_time=times[tag.name]) if tag.name in times else tag


def has_more_now(entry: Mapping[str, Any], here: Repository) -> bool:
    """Whether a manifest has children now that it lacked."""
    digest = entry['digest']
    return digest in here.manifests and len(absent_children(here, digest)) < int(entry.get(_MISSING, 0))
