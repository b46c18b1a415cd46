"""Options of requests that the policies of our pipeline heed, and what these know of a request."""

from __future__ import annotations

from typing import Any

REPOSITORY_OPTION = 'acr_repository'
"""The repository that a request is about, None for the catalog. Without it a request has no token."""

PROMISED_OPTION = 'acr_promised'
"""True for a request that makes good what was begun: neither a time limit nor a stop ends its wait."""

ONLY_REFUSED = 'acr_only_refused'
"""In the context of a request: whether all its tries so far were refused, and so did nothing."""


def is_promised(context: Any) -> bool:
    """Whether the request of this context makes good what was begun, and is sent whatever the time."""
    return bool(context.options.get(PROMISED_OPTION) or context.get(PROMISED_OPTION))


def may_be_done(context: Any) -> bool:
    """Whether an earlier try of this request may have been carried out."""
    return not context.get(ONLY_REFUSED, True)
