"""What this program retired: what is known of it, retiring more of it, and taking it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .failures import exit_with_failure
from .journaling import journal_of, retired_by_us
from .pulling import PullFacts, pullers
from .session import Session
from .stopping import run_until_stopped, stops_from_now_on, told_left

if TYPE_CHECKING:
    from ..apply.journal import Journal
    from ..decide.decision import Decision
    from ..decide.named import ImageName
    from ..model import Document, Inventory, Outcome
    from ..policy.facts import Retired
    from ..policy.rules import Policy
    from ..registry.changes import Changes
    from ..workers import Stops


def known_again(session: Session, inventory: Inventory) -> Inventory:
    """The inventory with what the journals know of manifests that cannot be read, because they are retired."""
    from ..decide.retirement import has_hidden_content, with_retirements

    if not has_hidden_content(inventory):
        return inventory
    return with_retirements(inventory, retired_by_us(session.cmd, session.host))[0]


def with_retired(
    session: Session, policy: Policy, inventory: Inventory, log: PullFacts | None
) -> tuple[Policy, Inventory]:
    """The policy and the inventory with what is known of retired manifests, and who tried to pull them since."""
    from ..decide.retirement import has_hidden_content, with_retirements
    from ..policy.rules import PullLog

    if not policy.retires and not has_hidden_content(inventory):
        return policy, inventory
    inventory, standings = with_retirements(inventory, retired_by_us(session.cmd, session.host))
    facts = replace(policy.facts, retired=standings)
    wanted = _pulled_since(policy, standings)
    if log and wanted:
        ignored = policy.pull_log or PullLog()
        who = pullers(session.cmd, ignored, log.workspace, session.host, session.now, inventory, wanted)
        facts = replace(facts, pulled_by=who)
    return replace(policy, facts=facts), inventory


def _pulled_since(policy: Policy, standings: Mapping[str, Mapping[str, Retired]]) -> dict[tuple[str, str], int]:
    """{(repository, digest): when it was retired} of what somebody pulled since, or tried to."""
    pulled = policy.facts.pulled
    return {
        (name, digest): retired.at
        for name, known in standings.items()
        for digest, retired in known.items()
        if retired.at and pulled.get(name, {}).get(digest, 0) > retired.at
    }


def take_back(session: Session, images: Sequence[ImageName], dry_run: bool) -> Document:
    """Let what this program retired be pulled again: all of it, or the images that are named, with their parts."""
    from ..apply.journal import JournaledRegistry
    from ..apply.retire import RetireOutcome, take_back
    from ..apply.retired import chosen_of
    from ..archive.push import Restored
    from ..archive.restore_document import preview_document, result_document

    records = retired_by_us(session.cmd, session.host)
    chosen = chosen_of(records, images)
    if dry_run:
        return preview_document(session.host, 'retired', Restored(manifests=list(chosen)))
    stops, done = stops_from_now_on(session), RetireOutcome()
    given = {'retired': True, 'image': [image.text for image in images]}
    with journal_of(session.cmd, session.options.sign_in.username, session.host, given=given) as journal:
        door = JournaledRegistry(session.door, journal, {})
        work = take_back(session.registry, door, records, chosen, session.concurrency, done)
        interrupted = run_until_stopped(session, stops, work)
        journal.write('end')
    if interrupted:
        said = told_left('manifests', 'are back', len(chosen) - done.left, done.left)
        exit_with_failure(session.cmd, True, said)
    back = Restored(manifests=done.unretired, skipped=done.skipped, failed=done.failed)
    back.interrupted, back.left = interrupted, done.left
    return result_document(session.host, 'retired', back)


def retired(
    session: Session, stops: Stops, decision: Decision, door: Changes, journal: Journal, outcome: Outcome
) -> Outcome:
    """Retire, and let be pulled again, what the decision says, unless the run was stopped before."""
    from ..apply.retire import RetireOutcome, retire

    if outcome.interrupted or outcome.out_of_time:
        return outcome
    done = RetireOutcome()
    work = retire(session.registry, door, journal, decision, session.concurrency, done, session.limit.is_ending)
    interrupted = run_until_stopped(session, stops, work)
    return replace(
        outcome,
        interrupted=interrupted,
        out_of_time=done.out_of_time,
        retired=tuple(done.retired),
        unretired=tuple(done.unretired),
        skipped=(*outcome.skipped, *done.skipped),
        failed=(*outcome.failed, *done.failed),
    )
