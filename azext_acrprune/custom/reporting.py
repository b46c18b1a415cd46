"""`az acr prune report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knack.log import get_logger

from .command import Command
from .failures import NOT_ALL_READ, exit_with_failure, says_unread
from .options import PriceOptions, RegistryOptions, read
from .scanning import scan
from .session import open_session
from .user_files import read_text, write_text

if TYPE_CHECKING:
    from ..model import Document

logger = get_logger(__name__)


def report(cmd: Command, out: str, plan_file: str | None = None, **kwargs: object) -> Document:
    """One HTML file on where the space goes, and what a plan does; answers with its numbers. Deletes nothing."""
    from ..documents.planned import read_plan
    from ..policy.rules import Selection
    from ..show.report_page import report_html
    from ..usage.report_document import report_document

    text = read_text(plan_file) if plan_file else None
    price = read(PriceOptions, kwargs).price
    with open_session(cmd, RegistryOptions.of(kwargs)) as session:
        plan = read_plan(text, session.host, session.now) if text is not None else None
        inventory = scan(session, Selection())
        document = report_document(inventory, plan, session.began, session.now, session.account, price)
    write_text(report_html(document), out)
    logger.warning('The report is in %s.', out)
    exit_with_failure(cmd, says_unread(document), NOT_ALL_READ)
    return document
