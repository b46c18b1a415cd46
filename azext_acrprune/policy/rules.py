"""What the user asked for, as data."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from .ages import DEFAULT_AGO


@dataclass(frozen=True)
class UntaggedPolicy:
    """Which untagged manifests may go.

    `ago` is as given (`1d`), `ago_seconds` what it means. `repositories` are glob patterns; none means all.
    `keep` is how many of the newest untagged images stay in each repository.
    """

    ago: str = DEFAULT_AGO
    ago_seconds: int = 86_400
    keep: int = 0
    repositories: Tuple[str, ...] = ()
