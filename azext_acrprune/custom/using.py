"""`az acr prune usage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knack.log import get_logger

from .command import Command
from .failures import NOT_ALL_READ, exit_by, say_unread
from .fleet import in_each_registry
from .journaling import last_run
from .options import PriceOptions, PullOptions, RegistryOptions, read
from .pulling import log_of
from .regions import settling_of_named, unsettled_of
from .scanning import scan
from .session import open_session

if TYPE_CHECKING:
    from ..model import Document

logger = get_logger(__name__)


@in_each_registry
def usage(cmd: Command, by: str = 'repository', top: int | None = None, **kwargs: object) -> Document:
    """Who uses how much of a registry, by repository, image, layer or pattern of tags. Deletes nothing."""
    from ..policy.rules import Selection
    from ..show.usage_tables import usage_lines
    from ..usage.usage_document import usage_document

    price, workspace = read(PriceOptions, kwargs).price, read(PullOptions, kwargs).workspace
    with open_session(cmd, RegistryOptions.of(kwargs)) as session:
        log = session.ask(lambda: log_of(cmd, str(workspace), session.host, session.now)) if workspace else None
        inventory = scan(session, Selection())
        document = usage_document(
            inventory,
            str(by),  # az marks a default with a subclass, which it would show as an object
            top,
            session.began,
            session.now,
            session.account,
            price,
            log,
            unsettled_of(session, settling_of_named(session, say=False)),
            last_run(cmd, session.host),
        )
    for line in usage_lines(document):
        logger.warning('%s', line)
    say_unread(document)
    exit_by(cmd, document['exitReason'], NOT_ALL_READ)
    return document
