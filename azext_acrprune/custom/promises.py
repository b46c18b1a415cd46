"""What a run promised, beside what Azure says since. Asks Azure only where that answered when the run began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import Account, registry_name
from .command import Command
from .journaling import index_of, last_run

if TYPE_CHECKING:
    from ..model import Document

_LONGEST_ASK_SECONDS = 20


def since_last_run(cmd: Command, registry: str) -> Document | None:
    """The last run that deleted something from a registry, and what Azure says now; None where that is not known."""
    from ..documents.promised import since_fields

    run = last_run(cmd, registry)
    return since_fields(run, _account(cmd, registry)) if run and run['usedBytes'] is not None else None


def since_run(cmd: Command, story: Document) -> Document | None:
    """The same for any run. One that is not the last is compared with what Azure said before the next one."""
    from ..documents.promised import since_fields

    run = {**story, 'usedBytes': story['usedBytesBefore']}
    later = [
        each
        for each in index_of(cmd).summaries()
        if each['registry'] == story['registry'] and str(each['run']) > story['run']
    ]
    asked = next((each for each in later if each['usedBytesBefore'] is not None), None)
    if asked:
        return since_fields(run, Account(used_bytes=asked['usedBytesBefore']), asked['at'])
    if run['usedBytes'] is None or not story['registry']:
        return None
    return since_fields(run, _account(cmd, story['registry']))


def _account(cmd: Command, host: str) -> Account:
    """What Azure says of the registry at a login server; nothing where it cannot be asked, or does not answer soon."""
    from ..registry.credentials import registry_account, registry_facts
    from ..workers import TooLate, within

    name = registry_name(host)

    def ask() -> Account:
        return registry_account(cmd, name, None, registry_facts(cmd, name, None))

    try:
        return within(_LONGEST_ASK_SECONDS, ask)
    except TooLate:
        return Account()
