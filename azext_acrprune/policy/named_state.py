"""Where a policy says that its state is, which has to be known before anything else of it is."""

from __future__ import annotations

from .parsing import Source


def state_named(text: str) -> str | None:
    """The state that a policy file names. Raises PolicyError for what is no YAML."""
    named = Source(text).document().get('state')
    return named if isinstance(named, str) else None
