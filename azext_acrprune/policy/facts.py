"""What rules may ask about that the lists of a registry do not tell. All instants are in ticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facts:
    """What is known of pulls, and of tags that acrprune removed.

    `pulled` has the last pull of each manifest, {repository: {digest: ticks}}: of it, of a part of it, or by a tag of
    it, as far as the log of them tells from `pulls_since` on; None is no log at all. `untagged` says when the last tag
    of a manifest was taken off, {repository: {digest: ticks}}.
    """

    pulled: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pulls_since: int | None = None
    untagged: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def last_pull(self, repository: str, digest: str, created: int | None) -> int | None:
        """The last pull of a manifest: 0 when it was never pulled, None when the log does not go back far enough."""
        last = self.pulled.get(repository, {}).get(digest, 0)
        if last:
            return last
        known = self.pulls_since is not None and created is not None and created >= self.pulls_since
        return 0 if known else None
