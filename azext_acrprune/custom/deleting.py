"""The commands that delete: `untagged`, `tags`, `image`, `repository` and `apply`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from knack.log import get_logger

from ..apply.journal import JournalError
from .archiving import Archiving, archiving_of
from .checking import validate
from .consent import has_consent, hold_to_limits, is_confirmed, refuse_without_consent
from .failures import exit_with_failure, says_unread
from .journaling import journal_of
from .selecting import exactly, policy_of_options
from .session import Session, open_session
from .user_files import read_text

logger = get_logger(__name__)

_NO_PINS = (
    'The plan was made with pins. What they named then stays; what they name since is only known when --pins '
    'is given again.'
)

Options = Mapping[str, Any]


def untagged(cmd, **kwargs):
    """Delete what is untagged and needed by nothing."""
    return _prune(cmd, kwargs)


def tags(cmd, **kwargs):
    """Remove tags by pattern, age and number, and delete what is left without a tag."""
    return _prune(cmd, kwargs)


def image(cmd, images, untag=False, **kwargs):
    """Delete images by name, with their platform images and attachments; or remove tags alone."""
    from ..decide.named import decide_images, decide_untag

    decide = decide_untag if untag else decide_images
    selection = exactly(name.repository for name in images)

    def decide_with_pins(session):
        pins = session.pins()
        return decide(session.scan(selection, tags=True), images, kwargs['include_locked'], pins)

    return delete(cmd, kwargs, decide_with_pins)


def repository(cmd, name, **kwargs):
    """Delete a whole repository."""
    from ..decide.named import decide_repository

    def decide(session):
        pins = session.pins()
        return decide_repository(session.scan(exactly([name]), tags=True), name, pins)

    return delete(cmd, kwargs, decide)


def apply(cmd, plan_file, max_age='24h', **kwargs):
    """Carry out a plan, and nothing but the plan; after an interruption, go on where it stopped."""
    from ..documents.planned import applied_bytes, decide_as_planned, read_plan
    from ..policy.ages import parse_ago

    text = read_text(plan_file)

    def decide(session):
        planned = read_plan(text, session.host, session.now, parse_ago(max_age))
        pins = session.pins()
        if 'pins' in planned.document['policy'] and not pins.given:
            logger.warning(_NO_PINS)
        inventory = session.scan(exactly(planned.repositories, required=False), tags=True)
        session.planned, session.earlier = planned.document, applied_bytes(planned, inventory)
        return decide_as_planned(planned, inventory, pins)

    return delete(cmd, kwargs, decide)


def _prune(cmd, options: Options) -> dict[str, Any] | None:
    return delete(cmd, options, lambda session: session.decide(policy_of_options(options)))


def delete(cmd, options: Options, decide: Callable[[Session], Any]) -> dict[str, Any] | None:
    """Decide, preview, ask, delete, and say what became of it: the life of every command that deletes."""
    yes, dry_run, validates = options['yes'], options['dry_run'], options['validate']
    if not dry_run:
        refuse_without_consent(cmd, yes)
    with open_session(cmd, options) as session:
        decision = decide(session)
        archiving = archiving_of(cmd, options)
        decision = archiving.with_notices(decision) if archiving else decision
        document = session.planned or session.document(decision)
        unread = session.planned is None and says_unread(document)
        if archiving:
            archiving.announce(decision)
        if dry_run:
            exit_with_failure(cmd, unread)
            return document
        hold_to_limits(decision, options, is_confirmed(cmd, yes))
        with session.limit.standing_still():
            agreed = has_consent(cmd, document, yes, archiving is not None)
        if not agreed:
            return None
        result = _carry_out(cmd, options, session, decision, document, archiving)
        if validates:
            validate(cmd, session, decision, result)
    summary = result['summary']
    exit_with_failure(cmd, unread or summary['failed'] or summary['interrupted'])
    return result


def _carry_out(
    cmd, options: Options, session: Session, decision: Any, document: dict[str, Any], archiving: Archiving | None
) -> dict[str, Any]:
    """Archive if that was asked for, then delete what is safe; the journal says all of it."""
    where = archiving.target.name if archiving else None
    with journal_of(
        cmd, options, document['registry'], planChecksum=document['checksum'], policy=document['policy'], archive=where
    ) as journal:
        safe = session.archive(decision, archiving) if archiving else None
        if safe:
            decision = safe.decision
            journal.write('archived', archive=where, notArchived=len(safe.skipped))
        result = session.execute(decision, journal, safe)
        result.update(run=journal.run, archive=where)
        with suppress(JournalError):  # what was deleted is told in any case
            journal.write('end', summary=result['summary'])
        return result
