"""The outcome of a run as a document, which the deleting commands answer with."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..decide.decision import Decision
from ..decide.impact import Ledger, Node, kind_of, kind_of_freed, open_ledger
from ..decide.retention import with_referrers
from ..decide.verdicts import Verdict
from ..model import APPROXIMATE, LOWER_BOUND, UPPER_BOUND, Content, Failed, Gone, Outcome, Skipped, in_order
from .later import later_entries, later_summary
from .locking import locked_entries


def result_document(decision: Decision, outcome: Outcome, soft_delete_days: int | None = None) -> dict[str, Any]:
    """The result as JSON-ready data.

    `freedBytes` count what this run deleted, and `impact` says which bound that is. What was gone without it is in
    `goneBefore`: its bytes are not in the number, and those that it shared with what was deleted are not either.
    `freedLaterBytes` are what the registry itself deletes after that, because it lost its last tag.
    """
    manifests = {repository.name: repository.manifests for repository in decision.inventory.repositories}
    tags = {node: list(manifests[node[0]][node[1]].tags) for node in outcome.deleted}
    untagged = {
        (repository.name, tag): (digest, verdict)
        for repository in decision.inventory.repositories
        for tag, digest, verdict in decision.untagged_in(repository)
    }
    left = {(failed.repository, failed.tag) for failed in outcome.failed if failed.tag}
    with_manifests = sum((name, tag) not in left for (name, _), held in tags.items() for tag in held)
    later = deleted_later(decision, outcome)
    return {
        'summary': {
            **_summary(decision, outcome, with_manifests, soft_delete_days),
            'manifestsDeletedLater': len(later),
            **later_summary(decision, open_ledger(decision.inventory), outcome.deleted, later),
        },
        'deleted': [
            {'repository': name, 'digest': digest, 'tags': tags[name, digest], **_why(decision.verdicts[name][digest])}
            for name, digest in outcome.deleted
        ],
        'untagged': [
            {'repository': name, 'tag': tag, 'digest': untagged[name, tag][0], **_why(untagged[name, tag][1])}
            for name, tag in outcome.untagged
        ],
        'deletedLater': later_entries(decision, later),
        **_retirements(decision, outcome),
        **locked_entries(decision.kept_locked, outcome.locked, outcome.unlocked),
        'goneBefore': [_item(gone) for gone in outcome.gone],
        'skipped': [_item(skipped) for skipped in outcome.skipped],
        'failed': [_item(failed) for failed in outcome.failed],
        'warnings': [asdict(notice) for notice in outcome.unverified],
    }


def deleted_later(decision: Decision, outcome: Outcome) -> list[Node]:
    """What the registry itself deletes, of all that the decision foresaw: whose tags were all removed."""
    done = set(outcome.untagged)
    gone: list[Node] = []
    for repository in in_order(decision.inventory.repositories) if decision.later else ():
        removed = {tag: digest for tag, digest, _ in decision.untagged_in(repository)}
        left = {digest for tag, digest in removed.items() if (repository.name, tag) not in done}
        lost = set(removed.values()) & decision.later_in(repository.name) - left
        gone += [(repository.name, digest) for digest in sorted(with_referrers(repository, lost))]
    return [node for node in gone if node in decision.later]


def _summary(
    decision: Decision, outcome: Outcome, tags_with_manifests: int, soft_delete_days: int | None
) -> dict[str, Any]:
    ledger = open_ledger(decision.inventory)
    age = outcome.listing_age
    return {
        'registry': decision.inventory.registry,
        'manifestsDeleted': len(outcome.deleted),
        'tagsDeleted': tags_with_manifests + len(outcome.untagged),
        'freedBytes': ledger.bytes_freed_by(outcome.deleted),
        'impact': _impact(decision, outcome, ledger),
        'softDeleteRetentionDays': soft_delete_days,
        **({'retired': len(outcome.retired), 'unretired': len(outcome.unretired)} if decision.retires else {}),
        'listingAgeSeconds': None if age is None else round(age, 1),
        'goneBefore': len(outcome.gone),
        'skipped': len(outcome.skipped),
        'failed': len(outcome.failed),
        'interrupted': outcome.interrupted,
        'timeLimitReached': outcome.out_of_time or bool(decision.inventory.late),
    }


def _retirements(decision: Decision, outcome: Outcome) -> dict[str, Any]:
    if not decision.retires:
        return {}
    return {
        'retired': [
            {'repository': name, 'digest': digest, **_why(decision.verdicts[name][digest])}
            for name, digest in sorted(outcome.retired)
        ],
        'unretired': [
            {'repository': name, 'digest': digest, **_why(decision.returning[name, digest])}
            for name, digest in sorted(outcome.unretired)
        ],
    }


def _impact(decision: Decision, outcome: Outcome, ledger: Ledger) -> str:
    """Which bound the freed bytes are.

    What was deleted by the registry's word alone may not be, and what failed or is left there may be gone; what was
    gone before may have been the last but this run to hold a blob.
    """
    kind = kind_of_freed(decision.inventory, ledger, outcome.deleted)
    not_counted: list[Gone | Failed] = [each for each in outcome.failed if each.repository in outcome.in_doubt]
    held_bytes = any(
        isinstance(ledger.repositories[each.repository].manifests[each.digest].content, Content)
        for each in (*outcome.gone, *not_counted)
        if not each.tag
    )
    return kind_of(
        at_most=kind in (UPPER_BOUND, APPROXIMATE) or bool(outcome.in_doubt),
        at_least=kind in (LOWER_BOUND, APPROXIMATE) or held_bytes or outcome.more_may_be_gone,
    )


def _why(verdict: Verdict) -> dict[str, Any]:
    return {'reason': verdict.reason, 'because': verdict.because}


def _item(item: Skipped | Failed | Gone) -> dict[str, Any]:
    """A manifest or a tag that this run did not delete. It has a `tag` only if it is one."""
    return {key: value for key, value in asdict(item).items() if key != 'tag' or value}
