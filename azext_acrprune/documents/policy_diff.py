"""What one policy takes and another one does not, of the same registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..decide.decision import Decision
from ..decide.impact import kind_of_freed, open_ledger
from ..decide.reasons import RELATIONS, RETIRED, TO_RETIRE
from ..decide.verdicts import Verdict
from ..model import APPROXIMATE, EXACT, Repository, in_order

GOES, RETIRES, STAYS = 'goes', 'retires', 'stays'


def diff_document(old: Decision, new: Decision, weaker: Sequence[str] = ()) -> dict[str, Any]:
    """The difference as JSON-ready data, in order of repository, digest and tag.

    `goes` is what only the new policy takes, `retires` what can be pulled by the old one alone, and `stays` what only
    the old one took or retired; each with the rule and the reason of both. The bytes are those that the plans of both
    free, with the kind of number that each of them is; `moreFreedBytes` is below 0 where the new one frees less.
    `weaker` are the guards of the new policy that are.
    """
    ledger = open_ledger(new.inventory)
    plans = {'old': old, 'new': new}
    freed = {name: ledger.bytes_freed_by(each.doomed_in_order()) for name, each in plans.items()}
    kinds = {name: kind_of_freed(new.inventory, ledger, each.doomed_in_order()) for name, each in plans.items()}
    rows = [row for repository in in_order(new.inventory.repositories) for row in _rows(old, new, repository)]
    return {
        'registry': new.inventory.registry,
        'summary': {
            'oldFreedBytes': freed['old'],
            'oldImpact': kinds['old'],
            'newFreedBytes': freed['new'],
            'newImpact': kinds['new'],
            'moreFreedBytes': freed['new'] - freed['old'],
            'moreImpact': EXACT if set(kinds.values()) == {EXACT} else APPROXIMATE,
            **{key: sum(becomes == key for becomes, _ in rows) for key in (GOES, RETIRES, STAYS)},
            'weaker': len(weaker),
        },
        'weaker': list(weaker),
        **{key: [row for becomes, row in rows if becomes == key] for key in (GOES, RETIRES, STAYS)},
    }


def _rows(old: Decision, new: Decision, repository: Repository) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what becomes of it now, what it is) of what both policies decide otherwise. A tag goes with its manifest."""
    name = repository.name
    for digest, manifest in sorted(repository.manifests.items()):
        before, after = old.verdicts[name][digest], new.verdicts[name][digest]
        becomes = _becomes(before, after)
        if becomes:
            yield (
                becomes,
                {**_named(name, digest, manifest.tags), 'old': _why(old, name, before), 'new': _why(new, name, after)},
            )
            continue
        for tag in manifest.tags:
            earlier, later = (decision.tags.get(name, {}).get(tag) for decision in (old, new))
            becomes = _becomes(earlier or before, later or after)
            if becomes:
                yield (
                    becomes,
                    {
                        **_named(name, digest, [tag]),
                        'old': _why(old, name, earlier or before),
                        'new': _why(new, name, later or after),
                    },
                )


def _becomes(before: Verdict, after: Verdict) -> str | None:
    """What the new policy makes of something; None where that is what the old one does."""
    harm, more = _harm(before), _harm(after)
    if harm == more:
        return None
    return STAYS if more < harm else GOES if not after.kept else RETIRES


def _harm(verdict: Verdict) -> int:
    """What stays can be pulled, what is retired is there, and what goes is neither."""
    if not verdict.kept:
        return 2
    return 1 if verdict.reason in (TO_RETIRE, RETIRED) else 0


def _named(repository: str, digest: str, tags: Iterable[str]) -> dict[str, Any]:
    return {'repository': repository, 'digest': digest, 'tags': list(tags)}


def _why(decision: Decision, repository: str, verdict: Verdict) -> dict[str, Any]:
    root = verdict
    seen: set[str] = set()
    while root.reason in RELATIONS and root.because not in seen:
        seen.add(root.because)
        root = decision.verdicts[repository][root.because]
    return {'rule': root.rule or None, 'reason': verdict.reason, 'because': verdict.because}
