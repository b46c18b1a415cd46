"""What a plan retires, what it lets be pulled again, and what that frees later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..decide.decision import Decision
from ..decide.graph import spread
from ..decide.impact import Ledger
from ..decide.reasons import RELATIONS, RETIRED, TO_RETIRE
from ..model import Manifest, Repository, time_text
from .as_seen import as_seen


def retirements(decision: Decision, repositories: Sequence[Repository]) -> dict[str, Any]:
    """`retire` and `unretire` of a plan, in order of repository and digest; nothing where no rule retires."""
    if not decision.retires:
        return {}
    return {
        'retire': [row for repository in repositories for row in _retiring(decision, repository)],
        'unretire': [row for repository in repositories for row in _returning(decision, repository)],
    }


def retirement_summary(decision: Decision, ledger: Ledger, freed: int) -> dict[str, int]:
    """Numbers of a plan; `retiredBytes` are freed later, when what is retired now or was retired before is deleted."""
    if not decision.retires:
        return {}
    later = [(name, digest) for name in decision.verdicts for digest in _waiting(decision, name)]
    return {
        'manifestsToRetire': sum(len(decision.retiring_in(name)) for name in decision.verdicts),
        'manifestsToUnretire': len(decision.returning),
        'retiredBytes': ledger.bytes_freed_by([*decision.doomed_in_order(), *later]) - freed if later else 0,
    }


def retired_time(decision: Decision, repository: str, digest: str) -> dict[str, str]:
    """When something that goes was retired, where it was."""
    retired = decision.retired.get(repository, {}).get(digest)
    return {'retiredTime': time_text(retired.at)} if retired and retired.at else {}


def _waiting(decision: Decision, name: str) -> Iterator[str]:
    """What stays because it is retired, and for no other reason."""
    verdicts, graph = decision.verdicts[name], decision.graphs.get(name)
    waiting = [digest for digest, verdict in verdicts.items() if verdict.reason in (TO_RETIRE, RETIRED)]
    if not waiting or graph is None:
        return
    others = [
        digest
        for digest, verdict in verdicts.items()
        if verdict.kept and verdict.reason not in (*RELATIONS, TO_RETIRE, RETIRED)
    ]
    staying = {*others, *spread(others, graph.neighbours)}
    yield from (digest for digest, verdict in verdicts.items() if verdict.kept and digest not in staying)


def _retiring(decision: Decision, repository: Repository) -> Iterator[dict[str, Any]]:
    for digest in decision.retiring_in(repository.name):
        verdict = decision.verdicts[repository.name][digest]
        yield {
            **_identity(repository, repository.manifests[digest]),
            **as_seen(repository, repository.manifests[digest]),
            'reason': verdict.reason,
            'because': verdict.because,
            'rule': verdict.rule,
        }


def _returning(decision: Decision, repository: Repository) -> Iterator[dict[str, Any]]:
    for (name, digest), verdict in decision.returning.items():
        if name == repository.name:
            yield {
                **_identity(repository, repository.manifests[digest]),
                **retired_time(decision, name, digest),
                'reason': verdict.reason,
                'because': verdict.because,
            }


def _identity(repository: Repository, manifest: Manifest) -> dict[str, Any]:
    return {
        'repository': repository.name,
        'digest': manifest.digest,
        'tags': list(manifest.tags),
        'lastUpdateTime': manifest.last_update_time,
    }
