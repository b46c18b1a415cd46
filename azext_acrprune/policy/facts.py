"""What rules may ask about that the lists of a registry do not tell. All instants are in ticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Thing = tuple[str, str, str | None]
"""A repository, a digest, and a tag on it or None for the manifest itself."""

STILL_RETIRED = 'retired'
CHANGED = 'changed'
FOREIGN = 'foreign'
TAKEN_BACK = 'takenBack'
RETURNED = 'returned'
"""How a manifest stands that was hidden from pulls: retired by this program and untouched since; or something of it
changed, such as its tags; hidden by somebody else; retired once, and somebody let pulls of it through again; or a plan
did, because the image was wanted again."""


@dataclass(frozen=True)
class Retired:
    """How a manifest stands that this program retired `at` an instant, with the `tags` that it had; 0 is never."""

    state: str
    at: int = 0
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is known of pulls, of tags that acrprune removed, and of what it retired.

    `pulled` has the last pull of each manifest, {repository: {digest: ticks}}: of it, of a part of it, or by a tag of
    it, as far as the log of them tells from `pulls_since` on. `has_log` says whether a log was asked; one that has said
    nothing of late has no `pulls_since`. `pulled_by` says whose pull that was, of what is retired.
    `untagged` says when the last tag of a manifest was taken off, {repository: {digest: ticks}}, and `retired` how
    those stand that cannot be pulled, or could not. `lock_marks` are the tags and digests that this program locked for
    a policy, {(repository, tag or digest): its `writeEnabled` before}. `came_back` says when something was brought back
    that had been deleted: it counts with the times that it had before.
    """

    pulled: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pulls_since: int | None = None
    untagged: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    has_log: bool = False
    pulled_by: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    retired: Mapping[str, Mapping[str, Retired]] = field(default_factory=dict)
    lock_marks: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    came_back: Mapping[Thing, int] = field(default_factory=dict)

    def last_pull(self, repository: str, digest: str, created: int | None) -> int | None:
        """The last pull of a manifest: 0 when it was never pulled, None when the log does not go back far enough."""
        last = self.pulled.get(repository, {}).get(digest, 0)
        if last:
            return last
        known = self.pulls_since is not None and created is not None and created >= self.pulls_since
        return 0 if known else None
