"""Options of requests that the policies of our pipeline heed, and what these know of a request."""

from __future__ import annotations

import math
from typing import Any

REPOSITORY_OPTION = 'acr_repository'
"""The repository that a request is about, None for the catalog. Without it a request has no token."""

PATIENCE_OPTION = 'acr_patience'
"""After this many seconds a request must not be sent any more."""

WHENEVER = math.inf
"""A value of PATIENCE_OPTION: neither a time limit nor a stop ends the wait of this request."""

SEND_BEFORE = 'acr_send_before'
"""In the context of a request: until when it may be sent, once its patience was taken from its options."""

ONLY_REFUSED = 'acr_only_refused'
"""In the context of a request: whether all its tries so far were refused, and so did nothing."""


def is_promised(context: Any) -> bool:
    """Whether the request of this context makes good what was begun, and is sent whatever the time."""
    return bool(WHENEVER in (context.options.get(PATIENCE_OPTION), context.get(SEND_BEFORE)))


def may_be_done(context: Any) -> bool:
    """Whether an earlier try of this request may have been carried out."""
    return not context.get(ONLY_REFUSED, True)
