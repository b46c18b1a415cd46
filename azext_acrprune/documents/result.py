"""What became of a plan, as the document that the deleting commands answer with."""
from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, Optional

from ..decide.decision import Decision
from ..decide.impact import open_ledger
from ..model import Outcome
from .plan import kind_of_impact


def result_document(decision: Decision, outcome: Outcome, soft_delete_days: Optional[int] = None) -> Dict[str, Any]:
    """The result as JSON-ready data. `freedBytes` are those of what was really deleted, exact or an upper bound."""
    ledger = open_ledger(decision.inventory)
    tags = {(repository.name, digest): list(manifest.tags)
            for repository in decision.inventory.repositories for digest, manifest in repository.manifests.items()}
    return {
        'summary': {
            'registry': decision.inventory.registry,
            'manifestsDeleted': len(outcome.deleted),
            'tagsDeleted': sum(len(tags[node]) for node in outcome.deleted),
            'freedBytes': ledger.bytes_freed_by(outcome.deleted),
            'impact': kind_of_impact(decision.inventory, ledger),
            'softDeleteRetentionDays': soft_delete_days,
            'skipped': len(outcome.skipped),
            'failed': len(outcome.failed),
            'interrupted': outcome.interrupted,
        },
        'deleted': [_deleted(decision, node, tags[node]) for node in outcome.deleted],
        'untagged': [],
        'skipped': [asdict(skipped) for skipped in outcome.skipped],
        'failed': [asdict(failed) for failed in outcome.failed],
    }


def _deleted(decision: Decision, node: tuple, tags: list) -> Dict[str, Any]:
    repository, digest = node
    verdict = decision.verdicts[repository][digest]
    return {'repository': repository, 'digest': digest, 'tags': tags,
            'reason': verdict.reason, 'because': verdict.because}
