"""`az acr prune usage`."""

from __future__ import annotations

from knack.log import get_logger

from .failures import exit_with_failure, says_unread
from .session import open_session

logger = get_logger(__name__)


def usage(cmd, by='repository', top=None, **kwargs):
    """Who uses how much of a registry, by repository, image, layer or pattern of tags. Deletes nothing."""
    from ..show.usage_tables import usage_lines

    with open_session(cmd, {**kwargs, 'impact': 'exact'}) as session:
        document = session.usage(str(by), top)  # az marks a default with a subclass, which it would show as an object
    for line in usage_lines(document):
        logger.warning(line)
    exit_with_failure(cmd, says_unread(document))
    return document
