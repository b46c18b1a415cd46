"""What one policy takes and another one does not, of the same registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..decide.decision import Decision
from ..decide.impact import kind_of_freed, open_ledger
from ..decide.reasons import RELATIONS
from ..decide.verdicts import Verdict
from ..model import APPROXIMATE, EXACT, Repository, in_order


def diff_document(old: Decision, new: Decision) -> dict[str, Any]:
    """The difference as JSON-ready data, in order of repository, digest and tag.

    `goes` is what only the new policy takes, `stays` what only the old one took; each with the rule and the reason of
    both. The bytes are those that the plans of both free; `impact` says which kind of number each of them is.
    """
    ledger = open_ledger(new.inventory)
    plans = {'old': old, 'new': new}
    freed = {name: ledger.bytes_freed_by(each.doomed_in_order()) for name, each in plans.items()}
    kinds = {name: kind_of_freed(new.inventory, ledger, each.doomed_in_order()) for name, each in plans.items()}
    rows = [row for repository in in_order(new.inventory.repositories) for row in _rows(old, new, repository)]
    return {
        'registry': new.inventory.registry,
        'freedBytes': {**freed, 'difference': freed['new'] - freed['old']},
        'impact': {**kinds, 'difference': EXACT if set(kinds.values()) == {EXACT} else APPROXIMATE},
        'goes': [row for goes, row in rows if goes],
        'stays': [row for goes, row in rows if not goes],
    }


def _rows(old: Decision, new: Decision, repository: Repository) -> Iterator[tuple[bool, dict[str, Any]]]:
    """(whether it goes now, what it is) of what both policies decide otherwise. A tag goes with its manifest."""
    name = repository.name
    for digest, manifest in sorted(repository.manifests.items()):
        before, after = old.verdicts[name][digest], new.verdicts[name][digest]
        if before.kept != after.kept:
            yield (
                not after.kept,
                {**_named(name, digest, manifest.tags), 'old': _why(old, name, before), 'new': _why(new, name, after)},
            )
            continue
        for tag in manifest.tags:
            earlier, later = (decision.tags.get(name, {}).get(tag) for decision in (old, new))
            stayed, stays = (verdict is None or verdict.kept for verdict in (earlier, later))
            if stayed != stays:
                yield (
                    not stays,
                    {
                        **_named(name, digest, [tag]),
                        'old': _why(old, name, earlier or before),
                        'new': _why(new, name, later or after),
                    },
                )


def _named(repository: str, digest: str, tags: Iterable[str]) -> dict[str, Any]:
    return {'repository': repository, 'digest': digest, 'tags': list(tags)}


def _why(decision: Decision, repository: str, verdict: Verdict) -> dict[str, Any]:
    root = verdict
    seen: set[str] = set()
    while root.reason in RELATIONS and root.because not in seen:
        seen.add(root.because)
        root = decision.verdicts[repository][root.because]
    return {'rule': root.rule or None, 'reason': verdict.reason, 'because': verdict.because}
