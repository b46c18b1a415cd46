"""`az acr prune report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knack.log import get_logger

from .._errors import typed_errors
from .caching import login_server
from .command import Command
from .failures import NOT_ALL_READ, exit_by, say_unread
from .options import PriceOptions, RegistryOptions, read
from .scanning import scan
from .session import open_session
from .states import read_plan_text
from .user_files import write_text

if TYPE_CHECKING:
    from ..model import Document

logger = get_logger(__name__)


def report(cmd: Command, out: str, plan_file: str | None = None, **kwargs: object) -> Document:
    """Write one HTML file on where the space goes, and what a plan does; answer with its numbers in short."""
    from ..documents.planned import read_plan
    from ..policy.rules import Selection
    from ..show.report_page import report_html
    from ..usage.report_document import report_answer, report_document

    options, price = RegistryOptions.of(kwargs), read(PriceOptions, kwargs).price
    with typed_errors():
        host = login_server(cmd, options.sign_in.registry_name, options.sign_in.suffix)
        text = read_plan_text(cmd, options.state, host, plan_file) if plan_file else None
    with open_session(cmd, options) as session:
        plan = read_plan(text, session.host, session.now) if text is not None else None
        inventory = scan(session, Selection())
        document = report_document(inventory, plan, session.began, session.now, session.account, price)
    write_text(report_html(document), out)
    logger.warning('The report is in %s.', out)
    say_unread(document)
    answer = report_answer(document, out)
    exit_by(cmd, answer['exitReason'], NOT_ALL_READ)
    return answer
