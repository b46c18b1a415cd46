"""`az acr prune report`, on one registry or on several in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from knack.log import get_logger

from .._errors import typed_errors
from .command import Command
from .failures import NOT_ALL_READ, exit_by, say_unread
from .fleet import in_each
from .options import FleetOptions, PriceOptions, RegistryOptions, read
from .registries import Chosen, chosen
from .scanning import scan
from .session import open_session
from .states import PLAN_IN_STATE, read_plan_text
from .user_files import read_text, write_text

if TYPE_CHECKING:
    from ..documents.cost import Price
    from ..model import Document

logger = get_logger(__name__)


def report(
    cmd: Command,
    out: str,
    registry_name: str | list[Document] | None = None,
    plan_file: str | None = None,
    **kwargs: object,
) -> Document:
    """Write one HTML file on where the space goes, and what a plan does; answer with its numbers in short."""
    with typed_errors():
        several = chosen(cmd, registry_name, read(FleetOptions, kwargs))
    one = registry_name if several is None else ''
    options, price = RegistryOptions.of({**kwargs, 'registry_name': one}), read(PriceOptions, kwargs).price
    if several is not None:
        return _on_several(cmd, several, options, price, out, plan_file)
    document, answer = _on_one(cmd, options, price, out, plan_file)
    _write(document, out)
    exit_by(cmd, answer['exitReason'], NOT_ALL_READ)
    return answer


def _on_one(
    cmd: Command, options: RegistryOptions, price: Price | None, out: str, plan_file: str | None
) -> tuple[Document, Document]:
    """The report on one registry, and its numbers in short."""
    from ..documents.planned import read_plan
    from ..policy.rules import Selection
    from ..usage.report_document import report_answer, report_document

    in_state = bool(plan_file) and str(plan_file).startswith(PLAN_IN_STATE)
    text = read_text(plan_file) if plan_file and not in_state else None  # an hour of reading comes before the other
    with open_session(cmd, options) as session:
        if in_state:  # it is below the login server, which only Azure knows for sure
            text = read_plan_text(cmd, options.state, session.host, str(plan_file))
        plan = read_plan(text, session.host, session.now) if text is not None else None
        inventory = scan(session, Selection())
        document = report_document(inventory, plan, session.began, session.now, session.account, price)
    say_unread(document)
    return document, report_answer(document, out)


def _on_several(
    cmd: Command,
    registries: Sequence[Chosen],
    options: RegistryOptions,
    price: Price | None,
    out: str,
    plan_file: str | None,
) -> Document:
    """Write one file on all that could be read."""
    from ..usage.fleet_report import fleet_report

    documents: list[Document] = []

    def work(**given: Any) -> Document:
        own = replace(options, sign_in=replace(options.sign_in, **given))
        document, answer = _on_one(cmd, own, price, out, plan_file)
        documents.append(document)
        return answer

    answers = in_each(cmd, registries, {}, work)
    failed = {entry['registry']: entry['error'] for entry in answers['registries'] if entry['error'] is not None}
    if documents:
        _write(fleet_report(documents, failed, f'{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}'), out)
    return answers


def _write(document: Document, out: str) -> None:
    from ..show.report_page import report_html

    write_text(report_html(document), out)
    logger.warning('The report is in %s.', out)
