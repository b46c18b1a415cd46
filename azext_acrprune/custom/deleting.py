"""The commands that delete: `untagged`, `tags`, `image`, `repository` and `apply`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from knack.log import get_logger

from .._errors import typed_errors
from ..apply.journal import Journal, JournalError
from ..timelimit import SHARE_AFTER_READING
from .archiving import Archiving, archive, archiving_of, hold_target, keep_journal, lasting_name, says_unarchived
from .caching import login_server
from .checking import validate
from .command import Command
from .consent import hold_consent, hold_to_limits, is_confirmed, refuse_without_consent, say_plan
from .deciding import Decided, decide_by_rules, document_of
from .failures import exit_by, exit_with_failure
from .first_previews import FirstPreview, only_previews, remove_tag
from .fleet import in_each_registry
from .journaling import journal_of
from .keeping_locked import kept_locked
from .options import DeleteOptions, PullOptions, SelectOptions, read
from .pinning import as_listed, load_pins
from .recording import RunRecord, recorded, undo_of_run
from .regions import say_held, settling_of_named, unsettled_of, with_log
from .retiring import retired
from .scanning import retention_of, scan
from .selecting import exactly, policy_of_options
from .session import Session, open_session
from .settling import settle
from .states import read_plan_text
from .stopping import nothing_was, stop_requests, stops_from_now_on, told_interrupted

if TYPE_CHECKING:
    from ..archive.write import Safe
    from ..decide.decision import Decision
    from ..decide.named import ImageName
    from ..model import Document, Inventory, Outcome
    from ..registry.changes import Changes
    from ..show.preview import Left
    from ..workers import Stops

logger = get_logger(__name__)

_NO_PINS = (
    'The plan was made with pins. What they named then stays; what they name since is only known when --pins '
    'is given again.'
)


@in_each_registry
def untagged(cmd: Command, **kwargs: object) -> Document:
    """Delete what is untagged and needed by nothing."""
    return _prune(cmd, SelectOptions.of(kwargs), DeleteOptions.of(kwargs))


@in_each_registry
def tags(cmd: Command, **kwargs: object) -> Document:
    """Remove tags by pattern, age and number, and delete what is left without a tag."""
    return _prune(cmd, SelectOptions.of(kwargs), DeleteOptions.of(kwargs))


def image(
    cmd: Command, images: list[ImageName], untag: bool = False, only_if: str | None = None, **kwargs: object
) -> Document:
    """Delete images by name, with their platform images and attachments; or remove tags alone."""
    from ..decide.named import decide_images, decide_untag
    from ..decide.only_if import IF_ORPHAN, decide_only_if
    from ..decide.reasons import LOCKED
    from ..decide.retention import refused_if_needed, with_retention
    from ..documents.staying import named_that_stay

    options = DeleteOptions.of(kwargs)
    include_locked = SelectOptions.of(kwargs).flags.include_locked
    selection = exactly(name.repository for name in images)
    workspace = read(PullOptions, kwargs).workspace

    def decide(session: Session) -> Decided:
        pins = session.ask(lambda: load_pins(cmd, options.pins, session.host))
        inventory = scan(session, selection, tags=True, orphans=only_if == IF_ORPHAN)
        inventory = with_log(session, inventory, workspace)
        pins = as_listed(pins, inventory)
        settling = settling_of_named(session)
        unsettled = unsettled_of(session, settling)
        if only_if:
            decision = decide_only_if(inventory, images, str(only_if), session.now, untag, pins, unsettled)
            decision = refused_if_needed(with_retention(decision, retention_of(session)))
            return Decided(decision, decision.inventory, held=() if untag else named_that_stay(decision))
        inventory = _with_doubts(session, inventory, images)
        decision = (decide_untag if untag else decide_images)(inventory, images, include_locked, pins, unsettled)
        say_held(session, decision, settling)
        if untag:
            decision = refused_if_needed(with_retention(decision, retention_of(session)))
        return Decided(decision, inventory, held=() if untag else named_that_stay(decision))

    def decide_and_say(session: Session) -> Decided:
        decided = decide(session)
        if not include_locked and any(each.reason == LOCKED for each in decided.held):
            logger.warning('Something named is locked: --include-locked unlocks it, and deletes it.')
        return decided

    return delete(cmd, options, decide_and_say)


def _with_doubts(session: Session, inventory: Inventory, images: list[ImageName]) -> Inventory:
    """The inventory with those ghosts unreadable that may only not be there for the moment. What is named is none."""
    from ..decide.ghosts import with_doubtful_ghosts
    from ..decide.named import digest_of

    named = {(name.repository, digest_of(name, inventory)) for name in images}
    return with_doubtful_ghosts(inventory, None, session.now, named)


def repository(cmd: Command, name: str, **kwargs: object) -> Document:
    """Delete a whole repository."""
    from ..decide.named import decide_repository

    options = DeleteOptions.of(kwargs)
    workspace = read(PullOptions, kwargs).workspace

    def decide(session: Session) -> Decided:
        pins = session.ask(lambda: load_pins(cmd, options.pins, session.host))
        inventory = with_log(session, scan(session, exactly([name]), tags=True), workspace)
        pins = as_listed(pins, inventory)
        unsettled = unsettled_of(session, settling_of_named(session))
        return Decided(decide_repository(inventory, name, pins, unsettled), inventory)

    return delete(cmd, options, decide)


def apply(
    cmd: Command, plan_file: str, max_age: str = '24h', preview_tag: str | None = None, **kwargs: object
) -> Document:
    """Carry out a plan, and nothing but the plan; after an interruption, go on where it stopped."""
    from ..exit_reasons import code_of, reason_of_plan

    options, workspace = DeleteOptions.of(kwargs), read(PullOptions, kwargs).workspace
    first = FirstPreview.of(preview_tag) if preview_tag else None
    if not first or not only_previews(cmd, options.registry, first):
        return _apply(cmd, plan_file, max_age, options, workspace)
    dry = replace(options, consent=replace(options.consent, dry_run=True))
    document = _apply(cmd, plan_file, max_age, dry, workspace)
    if not code_of(document.get('exitReason') or reason_of_plan(document)):  # all of it was shown
        remove_tag(cmd, options.registry, first)
    return document


def _apply(cmd: Command, plan_file: str, max_age: str, options: DeleteOptions, workspace: str | None) -> Document:
    from ..decide.retention import with_retention
    from ..documents.planned import decide_as_planned, read_plan, refuse_other_retention, state_of_plan
    from ..policy.ages import parse_age_or_date

    def decide(session: Session) -> Decided:
        plan = read_plan(text, session.host, session.now, parse_age_or_date(max_age, time.time()))
        pins = session.ask(lambda: load_pins(cmd, options.pins, session.host))
        if 'pins' in plan.document['policy'] and not pins.given:
            logger.warning(_NO_PINS)
        inventory = scan(session, exactly(plan.repositories, required=False), tags=True, orphans=plan.has_orphans)
        inventory = with_log(session, inventory, workspace)
        pins = as_listed(pins, inventory)
        settling = settling_of_named(session)
        decision = decide_as_planned(plan, inventory, pins, unsettled_of(session, settling))
        held = say_held(session, decision, settling)
        decision = with_retention(decision, retention_of(session))
        refuse_other_retention(plan, decision)
        return Decided(decision, inventory, plan.document, held)

    sign_in = options.registry.sign_in
    with recorded(cmd, sign_in, options.record) as record:
        with typed_errors():
            host = login_server(cmd, sign_in.registry_name, sign_in.suffix)
            text = read_plan_text(cmd, options.registry.state, host, plan_file)
        state = replace(options.registry.state, planned=state_of_plan(text))
        options = replace(options, registry=replace(options.registry, state=state))
        return _delete(cmd, options, decide, record)


def _prune(cmd: Command, selecting: SelectOptions, options: DeleteOptions) -> Document:
    def decide(session: Session) -> Decided:
        decision = decide_by_rules(session, policy_of_options(selecting), selecting)
        return Decided(decision, decision.inventory)

    return delete(cmd, options, decide)


@dataclass(frozen=True)
class _Agreed:
    """What somebody agreed to; `unread` where the plan is not of the whole registry."""

    decided: Decided
    document: Document
    archiving: Archiving | None
    unread: bool


def delete(cmd: Command, options: DeleteOptions, decide: Callable[[Session], Decided]) -> Document:
    """Decide, preview, ask, delete, and say what became of it: the life of every command that deletes."""
    with recorded(cmd, options.registry.sign_in, options.record) as record:
        return _delete(cmd, options, decide, record)


def _delete(cmd: Command, options: DeleteOptions, decide: Callable[[Session], Decided], record: RunRecord) -> Document:
    """As `delete`; what is known of the run goes into its record as soon as it is."""
    consent = options.consent
    if not consent.dry_run:
        refuse_without_consent(cmd, consent.yes)
    with open_session(cmd, options.registry) as session:
        record.session = session
        with nothing_was('deleted'):
            settled = consent.dry_run or settle(session)
            agreed = _ask(session, options, decide, record)
        if not isinstance(agreed, _Agreed):
            return agreed
        result = _carry_out(session, agreed)
        record.result, record.archive = result, result['archive']
        if options.record.summary_file or options.record.report_tag:
            record.undo = undo_of_run(cmd, result, options.registry)
        _say_what_is_left(agreed.document, result)
        broken = consent.validate and validate(session, agreed.decided, result)
    result['exitReason'] = _exit_reason(cmd, agreed, result, bool(broken), settled)
    record.exit_code = exit_by(cmd, result['exitReason'])
    return result


def _say_what_is_left(plan: Document, result: Document) -> None:
    """Say last, below the numbers of the preview, what became of them where it is less."""
    from ..show.shortfall import shortfall

    line = shortfall(plan, result)
    if line:
        logger.warning('%s', line)


def _exit_reason(cmd: Command, agreed: _Agreed, result: Document, broken: bool, settled: bool) -> str:
    """Why the run ends as it does; says what could not be archived."""
    from ..exit_reasons import (
        NAMED_STAYS,
        SOMETHING_BROKEN,
        SOMETHING_NOT_ARCHIVED,
        SOMETHING_UNREAD,
        UNSETTLED,
        reason_of_run,
    )

    found = {
        SOMETHING_NOT_ARCHIVED: says_unarchived(cmd, result),
        SOMETHING_UNREAD: agreed.unread,
        SOMETHING_BROKEN: broken,
        NAMED_STAYS: agreed.decided.held and not agreed.decided.plan,  # somebody named it
        UNSETTLED: not settled,
    }
    return reason_of_run(result, found)


def _ask(
    session: Session, options: DeleteOptions, decide: Callable[[Session], Decided], record: RunRecord
) -> _Agreed | Document:
    """Decide, and ask; gives the plan of a dry run. Whoever says no ends it with an error."""
    from ..exit_reasons import is_unread, reason_of_plan

    cmd, consent = session.cmd, options.consent
    archiving = archiving_of(cmd, options.archive)
    with session.limit.standing_still():
        if archiving:
            hold_target(cmd, archiving, consent)
    with nullcontext() if consent.dry_run else session.limit.keeping(SHARE_AFTER_READING):
        decided = decide(session)
    if archiving:
        decided = replace(decided, decision=archiving.with_notices(decided.decision))
    document = decided.plan or document_of(session, decided.decision, options.price)
    record.plan = document
    unread = decided.plan is None and is_unread(document)
    if archiving:
        archiving.announce(decided.decision, consent.dry_run)
    if consent.dry_run:
        say_plan(cmd, document, _left_of(decided))
        record.exit_code = exit_by(cmd, document.get('exitReason') or reason_of_plan(document))
        return document
    hold_to_limits(decided.decision, options.limits, is_confirmed(cmd, consent.yes))
    with session.limit.standing_still():
        hold_consent(cmd, document, consent.yes, archiving is not None, _left_of(decided))
    return _Agreed(decided, document, archiving, unread)


def _left_of(decided: Decided) -> Left | None:
    """What is left of the plan that is carried out; None where what is shown was decided just now."""
    from ..show.preview import Left

    if not decided.plan:
        return None
    decision = decided.decision
    tags = sum(1 for repository in decision.inventory.repositories for _ in decision.untagged_in(repository))
    return Left(len(decision.doomed), tags)


def _soft_delete(session: Session) -> dict[str, int | None]:
    """For how many days the registry keeps what is deleted, None where it does not; nothing where that is not known."""
    return {'softDeleteDays': session.facts.soft_delete_days} if session.facts.sku else {}


def _carry_out(session: Session, agreed: _Agreed) -> Document:
    """Archive if that was asked for, then delete what is safe; the journal says all of it."""
    decided, document, archiving = agreed.decided, agreed.document, agreed.archiving
    where = archiving.target.name if archiving else None
    summary = document['summary']
    with (
        ExitStack() as in_the_end,
        journal_of(
            session.cmd,
            session.options.sign_in.username,
            document['registry'],
            planChecksum=document['checksum'],
            usedBytes=_used_bytes(session, document),
            policy=document['policy'],
            promised={
                'manifests': summary['manifestsToDelete'],
                'tags': summary['tagsToDelete'],
                'freedBytes': summary['freedBytes'],
                'impact': document['impact'],
            },
            archive=where and lasting_name(where),
            **_soft_delete(session),
        ) as journal,
    ):
        with nothing_was('deleted'):
            safe = archive(session, decided.decision, archiving, journal.run) if archiving else None
        if safe:
            decided = replace(decided, decision=safe.decision)
            journal.write('archived', archive=where, notArchived=len(safe.skipped))
        if archiving and safe and safe.records:
            keep_journal(archiving, journal)
            in_the_end.callback(keep_journal, archiving, journal)
        result = _execute(session, decided, journal, safe)
        result.update(run=journal.run, archive=where, interrupted=result['summary']['interrupted'])
        with suppress(JournalError):  # what was deleted is told in any case
            for failed in result['failed']:  # the last listing may have what the registry said is gone
                journal.note('failed', **failed)
            journal.write('end', summary=result['summary'])
        return result


def _used_bytes(session: Session, document: Document) -> int | None:
    """What Azure says that the registry stores before a run, where anything goes and the identity may ask."""
    goes = document['delete'] or document.get('deleteLater')
    return session.account.used_bytes if goes and session.facts.known else None


def _why(decision: Decision, repository: str, name: str) -> dict[str, str]:
    """The reason for which a digest or a tag goes, as the journal has it."""
    verdict = decision.verdicts.get(repository, {}).get(name) or decision.tags.get(repository, {}).get(name)
    return {'reason': verdict.reason, 'because': verdict.because} if verdict else {}


def _execute(session: Session, decided: Decided, journal: Journal, safe: Safe | None) -> Document:
    """Delete, and write down each request; nothing that is not `safe`, where an archive was asked for."""
    from ..apply.journal import JournaledRegistry
    from ..archive.precondition import ArchivedRegistry
    from ..documents.result import result_document

    decision = decided.decision
    repositories = {repository.name: repository for repository in decision.inventory.repositories}
    registry = session.registry
    door: Changes = JournaledRegistry(session.door, journal, repositories, decision.later, partial(_why, decision))
    if safe:
        door = ArchivedRegistry(registry, door, safe.records)
    stops = stops_from_now_on(session)
    outcome = _pruned(session, stops, door, decision)
    if decision.kept_locked:
        outcome = kept_locked(session, stops, decision.kept_locked, door, outcome)
    if decision.retires:
        outcome = retired(session, stops, decision, door, journal, outcome)
    outcome = replace(outcome, skipped=(*decided.held, *(safe.skipped if safe else ()), *outcome.skipped))
    if outcome.interrupted:
        exit_with_failure(session.cmd, True, told_interrupted(outcome))
    if outcome.out_of_time and outcome.left:
        logger.warning(
            'The time was over before all was done: %s of the manifests and tags in the preview are '
            'left. The same command goes on from there.',
            f'{outcome.left:,}',
        )
    for notice in outcome.unverified:
        logger.warning('%s: %s', notice.repository, notice.message)
    return result_document(decision, outcome, session.facts.soft_delete_days)


def _pruned(session: Session, stops: Stops, door: Changes, decision: Decision) -> Outcome:
    """Delete what the decision dooms."""
    from ..apply.execute import execute

    pruning = execute(
        session.registry,
        door,
        decision,
        session.concurrency,
        session.reporter,
        time.monotonic,
        session.limit.is_ending,
        session.cache,
        stops=stops,
        stopping=partial(stop_requests, session),
    )
    return session.run(pruning)
