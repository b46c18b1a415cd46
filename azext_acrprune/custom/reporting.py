"""`az acr prune report`."""

from __future__ import annotations

from knack.log import get_logger

from .failures import exit_with_failure, says_unread
from .session import open_session
from .user_files import read_text, write_text

logger = get_logger(__name__)


def report(cmd, out, plan_file=None, **kwargs):
    """One HTML file on where the space goes, and what a plan does; answers with its numbers. Deletes nothing."""
    from ..documents.planned import read_plan
    from ..show.report_page import report_html

    text = read_text(plan_file) if plan_file else None
    with open_session(cmd, {**kwargs, 'impact': 'exact'}) as session:
        document = session.report(read_plan(text, session.host, session.now) if text is not None else None)
    write_text(report_html(document), out)
    logger.warning('The report is in %s.', out)
    exit_with_failure(cmd, says_unread(document))
    return document
